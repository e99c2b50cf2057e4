"""`make bench-stores`: the insights with their table in memory and in RocksDB, on the same events.

For each store: one process of `recourse insights` counts what lies on the topic, and is killed (SIGKILL) when all of it
is written behind. Then as many entries as the table would have of a longer hour are written to its changelog (every
event leaves one for the grace period), and a process is started, killed and started again: the second start is
measured, as then RocksDB has on disk what the first had to read. Events a second and CPU are from the first to the last
event counted; a start is from the process's first instruction until its partitions' state is there.

`--alone` measures neither Kafka nor Faust: what a write into the store itself costs, and reading all of it back.

RocksDB needs `pip install rocksdict`. Faust's store for it looks for the partition in the event that is being handled;
ours is written on a tick, outside any, so here it asks the table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
from confluent_kafka import Producer

from bench.workload import now_ms
from processors.insights.shard import LINES, Seen, Shard
from schemas.codec import Codec
from schemas.records import AppealId, CaseEvent, CaseId, EnforcementId, Millis, UserId
from schemas.vocabulary import Band, CaseEventKind, CaseState, Outcome
from topology import logs
from topology.cluster import Cluster
from topology.embedded import embedded_services
from topology.settings import load_settings
from topology.topics import load_register

STORES = ("memory", "rocksdict")
PARTITIONS = 4
PATIENCE_S = 600.0
SETTLES_S = 8.0
"""After the last event: the tick that writes it, Faust's note of how far the table is written, and the gauges."""
ROWS: tuple[tuple[str, str, str], ...] = (
    ("events_per_s", "events counted a second", ",.0f"),
    ("cpu_us_an_event", "CPU an event, µs", ",.0f"),
    ("peak_counting_mb", "peak memory, MB", ",.0f"),
    ("empty_start_s", "start with nothing, s", ".1f"),
    ("entries", "entries in the table at the start", ",.0f"),
    ("start_s", "that start, s", ".1f"),
    ("start_cpu_s", "CPU of it, s", ".1f"),
    ("peak_mb", "peak memory of it, MB", ",.0f"),
    ("disk_mb", "on disk, MB", ",.0f"),
)


def main() -> None:
    """Measure both, and print them as a table or JSON."""
    parser = argparse.ArgumentParser(prog="make bench-stores", description=__doc__)
    parser.add_argument("stores", nargs="*", choices=[*STORES, []], default=[], help="which (both)")
    parser.add_argument("--events", type=int, default=20_000, help="to be counted (default: 20,000)")
    parser.add_argument("--entries", type=int, default=200_000, help="of the table at the start (default: 200,000)")
    parser.add_argument("--alone", action="store_true", help="the stores without Kafka: seconds of CPU for --entries")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.alone:
        print(json.dumps(alone(asked.entries), indent=2))
        return
    found: dict[str, dict[str, float]] = {}
    with embedded_services(heap_mb=512) as services:
        for store in asked.stores or STORES:
            found[store] = measure(store, services.kafka_bootstrap, asked.events, asked.entries)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    print(f"| {asked.events:,} events, then {asked.entries:,} entries | {' | '.join(found)} |")
    print(f"| --- |{' --- |' * len(found)}")
    for name, words, form in ROWS:
        print(f"| {words} | {' | '.join(format(figures[name], form) for figures in found.values())} |")


