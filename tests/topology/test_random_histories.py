"""Any history, with crashes, flushes, rebalances and faults anywhere in it, gives each output exactly once.

Faults come first, calm after them: in the calm everything must converge.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.driver import Driver
from tests.driver.faults import abortable, fenced_in_callback, kafka, refused, store_down, timed_out
from tests.topology.ledger import INPUTS, OUT, Sent, add, assert_exactly_once, fired, ledger
from tests.topology.spending import DAY_MS, assert_all_spent_right, assert_never_more, told
from topology.engine.transaction import Step

_SLOTS = ("0", "1", "2")
_LIMITS = {"grants": 9, "coupons": 2, "late": 4}
_ASKS = st.sets(st.sampled_from(["grants", "coupons"])).map(lambda names: {n: _LIMITS[n] for n in sorted(names)})
_KAFKA_CALLS = ["flush", "send_offsets_to_transaction", "commit_transaction", "produce"]
_READS = ["committed", "bounds", "reader.consume"]


def _unknown():
    return kafka(-185, "no answer")


class History(RuleBasedStateMachine):
    """Random commands to one driver; the outcome is compared with sums made without the engine."""

    def __init__(self):
        super().__init__()
        self.sent: list[Sent] = []
        self.armed: dict[str, int] = {}
        self.bad = 0

    @initialize(
        static=st.booleans(),
        pipelined=st.booleans(),
        batch_records=st.sampled_from([1, 3, 50]),
        cached_states=st.sampled_from([1, 1_000]),
        timers_window=st.sampled_from([1, 1_000]),
        shuffle=st.none() | st.integers(0, 99),
    )
    def begin(self, static, pipelined, batch_records, cached_states, timers_window, shuffle):
        self.driver = Driver(
            ledger(),
            partitions=3,
            workers=2,
            static=static,
            shuffle=shuffle,
            pipelined=pipelined,
            batch_records=batch_records,
            cached_states=cached_states,
            timers_window=timers_window,
            restore_records=5,
            renewals_in_a_row=1_000,
            dead_letters_in_a_row=10_000,
        )

    @rule(
        topic=st.sampled_from(INPUTS),
        keys=st.lists(st.integers(0, 7), min_size=1, max_size=8),
        armed=st.booleans(),
        spend=_ASKS,
    )
    def send(self, topic, keys, armed, spend):
        for n in keys:
            event = Sent(f"user-{n}", len(self.sent) + 1, len(self.sent) % 7 + 1)
            more = {"wait": 1_000_000, "later": {"late": _LIMITS["late"]}} if armed else {}
            if armed:
                self.armed[event.key] = self.armed.get(event.key, 0) + 1
            self.driver.send(topic, event.key, add(event.amount, id=event.id, spend=spend, **more))
            self.sent.append(event)

    @rule(key=st.integers(0, 7), fault=st.sampled_from(["before", "after", "poison", "encode"]), spend=_ASKS)
    def send_bad(self, key, fault, spend):
        self.driver.send(INPUTS[0], f"user-{key}", add(50, id=-1, fault=fault, spend=spend))
        self.bad += 1

    @rule(times=st.integers(1, 12), slot=st.sampled_from(_SLOTS))
    def step(self, times, slot):
        for _ in range(times):
            if slot in self.driver.workers:
                self.driver.step(slot)

    @rule(slot=st.sampled_from(_SLOTS))
    def start_or_crash(self, slot):
        if slot in self.driver.workers:
            self.driver.crash(slot)
        else:
            self.driver.start(slot)

    @rule(slot=st.sampled_from(_SLOTS), step=st.sampled_from(Step), nth=st.integers(1, 3))
    def crash_at(self, slot, step, nth):
        if slot in self.driver.workers:
            self.driver.crash_at(step, slot, nth=nth)

    @rule(slot=st.sampled_from(_SLOTS))
    def evict(self, slot):
        if slot in self.driver.workers:
            self.driver.evict(slot)

    @rule()
    def sleep_over_midnight(self):
        self.driver.advance(DAY_MS)

    @rule()
    def rebalance(self):
        self.driver.rebalance()

    @rule()
    def flush(self):
        self.driver.store.flush()

    @rule(part=st.sampled_from(["dossiers", "timers", "index"]))
    def evict_a_part(self, part):
        for partition in range(3):
            getattr(self.driver.store, f"lose_{part}")(partition)

    @rule()
    def remember(self):
        self.snapshot = self.driver.store.snapshot()

    @rule()
    def fall_back(self):
        self.driver.store.restore(getattr(self, "snapshot", {}))

    @rule(
        call=st.sampled_from(_KAFKA_CALLS),
        error=st.sampled_from([abortable, refused, timed_out, _unknown, fenced_in_callback]),
        lost_answer=st.booleans(),
    )
    def break_kafka(self, call, error, lost_answer):
        self.driver.faults.fail(call, error, lost_answer=lost_answer and call != "produce")

    @rule(call=st.sampled_from(_READS))
    def break_reads(self, call):
        self.driver.faults.fail(call, timed_out)

    @rule(
        call=st.sampled_from(["store.read", "store.apply", "store.timers", "store.checkpoints"]),
        lost_answer=st.booleans(),
    )
    def break_store(self, call, lost_answer):
        self.driver.faults.fail(call, store_down, lost_answer=lost_answer)

    @invariant()
    def nothing_is_doubled_at_any_moment(self):
        if hasattr(self, "driver"):
            keys = [(r.key, r.value) for r in self.driver.read(OUT) if r.value and b'"id"' in r.value]
            assert len(keys) == len(set(keys))

    @invariant()
    def no_more_is_given_than_there_is_at_any_moment(self):
        if hasattr(self, "driver"):
            assert_never_more(told(self.driver), _LIMITS)

    def teardown(self):
        if not hasattr(self, "driver"):
            return
        driver = self.driver
        for slot in _SLOTS[:2]:
            if slot in driver.workers:
                driver.crash(slot)
            driver.start(slot)
        driver.run()
        driver.advance(DAY_MS)
        self.send(INPUTS[0], range(8), armed=False, spend=_LIMITS)
        driver.run()
        driver.crash("1")
        driver.start("1")
        driver.rebalance()
        driver.run()
        assert_exactly_once(driver, self.sent)
        assert_all_spent_right(driver, _LIMITS)
        assert len(driver.dead_letters()) == self.bad
        assert {key for key, _ in fired(driver)} == set(self.armed)


TestRandomHistories = History.TestCase
TestRandomHistories.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
