"""Conditions of rules, compiled: sets by position, any of the flags, a least amount."""

from typing import TYPE_CHECKING

from msgspec import Struct

from schemas.vocabulary import AppealFlag

if TYPE_CHECKING:
    from processors.rulebook_parts import Conditions

FACTS = ("policy", "action", "category", "language", "region", "target_kind", "band")
"""What conditions can look at, in the order in which triage lays the facts out."""

_FIELDS = ("policies", "actions", "categories", "languages", "regions", "target_kinds", "bands")


class Test(Struct, frozen=True, gc=False):
    """Compiled conditions: sets by position in `FACTS`, any of the flags, and a least amount."""

    sets: tuple[tuple[int, frozenset[str]], ...]
    flags: frozenset[AppealFlag] | None
    amount_at_least: float | None


def holds(test: Test, facts: tuple[str, ...], flags: list[AppealFlag], amount: float) -> bool:
    """Whether all of a rule's conditions hold."""
    for position, allowed in test.sets:
        if facts[position] not in allowed:
            return False
    if test.flags is not None and test.flags.isdisjoint(flags):
        return False
    return test.amount_at_least is None or amount >= test.amount_at_least


def compile_test(when: "Conditions") -> Test:
    """Conditions as the hot path asks them."""
    values = [getattr(when, name, None) for name in _FIELDS]
    return Test(
        sets=tuple((position, frozenset(given)) for position, given in enumerate(values) if given is not None),
        flags=when.flags,
        amount_at_least=None if when.amount_at_least is None else float(when.amount_at_least),
    )
