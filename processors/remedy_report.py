"""How a remedy speaks: one cumulative report for each command and each chunk."""

from processors.context import Context
from processors.on_file import Sum
from processors.outbox import money
from processors.remedy_reasons import RemedyRefusal
from processors.remedy_state import Remedy, Tallied
from schemas.records import (
    Detector,
    Millis,
    RemedyApproved,
    RemedyCounts,
    RemedyExample,
    RemedyProposed,
    RemedyReported,
    RemedySteered,
    ReviewerId,
)
from schemas.vocabulary import RemedyEventKind

REMEDY_EVENTS = "remedy.events"

_NOBODY = ReviewerId("-")
_NOTHING = Detector(name="-", version="-")
"""Stand where nothing was proposed; the range is then empty, at the time of the command that is refused."""

Command = RemedyProposed | RemedyApproved | RemedySteered


def report(
    remedy: Remedy,
    kind: RemedyEventKind,
    cause: str,
    ctx: Context,
    *,
    actor: ReviewerId | None = None,
    reason: str | None = None,
    of: Command | None = None,
) -> None:
    """Say how far the remedy is; `of` is the command that this answers."""
    remedy.seq += 1
    proposal = remedy.proposal
    cohort = None if proposal is None else proposal.cohort
    place = of if proposal is None else proposal
    if place is None:
        raise AssertionError(f"remedy {remedy.remedy_id} was never proposed, and speaks without being spoken to")
    never = Millis(ctx.now) if of is None else of.occurred_at
    record = RemedyReported(
        remedy_id=remedy.remedy_id,
        partition=place.partition,
        partitions=place.partitions,
        seq=remedy.seq,
        occurred_at=Millis(ctx.now),
        cause_id=cause,
        kind=kind,
        state=remedy.state,
        actor=actor,
        reason=reason,
        proposed_by=_NOBODY if proposal is None else proposal.proposer,
        approved_by=list(remedy.approvals),
        cohort=_counts(remedy.cohort),
        spared=dict(remedy.spared),
        done=_counts(remedy.done),
        skipped=dict(remedy.skipped),
        examples=[
            RemedyExample(
                user_id=e.user_id,
                enforcement_id=e.enforcement_id,
                action=e.action,
                issued_at=e.issued_at,
                amount=money(e.amount),
            )
            for e in remedy.examples
        ],
        detector=_NOTHING if cohort is None else Detector(name=cohort.detector, version=cohort.version),
        policy=None if cohort is None else cohort.policy,
        issued_from=never if cohort is None else cohort.issued_from,
        issued_until=never if cohort is None else cohort.issued_until,
        per_second=1 if proposal is None else proposal.per_second,
    )
    ctx.emit(REMEDY_EVENTS, remedy.remedy_id, record)


def answer(remedy: Remedy, command: Command, kind: RemedyEventKind, ctx: Context, *, reason: str | None = None) -> None:
    """Report what came of a command."""
    report(remedy, kind, command.event_id, ctx, actor=command.actor, reason=reason, of=command)


def refuse(remedy: Remedy, command: Command, why: RemedyRefusal, ctx: Context) -> None:
    """Report that a command changed nothing."""
    answer(remedy, command, RemedyEventKind.REFUSED, ctx, reason=why)


def _counts(tallied: Tallied) -> RemedyCounts:
    sums = (money(Sum(value, currency)) for currency, value in sorted(tallied.money.items()))
    return RemedyCounts(
        enforcements=tallied.enforcements,
        users=tallied.users,
        by_action={action.value: count for action, count in sorted(tallied.by_action.items())},
        money=[one for one in sums if one is not None],
    )
