"""The money of all enforcements as double entry: what was taken must be what went back and what is kept.

Computed from what lies on the topics alone, so it proves the engine's sums rather than repeating them: nothing of the
decision logic is used here. For each account (user, enforcement, effect, currency), and so for any sum of accounts:

    taken + too much back = given back + ordered back + kept
    ordered back = confirmed back + still to come

The order in which records of different topics are added does not matter, nor does adding one twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, localcontext
from enum import StrEnum

from schemas.records import (
    CaseEvent,
    DirectiveAcked,
    EnforcementAmended,
    EnforcementIssued,
    EnforcementLifted,
    Money,
    Record,
    ReversalOrdered,
)
from schemas.vocabulary import AckStatus, CaseEventKind, Operation
from topology.reversals.amounts import exact
from topology.reversals.money_facts import EnforcementMoney

_MONEY = frozenset({Operation.RELEASE, Operation.REPAY})
_DONE = frozenset({CaseEventKind.DIRECTIVE_APPLIED, CaseEventKind.DIRECTIVE_RESOLVED})
_MOVED = frozenset({AckStatus.APPLIED, AckStatus.ALREADY_APPLIED})
_EXACT = Context(prec=100, traps=[Inexact])
ZERO = Decimal(0)


class FaultKind(StrEnum):
    """What does not balance."""

    MORE_THAN_TAKEN = "more_than_taken"
    OTHER_CURRENCY = "other_currency"
    """Money went back in another currency than it was taken in."""
    TWO_AMOUNTS = "two_amounts"
    """One directive was sent with different amounts."""
    MOVED_OTHERWISE = "moved_otherwise"
    """A system moved another amount than it was told, and nobody has put that right yet."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not balance."""

    kind: FaultKind
    user_id: str
    enforcement_id: str
    effect_id: str | None
    """None: the enforcement as a whole."""
    directive_ids: tuple[str, ...]
    amount: Decimal
    """By how much; of ``moved_otherwise`` what the system says it moved."""
    currency: str
    text: str


@dataclass(frozen=True, slots=True)
class Sums:
    """One line: an account, or a sum of accounts in one currency."""

    taken: Decimal = ZERO
    given_back: Decimal = ZERO
    """By the enforcing side."""
    ordered: Decimal = ZERO
    """Back, by directives."""
    confirmed: Decimal = ZERO
    """Of these, what is back."""
    too_much: Decimal = ZERO
    """Went back, or is ordered back, beyond what was taken."""

    @property
    def to_come(self) -> Decimal:
        """Ordered back and not confirmed."""
        with localcontext(_EXACT):
            return self.ordered - self.confirmed

    @property
    def kept(self) -> Decimal:
        """Taken, and neither given nor ordered back."""
        with localcontext(_EXACT):
            return self.taken + self.too_much - self.given_back - self.ordered

    def plus(self, other: Sums) -> Sums:
        """Both lines together."""
        with localcontext(_EXACT):
            return Sums(
                self.taken + other.taken,
                self.given_back + other.given_back,
                self.ordered + other.ordered,
                self.confirmed + other.confirmed,
                self.too_much + other.too_much,
            )


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """Where money was taken from, or held."""

    user_id: str
    enforcement_id: str
    effect_id: str
    """Empty: the enforcement as a whole."""
    currency: str


@dataclass(frozen=True)
class Ledger:
    """All accounts, in order of user, enforcement and effect."""

    accounts: dict[Account, Sums]
    faults: list[Fault]

    def by_user(self) -> dict[tuple[str, str], Sums]:
        """One line a user and currency."""
        return _summed((account.user_id, account.currency, sums) for account, sums in self.accounts.items())

    def totals(self) -> dict[str, Sums]:
        """One line a currency."""
        found = _summed(("", account.currency, sums) for account, sums in self.accounts.items())
        return {currency: sums for (_, currency), sums in found.items()}

    def only(self, *, user_id: str | None = None, currency: str | None = None) -> Ledger:
        """What concerns this user, or this currency, or both."""
        return Ledger(
            {
                account: sums
                for account, sums in self.accounts.items()
                if user_id in (None, account.user_id) and currency in (None, account.currency)
            },
            [f for f in self.faults if user_id in (None, f.user_id) and currency in (None, f.currency)],
        )


def _summed(lines: Iterable[tuple[str, str, Sums]]) -> dict[tuple[str, str], Sums]:
    found: dict[tuple[str, str], Sums] = {}
    for user_id, currency, sums in lines:
        found[user_id, currency] = found.get((user_id, currency), Sums()).plus(sums)
    return dict(sorted(found.items()))


@dataclass
class _Order:
    """One directive that moves money."""

    enforcement: tuple[str, str]
    effect_id: str
    version: int
    amounts: set[tuple[Decimal, str]] = field(default_factory=set[tuple[Decimal, str]])

    @property
    def value(self) -> Decimal:
        return max(value for value, _ in self.amounts)

    @property
    def currency(self) -> str:
        return max(self.amounts)[1]


