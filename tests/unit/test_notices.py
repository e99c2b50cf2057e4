"""Every notice can be sent as it is, and docs/notices.md says which there are and what they carry."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.fold import handle
from processors.growth import MAX_NOTES
from processors.reversal import Because, reverse
from processors.rulebook import Rulebook
from schemas.records import AppellantNotice, EnforcementId, Lesser, UserId
from schemas.vocabulary import Action, DismissalReason, EvidenceKind, NoticeKind, Outcome, ReversalCause
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    PACKAGED_RULEBOOK,
    RULEBOOK,
    T0,
    Life,
    a_claim,
    a_decision,
    a_lift,
    a_rulebook,
    a_supply,
    a_withdrawal,
    after,
    an_ack,
    an_amendment,
    an_appeal,
    an_enforcement,
    an_erasure,
    an_evidence_request,
    decided,
    some_evidence,
)
from tests.unit.lives import LOOKED_AT, T1, claimed, opened
from tests.unit.test_cascade import caused, overturned, strike
from tests.unit.test_random_histories import _MAKERS, Step, _steps

PAGE = Path(__file__).parents[2] / "docs" / "notices.md"
EVERYWHERE = {"notice_id", "user_id", "kind", "occurred_at", "language", "template"}
OF_THE_ENFORCEMENT = {"policy", "policy_version", "action", "statement_of_reasons_id"}


class Row(NamedTuple):
    """What the page says of a template."""

    kinds: set[str]
    always: set[str]
    sometimes: set[str]
    redress: list[str]


def rows() -> dict[str, Row]:
    found: dict[str, Row] = {}
    for text in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`"):
            template, kinds, when, fields, redress = (re.findall(r"`([^`]+)`", cell) for cell in cells)
            assert template[0] not in found, "a template has two rows"
            assert cells[2].endswith("."), when
            found[template[0]] = Row(
                set(kinds),
                {name for name in fields if not name.endswith("?")},
                {name[:-1] for name in fields if name.endswith("?")},
                redress,
            )
    return found


ROWS = rows()


def carried(notice: AppellantNotice) -> set[str]:
    names = {f.name for f in msgspec.structs.fields(AppellantNotice)}
    return {name for name in names if getattr(notice, name) not in (None, [])} - EVERYWHERE - OF_THE_ENFORCEMENT


def check_notice(life: Life, notice: AppellantNotice) -> None:
    """Right after it was emitted."""
    assert notice.template in ROWS, f"{notice.template} is not in docs/notices.md"
    row = ROWS[notice.template]
    assert notice.kind in row.kinds
    assert notice.language, "in which language?"
    assert notice.kind is not NoticeKind.UNKNOWN
    fields = carried(notice) - {"redress"}
    assert row.always <= fields <= row.always | row.sometimes, notice.template
    assert [redress.value for redress in notice.redress] == row.redress, notice.template
    e = None if notice.enforcement_id is None else life.dossier.enforcements.get(notice.enforcement_id)
    told = (notice.action, notice.policy, notice.policy_version, notice.statement_of_reasons_id)
    if notice.template == "case.erased":
        assert all(told), "it was on file then"
    elif e is None:
        assert told == (None, None, None, None)
    elif e.filed:
        assert told == (e.action, None, None, None)
    else:
        assert told == (e.action, e.policy, e.policy_version, e.statement_of_reasons_id)
        assert all(told), "what is on file is told"


# --- a life for each template -----------------------------------------------------------------------------------


def refused_by(e: dict[str, Any] | None = None, **appeal: Any) -> Life:
    return after(an_enforcement(**e or {}), an_appeal(**appeal))


def waiting_for_nothing() -> Life:
    life = after(an_appeal())
    life.wait_until(T0 + 9 * DAY)
    return life


def upheld_and_appealed_again() -> Life:
    life = decided(Outcome.UPHELD)
    life.send(an_appeal(at=T0 + DAY, appeal_id="a-2"))
    return life


def confirmed() -> Life:
    life = decided()
    life.send(an_ack(life.orders()[0]))
    return life


def full_of_texts() -> Life:
    life = opened()
    for n in range(MAX_NOTES + 1):
        life.send(an_appeal(at=T1 + n, appeal_id=f"b-{n}"))
    return life


def ended(outcome: Outcome, **change: Any) -> Life:
    life = claimed()
    life.send(a_decision(T1 + 1, outcome, **change))
    return life


def overdue() -> Life:
    life = opened()
    life.wait_until(life.case().due_at)
    return life


def supplied() -> Life:
    life = claimed()
    life.send(an_evidence_request(T1 + 1))
    life.send(a_supply(T1 + 2, some_evidence("y-1", EvidenceKind.LICENCE)))
    return life


def granted() -> Life:
    rule = {"name": "r", "when": {"policies": ["counterfeit"]}, "do": "grant", "daily_cap": 1}
    return after(an_enforcement(), an_appeal(), rulebook=a_rulebook(automation=[rule]))


def overdue_remand() -> Life:
    life = ended(Outcome.REMANDED, guidance_ref="s3://guidance/1")
    life.wait_until(life.now + RULEBOOK.tables.remand_ms)
    return life


def remedied() -> Life:
    life = after(an_enforcement())
    because = Because(ReversalCause.REMEDY, "v-1", remedy_id="m-1")
    reverse(life.dossier, EnforcementId("e-1"), because, life, "remedy:m-1:e-1")
    return life


LIVES: dict[str, Callable[[], Life]] = {
    "appeal.received": lambda: after(an_appeal()),
    "appeal.case_opened": opened,
    "appeal.refused.no_enforcement_on_file": waiting_for_nothing,
    "appeal.refused.not_the_subject": lambda: refused_by(appellant_id=UserId("x")),
    "appeal.refused.not_appealable": lambda: refused_by({"appealable": False}),
    "appeal.refused.untimely": lambda: refused_by(at=T0 + 200 * DAY),
    "appeal.refused.duplicate": full_of_texts,
    "appeal.refused.appeal_to_appeal": upheld_and_appealed_again,
    "appeal.refused.insufficient_information": lambda: refused_by(statement_ref=None, grounds=[]),
    "appeal.refused.already_reversed": lambda: after(an_enforcement(), a_lift(at=T0 + 1), an_appeal()),
    "appeal.withdrawn": lambda: after(an_appeal(), a_withdrawal()),
    "case.evidence_requested": supplied,
    "case.evidence_received": supplied,
    "case.enforcement_changed": lambda: after(an_enforcement(), an_appeal(), an_amendment(action=Action.BAN)),
    "case.delayed": overdue,
    "case.decided.upheld": lambda: ended(Outcome.UPHELD),
    "case.decided.upheld_ground_changed": lambda: ended(Outcome.UPHELD_GROUND_CHANGED, substituted_policy="fakes"),
    "case.decided.overturned": granted,
    "case.decided.dismissed": lambda: ended(Outcome.DISMISSED, dismissal=DismissalReason.ABUSIVE),
    "case.decided.withdrawn": lambda: after(an_enforcement(), an_appeal(), a_withdrawal()),
    "appeal.erased": lambda: after(an_appeal(), an_erasure()),
    "case.erased": lambda: after(an_enforcement(), an_appeal(), an_erasure()),
    "case.decided.moot": lambda: after(an_enforcement(), an_appeal(), a_lift()),
    "case.decided.modified": lambda: ended(Outcome.MODIFIED, lesser=Lesser(action=Action.WARNING)),
    "case.decided.remanded": lambda: ended(Outcome.REMANDED, guidance_ref="s3://guidance/1"),
    "case.reexamined.cascade": lambda: overturned(strike(1), caused("hold", "s-1", Action.PAYOUT_HOLD)),
    "case.reexamined.remand": overdue_remand,
    "reversal.ordered.cascade": lambda: overturned(strike(1), strike(2), caused("ban", "s-2"), which="s-2"),
    "reversal.ordered.remedy": remedied,
    "reversal.confirmed": confirmed,
}


def test_page_lists_exactly_the_templates_that_are_used() -> None:
    used = {notice.template for live in LIVES.values() for notice in live().notices()}
    assert used == set(ROWS)


@pytest.mark.parametrize("template", sorted(LIVES))
def test_template_is_used_when_the_page_says_and_carries_what_it_says(template: str) -> None:
    life = LIVES[template]()
    found = [notice for notice in life.notices() if notice.template == template]
    assert found
    for notice in found:
        check_notice(life, notice)


def test_both_kinds_of_a_duplicate_come_about() -> None:
    kinds = {n.kind for n in full_of_texts().notices() if n.template == "appeal.refused.duplicate"}
    assert kinds == {NoticeKind.STATEMENT_ADDED, NoticeKind.REFUSED}


def test_notice_of_people_has_reasons_and_one_of_a_rule_has_none() -> None:
    assert decided().notices(NoticeKind.DECIDED)[0].reasons_ref == "s3://reasons/1"
    assert granted().notices(NoticeKind.DECIDED)[0].reasons_ref is None


def test_notice_keeps_the_language_of_the_appeal() -> None:
    life = after(an_enforcement(), an_appeal(language="pl"), a_claim(T0 + HOUR + MINUTE))
    life.send(a_decision(T0 + HOUR + MINUTE))
    life.send(an_ack(life.orders()[0]))
    assert {notice.language for notice in life.notices()} == {"pl"}


def test_notice_about_an_enforcement_that_was_filed_away_names_only_its_action() -> None:
    life = after(an_enforcement(at=T0 - 300 * DAY))
    for n in range(70):
        life.send(an_enforcement(at=T0, enforcement_id=EnforcementId(f"f-{n}")))
    assert life.dossier.enforcements[EnforcementId("e-1")].filed
    life.send(an_appeal())
    [notice] = life.notices()
    assert notice.template == "appeal.refused.untimely"
    check_notice(life, notice)


# --- many lives -------------------------------------------------------------------------------------------------


def _lived(steps: list[Step], rulebook: Rulebook) -> Iterator[tuple[Life, list[AppellantNotice]]]:
    life, at = Life(rulebook=rulebook), T0
    for step in steps:
        at += step.wait
        event = _MAKERS[step.what](step, life, at)
        if event is None:
            continue
        # What is due comes first, so that each notice is looked at with the dossier that it was written from.
        yield life, Life(out=life.wait_until(at)).notices()
        before = len(life.out)
        handle(life.dossier, event, life)
        yield life, Life(out=life.out[before:]).notices()
    yield life, Life(out=life.wait_until(at + 400 * DAY)).notices()


@given(steps=_steps, rulebook=st.sampled_from([RULEBOOK, PACKAGED_RULEBOOK, LOOKED_AT]))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_every_notice_is_as_the_page_says(steps: list[Step], rulebook: Rulebook) -> None:
    ids: set[str] = set()
    for life, notices in _lived(steps, rulebook):
        for notice in notices:
            check_notice(life, notice)
            assert notice.notice_id not in ids
            ids.add(notice.notice_id)