def measure(store: str, kafka: str, events: int, entries: int) -> dict[str, float]:
    """The figures of one store."""
    prefix = f"stores-{store}-{now_ms()}."
    register = load_register(prefix, partitions=PARTITIONS)
    topics = tuple(t if t.co_partitioned else t.model_copy(update={"partitions": PARTITIONS}) for t in register.topics)
    Cluster({"bootstrap.servers": kafka}, register.model_copy(update={"topics": topics})).create_missing(1)
    feed(kafka, register.on_cluster("case.events"), events)
    with tempfile.TemporaryDirectory(prefix="recourse-stores-") as folder:
        process = Insights(store, kafka, prefix, Path(folder))
        empty_start_s, _ = process.until_assigned()
        cpu = process.cpu_s()
        first = process.until(lambda: process.counted() > 0, every_s=0.02)
        process.until(lambda: process.counted() >= events)
        took_s, cpu_s = time.monotonic() - first, process.cpu_s() - cpu
        time.sleep(SETTLES_S)
        known, peak_counting_mb = process.metric("insights_state_entries"), process.peak_mb()
        process.kill()
        more = max(0, entries - round(known))
        fill(kafka, register.on_cluster("insights.state"), more)
        start_s = start_cpu_s = peak_mb = 0.0
        for _ in range(2):
            process = Insights(store, kafka, prefix, Path(folder))
            start_s, start_cpu_s = process.until_assigned()
            time.sleep(SETTLES_S)
            if process.metric("insights_state_entries") != known + more:
                raise SystemExit(f"{store}: after a kill {known + more:,.0f} entries are not there again")
            peak_mb = process.peak_mb()
            process.kill()
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return {
        "events_per_s": events / took_s,
        "cpu_us_an_event": cpu_s / events * 1e6,
        "peak_counting_mb": peak_counting_mb,
        "peak_mb": peak_mb,
        "disk_mb": disk / 1e6,
        "entries": known + more,
        "start_s": start_s,
        "start_cpu_s": start_cpu_s,
        "empty_start_s": empty_start_s,
    }


def alone(entries: int) -> dict[str, float]:
    """CPU seconds of writing so many entries, of reading them back, and of taking them into memory as every start does.

    Faust notes an offset in RocksDB beside each entry: that is a write of its own.
    """
    from faust.stores.rocksdb import RocksDBOptions  # noqa: PLC0415 - as in `child`

    items = [(entry_key(n, 0), entry(n)) for n in range(entries)]
    memory: dict[bytes, bytes] = {}
    found: dict[str, float] = {}

    def timed(name: str, does: Callable[[], object]) -> None:
        begin = time.process_time()
        does()
        found[name] = round(time.process_time() - begin, 3)

    timed("memory: writes", lambda: [memory.__setitem__(key, value) for key, value in items])
    with tempfile.TemporaryDirectory() as folder:
        options = RocksDBOptions(use_rocksdict=True)
        db = options.open(Path(folder) / "noted")
        timed(
            "rocksdict: writes",
            lambda: [(db.put(key, value), db.put(b"offset", b"%d" % n)) for n, (key, value) in enumerate(items)],
        )
        db.close()
        timed("rocksdict: opened and read", lambda: len(list(options.open(Path(folder) / "noted").items())))
    shard = Shard(3_600_000)
    timed("taken into memory", lambda: shard.load((key.decode()[4:], value) for key, value in items))
    return found


