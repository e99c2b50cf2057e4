"""`make bench-overload`: ten times what a worker can do, for a while, and how long it then takes to be back.

First the rate at which one worker folds the whole appeals topology is measured. Then records come at ten times that
rate (or as fast as one producer can on this machine; the figure says how much it was), while the memory of worker and
Redis is looked at twice a second. Then nothing more comes, and the worker works off what lies in Kafka. A figure counts
only if every record was folded, none became a dead letter, and each appeal has become one case.
"""

from __future__ import annotations

import argparse
import random
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import redis
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from bench import crew, dossiers, figures, workload
from bench.verify import committed
from schemas.codec import Codec
from schemas.records import UserId
from topology.cluster import Cluster
from topology.embedded import embedded_services
from topology.topics import Register, load_register

TIMES = 10
NUMBER = b"888888888"
"""Stands for a record's number in the bytes of all."""
KINDS = 200
PATIENCE_S = 3_600.0


def main() -> None:
    """Measure, verify, print, and write what was asked for."""
    options = _options()
    with embedded_services(heap_mb=768) as services:
        summary = measure(services.kafka_bootstrap, services.redis_url, options)
    figures.write(options.json, summary)
    _print(summary)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of overload")
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--calibrate", type=int, default=40_000, help="records by which the worker's rate is found")
    parser.add_argument("--cached", type=int, default=200_000, help="states that a worker keeps decoded")
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


def measure(kafka: str, redis_url: str, options: argparse.Namespace) -> dict[str, Any]:
    """All of it."""
    prefix, config = workload.prefix(), {"bootstrap.servers": kafka}
    register = load_register(prefix, partitions=options.partitions)
    Cluster(config, register).create_missing(1)
    server = redis.Redis.from_url(redis_url)
    worker = crew.Process("appeals", kafka, redis_url, prefix, "0", cached_states=options.cached)
    flood = Flood(config, register, options.users)
    try:
        worker.until_ready()
        with Watch(worker, server) as watch:
            sent = flood.send(options.calibrate, rate=None)
            began, ended = watch.until_folded(sent)
            sustained = sent / (ended - began)
            calm = watch.memory(began, time.monotonic())
            began = time.monotonic()
            more = flood.send(int(TIMES * sustained * options.seconds), rate=TIMES * sustained, limit_s=options.seconds)
            offered_s = time.monotonic() - began
            behind = sent + more - watch.folded
            stopped = time.monotonic()
            _, drained = watch.until_folded(sent + more)
            during = watch.memory(began, stopped)
            afterwards = watch.memory(stopped, drained)
            redis_mb = watch.redis_mb
    finally:
        worker.stop()
    return {
        "machine": figures.machine(),
        "sustained_per_second": round(sustained),
        "offered_per_second": round(more / offered_s),
        "offered_times": round(more / offered_s / sustained, 1),
        "seconds": round(offered_s, 1),
        "records": more,
        "behind_at_the_end": behind,
        "drained_after_s": round(drained - stopped, 1),
        "drained_per_second": round(behind / (drained - stopped)),
        "worker_mb": {"calm": calm, "overload": during, "draining": afterwards},
        "redis_mb": redis_mb,
        "verified": _verify(config, register, sent + more),
    }


