"""The checker of the integration tests finds what it is there to find, on a small made-up world without a fault."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from schemas import records as r
from schemas.vocabulary import AckStatus, CaseEventKind, NoticeKind, Operation, Outcome, TargetKind
from tests.integration.checker import ALLOWANCES, CHECKPOINT, Arrived, Sent, View, faults
from tests.unit import builders

Kind = CaseEventKind
USER = r.UserId("u-1")
BAD = ("appeal.events", 0, 5)
DUE, NO_DUE = struct.pack(">q", 1_000), struct.pack(">q", -1)


def line(seq: int, kind: CaseEventKind, **more: Any) -> r.CaseEvent:
    base = {"event_id": f"line-{seq}", "user_id": USER, "seq": seq, "occurred_at": 1, "kind": kind}
    return r.CaseEvent(**(base | {"cause_id": f"ev-{seq}", "rulebook_digest": "d"} | more))


def of_case(seq: int, kind: CaseEventKind, case: r.Case, **more: Any) -> r.CaseEvent:
    told = {"case_version": case.version, "state": case.state, "pod": case.pod, "band": case.band, "score": case.score}
    return line(seq, kind, case_id=case.case_id, **(told | {"appeal_id": "a-1"} | more))


def notice(name: str, kind: NoticeKind, appeal_id: str) -> r.AppellantNotice:
    return r.AppellantNotice(
        notice_id=name, user_id=USER, kind=kind, occurred_at=1, language="en", template="t", appeal_id=appeal_id
    )


def order(attempt: int = 1, key: str = "d-1", **directive: Any) -> r.ReversalOrdered:
    target = r.Target(kind=TargetKind.ACCOUNT, id="u-1")
    base: dict[str, Any] = {"directive_id": "d-1", "system": "s", "operation": Operation.RESTORE, "target": target}
    base |= {"effect_id": "e", "idempotency_key": key, "revision": attempt}
    return r.ReversalOrdered(
        reversal_id="rev-1",
        user_id=USER,
        case_id="c-1",
        enforcement_id="e-1",
        enforcement_version=1,
        ordered_at=1,
        attempt=attempt,
        outcome=Outcome.OVERTURNED,
        strikes_expunged=0,
        directives=[r.Directive(**(base | directive))],
    )


def stall(reversal_id: str) -> r.ReversalStalled:
    about = {"reversal_id": reversal_id, "user_id": USER, "case_id": "c-1", "enforcement_id": "e-1"}
    return r.ReversalStalled(**about, reason="deadline", stalled_at=1, attempt=1, directives=[])


def confirmation() -> r.ReversalConfirmed:
    return r.ReversalConfirmed(
        reversal_id="rev-1",
        user_id=USER,
        case_id="c-1",
        enforcement_id="e-1",
        confirmed_at=1,
        directive_ids=["d-1"],
    )


OF_REVERSAL = {"reversal_id": "rev-1", "directive_id": "d-1"}
SHOWN = msgspec.structs.replace(
    builders.after(builders.an_enforcement(), builders.an_appeal()).published()[0], case_id="c-3"
)
INTERNAL = msgspec.structs.replace(SHOWN, case_id="c-9")
CLOSED = msgspec.structs.replace(SHOWN, case_id="c-1")


def a_world() -> tuple[Sent, Arrived]:
    """Appeal a-1 became a case that was overturned and undone, a-2 waits, a-3 is an open case; one record was bad."""
    review = frozenset({Kind.CASE_CLAIMED, Kind.REVIEW_REJECTED})
    acked = frozenset({Kind.DIRECTIVE_APPLIED, Kind.DIRECTIVE_FAILED})
    sent = Sent(
        appeals=frozenset({"a-1", "a-2", "a-3"}),
        answered={"ev-2": review, "ev-5": acked},
        bad={BAD: (b"key", b"value")},
        ends={("appeal.events", 0): 6},
    )
    arrived = Arrived(
        lines=[
            of_case(1, Kind.CASE_OPENED, CLOSED),
            of_case(2, Kind.CASE_CLAIMED, CLOSED),
            of_case(3, Kind.CASE_DECIDED, CLOSED, outcome=Outcome.OVERTURNED),
            line(4, Kind.REVERSAL_ORDERED, case_id="c-1", appeal_id="a-1", saw={"attempt": "1"}),
            line(5, Kind.DIRECTIVE_APPLIED, case_id="c-1", reason=AckStatus.APPLIED, saw=OF_REVERSAL),
            line(6, Kind.REVERSAL_CONFIRMED, case_id="c-1", appeal_id="a-1", saw=OF_REVERSAL),
            of_case(7, Kind.CASE_OPENED, SHOWN, appeal_id="a-3"),
            line(8, Kind.APPEAL_PARKED, appeal_id="a-2"),
        ],
        notices=[
            notice("n-1", NoticeKind.ACKNOWLEDGED, "a-1"),
            notice("n-3", NoticeKind.DECIDED, "a-1"),
            notice("n-6", NoticeKind.REVERSAL_CONFIRMED, "a-1"),
            notice("n-7", NoticeKind.ACKNOWLEDGED, "a-3"),
            notice("n-8", NoticeKind.ACKNOWLEDGED, "a-2"),
        ],
        orders=[order()],
        confirmations=[confirmation()],
        pods={(f"cases.{SHOWN.pod}", "c-3"): SHOWN, (f"cases.{SHOWN.pod}", "c-1"): None},
        letters=[(BAD, b"key", b"value")],
        views={0: a_view()},
        committed={("appeal.events", 0): 6},
    )
    return sent, arrived


def a_view() -> View:
    newest = {b"u-1": DUE + b"one", b"u-2": NO_DUE + b"two", ALLOWANCES: NO_DUE + b"{}"}
    return View(
        newest=newest,
        next_offset=9,
        end=11,
        hash=newest | {CHECKPOINT: b"9"},
        timers={b"u-1": 1_000.0, CHECKPOINT: -10.0},
    )


def kinds(sent: Sent, arrived: Arrived) -> set[str]:
    return {fault.kind for fault in faults(sent, arrived)}


def test_a_world_without_a_fault_has_none():
    assert faults(*a_world()) == []


def test_an_empty_world_has_none_and_nothing_arrived_of_what_was_sent_has_many():
    sent, _ = a_world()

    assert faults(Sent(), Arrived()) == []
    assert kinds(sent, Arrived()) == {"offsets", "appeal_lost", "answer_lost", "letter_lost"}


def rewritten(position: int, **change: Any) -> Callable[[Arrived], None]:
    def change_line(arrived: Arrived) -> None:
        arrived.lines[position] = msgspec.structs.replace(arrived.lines[position], **change)

    return change_line


def again(position: int, seq: int = 9) -> Callable[[Arrived], None]:
    """A line that is there twice, under an id and a number of its own."""
    return lambda a: a.lines.append(msgspec.structs.replace(a.lines[position], seq=seq, event_id="line-again"))


BREAKS: dict[str, tuple[Callable[[Arrived], object], set[str]]] = {
    # appeals
    "the last line missing": (lambda a: a.lines.pop(), {"appeal_lost", "notice_unfounded"}),
    "a case opened twice": (again(6), {"appeal_doubled", "case_opened_twice", "notice_lost"}),
    "a refusal beside a case": (
        lambda a: a.lines.append(line(9, Kind.APPEAL_REFUSED, appeal_id="a-3")),
        {"appeal_doubled", "notice_lost"},
    ),
    "an appeal parked twice": (again(7), {"appeal_doubled", "notice_lost"}),
    "an appeal that nobody sent": (
        rewritten(7, appeal_id="a-9"),
        {"appeal_lost", "appeal_never_sent", "notice_lost", "notice_unfounded"},
    ),
    "an appeal parked after its end": (
        lambda a: a.lines.append(line(9, Kind.APPEAL_PARKED, appeal_id="a-3")),
        {"appeal_parked_after_its_end", "notice_lost"},
    ),
    # the audit
    "a gap in seq": (rewritten(7, seq=9), {"seq_gap"}),
    "a seq given twice": (rewritten(7, seq=7), {"seq_doubled"}),
    "lines out of order": (lambda a: a.lines.insert(3, a.lines.pop(4)), {"seq_gap", "seq_doubled"}),
    "a line twice": (lambda a: a.lines.insert(4, a.lines[3]), {"seq_doubled", "line_doubled"}),
    "a claim without an answer": (rewritten(1, kind=Kind.STATEMENT_ADDED), {"answer_lost"}),
    "a claim answered twice": (again(1), {"answer_doubled"}),
    "an answer to nothing": (
        lambda a: a.lines.append(line(9, Kind.CLAIM_RENEWED, cause_id="ev-9")),
        {"answer_to_nothing"},
    ),
    # cases
    "a case decided twice": (again(2), {"case_decided_twice", "reversal_lost", "notice_lost"}),
    "a case that was never opened": (
        rewritten(6, kind=Kind.STATEMENT_ADDED),
        {"case_never_opened", "appeal_lost", "notice_unfounded"},
    ),
    "an open case on no pod": (lambda a: a.pods.pop((f"cases.{SHOWN.pod}", "c-3")), {"open_case_on_no_pod"}),
    "an open case taken off its pod": (
        lambda a: a.pods.update({(f"cases.{SHOWN.pod}", "c-3"): None}),
        {"open_case_on_no_pod"},
    ),
    "an open case on two pods": (
        lambda a: a.pods.update({("cases.legal", "c-3"): msgspec.structs.replace(SHOWN, pod="legal")}),
        {"case_on_two_pods"},
    ),
    "a case on another pod than it says": (
        lambda a: a.pods.update({("cases.legal", "c-3"): a.pods.pop((f"cases.{SHOWN.pod}", "c-3"))}),
        {"case_misplaced"},
    ),
    "a closed case on its pod": (
        lambda a: a.pods.update({(f"cases.{SHOWN.pod}", "c-1"): CLOSED}),
        {"closed_case_on_pod"},
    ),
    "an open case in an old version": (rewritten(6, case_version=2), {"case_stale"}),
    # notices
    "a notice missing": (lambda a: a.notices.pop(), {"notice_lost"}),
    "a notice twice": (lambda a: a.notices.append(a.notices[0]), {"notice_doubled", "notice_unfounded"}),
    # reversals
    "no order for an overturned case": (lambda a: a.orders.clear(), {"reversal_lost", "confirmation"}),
    "an order for a case that was upheld": (rewritten(2, outcome=Outcome.UPHELD), {"reversal_unfounded"}),
    "an order twice": (lambda a: a.orders.append(order()), {"order_attempts", "revision"}),
    "an order under another key": (lambda a: a.orders.append(order(2, "d-2")), {"order_changed"}),
    "an order with an older revision": (lambda a: a.orders.append(order(2, revision=1)), {"revision"}),
    "a directive that takes nobody's place": (
        lambda a: a.orders.append(order(2, "d-2", directive_id="d-2")),
        {"directive_from_nowhere", "confirmation"},
    ),
    "a superseded directive without the other one": (
        lambda a: a.lines.append(line(9, Kind.DIRECTIVE_SUPERSEDED, saw=OF_REVERSAL | {"by": "d-2"})),
        {"successor_lost", "confirmation"},
    ),
    "a consequence that nobody orders": (
        lambda a: a.lines.append(line(9, Kind.CONSEQUENCE_JUDGED, saw={"reversal_id": "rev-2"})),
        {"reversal_lost"},
    ),
    "a version undone twice": (
        lambda a: (
            a.lines.append(line(9, Kind.CONSEQUENCE_JUDGED, saw={"reversal_id": "rev-2"})),
            a.orders.append(msgspec.structs.replace(order(revision=2), reversal_id="rev-2", case_id="rev-2")),
            a.confirmations.append(msgspec.structs.replace(confirmation(), reversal_id="rev-2")),
        ),
        {"version_undone_twice"},
    ),
    "a directive that is applied twice": (again(4), {"directive_applied_twice", "answer_doubled"}),
    # stalls, immunities, remands
    "a stall that nobody is told of": (
        lambda a: a.lines.insert(4, line(5, Kind.REVERSAL_STALLED, reason="deadline", saw=OF_REVERSAL)),
        {"stall_records", "seq_doubled", "line_doubled"},
    ),
    "a stalled reversal that is not shown": (
        lambda a: (
            a.lines.append(line(9, Kind.REVERSAL_STALLED, reason="deadline", saw={"reversal_id": "rev-9"})),
            a.stalls.append(stall("rev-9")),
        ),
        {"stall_not_shown"},
    ),
    "a confirmed reversal that is shown as stalled": (
        lambda a: a.stalled.update({"rev-1": stall("rev-1")}),
        {"stall_unfounded"},
    ),
    "an immunity without its record": (
        lambda a: a.lines.append(line(9, Kind.IMMUNITY_GRANTED, saw=OF_REVERSAL)),
        {"immunity_records"},
    ),
    "a remand without its record": (
        lambda a: a.lines.append(line(9, Kind.ENFORCEMENT_REMANDED, case_id="c-1")),
        {"remand_records"},
    ),
    "a remand answered that was none": (
        lambda a: a.lines.append(line(9, Kind.REMAND_ANSWERED, case_id="c-1")),
        {"remand_ended_twice"},
    ),
    "a case without an appeal of which nobody is told": (
        lambda a: a.lines.append(of_case(9, Kind.INTERNAL_CASE_OPENED, INTERNAL, appeal_id="internal")),
        {"open_case_on_no_pod", "notice_lost"},
    ),
    "no confirmation though all is applied": (lambda a: a.confirmations.clear(), {"confirmation"}),
    "confirmed twice": (lambda a: a.confirmations.append(confirmation()), {"confirmation"}),
    "confirmed before all is applied": (
        rewritten(4, kind=Kind.DIRECTIVE_FAILED, reason=AckStatus.FAILED_RETRYABLE),
        {"confirmation"},
    ),
    # dead letters
    "a dead letter missing": (lambda a: a.letters.clear(), {"letter_lost"}),
    "a dead letter twice": (lambda a: a.letters.append(a.letters[0]), {"letter_doubled"}),
    "a dead letter of a good record": (
        lambda a: a.letters.append((("appeal.events", 0, 4), b"", b"")),
        {"letter_unfounded"},
    ),
    "a dead letter with other bytes": (
        lambda a: a.letters.__setitem__(0, (BAD, b"key", b"other")),
        {"letter_changed"},
    ),
    # offsets
    "offsets short of the end": (lambda a: a.committed.update({("appeal.events", 0): 5}), {"offsets"}),
    "no offsets": (lambda a: a.committed.clear(), {"offsets"}),
    # Redis
    "a dossier missing in Redis": (lambda a: a.views[0].hash.pop(b"u-2"), {"redis_missing"}),
    "a dossier too many in Redis": (lambda a: a.views[0].hash.update({b"u-9": b"x"}), {"redis_too_many"}),
    "a dossier different in Redis": (lambda a: a.views[0].hash.update({b"u-2": b"x"}), {"redis_differs"}),
    "allowances missing in Redis": (lambda a: a.views[0].hash.pop(ALLOWANCES), {"redis_missing"}),
    "allowances different in Redis": (lambda a: a.views[0].hash.update({ALLOWANCES: b"x"}), {"redis_differs"}),
    "an empty Redis": (
        lambda a: (a.views[0].hash.clear(), a.views[0].timers.clear()),
        {"checkpoint", "redis_missing", "timer"},
    ),
    "a timer missing": (lambda a: a.views[0].timers.pop(b"u-1"), {"timer"}),
    "a timer too many": (lambda a: a.views[0].timers.update({b"u-2": 5.0}), {"timer"}),
    "a timer at another time": (lambda a: a.views[0].timers.update({b"u-1": 5.0}), {"timer"}),
    "timers of another checkpoint": (lambda a: a.views[0].timers.update({CHECKPOINT: -9.0}), {"timer"}),
    "a checkpoint behind": (lambda a: a.views[0].hash.update({CHECKPOINT: b"8"}), {"checkpoint", "timer"}),
    "a checkpoint ahead": (lambda a: a.views[0].hash.update({CHECKPOINT: b"12"}), {"checkpoint", "timer"}),
}


@pytest.mark.parametrize("what", BREAKS)
def test_the_checker_finds(what):
    sent, arrived = a_world()
    change, expected = BREAKS[what]

    change(arrived)

    assert kinds(sent, arrived) == expected


def test_what_was_sent_is_read_from_the_records_and_a_bad_one_is_remembered_by_its_place():
    appeal, claim = builders.an_appeal(), builders.a_claim(builders.T0)

    sent = Sent.of(
        [
            (("appeal.events", 0, 3), b"u-1", b"...", appeal),
            (("appeal.events", 0, 4), b"u-1", b"junk", None),
            (("review.events", 0, 0), b"u-1", b"...", claim),
            (("enforcement.events", 1, 7), b"u-1", b"...", builders.an_enforcement()),
        ]
    )

    assert sent.appeals == {"a-1"}
    assert sent.bad == {("appeal.events", 0, 4): (b"u-1", b"junk")}
    assert sent.answered.keys() == {claim.event_id}
    assert sent.ends == {("appeal.events", 0): 5, ("review.events", 0): 1, ("enforcement.events", 1): 8}
