"""Forgetting a user: everything but counts, the head of the audit's chain, and what running reversals still need."""

from processors import cohort, directives
from processors.context import Context
from processors.dossier import Dossier
from processors.on_file import Enforcement, FiledEffect
from schemas.records import EnforcementId


def scrub(dossier: Dossier, ctx: Context) -> None:
    """Forget what is not needed. While reversals run, that leaves them and what they are computed from; else nothing.

    A directive that is sent again says what must hold afterwards, so what stands, and what strikes are left, has to be
    known until the last one is confirmed. So has what is over: nothing else keeps an old record of it, delivered again,
    from standing anew. Of all these enforcements only that is kept.
    """
    for running in dossier.reversals.values():
        e = dossier.enforcements.get(running.enforcement_id)
        for order in running.orders:  # an old version did not keep it, and looked it up where it is forgotten now
            order.kind = directives.effect_kind(e, order)
    for enforcement_id in list(dossier.enforcements):
        bare(dossier, enforcement_id, ctx)
    cases = {running.case_id for running in dossier.reversals.values()}
    dossier.traces = {case_id: trace for case_id, trace in dossier.traces.items() if case_id in cases}
    dossier.profile = None
    dossier.parked = []
    dossier.cases = {}
    dossier.decided = {}
    dossier.answered = {}
    dossier.early_withdrawals = []
    if not dossier.reversals:
        dossier.early_lifts = {}
    dossier.immunities = []
    dossier.remands = {}
    dossier.tallies = {}
    dossier.holds = {}


def bare(dossier: Dossier, enforcement_id: EnforcementId, ctx: Context) -> None:
    """Keep of an enforcement only what running reversals need: nothing, where none runs."""
    before = cohort.term_on_file(dossier, enforcement_id)
    if dossier.reversals:
        dossier.enforcements[enforcement_id] = _stripped(dossier.enforcements[enforcement_id])
    else:
        del dossier.enforcements[enforcement_id]
    cohort.follow(dossier, enforcement_id, before, ctx)


def anything_on_file(dossier: Dossier) -> bool:
    """Whether there is anything to forget."""
    return any(
        (
            dossier.profile,
            dossier.enforcements,
            dossier.parked,
            dossier.cases,
            dossier.decided,
            dossier.answered,
            dossier.early_withdrawals,
            dossier.early_lifts,
            dossier.reversals,
        )
    )


def _stripped(e: Enforcement) -> Enforcement:
    """What survivors of a reversal are told by: what stands where, and which kinds of effects it bears on."""
    kinds = dict.fromkeys(effect.kind for effect in e.effects)
    return Enforcement(
        version=e.version,
        action=e.action,
        target_kind=e.target_kind,
        target_id=e.target_id,
        noticed_at=e.noticed_at,
        issued_at=e.issued_at,
        ends_at=e.ends_at,
        scope=e.scope,
        strikes=e.strikes,
        lesser=e.lesser,
        reversal_id=e.reversal_id,
        appealable=False,
        lift=e.lift,
        effects=[FiledEffect("", "", kind, {}, None) for kind in kinds],
        reversed_version=e.reversed_version,
        upheld_version=e.upheld_version,
        filed=True,
    )
