"""What the demo's specialists decide: all outcomes come, and what they leave of a measure is sound."""

from collections import Counter
from random import Random

import pytest
from msgspec import structs

from schemas.records import Case, EnforcementIssued
from schemas.vocabulary import Action, CaseEventKind, Outcome
from tests.unit.builders import RULEBOOK, T0, Life, a_claim, a_decision, an_appeal
from topology.demo import measures, rates
from topology.demo.forms import Forms
from topology.demo.judgement import Judgement
from topology.demo.milder import lesser
from topology.demo.odds import Kind
from topology.demo.traffic import Plan, traffic


def a_case(action: Action, seed: int = 1) -> tuple[Life, Case]:
    """A measure of the demo, appealed against, and its case as specialists see it."""
    forms = Forms(Random(f"{seed} {action}"), T0)
    issued = forms.issued(0, measures.user(seed, 1), action)
    life = Life(rulebook=RULEBOOK)
    life.dossier.user_id = issued.user_id
    life.send(issued)
    who = issued.user_id
    life.send(an_appeal(T0 + 1_000, user_id=who, appellant_id=who, enforcement_id=issued.enforcement_id))
    return life, life.published()[-1]


@pytest.mark.parametrize("action", [a for a in Action if a not in (Action.UNKNOWN, Action.WARNING)])
def test_what_is_left_is_less_and_the_engine_takes_it(action):
    for seed in range(20):  # places, ends and amounts differ
        life, case = a_case(action, seed)
        left = lesser(case)
        assert left is not None
        assert left == lesser(case)
        life.send(structs.replace(a_claim(T0 + 2_000), user_id=case.user_id))
        life.send(a_decision(T0 + 3_000, Outcome.MODIFIED, lesser=left, user_id=case.user_id))
        assert [line.outcome for line in life.lines(CaseEventKind.CASE_DECIDED)] == [Outcome.MODIFIED], life.lines()[-1]


def test_nothing_is_milder_than_a_warning():
    assert lesser(a_case(Action.WARNING)[1]) is None


def test_specialists_uphold_overturn_modify_and_send_back():
    judgement = Judgement()
    case = a_case(Action.SUSPENSION)[1]
    outcomes = Counter(judgement._outcome(structs.replace(case, case_id=f"c-{n}")) for n in range(4_000))
    reversed_ = outcomes[Outcome.OVERTURNED] + outcomes[Outcome.MODIFIED]
    assert reversed_ / 4_000 == pytest.approx(rates.reversal_share(Action.SUSPENSION, None), abs=0.02)
    assert outcomes[Outcome.MODIFIED] / reversed_ == pytest.approx(rates.MODIFIED_SHARE, abs=0.05)
    assert 40 < outcomes[Outcome.REMANDED] < 200


def test_measures_follow_from_strikes_and_hit_the_same_thing_again():
    plan = Plan(seed=7, seconds=60.0, rate=400.0, appeal_times=3.0, start_ms=T0)
    issued = [s.record for s in traffic(plan) if s.kind is Kind.ENFORCEMENT and isinstance(s.record, EnforcementIssued)]
    by_id = {e.enforcement_id: e for e in issued}
    caused = [e for e in issued if e.caused_by in by_id]
    assert len(caused) > 100
    assert all(by_id[e.caused_by].user_id == e.user_id and by_id[e.caused_by].strikes for e in caused if e.caused_by)
    targets = Counter((e.user_id, e.target.id) for e in issued if e.target.id != e.user_id)
    assert sum(n > 1 for n in targets.values()) > 20
