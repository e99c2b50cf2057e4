"""What of a cohort is to be reversed, and what is spared and why: judged alike by dry run, sweep and order."""

from decimal import Decimal

from processors.cohort import Term
from processors.dossier import Dossier
from processors.on_file import Enforcement, Sum
from processors.remains import money_due, something_remains, stands
from processors.remedy_reasons import Spared
from processors.remedy_state import Cohort, Example, Tallied
from schemas.records import Millis, UserId

MAX_CURRENCIES = 64
"""Currencies that a sum of money is kept in; what is taken in a further one is not added up."""
MOST_MONEY = Decimal("99999999999999.9999")
"""As much as an amount on the wire can say."""


def judge(dossier: Dossier | None, term: Term, cohort: Cohort, now: int) -> Spared | None:
    """Why the enforcement that a term names is spared; None: it is to be reversed."""
    e = None if dossier is None else dossier.enforcements.get(term.enforcement_id)
    if e is None:
        return Spared.NOT_ON_FILE
    if e.filed:
        return Spared.FILED_AWAY
    if not _belongs(e, cohort):
        return Spared.NOT_IN_COHORT
    return already(e, now)


def already(e: Enforcement, now: int) -> Spared | None:
    """Why there is nothing to reverse, whatever cohort it is in; None: there is."""
    if e.reversed_version >= e.version:
        return Spared.ALREADY_REVERSED
    if not stands(e, now) and not something_remains(e):
        return Spared.NOTHING_LEFT
    return None


def in_time(term: Term, cohort: Cohort) -> bool:
    """Whether it was issued within the cohort's time, which the term itself tells."""
    return cohort.issued_from <= term.issued_at < cohort.issued_until


def tally(tallied: Tallied, term: Term, e: Enforcement) -> None:
    """Count an enforcement that is to be reversed, with the money that would go back."""
    tallied.enforcements += 1
    if term.user_id != tallied.last_user:
        tallied.users += 1
        tallied.last_user = term.user_id
    tallied.by_action[e.action] = tallied.by_action.get(e.action, 0) + 1
    for due in money_due(e).values():
        known = tallied.money.get(due.currency)
        if known is None and len(tallied.money) >= MAX_CURRENCIES:
            continue
        tallied.money[due.currency] = min((known or Decimal(0)) + due.value, MOST_MONEY)


def example(term: Term, e: Enforcement) -> Example:
    """The enforcement as an example; its amount is what would go back, if that is one currency."""
    due = list(money_due(e).values())
    currencies = {amount.currency for amount in due}
    amount = Sum(sum((s.value for s in due), Decimal(0)), currencies.pop()) if len(currencies) == 1 else None
    return Example(UserId(term.user_id), term.enforcement_id, e.action, Millis(e.issued_at), amount)


def _belongs(e: Enforcement, cohort: Cohort) -> bool:
    return (
        (e.detector, e.detector_version) == (cohort.detector, cohort.version)
        and (cohort.policy is None or e.policy == cohort.policy)
        and cohort.issued_from <= e.issued_at < cohort.issued_until
    )
