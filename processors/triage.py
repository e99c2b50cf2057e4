"""Triage: overrides, rank and route of a case, at its opening and when what the user is charged with changes."""

from processors.context import Context
from processors.dossier import Dossier, OpenCase
from processors.on_file import Enforcement
from processors.outbox import CASES, case_line
from processors.priority import amount_at_stake, holds, rank
from processors.routing import route
from schemas.vocabulary import CaseEventKind, CaseState


def triage(dossier: Dossier, case: OpenCase, e: Enforcement, ctx: Context) -> None:
    """Rank and route the case by what is on file now; nothing is published."""
    tables = ctx.rulebook.tables
    amount = amount_at_stake(e, tables)
    facts = (e.policy, e.action, e.category, _primary(case.language), case.region, e.target_kind)
    overrides = [rule for rule in tables.overrides if holds(rule.test, facts, case.flags, amount)]
    rank(dossier, case, e, overrides, tables)
    route(case, (*facts, case.band), amount, overrides, tables)
    case.digest = tables.digest


def triage_again(dossier: Dossier, case: OpenCase, e: Enforcement, ctx: Context, cause: str) -> None:
    """Rank and route an open case afresh; if that takes it to another pod, it leaves the old one and its claim."""
    was = case.pod
    triage(dossier, case, e, ctx)
    if case.pod == was:
        return
    ctx.emit(CASES + was, case.case_id, None)
    if case.lease is not None:
        case.lease = None
        case.state = CaseState.QUEUED
    saw = {"from": was, "rule": case.rule, "because": case.because}
    case_line(dossier, ctx, CaseEventKind.CASE_REROUTED, cause, case, saw=saw)


def _primary(language: str) -> str:
    """The part of a language tag that says who can read it: ``de-AT`` is read by whoever reads ``de``."""
    return language.partition("-")[0].lower()
