"""Whatever happens to a user, in whatever order: outcomes stay even, exact and repeatable."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import ids
from processors.fold import decode_dossier, encode_dossier, handle
from schemas.records import (
    AppealSubmitted,
    DirectiveAcked,
    EnforcementId,
    InputRecord,
    Lesser,
    Millis,
    Target,
    TimerFired,
    UserId,
    event_time,
)
from schemas.vocabulary import AckStatus, Action, AppealFlag, CaseEventKind, EffectKind, Ground, Outcome, TargetKind
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    USER,
    Life,
    a_claim,
    a_decision,
    a_lift,
    a_profile,
    a_release,
    a_resolution,
    a_retry,
    a_withdrawal,
    all_but_the_audit,
    an_ack,
    an_amendment,
    an_appeal,
    an_effect,
    an_enforcement,
    case_of,
    euros,
)
from tests.unit.checkers import check_all, ends_of

REJECTIONS = {CaseEventKind.REVIEW_REJECTED, CaseEventKind.ACK_IGNORED}


class Step(NamedTuple):
    """One thing that happens; the numbers are read by its maker."""

    what: str
    e: int
    a: int
    r: int
    n: int
    wait: int
    twice: bool


Made = InputRecord | TimerFired | None


def _issue(s: Step, _life: Life, at: int) -> Made:
    cause = EnforcementId(f"e-{1 + s.a % 3}") if s.a % 2 else None  # it may come later, or rest on this one in turn
    return an_enforcement(at=at, enforcement_id=EnforcementId(f"e-{s.e}"), caused_by=cause, **_CONTENTS[s.n])


def _amend(s: Step, life: Life, at: int) -> Made:
    key = EnforcementId(f"e-{s.e}")
    known = life.dossier.enforcements.get(key)
    version = max(2, (known.version if known else 1) + s.n - 1)
    return an_amendment(at=at, enforcement_id=key, **_CONTENTS[s.n], version=version)


def _lift(s: Step, _life: Life, at: int) -> Made:
    return a_lift(at=at, enforcement_id=f"e-{s.e}", strikes_expunged=s.n > 1)


def _appeal(s: Step, _life: Life, at: int) -> Made:
    odd = s.n == 3 and s.a < 4
    return an_appeal(
        at=at - s.n * MINUTE,
        appeal_id=f"a-{s.a}",
        enforcement_id=EnforcementId("a-1" if s.a == 12 else f"e-{s.e}"),
        appellant_id=UserId("x") if odd else USER,
        enforcement_version=2 if s.n == 2 and s.a > 8 else None,
        flags=[AppealFlag.LEGAL_ORDER] if s.r == 2 else [],
    )


def _review(s: Step, life: Life, at: int) -> Made:
    """What a reviewer would do next about some open case; a few of them are mistaken about something."""
    cases = list(life.dossier.cases.values())
    if not cases:
        return a_claim(at, version=s.n, appeal_id=f"a-{s.a}")
    case = cases[s.a % len(cases)]
    free = next(actor for actor in ("r-1", "r-2", "r-3", "r-4") if actor not in case.excluded or actor == "r-4")
    actor = free if case.lease is None else case.lease.reviewer
    about = {"actor": "r-9" if s.e == 3 and s.n == 0 else actor, "appeal_id": case.appeal_id}
    version = case.version - (s.e == 2 and s.n == 0)
    if case.lease is None or (s.n == 3 and s.e == 1):
        return a_claim(at, version=version, **about)
    if s.n == 3 and s.e == 2:
        return a_release(at, version=version, **about)
    if s.n == 0 and s.r == 2:
        return a_decision(at, Outcome.REMANDED, version=version, guidance_ref="s3://guidance/1", **about)
    outcome = [Outcome.UPHELD, Outcome.OVERTURNED, Outcome.OVERTURNED, Outcome.MODIFIED][s.n]
    lesser = Lesser(action=Action.WARNING) if outcome is Outcome.MODIFIED and s.r == 1 else None
    return a_decision(at, outcome, version=version, lesser=lesser, **about)


def _ack(s: Step, life: Life, at: int) -> Made:
    orders = [order for order in life.orders() if order.directives]
    status = [AckStatus.APPLIED, AckStatus.FAILED_RETRYABLE, AckStatus.FAILED_PERMANENT, AckStatus.APPLIED][s.n]
    if not orders:
        return None
    order = orders[-s.a % len(orders)]
    if s.e == 3 and s.r == 2:
        make = a_retry if s.n % 2 else a_resolution
        return make(order, at)
    return an_ack(order, s.a % len(order.directives), status, occurred_at=Millis(at))


_MAKERS: dict[str, Callable[[Step, Life, int], Made]] = {
    "issue": _issue,
    "amend": _amend,
    "lift": _lift,
    "profile": lambda s, _life, at: a_profile(at=at - s.n),
    "appeal": _appeal,
    "withdraw": lambda s, _life, at: a_withdrawal(at=at, appeal_id=f"a-{s.a}"),
    "review": _review,
    "ack": _ack,
    "timer": lambda _s, _life, at: TimerFired(USER, Millis(at)),
}

_step = st.builds(
    Step,
    what=st.sampled_from([*_MAKERS, "issue", "appeal", "appeal", "review", "review", "review", "review", "ack"]),
    e=st.integers(1, 3),
    a=st.integers(1, 12),
    r=st.integers(1, 2),
    n=st.integers(0, 3),
    wait=st.sampled_from([0, 1, 1, MINUTE, MINUTE, 20 * MINUTE, HOUR, DAY, 8 * DAY]),
    twice=st.booleans(),
)
_steps = st.lists(_step, min_size=10, max_size=70)


_CONTENTS: list[dict[str, Any]] = [
    {"effects": [], "action": Action.WARNING, "strikes": 1},
    {"ends_at": Millis(T0 + 5 * DAY), "strikes": 2},
    {"effects": [an_effect(EffectKind.MONEY_TAKEN, amount=euros("40"))], "action": Action.FEE, "policy": "fees"},
    {"target": Target(kind=TargetKind.LISTING, id="l-1"), "ground": Ground.DECISION_GROUND_ILLEGAL_CONTENT},
]


@given(steps=_steps)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_outcomes_stay_even_and_every_duplicate_is_harmless(steps: list[Step]) -> None:
    life = Life()
    appeals: set[str] = set()
    at = T0
    for step in steps:
        at += step.wait
        event = _MAKERS[step.what](step, life, at)
        if event is None:
            continue
        life.now = at
        handle(life.dossier, event, life)
        if isinstance(event, AppealSubmitted):
            appeals.add(event.appeal_id)
        if isinstance(event, TimerFired):
            assert life.dossier.due is None or life.dossier.due > at
        if step.twice:
            _assert_again_is_harmless(life, event)
        assert decode_dossier(encode_dossier(life.dossier)) == life.dossier
    check_all(life, appeals)
    life.wait_until(at + 400 * DAY)
    check_all(life, appeals)
    assert not life.dossier.parked


def _assert_again_is_harmless(life: Life, event: InputRecord | TimerFired) -> None:
    """Delivered again: at most the line that it was refused, and nothing else has changed."""
    if life.dossier.due is not None and life.dossier.due <= life.now:
        handle(life.dossier, TimerFired(USER, Millis(life.now)), life)
    before, folded, sent = all_but_the_audit(life.dossier), sum(life.dossier.folded), len(life.out)
    handle(life.dossier, event, life)
    assert {line.kind for line in Life(out=life.out[sent:]).lines()} <= REJECTIONS
    assert all(emission.topic == "case.events" for emission in life.out[sent:])
    assert all_but_the_audit(life.dossier) == before
    assert sum(life.dossier.folded) == folded + (not isinstance(event, TimerFired))


@given(steps=_steps)
@settings(max_examples=100, deadline=None)
def test_same_inputs_give_the_same_bytes_however_often_the_dossier_is_stored(steps: list[Step]) -> None:
    life = Life()
    history: list[tuple[InputRecord | TimerFired, int]] = []
    at = T0
    for step in steps:
        at += step.wait
        event = _MAKERS[step.what](step, life, at)
        if event is not None:
            life.now = at
            handle(life.dossier, event, life)
            history.append((event, at))
    again = Life()
    for event, now in history:
        again.now = now
        again.dossier = decode_dossier(encode_dossier(again.dossier))
        handle(again.dossier, event, again)
    assert encode_dossier(again.dossier) == encode_dossier(life.dossier)
    encode = msgspec.msgpack.encode
    assert [(e.topic, e.key, encode(e.record)) for e in again.out] == [
        (e.topic, e.key, encode(e.record)) for e in life.out
    ]


# --- order between topics ----------------------------------------------------------------------------------

_SECOND = {"duplicate", "appeal_to_appeal", "already_reversed"}
"""Refusals of a further appeal: which one it is depends on what became of the first."""

_plan = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["plain", "amended", "reviewed", "withdrawn", "lifted", "ending", "missing", "early"]),
        "strikes": st.integers(0, 1),
        "appeals": st.integers(1, 3),
        "odd": st.sampled_from([None, "stranger", "silent"]),
        "outcome": st.sampled_from([Outcome.UPHELD, Outcome.OVERTURNED]),
        "spread": st.integers(0, 200),
    }
)


def _topics(plans: list[dict[str, Any]]) -> tuple[list[list[InputRecord]], dict[str, str]]:
    """Four topics, each in the order of its events' times, and the kind of history that each appeal belongs to."""
    enforcement: list[tuple[int, InputRecord]] = [(T0, a_profile(at=T0))]
    appeals: list[tuple[int, InputRecord]] = []
    reviews: list[tuple[int, InputRecord]] = []
    acks: list[tuple[int, InputRecord]] = []
    kinds: dict[str, str] = {}
    for number, plan in enumerate(plans):
        kind, at = plan["kind"], T0 + plan["spread"] * 1_000
        key = EnforcementId(f"e-{number}")
        ends_at = Millis(at + 20_000) if kind == "ending" else None
        content = {"enforcement_id": key, "strikes": plan["strikes"], "ends_at": ends_at}
        if kind != "missing":
            enforcement.append((at, an_enforcement(at=at, **content)))
        if kind == "amended":
            change = {"ground": Ground.DECISION_GROUND_ILLEGAL_CONTENT}
            enforcement.append((at + 9_000, an_amendment(at=at + 9_000, **content, **change)))
        if kind == "lifted":
            enforcement.append((at + 20_000, a_lift(at=at + 20_000, enforcement_id=key)))
        count = 1 if kind in ("withdrawn", "early") else plan["appeals"]
        for position in range(count):
            appeal_id = f"a-{number}-{position}"
            kinds[appeal_id] = kind
            sent = at + (position + 1) * 8_000
            odd = plan["odd"] if position == 0 else None
            said: dict[str, Any] = {"appellant_id": UserId("x")} if odd == "stranger" else {}
            if odd == "silent":
                said = {"statement_ref": None, "grounds": []}
            if kind == "amended" and count == 1:
                said["enforcement_version"] = 2
            appeals.append((sent, an_appeal(at=sent, appeal_id=appeal_id, enforcement_id=key, **said)))
            if kind in ("withdrawn", "early"):
                back = sent + (5_000 if kind == "withdrawn" else -5_000)
                appeals.append((back, a_withdrawal(at=back, appeal_id=appeal_id)))
            if kind == "reviewed":
                reviews.append((sent + 1_000, a_claim(sent + 1_000, appeal_id=appeal_id)))
                reviews.append((sent + 2_000, a_decision(sent + 2_000, plan["outcome"], appeal_id=appeal_id)))
                acks.append((sent + 3_000, _expected_ack(appeal_id, sent + 3_000)))
    topics = (enforcement, appeals, reviews, acks)
    return [[event for _, event in sorted(topic, key=lambda pair: pair[0])] for topic in topics], kinds


