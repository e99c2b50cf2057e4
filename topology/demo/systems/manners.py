"""How systems answer: busy for a while, broken, silent, twice, late. Drawn by hashing, so by no order of arrival."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum, auto


class Deed(Enum):
    """What a system does with a directive that reaches it."""

    OBEY = auto()
    LOSE_ANSWER = auto()
    """Obeys, and its answer is lost: the engine must send again."""
    SAY_NOTHING = auto()
    """Neither obeys nor answers."""
    BE_BUSY = auto()
    """Says that it cannot now."""
    BE_BROKEN = auto()
    """Says that it never can; people must see to it."""


@dataclass(frozen=True)
class Shares:
    """How often things go wrong, 0 to 1."""

    busy: float = 0.06
    """Of directives, how many find their system busy for one attempt or more."""
    broken: float = 0.0
    """Of attempts, how many are refused for good."""
    silent: float = 0.02
    lost: float = 0.02
    twice: float = 0.04
    """Of answers, how many go out twice."""
    tells_amount: float = 0.5
    """Of answers about money, how many say how much moved."""
    longest_busy: int = 2
    """Attempts that a system is busy for at most."""


@dataclass(frozen=True)
class Manner:
    """How one attempt at one directive is answered."""

    deed: Deed = Deed.OBEY
    delay: float = 0.0
    """Of the longest that a system takes, 0 to 1: answers overtake each other."""
    again: float | None = None
    """If the answer goes out twice, how much later the second time, like `delay`."""
    tells_amount: bool = True


_CALM = Manner()


@dataclass(frozen=True)
class Manners:
    """The manners of all systems of one world."""

    seed: int
    shares: Shares = Shares()
    quiet: bool = False

    def calm(self) -> Manners:
        """The same world when nothing goes wrong any more."""
        return Manners(self.seed, self.shares, quiet=True)

    def of(self, directive_id: str, attempt: int) -> Manner:
        """How this attempt is answered: the same whenever it is asked."""
        if self.quiet:
            return _CALM
        return Manner(
            deed=self._deed(directive_id, attempt),
            delay=self._draw("delay", directive_id, attempt),
            again=self._draw("again", directive_id, attempt)
            if self._draw("twice", directive_id, attempt) < self.shares.twice
            else None,
            tells_amount=self._draw("amount", directive_id, attempt) < self.shares.tells_amount,
        )

    def _deed(self, directive_id: str, attempt: int) -> Deed:
        shares = self.shares
        if self._draw("busy", directive_id, 0) < shares.busy:
            busy_for = 1 + int(self._draw("how long", directive_id, 0) * shares.longest_busy)
            if attempt <= busy_for:
                return Deed.BE_BUSY
        draw = self._draw("deed", directive_id, attempt)
        for deed, share in (
            (Deed.BE_BROKEN, shares.broken),
            (Deed.SAY_NOTHING, shares.silent),
            (Deed.LOSE_ANSWER, shares.lost),
        ):
            if draw < share:
                return deed
            draw -= share
        return Deed.OBEY

    def _draw(self, what: str, directive_id: str, attempt: int) -> float:
        digest = hashlib.blake2b(f"{self.seed} {what} {directive_id} {attempt}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64
