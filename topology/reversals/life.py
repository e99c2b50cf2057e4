"""The life of each reversal, put together from what the topics say: sent, answered, superseded, stuck, helped on.

The audit tells the order in which things happened and what counted; `resolution.events` what was asked for;
`resolution.acks` and `review.events` the words of systems and operators, which the audit names by id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.records import (
    CaseEvent,
    Directive,
    DirectiveAcked,
    DirectiveResolved,
    ImmunityGranted,
    Money,
    Record,
    ReversalConfirmed,
    ReversalOrdered,
    ReversalRetried,
    ReversalStalled,
)
from schemas.vocabulary import CaseEventKind, DirectiveState

Act = ReversalRetried | DirectiveResolved
_BY_OPERATOR = "by_operator"
"""Reason of the line of a reversal that was sent again because somebody wanted it to be."""
_STATES = {state.value: state for state in DirectiveState}
_OPEN = frozenset(
    {
        DirectiveState.ORDERED,
        DirectiveState.SENT,
        DirectiveState.FAILED_RETRYABLE,
        DirectiveState.FAILED_PERMANENT,
        DirectiveState.UNKNOWN,
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system said about a directive."""

    at: int
    """UTC ms, when it was judged; of one that is not judged yet, when the system says it was."""
    status: str
    judged: str | None = None
    """Why it changed nothing; None: it counted."""
    detail: str | None = None
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class Help:
    """What an operator did."""

    at: int
    kind: CaseEventKind
    actor: str | None
    reason: str | None
    directive_ids: tuple[str, ...]


@dataclass
class DirectiveLife:
    """One directive, from order to end."""

    directive: Directive
    """As it was sent last."""
    state: DirectiveState = DirectiveState.SENT
    sent: list[int] = field(default_factory=list[int])
    """The attempts with which it went out."""
    answers: list[Answer] = field(default_factory=list[Answer])
    superseded_by: str | None = None
    resolved: Help | None = None
    """By whom and why, if it was not its system that said so."""

    @property
    def is_open(self) -> bool:
        """Neither applied nor superseded."""
        return self.state in _OPEN


@dataclass
class ReversalLife:
    """One reversal, from order to confirmation."""

    order: ReversalOrdered
    """The newest."""
    directives: dict[str, DirectiveLife] = field(default_factory=dict[str, DirectiveLife])
    stalls: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """When and why it needed people, each time."""
    stuck: tuple[int, str] | None = None
    """Since when and why it needs people now."""
    helped: list[Help] = field(default_factory=list[Help])
    immunities: list[ImmunityGranted] = field(default_factory=list[ImmunityGranted])
    confirmed: ReversalConfirmed | None = None

    @property
    def open(self) -> list[DirectiveLife]:
        """What is neither applied nor superseded."""
        return [one for one in self.directives.values() if one.is_open]


def lives(
    records: Iterable[Record],
    lines: Iterable[CaseEvent] = (),
    *,
    stalled: Mapping[str, ReversalStalled] | None = None,
    acks: Iterable[DirectiveAcked] = (),
    acts: Iterable[Act] = (),
) -> dict[str, ReversalLife]:
    """All reversals that `records` order, by id.

    Args:
        records: of `resolution.events`, each user's in the order of the topic.
        lines: of the audit, each user's in the order of the topic.
        stalled: what needs people now, by reversal; None: what `records` and `lines` say.
        acks: answers of systems; they add details, and what has not been judged yet.
        acts: what operators sent; they add their reasons.
    """
    found: dict[str, ReversalLife] = {}
    sent: dict[tuple[str, int], list[DirectiveLife]] = defaultdict(list)
    for record in records:
        _take(found, sent, record)
    told = {ack.event_id: ack for ack in acks}
    reasons = {act.event_id: act for act in acts}
    for line in lines:
        life = found.get(line.saw.get("reversal_id", ""))
        if life is not None:
            _follow(life, sent, line, told, reasons)
    for ack in told.values():  # those that the audit has not named
        life = found.get(ack.reversal_id)
        one = None if life is None else life.directives.get(ack.directive_id)
        if one is not None:
            one.answers.append(Answer(ack.occurred_at, ack.status, "not judged yet", ack.detail, ack.amount))
    for reversal_id, life in found.items():
        if stalled is not None:
            now = stalled.get(reversal_id)
            life.stuck = None if now is None else (now.stalled_at, now.reason)
        if life.confirmed is not None:
            life.stuck = None
            for one in life.directives.values():
                one.state = one.state if one.state is DirectiveState.SUPERSEDED else DirectiveState.APPLIED
    return found


