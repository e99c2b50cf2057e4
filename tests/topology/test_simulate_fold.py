"""The offline fold is the engine's: the same inputs give the same records, in the same order, to the byte."""

import random
from collections import Counter, defaultdict

import msgspec
import pytest
from confluent_kafka import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.fold import new_dossier
from schemas.codec import Codec
from schemas.records import EnforcementId, Millis, UserId, event_time
from schemas.vocabulary import AckStatus, Action, AppealFlag, EffectKind, Outcome
from tests.driver import START_MS, Driver
from tests.takedowns import EVENTS, needs_takedowns
from tests.topology.ledger import INPUTS as PAID
from tests.topology.ledger import OUT, add, ledger
from tests.unit import builders as b
from tests.unit.builders import DAY, HOUR, MINUTE, RULEBOOK, T0, Life
from topology.appeals import appeals_app
from topology.engine import deadletter
from topology.engine.definition import ClockKind
from topology.replay.mapping_file import load_mapping
from topology.replay.plan import Plan
from topology.simulate.fold import OfflineFold
from topology.simulate.from_topics import input_of
from topology.simulate.recorded import Recorded, from_made
from topology.topics import load_register

PARTITIONS = 2
REGISTER = load_register(partitions=PARTITIONS)
CODEC = Codec()
TOPIC_OF = {kind: topic.name for topic in REGISTER.inputs for kind in topic.allowed}
USERS = [UserId(f"u-{n}") for n in range(4)]


def the_app():
    return appeals_app(name="recourse", register=REGISTER, codec=CODEC, rulebook=RULEBOOK)


# --- what happens: users' lives, and what goes wrong on the way ---------------------------------------------------


def an_event(step, life, user, at):
    """What the step says, about this user; None if there is nothing to do it to."""
    make = {"review": a_review, "ack": an_answer}.get(step["what"])
    event = something_new(step, user, at) if make is None else make(step, life, at)
    return None if event is None else msgspec.structs.replace(event, user_id=user)


def something_new(step, user, at):
    n, what = step["n"], step["what"]
    enforcement_id, appeal_id = EnforcementId(f"{user}-e-{step['e']}"), f"{user}-a-{step['a']}"
    if what == "fee":
        taken = b.euros("-1" if n == 3 else f"{n}.5")  # a negative amount is no input that can be judged
        effects = [b.an_effect(EffectKind.MONEY_TAKEN, amount=taken)]
        return b.an_enforcement(
            at=at, action=Action.FEE, amount=taken, effects=effects, strikes=n, enforcement_id=enforcement_id
        )
    if what == "appeal":
        flags = [AppealFlag.LEGAL_ORDER] if n == 3 else []
        return b.an_appeal(
            at=at - n * HOUR, appeal_id=appeal_id, appellant_id=user, flags=flags, enforcement_id=enforcement_id
        )
    ends = {"ends_at": Millis(at + n * DAY)} if n else {}
    action = Action.BAN if n == 1 else Action.SUSPENSION
    makers = {
        "issue": lambda: b.an_enforcement(at=at, enforcement_id=enforcement_id, **ends),
        "amend": lambda: b.an_amendment(at=at, version=n + 2, action=action, enforcement_id=enforcement_id),
        "lift": lambda: b.a_lift(at=at, enforcement_id=enforcement_id),
        "profile": lambda: b.a_profile(at=at, reach=10**n),
        "withdraw": lambda: b.a_withdrawal(at=at, appeal_id=appeal_id),
    }
    return makers[what]()


def a_review(step, life, at):
    """What a reviewer would do next; now and then about an old version, or with an outcome that is not supported."""
    cases = list(life.dossier.cases.values())
    if not cases:
        return None
    case = cases[step["a"] % len(cases)]
    version = case.version - (step["n"] == 0 and step["e"] == 1)
    if case.lease is None:
        return b.a_claim(at, version=version, appeal_id=case.appeal_id)
    outcome = [Outcome.UPHELD, Outcome.OVERTURNED, Outcome.OVERTURNED, Outcome.MODIFIED][step["n"]]
    return b.a_decision(at, outcome, actor=case.lease.reviewer, version=version, appeal_id=case.appeal_id)


def an_answer(step, life, at):
    orders = [order for order in life.orders() if order.directives]
    statuses = [AckStatus.APPLIED, AckStatus.FAILED_RETRYABLE, AckStatus.APPLIED, AckStatus.FAILED_PERMANENT]
    return b.an_ack(orders[-1], 0, statuses[step["n"]], occurred_at=Millis(at)) if orders else None


