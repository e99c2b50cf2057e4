"""The longer measurements run, on few users: what they verify of the work that was done is in them."""

from argparse import Namespace

import pytest

from bench import ageing, latency, overload, recovery, scale

_PARTITIONS = 2


def test_recovery_replaces_workers_and_rebuilds_a_flushed_redis(kafka, redis_server):
    options = Namespace(users=1_000, partitions=_PARTITIONS, kills=1, takeovers=0, rate=100)
    found = recovery.measure("appeals", kafka, redis_server().url, options)
    assert found["verified"] == "Redis equals the changelog: 1000 states"
    assert found["flushed"]["restored"] >= 1_000


@pytest.mark.long
def test_scale_folds_all_events(kafka, redis_url):
    options = Namespace(state="triage", events=4_000, cached=1_000)
    found = scale.measure(kafka, redis_url, options, users=500, partitions=_PARTITIONS, workers=2)
    assert found["events_per_second"] > 0
    assert found["workers"] == 2


def test_a_day_ages_its_users_and_no_timer_is_late(kafka, redis_url):
    options = Namespace(users=1_000, hours=24, partitions=_PARTITIONS, cached=100)
    found = ageing.measure(kafka, redis_url, options)
    assert found["timers_fired"] >= found["timers_due_at_the_start"] > 0
    assert found["verified"].startswith("no timer is late; Redis equals the changelog")


@pytest.mark.long
def test_overload_is_worked_off_with_every_appeal_a_case(kafka, redis_url):
    options = Namespace(seconds=0.5, users=500, partitions=_PARTITIONS, calibrate=1_000, cached=1_000)
    found = overload.measure(kafka, redis_url, options)
    assert found["behind_at_the_end"] > 0
    assert found["verified"]


@pytest.mark.long
def test_latency_counts_the_appeals_after_the_warm_up(kafka, redis_url):
    found = latency.paced(kafka, redis_url, rate=50, warm_s=1, seconds=1)
    assert found["appeals"] == 50
    assert 0 < found["p50_ms"] <= found["p99_ms"] <= found["worst_ms"]
