"""Two sets of fates of the same inputs, told apart and counted. Pure; what it says is all that the report shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from processors import ids
from schemas.records import AppealId
from topology.simulate.books import BookChange
from topology.simulate.changes import Change, Kind, answer_of, changes, deadline_of, decided_by, promise_of
from topology.simulate.fates import Answer, Fate, Fates, Unfit, triggers_of

_BEARS_ON: dict[Kind, tuple[str, ...]] = {
    Kind.ANSWER: ("intake",),
    Kind.BAND: ("bands", "overrides"),
    Kind.POD: ("routing", "pods", "overrides"),
    Kind.RULE: ("routing", "overrides"),
    Kind.RANK: ("slack", "bands", "review"),
    Kind.PROMISED: ("bands",),
    Kind.DUE: ("review",),
    Kind.AUTOMATIC: ("automation", "strikes"),
    Kind.OUTCOME: ("strikes",),
    Kind.OTHER: ("reversal", "review", "intake", "strikes", "immunity"),
}
"""Sections of the rulebook that can explain a kind of difference beside the case itself."""
_FEW = 3


class Window(NamedTuple):
    """Which appeals are compared, by when they were answered: UTC ms, from `since` up to but without `until`."""

    since: int | None = None
    until: int | None = None

    @property
    def whole(self) -> bool:
        """All of them."""
        return self.since is None and self.until is None

    def holds(self, at: int) -> bool:
        """Does this moment lie within it?"""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


ALL = Window()


class Moved(msgspec.Struct, frozen=True):
    """So many appeals have this under the old rulebook and that under the new one."""

    old: str
    new: str
    count: int


class Tally(msgspec.Struct, frozen=True):
    """How many cases, under each rulebook."""

    name: str
    old: int
    new: int


class NoLongerFits(msgspec.Struct, frozen=True):
    """Recorded reviews that are rejected under the new rulebook, and were not under the old one."""

    event: str
    reason: str
    count: int


class Comparison(msgspec.Struct, kw_only=True):
    """All differences between two rulebooks over the same inputs."""

    appeals: int
    """Compared: answered within the window under either rulebook."""
    cases: Tally
    internal: Tally
    """Cases without an appeal; they are told apart like appeals, but are none."""
    consequences: list[Tally]
    """What was judged again because its cause was overturned, by verdict, and breaches of immunity; no window."""
    changed: dict[str, int]
    """Appeals, and cases without one, by kind of difference."""
    appeals_changed: int
    bands: list[Moved]
    """All cases that both open, moved or not, by their band at opening."""
    pods: list[Moved]
    """Only those that moved."""
    answers: list[Moved]
    outcomes: list[Moved]
    deadlines: list[Tally]
    promises: list[Tally]
    decided_by: list[Tally]
    second_reviews_added: dict[str, int]
    """By trigger; a case can have several."""
    second_reviews_removed: dict[str, int]
    no_longer_fits: list[NoLongerFits]
    fits_only_now: list[NoLongerFits]
    """The other way round."""
    cases_unfit: int
    """Cases with a recorded review that no longer fits: how they end is no forecast."""
    dead_letters: list[Tally]
    """By reason."""
    users_otherwise: int
    """Users about whom something differs that belongs to no appeal; counted without a window only."""
    changes: list[Change]
    """Each of them, the largest first within a kind."""

    @property
    def differs(self) -> bool:
        """Does anything differ?"""
        return bool(
            self.changes
            or self.no_longer_fits
            or self.fits_only_now
            or self.users_otherwise
            or any(tally.old != tally.new for tally in (*self.dead_letters, *self.consequences))
        )


def compare(old: Fates, new: Fates, *, books: Iterable[BookChange] = (), window: Window = ALL) -> Comparison:
    """Tell the fates apart.

    Args:
        old: under the rulebook in force.
        new: under the other one.
        books: what differs between the rulebooks, to explain by.
        window: which appeals count.
    """
    pairs = list(_pairs(old, new, window))
    of_cases = [(a, b) for a, b in pairs if a.first is not None and b.first is not None]
    found = [change for a, b in pairs for change in changes(a, b)]
    compared = {str(ids.case_id(AppealId(b.appeal_id))) for _, b in pairs}
    unfit, refit = (list(_unfit(x, y, compared, window)) for x, y in ((old, new), (new, old)))
    added, removed = (
        Counter(name for a, b in of_cases for name in sorted(_more(triggers_of(a), triggers_of(b), turn)))
        for turn in (1, -1)
    )
    kinds = Counter(change.kind for change in found)
    return Comparison(
        appeals=sum(Answer.INTERNAL not in (a.answer, b.answer) for a, b in pairs),
        cases=Tally("cases", sum(a.first is not None for a, _ in pairs), sum(b.first is not None for _, b in pairs)),
        internal=Tally("internal", *(sum(fate.answer is Answer.INTERNAL for fate in side) for side in _sides(pairs))),
        consequences=_by_name(old.consequences, new.consequences),
        changed={kind.value: kinds[kind] for kind in Kind if kinds[kind]},
        appeals_changed=len({(change.user_id, change.appeal_id) for change in found}),
        bands=_moved((str(a.first.band), str(b.first.band)) for a, b in of_cases if a.first and b.first),
        pods=_moved(of(found, Kind.POD)),
        answers=_moved((answer_of(a), answer_of(b)) for a, b in pairs if answer_of(a) != answer_of(b)),
        outcomes=_moved(of(found, Kind.OUTCOME)),
        deadlines=_tallies(*zip(*((deadline_of(a), deadline_of(b)) for a, b in of_cases), strict=True)),
        promises=_tallies(*zip(*((promise_of(a), promise_of(b)) for a, b in of_cases), strict=True)),
        decided_by=_tallies(*zip(*((decided_by(a), decided_by(b)) for a, b in of_cases), strict=True)),
        second_reviews_added=dict(sorted(added.items())),
        second_reviews_removed=dict(sorted(removed.items())),
        no_longer_fits=_counted(unfit),
        fits_only_now=_counted(refit),
        cases_unfit=len({item.case_id for item in unfit if item.case_id is not None}),
        dead_letters=_by_name(old.dead_letters, new.dead_letters),
        users_otherwise=_otherwise(old, new) if window.whole else 0,
        changes=_explained(found, list(books)),
    )


def of(found: Iterable[Change], kind: Kind) -> Iterator[tuple[str, str]]:
    """Old and new of the changes of a kind."""
    return ((change.old, change.new) for change in found if change.kind is kind)


def _pairs(old: Fates, new: Fates, window: Window) -> Iterator[tuple[Fate, Fate]]:
    """Each appeal's two fates; one that a rulebook never answers has an empty one there."""
    for user, appeal in sorted({*old.appeals, *new.appeals}):
        a = old.appeals.get((user, appeal)) or Fate(user, appeal)
        b = new.appeals.get((user, appeal)) or Fate(user, appeal)
        if window.whole or any(fate.answered_at and window.holds(fate.answered_at) for fate in (a, b)):
            yield a, b