def _take(found: dict[str, ReversalLife], sent: dict[tuple[str, int], list[DirectiveLife]], record: Record) -> None:
    match record:
        case ReversalOrdered():
            life = found.setdefault(record.reversal_id, ReversalLife(record))
            life.order = record if record.attempt >= life.order.attempt else life.order
            for directive in record.directives:
                one = life.directives.setdefault(directive.directive_id, DirectiveLife(directive))
                one.directive = directive
                if record.attempt not in one.sent:
                    one.sent.append(record.attempt)
                    sent[record.reversal_id, record.attempt].append(one)
                if directive.supersedes is not None:
                    _supersede(life, directive.supersedes, directive.directive_id)
        case ReversalStalled() if record.reversal_id in found:
            found[record.reversal_id].stuck = record.stalled_at, record.reason
        case ImmunityGranted() if record.reversal_id in found:
            found[record.reversal_id].immunities.append(record)
        case ReversalConfirmed() if record.reversal_id in found:
            found[record.reversal_id].confirmed = record
        case _:
            pass


def _supersede(life: ReversalLife, old: str, new: str | None) -> None:
    one = life.directives.get(old)
    if one is not None:
        one.state, one.superseded_by = DirectiveState.SUPERSEDED, new or one.superseded_by


def _follow(
    life: ReversalLife,
    sent: Mapping[tuple[str, int], Sequence[DirectiveLife]],
    line: CaseEvent,
    told: dict[str, DirectiveAcked],
    reasons: Mapping[str, Act],
) -> None:
    one = life.directives.get(line.saw.get("directive_id", ""))
    match line.kind:
        case CaseEventKind.REVERSAL_ORDERED:
            _sent(life, sent, line)
        case CaseEventKind.DIRECTIVE_APPLIED | CaseEventKind.DIRECTIVE_FAILED | CaseEventKind.ACK_IGNORED:
            ack = told.pop(line.cause_id, None)
            if one is not None:
                _answered(one, line, ack)
        case CaseEventKind.DIRECTIVE_SUPERSEDED:
            old, new = line.saw.get("supersedes"), line.saw.get("directive_id")
            if old is None:
                old, new = new, line.saw.get("by")
            _supersede(life, old or "", new)
        case CaseEventKind.REVERSAL_RETRIED | CaseEventKind.DIRECTIVE_RESOLVED:
            _helped(life, line, reasons.get(line.cause_id))
        case CaseEventKind.REVERSAL_STALLED:
            life.stuck = line.occurred_at, line.reason or ""
            life.stalls.append(life.stuck)
        case _:
            pass


def _sent(life: ReversalLife, sent: Mapping[tuple[str, int], Sequence[DirectiveLife]], line: CaseEvent) -> None:
    attempt = line.saw.get("attempt", "")
    for one in sent.get((life.order.reversal_id, int(attempt) if attempt.isdecimal() else 0), ()):
        if one.is_open:
            one.state = DirectiveState.SENT
    failed = any(one.state is DirectiveState.FAILED_PERMANENT for one in life.open)
    if line.reason == _BY_OPERATOR and not failed:
        life.stuck = None


def _answered(one: DirectiveLife, line: CaseEvent, ack: DirectiveAcked | None) -> None:
    ignored = line.kind is CaseEventKind.ACK_IGNORED
    applied = line.kind is CaseEventKind.DIRECTIVE_APPLIED
    status = ack.status if ack is not None else (line.reason if not ignored else None) or "answered"
    refused = None if applied or line.reason in (status, None) else line.reason
    one.answers.append(
        Answer(
            line.occurred_at,
            status,
            refused,
            None if ack is None else ack.detail,
            None if ack is None else ack.amount,
        )
    )
    if ignored or not one.is_open:
        return
    if applied:
        one.state = DirectiveState.APPLIED
        return
    failed = DirectiveState.FAILED_RETRYABLE if line.reason == "failed_retryable" else DirectiveState.FAILED_PERMANENT
    if failed is DirectiveState.FAILED_PERMANENT or one.state is not DirectiveState.FAILED_PERMANENT:
        one.state = _STATES.get(line.saw.get("state", ""), failed)


def _helped(life: ReversalLife, line: CaseEvent, act: Act | None) -> None:
    named = line.saw.get("directives") or line.saw.get("directive_id") or ""
    given = Help(
        line.occurred_at,
        line.kind,
        line.actor or (None if act is None else act.actor),
        line.saw.get("why") or (None if act is None else act.reason),
        tuple(one for one in named.split(",") if one in life.directives),
    )
    life.helped.append(given)
    for directive_id in given.directive_ids:
        one = life.directives[directive_id]
        if line.kind is CaseEventKind.DIRECTIVE_RESOLVED and one.is_open:
            one.state, one.resolved = DirectiveState.APPLIED, given
