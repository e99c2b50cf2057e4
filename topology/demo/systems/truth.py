"""What should be so: each enforcement told again as if what was overturned of it had never been.

Directives are not looked at: only what the enforcing side did and what was decided about it. An enforcement's story
is told without those of others, so nothing here can confuse two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from schemas.records import (
    EnforcementAmended,
    EnforcementEvent,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    Lesser,
    ReversalOrdered,
    UserProfileUpdated,
)
from schemas.vocabulary import Action, EffectKind, Outcome
from topology.demo.systems.purse import stated
from topology.demo.systems.restrictions import STATUS_KINDS, Held, left_by, plain, put
from topology.demo.systems.view import Place, View


@dataclass(frozen=True)
class Verdict:
    """What was decided about one version of an enforcement."""

    enforcement_id: EnforcementId
    version: int
    at: int
    """UTC ms."""
    lesser: Lesser | None = None
    """What is left; none: nothing."""


Chapter = EnforcementIssued | EnforcementAmended | EnforcementLifted | Verdict


def verdict_of(order: ReversalOrdered) -> Verdict:
    """The decision behind an order, without its directives."""
    lesser = order.lesser if order.outcome is Outcome.MODIFIED else None
    return Verdict(order.enforcement_id, order.enforcement_version, order.ordered_at, lesser)


def verdicts_of(orders: Iterable[ReversalOrdered]) -> list[Verdict]:
    """The decisions behind orders that may be sent again: each reversal of a version once, as it was ordered first."""
    first: dict[tuple[str, int], ReversalOrdered] = {}
    for order in orders:
        first.setdefault((order.reversal_id, order.enforcement_version), order)
    return [verdict_of(order) for order in first.values()]


def woven(events: Iterable[EnforcementEvent], verdicts: Iterable[Verdict]) -> list[Chapter]:
    """One user's events, in the order of their topic, and verdicts, each once, in the order in which they count.

    A verdict about a version comes after that version and before the next; else the times decide.
    """
    chapters: list[Chapter] = [event for event in events if not isinstance(event, UserProfileUpdated)]
    for verdict in sorted(verdicts, key=lambda v: v.at):
        place = 0
        for n, chapter in enumerate(chapters):
            if chapter.enforcement_id != verdict.enforcement_id:
                continue
            version = chapter.version if isinstance(chapter, EnforcementIssued | EnforcementAmended) else None
            if version is not None and version > verdict.version:
                break
            if version is not None or _time(chapter) <= verdict.at:
                place = n + 1
        chapters.insert(place, verdict)
    return chapters


def truth(history: Sequence[Chapter], at: int) -> View:
    """What should hold of one user at `at` (UTC ms) after this history."""
    restrictions: dict[Place, frozenset[Held]] = {}
    money: dict[tuple[str, str], Decimal] = {}
    strikes: dict[tuple[str, str], int] = {}
    for enforcement_id in dict.fromkeys(chapter.enforcement_id for chapter in history):
        story = _Story([chapter for chapter in history if chapter.enforcement_id == enforcement_id])
        for place, held in story.restrictions():
            restrictions[place] = restrictions.get(place, frozenset()) | held
        for currency, value in story.money(at).items():
            if value:
                money[enforcement_id, currency] = value
        for system, n in story.strikes().items():
            if n:
                strikes[system, enforcement_id] = n
    return View(
        restrictions={place: told for place, held in restrictions.items() if (told := plain(held, at))},
        money=money,
        strikes=strikes,
    )


@dataclass
class _Left:
    """What of one effect's money is away."""

    held: bool
    value: Decimal
    gone: Decimal = Decimal(0)
    """Given back for good."""
    ends_at: int | None = None
    lifted: bool = False

    def back(self, value: Decimal) -> None:
        self.gone += value
        self.value -= value

    def away(self, at: int) -> Decimal:
        over = self.held and (self.lifted or (self.ends_at is not None and self.ends_at <= at))
        return Decimal(0) if over else self.value