def _expected_ack(appeal_id: str, at: int) -> InputRecord:
    reversal_id = ids.reversal_id(case_of(appeal_id))

    return DirectiveAcked(
        event_id=f"ack-{appeal_id}",
        user_id=USER,
        reversal_id=reversal_id,
        directive_id=ids.directive_id(reversal_id, "ef-account_status"),
        system="sys-account_status",
        status=AckStatus.APPLIED,
        occurred_at=Millis(at),
    )


def _outcomes(life: Life, kinds: dict[str, str]) -> dict[str, str]:
    """What became of each appeal, without what the docstring of the fold says may differ."""
    withdrawn = {line.appeal_id for line in life.lines(CaseEventKind.CASE_DECIDED) if line.outcome is Outcome.WITHDRAWN}
    found: dict[str, str] = {}
    for appeal_id, (kind, reason) in ends_of(life.lines()).items():
        if kind is CaseEventKind.APPEAL_WITHDRAWN_UNOPENED or appeal_id in withdrawn:
            found[appeal_id] = "withdrawn"
        elif kind is CaseEventKind.CASE_OPENED:
            found[appeal_id] = "case"
        else:
            found[appeal_id] = "second" if reason in _SECOND else str(reason)
        if kinds[appeal_id] in ("lifted", "ending") and found[appeal_id] in ("case", "second"):
            found[appeal_id] = "judged"
    return found


@given(plans=st.lists(_plan, min_size=1, max_size=4), data=st.data())
@settings(max_examples=250, deadline=None)
def test_order_between_topics_does_not_change_what_becomes_of_an_appeal(
    plans: list[dict[str, Any]], data: st.DataObject
) -> None:
    topics, kinds = _topics(plans)
    by_time = Life()
    for event in sorted((e for topic in topics for e in topic), key=event_time):
        by_time.send(event)
    shuffled = Life()
    queues = [list(topic) for topic in topics]
    while any(queues):
        queue = data.draw(st.sampled_from([q for q in queues if q]))
        shuffled.send(queue.pop(0))
    for life in (by_time, shuffled):
        life.wait_until(T0 + 400 * DAY)
        check_all(life, set(kinds))
    assert _outcomes(shuffled, kinds) == _outcomes(by_time, kinds)
