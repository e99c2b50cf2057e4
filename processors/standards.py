"""Standards of evidence: what a decision must rest on, what of it is on the case, and what is missing."""

from collections.abc import Iterable, Iterator

from processors.conditions import holds
from processors.on_file import Exhibit
from processors.open_case import OpenCase
from processors.review_tables import Need, ReviewTables, Standard
from schemas.records import EvidenceNeed
from schemas.vocabulary import AppealFlag, EvidenceSupplier, Outcome


def choose(facts: tuple[str, ...], flags: list[AppealFlag], amount: float, tables: ReviewTables) -> str:
    """Name of the first standard whose conditions hold; empty if none does."""
    for standard in tables.standards:
        if holds(standard.test, facts, flags, amount):
            return standard.name
    return ""


def missing(case: OpenCase, outcome: Outcome, cited: Iterable[str], tables: ReviewTables) -> str:
    """What a decision with this outcome would have to cite as well; empty if it meets the standard."""
    by_id = {exhibit.evidence_id: exhibit for exhibit in case.evidence}
    pieces = [by_id[evidence_id] for evidence_id in dict.fromkeys(cited) if evidence_id in by_id]
    return "; ".join(
        _told(need, count)
        for need in _needs(case, tables)
        if outcome in need.outcomes and not waived(case, need) and (count := _counting(need, pieces)) < need.at_least
    )


def plainly_missing(case: OpenCase, tables: ReviewTables) -> Iterator[tuple[int, Need, int]]:
    """(position, need, how many more) of what the appellant is to be asked for at intake."""
    for position, need in enumerate(_needs(case, tables)):
        if need.ask and (short := need.at_least - _counting(need, case.evidence)) > 0:
            yield position, need, short


def view(case: OpenCase, tables: ReviewTables) -> list[EvidenceNeed]:
    """The case's standard as reviewer tools see it."""
    return [
        EvidenceNeed(
            kinds=list(need.kinds),
            at_least=need.at_least,
            supplier=need.supplier,
            outcomes=list(need.outcomes),
            met=_counting(need, case.evidence) >= need.at_least,
            waived=waived(case, need),
        )
        for need in _needs(case, tables)
    ]


def waived(case: OpenCase, need: Need) -> bool:
    """Whether the appellant was asked for it in time and gave nothing: nobody can be held to what only they have.

    What the enforcing side must show is never waived: without it, an enforcement cannot be upheld.
    """
    return need.supplier is EvidenceSupplier.APPELLANT and not set(case.waived).isdisjoint(need.kinds)


def _needs(case: OpenCase, tables: ReviewTables) -> tuple[Need, ...]:
    if not case.standard:
        return ()
    standard: Standard | None = tables.by_name.get(case.standard)
    # A standard that a newer rulebook has dropped binds no decision made under that rulebook.
    return () if standard is None else standard.needs


def _counting(need: Need, pieces: Iterable[Exhibit]) -> int:
    return sum(
        exhibit.kind in need.kinds and (need.supplier is None or exhibit.supplier is need.supplier)
        for exhibit in pieces
    )


def _told(need: Need, count: int) -> str:
    whose = "" if need.supplier is None else f" from {need.supplier}"
    return f"{need.at_least - count} more of {'|'.join(need.kinds)}{whose}"
