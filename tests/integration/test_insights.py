"""`recourse insights` on a real Kafka, killed again and again: what it knows in the end is a count of the topics."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from processors.insights.cells import WINDOWS, total
from processors.insights.facts import Measure
from processors.insights.shard import ENFORCEMENTS, LINES, Fate
from schemas.codec import Codec
from schemas.records import MisfireSuspected, OverturnRate, PodLoad, Record
from schemas.vocabulary import CaseEventKind as Kind
from schemas.vocabulary import Outcome
from tests.integration.worker_process import Installation
from tests.unit.builders import HOUR, MINUTE
from tests.unit.insights_lines import Event, a_decided, a_line, batch_count, issued
from topology.insights.app import INPUTS
from topology.insights.service import Service
from topology.metrics.prometheus import PrometheusMetrics

PARTITIONS = 4
CASES = 1_500
START = time.time_ns() // 1_000_000 - HOUR // 2
KILLS = 3
PATIENCE_S = 120


@pytest.fixture
def installation(kafka: str, redis_url: str, app_id: str, tmp_path: Path) -> Iterator[Installation]:
    with Installation(
        kafka, redis_url, app_id, tmp_path, partitions=PARTITIONS, output_partitions=PARTITIONS
    ) as installation:
        yield installation


class Feeder:
    """Writes histories in transactions, of which every fourth is aborted, and now and then something twice."""

    def __init__(self, installation: Installation) -> None:
        self._prefix = installation.prefix
        self._codec = Codec()
        self._chance = random.Random(7)
        self._producer = Producer(
            {
                "bootstrap.servers": installation.kafka,
                "transactional.id": f"{installation.name}-feeder",
                "partitioner": "murmur2_random",
                "log_level": 0,
            }
        )
        self._producer.init_transactions()
        self.committed: list[Event] = []

    def feed(self, first: int, last: int) -> None:
        for transaction, begin in enumerate(range(first, last, 50)):
            self._producer.begin_transaction()
            told = [event for n in range(begin, min(begin + 50, last)) for event in self._case(n)]
            for topic, key, event in told:
                self._producer.produce(self._prefix + topic, key=key, value=self._codec.encode(event))
            if transaction % 4 == 3:
                self._producer.flush()
                self._producer.abort_transaction()
            else:
                self._producer.commit_transaction()
                self.committed += [event for _, _, event in told]

    def _case(self, n: int) -> Iterator[tuple[str, str, Event]]:
        """An enforcement, its appeal and what became of it; version 2 of the detector is nearly always wrong."""
        at, user = START + n * 1_000, f"u-{n % 97}"
        version = "2" if n > CASES // 2 else "1"
        saw = {"detector_version": version, "issued_at": str(at)}
        yield "enforcement.events", user, issued(at, n, version, policy="fees")
        opened = a_line(Kind.CASE_OPENED, at, f"c-{n}", saw=saw)
        yield "case.events", user, opened
        if self._chance.random() < 0.1:
            yield "case.events", user, opened
        if n % 10:
            wrong = self._chance.random() < (0.9 if version == "2" else 0.1)
            outcome = Outcome.OVERTURNED if wrong else Outcome.UPHELD
            yield "case.events", user, a_decided(at + MINUTE, f"c-{n}", outcome, saw=saw)


class Topic:
    """Reads a topic as it grows; keeps the newest record by key, and counts them."""

    def __init__(self, installation: Installation, name: str) -> None:
        self._allowed = installation.register.by_name[name].allowed
        self._consumer = Consumer(
            {"bootstrap.servers": installation.kafka, "group.id": "unused", "enable.partition.eof": True}
        )
        found = self._consumer.list_topics(installation.prefix + name, timeout=30).topics[installation.prefix + name]
        self._ends = len(found.partitions)
        self._consumer.assign([TopicPartition(installation.prefix + name, p, 0) for p in found.partitions])
        self.newest: dict[bytes, bytes] = {}
        self.all: list[bytes] = []

    def read(self) -> dict[bytes, bytes]:
        """What has come since."""
        while (message := self._consumer.poll(0.3)) is not None:
            self._take(message)
        return self.newest

    def read_whole(self) -> dict[bytes, bytes]:
        """Up to the end; the first time only, as an end is told once."""
        ended: set[int] = set()
        while len(ended) < self._ends:
            message = self._consumer.poll(30)
            assert message is not None
            if message.error():
                ended.add(message.partition())
            self._take(message)
        return self.newest

    def _take(self, message: Message) -> None:
        if message.error():
            return
        if message.value() is None:
            self.newest.pop(message.key(), None)
        else:
            self.newest[message.key()] = message.value()
            self.all.append(message.value())

    def records(self) -> list[Record]:
        return [self.decoded(value) for value in self.read().values()]

    def decoded(self, value: bytes) -> Record:
        return Codec().decode(value, self._allowed)

    def close(self) -> None:
        self._consumer.close()


def by_slice(rates: list[Record], window_s: int) -> dict[str, tuple[int, int]]:
    found = [rate for rate in rates if isinstance(rate, OverturnRate) and rate.window_s == window_s]
    return {rate.rate_id.rpartition("|")[0]: (rate.decided, rate.overturned) for rate in found}


def test_killed_at_any_moment_its_tables_and_figures_end_equal_to_a_count_of_the_topics(installation: Installation):
    feeder = Feeder(installation)
    rates = Topic(installation, "insights.overturn-rates")
    worker = start(installation)
    feeder.feed(0, CASES // 4)
    await_that(lambda: len(rates.read()) > 10, "rates are published")
    for kill in range(1, KILLS + 1):
        share = CASES * 3 // 4 // KILLS
        feeder.feed(CASES // 4 + (kill - 1) * share, CASES // 4 + kill * share)
        time.sleep(0.15 * kill)  # in the middle of reading, of writing state, of publishing: wherever it is
        worker.kill()
        worker.wait()
        worker = start(installation)

    whole = batch_count(feeder.committed, START + 40 * MINUTE, index=2)
    wanted = {
        name: (counts[Measure.DECIDED], counts.get(Measure.OVERTURNED, 0))
        for name, counts in whole.items()
        if not name.startswith(("misfire", "load"))
    }
    longest = WINDOWS[2].seconds
    await_that(lambda: by_slice(rates.records(), longest) == wanted, lambda: by_slice(rates.records(), longest))

    loads = Topic(installation, "pod.load")
    still_open = len({e.case_id for e in feeder.committed if is_line(e)}) - len(
        {e.case_id for e in feeder.committed if is_line(e, Kind.CASE_DECIDED)}
    )
    await_that(lambda: [load.open for load in loads.records() if isinstance(load, PodLoad)] == [still_open], loads.read)
    worker.terminate()
    assert worker.wait(30) == 0

    known = as_kept(installation)
    counted: dict[str, Counter[int]] = {}
    for shard in known.shards.values():
        for key, cube in shard.cubes():
            counted.setdefault(key.partition("|")[2], Counter()).update(total([cube], 2, START))
    assert {name: dict(counts) for name, counts in counted.items()} == whole
    added_up = [totals.counts(name, 2, START) for name in whole for totals in known.totals.values()]
    assert sorted(map(sorted_items, filter(None, added_up))) == sorted(map(sorted_items, whole.values()))
    fates: Counter[str] = Counter()
    for shard in known.shards.values():
        fates.update(shard.position(LINES).fates)
        fates.update(shard.position(ENFORCEMENTS).fates)
    met = {event.event_id for event in feeder.committed}
    assert fates == {Fate.COUNTED: len(met), Fate.DUPLICATE: len(feeder.committed) - len(met)}

    alerts = Topic(installation, "misfire.alerts")
    alerts.read_whole()
    told = [Codec().decode(value, frozenset({MisfireSuspected})) for value in alerts.all]
    [alert] = {alert.alert_id: alert for alert in told if alert.kind == "overturn_rate"}.values()
    assert (alert.detector.version, alert.baseline_of, alert.predecessor) == ("2", "predecessor", "1")
    for topic in (rates, loads, alerts):
        topic.close()


def start(installation: Installation) -> Any:
    return installation.start("-m", "topology.cli", "insights", insights_tick_s=0.2)


def is_line(event: Event, kind: Kind | None = None) -> bool:
    found = getattr(event, "kind", None)
    return found is not None and kind in (None, found)


def sorted_items(counts: dict[int, int]) -> list[tuple[int, int]]:
    return sorted(counts.items())


def as_kept(installation: Installation) -> Service:
    """What a process would know that starts now."""
    state = Topic(installation, "insights.state")
    kept = dict(state.read_whole())
    state.close()
    service = Service(
        partitions=PARTITIONS,
        codec=Codec(),
        allowed={source: installation.register.by_name[name] for source, name in INPUTS.items()},
        metrics=PrometheusMetrics(role="insights", strict=True),
        grace_ms=HOUR,
        prior=(4.0, 6.0),
        wall=True,
    )
    service.assign(range(PARTITIONS), kept.items())
    return service


def await_that(holds: Any, otherwise: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, otherwise() if callable(otherwise) else otherwise
        time.sleep(0.1)


def test_unequal_partition_counts_are_refused_with_what_to_do(kafka: str, redis_url: str, app_id: str, tmp_path: Path):
    with Installation(kafka, redis_url, app_id, tmp_path, partitions=2, output_partitions=1) as installation:
        found = installation.recourse("insights")
        assert found.returncode == 2
        assert "as many partitions" in found.stderr + found.stdout
