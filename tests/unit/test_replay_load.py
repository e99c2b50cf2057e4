"""The rate limit, and what a topic's settings would do to old records."""

import pytest

from topology.replay.history import CENTURY_MS, _of_topic
from topology.replay.load import Pacer

DAY_MS = 86_400_000


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 100.0

    def clock(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds


def paced(rate, count, cost=0.0):
    time = Time()
    pacer = Pacer(rate, clock=time.clock, sleep=time.sleep)
    let_through = []
    for _ in range(count):
        pacer.wait()
        let_through.append(time.now - 100.0)
        time.now += cost
    return let_through


def test_items_go_at_the_rate():
    assert paced(10, 5) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_the_time_that_an_item_costs_counts():
    assert paced(10, 5, cost=0.06) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_the_rate_is_never_exceeded_over_the_whole():
    let_through = paced(250, 1_000)
    assert let_through[-1] == pytest.approx(999 / 250)


def test_without_a_rate_nothing_waits():
    assert paced(None, 1_000)[-1] == 0.0


def warned(*, age_days=400, span_days=100, **config):
    names = {name.replace("_", "."): value for name, value in config.items()}
    return _of_topic("appeal.events", names, age_ms=age_days * DAY_MS, span_ms=span_days * DAY_MS)


def test_a_retention_shorter_than_the_age_is_warned_of():
    [text] = warned(cleanup_policy="delete", retention_ms=str(90 * DAY_MS))
    assert "appeal.events: retention.ms" in text
    assert "400 days old" in text


@pytest.mark.parametrize(
    "config",
    [
        {"cleanup_policy": "delete", "retention_ms": "-1"},
        {"cleanup_policy": "delete", "retention_ms": str(500 * DAY_MS)},
        {"cleanup_policy": "compact", "retention_ms": str(90 * DAY_MS)},
    ],
    ids=["for ever", "long enough", "compacted"],
)
def test_a_topic_that_keeps_the_records_is_not_warned_of(config):
    assert warned(**config) == []


def test_more_segments_than_a_broker_should_keep_are_warned_of():
    [text] = warned(cleanup_policy="compact", segment_ms=str(7 * DAY_MS), span_days=3_650)
    assert "521 times segment.ms" in text
    assert warned(cleanup_policy="compact", segment_ms=str(CENTURY_MS), span_days=3_650) == []