_KINDS = [
    "issue",
    "issue",
    "fee",
    "amend",
    "lift",
    "profile",
    "appeal",
    "appeal",
    "withdraw",
    "review",
    "review",
    "ack",
]
_WRONG = [None] * 40 + ["bytes", "key", "no key", "odd key", "time", "future", "no value"]
_step = st.fixed_dictionaries(
    {
        "what": st.sampled_from(_KINDS),
        "user": st.sampled_from(USERS),
        "e": st.integers(1, 2),
        "a": st.integers(1, 3),
        "n": st.integers(0, 3),
        "wait": st.sampled_from([0, 1, MINUTE, MINUTE, MINUTE, 20 * MINUTE, HOUR, DAY, 8 * DAY]),
        "late": st.sampled_from([0, 0, 0, 1, HOUR, 3 * DAY]),
        "wrong": st.sampled_from(_WRONG),
    }
)


def send(driver, steps):
    """Let it all happen; each record's timestamp may be later than its event, out of the topic's order too."""
    lives = {user: Life(dossier=new_dossier(user)) for user in USERS}
    at = T0
    for step in steps:
        at += step["wait"]
        user = step["user"]
        event = an_event(step, lives[user], user, at)
        if event is None:
            continue
        try:
            lives[user].send(event, at=at)
        except Exception:  # noqa: BLE001 - this one is to become a dead letter in both folds
            lives[user] = Life(dossier=new_dossier(user))
        if step["wrong"] == "future":
            event = msgspec.structs.replace(event, **{_time_field(event): Millis(event_time(event) + 30 * DAY)})
        topic = TOPIC_OF[type(event)]
        key = {"key": "somebody", "no key": None, "odd key": b"\xff"}.get(step["wrong"], user)
        value = {"bytes": b"\x00junk", "no value": None}.get(step["wrong"], CODEC.encode(event, topic))
        stamp = 1_000 if step["wrong"] == "time" else at + step["late"]
        driver.send(topic, key, value, at=stamp)


def _time_field(event):
    return next(name for name in ("occurred_at", "issued_at", "submitted_at") if hasattr(event, name))


# --- both folds --------------------------------------------------------------------------------------------------


def recorded_by(driver):
    """What lies in the driver's input topics, as `recourse simulate` reads it."""
    recorded = Recorded("driver")
    app = driver.app
    for topic, name in enumerate(app.inputs):
        for r in driver.read(name):
            message = Message(
                topic=name, partition=r.partition, offset=r.offset, key=r.key, value=r.value, timestamp=(1, r.timestamp)
            )
            recorded.add(r.partition, len(app.inputs), input_of(app, topic, message))
    return recorded


def keyed_by_itself(topic):
    """Whether the records of a topic are keyed by what they are about, not by its user."""
    return topic.startswith("cases.") or topic == "reversals.stalled"


def folded(recorded, app=None):
    """Records by topic and partition (or key) as the engine writes them, and dead letters by reason."""
    app, out = app or the_app(), defaultdict(list)

    def sink(partition, _key, emitted, now):
        for topic, name, record in emitted:
            where = name.encode() if keyed_by_itself(topic) else partition
            out[topic, where].append((name.encode(), app.encode(topic, record)[1], now))

    fold = OfflineFold(app, sink)
    for partition, lanes in recorded.lanes.items():
        fold.run(partition, lanes)
    return dict(out), dict(fold.dead_letters)


def engine(driver, outputs=tuple(topic.name for topic in REGISTER.topics if topic.role == "output")):
    """The same of what the real engine wrote."""
    out = defaultdict(list)
    for topic in outputs:
        for r in driver.read(topic):
            where = r.key if keyed_by_itself(topic) else r.partition
            out[topic, where].append((r.key, r.value, r.timestamp))
    reasons = Counter(dict(r.headers)[deadletter.REASON].decode() for r in driver.dead_letters())
    return dict(out), dict(reasons)


def a_driver(**options):
    return Driver(the_app(), partitions=PARTITIONS, clock=ClockKind.STREAM, dead_letters_in_a_row=10_000, **options)


