"""Counts complaints and measures exactly: everything once, however often its record is there.

To be filled in this order: appeals, then the audit's lines, then enforcements. So whatever came while the topics were
read is either counted with its cause or not at all, and only what is asked for is kept in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b

from schemas.records import AppealSubmitted, CaseEvent, EnforcementAmended, EnforcementIssued
from schemas.vocabulary import Automation, CaseEventKind, CaseOrigin, Ground, Source
from topology.report.complaint import Complaint, Decider, Measure, Restriction, Result
from topology.report.lives import Cases, Life
from topology.report.period import Period

Content = EnforcementIssued | EnforcementAmended
_Key = tuple[str, str]
"""A user, and something of theirs."""
_WITHOUT = {"remedy": Decider.REMEDY, "cascade": Decider.CONSEQUENCE}


@dataclass(frozen=True, slots=True)
class Undone:
    """An enforcement that was reversed although nobody complained about it."""

    user_id: str
    enforcement_id: str
    reversal_id: str
    decider: Decider
    ordered_at: int
    measure: Measure | None
    confirmed_at: int | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Complaints of one kind. ``total`` is the sum of the four results."""

    upheld: int
    partially_reversed: int
    reversed: int
    omitted: int
    median_ms: Fraction | None
    """From submission to decision, of those that were judged; exact."""

    @property
    def total(self) -> int:
        """All complaints."""
        return self.upheld + self.partially_reversed + self.reversed + self.omitted

    @property
    def judged(self) -> int:
        """Those about which somebody decided whether the restriction was right."""
        return self.total - self.omitted


@dataclass
class Measures:
    """Enforcements issued in the period, by who decided (DSA Art. 15(1)(e))."""

    automated: int = 0
    """Solely by automated means."""
    other: int = 0
    own_automated: int = 0
    """The same of those taken on the platform's own initiative."""
    own_other: int = 0

    def add(self, issued: EnforcementIssued) -> None:
        """One enforcement."""
        solely = issued.automation is Automation.AUTOMATED_DECISION_FULLY
        own = issued.source is Source.SOURCE_VOLUNTARY
        self.automated += solely
        self.other += not solely
        self.own_automated += solely and own
        self.own_other += own and not solely


@dataclass(frozen=True)
class Figures:
    """Everything that a report tells."""

    period: Period
    complaints: list[Complaint]
    further_texts: int
    """Appeals that became a further text of a complaint that was open; they are no complaints of their own."""
    undone: list[Undone]
    measures: Measures

    def tally(self, wanted: Callable[[Complaint], bool] = lambda _: True) -> Tally:
        """Count the complaints of one kind."""
        return tally(one for one in self.complaints if wanted(one))

    def by_restriction(self) -> dict[Restriction, Tally]:
        """All kinds, also those without a complaint."""
        return {kind: self.tally(lambda one, kind=kind: one.restriction is kind) for kind in Restriction}

    def by_ground(self) -> dict[Ground, Tally]:
        """All grounds but ``UNKNOWN``, under which is what is not on file."""
        return {ground: self.tally(lambda one, ground=ground: _ground(one) is ground) for ground in Ground}

    def by_automation(self) -> dict[Automation, Tally]:
        """By how far the decision that is complained about was automated."""
        return {kind: self.tally(lambda one, kind=kind: _automation(one) is kind) for kind in Automation}

    def endings(self, result: Result) -> dict[str, int]:
        """How complaints came to this result, in full; the most frequent first."""
        found = Counter(one.ending.why for one in self.complaints if one.ending.result is result)
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def deciders(self) -> dict[Decider, int]:
        """Who brought the results about, of the complaints that were judged."""
        found = Counter(one.ending.decider for one in self.complaints if one.ending.result is not Result.OMITTED)
        return {decider: found[decider] for decider in Decider if found[decider]}


