"""A decision as it stands in the form: read strictly, and never kept anywhere before it is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from desk.standard import OUTCOMES, Lack, lacks
from schemas.records import Case, Lesser, Millis, Money
from schemas.vocabulary import Action, DismissalReason, Outcome

if TYPE_CHECKING:
    from desk.pages.visit import Visit

E = TypeVar("E", bound=StrEnum)
_LADDER = [action for action in Action if action is not Action.UNKNOWN]


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form says."""

    outcome: Outcome | None = None
    reasons: str = ""
    cited: frozenset[str] = frozenset()
    dismissal: DismissalReason | None = None
    substituted_policy: str = ""
    guidance: str = ""
    lesser: Lesser | None = None
    faults: tuple[str, ...] = field(default=())
    """Codes of fields that cannot be read."""

    def lacks(self, case: Case) -> list[Lack]:
        """All that this decision lacks; none: it can be sent."""
        found = lacks(
            case,
            outcome=self.outcome,
            cited=self.cited,
            reasons=self.reasons,
            dismissal=self.dismissal,
            substituted_policy=self.substituted_policy,
            lesser=self.lesser is not None,
            guidance=self.guidance,
        )
        return found + [Lack(fault) for fault in self.faults]


def draft_of(visit: Visit) -> Draft:
    """The decision that a form holds."""
    outcome = symbol(Outcome, visit.field("outcome"))
    outcome = outcome if outcome in OUTCOMES else None
    faults: list[str] = []
    lesser = _lesser(visit, faults) if outcome is Outcome.MODIFIED else None
    substituted = visit.field("substituted_policy")
    if len(substituted) > 256:  # noqa: PLR2004 - schemas/records: `Name`
        faults.append("long_name")
    return Draft(
        outcome=outcome,
        reasons=visit.field("reasons"),
        cited=frozenset(visit.fields("cited")),
        dismissal=symbol(DismissalReason, visit.field("dismissal")) if outcome is Outcome.DISMISSED else None,
        substituted_policy=substituted if outcome is Outcome.UPHELD_GROUND_CHANGED else "",
        guidance=visit.field("guidance") if outcome is Outcome.REMANDED else "",
        lesser=lesser,
        faults=tuple(faults),
    )


def milder(action: Action) -> list[Action]:
    """What a modification may put in the place of this action: it, if less of it, or what lies lower on the ladder."""
    return _LADDER[: _LADDER.index(action) + 1] if action in _LADDER else []


def symbol(kind: type[E], text: str) -> E | None:
    """A symbol of a closed list; None: it is none, or nothing is chosen."""
    try:
        found = kind(text)
    except ValueError:
        return None
    return None if found.value == "UNKNOWN" else found


def moment(text: str) -> Millis | None:
    """A time as browsers send it, which is meant in UTC.

    Raises:
        ValueError: it is none.
    """
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return Millis(int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000))


def _lesser(visit: Visit, faults: list[str]) -> Lesser | None:
    action = symbol(Action, visit.field("lesser_action"))
    if action is None:
        return None
    try:
        ends_at = moment(visit.field("lesser_ends_at"))
    except (ValueError, OverflowError):
        faults.append("time")
        ends_at = None
    strikes = visit.field("lesser_strikes") or "0"
    if not (strikes.isdecimal() and len(strikes) < 5):  # noqa: PLR2004
        faults.append("number")
        strikes = "0"
    amount = None
    value, currency = visit.field("lesser_amount"), visit.field("lesser_currency").upper()
    if value:
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal(-1)
        if number.is_finite() and number >= 0 and len(currency) == 3 and currency.isascii() and currency.isalpha():  # noqa: PLR2004
            amount = Money(value=number, currency=currency)
        else:
            faults.append("amount")
    scope = [each.strip() for each in visit.field("lesser_scope").split(",") if each.strip()][:100]
    return Lesser(action=action, ends_at=ends_at, scope=scope, amount=amount, strikes=int(strikes))
