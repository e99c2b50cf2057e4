"""A report or a ledger as CSV, JSON or Markdown; the same figures give the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar, assert_never

import msgspec

from topology.report import ledger, template
from topology.report.complaint import Result
from topology.report.figures import Figures, Tally
from topology.report.template import rows
from topology.report.times import hours


class Form(StrEnum):
    """How it is written."""

    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


Kind = TypeVar("Kind", bound=StrEnum)
_HEADS = ("complaints", "upheld", "partially reversed", "reversed", "omitted", "median hours")


def report(figures: Figures, form: Form, *, service: str) -> str:
    """The complaint tables. CSV: the template's rows and nothing else; the others also tell what lies behind them."""
    match form:
        case Form.CSV:
            return _csv(template.COLUMNS, _template_cells(figures, service))
        case Form.JSON:
            return _json(_document(figures, service))
        case Form.MARKDOWN:
            return _markdown(figures, service)
        case _ as never:
            assert_never(never)


def statements(figures: Figures, form: Form) -> str:
    """The ledger of statements of reasons."""
    found = ledger.entries(figures)
    cells = ([getattr(entry, column) for column in ledger.COLUMNS] for entry in found)
    match form:
        case Form.CSV:
            return _csv(ledger.COLUMNS, cells)
        case Form.JSON:
            return _json({"period": str(figures.period), "statements": found})
        case Form.MARKDOWN:
            title = f"# Statements of reasons, {figures.period}\n\n"
            return title + _table([column.replace("_", " ") for column in ledger.COLUMNS], cells)
        case _ as never:
            assert_never(never)


def _template_cells(figures: Figures, service: str) -> Iterable[Sequence[str]]:
    for row in rows(figures):
        yield (
            row.applicability,
            service,
            str(figures.period),
            row.section,
            row.indicator,
            row.scope,
            row.value,
            row.context,
        )


def _csv(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(lines)
    return text.getvalue()


def _json(document: Mapping[str, object]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _document(figures: Figures, service: str) -> dict[str, object]:
    return {
        "service": service,
        "period": str(figures.period),
        "complaints": _numbers(figures.tally()),
        "further_texts": figures.further_texts,
        "by_restriction": _each(figures.by_restriction()),
        "by_ground": _each(figures.by_ground()),
        "by_automation": _each(figures.by_automation()),
        "endings": {result.value: figures.endings(result) for result in Result},
        "decided_by": {decider.value: count for decider, count in figures.deciders().items()},
        "reversed_without_complaint": len(figures.undone),
        "measures": figures.measures,
        "template": [dict(zip(template.COLUMNS, cells, strict=True)) for cells in _template_cells(figures, service)],
    }


def _each(tallies: Mapping[Kind, Tally]) -> dict[str, dict[str, object]]:
    return {str(kind): _numbers(one) for kind, one in tallies.items() if one.total}


def _numbers(one: Tally) -> dict[str, object]:
    return {
        "total": one.total,
        "upheld": one.upheld,
        "partially_reversed": one.partially_reversed,
        "reversed": one.reversed,
        "omitted": one.omitted,
        "median_ms": _exact(one.median_ms),
        "median_hours": None if one.median_ms is None else hours(one.median_ms),
    }


def _exact(value: Fraction | None) -> float | int | None:
    """A median of whole numbers is whole or a half, and a double says either exactly."""
    if value is None:
        return None
    return value.numerator if value.denominator == 1 else float(value)


def _markdown(figures: Figures, service: str) -> str:
    of = f" of {service}" if service else ""
    measures = figures.measures
    parts = [
        f"# Complaints{of}, {figures.period}",
        "Complaints submitted in this time (DSA Art. 20, 15(1)(d)) and the decisions on them; medians in hours.",
        _tallies("restriction", figures.by_restriction(), figures.tally()),
        _tallies("ground", figures.by_ground(), None),
        _tallies("decision that is complained about", figures.by_automation(), None),
    ]
    listed = [(result.value, why, n) for result in Result for why, n in figures.endings(result).items()]
    if listed:
        parts.append(_table(("result", "how it came about", "complaints"), ((r, w, f"{n:,}") for r, w, n in listed)))
    if figures.deciders():
        decided = ((decider.value, f"{count:,}") for decider, count in figures.deciders().items())
        parts.append(_table(("decided by", "complaints"), decided))
    parts.append(
        _table(
            ("measures", "solely by automated means", "otherwise"),
            (
                ("all", f"{measures.automated:,}", f"{measures.other:,}"),
                ("own initiative", f"{measures.own_automated:,}", f"{measures.own_other:,}"),
            ),
        )
    )
    parts.append(
        f"Further texts for complaints that were open, not counted: {figures.further_texts:,}. "
        f"Reversed without a complaint: {len(figures.undone):,}."
    )
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _tallies(what: str, tallies: Mapping[Kind, Tally], whole: Tally | None) -> str:
    lines = [(str(kind), one) for kind, one in tallies.items() if one.total]
    if whole is not None:
        lines.append(("all", whole))
    return _table((what, *_HEADS), (_cells(name, one) for name, one in lines))


def _cells(name: str, one: Tally) -> tuple[str, ...]:
    counts = (one.total, one.upheld, one.partially_reversed, one.reversed, one.omitted)
    return (name, *(f"{count:,}" for count in counts), "" if one.median_ms is None else hours(one.median_ms))


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    for cells in (heads, ["---"] * len(heads), *lines):
        escaped = (cell.replace("|", "\\|") for cell in cells)
        text.write(f"| {' | '.join(escaped)} |\n")
    return text.getvalue()