class Books:
    """Takes records in, and balances them."""

    def __init__(self) -> None:
        self._enforcements: dict[tuple[str, str], EnforcementMoney] = defaultdict(EnforcementMoney)
        self._orders: dict[str, _Order] = {}
        self._done: set[str] = set()
        self._moved: dict[str, dict[str, Money]] = defaultdict(dict)
        """What systems say they moved, by directive and answer."""

    def add(self, record: Record) -> None:
        """Enter a record; what says nothing about money is passed over."""
        match record:
            case EnforcementIssued() | EnforcementAmended() | EnforcementLifted():
                self._enforcements[record.user_id, record.enforcement_id].take(record)
            case ReversalOrdered():
                self._add_orders(record)
            case CaseEvent():
                if record.kind in _DONE:
                    named = record.saw.get("directives") or record.saw.get("directive_id") or ""
                    self._done.update(named.split(","))
            case DirectiveAcked():
                if record.status in _MOVED and record.amount is not None:
                    self._moved[record.directive_id].setdefault(record.event_id, record.amount)
            case _:
                pass

    def balance(self) -> Ledger:
        """All accounts, and what does not balance."""
        of_enforcement: dict[tuple[str, str], dict[str, _Order]] = defaultdict(dict)
        for directive_id, order in self._orders.items():
            of_enforcement[order.enforcement][directive_id] = order
        accounts: dict[Account, Sums] = {}
        faults: list[Fault] = []
        with localcontext(_EXACT):
            for key in sorted(self._enforcements.keys() | of_enforcement.keys()):
                money = self._enforcements.get(key, EnforcementMoney())
                orders = dict(sorted(of_enforcement[key].items()))
                for account, sums in self._accounts(key, money, orders):
                    accounts[account] = sums
                    if sums.too_much:
                        faults.append(_too_much(account, sums, orders, money))
                faults += self._odd_orders(key, orders)
        return Ledger(dict(sorted(accounts.items())), faults)

    def _add_orders(self, record: ReversalOrdered) -> None:
        for directive in record.directives:
            if directive.operation in _MONEY and directive.amount is not None:
                order = self._orders.setdefault(
                    directive.directive_id,
                    _Order((record.user_id, record.enforcement_id), directive.effect_id, record.enforcement_version),
                )
                order.amounts.add((directive.amount.value, directive.amount.currency))

    def _accounts(
        self, key: tuple[str, str], money: EnforcementMoney, orders: dict[str, _Order]
    ) -> Iterator[tuple[Account, Sums]]:
        taken = money.taken(order.version for order in orders.values())
        ordered: dict[tuple[str | None, str], Decimal] = defaultdict(Decimal)
        confirmed: dict[tuple[str | None, str], Decimal] = defaultdict(Decimal)
        for directive_id, order in orders.items():
            where = order.effect_id, order.currency
            if where not in taken and (None, order.currency) in taken:
                where = None, order.currency  # taken without saying where: any effect of it may give it back
            ordered[where] += order.value
            if directive_id in self._done:
                confirmed[where] += order.value
        returned = money.returned()
        places = sorted({*taken, *ordered}, key=lambda at: (at[0] or "", at[1]))
        given: dict[tuple[str | None, str], Decimal] = {}
        for where in places:  # what the enforcing side gave back first covers what no directive did
            room = max(taken.get(where, ZERO) - ordered[where], ZERO)
            given[where] = min(room, returned.get(where[1], ZERO))
            if given[where]:
                returned[where[1]] -= given[where]
        for currency, rest in returned.items():
            if rest:
                given[None, currency] = given.get((None, currency), ZERO) + rest
        for where in sorted({*places, *given}, key=lambda at: (at[0] or "", at[1])):
            back = given.get(where, ZERO) + ordered[where]
            had = taken.get(where, ZERO)
            sums = Sums(had, given.get(where, ZERO), ordered[where], confirmed[where], max(back - had, ZERO))
            yield Account(*key, where[0] or "", where[1]), sums

    def _odd_orders(self, key: tuple[str, str], orders: dict[str, _Order]) -> Iterator[Fault]:
        for directive_id, order in orders.items():
            if len(order.amounts) > 1:
                told = ", ".join(f"{exact(value)} {currency}" for value, currency in sorted(order.amounts))
                spread = order.value - min(value for value, _ in order.amounts)
                text = f"one directive was sent with different amounts: {told}"
                yield Fault(FaultKind.TWO_AMOUNTS, *key, order.effect_id, (directive_id,), spread, order.currency, text)
            if directive_id in self._done:
                continue
            wrong = {
                (m.value, m.currency)
                for m in self._moved.get(directive_id, {}).values()
                if (m.value, m.currency) not in order.amounts
            }
            for value, currency in sorted(wrong):
                told = f"{exact(order.value)} {order.currency}"
                text = f"the system says that it moved {exact(value)} {currency}, and was told {told}"
                yield Fault(FaultKind.MOVED_OTHERWISE, *key, order.effect_id, (directive_id,), value, currency, text)


def _too_much(account: Account, sums: Sums, orders: dict[str, _Order], money: EnforcementMoney) -> Fault:
    effect_id = account.effect_id or None
    taken = money.taken(order.version for order in orders.values())
    currencies = {currency for effect, currency in taken if effect_id is None or effect in (effect_id, None)}
    ids = tuple(
        directive_id
        for directive_id, order in orders.items()
        if order.currency == account.currency and (effect_id is None or order.effect_id == effect_id)
    )
    if currencies and account.currency not in currencies:
        kind, text = FaultKind.OTHER_CURRENCY, f"taken in {', '.join(sorted(currencies))}, not in {account.currency}"
    else:
        back = sums.given_back + sums.ordered
        kind, text = (
            FaultKind.MORE_THAN_TAKEN,
            f"{exact(sums.taken)} taken or held, {exact(back)} given or ordered back",
        )
    return Fault(kind, account.user_id, account.enforcement_id, effect_id, ids, sums.too_much, account.currency, text)
