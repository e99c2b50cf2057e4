"""Watches the versions of a detector, and says once when one of them seems to have gone wrong."""

from __future__ import annotations

from msgspec import Struct

from processors import ids
from processors.insights.cells import WINDOWS, Counts, Cube, add_up, by_cell
from processors.insights.misfire import RULES, Finding, Rules, Suffix, findings, suffixes
from processors.insights.slices import MISFIRE, slice_key
from schemas.records import Detector, Millis, MisfireSuspected
from schemas.vocabulary import MisfireBaseline, MisfireKind

Struck = dict[str, dict[str, list[Cube]]]
"""What is counted of one detector, by when the enforcement was issued: by version, by rule, the partitions' shares."""
Evidence = dict[str, list[Suffix]]
"""By version, in the order in which they first struck: what was seen since each start, the oldest start first."""


class Known(Struct, array_like=True):
    """A misfire that an alert was raised for, and that has not gone away."""

    alert_id: str
    raised_at: int


class Watch:
    """Remembers what it has said; forgets it when the statistic falls below what no fault at all would give."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        """By kind, detector and version."""

    def look(
        self, detector: str, struck: Struck, now: int
    ) -> tuple[list[tuple[str, MisfireSuspected]], list[str]]:  # fmt: skip
        """Test every version of a detector.

        Returns:
            New alerts with the names that they are remembered by, and names that are forgotten.
        """
        alerts: list[tuple[str, MisfireSuspected]] = []
        cleared: list[str] = []
        for kind, rules in RULES.items():
            seen = evidence(struck, rules, now)
            for version in seen:
                found = tested(version, seen, rules)
                if not found:
                    continue
                name = f"{kind}|{slice_key(MISFIRE, detector, version)}"
                if found[0].alarms and name not in self.known:
                    alert = _alert(kind, detector, version, found[0], seen, struck, now)
                    self.known[name] = Known(alert.alert_id, now)
                    alerts.append((name, alert))
                elif found[0].statistic < 0 and self.known.pop(name, None) is not None:
                    cleared.append(name)
        return alerts, cleared


def evidence(struck: Struck, rules: Rules, now: int) -> Evidence:
    """What was seen of each version."""
    found: list[tuple[int, str, list[Suffix]]] = []
    for version, by_policy in struck.items():
        cubes = [cube for shares in by_policy.values() for cube in shares]
        if seen := suffixes(by_cell(cubes, 1, now), by_cell(cubes, 2, now), rules):
            found.append((min(cube.oldest for cube in cubes), version, seen))
    return {version: seen for _, version, seen in sorted(found)}


def tested(version: str, seen: Evidence, rules: Rules) -> list[Finding]:
    """What the test finds of a version, the strongest first."""
    before = predecessor(version, seen, rules)
    whole = None if before is None else seen[before][0]
    return findings(seen[version], rules, None if whole is None else (whole.n, whole.hits))


def predecessor(version: str, seen: Evidence, rules: Rules) -> str | None:
    """The newest version that came before this one and of which enough is known."""
    versions = list(seen)
    earlier = [other for other in versions[: versions.index(version)] if seen[other][0].n >= rules.enough]
    return earlier[-1] if earlier else None


def _alert(
    kind: MisfireKind, detector: str, version: str, found: Finding, seen: Evidence, struck: Struck, now: int
) -> MisfireSuspected:
    before = found.baseline_of is MisfireBaseline.PREDECESSOR
    return MisfireSuspected(
        alert_id=ids.uuid5(f"misfire\x1f{kind}\x1f{detector}\x1f{version}\x1f{found.since}"),
        kind=kind,
        detector=Detector(name=detector, version=version),
        policy=_only_policy(struck[version], kind, found.since, now),
        raised_at=Millis(now),
        baseline_of=found.baseline_of,
        predecessor=predecessor(version, seen, RULES[kind]) if before else None,
        baseline=found.baseline,
        rate=found.hits / found.n,
        n=found.n,
        hits=found.hits,
        statistic=found.statistic,
        threshold=found.threshold,
        since=Millis(found.since),
        until=Millis(now),
        issued_from=Millis(found.since),
        issued_until=Millis(now),
    )


def _only_policy(by_policy: dict[str, list[Cube]], kind: MisfireKind, since: int, now: int) -> str | None:
    """The rule under which it struck wrongly since, if there is only one."""
    found: list[str] = []
    for policy, cubes in by_policy.items():
        counts: Counts = {}
        for index in (1, 2):
            for number, cell in by_cell(cubes, index, now).items():
                if (number + 1) * WINDOWS[index].step_ms > since:
                    add_up(counts, cell)
        if counts.get(RULES[kind].hits):
            found.append(policy)
    return (found[0] or None) if len(found) == 1 else None
