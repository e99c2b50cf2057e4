"""What was struck wrongly is immune: the same detector must not strike it for the same reason again, for a time.

Systems are told, and should spare it. If one does not, the new enforcement is flagged, and an appeal against it goes
ahead of others (the flag ``against_immunity`` in the rulebook's conditions).
"""

from processors import ids
from processors.context import Context
from processors.dossier import Dossier
from processors.growth import MAX_IMMUNITIES
from processors.on_file import Enforcement
from processors.outbox import RESOLUTIONS, line
from processors.undoing import Immunity, Reversal
from schemas.records import EnforcementId, ImmunityGranted, Millis, Target
from schemas.vocabulary import CaseEventKind, TargetKind


def grant(dossier: Dossier, reversal_id: str, running: Reversal, e: Enforcement, ctx: Context, cause: str) -> None:
    """Make the target of an overturned enforcement immune, and tell the systems."""
    until = Millis(ctx.now + ctx.rulebook.tables.immunity_ms)
    of = (e.target_id, e.content_hash, e.policy, e.detector)
    alive = [i for i in dossier.immunities if not _over(i, ctx.now)]
    # A longer one takes the place of the one before, which has held since it was granted.
    since = min((i.since or Millis(0) for i in alive if _what(i) == of), default=Millis(ctx.now))
    granted = Immunity(*of, since, until, reversal_id)
    dossier.immunities = [*(i for i in alive if _what(i) != of), granted][-MAX_IMMUNITIES:]
    line(
        dossier,
        ctx,
        CaseEventKind.IMMUNITY_GRANTED,
        cause,
        appeal_id=running.appeal_id,
        case_id=running.case_id,
        enforcement_id=running.enforcement_id,
        saw={"reversal_id": reversal_id, "policy": e.policy, "detector": e.detector or "", "until": str(until)},
    )
    record = ImmunityGranted(
        immunity_id=ids.immunity_id(reversal_id),
        user_id=dossier.user_id,
        reversal_id=reversal_id,
        enforcement_id=running.enforcement_id,
        target=Target(kind=e.target_kind, id=e.target_id, content_hash=e.content_hash),
        policy=e.policy,
        detector=e.detector,
        granted_at=Millis(ctx.now),
        until=until,
    )
    ctx.emit(RESOLUTIONS, dossier.user_id, record)


def flag(dossier: Dossier, enforcement_id: EnforcementId, e: Enforcement, ctx: Context, cause: str) -> None:
    """Flag an enforcement that strikes what is immune; judged by when it was noticed, not by when it was folded."""
    breached = next((i for i in dossier.immunities if _forbids(i, e)), None)
    if breached is None:
        return
    e.against = breached.reversal_id
    saw = {"reversal_id": breached.reversal_id, "policy": e.policy, "detector": e.detector or ""}
    if e.detector is not None:
        saw["detector_version"] = e.detector_version
    line(dossier, ctx, CaseEventKind.IMMUNITY_BREACHED, cause, enforcement_id=enforcement_id, saw=saw)
    ctx.count("immunities_breached_total")


def struck_wrongly_before(dossier: Dossier, e: Enforcement) -> bool:
    """Whether the same was struck under the same rule and overturned, by whichever detector."""
    return any(_spares(i, e) and not _over(i, e.noticed_at) for i in dossier.immunities)


def _forbids(immunity: Immunity, e: Enforcement) -> bool:
    """Whether this very detector must spare it. What it did before it was told is no breach."""
    if immunity.since is not None and e.noticed_at < immunity.since:
        return False
    same_detector = immunity.detector is None or immunity.detector == e.detector
    return same_detector and _spares(immunity, e) and not _over(immunity, e.noticed_at)


def _spares(immunity: Immunity, e: Enforcement) -> bool:
    if immunity.policy != e.policy:
        return False
    if immunity.content_hash is None:
        return e.target_kind is not TargetKind.ACCOUNT and immunity.target_id == e.target_id
    return immunity.content_hash == e.content_hash


def _over(immunity: Immunity, at: int) -> bool:
    return immunity.until is not None and immunity.until <= at


def _what(immunity: Immunity) -> tuple[str, str | None, str, str | None]:
    return immunity.target_id, immunity.content_hash, immunity.policy, immunity.detector