@dataclass
class Books:
    """What is kept while the topics are read; see the module for the order."""

    period: Period
    _appeals: dict[_Key, AppealSubmitted] = field(default_factory=dict[_Key, AppealSubmitted])
    _lives: dict[_Key, Life] = field(default_factory=dict[_Key, Life])
    _cases: Cases = field(default_factory=Cases)
    _reversals: dict[str, CaseEvent] = field(default_factory=dict[str, CaseEvent])
    """The first order of each reversal without a complaint, by its id."""
    _confirmed: dict[str, int] = field(default_factory=dict[str, int])
    """When reversals were confirmed, by their id."""
    _wanted: set[_Key] = field(default_factory=set[_Key])
    _versions: dict[_Key, dict[int, Measure]] = field(default_factory=dict[_Key, dict[int, Measure]])
    _counted: set[bytes] = field(default_factory=set[bytes])
    _measures: Measures = field(default_factory=Measures)

    def appeal(self, appeal: AppealSubmitted) -> None:
        """An appeal; delivered again it is the same complaint."""
        if self.period.holds(appeal.submitted_at):
            self._appeals.setdefault((appeal.user_id, appeal.appeal_id), appeal)
            self._wanted.add((appeal.user_id, appeal.enforcement_id))

    def line(self, line: CaseEvent) -> None:
        """A line of the audit, each user's in their order."""
        self._cases.take(line)
        key = (line.user_id, line.appeal_id or "")
        if key in self._appeals:
            self._lives.setdefault(key, Life()).take(line)
        reversal_id = line.saw.get("reversal_id")
        if reversal_id is None:
            return
        if line.kind is CaseEventKind.REVERSAL_CONFIRMED:
            self._confirmed[reversal_id] = line.occurred_at
        elif line.kind is CaseEventKind.REVERSAL_ORDERED and self._nobody_complained(line):
            self._reversals.setdefault(reversal_id, line)
            self._wanted.add((line.user_id, line.enforcement_id or ""))

    def _nobody_complained(self, ordered: CaseEvent) -> bool:
        """In the period. What was sent back and not answered is a complaint's, though its second case has no appeal."""
        if not self.period.holds(ordered.occurred_at):
            return False
        case = (ordered.user_id, ordered.case_id or "")
        return ordered.case_id is None or self._cases.internal.get(case) == CaseOrigin.CASCADE

    def enforcement(self, content: Content) -> None:
        """An enforcement, or a new version of one; the first record of a version counts."""
        key = (content.user_id, content.enforcement_id)
        if isinstance(content, EnforcementIssued) and self.period.holds(content.issued_at):
            digest = blake2b("\x1f".join(key).encode(), digest_size=16).digest()
            if digest not in self._counted:
                self._counted.add(digest)
                self._measures.add(content)
        if key in self._wanted:
            self._versions.setdefault(key, {}).setdefault(content.version, _measure(content))

    def figures(self) -> Figures:
        """Count."""
        complaints: list[Complaint] = []
        further = 0
        for key, appeal in self._appeals.items():
            life = self._lives.get(key)
            if life is not None and life.is_further_text:
                further += 1
                continue
            ending = self._cases.ending(appeal.user_id, life)
            complaints.append(
                Complaint(
                    user_id=appeal.user_id,
                    appeal_id=appeal.appeal_id,
                    enforcement_id=appeal.enforcement_id,
                    submitted_at=appeal.submitted_at,
                    measure=self._about(appeal, life),
                    ending=ending,
                    confirmed_at=self._cases.confirmed(appeal.user_id, ending),
                )
            )
        complaints.sort(key=lambda one: (one.submitted_at, one.user_id, one.appeal_id))
        return Figures(self.period, complaints, further, self._undone(), self._measures)

    def _about(self, appeal: AppealSubmitted, life: Life | None) -> Measure | None:
        """The version that the engine judged; else the one that the appeal names; else the newest before it."""
        versions = self._versions.get((appeal.user_id, appeal.enforcement_id))
        if versions is None:
            return None
        for named in (None if life is None else life.version, appeal.enforcement_version):
            if named in versions:
                return versions[named]
        before = [number for number, one in versions.items() if one.noticed_at <= appeal.submitted_at]
        return versions[max(before, default=min(versions))]

    def _undone(self) -> list[Undone]:
        """Newest version: what was in force when it was reversed, unless the enforcing side changed it later."""
        found: list[Undone] = []
        for reversal_id, line in self._reversals.items():
            versions = self._versions.get((line.user_id, line.enforcement_id or ""), {})
            before = [number for number, one in versions.items() if one.noticed_at <= line.occurred_at]
            found.append(
                Undone(
                    user_id=line.user_id,
                    enforcement_id=line.enforcement_id or "",
                    reversal_id=reversal_id,
                    decider=_WITHOUT.get(line.saw.get("cause", ""), Decider.PEOPLE),  # people, in an internal case
                    ordered_at=line.occurred_at,
                    measure=versions.get(max(before, default=min(versions, default=0))),
                    confirmed_at=self._confirmed.get(reversal_id),
                )
            )
        return sorted(found, key=lambda one: (one.ordered_at, one.reversal_id))


def tally(complaints: Iterable[Complaint]) -> Tally:
    """Count complaints by their results."""
    results: Counter[Result] = Counter()
    times: list[int] = []
    for one in complaints:
        results[one.ending.result] += 1
        if one.decided_ms is not None:
            times.append(one.decided_ms)
    return Tally(
        upheld=results[Result.UPHELD],
        partially_reversed=results[Result.PARTIALLY_REVERSED],
        reversed=results[Result.REVERSED],
        omitted=results[Result.OMITTED],
        median_ms=median(times),
    )


def median(values: Iterable[int]) -> Fraction | None:
    """The exact median; of an even number, the middle of the two in the middle."""
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return Fraction(ordered[middle])
    return Fraction(ordered[middle - 1] + ordered[middle], 2)


def _measure(content: Content) -> Measure:
    issued = isinstance(content, EnforcementIssued)
    return Measure(
        version=content.version,
        noticed_at=content.issued_at if issued else content.occurred_at,
        action=content.action,
        ground=content.ground,
        source=content.source,
        automation=content.automation,
        statement_of_reasons_id=content.statement_of_reasons_id,
    )


def _ground(one: Complaint) -> Ground:
    return Ground.UNKNOWN if one.measure is None else one.measure.ground


def _automation(one: Complaint) -> Automation:
    return Automation.UNKNOWN if one.measure is None else one.measure.automation
