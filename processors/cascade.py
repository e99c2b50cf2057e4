"""What rested on an overturned enforcement is judged again: the ban on the third strike, when the first was none.

By rule, only where there is one: the rulebook says at how many strikes which action follows. Where strikes that are
left do not reach it any more, it is lifted; everything else is for people. Nothing is made harder here.
"""

from collections.abc import Iterator

from processors.dossier import Dossier
from processors.on_file import Enforcement
from processors.reasons import Consequence
from processors.remains import something_remains, stands, strikes_left
from processors.tables import Tables
from schemas.records import EnforcementId


def consequences(
    dossier: Dossier, of: EnforcementId, at: int, tables: Tables, *, gone: bool, fewer_strikes: bool
) -> Iterator[tuple[EnforcementId, Consequence]]:
    """The enforcements that a reversal leads to, and what becomes of each; the dossier counts it as reversed already.

    Args:
        dossier: of the user.
        of: what is reversed.
        at: now, UTC ms.
        tables: of the rulebook.
        gone: nothing of it is left; else a decision has made it milder.
        fewer_strikes: it has taken strikes off the record.
    """
    since = dossier.enforcements[of].issued_at
    for enforcement_id, e in dossier.enforcements.items():
        if enforcement_id == of or e.caused_by is None or not alive(e, at):
            continue
        if e.caused_by == of:
            verdict = judge(dossier, enforcement_id, tables)
            if gone or verdict is Consequence.LIFTED:
                yield enforcement_id, verdict
            continue
        # It names the strike that was one too many; the one that is gone now was counted then as well.
        counted = fewer_strikes and e.issued_at >= since and e.action in tables.strikes_at
        if counted and judge(dossier, enforcement_id, tables) is Consequence.LIFTED:
            yield enforcement_id, Consequence.LIFTED


def alive(e: Enforcement, at: int) -> bool:
    """Whether anything of this version is left to undo."""
    return e.reversed_version < e.version and (stands(e, at) or something_remains(e))


def judge(dossier: Dossier, enforcement_id: EnforcementId, tables: Tables) -> Consequence:
    """Whether what an enforcement rested on still holds, by the strikes that are left."""
    e = dossier.enforcements[enforcement_id]
    threshold = tables.strikes_at.get(e.action)
    if threshold is None or e.filed:
        return Consequence.NO_RULE
    return (
        Consequence.LIFTED if strikes_before(dossier, enforcement_id, tables) < threshold else Consequence.STILL_REACHED
    )


def strikes_before(dossier: Dossier, enforcement_id: EnforcementId, tables: Tables) -> int:
    """The strikes, as they stand now, that counted when this enforcement was issued; its own are none of them."""
    issued_at = dossier.enforcements[enforcement_id].issued_at
    return sum(
        strikes_left(e)
        for key, e in dossier.enforcements.items()
        if key != enforcement_id and issued_at - tables.strikes_lapse_ms < e.issued_at <= issued_at
    )
