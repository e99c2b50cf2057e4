"""Whatever happens to workers, producers and Redis, each event counts once: real processes, real Kafka, real Redis.

Each test disturbs a running installation and then asks the checker, which knows nothing of the engine. Offsets of
what was sent, audit, cases, notices, reversals, dead letters and Redis must all agree, both ways.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from importlib.metadata import version

import pytest
from confluent_kafka import Producer

from schemas.vocabulary import CaseEventKind
from tests.integration.checker import Arrived, faults
from tests.integration.worker_process import (
    RUN,
    Installation,
    children,
    counted,
    free_port,
    free_ports,
    runs,
)
from tests.integration.workload import workload
from topology.engine.transaction import Step
from topology.exits import Exit

LONGER_THAN_A_SESSION_S = 7.0
NOT_TOLD = {
    CaseEventKind.UNKNOWN,
    CaseEventKind.CASE_REROUTED,
    CaseEventKind.DEADLINE_MISSED,
    CaseEventKind.CASE_ESCALATED,
    CaseEventKind.PAUSE_CAPPED,
    CaseEventKind.REMAND_OVERDUE,
    CaseEventKind.LEGAL_HOLD_PLACED,
    CaseEventKind.LEGAL_HOLD_RELEASED,
    CaseEventKind.ERASURE_HELD,
    CaseEventKind.ERASURE_BEGUN,
    CaseEventKind.SUBJECT_ERASED,
    CaseEventKind.ERASURE_REPEATED,
    CaseEventKind.INPUT_IGNORED,
}
"""Lines that nothing in the workload leads to: no open case is recharged, it ends before any deadline or cap,
and nobody is erased (that is `test_privacy.py`)."""


@pytest.fixture
def installed(kafka, redis_url, app_id, tmp_path):
    """Make installations: `installed("name", redis=…, **settings)`."""
    with contextlib.ExitStack() as stack:

        def make(name="", *, redis=redis_url, **settings):
            return stack.enter_context(Installation(kafka, redis, app_id + name, tmp_path, **settings))

        yield make


def all_is_well(installation: Installation) -> Arrived:
    """What arrived, after the checker has found no fault with it."""
    # The markers of an ended transaction reach their partitions a moment after its end; no transaction stays open.
    installation.until(lambda: not installation.unsettled(), "every transaction is settled")
    arrived = installation.arrived()
    found = faults(installation.sent(), arrived)
    assert not found, f"{len(found)} faults, the first: {found[:10]}"
    return arrived


@pytest.mark.rule(2)
@pytest.mark.rule(4)
@pytest.mark.rule(5)
@pytest.mark.rule(8)
@pytest.mark.parametrize(
    ("events", "batch_records"),
    [pytest.param(10_000, 50, id="10,000"), pytest.param(50_000, 250, id="50,000", marks=pytest.mark.long)],
)
def test_events_under_a_worker_killed_at_every_step_give_the_bytes_of_a_calm_run(installed, events, batch_records):
    rows = workload(events, seed=7)
    calm, struck = (installed(name, clock="stream", batch_records=batch_records) for name in ("-calm", "-struck"))
    calm.send(rows)
    struck.send(rows)
    worker = calm.start()
    calm.until_done()
    assert worker.stop() == Exit.OK

    # At the first two the batch before is on its way, at any of its steps. The last one leaves no offsets open, for
    # which the question of how many there are would wait.
    kills = ((Step.TAKE, 8), (Step.FOLD, 9), (Step.PRODUCE, 5), (Step.OFFSETS, 4), (Step.COMMIT, 7), (Step.APPLY, 6))
    for step, batch in (*kills, (Step.APPLY, 1)):
        assert struck.saboteur("SIGKILL", step, batch).ended() == -signal.SIGKILL
    assert struck.done() < len(rows), "the kills must fall into the middle of the events"
    worker = struck.start()
    struck.until_done()
    assert worker.stop() == Exit.OK

    arrived, expected = all_is_well(struck), all_is_well(calm)
    assert {line.kind for line in arrived.lines} == set(CaseEventKind) - NOT_TOLD, "every kind of story was told"
    there, wanted = struck.published(), calm.published()
    assert not [key for key in there.keys() | wanted.keys() if there.get(key) != wanted.get(key)][:5]
    assert [v.newest for v in arrived.views.values()] == [v.newest for v in expected.views.values()]


@pytest.mark.rule(6)
def test_partitions_that_move_to_a_joining_worker_and_back_take_every_event_once(installed):
    rows = workload(15_000, seed=11)
    installation = installed(static_membership=False, batch_records=500)
    joins = installation.flow(rows[:9_000], seconds=8)
    first = installation.start(slot=0)
    installation.until_done(2_000)

    second = installation.start(slot=1)
    installation.until(lambda: len(installation.owners()) == 2, "both workers hold partitions")
    # A slow machine may have done everything by now: both get records of their own.
    joins.join()
    before = installation.done()
    leaves = installation.flow(rows[9_000:], seconds=5)
    installation.until_done(before + 1_500)
    assert first.stop() == Exit.OK

    leaves.join()
    installation.until_done()
    assert second.stop() == Exit.OK
    all_is_well(installation)


@pytest.mark.rule(1)
@pytest.mark.rule(2)
@pytest.mark.parametrize("step", [Step.OFFSETS, Step.APPLY])
def test_a_worker_that_wakes_after_others_took_its_partitions_changes_nothing(installed, step):
    rows = workload(8_000, seed=13)
    installation = installed(session_s=2, batch_records=500)
    feed = installation.flow(rows, seconds=10)
    port = free_port()
    sleeper = installation.saboteur("SIGSTOP", step, 6, slot=0, metrics_port=port)
    installation.until(lambda: sleeper.stopped, "the worker sleeps")
    slept_at, owner = installation.done(), installation.owners()

    heir = installation.start(slot=1)
    installation.until(
        lambda: installation.owners() - owner and not installation.owners() & owner, "the heir took over"
    )
    if step is Step.APPLY:  # before it, the sleeper's transaction is open and the heir must wait for its end
        assert slept_at < len(rows) - 1_000, "the heir needs something of each partition to fold"
        feed.join()
        installation.until_done()
    sleeper.send_signal(signal.SIGCONT)

    feed.join()
    installation.until_done()
    refused = "transactions_fenced_total" if step is Step.OFFSETS else "redis_refused_total"
    installation.until(lambda: counted(port, refused), "what it was about to do was refused")
    assert (sleeper.stop(), heir.stop()) == (Exit.OK, Exit.OK)
    all_is_well(installation)


@pytest.mark.rule(3)
@pytest.mark.rule(9)
def test_redis_flushed_killed_and_asleep_never_makes_a_user_without_history(installed, redis_server):
    server = redis_server()
    rows = workload(12_000, seed=17)
    # A small cache: most dossiers are read from Redis again.
    installation = installed(redis=server.url, batch_records=500, cached_states=100)
    feed, port = installation.flow(rows, seconds=14), free_port()
    worker = installation.start(metrics_port=port)
    installation.until_done(2_000)
    members, rebuilt = installation.owners(), counted(port, "redis_rebuilt_total")

    installation.redis.flushall()
    installation.until_done(4_000)
    installation.until(lambda: counted(port, "redis_rebuilt_total") > rebuilt, "what was flushed is rebuilt")

    rebuilt = counted(port, "redis_rebuilt_total")
    server.kill()
    time.sleep(1)
    server.start()
    installation.until_done(6_000)
    installation.until(lambda: counted(port, "redis_rebuilt_total") > rebuilt, "what was lost is rebuilt")

    server.pause()
    time.sleep(LONGER_THAN_A_SESSION_S)
    server.resume()
    feed.join()
    installation.until_done()

    assert installation.owners() == members, "the worker stayed a member all the time"
    assert counted(port, "redis_lost_total") + counted(port, "redis_refused_total") >= 1, "the flush was noticed"
    assert worker.stop() == Exit.OK
    all_is_well(installation)


@pytest.mark.rule(1)
def test_a_worker_whose_producer_is_fenced_takes_its_id_back_and_nothing_is_lost_or_doubled(installed):
    rows = workload(9_000, seed=19)
    installation = installed(batch_records=300)
    feed, port = installation.flow(rows, seconds=7), free_port()
    worker = installation.start(metrics_port=port)
    intruders = []
    for records in (1_500, 3_500, 5_500):
        installation.until_done(records)
        client = {"bootstrap.servers": installation.kafka, "log_level": 0}
        intruder = Producer(client | {"transactional.id": f"{installation.name}-0"})
        intruder.init_transactions(30)
        # Left open: nobody may ever see it, and nobody may wait for it for long.
        intruder.begin_transaction()
        intruder.produce(installation.register.on_cluster("case.events"), b"never committed", b"user-000001")
        with contextlib.suppress(Exception):  # the worker may have taken its id back already
            intruder.flush(5)
        intruders.append(intruder)

    feed.join()
    installation.until_done()
    # Being fenced while it commits or aborts, the worker cannot know what became of that; it must renew all the same.
    assert counted(port, "producer_renewals_total") > len(intruders), "one producer at the start, one for each fence"
    assert worker.stop() == Exit.OK
    all_is_well(installation)


@pytest.mark.rule(6)
def test_sigterm_finishes_the_batch_and_the_next_start_goes_on_from_there(installed):
    rows = workload(8_000, seed=23)
    installation = installed(batch_records=200)
    installation.send(rows)
    worker = installation.saboteur("SIGTERM", Step.FOLD, 4)
    assert worker.ended() == Exit.OK
    begun = json.loads(worker.text().splitlines()[-1])
    assert [begun[step.name] for step in (Step.FOLD, Step.PRODUCE, Step.COMMIT, Step.APPLY)] == [4] * 4
    is_finished(installation)

    worker = installation.start()
    installation.until_done(installation.done() + 2_000)
    assert worker.stop() == Exit.OK
    is_finished(installation)

    worker = installation.start()
    installation.until_done()
    assert worker.stop() == Exit.OK
    all_is_well(installation)


def is_finished(installation: Installation) -> None:
    """What was begun is done, in Kafka and in Redis, though not all that was sent was begun."""
    committed = installation.committed()
    assert 0 < sum(committed.values()) < len(installation.delivered)
    # The markers of an ended transaction reach their partitions a moment after its end; no transaction stays open.
    installation.until(lambda: not installation.unsettled(), "every transaction is settled")
    assert faults(installation.sent(committed), installation.arrived()) == []


def _told(port: int) -> tuple[float, float]:
    """What two workers on ports in a row have judged together, and how many of them say who they are.

    On a busy machine an answer can take long; it is asked again.
    """
    ports = (port, port + 1)
    who = 'process_info{{role="worker",slot="0-{}",version="{}"}}'
    with contextlib.suppress(OSError):
        judged = [counted(each, f"{name}_total") for each in ports for name in ("records_folded", "dead_letters")]
        named = [counted(each, who.format(number, version("recourse"))) for number, each in enumerate(ports)]
        return sum(judged), sum(named)
    return 0, 0


def test_a_supervisor_restarts_a_killed_worker_and_leaves_none_behind(installed):
    rows = workload(6_000, seed=29)
    installation = installed(batch_records=300)
    feed = installation.flow(rows, seconds=8)
    supervisor = installation.start(*RUN, "--workers", "2")
    installation.until(lambda: len(installation.owners()) == 2, "two workers hold partitions")
    before = children(supervisor.pid)
    assert len(before) == 2

    os.kill(min(before), signal.SIGKILL)
    installation.until(
        lambda: len(children(supervisor.pid) - before) == 1, "a new worker in the place of the killed one"
    )
    assert supervisor.text().count("worker_died") == 1

    orphans = children(supervisor.pid)
    supervisor.kill()
    installation.until(lambda: not any(runs(pid) for pid in orphans), "the workers end after their supervisor")

    installation.until(lambda: not installation.unsettled(), "every transaction is settled")
    folded_before = sum(installation.committed().values())
    port = free_ports(2)
    supervisor = installation.start(*RUN, "--workers", "2", metrics_port=port)
    feed.join()
    installation.until_done()
    left = len(installation.delivered) - folded_before
    installation.until(lambda: _told(port) == (left, 2), "each worker counts its own, so nothing is counted twice")
    workers = children(supervisor.pid)
    assert supervisor.stop() == Exit.OK
    assert not any(runs(pid) for pid in workers)
    all_is_well(installation)
