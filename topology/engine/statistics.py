"""What librdkafka tells of itself (`statistics.interval.ms`): the few figures that tell what is wrong with a cluster.

Its JSON has hundreds; only what is named here is decoded (librdkafka's STATISTICS.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from topology.engine.ports import Metrics

Client = Literal["consumer", "producer"]


class _Window(Struct, frozen=True):
    p99: int = 0


class _Broker(Struct):
    nodeid: int = -1
    state: str = ""
    outbuf_cnt: int = 0
    waitresp_cnt: int = 0
    req_timeouts: int = 0
    txerrs: int = 0
    rxerrs: int = 0
    rtt: _Window = _Window()
    """Microseconds."""
    throttle: _Window = _Window()
    """Milliseconds."""


class _Partition(Struct):
    fetchq_cnt: int = 0
    fetchq_size: int = 0


class _Topic(Struct):
    partitions: dict[str, _Partition] = {}


class _Statistics(Struct):
    msg_cnt: int = 0
    msg_size: int = 0
    tx_bytes: int = 0
    rx_bytes: int = 0
    brokers: dict[str, _Broker] = {}
    topics: dict[str, _Topic] = {}


_DECODER = msgspec.json.Decoder(_Statistics)


def options(client: Client, metrics: Metrics, every_s: float) -> dict[str, Any]:
    """For a client's configuration; `every_s` 0: none."""
    if not every_s:
        return {}
    return {"statistics.interval.ms": int(every_s * 1_000), "stats_cb": teller(client, metrics)}


def teller(client: Client, metrics: Metrics) -> Callable[[str], None]:
    """Takes one client's statistics, in the thread that polls it."""
    before: dict[tuple[str, str], int] = {}

    def rise(name: str, label: str, value: str, now: int) -> None:
        known = before.get((name, value), 0)
        before[name, value] = now
        # A broker that is not known any more takes its counts along.
        if now > known:
            metrics.count(name, now - known, client=client, **{label: value})

    def tell(text: str) -> None:
        found = _DECODER.decode(text)
        brokers = found.brokers.values()
        real = [broker for broker in brokers if broker.nodeid >= 0]
        up = sum(broker.state == "UP" for broker in real)
        metrics.gauge("kafka_brokers_up", up, client=client)
        slowest = max((broker.rtt.p99 for broker in real), default=0)
        metrics.gauge("kafka_round_trip_seconds", slowest / 1_000_000, client=client)
        throttled = max((broker.throttle.p99 for broker in real), default=0)
        metrics.gauge("kafka_throttled_seconds", throttled / 1_000, client=client)
        waiting = sum(max(0, broker.outbuf_cnt) + max(0, broker.waitresp_cnt) for broker in brokers)
        metrics.gauge("kafka_requests_waiting", waiting, client=client)
        rise("kafka_request_failures_total", "kind", "timeout", sum(broker.req_timeouts for broker in brokers))
        rise("kafka_request_failures_total", "kind", "send", sum(broker.txerrs for broker in brokers))
        rise("kafka_request_failures_total", "kind", "receive", sum(broker.rxerrs for broker in brokers))
        rise("kafka_bytes_total", "way", "sent", found.tx_bytes)
        rise("kafka_bytes_total", "way", "received", found.rx_bytes)
        records, size = _queued(client, found)
        metrics.gauge("kafka_queued_records", records, client=client)
        metrics.gauge("kafka_queued_bytes", size, client=client)

    return tell


def _queued(client: Client, found: _Statistics) -> tuple[int, int]:
    """Records and bytes. A consumer's partitions share one queue, and each of them tells all that is in it."""
    if client == "producer":
        return found.msg_cnt, found.msg_size
    partitions = [partition for topic in found.topics.values() for partition in topic.partitions.values()]
    records = max((partition.fetchq_cnt for partition in partitions), default=0)
    return records, max((partition.fetchq_size for partition in partitions), default=0)
