"""The regulator's figures: every complaint counted once, by what it is about and how it ended."""

import csv
import io
import json
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.fold import handle, new_dossier
from processors.reasons import RemandAnswer
from schemas.records import (
    AppealSubmitted,
    EnforcementAmended,
    EnforcementIssued,
    RemedyOrdered,
)
from schemas.vocabulary import Action, Automation, CaseEventKind, DismissalReason, Ground, Outcome, Source
from tests.unit.builders import (
    DAY,
    HOUR,
    RULEBOOK,
    T0,
    Life,
    a_claim,
    a_decision,
    a_lift,
    a_withdrawal,
    an_ack,
    an_amendment,
    an_appeal,
    an_enforcement,
)
from topology.engine.errors import Misconfigured
from topology.report import forms, ledger
from topology.report.complaint import RESTRICTIONS, RESULTS, Decider, Restriction, Result
from topology.report.figures import Books, Figures, median
from topology.report.forms import Form
from topology.report.lives import _ANSWERS
from topology.report.period import Period, parse_period
from topology.report.template import COLUMNS, SUBMITTED, rows
from topology.report.times import hours

YEAR = parse_period(2025, None)
"""The one in which `T0` lies."""
RATES = Path(__file__).parents[2].parent / "shared" / "data" / "transparency_rates.csv"


def figures_of(*lives: Life, inputs: list[object] | None = None, period: Period = YEAR) -> Figures:
    """What a report counts once these lives lie on the topics."""
    books = Books(period)
    sent = [event for life in lives for event in life.sent] if inputs is None else inputs
    for event in sent:
        if isinstance(event, AppealSubmitted):
            books.appeal(event)
    for life in lives:
        for line in life.lines():
            books.line(line)
    for event in sent:
        if isinstance(event, EnforcementIssued | EnforcementAmended):
            books.enforcement(event)
    return books.figures()


class Told(Life):
    """A life that remembers what it was sent."""

    def __init__(self, user: str = "u-1", rulebook=RULEBOOK):
        super().__init__(rulebook=rulebook, dossier=new_dossier(user))
        self.sent = []

    def send(self, event, at=None):
        """Under this life's user, whoever it was made for."""
        event = msgspec.structs.replace(event, user_id=self.dossier.user_id)
        if isinstance(event, AppealSubmitted):
            event = msgspec.structs.replace(event, appellant_id=self.dossier.user_id)
        self.sent.append(event)
        return super().send(event, at)


def told(*events, user="u-1", rulebook=RULEBOOK):
    life = Told(user, rulebook)
    for event in events:
        life.send(event)
    return life


def one(life: Life):
    """The only complaint."""
    [complaint] = figures_of(life).complaints
    return complaint


def judged(outcome: Outcome, **decision):
    return told(an_enforcement(), an_appeal(), a_claim(T0 + 3 * HOUR), a_decision(T0 + 3 * HOUR, outcome, **decision))


# --- what a complaint is about, and how it ended ------------------------------------------------------------------


def test_every_action_outcome_and_answer_to_a_remand_has_its_place():
    assert set(RESTRICTIONS) == set(Action)
    assert set(RESULTS) == set(Outcome)
    assert set(_ANSWERS) == set(RemandAnswer)


def test_restrictions_are_those_that_the_transparency_database_names():
    """By the codes of the statements: visibility, monetary, provision and account restrictions."""
    codes = {
        Restriction.VISIBILITY: "reduced_discoverability content_label content_removal livestream_ended",
        Restriction.MONETARY: "commission_increase fee payout_hold payout_loss",
        Restriction.SERVICE: "feature_restriction selling_revoked",
        Restriction.ACCOUNT: "suspension interim_suspension ban",
        Restriction.NONE: "warning",
        Restriction.UNKNOWN: "UNKNOWN",
    }
    assert {Action(name): kind for kind, names in codes.items() for name in names.split()} == RESTRICTIONS


@pytest.mark.parametrize(
    ("outcome", "extra", "result"),
    [
        (Outcome.UPHELD, {}, Result.UPHELD),
        (Outcome.UPHELD_GROUND_CHANGED, {"substituted_policy": "fraud"}, Result.UPHELD),
        (Outcome.OVERTURNED, {}, Result.REVERSED),
        (Outcome.DISMISSED, {"dismissal": DismissalReason.ABUSIVE}, Result.OMITTED),
    ],
)
def test_a_decision_of_people_counts_by_what_it_did_to_the_restriction(outcome, extra, result):
    complaint = one(judged(outcome, **extra))
    assert complaint.ending.result is result
    assert complaint.ending.decider is Decider.PEOPLE
    assert complaint.decided_ms == (None if result is Result.OMITTED else 2 * HOUR)