class Insights:
    """One process of the insights, seen through its metrics."""

    def __init__(self, store: str, kafka: str, prefix: str, folder: Path) -> None:
        self._port = 20_000 + os.getpid() % 10_000
        environment = {
            "RECOURSE_KAFKA": kafka,
            "RECOURSE_TOPIC_PREFIX": prefix,
            "RECOURSE_METRICS_PORT": str(self._port),
            "RECOURSE_SESSION_S": "6",
            "RECOURSE_LOG_FORMAT": "json",
        }
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.stores", "child", store, str(folder)],
            env=os.environ | environment,
            stderr=subprocess.DEVNULL,
        )
        self._seen = psutil.Process(self._process.pid)

    def until_assigned(self) -> tuple[float, float]:
        """Seconds since it was started until it holds its partitions' state, and the CPU of it."""
        at = self.until(lambda: self.metric("insights_partitions_assigned") == PARTITIONS, every_s=0.05)
        return at - self._started, self.cpu_s()

    def until(self, reached: Callable[[], bool], every_s: float = 0.2) -> float:
        """Wait, and tell when (monotonic seconds)."""
        while not reached():
            if self._process.poll() is not None or time.monotonic() - self._started > PATIENCE_S:
                raise SystemExit(f"the insights ended with {self._process.poll()}, or do not get there")
            time.sleep(every_s)
        return time.monotonic()

    def counted(self) -> float:
        """Events that it has taken."""
        return self.metric("insights_records_total")

    def metric(self, name: str) -> float:
        """Summed over its labels; 0 before it is there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"recourse_{name}(\{{| )", line))

    def cpu_s(self) -> float:
        """Of the process so far."""
        times = self._seen.cpu_times()
        return times.user + times.system

    def peak_mb(self) -> float:
        """The most memory it has had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1_000

    def kill(self) -> None:
        """As a machine would that goes down."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def feed(kafka: str, topic: str, events: int) -> None:
    """So many lines of the last half hour: cases that are opened, and decided."""
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    codec = Codec()
    for line in lines(events, now_ms() - 1_800_000):
        producer.produce(topic, codec.encode(line, topic), line.user_id.encode())
        producer.poll(0)
    if producer.flush(60):
        raise SystemExit("the broker does not take the events")


def fill(kafka: str, state: str, entries: int) -> None:
    """So many entries as `processors/insights/shard.py` remembers events by."""
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    for n in range(entries):
        partition = n % PARTITIONS
        producer.produce(state, entry(n), entry_key(n, partition), partition=partition)
        producer.poll(0)
    if producer.flush(60):
        raise SystemExit("the broker does not take the entries")


def entry_key(n: int, partition: int) -> bytes:
    """Of an event that is remembered."""
    return f"{partition}|a|s|{LINES}|9b2e7c04-5d1f-4a83-b6f0-{n:012x}".encode()


def entry(n: int) -> bytes:
    """What is remembered of it: ten minutes old."""
    return msgspec.msgpack.encode(Seen(n, now_ms() - 600_000))


def lines(events: int, begin: int) -> Iterator[CaseEvent]:
    """Of twenty detector versions, five rules and three languages."""
    for n in range(events):
        case, decided = n // 2, n % 2
        at = begin + n * 1_500_000 // events
        detector, language = f"d-{case % 10}", ("de", "en", "fr")[case % 3]
        saw = {"policy": f"rule-{case % 5}", "detector": detector, "detector_version": str(case % 20 // 10)}
        saw["issued_at"] = str(at - 600_000)
        if decided:
            saw |= {"how": "alone", "reviewer": f"r-{case % 30}", "automation": "AUTOMATED_DECISION_FULLY"}
            saw |= {"language": language, "region": "DE", "submitted_at": str(at - 60_000)}
        yield CaseEvent(
            event_id=f"line-{n}",
            user_id=UserId(f"u-{case}"),
            seq=1 + decided,
            appeal_id=AppealId(f"a-{case}"),
            case_id=CaseId(f"c-{case}"),
            enforcement_id=EnforcementId(f"e-{case}"),
            occurred_at=Millis(at),
            kind=CaseEventKind.CASE_DECIDED if decided else CaseEventKind.CASE_OPENED,
            cause_id=f"cause-{n}",
            state=CaseState.DECIDED if decided else CaseState.QUEUED,
            outcome=(Outcome.UPHELD if case % 5 else Outcome.OVERTURNED) if decided else None,
            pod="general",
            band=Band.P2,
            rulebook_digest="r",
            saw=saw,
        )


def child(store: str, folder: str) -> int:
    """One process of the insights with this store, which keeps its files here."""
    from faust.stores import rocksdb  # noqa: PLC0415 - only here: it opens libraries

    from topology.insights import app, run, settings  # noqa: PLC0415 - so that Faust sees the store first

    url = "memory://"
    if store == "rocksdict":
        if not rocksdb.USE_ROCKSDICT:
            raise SystemExit("RocksDB is not here: pip install rocksdict")
        url = "rocksdb://"

        def put(self: Any, key: bytes, value: bytes | None) -> None:
            partition = self.table.partition_for_key(key)
            self._key_index[key] = partition
            self._db_for_partition(partition).put(key, value)

        rocksdb.Store._set = put  # noqa: SLF001 - see the module

    def with_store(asked: Any, partitions: int, _folder: Path) -> dict[str, Any]:
        return settings.faust_settings(asked, partitions, Path(folder)) | {"store": url}

    app.faust_settings = with_store
    asked = load_settings()
    logs.configure(asked.log_format)
    return run.run(asked)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        sys.exit(child(*sys.argv[2:]))
    main()
