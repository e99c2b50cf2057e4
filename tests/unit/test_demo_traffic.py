"""The demo's traffic: the same for the same seed, at the published rates, with everything odd in it."""

from collections import Counter
from itertools import pairwise

import pytest

from schemas import Codec, DecodeError
from schemas.records import AppealSubmitted, EnforcementIssued
from topology.demo import rates
from topology.demo.odds import APPEALS, BROKEN, Kind
from topology.demo.rates import Restriction
from topology.demo.traffic import Plan, Sending, staff_needed, traffic
from topology.topics import load_register

START_MS = 1_760_000_000_000
REGISTER = load_register()
ODD = APPEALS - {Kind.APPEAL, Kind.ORPHAN_APPEAL}


def a_plan(**change: float) -> Plan:
    return Plan(
        **{"seed": 7, "seconds": 60.0, "rate": 400.0, "appeal_times": 3.0, "start_ms": START_MS, **change}  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def sendings() -> list[Sending]:
    return list(traffic(a_plan()))


def test_same_seed_gives_same_bytes_and_another_seed_others():
    codec = Codec()

    def run(seed: int) -> list[tuple[float, str, str, bytes]]:
        return [
            (s.at_s, s.topic, s.key, s.record if isinstance(s.record, bytes) else codec.encode(s.record))
            for s in traffic(a_plan(seed=seed, seconds=5.0))
        ]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_timeline_is_in_order_and_within_its_time(sendings):
    assert all(a.at_s <= b.at_s for a, b in pairwise(sendings))
    assert all(0 <= s.at_s < 60 for s in sendings)


def test_every_kind_occurs(sendings):
    assert {s.kind for s in sendings} == set(Kind)
    assert any(s.burst for s in sendings)


def test_rate_is_what_was_asked_for(sendings):
    steady = sum(not s.burst for s in sendings)
    assert steady / 60 == pytest.approx(400, rel=0.05)


def test_burst_stands_out(sendings):
    by_second = Counter(int(s.at_s) for s in sendings)
    usual = sorted(by_second.values())[len(by_second) // 2]
    assert max(by_second.values()) > 1.3 * usual


def test_records_encode_and_decode_where_they_are_allowed_and_broken_ones_do_not(sendings):
    codec = Codec()
    for sending in sendings:
        allowed = REGISTER.by_name[sending.topic].allowed
        data = sending.record if isinstance(sending.record, bytes) else codec.encode(sending.record)
        try:
            good = codec.decode(data, allowed).user_id == sending.key  # type: ignore[attr-defined]
        except DecodeError:
            good = False
        assert good == (sending.kind not in BROKEN), sending


def test_measures_are_spread_and_automated_as_published(sendings):
    issued = [s.record for s in sendings if isinstance(s.record, EnforcementIssued) and s.kind is Kind.ENFORCEMENT]
    issued = [record for record in issued if record.detector != rates.MISFIRE]
    spread = Counter(rates.RESTRICTION_OF[record.action] for record in issued)
    for restriction, published in rates.BY_RESTRICTION.items():
        assert spread[restriction] / len(issued) == pytest.approx(published.measures / 151_450, abs=0.02)
    automated = sum(record.automation.endswith("FULLY") for record in issued)
    assert automated / len(issued) == pytest.approx(0.91, abs=0.01)


@pytest.mark.parametrize("times", [1.0, 3.0])
def test_appeals_come_at_a_multiple_of_the_published_rate_of_their_restriction(times):
    measured, appealed = Counter(), Counter()
    first = APPEALS - {Kind.DUPLICATE}
    for sending in traffic(a_plan(appeal_times=times, seconds=150.0)):
        record = sending.record
        if sending.burst or sending.kind in BROKEN:
            continue
        if isinstance(record, EnforcementIssued) and sending.kind is Kind.ENFORCEMENT:
            measured[rates.RESTRICTION_OF[record.action]] += 1
            measured[record.enforcement_id] = rates.RESTRICTION_OF[record.action]  # type: ignore[assignment]
        if isinstance(record, AppealSubmitted) and sending.kind in first and record.enforcement_id in measured:
            appealed[measured[record.enforcement_id]] += 1
    for restriction in Restriction:
        published = rates.BY_RESTRICTION[restriction].appeal_share
        assert appealed[restriction] / measured[restriction] == pytest.approx(times * published, rel=0.12)


def test_figures_are_those_of_the_report():
    assert sum(p.measures for p in rates.BY_RESTRICTION.values()) == 151_450
    assert rates.ALL.reversal_share == pytest.approx(0.424, abs=0.001)
    assert rates.BY_RESTRICTION[Restriction.SERVICE].reversal_share == pytest.approx(0.656, abs=0.001)
    assert rates.BY_RESTRICTION[Restriction.ACCOUNT].reversal_share == pytest.approx(0.155, abs=0.001)


def test_early_appeal_comes_before_its_enforcement_and_orphan_stays_alone(sendings):
    heard = {
        s.record.enforcement_id: s.at_s
        for s in sendings
        if isinstance(s.record, EnforcementIssued) and s.kind is Kind.ENFORCEMENT
    }
    for sending in sendings:
        record = sending.record
        if sending.kind is Kind.EARLY_APPEAL:
            assert heard.get(record.enforcement_id, 60) > sending.at_s
        if sending.kind is Kind.ORPHAN_APPEAL:
            assert record.enforcement_id not in heard
        if sending.kind is Kind.APPEAL:
            assert heard[record.enforcement_id] < sending.at_s


def test_redelivery_is_the_same_record_and_a_duplicate_another_appeal(sendings):
    seen = Counter(s.record.appeal_id for s in sendings if isinstance(s.record, AppealSubmitted) and s.kind in APPEALS)
    assert set(seen.values()) == {1}
    again = [
        s.record.appeal_id for s in sendings if s.kind is Kind.REDELIVERY and isinstance(s.record, AppealSubmitted)
    ]
    assert again
    assert set(again) <= seen.keys()


def test_staff_is_sized_by_the_appeals(sendings):
    appeals = sum(s.kind in APPEALS - {Kind.DUPLICATE} and not s.burst for s in sendings)
    assert staff_needed(a_plan()) == pytest.approx(appeals / 60, rel=0.1)
