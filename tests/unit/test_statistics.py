"""What librdkafka tells of itself becomes few figures; rises are counted, whatever a new client starts from."""

from __future__ import annotations

import json

from prometheus_client import generate_latest
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.driver.clock import ManualClock
from topology.clock_watch import FRESH_S, ClockWatch
from topology.engine.statistics import options, teller
from topology.metrics.prometheus import PrometheusMetrics


def a_broker(nodeid: int = 1, **more: object) -> dict[str, object]:
    return {"nodeid": nodeid, "state": "UP", "rtt": {"p99": 1_500, "min": 1}, "throttle": {"p99": 20}} | more


def told(*statistics: dict[str, object], client: str = "consumer") -> dict[str, float]:
    metrics = PrometheusMetrics(strict=True)
    tell = teller(client, metrics)  # type: ignore[arg-type]
    for one in statistics:
        tell(json.dumps({"name": "x", "type": client, "more": [1, {}]} | one))
    lines = generate_latest(metrics.registry).decode().splitlines()
    mine = [line for line in lines if f'client="{client}"' in line]
    return {line.rpartition(" ")[0].removeprefix("recourse_kafka_"): float(line.rpartition(" ")[2]) for line in mine}


def test_slowest_broker_counts_and_what_is_no_broker_is_not_up():
    found = told({
        "brokers": {
            "a": a_broker(1, outbuf_cnt=2, waitresp_cnt=3),
            "b": a_broker(2, state="DOWN", rtt={"p99": 250_000}),
            "bootstrap": a_broker(-1, outbuf_cnt=-1, rtt={"p99": 9_000_000}),
        }
    })  # fmt: skip
    assert found['brokers_up{client="consumer"}'] == 1
    assert found['round_trip_seconds{client="consumer"}'] == 0.25
    assert found['throttled_seconds{client="consumer"}'] == 0.02
    assert found['requests_waiting{client="consumer"}'] == 5


def test_rises_are_counted_and_a_new_client_starts_anew():
    found = told(
        {"tx_bytes": 100, "rx_bytes": 7, "brokers": {"a": a_broker(req_timeouts=2)}},
        {"tx_bytes": 150, "rx_bytes": 7, "brokers": {"a": a_broker(req_timeouts=3, txerrs=1)}},
        {"tx_bytes": 10, "rx_bytes": 9, "brokers": {}},
        {"tx_bytes": 30, "rx_bytes": 9, "brokers": {"a": a_broker(req_timeouts=1)}},
    )
    assert found['bytes_total{client="consumer",way="sent"}'] == 170
    assert found['bytes_total{client="consumer",way="received"}'] == 9
    assert found['request_failures_total{client="consumer",kind="timeout"}'] == 4
    assert found['request_failures_total{client="consumer",kind="send"}'] == 1
    assert found['request_failures_total{client="consumer",kind="receive"}'] == 0


def test_queue_of_a_consumer_is_one_and_of_a_producer_its_own():
    partitions = {"0": {"fetchq_cnt": 40, "fetchq_size": 900}, "1": {"fetchq_cnt": 40, "fetchq_size": 900}, "-1": {}}
    found = told({"topics": {"t": {"partitions": partitions}}, "msg_cnt": 3})
    assert (found['queued_records{client="consumer"}'], found['queued_bytes{client="consumer"}']) == (40, 900)
    found = told({"msg_cnt": 12, "msg_size": 3_400}, client="producer")
    assert (found['queued_records{client="producer"}'], found['queued_bytes{client="producer"}']) == (12, 3_400)


def test_none_are_asked_for_if_nobody_wants_them():
    assert options("producer", PrometheusMetrics(), 0) == {}
    assert options("producer", PrometheusMetrics(), 1.5)["statistics.interval.ms"] == 1_500


class Redis:
    def __init__(self, clock: ManualClock, behind_s: float) -> None:
        self.clock, self.behind_s, self.asked, self.cluster, self.down = clock, behind_s, 0, False, False

    def time(self) -> object:
        self.asked += 1
        if self.down:
            raise RedisConnectionError
        micros = int((self.clock.now_ms() / 1_000 - self.behind_s) * 1_000_000)
        found = divmod(micros, 1_000_000)
        return {"node-1": divmod(micros + 1_500_000, 1_000_000), "node-2": found} if self.cluster else found


def test_clock_is_compared_with_the_one_that_all_share():
    clock = ManualClock(1_700_000_000_000)
    redis = Redis(clock, 2.5)
    watch = ClockWatch(redis, clock)
    assert list(watch()) == [], "nothing has been seen yet"
    watch.look()
    assert [round(value, 3) for _, value, _ in watch()] == [2.5]
    redis.behind_s, redis.cluster = -7, True
    watch.look()
    assert [round(value, 3) for _, value, _ in watch()] == [-8.5], "the node that is furthest off"
    assert redis.asked == 2, "a scrape asks nobody"


def test_redis_that_does_not_answer_says_nothing_of_clocks():
    clock = ManualClock(1_700_000_000_000)
    redis = Redis(clock, 1)
    watch = ClockWatch(redis, clock)
    watch.look()
    redis.down = True
    clock.advance(int(FRESH_S * 1_000))
    watch.look()
    assert len(list(watch())) == 1
    clock.advance(1_000)
    assert list(watch()) == []
