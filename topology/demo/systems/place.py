"""What restricts one target in one way: the enforcing side's own measures there, and what directives said must hold."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from schemas.records import Directive, EnforcementId, Restriction
from topology.demo.systems.restrictions import Held

_NONE: frozenset[Held] = frozenset()


@dataclass
class Place:
    """One target and kind of effect in one system.

    A measure that was put on another target and reaches this one (an account's ban, its listings) is looked up where
    it was put: a directive that names it changes nothing about it here. A measure that something harder covers does
    not show and is kept all the same, as it shows again once that is lifted.
    """

    shown: frozenset[Held] = _NONE
    """What was put here or told to hold."""
    under: frozenset[Held] = _NONE
    """What is in force and does not show: something harder covers it, here or where it was put."""
    forms: dict[EnforcementId, frozenset[Held]] = field(default_factory=dict[EnforcementId, frozenset[Held]])
    """What each measure that was ever put here says by itself; empty once it was lifted or overturned."""
    revision: int = -1
    """The highest of the directives that were obeyed here."""
    judged: dict[EnforcementId, int] = field(default_factory=dict[EnforcementId, int])
    """The highest revision of the directives about each measure."""

    @property
    def held(self) -> frozenset[Held]:
        """All that is in force here."""
        return self.shown | self.under

    def put(self, owner: EnforcementId, form: frozenset[Held]) -> None:
        """The enforcing side itself says what is in force of this measure here."""
        self.forms[owner] = form
        self.shown = _of_others(self.shown, owner) | form
        self.under = _of_others(self.under, owner)

    def forget(self, owner: EnforcementId) -> None:
        """The measure does not concern this place any more."""
        self.put(owner, _NONE)  # a directive may have named it before anybody here had heard of it
        del self.forms[owner]

    def judge(self, owner: EnforcementId, form: frozenset[Held], revision: int) -> bool:
        """A decision says what is left of this measure; only what does not show is changed at once.

        Returns:
            Whether nothing newer has been said of it.
        """
        if owner not in self.forms or revision < self.judged.get(owner, -1):
            return False
        self.judged[owner] = revision
        self.forms[owner] = form
        others = _of_others(self.shown, owner)
        covering = others | (self.under - _of_others(self.under, owner))  # what covers the whole covers what is left
        self.under = _of_others(self.under, owner) | {held for held in form if _covered(held, covering)}
        return True

    def restore(self, directive: Directive, known: Collection[EnforcementId]) -> bool:
        """Exactly what the directive says holds; false if a newer one was obeyed here already.

        Args:
            directive: of this place.
            known: the user's enforcements that the systems have heard of.
        """
        if directive.revision <= self.revision:
            return False
        told = frozenset(map(_held, directive.state))
        self.shown = frozenset(h for h in told if h.enforcement_id in self.forms or h.enforcement_id not in known)
        self.under = frozenset(held for form in self.forms.values() for held in form if _covered(held, told))
        self.revision = directive.revision
        return True


def _of_others(held: frozenset[Held], owner: EnforcementId) -> frozenset[Held]:
    return frozenset(h for h in held if h.enforcement_id != owner)


def _held(restriction: Restriction) -> Held:
    return Held(restriction.action, restriction.territory, restriction.ends_at, restriction.enforcement_id)


def _covered(held: Held, by: Collection[Held]) -> bool:
    return any(other.covers(held) for other in by)