def test_what_is_refused_taken_back_moot_or_open_is_omitted_and_told_apart():
    lives = [
        told(an_enforcement(appealable=False), an_appeal(), user="u-1"),
        told(an_enforcement(), an_appeal(), a_withdrawal(), user="u-2"),
        told(an_enforcement(), an_appeal(), a_lift(T0 + 2 * HOUR), user="u-3"),
        told(an_enforcement(), an_appeal(), user="u-4"),
        told(an_appeal(), user="u-5"),
        told(a_withdrawal(T0), an_appeal(), user="u-6"),
    ]
    figures = figures_of(*lives)
    assert figures.tally().omitted == figures.tally().total == 6
    assert figures.tally().median_ms is None
    assert figures.endings(Result.OMITTED) == {
        "withdrawn": 2,
        "moot:lifted": 1,
        "open": 1,
        "parked": 1,
        "refused:not_appealable": 1,
    }


def test_an_appeal_that_nobody_has_taken_in_yet_counts_and_says_so():
    figures = figures_of(inputs=[an_enforcement(), an_appeal()])
    [complaint] = figures.complaints
    assert complaint.ending.why == "not_taken_in"
    assert figures.tally().total == figures.tally().omitted == 1


def test_a_further_text_is_no_complaint_of_its_own():
    life = told(an_enforcement(), an_appeal(), an_appeal(T0 + 2 * HOUR, "a-2"))
    figures = figures_of(life)
    assert (figures.tally().total, figures.further_texts) == (1, 1)


def test_what_was_sent_back_ends_as_the_enforcing_side_answers():
    def sent_back(*answer):
        life = judged(Outcome.REMANDED, guidance_ref="s3://guidance/1")
        for event in answer:
            life.send(event)
        return one(life)

    pending = sent_back()
    assert (pending.ending.result, pending.ending.why) == (Result.OMITTED, "remanded")
    lifted = sent_back(a_lift(T0 + 5 * HOUR))
    assert (lifted.ending.result, lifted.ending.decider) == (Result.REVERSED, Decider.ENFORCING_SIDE)
    assert lifted.decided_ms == 4 * HOUR
    assert sent_back(an_amendment(T0 + 5 * HOUR)).ending.result is Result.PARTIALLY_REVERSED


def test_what_was_sent_back_and_not_answered_ends_as_the_lead_pod_decides():
    life = judged(Outcome.REMANDED, guidance_ref="s3://guidance/1")
    life.wait_until(T0 + 20 * DAY)
    assert one(life).ending.result is Result.OMITTED
    [opened] = life.lines(CaseEventKind.INTERNAL_CASE_OPENED)
    at = T0 + 21 * DAY
    again = msgspec.structs.replace(a_claim(at, "r-2"), case_id=opened.case_id, expected_version=opened.case_version)
    life.send(again)
    reversal = a_decision(at, Outcome.OVERTURNED, "r-2", version=opened.case_version + 1)
    life.send(msgspec.structs.replace(reversal, case_id=opened.case_id))
    complaint = one(life)
    assert (complaint.ending.result, complaint.ending.why) == (Result.REVERSED, "remanded:overturned")
    assert complaint.decided_ms == at - (T0 + HOUR)
    assert figures_of(life).undone == []


def test_a_complaint_is_about_the_version_that_was_judged():
    amended = an_amendment(T0 + 2 * HOUR, action=Action.WARNING, statement_of_reasons_id="sor-2")
    complaint = one(told(an_enforcement(), an_appeal(), amended))
    assert complaint.restriction is Restriction.ACCOUNT
    assert complaint.measure.statement_of_reasons_id == "sor-1"
    later = one(told(an_enforcement(), amended, an_appeal(T0 + 3 * HOUR)))
    assert (later.restriction, later.measure.statement_of_reasons_id) == (Restriction.NONE, "sor-2")


def test_what_names_nothing_on_file_counts_in_the_total_only():
    figures = figures_of(told(an_appeal()))
    assert figures.by_restriction()[Restriction.UNKNOWN].total == figures.tally().total == 1
    table = {(row.indicator, row.scope): row.value for row in rows(figures)}
    assert table[SUBMITTED, "Total number"] == "1"
    assert [value for (indicator, scope), value in table.items() if indicator.startswith("Complaint") and value] == [
        "0"
    ] * 16


# --- counting ----------------------------------------------------------------------------------------------------


def test_delivered_twice_everything_counts_once():
    life = judged(Outcome.OVERTURNED)
    once = figures_of(life)
    twice = figures_of(life, inputs=[*life.sent, *life.sent])
    assert twice == once
    assert once.measures.automated == 1


def test_the_period_is_that_of_the_submission_whole_days_both_included():
    first, last = 1_735_689_600_000, 1_767_225_599_999  # 2025-01-01T00:00:00Z to 2025-12-31T23:59:59.999Z
    at = {"a-0": first - 1, "a-1": first, "a-2": last, "a-3": last + 1}
    inputs = [an_appeal(when, name) for name, when in at.items()]
    assert [one.appeal_id for one in figures_of(inputs=inputs).complaints] == ["a-1", "a-2"]
    assert str(YEAR) == "2025-01-01/2025-12-31"