def _sides(pairs: list[tuple[Fate, Fate]]) -> tuple[list[Fate], list[Fate]]:
    return [a for a, _ in pairs], [b for _, b in pairs]


def _unfit(before: Fates, after: Fates, compared: set[str], window: Window) -> Iterator[Unfit]:
    """Events that only `after` rejects, or for another reason."""
    for where, item in sorted(after.unfit.items()):
        earlier = before.unfit.get(where)
        counts = item.case_id in compared if item.case_id is not None else window.holds(item.at)
        if counts and (earlier is None or earlier.reason != item.reason):
            yield item


def _counted(items: Iterable[Unfit]) -> list[NoLongerFits]:
    counts = Counter((item.event, item.reason) for item in items)
    return [NoLongerFits(event, reason, count) for (event, reason), count in sorted(counts.items())]


def _more(old: frozenset[str], new: frozenset[str], turn: int) -> frozenset[str]:
    return new - old if turn > 0 else old - new


def _moved(pairs: Iterable[tuple[str, str]]) -> list[Moved]:
    counts = Counter(pairs)
    return [Moved(old, new, count) for (old, new), count in sorted(counts.items())]


def _tallies(old: Iterable[str] = (), new: Iterable[str] = ()) -> list[Tally]:
    return _by_name(Counter(old), Counter(new))


def _by_name(old: dict[str, int], new: dict[str, int]) -> list[Tally]:
    return [Tally(name, old.get(name, 0), new.get(name, 0)) for name in sorted({*old, *new})]


def _otherwise(old: Fates, new: Fates) -> int:
    """Users with other records that belong to no appeal."""
    users = {*old.rest, *new.rest}
    return sum(
        (old.rest[user].mark if user in old.rest else b"") != (new.rest[user].mark if user in new.rest else b"")
        for user in users
    )


def _explained(found: list[Change], books: list[BookChange]) -> list[Change]:
    """With what the rulebooks say, the largest first within a kind."""
    by_section: dict[str, list[BookChange]] = defaultdict(list)
    for change in books:
        by_section[change.section].append(change)
    said = {
        kind: tuple(f"rulebook {change}" for section in sections for change in by_section[section][:_FEW])
        for kind, sections in _BEARS_ON.items()
    }
    order = {kind: index for index, kind in enumerate(Kind)}
    found.sort(key=lambda change: (order[change.kind], -change.size, change.user_id, change.appeal_id))
    return [
        msgspec.structs.replace(change, because=(*change.because, *said.get(change.kind, ())[:_FEW]))
        for change in found
    ]