@given(steps=st.lists(_step, min_size=5, max_size=90), batch_records=st.sampled_from([1, 3, 100]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_history_gives_the_records_of_the_real_engine_byte_for_byte(steps, batch_records):
    driver = a_driver(batch_records=batch_records)
    send(driver, steps)
    driver.run()
    assert folded(recorded_by(driver)) == engine(driver)


def test_a_long_history_with_every_kind_of_fault_gives_the_records_of_the_real_engine():
    """One fixed history that is known to reach everything: timers, dead letters of each reason, reversals."""
    chance = random.Random(5)
    steps = [
        {
            "what": chance.choice(_KINDS),
            "user": chance.choice(USERS),
            "e": chance.randint(1, 30),
            "a": chance.randint(1, 60),
            "n": chance.randint(0, 3),
            "wait": chance.choice([0, 1, MINUTE, MINUTE, MINUTE, HOUR] * 8 + [9 * DAY]),
            "late": chance.choice([0] * 9 + [HOUR]),
            "wrong": chance.choice(_WRONG),
        }
        for _ in range(3_000)
    ]
    driver = a_driver()
    send(driver, steps)
    driver.run()
    found = folded(recorded_by(driver))
    assert found == engine(driver)
    out, reasons = found
    assert reasons.keys() >= {"null_key", "undecodable_key", "key_mismatch", "null_value", "impossible_input"}
    assert reasons.keys() >= {"implausible_time"}
    allowed = REGISTER.by_name["case.events"].allowed
    lines = [value for (topic, _), rows in out.items() if topic == "case.events" for _, value, _ in rows]
    kinds = {CODEC.decode(value, allowed).kind for value in lines}
    assert {"CaseOpened", "CaseDecided", "ClaimExpired", "DeadlineMissed", "ReversalOrdered", "AppealParked"} <= kinds


_booking = st.fixed_dictionaries(
    {
        "topic": st.integers(0, 1),
        "key": st.sampled_from(["ann", "ann", "bob", "cat", b"\0x"]),
        "at": st.integers(1, 60),
        "wait": st.none() | st.integers(1, 20),
        "fault": st.sampled_from([None] * 6 + ["before", "after", "after", "poison", "fuse"]),
    }
)


@given(bookings=st.lists(_booking, max_size=40), batch_records=st.sampled_from([1, 3, 100]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_events_and_timers_that_raise_half_way_leave_what_they_leave_in_the_engine(bookings, batch_records):
    driver = Driver(
        ledger(), partitions=1, clock=ClockKind.STREAM, dead_letters_in_a_row=1_000, batch_records=batch_records
    )
    for n, booking in enumerate(bookings):
        more = {name: booking[name] for name in ("wait", "fault") if booking[name] is not None}
        driver.send(PAID[booking["topic"]], booking["key"], add(n, id=n + 1, **more), at=START_MS + booking["at"])
    driver.run()
    assert folded(recorded_by(driver), driver.app) == engine(driver, [OUT])


@needs_takedowns
def test_a_slice_of_the_takedowns_gives_the_records_of_the_real_engine():
    """Every record of the users who appeal, and a thousand others, from the file without bytes in between."""
    made = list(Plan(EVENTS, load_mapping("dmca")).made())
    appellants = {m.record.user_id for m in made if type(m.record).__name__ == "AppealSubmitted"}
    others = [m for m in made if m.record.user_id not in appellants][::60]
    few = {id(m) for m in others}
    some = [m for m in made if m.record.user_id in appellants or id(m) in few]
    assert len(some) > 1_500
    driver = a_driver()
    for timestamp, record in some:
        topic = TOPIC_OF[type(record)]
        driver.send(topic, record.user_id, CODEC.encode(record, topic), at=timestamp)
    driver.run()
    out, reasons = folded(from_made(some, REGISTER, "slice"))
    assert (out, reasons) == engine(driver)
    assert sum(len(rows) for (topic, _), rows in out.items() if topic == "case.events") > 500


@pytest.mark.parametrize("timestamp", [0, 1_000, 7_258_118_400_000])
def test_a_row_with_an_implausible_time_is_a_dead_letter_that_moves_no_clock(timestamp):
    event = b.an_enforcement()
    later = b.an_enforcement(at=T0 + 1)
    recorded = from_made([(T0, event), (timestamp, event), (T0 + 1, later)], REGISTER, "rows")
    fold = OfflineFold(the_app(), lambda *_: None)
    [clock] = [fold.run(partition, lanes) for partition, lanes in recorded.lanes.items()]
    assert clock == T0 + 1
    assert fold.dead_letters == {"implausible_time": 1}
