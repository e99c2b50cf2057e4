"""What a decision may leave of an enforcement is harder in no respect, and less in one."""

import pytest

from processors.filing import filed as file
from processors.lesser import filed, not_lesser
from schemas.records import Lesser, Millis
from schemas.vocabulary import Action, EffectKind
from tests.unit.builders import DAY, T0, an_effect, an_enforcement, euros


def fault(lesser: Lesser) -> str | None:
    """Against a fee of 40 euros."""
    fee = [an_effect(EffectKind.MONEY_TAKEN, amount=euros("40"))]
    return not_lesser(filed(lesser), file(an_enforcement(action=Action.FEE, effects=fee), T0))


@pytest.mark.parametrize("end", [None, Millis(T0 + DAY)])
def test_smaller_fee_is_less_whatever_end_is_named_as_an_end_says_nothing_of_a_fee(end: Millis | None) -> None:
    assert fault(Lesser(action=Action.FEE, ends_at=end, amount=euros("39.99"))) is None


@pytest.mark.parametrize("end", [None, Millis(T0 + DAY)])
def test_same_fee_is_not_less_even_with_an_end(end: Millis | None) -> None:
    assert fault(Lesser(action=Action.FEE, ends_at=end, amount=euros("40"))) == "it is not less in any respect"