class _Story:
    """One enforcement from its first word to its last."""

    def __init__(self, chapters: Sequence[Chapter]) -> None:
        self._newest: EnforcementIssued | EnforcementAmended | None = None
        self._lift: EnforcementLifted | None = None
        self._expunged = False
        self._verdict: Verdict | None = None
        self._money: dict[tuple[str, str], _Left] = {}
        for chapter in chapters:
            match chapter:
                case EnforcementLifted():
                    self._lifted(chapter)
                case Verdict():
                    self._judged(chapter)
                case _:
                    self._said(chapter)

    def restrictions(self) -> Iterable[tuple[Place, frozenset[Held]]]:
        """What it still restricts, by place."""
        e = self._newest
        if e is None or self._lift is not None or self._overturned:
            return
        for kind in {effect.kind for effect in e.effects} & STATUS_KINDS:
            held = put(e.action, e.scope, e.ends_at, e.enforcement_id)
            if self._verdict is not None and self._verdict.lesser is not None:
                held = left_by(self._verdict.lesser, kind, e.enforcement_id)
            yield (e.target.kind.value, e.target.id, kind.value), held

    def strikes(self) -> dict[str, int]:
        """What still counts, by system."""
        e = self._newest
        if e is None or self._expunged or self._overturned:
            return {}
        left = e.strikes
        if self._verdict is not None and self._verdict.lesser is not None:
            left = min(left, self._verdict.lesser.strikes)
        return {effect.system: left for effect in e.effects if effect.kind is EffectKind.STRIKES}

    def money(self, at: int) -> dict[str, Decimal]:
        """What is still away, by currency."""
        total: dict[str, Decimal] = {}
        for (_, currency), left in self._money.items():
            total[currency] = total.get(currency, Decimal(0)) + left.away(at)
        return total

    @property
    def _overturned(self) -> bool:
        return self._verdict is not None and self._verdict.lesser is None

    def _said(self, event: EnforcementIssued | EnforcementAmended) -> None:
        if self._newest is not None and event.version <= self._newest.version:
            return
        since = event.issued_at if isinstance(event, EnforcementIssued) else event.occurred_at
        stands_again = self._newest is not None and self._lift is not None and since > self._lift.occurred_at
        if stands_again:
            self._lift = None
        first = self._newest is None
        self._newest, self._verdict = event, None
        self._expunged = self._lift is not None and self._lift.strikes_expunged
        for left in self._money.values():
            left.value = Decimal(0)
        for effect_id, kind, amount in stated(event):
            left = self._money.setdefault((effect_id, amount.currency), _Left(held=False, value=Decimal(0)))
            left.held = kind is EffectKind.PAYOUT_STATUS
            left.value = max(Decimal(0), amount.value - left.gone)
            left.ends_at, left.lifted = event.ends_at, self._lift is not None
        if first and self._lift is not None:
            self._pay_back(self._lift, Decimal(0))

    def _lifted(self, lift: EnforcementLifted) -> None:
        newest = self._newest
        if isinstance(newest, EnforcementAmended) and lift.occurred_at < newest.occurred_at:
            return  # about an earlier version
        paid = Decimal(0) if self._lift is None else _returned(self._lift)
        if self._lift is None or _returned(lift) > paid:
            self._lift = lift
        if newest is None:
            return
        self._expunged = self._expunged or lift.strikes_expunged
        self._pay_back(lift, paid)
        for left in self._money.values():
            left.lifted = True

    def _pay_back(self, lift: EnforcementLifted, paid: Decimal) -> None:
        """What the lift returns, as far as it was not paid before; a hold that is over has paid out already."""
        purse = max(Decimal(0), _returned(lift) - paid)
        for (_, currency), left in self._money.items():
            if lift.amount_returned is not None and currency == lift.amount_returned.currency:
                share = min(purse, left.value)
                left.back(share)
                purse -= share

    def _judged(self, verdict: Verdict) -> None:
        if self._newest is None or self._newest.version != verdict.version or self._overturned:
            return
        self._verdict = verdict
        lesser = verdict.lesser
        kept = Decimal(0) if lesser is None or lesser.amount is None else lesser.amount.value
        for (_, currency), left in reversed(self._money.items()):
            stays = Decimal(0)
            if lesser is not None and lesser.amount is not None and lesser.amount.currency == currency:
                stays = min(kept, left.value)
                kept -= stays
            left.back(left.value - stays)
            if lesser is not None and left.held:
                left.held, left.ends_at = lesser.action is Action.PAYOUT_HOLD, lesser.ends_at


def _returned(lift: EnforcementLifted) -> Decimal:
    return Decimal(0) if lift.amount_returned is None else lift.amount_returned.value


def _time(chapter: Chapter) -> int:
    match chapter:
        case EnforcementIssued():
            return chapter.issued_at
        case Verdict():
            return chapter.at
        case _:
            return chapter.occurred_at
