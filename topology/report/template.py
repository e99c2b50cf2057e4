"""The complaint tables of the harmonised transparency report, row by row as the official template has them.

Commission Implementing Regulation (EU) 2024/2835, Annex I, parts 7 (appeals and recidivism) and 8 (automated means);
the wording of sections, indicators and scopes is the template's, so that filers can paste the rows. A value is left
out where this system does not know it: that is not nought.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from schemas.vocabulary import Automation
from topology.report.complaint import Restriction, Result
from topology.report.figures import Figures, Tally
from topology.report.times import hours

COLUMNS = (
    "Applicability",
    "Service",
    "Reporting period",
    "Section",
    "Indicator",
    "Scope",
    "Value",
    "Contextual Information",
)

ALL = "All"
HOSTING = "Only for providers of hosting services, including online platforms"
PLATFORMS = "Only for providers of online platforms"

COMPLAINTS = "Internal complaints mechanism"
DISPUTES = "Out-of-court dispute settlement bodies"
SUSPENSIONS = "Suspensions imposed on repeated offenders"
AUTOMATED = "Use of automated means for content moderation"

TOTAL = "Total number"
MEDIAN = "Median time"

SUBMITTED = "Number of complaints submitted to the internal-complaints mechanism"
ABOUT = {
    Restriction.VISIBILITY: (
        "Complaint regarding a decision to remove or disable access to or restrict visibility of information"
    ),
    Restriction.SERVICE: "Complaint regarding a decision to suspend or terminate the provision of the service",
    Restriction.ACCOUNT: "Complaint regarding a decision to suspend or terminate an account",
    Restriction.MONETARY: "Complaint regarding a decision to restrict the ability to monetise information",
}
INACTION = tuple(
    f"Complaint regarding a decision not to take action on a notice submitted {by}in accordance with Article 16"
    for by in ("", "by a Trusted Flagger ")
)
NEWLY_IMPOSED = "Number of restrictions newly imposed as a result of an internal complaint"
ACCURACY = tuple(f"Accuracy of the automated means - {kind}" for kind in ("Accuracy", "Precision", "Recall"))
_NOT_OURS = "not counted by this system"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the template."""

    applicability: str
    section: str
    indicator: str
    scope: str
    value: str = ""
    context: str = ""


def rows(figures: Figures) -> list[Row]:
    """Parts 7 and 8, in the template's order."""
    return [*_complaints(figures), *_not_ours(), *_automated(figures)]


def _complaints(figures: Figures) -> Iterator[Row]:
    whole = figures.tally()
    for scope, value, context in _results(whole):
        yield Row(ALL if scope == TOTAL else PLATFORMS, COMPLAINTS, SUBMITTED, scope, value, context)
    yield Row(PLATFORMS, COMPLAINTS, SUBMITTED, "Decision omitted", str(whole.omitted), _omitted(figures))
    yield Row(PLATFORMS, COMPLAINTS, NEWLY_IMPOSED, TOTAL, "", _NOT_OURS)
    by_kind = figures.by_restriction()
    for kind, indicator in ABOUT.items():
        for scope, value, context in _results(by_kind[kind]):
            yield Row(PLATFORMS, COMPLAINTS, indicator, scope, value, context)
    for indicator in INACTION:
        for scope, _, _ in _results(whole):
            yield Row(PLATFORMS, COMPLAINTS, indicator, scope, "", _NOT_OURS)


def _results(tally: Tally) -> Iterator[tuple[str, str, str]]:
    """Scope, value and context of the rows that every kind of complaint has."""
    yield TOTAL, str(tally.total), ""
    yield "Decisions upheld", str(tally.upheld), ""
    yield "Decisions partially reversed", str(tally.partially_reversed), ""
    yield "Decisions reversed", str(tally.reversed), ""
    yield MEDIAN, _in_hours(tally.median_ms), "hours from submission to the decision" if tally.judged else ""


def _in_hours(median_ms: Fraction | None) -> str:
    return "" if median_ms is None else hours(median_ms)


def _omitted(figures: Figures) -> str:
    """Why nobody judged them, and what else there is to know of the total."""
    why = ", ".join(f"{count} {name}" for name, count in figures.endings(Result.OMITTED).items())
    told = [why] if why else []
    if figures.further_texts:
        told.append(f"not counted: {figures.further_texts} further texts for complaints that were open")
    return "; ".join(told)


def _not_ours() -> Iterator[Row]:
    disputes = "Number of disputes submitted to out-of-court dispute settlement bodies"
    for scope in (
        TOTAL,
        "Decisions upheld",
        "Decisions partially reversed",
        "Decisions reversed",
        MEDIAN,
        "Decision omitted",
        "Percentage of outcomes implemented",
    ):
        yield Row(PLATFORMS, DISPUTES, disputes, scope, "", _NOT_OURS)
    for what in ("illegal content", "unfounded notices", "unfounded complaints"):  # DSA Art. 23
        indicator = f"Number of suspensions enacted for the provision of manifestly {what}"
        yield Row(PLATFORMS, SUSPENSIONS, indicator, TOTAL, "", _NOT_OURS)


def _automated(figures: Figures) -> Iterator[Row]:
    """Measures; how right automated means are cannot be told from those about which somebody complained."""
    measures = figures.measures
    about = figures.by_automation()[Automation.AUTOMATED_DECISION_FULLY]
    known = (
        f"of {about.judged} complaints judged about measures solely taken by automated means, {about.reversed} led to "
        f"their reversal and {about.partially_reversed} to a partial one"
    )
    for scope, solely, other in (
        (TOTAL, measures.automated, measures.other),
        ("Own-initiative", measures.own_automated, measures.own_other),
    ):
        yield Row(ALL, AUTOMATED, "Number of measures solely taken by automated means", scope, str(solely))
        yield Row(ALL, AUTOMATED, "Number of measures not taken by automated means", scope, str(other))
        for indicator in ACCURACY:
            context = known if scope == TOTAL and indicator == ACCURACY[0] else _NOT_OURS
            yield Row(ALL, AUTOMATED, indicator, scope, "", context)
    for applicability, scope in ((HOSTING, "NAM Total"), (PLATFORMS, "NAM Trusted Flagger")):
        for indicator in (
            "Number of notices solely processed by automated means",
            "Number of notices not processed by automated means",
            *ACCURACY,
        ):
            yield Row(applicability, AUTOMATED, indicator, scope, "", _NOT_OURS)
