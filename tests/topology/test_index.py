"""The index has the terms of the dossiers: after any history, however it came back."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.driver import START_MS, Driver
from tests.driver.faults import abortable, store_down
from tests.topology.tagging import (
    EDITS,
    OUT,
    assert_index_is_right,
    assert_marked_once,
    broadcast,
    edit,
    marks,
    order,
    settle,
    tagging,
    told,
)
from topology.engine.ports import Apply
from topology.engine.transaction import Step


def _lives(driver, count=120, start=0):
    """Thirty users whose tags come and go."""
    for n in range(start, start + count):
        tags = {"tag": [f"t{n % 5}", f"t{n % 3}"], "untag": [f"t{(n + 2) % 5}"]}
        driver.send(EDITS, f"user-{n * 7 % 30}", edit(n, **tags), at=START_MS + n)


@pytest.mark.rule(7)
@pytest.mark.parametrize("batch_records", [1, 100], ids=["in batches of their own", "in one batch"])
def test_an_event_that_raises_leaves_the_index_as_it_was(batch_records):
    driver = Driver(tagging(), partitions=1, batch_records=batch_records)
    driver.send(EDITS, "ann", edit(1, tag=["blue"]))
    driver.send(EDITS, "ann", edit(2, tag=["red"], untag=["blue"], fault="after"))
    driver.send(EDITS, "bob", edit(3, tag=["red"], fault="after"))
    driver.send(EDITS, "ann", edit(4, tag=["green"]))

    driver.run()

    assert driver.store.terms(0) == {b"blue/ann", b"green/ann"}
    assert driver.metrics.counts["edits_total"] == 2 * 0.5
    assert_index_is_right(driver)


@pytest.mark.rule(7)
@pytest.mark.parametrize("term", ["", "\0x"])
def test_what_cannot_be_a_term_is_the_fault_of_the_record(term):
    driver = Driver(tagging(handle=lambda _state, _event, ctx: ctx.index(term.encode())), partitions=1)
    driver.send(EDITS, "ann", edit(1))

    driver.run()

    assert len(driver.dead_letters()) == 1
    assert driver.store.terms(0) == set()


def test_a_term_is_written_though_the_state_is_as_it_was():
    driver = Driver(tagging(handle=lambda _state, event, ctx: ctx.index(event["tag"].encode())), partitions=1)
    for tag in ("blue/ann", "red/ann"):
        driver.send(EDITS, "ann", edit(1, tag=tag))
        driver.run()

    assert len(driver.read(driver.app.changelog)) == 1
    assert driver.store.terms(0) == {b"blue/ann", b"red/ann"}


@pytest.mark.rule(5)
@pytest.mark.parametrize("call", ["flush", "send_offsets_to_transaction", "commit_transaction"])
def test_an_aborted_batch_changes_nothing_in_the_index(call):
    driver = Driver(tagging(), partitions=1)
    driver.send(EDITS, "ann", edit(1, tag=["blue"]))
    driver.run()
    driver.send(EDITS, "ann", edit(2, tag=["red"], untag=["blue"]))
    driver.faults.fail(call, abortable)

    driver.step()
    assert driver.metrics.counts["transactions_aborted_total"] == 1
    assert driver.store.terms(0) == {b"blue/ann"}
    assert driver.metrics.counts["edits_total"] == 0.5

    driver.run()
    assert driver.store.terms(0) == {b"red/ann"}
    assert driver.metrics.counts["edits_total"] == 1


@pytest.mark.rule(4)
@pytest.mark.parametrize("restore_records", [1, 7, 10_000])
@pytest.mark.parametrize("what", ["everything", "index", "dossiers", "timers"])
def test_after_a_rebuild_the_index_has_the_terms_of_the_dossiers_and_no_others(what, restore_records):
    """Also of a changelog that was never compacted, where older versions of a state come in chunks before."""
    driver = Driver(tagging(), partitions=2, batch_records=5, restore_records=restore_records)
    _lives(driver)
    broadcast(driver, "o", order("t1", 2))
    settle(driver)
    expected = [driver.store.terms(p) for p in range(2)]
    assert all(expected)
    driver.crash()
    if what == "everything":
        driver.store.flush()
    else:
        for partition in range(2):
            getattr(driver.store, f"lose_{what}")(partition)
    driver.start("0")
    driver.run()

    assert driver.metrics.counts["redis_rebuilt_total"] == 2 + 2, "at the first start, and now"
    assert [driver.store.terms(p) for p in range(2)] == expected
    assert_index_is_right(driver)


@pytest.mark.rule(4)
def test_what_a_lost_apply_would_have_taken_out_is_taken_out_by_the_restore():
    driver = Driver(tagging(), partitions=1)
    driver.send(EDITS, "ann", edit(1, tag=["blue", "red"]))
    driver.run()
    driver.send(EDITS, "ann", edit(2, tag=["green"], untag=["blue"]))
    driver.crash_at(Step.APPLY, restart=False)
    driver.run()
    assert driver.store.terms(0) == {b"blue/ann", b"red/ann"}

    driver.start("0")
    driver.run()

    assert driver.metrics.counts["redis_rebuilt_total"] == 1, "the tail was enough"
    assert driver.store.terms(0) == {b"green/ann", b"red/ann"}


@pytest.mark.rule(3)
@pytest.mark.parametrize("part", ["index", "timers"])
def test_a_part_that_is_lost_while_the_worker_runs_is_noticed_by_the_next_apply(part):
    """Written on, it would have the next checkpoint and look whole for ever."""
    driver = Driver(tagging(), partitions=1)
    driver.send(EDITS, "ann", edit(1, tag=["blue"], later=(1_000, "red")))
    driver.run()
    getattr(driver.store, f"lose_{part}")(0)
    driver.send(EDITS, "bob", edit(2, tag=["blue"]))
    driver.run()

    assert driver.metrics.counts["redis_refused_total"] == 1
    assert driver.store.terms(0) == {b"blue/ann", b"blue/bob"}
    driver.crash()
    driver.start("0")
    driver.advance(2_000)
    driver.send(EDITS, "cat", edit(3))
    driver.run()
    assert driver.store.terms(0) == {b"blue/ann", b"blue/bob", b"red/ann"}
    assert_index_is_right(driver)


@pytest.mark.rule(3)
def test_a_redis_of_before_there_was_an_index_is_rebuilt_when_it_is_taken_over():
    driver = Driver(tagging(), partitions=1)
    _lives(driver)
    driver.run()
    driver.crash()
    driver.store.lose_index(0)  # an older version leaves none, and moves the other checkpoints on without it

    driver.start("0")
    driver.run()

    assert driver.metrics.counts["redis_rebuilt_total"] == 2
    assert_index_is_right(driver)


@pytest.mark.rule(3)
def test_an_index_at_another_checkpoint_than_the_dossiers_is_rebuilt():
    """As after a worker of an older version, which knows nothing of the index, had the partition for a while."""
    driver = Driver(tagging(), partitions=1)
    _lives(driver)
    driver.run()
    older = driver.store.snapshot()
    _lives(driver, start=200)
    driver.run()
    driver.crash()
    newer = driver.store.snapshot()
    newer[0].index, newer[0].index_checkpoint = older[0].index, older[0].index_checkpoint
    driver.store.restore(newer)

    driver.start("0")
    driver.run()

    assert driver.metrics.counts["redis_rebuilt_total"] == 2
    assert_index_is_right(driver)


@pytest.mark.rule(3)
def test_a_restore_whose_look_at_the_older_states_fails_is_tried_again():
    driver = Driver(tagging(), partitions=1, restore_records=10)
    _lives(driver)
    driver.run()
    driver.crash()
    driver.store.flush()
    driver.start("0")
    driver.faults.fail("store.read", store_down, times=3)

    driver.run()

    assert_index_is_right(driver)


@pytest.mark.rule(2)
def test_a_zombies_terms_are_refused_with_its_dossiers():
    driver = Driver(tagging(), partitions=1)
    driver.send(EDITS, "ann", edit(1, tag=["blue"]))
    driver.run()
    checkpoint = driver.store.checkpoints([0])[0]
    driver.send(EDITS, "ann", edit(2, untag=["blue"]))
    driver.run()

    late = Apply(0, checkpoint, checkpoint + 1, [], [(b"blue/ann", True)])
    assert driver.store.apply([late])[0][0] is False
    assert driver.store.terms(0) == set()


def test_an_application_without_an_index_reads_nothing_more_when_it_is_restored():
    driver = Driver(tagging(indexed=None), partitions=1)
    _lives(driver)
    driver.run()
    driver.crash()
    driver.store.flush()
    driver.store.calls.clear()
    driver.start("0")

    driver.run()

    assert "read" not in driver.store.calls
    assert "scan" not in driver.store.calls


def test_no_page_is_read_where_no_state_under_a_prefix_is_due():
    driver = Driver(tagging(), partitions=1)
    for n in range(20):
        driver.send(EDITS, f"user-{n}", edit(n, tag=["blue"], later=(10, "red")))
    driver.run()
    driver.advance(100)
    driver.run()

    assert sum("red" in user.tags for user in driver.states().values()) == 20
    assert "scan" not in driver.store.calls
    assert driver.metrics.counts["index_scans_total"] == 0


_DOINGS = st.lists(
    st.one_of(
        st.tuples(st.just("tag"), st.integers(0, 9), st.sampled_from(["blue", "red"])),
        st.tuples(st.just("order"), st.sampled_from(["blue", "red"]), st.integers(1, 4)),
        st.tuples(st.just("step"), st.sampled_from("01"), st.integers(1, 12)),
        st.tuples(st.just("crash at"), st.sampled_from("01"), st.sampled_from(Step)),
        st.tuples(st.just("crash"), st.sampled_from("01"), st.just(0)),
        st.tuples(st.just("lose"), st.sampled_from(["flush", "index", "timers", "dossiers"]), st.just(0)),
        st.tuples(st.just("break"), st.sampled_from(["flush", "commit_transaction"]), st.booleans()),
        st.tuples(st.just("break"), st.sampled_from(["store.scan", "store.apply", "store.read"]), st.booleans()),
        st.tuples(st.just("rebalance"), st.just(0), st.just(0)),
        st.tuples(st.just("advance"), st.integers(1, 9), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.rule(5)
@given(doings=_DOINGS, pipelined=st.booleans(), cached_states=st.sampled_from([1, 1_000]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_by_the_wall_clock_each_user_is_marked_once(doings, pipelined, cached_states):
    driver = Driver(
        tagging(),
        partitions=2,
        workers=2,
        pipelined=pipelined,
        cached_states=cached_states,
        batch_records=4,
        restore_records=5,
        renewals_in_a_row=1_000,
    )
    world = _Wall(driver)
    for doing in doings:
        world.do(*doing)
    for slot in "01":
        if slot in driver.workers:
            driver.crash(slot)
        driver.start(slot)
    settle(driver, ms=60)
    driver.crash("0")
    driver.start("0")
    driver.rebalance()
    driver.run()

    for name, tag in world.orders.items():
        before = world.tagged_before[name]
        found = marks(driver, name)
        assert told(driver, name) == found
        assert set(found.values()) <= {1}, "somebody was marked twice"
        assert before <= found.keys() <= {user for user, tags in world.tags.items() if tag in tags}
    ids = [json.loads(r.value).get("id") for r in driver.read(OUT) if b'"id"' in r.value]
    assert sorted(ids) == list(range(world.edits))
    assert_index_is_right(driver)
    assert driver.dead_letters() == []


class _Wall:
    """Tags are only put on, so who had one before an order was given must be marked by it."""

    def __init__(self, driver):
        self.driver = driver
        self.tags = {}
        self.orders = {}
        self.tagged_before = {}
        self.edits = 0

    def do(self, what, who, how):
        driver = self.driver
        if what == "tag":
            driver.send(EDITS, f"user-{who}", edit(self.edits, tag=[how]))
            self.edits += 1
            self.tags.setdefault(f"user-{who}", set()).add(how)
        elif what == "order":
            name = f"o-{len(self.orders)}"
            self.orders[name] = who
            self.tagged_before[name] = {user for user, tags in self.tags.items() if who in tags}
            driver.advance(1)  # after all that was sent before
            broadcast(driver, name, order(who, how))
        elif what == "advance":
            driver.advance(who)
        elif what == "rebalance":
            driver.rebalance()
        elif what == "break":
            driver.faults.fail(who, store_down if who.startswith("store") else abortable, lost_answer=how)
        elif what == "lose":
            self._lose(who)
        else:
            self._to_worker(what, who, how)

    def _lose(self, what):
        if what == "flush":
            self.driver.store.flush()
            return
        for partition in range(2):
            getattr(self.driver.store, f"lose_{what}")(partition)

    def _to_worker(self, what, slot, how):
        driver = self.driver
        if slot not in driver.workers:
            driver.start(slot)
        elif what == "crash":
            driver.crash(slot)
        elif what == "crash at":
            driver.crash_at(how, slot)
        else:
            for _ in range(how):
                driver.step(slot)


def test_a_user_tagged_in_the_very_batch_of_the_page_is_marked_by_the_wall_clock_too():
    driver = Driver(tagging(), partitions=1, batch_records=100)
    driver.send("orders", "o", order("blue", 10))
    driver.send(EDITS, "ann", edit(1, tag=["blue"]))

    settle(driver)

    assert_marked_once(driver, "o", ["ann"])
