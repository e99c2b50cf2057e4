"""What must hold of the answers to reversals and of their ends: line by line, at rest, and at the end."""

from __future__ import annotations

from collections import Counter

from schemas.records import CaseEvent, Directive, DirectiveAcked, DirectiveResolved, ReversalRetried
from schemas.vocabulary import AckStatus, CaseEventKind, NoticeKind, Operation, Outcome
from tests.topology.review_history import History, broken, some
from tests.topology.review_order_promises import right_state
from tests.topology.review_standing import NOTHING
from tests.topology.review_undoing import Stage, Undoing, same_reversal

Kind = CaseEventKind
_STATES = (Operation.RESTORE, Operation.RELEASE)


def a_system_is_taken_at_its_word(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """Applied is what a system said was applied, of an open directive of its own, with the money that was ordered."""
    if line.kind not in (Kind.DIRECTIVE_APPLIED, Kind.DIRECTIVE_FAILED, Kind.ACK_IGNORED):
        return
    ack = h.sent[line.cause_id].record
    assert isinstance(ack, DirectiveAcked)
    undoing = h.undone.of(line)
    stage = None if undoing is None else undoing.stage.get(ack.directive_id)
    directive = None if undoing is None else undoing.told.get(ack.directive_id)
    waits = undoing is not None and not undoing.confirmed and directive is not None
    ours = waits and directive.system == ack.system  # type: ignore[union-attr]
    good = ack.status in (AckStatus.APPLIED, AckStatus.ALREADY_APPLIED)
    money = None if directive is None else _money_fault(directive, ack)
    so = {
        "unknown_reversal": undoing is None or undoing.confirmed,
        "unknown_directive": undoing is not None and not undoing.confirmed and directive is None,
        "wrong_system": waits and not ours,
        "already_confirmed": undoing is not None and undoing.confirmed,
        "already_applied": ours and stage is Stage.APPLIED,
        "superseded": ours and stage is Stage.SUPERSEDED,
        "subject_erased": h.forgetting[line.user_id].done,
    }
    if line.kind is not Kind.ACK_IGNORED:
        answer = money if good and money else ack.status.value
        right = ours and stage in (Stage.SENT, Stage.FAILED) and line.reason == answer
        so = {str(line.reason): right and (line.kind is Kind.DIRECTIVE_APPLIED) == (good and not money)}
    if not so.get(str(line.reason)):
        raise broken(h, line.user_id, f"{line.kind} {line.reason} of {ack}, which is {stage} of {directive}")


def _money_fault(directive: Directive, ack: DirectiveAcked) -> str | None:
    moved, asked = ack.amount, directive.amount
    if moved is None:
        return None
    if round(moved.value, {"JPY": 0}.get(moved.currency, 2)) != moved.value:
        return "too_many_digits"
    if asked is not None and asked.currency != moved.currency:
        return "wrong_currency"
    return None if moved.value == (NOTHING if asked is None else asked.value) else "wrong_amount"


def confirmed_is_what_is_true(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    """A reversal is confirmed once none of its directives is open, each applied or vouched for, and told only then."""
    if line.kind is not Kind.REVERSAL_CONFIRMED:
        return
    undoing = h.undone.of(line)
    assert undoing is not None
    records = h.undone.confirmed[undoing.first.reversal_id]
    applied = {key for key, stage in undoing.stage.items() if stage is Stage.APPLIED}
    if undoing.unsettled or len(records) != 1 or set(records[0].directive_ids) != applied:
        raise broken(h, line.user_id, f"confirmed: {records}; {undoing.stage}")
    told = [n for n in h.notices if n.kind is NoticeKind.REVERSAL_CONFIRMED and n.enforcement_id == line.enforcement_id]
    if not any(n.user_id == line.user_id and n.occurred_at == line.occurred_at for n in told):
        raise broken(h, line.user_id, f"{undoing.first.reversal_id} was confirmed and the user not told")
    closed = [
        one for one in group if one.kind is Kind.CASE_CLOSED and one.case_id == line.case_id and one.seq > line.seq
    ]
    if len(closed) != (line.case_id is not None):
        raise broken(h, line.user_id, f"{line.case_id} was confirmed and not closed")


def what_survives_is_what_was_applied(h: History, line: CaseEvent, group: list[CaseEvent]) -> None:
    """Whatever became of it in the meantime: a directive that ends a wait has told what survives now."""
    if line.kind not in (Kind.DIRECTIVE_APPLIED, Kind.DIRECTIVE_RESOLVED):
        return
    undoing = h.undone.of(line)
    key = line.saw.get("directive_id") or line.saw["directives"]
    later = [one for one in group if one.seq > line.seq and same_reversal(one, line)]
    renewed = any(one.kind is Kind.REVERSAL_ORDERED for one in later)
    directive = None if undoing is None else undoing.told[key]
    if undoing is not None and directive is not None and directive.operation in _STATES and not renewed:
        newest = undoing.newest(directive.effect_id)
        right_state(h, line.user_id, newest, undoing.kinds[directive.effect_id], line.occurred_at)


def a_stall_has_its_reason(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """Once until operators or systems get on with it, and never with nothing open."""
    undoing = h.undone.of(line)
    if line.kind is not Kind.REVERSAL_STALLED or undoing is None:
        return
    deadline = max((d.deadline or 0) for d in undoing.told.values())
    failed = Stage.FAILED in undoing.stage.values()
    so = {
        "failed_permanent": failed,
        "money_mismatch": failed,
        "deadline": line.occurred_at >= deadline,
        "out_of_tries": undoing.attempt > 1,
    }
    if undoing.stalled or not undoing.unsettled or not so.get(str(line.reason)):
        raise broken(h, line.user_id, f"stalled by {line.reason}, already {undoing.stalled}: {undoing.stage}")


def operators_hear_the_truth(h: History, line: CaseEvent, _group: list[CaseEvent]) -> None:
    """A command is refused by what is so, and one that is taken was about something open."""
    sent = h.sent.get(line.cause_id)
    command = None if sent is None else sent.record
    if not isinstance(command, ReversalRetried | DirectiveResolved) or line.kind not in (
        Kind.REVIEW_REJECTED,
        Kind.REVERSAL_RETRIED,
        Kind.DIRECTIVE_RESOLVED,
    ):
        return
    undoing = h.undone.reversals.get(command.reversal_id)
    stage = None if undoing is None else undoing.stage.get(str(command.directive_id))
    running = undoing is not None and not undoing.confirmed
    so = {
        "unknown_reversal": not running,
        "reversal_confirmed": undoing is not None and undoing.confirmed,
        "unknown_directive": running and command.directive_id is not None and stage is None,
        "directive_settled": running and stage in (Stage.APPLIED, Stage.SUPERSEDED),
        "subject_erased": h.forgetting[line.user_id].done,
        "None": running and (command.directive_id is None or stage in (Stage.SENT, Stage.FAILED)),
    }
    if not so.get(str(line.reason)):
        raise broken(h, line.user_id, f"{line.kind} {line.reason} of {command}: {undoing}")


ON_EACH_LINE = (
    a_system_is_taken_at_its_word,
    confirmed_is_what_is_true,
    what_survives_is_what_was_applied,
    a_stall_has_its_reason,
    operators_hear_the_truth,
)


# --- at rest -----------------------------------------------------------------------------------------------


def open_directives_tell_what_survives(h: History) -> None:
    """Whenever nothing is left to do, no open directive says what is not so any more."""
    for undoing in h.undone.reversals.values():
        user = undoing.first.user_id
        if undoing.confirmed or not undoing.unsettled:
            continue
        h.undone.advance(user)
        now = max(h.undone.now, h.lines[user][-1].occurred_at)
        for key, stage in undoing.stage.items():
            directive = undoing.told[key]
            if stage is Stage.SENT and directive.operation in _STATES:
                newest = directive if directive.operation is Operation.RESTORE else undoing.newest(directive.effect_id)
                right_state(h, user, newest, undoing.kinds[directive.effect_id], now)


def what_is_settled_is_confirmed(h: History) -> None:
    """A reversal with nothing open is confirmed in the same moment."""
    for undoing in h.undone.reversals.values():
        if undoing.confirmed == bool(undoing.unsettled):
            raise broken(h, undoing.first.user_id, f"{undoing.first.reversal_id}: {undoing.confirmed}, {undoing.stage}")


def the_operations_pod_sees_what_is_stalled(h: History) -> None:
    """Its topic, read from the beginning, holds exactly the stalled reversals, each with what is open of it."""
    stalled = {key: one for key, one in h.undone.reversals.items() if one.stalled}
    if stalled.keys() != h.undone.queue.keys():
        raise broken(h, "", f"stalled {some(stalled)}, on the topic {some(h.undone.queue)}")
    for key, record in h.undone.queue.items():
        undoing: Undoing = stalled[key]
        if {d.directive_id for d in record.directives} != undoing.unsettled or record.reason != undoing.stalled:
            raise broken(h, record.user_id, f"on the topic {record}\nopen are {some(undoing.unsettled)}")


AT_REST = (
    open_directives_tell_what_survives,
    what_is_settled_is_confirmed,
    the_operations_pod_sees_what_is_stalled,
)


# --- at the end --------------------------------------------------------------------------------------------


def reversals_are_ordered_and_confirmed_once(h: History) -> None:
    """Each overturned or modified case has one order, each consequence too; as all is answered, all is confirmed."""
    decided = Counter(
        life.case_id for life in h.lives.values() if life.outcome in (Outcome.OVERTURNED, Outcome.MODIFIED)
    )
    decided += Counter(
        str(line.saw["reversal_id"])
        for lines in h.lines.values()
        for line in lines
        if line.kind is Kind.CONSEQUENCE_JUDGED
        and line.reason == "lifted"
        and h.undone.orders[line.saw["reversal_id"], 1].case_id == line.saw["reversal_id"]
    )
    first = Counter(str(order.case_id) for order in h.orders if order.attempt == 1)
    confirmed = Counter(str(one.case_id) for records in h.undone.confirmed.values() for one in records)
    if not decided == first == confirmed:
        text = f"decided {decided - first}, ordered {first - decided}, unconfirmed {first - confirmed}"
        raise broken(h, "", f"{text}, confirmed {confirmed - first}")


def stalls_are_told_once(h: History) -> None:
    """Each line about a stall has its record on the topic of resolutions."""
    lines = Counter(
        (line.saw["reversal_id"], line.reason, line.occurred_at)
        for lines in h.lines.values()
        for line in lines
        if line.kind is Kind.REVERSAL_STALLED
    )
    if lines != Counter((one.reversal_id, one.reason, one.stalled_at) for one in h.undone.stalls):
        raise broken(h, "", f"stalled {lines}\ntold {h.undone.stalls}")


def each_ack_has_exactly_one_answer(h: History) -> None:
    """A line for each answer of a system; only what comes again may be met with silence."""
    kinds = (Kind.DIRECTIVE_APPLIED, Kind.DIRECTIVE_FAILED, Kind.ACK_IGNORED)
    for event_id, sent in h.sent.items():
        if isinstance(sent.record, DirectiveAcked):
            lines = [line for line in h.answers.get(event_id, ()) if line.kind in kinds]
            if not 1 <= len(lines) <= sent.deliveries:
                raise broken(h, sent.record.user_id, f"{event_id}, sent {sent.deliveries} times: {len(lines)} lines")


AT_THE_END = (reversals_are_ordered_and_confirmed_once, stalls_are_told_once, each_ack_has_exactly_one_answer)
