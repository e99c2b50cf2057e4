"""A remedy as a whole: the newest report of each partition, added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, localcontext

from schemas.records import Money, RemedyCounts, RemedyReported
from schemas.vocabulary import RemedyEventKind, RemedyState

_OWN_STEPS = frozenset(
    {RemedyEventKind.PREVIEWED, RemedyEventKind.STARTED, RemedyEventKind.PROGRESSED, RemedyEventKind.DONE}
)
"""Reports that no command of a person asked for."""
_EXACT = Context(prec=100, traps=[Inexact])
OVER = frozenset({RemedyState.DONE, RemedyState.STOPPED})


@dataclass
class Whole:
    """One remedy over all partitions."""

    remedy_id: str
    reports: dict[int, RemedyReported] = field(default_factory=dict[int, RemedyReported])
    """The newest, by partition."""
    answers: dict[str, dict[int, RemedyReported]] = field(default_factory=dict[str, dict[int, RemedyReported]])
    """What partitions said to each command, by its `event_id`."""

    def take(self, report: RemedyReported) -> None:
        """Note a report, in whatever order they come."""
        if self.reports and report.partitions != self.partitions and report.seq > max(self._seqs):
            # The users have moved to another number of partitions, whose reports count on from the highest number of
            # before (docs/reshard.md): they replace all of before.
            self.reports.clear()
        known = self.reports.get(report.partition)
        current = not self.reports or report.partitions == self.partitions
        if current and (known is None or report.seq > known.seq):
            self.reports[report.partition] = report
        if report.kind not in _OWN_STEPS:
            self.answers.setdefault(report.cause_id, {}).setdefault(report.partition, report)

    @property
    def _seqs(self) -> list[int]:
        return [report.seq for report in self.reports.values()]

    @property
    def partitions(self) -> int:
        """How many there are, by those that have reported."""
        return max(report.partitions for report in self.reports.values())

    @property
    def missing(self) -> list[int]:
        """Partitions that have never reported."""
        return sorted(set(range(self.partitions)) - self.reports.keys())

    @property
    def first(self) -> RemedyReported:
        """Any report: for what is the same in all partitions."""
        return self.reports[min(self.reports)]

    @property
    def states(self) -> Counter[RemedyState]:
        """How many partitions are in which state."""
        return Counter(report.state for report in self.reports.values())

    @property
    def over(self) -> bool:
        """Whether no partition will do anything more."""
        return not self.missing and all(state in OVER for state in self.states)

    @property
    def approved_by(self) -> list[str]:
        """Whoever has approved in some partition."""
        return list(dict.fromkeys(who for _, r in sorted(self.reports.items()) for who in r.approved_by))

    @property
    def cohort(self) -> RemedyCounts:
        """What the dry run found to be reversed."""
        return added(report.cohort for report in self.reports.values())

    @property
    def done(self) -> RemedyCounts:
        """What has been ordered."""
        return added(report.done for report in self.reports.values())

    @property
    def spared(self) -> Counter[str]:
        """What the dry run left alone, by reason."""
        return sum((Counter(r.spared) for r in self.reports.values()), Counter[str]())

    @property
    def skipped(self) -> Counter[str]:
        """What was met and left alone while it ran, by reason."""
        return sum((Counter(r.skipped) for r in self.reports.values()), Counter[str]())


def wholes(reports: Iterable[RemedyReported]) -> dict[str, Whole]:
    """All remedies, by id, in the order in which they were first reported."""
    found: dict[str, Whole] = {}
    for report in reports:
        found.setdefault(report.remedy_id, Whole(report.remedy_id)).take(report)
    return found


def added(counts: Iterable[RemedyCounts]) -> RemedyCounts:
    """Counts of several partitions; a user is in one of them only, so users add up as well."""
    enforcements = users = 0
    by_action: Counter[str] = Counter()
    money: dict[str, Decimal] = {}
    with localcontext(_EXACT):
        for one in counts:
            enforcements += one.enforcements
            users += one.users
            by_action.update(one.by_action)
            for amount in one.money:
                money[amount.currency] = money.get(amount.currency, Decimal(0)) + amount.value
    return RemedyCounts(
        enforcements=enforcements,
        users=users,
        by_action=dict(sorted(by_action.items())),
        money=[Money(value=value, currency=currency) for currency, value in sorted(money.items())],
    )


def share(done: RemedyCounts, skipped: int, cohort: RemedyCounts) -> float:
    """How much of the cohort has been dealt with, 0 to 1."""
    return 1.0 if not cohort.enforcements else min(1.0, (done.enforcements + skipped) / cohort.enforcements)
