"""What must hold of users who are erased, from `docs/privacy.md`: line by line, at rest, and at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from schemas.records import (
    AppealSubmitted,
    AppealWithdrawn,
    CaseEvent,
    DirectiveAcked,
    DirectiveResolved,
    EnforcementAmended,
    EnforcementIssued,
    EnforcementLifted,
    LegalHoldPlaced,
    LegalHoldReleased,
    Record,
    ReversalRetried,
    SubjectErasureRequested,
    UserProfileUpdated,
)
from schemas.vocabulary import CaseEventKind, NoticeKind, Outcome
from tests.topology.review_forgetting import Stage
from tests.topology.review_history import History, broken, some
from tests.topology.review_table import ACCEPTED, OF_REVERSALS
from tests.topology.review_texts import may_stay, words_of

Kind = CaseEventKind
_ENDS = (Kind.ERASURE_BEGUN, Kind.SUBJECT_ERASED)
_SAID = (*_ENDS, Kind.ERASURE_HELD, Kind.ERASURE_REPEATED)
_OF_CASES = (Kind.CASE_DECIDED, Kind.APPEAL_WITHDRAWN_UNOPENED)
_FOR_REVERSALS = (
    *(EnforcementIssued, EnforcementAmended, EnforcementLifted),
    *(DirectiveAcked, ReversalRetried, DirectiveResolved),
)
"""What a reversal that runs may need to hear of."""
_WHILE_REVERSALS_RUN = (
    *OF_REVERSALS,
    Kind.CASE_CLOSED,
    Kind.ACK_IGNORED,
    Kind.REVIEW_REJECTED,
)


def an_erasure_goes_as_it_must(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """A hold delays it, a running reversal is carried to its end first, and nothing else keeps it waiting."""
    if line.kind not in _SAID:
        return
    user, record = h.forgetting[line.user_id], _cause(h, line)
    asks = isinstance(record, SubjectErasureRequested)
    first = asks and user.stage is None
    released = isinstance(record, LegalHoldReleased) and user.stage is Stage.HELD
    runs = _running(h, line.user_id)
    so = {
        Kind.ERASURE_HELD: first and bool(user.holds),
        Kind.ERASURE_BEGUN: (first or released) and not user.holds and bool(runs),
        Kind.SUBJECT_ERASED: (first or released or user.stage is Stage.BEGUN) and not user.holds and not runs,
        Kind.ERASURE_REPEATED: asks and user.stage is not None and line.reason == user.stage,
    }
    if not so[line.kind]:
        text = f"{line.kind} {line.reason} by {record}: {user.stage}, holds {some(user.holds)}, running {some(runs)}"
        raise broken(h, line.user_id, text)
    if asks:
        said = line.actor, line.saw.get("why")
        if said != (record.actor, record.reason):  # type: ignore[union-attr]
            raise broken(h, line.user_id, f"{record} is told as {said}")
    elif released and (line.saw.get("requested") not in user.asked or line.actor != record.actor):  # type: ignore[union-attr]
        raise broken(h, line.user_id, f"{line.kind} does not say who asked: {line.saw}")


def what_was_open_ends(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    """With the erasure, and only with it, each open case and each appeal that waits is taken back."""
    user = h.forgetting[line.user_id]
    ending = any(one.kind in _ENDS and one.seq >= line.seq for one in group)
    if line.kind in _OF_CASES and line.reason == "erasure" and not (ending and not user.begun):
        raise broken(h, line.user_id, f"{line.kind} {line.case_id} because of an erasure that does not happen")
    if line.kind not in _ENDS:
        return
    still = [life.case_id for life in h.lives.values() if life.user_id == line.user_id and life.outcome is None]
    if still or user.parked:
        raise broken(h, line.user_id, f"{line.kind} with open cases {some(still)} and appeals {some(user.parked)}")
    ended = Counter(one.kind for one in group if one.kind in _OF_CASES and one.reason == "erasure")
    for name, number in (("cases", ended[Kind.CASE_DECIDED]), ("parked", ended[Kind.APPEAL_WITHDRAWN_UNOPENED])):
        if not user.begun and int(line.saw.get(name, "0")) != number:
            raise broken(h, line.user_id, f"{line.kind} tells {line.saw}, ended have {ended}")
        h.counts[f"erased {name}"] += bool(number)
    h.counts["erased reversals"] += line.kind is Kind.ERASURE_BEGUN
    h.counts["erased at_release"] += isinstance(_cause(h, line), LegalHoldReleased)
    h.counts["erased nothing_else"] += line.reason == "nothing_on_file"


def a_hold_is_told_as_it_is(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    """Placed once, released once, too late after an erasure; with the last one happens what waited for it."""
    user, record = h.forgetting[line.user_id], _cause(h, line)
    if line.kind is Kind.LEGAL_HOLD_PLACED:
        assert isinstance(record, LegalHoldPlaced)
        known = "released_already" if record.hold_id in user.released else None
        wanted = user.stage if user.begun else known
        if line.reason != wanted or record.hold_id in user.holds:
            raise broken(h, line.user_id, f"{record}: {line.reason}, not {wanted}; holds {some(user.holds)}")
    elif line.kind is Kind.LEGAL_HOLD_RELEASED:
        assert isinstance(record, LegalHoldReleased)
        wanted = None if record.hold_id in user.holds else "unknown_hold"
        if line.reason != wanted or record.hold_id in user.released:
            raise broken(h, line.user_id, f"{record}: {line.reason}, not {wanted}; holds {some(user.holds)}")
        last = user.stage is Stage.HELD and user.holds == {record.hold_id}
        ended = [one for one in group if one.kind in _ENDS and one.seq > line.seq]
        if bool(ended) != last:
            raise broken(h, line.user_id, f"{record} is the last hold: {last}; then came {ended}")
    else:
        return
    if (line.saw["hold_id"], line.saw["why"], line.actor) != (record.hold_id, record.reason, record.actor):
        raise broken(h, line.user_id, f"{record} is told as {line.saw}")


def nothing_comes_about_the_erased(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """What comes is ignored or refused by name; while a reversal runs, it is all that goes on."""
    user, record = h.forgetting[line.user_id], _cause(h, line)
    if not user.begun:
        return
    if user.stage is Stage.BEGUN and (record is None or isinstance(record, _FOR_REVERSALS)):
        new = line.kind is Kind.REVERSAL_ORDERED and line.saw["attempt"] == "1"
        if new or line.kind not in (*_WHILE_REVERSALS_RUN, Kind.SUBJECT_ERASED) or line.reason == "subject_erased":
            raise broken(h, line.user_id, f"{line.kind} {line.reason} about a user who is erased, by {record}")
        return
    if record is None or (line.kind, line.reason) != (wanted := _answer(record, user.at, user.stage)):
        raise broken(h, line.user_id, f"{line.kind} {line.reason}, not {wanted}, about an erased user, by {record}")
    when = "while_begun" if user.stage is Stage.BEGUN else "late"
    h.counts[f"{when} {type(record).__name__}"] += 1


def _answer(record: Record, at: int, stage: Stage | None) -> tuple[CaseEventKind, str | None]:
    """What is said of an input about a user who is erased."""
    if isinstance(record, AppealSubmitted) and record.submitted_at > at:
        return Kind.APPEAL_REFUSED, "no_enforcement_on_file"
    kind, reason = _ANSWERS[type(record)]
    return kind, stage if reason is None else reason


_ANSWERS: dict[type[Record], tuple[CaseEventKind, str | None]] = {
    **dict.fromkeys(ACCEPTED, (Kind.REVIEW_REJECTED, "subject_erased")),
    **dict.fromkeys(
        (
            *(EnforcementIssued, EnforcementAmended, EnforcementLifted, UserProfileUpdated),
            *(AppealSubmitted, AppealWithdrawn),
        ),
        (Kind.INPUT_IGNORED, "subject_erased"),
    ),
    DirectiveAcked: (Kind.ACK_IGNORED, "subject_erased"),
    SubjectErasureRequested: (Kind.ERASURE_REPEATED, None),
    LegalHoldPlaced: (Kind.LEGAL_HOLD_PLACED, None),
    LegalHoldReleased: (Kind.LEGAL_HOLD_RELEASED, "unknown_hold"),
}
"""By what comes: the line and its reason; none: how far the erasure is."""


def only_the_erased_are_ignored(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """Nobody else is told that they do not exist."""
    ignored = line.reason == "subject_erased" or line.kind is Kind.INPUT_IGNORED
    if ignored and not h.forgetting[line.user_id].begun:
        raise broken(h, line.user_id, f"{line.kind} {line.reason}, and nobody has erased them")


def a_line_is_about_whom_its_cause_names(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """Nothing that comes about one user does anything to another."""
    record = _cause(h, line)
    if record is not None and record.user_id != line.user_id:  # type: ignore[attr-defined]
        raise broken(h, line.user_id, f"{line.kind} by {record}")


def _cause(h: History, line: CaseEvent) -> Record | None:
    """The input that caused a line; none: a timer."""
    sent = h.sent.get(line.cause_id)
    return None if sent is None else sent.record


def _running(h: History, user: str) -> list[str]:
    return [key for key, one in h.undone.reversals.items() if one.first.user_id == user and not one.confirmed]


ON_EACH_LINE = (
    an_erasure_goes_as_it_must,
    what_was_open_ends,
    a_hold_is_told_as_it_is,
    nothing_comes_about_the_erased,
    only_the_erased_are_ignored,
    a_line_is_about_whom_its_cause_names,
)


# --- what was read together --------------------------------------------------------------------------------


def keys_go_in_the_same_batch(h: History, lines: Iterable[tuple[int, CaseEvent]], tombstones: Counter[tuple]) -> None:
    """Each line that says that a user is forgotten has a tombstone for their key in its transaction.

    Args:
        h: the history, with these lines.
        lines: each with the transaction that it was written in.
        tombstones: on the topic of keys, by user and transaction.
    """
    wanted: Counter[tuple] = Counter()
    for transaction, line in lines:
        if line.kind in _ENDS or (line.kind is Kind.ERASURE_REPEATED and line.reason != Stage.HELD):
            wanted[line.user_id, transaction] += 1
    if wanted != tombstones:
        missing, extra = wanted - tombstones, tombstones - wanted
        user = next(iter(missing or extra))[0]
        raise broken(h, user, f"no tombstone with {some(missing)}, tombstones without a line {some(extra)}")


# --- at rest -----------------------------------------------------------------------------------------------


def what_is_asked_for_is_done(h: History) -> None:
    """A request is held by a hold, or begun while a reversal runs, or done; and holds stand as they were written."""
    for name, user in h.forgetting.items():
        runs = _running(h, name)
        so = {
            None: not user.asked,
            Stage.HELD: bool(user.holds),
            Stage.BEGUN: bool(runs),
            Stage.DONE: not runs,
        }
        if not so[user.stage]:
            raise broken(h, name, f"{user.stage}: asked {some(user.asked)}, holds {some(user.holds)}, {some(runs)}")
        if not user.begun and user.holds != user.written:
            raise broken(h, name, f"holds {some(user.holds)}, written were {some(user.written)}")


def nobody_erased_has_a_case(h: History) -> None:
    """Neither by the lines nor on any pod."""
    gone = {name for name, user in h.forgetting.items() if user.begun}
    cases = [life.case_id for life in h.lives.values() if life.user_id in gone and life.outcome is None]
    cases += [case.case_id for case in h.on_pods.values() if case.user_id in gone]
    if cases:
        raise broken(h, h.lives[cases[0]].user_id, f"erased, and these are open: {some(cases)}")


def all_that_comes_late_is_answered(h: History) -> None:
    """Every delivery by name; silent are only copies of what the erased were told once: a refusal, a request."""
    for name, user in h.forgetting.items():
        for event_id, times in user.late.items():
            record, told = h.sent[event_id].record, user.told[event_id]
            once = isinstance(record, AppealSubmitted | SubjectErasureRequested)
            if told > times or (told < times and not once):
                raise broken(h, name, f"{record} came {times} times after the erasure and was answered {told} times")
        user.rest()


AT_REST = (what_is_asked_for_is_done, nobody_erased_has_a_case, all_that_comes_late_is_answered)


def nothing_of_the_erased_is_left(h: History, places: dict[str, Iterable[bytes | None]]) -> None:
    """No text of theirs, and once nothing runs, no id but those of appeals that were refused since.

    Args:
        h: the history.
        places: by a place's name, the newest values of all its keys.
    """
    gone = {name: user for name, user in h.forgetting.items() if user.begun}
    ids = {name: [key.encode() for key in h.undone.standing[name].files] for name in gone}
    for life in h.lives.values():
        if life.user_id in gone:
            ids[life.user_id].append(life.case_id.encode())
    for place, values in places.items() if gone else ():
        newest = [value for value in values if value]
        for name, word in words_of(newest):
            if name in gone and (gone[name].done or not may_stay(word)):
                raise broken(h, name, f"{word} is still in {place}")
        for name, user in gone.items():
            left = [one for one in ids[name] if user.done and any(one in value for value in newest)]
            if left:
                raise broken(h, name, f"{some(left)} are still in {place}")


# --- at the end --------------------------------------------------------------------------------------------


def the_erased_are_told(h: History) -> None:
    """One notice for each case and each appeal that ends with an erasure, which says so."""
    told = Counter(
        (n.user_id, n.template, n.appeal_id)
        for n in h.notices
        if n.kind is NoticeKind.DECIDED and n.outcome is Outcome.WITHDRAWN and n.reasons == ["erasure"]
    )
    template = {Kind.CASE_DECIDED: "case.erased", Kind.APPEAL_WITHDRAWN_UNOPENED: "appeal.erased"}
    wanted = Counter(
        (line.user_id, template[line.kind], line.appeal_id)
        for lines in h.lines.values()
        for line in lines
        if line.kind in template and line.reason == "erasure"
    )
    if told != wanted:
        raise broken(h, "", f"erased and not told: {some(wanted - told)}\ntold so: {some(told - wanted)}")


AT_THE_END = (the_erased_are_told,)
