"""Every metric of Recourse as a row of data; Prometheus objects and the docs' table are made from these rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

PREFIX = "recourse_"


@dataclass(frozen=True)
class Row:
    """One metric. Units are in the name; labels take values from closed sets only."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


ROWS: tuple[Row, ...] = (
    Row("records_folded_total", "counter", "Input records folded and committed."),
    Row("records_produced_total", "counter", "Records published, dead letters included."),
    Row("timers_fired_total", "counter", "Timers fired and committed."),
    Row("dead_letters_total", "counter", "Records that could not be judged, committed to a dead-letter topic."),
    Row("batch_step_seconds", "histogram", "Time of a batch by step.", ("step",)),
    Row("batches_failed_total", "counter", "Batches given up and read again, by what happened.", ("kind",)),
    Row("transactions_committed_total", "counter", "Transactions committed."),
    Row("transactions_aborted_total", "counter", "Transactions aborted."),
    Row("transactions_fenced_total", "counter", "Transactions refused because somebody else took over."),
    Row("transactions_unknown_total", "counter", "Commits whose fate was unknown; the producer was replaced."),
    Row("producer_renewals_total", "counter", "Transactional producers made.", ("result",)),
    Row("producer_queue_full_total", "counter", "Times a batch waited for the local producer queue."),
    Row("kafka_retries_total", "counter", "Retriable answers of the broker, by call.", ("call",)),
    Row("kafka_consumer_errors_total", "counter", "Passing errors of the consumer, by librdkafka's name.", ("error",)),
    Row("rebalances_total", "counter", "Rebalances by kind.", ("kind",)),
    Row("revoke_deadline_missed_total", "counter", "Revokes that could not wait for the running transaction."),
    Row("partitions_assigned", "gauge", "Partitions of the inputs that this worker holds."),
    Row("worker_ready", "gauge", "1 when every held partition is caught up."),
    Row("restore_remaining_records", "gauge", "Changelog offsets still to replay."),
    Row("restored_records_total", "counter", "Dossiers written to Redis by restores."),
    Row("restore_retries_total", "counter", "Restores that had to wait for broker or Redis.", ("kind",)),
    Row("redis_rebuilt_total", "counter", "Partitions rebuilt from the start of the changelog."),
    Row("redis_lost_total", "counter", "Partitions found missing or stale in Redis while running."),
    Row("redis_refused_total", "counter", "Applies refused by the compare-and-set."),
    Row("state_cache_hits_total", "counter", "Dossiers found in memory."),
    Row("state_reads_total", "counter", "Dossiers read from Redis."),
)

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class PrometheusMetrics:
    """`Metrics` port on prometheus-client. A name that is not in the table is a defect and raises."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for row in ROWS:
            name = PREFIX + row.name
            if row.kind == "counter":
                self._counters[row.name] = Counter(name, row.help, row.labels, registry=self.registry)
            elif row.kind == "gauge":
                self._gauges[row.name] = Gauge(name, row.help, row.labels, registry=self.registry)
            else:
                self._histograms[row.name] = Histogram(
                    name, row.help, row.labels, buckets=_BUCKETS, registry=self.registry
                )

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """See `ports.Metrics`."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(by)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """See `ports.Metrics`."""
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """See `ports.Metrics`."""
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(value)

    def serve(self, port: int) -> None:
        """Answer scrapes on `port` from a thread."""
        start_http_server(port, registry=self.registry)


def markdown() -> str:
    """The table for the docs."""
    lines = ["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |"]
    for row in ROWS:
        labels = ", ".join(row.labels) or "none"
        lines.append(f"| `{PREFIX}{row.name}` | {row.kind} | {labels} | {row.help} |")
    return "\n".join(lines)
