"""What decisions take from the whole system: bounded, fresh, told in the line, and folded again from it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from processors.filing import filed
from processors.overflow import Marks, latch
from processors.references import NOTHING, Rate, References, Seen, of_line, told
from processors.rulebook import Rulebook
from schemas.records import Case, CaseEvent, Detector, Millis, OverturnRate, PodLoad
from schemas.vocabulary import Action, AppealFlag, Automation, CaseEventKind, Category, Dimension
from tests.unit.audits import Audited, lived, steps
from tests.unit.builders import (
    DAY,
    HOUR,
    PACKAGED_SECTIONS,
    T0,
    USER,
    Life,
    a_claim,
    a_decision,
    a_rulebook,
    an_amendment,
    an_appeal,
    an_enforcement,
)
from topology.audit.replay import replay

IP = Category.STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS
DAILY, MONTHLY = 24 * 3_600, 28 * 24 * 3_600


def a_book(**sections: Any) -> Rulebook:
    """Everything but `general` may overflow, with a load that is believed for an hour."""
    marks = {"above": 10, "below": 5, "fresh": "1h"}
    pods = [{**pod, "overflow": marks} if pod.get("substitute") else pod for pod in PACKAGED_SECTIONS["pods"]]
    return a_rulebook(pods=pods, second_review=None, evidence=[], automation=[], **sections)


BOOK = a_book()


def a_rate(overturned: int, decided: int, window_s: int = DAILY, until: int = T0 + HOUR, **change: Any) -> OverturnRate:
    return OverturnRate(
        **{
            "rate_id": f"r-{window_s}",
            "dimension": Dimension.DETECTOR,
            "policy": "counterfeit",
            "detector": Detector(name="fake-finder", version="7"),
            "automation": Automation.AUTOMATED_DECISION_FULLY,
            "window_s": window_s,
            "window_end": Millis(until),
            "decided": decided,
            "overturned": overturned,
            "mean": 0.5,
            "low": 0.1,
            "high": 0.9,
            "prior_overturned": 1.0,
            "prior_upheld": 1.0,
            "computed_at": Millis(until),
            **change,
        }
    )


def a_load(pod: str, *, overflowing: bool = True, at: int = T0) -> PodLoad:
    return PodLoad(
        pod=pod,
        open=20,
        claimed=0,
        waiting=3,
        overdue=0,
        arriving_per_hour=1.0,
        decided_per_hour=1.0,
        window_s=3_600,
        observed_at=Millis(at),
        overflowing=overflowing,
    )


def knowing(*records: OverturnRate | PodLoad, book: Rulebook = BOOK) -> References:
    references = References(book.tables)
    for record in records:
        if isinstance(record, OverturnRate):
            references.set_rate(record.rate_id, record)
        else:
            references.set_load(record.pod, record)
    return references


def on_file(**change: Any) -> Any:
    return filed(an_enforcement(**change), T0)


def opened(references: References | None, book: Rulebook = BOOK, **enforcement: Any) -> Life:
    life = Life(rulebook=book, references=references)
    life.send(an_enforcement(**enforcement))
    life.send(an_appeal())
    return life


def wrongfulness(life: Life) -> tuple[float, str]:
    [part] = [part for part in life.published()[-1].components if part.name == "wrongfulness"]
    return part.value, part.because


# --- overturn rates ------------------------------------------------------------------------------------------------


def test_a_detector_that_is_overturned_often_raises_the_score_and_the_reason_says_by_what() -> None:
    before, good, bad = opened(None), opened(knowing(a_rate(2, 40))), opened(knowing(a_rate(36, 40)))
    scores = [life.published()[-1].score for life in (good, before, bad)]
    assert scores == sorted(scores)
    assert scores[2] - scores[0] > 50
    assert "36 of 40 by fake-finder 7 overturned in 1d, worth 40" in wrongfulness(bad)[1]
    assert "overturned in" not in wrongfulness(before)[1]


@given(st.integers(1, 10**6), st.data())
def test_however_many_cases_a_rate_rests_on_it_counts_as_no_more_than_the_rulebook_says(
    decided: int, data: Any
) -> None:
    overturned = data.draw(st.integers(0, decided))
    value, because = wrongfulness(opened(knowing(a_rate(overturned, decided)), automation="AUTOMATED_DECISION_FULLY"))
    prior, lift = 0.155, 0.15
    counted = min(decided, 40)
    mean = (prior * 20 + counted * overturned / decided) / (20 + counted)
    assert value == pytest.approx(mean + (1 - mean) * lift, abs=1e-4)
    assert because.startswith("prior 0.155 worth 20, ")


def test_a_strength_of_nought_looks_at_no_rate() -> None:
    book = a_book(wrongfulness={**PACKAGED_SECTIONS["wrongfulness"], "observed": {"strength": 0}})
    life = opened(knowing(a_rate(36, 40), book=book), book)
    assert wrongfulness(life) == wrongfulness(opened(None, book))
    assert told(knowing(a_rate(36, 40), book=book).look(on_file(), T0)) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"policy": "spam"},
        {"detector": Detector(name="fake-finder", version="8")},
        {"detector": None},
        {"automation": Automation.AUTOMATED_DECISION_PARTIALLY},
    ],
)
def test_a_rate_is_of_one_policy_detector_version_and_automation(change: dict[str, Any]) -> None:
    references = knowing(a_rate(36, 40))
    assert references.look(on_file(), T0).rate is not None
    assert references.look(on_file(**change), T0).rate is None
    assert knowing(a_rate(36, 40, **change)).look(on_file(), T0).rate is None


def test_what_no_detector_found_has_a_rate_of_its_own() -> None:
    references = knowing(a_rate(1, 4, detector=None))
    assert references.look(on_file(detector=None), T0).rate == Rate(1, 4, DAY, T0 + HOUR)
    assert references.look(on_file(), T0).rate is None


@pytest.mark.parametrize(
    ("daily", "monthly", "window_s"),
    [((3, 20), (1, 900), DAILY), ((3, 19), (1, 900), MONTHLY), ((3, 19), (1, 2), MONTHLY), ((0, 0), (1, 2), MONTHLY)],
)
def test_the_shortest_window_with_enough_counts_else_the_longest_with_any(
    daily: tuple[int, int], monthly: tuple[int, int], window_s: int
) -> None:
    seen = knowing(a_rate(*daily), a_rate(*monthly, window_s=MONTHLY)).look(on_file(), T0)
    assert seen.rate is not None
    assert seen.rate.window_ms == window_s * 1_000
    only = knowing(a_rate(3, 19)).look(on_file(), T0)
    assert only.rate is not None


def test_a_window_that_nobody_counted_again_for_its_own_length_is_passed_over() -> None:
    references = knowing(a_rate(36, 40, until=T0))
    assert references.look(on_file(), T0 + DAY).rate is not None
    assert references.look(on_file(), T0 + DAY + 1).rate is None


def test_a_tombstone_and_a_record_of_another_dimension_take_a_rate_away() -> None:
    for newest in (None, a_rate(1, 1, dimension=Dimension.POLICY)):
        references = knowing(a_rate(36, 40))
        references.set_rate("r-86400", newest)
        assert references.look(on_file(), T0) is NOTHING
        assert len(references) == 0


def test_windows_that_the_rulebook_does_not_name_are_not_looked_at() -> None:
    assert knowing(a_rate(36, 40, window_s=3_600)).look(on_file(), T0) is NOTHING


# --- pods that are full --------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 200), max_size=60), st.integers(0, 90), st.integers(1, 90))
def test_a_pod_changes_only_when_its_backlog_has_crossed_both_marks(
    backlogs: list[int], below: int, apart: int
) -> None:
    marks = Marks(below + apart, below, HOUR)
    now, changes = False, []
    for backlog in backlogs:
        was, now = now, latch(now, backlog, marks)
        if was is not now:
            changes.append(backlog)
    assert all(backlog > marks.above for backlog in changes[::2])
    assert all(backlog <= marks.below for backlog in changes[1::2])


def test_between_the_marks_nothing_changes_and_without_marks_nothing_overflows() -> None:
    marks = Marks(10, 5, HOUR)
    assert [latch(False, backlog, marks) for backlog in (10, 11)] == [False, True]
    assert [latch(True, backlog, marks) for backlog in (6, 5)] == [True, False]
    assert not latch(was=True, backlog=10**9, marks=None)


def routed(references: References | None, **enforcement: Any) -> Case:
    content = {"category": IP, "action": Action.WARNING, **enforcement}
    return opened(references, **content).published()[-1]


def test_a_full_pod_overflows_to_its_substitute_and_says_so() -> None:
    case = routed(knowing(a_load("intellectual-property")))
    assert case.pod == "general"
    assert case.routing.because.endswith("; intellectual-property is full")
    assert routed(knowing(a_load("intellectual-property", overflowing=False))).pod == "intellectual-property"
    assert routed(knowing(a_load("payments"))).pod == "intellectual-property"


def test_overflowing_is_counted_by_the_pod_that_was_full() -> None:
    life = opened(knowing(a_load("accounts")), policy="spam")
    assert life.counted == {("cases_overflowed_total", "accounts"): 1}


def test_a_load_that_is_old_or_gone_is_not_believed() -> None:
    references = knowing(a_load("intellectual-property", at=T0))
    assert references.look(on_file(), T0 + HOUR).full == {"intellectual-property"}
    assert references.look(on_file(), T0 + HOUR + 1).full == frozenset()
    references.set_load("intellectual-property", None)
    assert references.look(on_file(), T0) is NOTHING


def test_a_pod_without_marks_in_this_rulebook_never_overflows() -> None:
    assert knowing(a_load("child-safety")).look(on_file(), T0) is NOTHING


def test_where_nobody_else_can_judge_it_a_case_waits_at_the_full_pod() -> None:
    pods = [
        {"name": "narrow", "substitute": "french", "overflow": {"above": 2, "below": 1}},
        {"name": "french", "languages": ["fr"]},
        *({"name": name} for name in ("general", "child-safety", "lead")),
    ]
    routing = [
        {"name": "all", "when": {"policies": ["counterfeit"]}, "pod": "narrow"},
        {"name": "rest", "pod": "general"},
    ]
    book = a_rulebook(pods=pods, routing=routing, second_review=None, evidence=[], automation=[])
    case = opened(knowing(a_load("narrow"), book=book), book).published()[-1]
    assert case.pod == "narrow"
    assert case.routing.because.endswith("narrow is full; french does not read en; nobody else fits, so narrow")


def again(life: Life, **content: Any) -> Case:
    """After the charge has changed, so that the case is ranked and routed again."""
    version = life.dossier.enforcements["e-1"].version + 1
    life.send(an_amendment(T0 + 2 * HOUR, version=version, category=IP, action=Action.WARNING, **content))
    return life.published()[-1]


def test_a_case_stays_in_the_queue_in_which_it_is_when_the_load_changes() -> None:
    life = opened(None, category=IP, action=Action.WARNING)
    life.references = knowing(a_load("intellectual-property", at=T0 + HOUR))
    assert again(life, policy="fraud").pod == "intellectual-property"
    assert life.lines(CaseEventKind.CASE_REROUTED) == []


def test_a_case_that_overflowed_stays_where_it_is_when_there_is_room_again() -> None:
    life = opened(knowing(a_load("intellectual-property")), category=IP, action=Action.WARNING)
    life.references = None
    case = again(life, policy="fraud")
    assert case.pod == "general"
    assert case.routing.because.endswith("; stays with general, as intellectual-property was full")
    assert again(life, policy="fees").pod == "general"
    assert life.lines(CaseEventKind.CASE_REROUTED) == []


def test_a_case_that_belongs_elsewhere_since_goes_there_whether_it_had_overflowed_or_not() -> None:
    life = opened(knowing(a_load("intellectual-property")), category=IP, action=Action.WARNING)
    life.references = None
    life.send(
        an_amendment(
            T0 + 2 * HOUR, category=Category.STATEMENT_CATEGORY_SCAMS_AND_FRAUD, action=Action.FEE, policy="fees"
        )
    )
    assert life.published()[-1].pod == "payments"


# --- told, and folded again ----------------------------------------------------------------------------------------


@given(
    rate=st.none() | st.builds(Rate, *(st.integers(0, 10**15) for _ in range(4))),
    full=st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), st.integers(0, 10**6), max_size=4),
    said=st.booleans(),
)
def test_what_a_line_tells_is_what_was_seen(*, rate: Rate | None, full: dict[str, int], said: bool) -> None:
    seen = Seen(rate, frozenset(full), tuple(full[pod] for pod in sorted(full)) if said else ())
    assert of_line(told(seen)) == seen


def test_backlogs_are_those_of_the_pods_that_are_still_believed_in_the_order_of_their_names() -> None:
    references = References(a_book().tables)
    for pod, backlog, at in (("payments", 30, T0 + HOUR), ("accounts", 20, T0), ("livestream", 40, T0 + HOUR)):
        references.set_load(pod, msgspec.structs.replace(a_load(pod, at=at), open=backlog + 3))
    seen = references.look(on_file(), T0 + HOUR)
    assert (sorted(seen.full), seen.backlogs) == (["accounts", "livestream", "payments"], (20, 40, 30))
    later = references.look(on_file(), T0 + HOUR + 1)
    assert (sorted(later.full), later.backlogs) == (["livestream", "payments"], (40, 30))


def test_lines_tell_what_was_seen_and_nothing_where_nothing_was() -> None:
    [line] = opened(knowing(a_rate(36, 40), a_load("payments"))).lines(CaseEventKind.CASE_OPENED)
    assert {name: line.saw[name] for name in line.saw if name.startswith(("rate_", "full"))} == {
        "rate_overturned": "36",
        "rate_decided": "40",
        "rate_window_ms": str(DAY),
        "rate_until": str(T0 + HOUR),
        "full_pods": "payments",
        "full_backlogs": "17",
    }
    [bare] = opened(None).lines(CaseEventKind.CASE_OPENED)
    assert not [name for name in bare.saw if name.startswith(("rate_", "full"))]


def test_a_further_text_with_a_flag_and_a_changed_charge_tell_what_their_triage_saw() -> None:
    life = opened(None)
    life.references = knowing(a_rate(36, 40))
    life.send(an_appeal(T0 + HOUR, "a-2"))
    life.send(an_appeal(T0 + HOUR, "a-3", flags=[AppealFlag.LEGAL_ORDER]))
    first, second = life.lines(CaseEventKind.STATEMENT_ADDED)
    assert ("rate_decided" in first.saw, "rate_decided" in second.saw) == (False, True)
    life.send(an_amendment(action=Action.BAN))
    [changed] = life.lines(CaseEventKind.ENFORCEMENT_CHANGED)
    assert changed.saw["rate_overturned"] == "36"


def test_a_second_triage_is_folded_again_by_what_it_saw_and_not_by_the_first() -> None:
    audited = Audited(Life(rulebook=BOOK))
    life = audited.life
    life.references = knowing(a_rate(2, 40))
    audited.fold(an_enforcement(), T0)
    audited.fold(an_appeal(), T0 + HOUR)
    life.references = knowing(a_rate(36, 40))
    audited.fold(an_appeal(T0 + HOUR, "a-2", flags=[AppealFlag.PERSONAL_SAFETY]), T0 + 2 * HOUR)
    life.references = knowing(a_rate(20, 40, policy="fraud"), a_load("payments"))
    audited.fold(an_amendment(T0 + 3 * HOUR, policy="fraud", action=Action.PAYOUT_HOLD), T0 + 3 * HOUR)
    life.references = None
    audited.fold(a_claim(T0 + 4 * HOUR, version=life.version()), T0 + 4 * HOUR)
    audited.fold(a_decision(T0 + 4 * HOUR, version=life.version()), T0 + 4 * HOUR)
    lines = life.lines()
    assert len({line.score for line in lines if line.score is not None}) == 3
    outcome = replay(USER, lines, audited.inputs, {BOOK.digest: BOOK}.__getitem__)
    assert (outcome.difference, outcome.lines) == (None, len(lines))


@given(taken=steps)
@settings(max_examples=150, deadline=None)
def test_a_life_comes_out_identical_whatever_the_tables_said_by_then(taken: Any) -> None:
    """The replay has no tables at all: what it needs is in the lines."""

    def change(life: Life, step: Any, at: int) -> None:
        references = life.references = life.references or References(BOOK.tables)
        if step.r:
            for policy in ("counterfeit", "spam", "fees"):
                rate = a_rate(step.n * 7, step.n * 7 + step.a, until=at, policy=policy, rate_id=policy)
                references.set_rate(policy, rate)
        for pod in ("accounts", "payments", "intellectual-property")[: step.e]:
            references.set_load(pod, a_load(pod, overflowing=step.a % 2 == 0, at=at))

    audited = lived(taken, [BOOK], before=change)
    lines: list[CaseEvent] = audited.life.lines()
    outcome = replay(USER, lines, audited.inputs, {BOOK.digest: BOOK}.__getitem__)
    assert outcome.difference is None
    assert outcome.lines == len(lines)


# --- the rulebook --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sections", "place", "text"),
    [
        ({"pods": [{"name": "general", "overflow": {"above": 5, "below": 4}}]}, "overflow", "no substitute"),
        (
            {"pods": [{"name": "p", "substitute": "general", "overflow": {"above": 5, "below": 5}}]},
            "below",
            "less than",
        ),
        ({"wrongfulness": {"observed": {"windows": ["28d", "24h"]}}}, "windows", "become longer"),
        ({"wrongfulness": {"observed": {"windows": []}}}, "windows", "at least 1"),
        ({"wrongfulness": {"observed": {"strength": -1}}}, "strength", "greater than or equal"),
        ({"wrongfulness": {"observed": {"enough": 0}}}, "enough", "greater than or equal"),
    ],
)
def test_a_rulebook_that_cannot_be_meant_is_refused_with_its_place(
    sections: dict[str, Any], place: str, text: str
) -> None:
    raw = {
        name: {**PACKAGED_SECTIONS[name], **value} if name == "wrongfulness" else value
        for name, value in sections.items()
    }
    with pytest.raises(ValidationError) as raised:
        a_rulebook(**raw)
    found = [
        fault for fault in raised.value.errors() if place in ".".join(map(str, fault["loc"])) or place in fault["msg"]
    ]
    assert any(text in fault["msg"] for fault in found), raised.value


def test_a_rulebook_that_says_nothing_of_it_looks_at_a_day_and_a_month_and_overflows_nowhere() -> None:
    sections = dict(PACKAGED_SECTIONS["wrongfulness"])
    sections.pop("observed", None)
    pods = [{name: value for name, value in pod.items() if name != "overflow"} for pod in PACKAGED_SECTIONS["pods"]]
    tables = a_rulebook(wrongfulness=sections, pods=pods).tables
    assert (tables.rate_windows_ms, tables.rate_enough, tables.rate_strength) == ((DAY, 28 * DAY), 20, 40)
    assert tables.overflow == {}
