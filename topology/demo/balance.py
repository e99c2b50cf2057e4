"""The balance: what came in against what became of it. Arithmetic on sets of ids only; nothing is read here.

Each line says that a whole is made up of parts, every member in exactly one of them. Counts alone would hide one lost
and one doubled; so lost, doubled and stray are told apart, with an example each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

Place = tuple[str, int, int]
"""Topic (without prefix), partition, offset."""


def _ids() -> Counter[str]:
    return Counter()


@dataclass
class Facts:
    """What the topics hold, and what the senders say that they sent. Counters tell what is there twice."""

    records_sent: int = 0
    records_on_topics: int = 0
    records_by_hand: int = 0
    """Of them, those that a person at the desk wrote: nobody else knows how many there should be."""
    appeals_sent: set[str] = field(default_factory=set[str])
    opened: Counter[str] = field(default_factory=_ids)
    """`CaseOpened`, by appeal."""
    refused: Counter[str] = field(default_factory=_ids)
    withdrawn_unopened: Counter[str] = field(default_factory=_ids)
    parked: set[str] = field(default_factory=set[str])
    """`AppealParked`, by appeal; what came of it later does not take it away."""
    unread_appeals: set[str] = field(default_factory=set[str])
    """Appeals that lie behind what the workers have committed."""
    cases: Counter[str] = field(default_factory=_ids)
    """`CaseOpened`, by case."""
    decided: Counter[str] = field(default_factory=_ids)
    open: Counter[str] = field(default_factory=_ids)
    """Cases that stand on a pod's topic, not yet taken off by a tombstone."""
    directives: dict[str, str] = field(default_factory=dict[str, str])
    """Ordered directives, with their reversal."""
    applied: Counter[str] = field(default_factory=_ids)
    """`DirectiveApplied` and `DirectiveResolved`, by directive."""
    superseded: Counter[str] = field(default_factory=_ids)
    """`DirectiveSuperseded`, by directive."""
    in_hand: set[str] = field(default_factory=set[str])
    """Directives that the systems have not answered as applied."""
    unread_answers: set[str] = field(default_factory=set[str])
    """Directives whose answer lies behind what the workers have committed."""
    reversals: dict[str, str] = field(default_factory=dict[str, str])
    """Ordered reversals, with their user."""
    confirmed: Counter[str] = field(default_factory=_ids)
    struck: set[str] = field(default_factory=set[str])
    """Users to whom something was done."""
    amiss: dict[str, str] = field(default_factory=dict[str, str])
    """Users whose state in the systems is not what it should be, with what is wrong."""
    broken_sent: set[Place] = field(default_factory=set[Place])
    unread_broken: set[Place] = field(default_factory=set[Place])
    dead_letters: Counter[Place] = field(default_factory=Counter[Place])
    """By the place that they came from."""


@dataclass(frozen=True)
class Line:
    """One equation of the balance."""

    whole: str
    total: int
    parts: Mapping[str, int]
    faults: tuple[str, ...] = ()

    @property
    def even(self) -> bool:
        """Does it come out even, member by member?"""
        return not self.faults

    @property
    def difference(self) -> int:
        """Sum of the parts less the whole. 0 does not mean even: one may be lost and another doubled."""
        return sum(self.parts.values()) - self.total


def balance(facts: Facts) -> list[Line]:
    """All lines, in the order in which things happen."""
    answered = facts.opened.keys() | facts.refused.keys() | facts.withdrawn_unopened.keys()
    settled = facts.applied.keys() | facts.superseded.keys()
    unapplied = facts.directives.keys() - settled
    under_way = {facts.directives[directive] for directive in unapplied}
    return [
        Line(
            "records sent",
            facts.records_sent,
            {"on the input topics": facts.records_on_topics - facts.records_by_hand},
            ()
            if facts.records_sent == facts.records_on_topics - facts.records_by_hand
            else (f"the topics hold {facts.records_on_topics - facts.records_by_hand - facts.records_sent:+,}",),
        ),
        _line(
            "appeals in",
            facts.appeals_sent,
            {
                "cases": facts.opened,
                "refused": facts.refused,
                "parked": Counter(facts.parked - answered),
                "withdrawn before opening": facts.withdrawn_unopened,
                "unread": Counter(facts.unread_appeals),
            },
        ),
        _line("cases", facts.cases.keys(), {"decided": facts.decided, "open": facts.open}, also=facts.cases),
        _line(
            "directives ordered",
            facts.directives.keys(),
            {
                "confirmed": facts.applied,
                "superseded": facts.superseded,
                "pending": Counter(facts.in_hand - settled),
                "answer unread": Counter(facts.unread_answers - settled),
            },
        ),
        _line(
            "reversals ordered", facts.reversals.keys(), {"confirmed": facts.confirmed, "under way": Counter(under_way)}
        ),
        _state(facts, under_way),
        _line(
            "broken records sent",
            {_told(place) for place in facts.broken_sent},
            {
                "dead letters": Counter({_told(place): n for place, n in facts.dead_letters.items()}),
                "unread": Counter(_told(place) for place in facts.unread_broken),
            },
        ),
    ]


OPTIONAL = frozenset({"unread", "answer unread"})
"""Parts that are there only when the workers were stopped before they had read everything."""


def _state(facts: Facts, unsettled: AbstractSet[str]) -> Line:
    """The state of the systems, user by user, against what it would be if what was overturned had never been.

    While a reversal is under way nobody can say: its directives are what makes it so.
    """
    under_way = {user for key, user in facts.reversals.items() if key in unsettled or key not in facts.confirmed}
    amiss = {user: detail for user, detail in facts.amiss.items() if user not in under_way}
    line = _line(
        "users struck",
        facts.struck,
        {
            "as if what was overturned had never been": Counter(facts.struck - under_way - amiss.keys()),
            "being undone": Counter(under_way & facts.struck),
        },
    )
    if not amiss:
        return line
    user, detail = min(amiss.items())
    return replace(line, faults=(*line.faults, f"{len(amiss):,} amiss, e.g. {user} {detail}"))


def _line(
    whole: str, members: AbstractSet[str], parts: dict[str, Counter[str]], also: Counter[str] | None = None
) -> Line:
    total = Counter[str]()
    for part in parts.values():
        total.update(part)
    doubled = {member for member, n in total.items() if n > 1} | {m for m, n in (also or {}).items() if n > 1}
    faults = [
        _fault("lost", members - total.keys()),
        _fault("doubled", doubled),
        _fault("stray", total.keys() - members),
    ]
    counts = {name: sum(part.values()) for name, part in parts.items() if part or name not in OPTIONAL}
    return Line(whole, len(members), counts, tuple(fault for fault in faults if fault is not None))


def _fault(what: str, members: Iterable[str]) -> str | None:
    found = sorted(members)
    return f"{len(found):,} {what}, e.g. {found[0]}" if found else None


def _told(place: Place) -> str:
    topic, partition, offset = place
    return f"{topic}[{partition}]@{offset}"
