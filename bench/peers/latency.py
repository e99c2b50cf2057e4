"""From a producer's `produce` to a `read_committed` reader of the cases, at a steady rate well below the maximum."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaException, TopicPartition

from bench import workload
from bench.peers.observer import StalledError, Visible
from bench.peers.pace import sent_at
from bench.peers.process import Working, until, working
from bench.peers.registry import Contender, Run, clients
from bench.triage import TRIAGED
from topology.embedded import Services

LATE_S = 60.0
"""How long the last case may take."""


@dataclass(frozen=True)
class Latency:
    """Of the appeals sent after the warm-up; milliseconds."""

    appeals: int
    p50: float
    p99: float
    worst: float


def measure_latency(services: Services, contender: Contender, rate: int, warm_s: float, seconds: float) -> Latency:
    """Start it on an empty topic, send at the rate, see each case.

    Raises:
        StalledError: cases are missing.
    """
    prefix = workload.prefix()
    kafka = services.kafka_bootstrap
    config = clients(kafka)
    workload.create_topics(config, [prefix + t for t in ("appeals", contender.cases, *contender.topics)])
    if contender.compacted:
        workload.create_topics(config, [prefix + t for t in contender.compacted], **{"cleanup.policy": "compact"})
    events = int(rate * (warm_s + seconds))
    visible = Visible(kafka, prefix + contender.cases, workload.PARTITIONS)
    run = Run(kafka=kafka, redis=services.redis_url, prefix=prefix, folder="", events=events + 1)
    with working(contender, run) as process:
        workload.load(config, workload.small_appeals(f"{prefix}appeals", 1, 1, seed=0))
        until(lambda: visible() > 0, process)  # it has started
        command = [
            sys.executable,
            "-m",
            "bench.peers.pace",
            kafka,
            f"{prefix}appeals",
            str(rate),
            str(warm_s + seconds),
        ]
        with subprocess.Popen(command) as sender:
            seen = _watch(kafka, prefix + contender.cases, events + 1, process, contender)
        if sender.returncode:
            raise StalledError(f"the sender ended with {sender.returncode}")
    times = [(sent, at) for value, at in seen if (sent := sent_at(_appeal_id(value))) is not None]
    begin = min(sent for sent, _ in times) + warm_s
    took = [(at - sent) * 1_000 for sent, at in times if sent >= begin]
    cuts = statistics.quantiles(took, n=100, method="inclusive")
    return Latency(len(took), cuts[49], cuts[98], max(took))


def _watch(kafka: str, topic: str, events: int, process: Working, contender: Contender) -> list[tuple[bytes, float]]:
    """Values of the cases, and when each was seen."""
    consumer = Consumer(
        {
            **clients(kafka),
            "group.id": "bench-latency",  # only a name: nothing is committed under it
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(workload.PARTITIONS)])
    seen: list[tuple[bytes, float]] = []
    last = time.monotonic()
    try:
        while len(seen) < events:
            messages = consumer.consume(500, 0.02)
            now = time.monotonic()
            for message in messages:
                error = message.error()
                if error is not None:
                    raise KafkaException(error)
                seen.append((message.value() or b"", now))
                last = now
            if now - last > LATE_S:
                raise StalledError(f"{contender.name}: {len(seen)} of {events} cases. It said last:\n{process.tail()}")
    finally:
        consumer.close()
    return seen


def _appeal_id(value: bytes) -> str:
    case: Any = fastavro.schemaless_reader(BytesIO(value), TRIAGED, None)
    return str(case["appeal_id"])