@pytest.mark.parametrize(
    ("year", "period"),
    [(None, None), (2025, "2025-01-01/2025-06-30"), (10_000, None), (None, "2025"), (None, "2025-02-01/2025-01-01")],
)
def test_what_is_no_period_is_refused(year, period):
    with pytest.raises(Misconfigured):
        parse_period(year, period)


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=9))
def test_the_median_is_exact(values):
    found = median(values)
    below, above = sum(v < found for v in values), sum(v > found for v in values)
    assert max(below, above) * 2 <= len(values)
    middle = sorted(values)[(len(values) - 1) // 2 : len(values) // 2 + 1]
    assert found * len(middle) == sum(middle)


def test_the_median_of_none_is_none_and_large_ones_keep_their_half():
    assert median([]) is None
    assert median([2**60, 2**60 + 1]) == Fraction(2**61 + 1, 2)


@pytest.mark.parametrize(("value_ms", "text"), [(0, "0.00"), (39_600_000, "11.00"), (17_999, "0.00"), (18_001, "0.01")])
def test_hours_are_rounded_once(value_ms, text):
    assert hours(Fraction(value_ms)) == text


def test_a_senders_clock_that_runs_ahead_makes_no_negative_time():
    life = Told()
    life.send(an_enforcement())
    life.send(an_appeal(T0 + 10 * HOUR), at=T0 + HOUR)
    life.send(a_claim(T0 + 10 * HOUR), at=T0 + 3 * HOUR)
    life.send(a_decision(T0 + 10 * HOUR, Outcome.UPHELD), at=T0 + 3 * HOUR)
    assert one(life).decided_ms == 0


# --- the ledger --------------------------------------------------------------------------------------------------


def test_the_ledger_leads_from_a_statement_to_appeal_outcome_and_undoing():
    life = judged(Outcome.OVERTURNED)
    [order] = life.orders()
    life.send(an_ack(order), at=T0 + 4 * HOUR)
    [entry] = ledger.entries(figures_of(life))
    assert (entry.statement_of_reasons_id, entry.appeal_id, entry.result) == ("sor-1", "a-1", "reversed")
    assert (entry.submitted_at, entry.decided_at, entry.undone_at) == (
        "2025-10-09T09:53:20Z",
        "2025-10-09T11:53:20Z",
        "2025-10-09T12:53:20Z",
    )


def test_the_ledger_names_what_was_reversed_without_a_complaint():
    life = told(an_enforcement())
    ordered = RemedyOrdered(
        user_id="u-1",
        remedy_id="rem-1",
        enforcement_id="e-1",
        version=1,
        now=T0 + HOUR,
        proposed_by="ops-1",
        approved_by="ops-2,ops-3",
    )
    life.now = T0 + HOUR
    handle(life.dossier, ordered, life)
    figures = figures_of(life)
    assert figures.tally().total == 0
    [entry] = ledger.entries(figures)
    assert (entry.statement_of_reasons_id, entry.appeal_id, entry.decided_by) == ("sor-1", "", "remedy")


def test_no_form_of_report_or_ledger_names_a_user():
    figures = figures_of(told(an_enforcement(), an_appeal(), user="someone-secret"))
    assert figures.tally().total == 1
    for form in Form:
        assert "secret" not in forms.report(figures, form, service="Shop") + forms.statements(figures, form)


# --- the template, as one platform filed it ------------------------------------------------------------------------

KINDS = {"service_provision": Action.FEATURE_RESTRICTION, "account": Action.SUSPENSION, "rest": Action.CONTENT_REMOVAL}


def filed(platform: str) -> dict[str, dict[str, int]]:
    """What a platform filed for 2025, by restriction type; what is left of its total is `rest`."""
    if not RATES.exists():
        pytest.skip(f"the published rates are not at {RATES}: see data/README.md beside the project")
    with RATES.open(newline="") as file:
        found = {
            row["restriction_type"]: {name: int(row[name] or 0) for name in NUMBERS}
            for row in csv.DictReader(file)
            if row["platform"] == platform and row["period"] == "2025"
        }
    total = found["all"]
    found["rest"] = {name: total[name] - sum(found[kind][name] for kind in KINDS if kind != "rest") for name in NUMBERS}
    return found


NUMBERS = ("actions", "actions_automated", "appeals", "upheld", "restored_after_appeal", "median_hours")


def lived(number: int, action: Action, outcome: Outcome, took_ms: int) -> Told:
    """One complaint through the engine's own fold, about what a machine alone decided."""
    life = Told(f"u-{number}", RULEBOOK)
    life.send(an_enforcement(action=action, statement_of_reasons_id=f"sor-{number}"))
    life.send(an_appeal(T0 + HOUR, f"a-{number}"))
    life.send(a_claim(T0 + HOUR + took_ms, appeal_id=f"a-{number}"))
    life.send(a_decision(T0 + HOUR + took_ms, outcome, appeal_id=f"a-{number}"))
    return life


def test_whatnots_filing_comes_out_again_when_its_complaints_are_played_through_the_engine():
    table = filed("Whatnot")
    whole = table["all"]
    todo = [
        (KINDS[kind], outcome)
        for kind in KINDS
        for outcome, name in ((Outcome.UPHELD, "upheld"), (Outcome.OVERTURNED, "restored_after_appeal"))
        for _ in range(table[kind][name])
    ]
    assert len(todo) == whole["appeals"] == 5437
    middle = whole["median_hours"] * HOUR
    lives = [
        # Spread evenly around the published median, in an order that has nothing to do with kind or outcome.
        lived(n, action, outcome, middle + (n * 2311 % 5437 - 2718) * 1_000)
        for n, (action, outcome) in enumerate(todo)
    ]
    left = {True: whole["actions_automated"] - len(lives), False: whole["actions"] - whole["actions_automated"]}
    kinds = {True: Automation.AUTOMATED_DECISION_FULLY, False: Automation.AUTOMATED_DECISION_PARTIALLY}
    others = [
        msgspec.structs.replace(base, user_id=f"o-{solely}-{n}")
        for solely, base in ((solely, an_enforcement(automation=kind)) for solely, kind in kinds.items())
        for n in range(left[solely])
    ]
    figures = figures_of(*lives, inputs=[*(event for life in lives for event in life.sent), *others])
    text = forms.report(figures, Form.CSV, service="Whatnot")
    found = {(row["Indicator"], row["Scope"]): row["Value"] for row in csv.DictReader(io.StringIO(text))}
    about = "Complaint regarding a decision to suspend or terminate"
    expected = {
        SUBMITTED: "all",
        f"{about} the provision of the service": "service_provision",
        f"{about} an account": "account",
    }
    for indicator, kind in expected.items():
        assert found[indicator, "Total number"] == str(table[kind]["appeals"])
        assert found[indicator, "Decisions upheld"] == str(table[kind]["upheld"])
        assert found[indicator, "Decisions reversed"] == str(table[kind]["restored_after_appeal"])
        assert float(found[indicator, "Median time"]) == pytest.approx(whole["median_hours"], abs=0.1)
    assert found[SUBMITTED, "Median time"] == "11.00"
    assert found[SUBMITTED, "Decision omitted"] == "0"
    assert found["Number of measures solely taken by automated means", "Total number"] == "137744"
    assert found["Number of measures not taken by automated means", "Total number"] == "13706"


def test_the_csv_has_the_templates_rows_in_its_order():
    figures = figures_of(judged(Outcome.OVERTURNED))
    found = list(csv.reader(io.StringIO(forms.report(figures, Form.CSV, service="Shop"))))
    assert tuple(found[0]) == COLUMNS
    assert len(found) == 1 + 47 + 20  # parts 7 and 8, without the rows for very large platforms
    assert {len(row) for row in found} == {8}
    assert {tuple(row[1:3]) for row in found[1:]} == {("Shop", "2025-01-01/2025-12-31")}
    sections = [row[3] for row in found[1:]]
    assert [section for n, section in enumerate(sections) if section not in sections[:n]] == [
        "Internal complaints mechanism",
        "Out-of-court dispute settlement bodies",
        "Suspensions imposed on repeated offenders",
        "Use of automated means for content moderation",
    ]
    assert found[1][4:7] == [SUBMITTED, "Total number", "1"]


def test_json_tells_the_same_exactly_and_markdown_for_people():
    life = judged(Outcome.OVERTURNED)
    figures = figures_of(life)
    document = json.loads(forms.report(figures, Form.JSON, service="Shop"))
    assert document["complaints"]["median_ms"] == 2 * HOUR
    assert document["by_restriction"] == {"account": document["complaints"]}
    assert document["by_ground"] == {str(Ground.DECISION_GROUND_INCOMPATIBLE_CONTENT): document["complaints"]}
    assert document["measures"] == {"automated": 1, "other": 0, "own_automated": 1, "own_other": 0}
    text = forms.report(figures, Form.MARKDOWN, service="Shop")
    assert "| account | 1 | 0 | 0 | 1 | 0 | 2.00 |" in text.splitlines()


def test_what_other_sources_set_off_is_no_own_initiative():
    figures = figures_of(told(an_enforcement(source=Source.SOURCE_ARTICLE_16)))
    assert (figures.measures.automated, figures.measures.own_automated) == (1, 0)