class Flood:
    """Enforcements and an appeal against each, as fast as they can be made: only the numbers in their bytes differ."""

    def __init__(self, config: dict[str, Any], register: Register, users: int) -> None:
        self._producer = Producer(
            {**config, "partitioner": "murmur2_random", "linger.ms": 20, "queue.buffering.max.messages": 500_000}
        )
        self._rows = _rows(register, users)

    def send(self, records: int, *, rate: float | None, limit_s: float = PATIENCE_S) -> int:
        """Send so many, no faster than `rate` a second, for `limit_s` at most; returns how many."""
        began = time.monotonic()
        for sent in range(0, records, 200):
            now = time.monotonic() - began
            if now > limit_s:
                records = sent
                break
            if rate is not None and sent / rate > now:
                time.sleep(sent / rate - now)
            for _ in range(200):
                topic, key, value = next(self._rows)
                while True:
                    try:
                        self._producer.produce(topic, value, key, timestamp=workload.now_ms())
                        break
                    except BufferError:
                        self._producer.poll(0.05)
            self._producer.poll(0)
        if self._producer.flush(120):
            raise SystemExit("the broker does not take the records")
        return -(-records // 200) * 200


def _rows(register: Register, users: int) -> Iterator[tuple[str, bytes, bytes]]:
    codec, rng = Codec(), random.Random(1)
    topics = [register.on_cluster(name) for name in ("enforcement.events", "appeal.events")]
    kinds: list[tuple[bytes, bytes]] = []
    for n in range(KINDS):
        issued = workload.enforcement(rng, n, workload.now_ms(), UserId(f"user-{dossiers.MARK}"), NUMBER.decode())
        appeal = workload.appeal_against(rng, n, issued.issued_at + 1, issued, NUMBER.decode())
        kinds.append((codec.encode(issued, topics[0]), codec.encode(appeal, topics[1])))
    number, mark = 0, dossiers.MARK.encode()
    while True:
        # Appeals follow their enforcement at a distance, as they do in life.
        batch = range(number, number + 100)
        for topic in (0, 1):
            for n in batch:
                user = b"%07d" % (n % users)
                yield (
                    topics[topic],
                    b"user-" + user,
                    kinds[n % KINDS][topic].replace(NUMBER, b"%09d" % n).replace(mark, user),
                )
        number += 100


@dataclass
class Watch:
    """Follows the worker, and looks at its memory and that of Redis."""

    worker: crew.Process
    server: Any
    folded: int = 0
    redis_mb: int = 0
    _sizes: list[tuple[float, int]] = field(default_factory=list)
    _batches: list[dict[str, Any]] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join(10)

    def _run(self) -> None:
        looked = 0.0
        while not self._ending.wait(0.05):
            for told in self.worker.drain():
                if told["what"] == "dead":
                    raise SystemExit("a record became a dead letter: the figures are worth nothing")
                if told["what"] == "folded":
                    self.folded += int(told["by"])
                    self._batches.append(told)
            if time.monotonic() - looked > 0.5:
                looked = time.monotonic()
                self._sizes.append((looked, crew.memory_mb(self.worker.process.pid)[0]))
                self.redis_mb = max(self.redis_mb, self.server.info("memory")["used_memory_rss"] >> 20)

    def until_folded(self, records: int) -> tuple[float, float]:
        """Wait for so many in all; returns when the first and the last of those since the last call were durable."""
        deadline = time.monotonic() + PATIENCE_S
        while self.folded < records:
            if time.monotonic() > deadline or self._thread is None or not self._thread.is_alive():
                raise SystemExit(f"{self.folded} of {records} records are folded, and no more")
            time.sleep(0.05)
        batches, self._batches = self._batches, []
        return batches[0]["at"], batches[-1]["at"]

    def memory(self, start: float, end: float) -> dict[str, int]:
        """MB in that time."""
        found = [mb for at, mb in self._sizes if start <= at <= end] or [self._sizes[-1][1]]
        return {"median": round(statistics.median(found)), "most": max(found)}


def _verify(config: dict[str, Any], register: Register, records: int) -> str:
    cases = {m.key() for pod in register.pods for m in committed(config, register.on_cluster(f"cases.{pod}"))}
    if len(cases) != records // 2:
        raise SystemExit(f"{len(cases)} cases of {records // 2} appeals: the figures are worth nothing")
    return f"{len(cases)} appeals, one case each"


def _print(summary: dict[str, Any]) -> None:
    console = Console()
    table = Table("", "records/s", "worker MB, median", "most")
    memory = summary["worker_mb"]
    rows = (
        ("sustained", summary["sustained_per_second"], memory["calm"]),
        (f"{summary['offered_times']} x for {summary['seconds']} s", summary["offered_per_second"], memory["overload"]),
        (f"drained in {summary['drained_after_s']} s", summary["drained_per_second"], memory["draining"]),
    )
    for name, rate, mb in rows:
        table.add_row(name, f"{rate:,}", f"{mb['median']:,}", f"{mb['most']:,}")
    console.print(table)
    console.print(
        f"{summary['behind_at_the_end']:,} of {summary['records']:,} lay in Kafka at the end; Redis has "
        f"{summary['redis_mb']:,} MB; {summary['verified']}",
        highlight=False,
    )
    console.print(figures.told(summary["machine"]), highlight=False)


if __name__ == "__main__":
    main()
