"""What a person tells a remedy, as one copy for each partition: equal but for `partition`, under one derived id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from processors.ids import uuid5
from schemas.records import Detector, Millis, RemedyApproved, RemedyProposed, RemedySteered, ReviewerId
from schemas.remedy_whole import Whole
from schemas.vocabulary import RemedyState, RemedySteer
from topology.engine.errors import Misconfigured
from topology.replay.times import parse_ms

Command = RemedyProposed | RemedyApproved | RemedySteered
Kind = TypeVar("Kind", RemedyProposed, RemedyApproved, RemedySteered)


def proposed(
    *,
    detector: Detector,
    policy: str | None,
    issued_from: str,
    issued_until: str,
    per_second: int,
    actor: str,
    reason: str,
    remedy_id: str | None,
    partitions: int,
    now_ms: int,
) -> Sequence[RemedyProposed]:
    """Name a cohort; nothing is reversed by that.

    Args:
        detector: that misfired, in this version.
        policy: only under this rule; None: under whatever rule.
        issued_from: first moment, ISO 8601, UTC if it does not say.
        issued_until: first moment that is not in it any more.
        per_second: at most so many reversals a second, over all partitions.
        actor: who proposes.
        reason: why.
        remedy_id: None: derived from the cohort.
        partitions: of the topic.
        now_ms: UTC ms.

    Raises:
        Misconfigured: a time is none, or nothing lies between them.
    """
    since, until = _time("--from", issued_from), _time("--until", issued_until)
    if since >= until:
        raise Misconfigured(f"nothing lies between --from {issued_from} and --until {issued_until}")
    cohort = (detector.name, detector.version, policy or "", str(since), str(until))
    chosen = remedy_id or _readable_id(cohort, since)
    return _copies(
        RemedyProposed(
            event_id=_event_id("remedy-proposed", chosen, *cohort, str(per_second), actor, reason),
            remedy_id=chosen,
            partition=0,
            partitions=partitions,
            actor=ReviewerId(actor),
            occurred_at=Millis(now_ms),
            reason=reason,
            detector=detector,
            policy=policy,
            issued_from=Millis(since),
            issued_until=Millis(until),
            per_second=per_second,
        )
    )


def refuse_approval(whole: Whole, actor: str) -> None:
    """Let nobody approve what is not there to be approved, or not by them.

    Raises:
        Misconfigured: with the reason.
    """
    if whole.missing:
        missing = ", ".join(map(str, whole.missing))
        raise Misconfigured(f"partitions {missing} have not previewed yet: wait for the whole dry run")
    previewing = sorted(n for n, report in whole.reports.items() if report.state is RemedyState.PREVIEWING)
    if previewing:
        raise Misconfigured(
            f"partitions {', '.join(map(str, previewing))} are still previewing: wait for the whole dry run"
        )
    others = {state for state in whole.states if state is not RemedyState.AWAITING_APPROVAL}
    if others:
        raise Misconfigured(f"it does not wait for approval: it is {', '.join(sorted(others))}")
    if any(report.proposed_by == actor for report in whole.reports.values()):
        raise Misconfigured(f"{actor} has proposed it: others must approve it")
    if actor in whole.approved_by:
        raise Misconfigured(f"{actor} has approved it already: somebody else must")


def approved(whole: Whole, *, actor: str, partitions: int, now_ms: int) -> Sequence[RemedyApproved]:
    """Agree with the dry run as it is shown.

    Raises:
        Misconfigured: see `refuse_approval`.
    """
    refuse_approval(whole, actor)
    total = whole.cohort.enforcements
    return _copies(
        RemedyApproved(
            event_id=_event_id("remedy-approved", whole.remedy_id, actor, str(total), _said(whole)),
            remedy_id=whole.remedy_id,
            partition=0,
            partitions=partitions,
            actor=ReviewerId(actor),
            occurred_at=Millis(now_ms),
            enforcements=total,
        )
    )


def steered(
    whole: Whole, steer: RemedySteer, *, actor: str, reason: str, partitions: int, now_ms: int
) -> Sequence[RemedySteered]:
    """Pause, resume or stop; each partition judges for itself whether that can be."""
    return _copies(
        RemedySteered(
            event_id=_event_id("remedy-steered", whole.remedy_id, steer, actor, reason, _said(whole)),
            remedy_id=whole.remedy_id,
            partition=0,
            partitions=partitions,
            actor=ReviewerId(actor),
            occurred_at=Millis(now_ms),
            reason=reason,
            steer=steer,
        )
    )


def _copies(command: Kind) -> Sequence[Kind]:
    return [msgspec.structs.replace(command, partition=number) for number in range(command.partitions)]


def _event_id(*parts: str) -> str:
    return uuid5("\x1f".join(parts))


def _said(whole: Whole) -> str:
    """All that people have told it: the same words after another command are another command."""
    return ",".join(sorted(whole.answers))


def _readable_id(cohort: Sequence[str], since: int) -> str:
    detector, version = (re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-")[:60] for part in cohort[:2])
    day = f"{datetime.fromtimestamp(since / 1000, UTC):%Y-%m-%d}"
    return f"{detector}-{version}-{day}-{uuid5(chr(31).join(cohort))[:6]}"


def _time(option: str, text: str) -> int:
    at = parse_ms(text)
    if at is None:
        raise Misconfigured(f"{option} {text}: no time; write ISO 8601, e.g. 2025-03-01T12:00:00+00:00")
    return at
