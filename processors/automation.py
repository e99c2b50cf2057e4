"""What rules may do without a person: grant an appeal, or send it to a pod. Never deny one (DSA Art. 20(6)).

A rule has no word for an outcome but granting, and `grant` is the only way from a rule to a decision. What is granted
is capped for each policy and day over the whole installation, and a share of it goes to people all the same, drawn by
the case's id, so that the rule is audited by what they decide.
"""

from processors import ids
from processors.context import Context
from processors.decision import Verdict, decide
from processors.dossier import Dossier
from processors.lifecycle import Move
from processors.on_file import Enforcement
from processors.open_case import OpenCase
from processors.outbox import case_line
from processors.reasons import Withheld
from processors.review_tables import Rule
from schemas.records import ReviewerId
from schemas.vocabulary import CaseEventKind, Outcome

ACTOR = "rule:"
"""Prefix of the actor in what a rule did."""


def may_grant(dossier: Dossier, case: OpenCase, e: Enforcement, rule: Rule, ctx: Context, cause: str) -> bool:
    """Whether the rule grants this appeal now; where its audit or its cap leaves it to people, a line says so."""
    if rule.pod is not None:
        return False
    withheld = None
    if ids.fraction(f"audit\x1f{rule.name}\x1f{case.case_id}", 0) < rule.audit_share:
        withheld = Withheld.AUDIT_SAMPLE
    elif not ctx.spend(f"{rule.name}\x1f{e.policy}", rule.daily_cap):
        withheld = Withheld.DAILY_CAP
    if withheld is not None:
        saw = {"rule": rule.name, "daily_cap": str(rule.daily_cap)}
        case_line(dossier, ctx, CaseEventKind.GRANT_WITHHELD, cause, case, reason=withheld, saw=saw)
    return withheld is None


def grant(dossier: Dossier, case: OpenCase, e: Enforcement, rule: Rule, ctx: Context, cause: str) -> None:
    """Grant the appeal."""
    verdict = Verdict(
        event_id=cause,
        outcome=Outcome.OVERTURNED,
        actor=ReviewerId(ACTOR + rule.name),
        second=None,
        how="rule",
        reasons_ref=None,
        policy_version=e.policy_version,
        cited=[],
        dismissal=None,
        substituted_policy=None,
        because=[rule.name],
    )
    decide(dossier, case, e, ctx, verdict, Move.GRANT)
