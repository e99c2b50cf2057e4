"""Workers in processes of their own, and what the longer measurements have in common: states, traffic, checks.

`python -m bench.crew STATE KAFKA REDIS PREFIX SLOT [SETTING=VALUE …]` is one worker, which tells on standard output
what happens to it and when, by the machine's monotonic clock.
"""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Self

from confluent_kafka import Consumer, Producer, TopicPartition

from bench import dossiers, workload
from bench.contenders import triage_app
from bench.verify import committed
from schemas.codec import Codec
from topology import logs
from topology.access.redis_client import redis_client
from topology.cluster import Cluster
from topology.engine.clients import IN_TURN, NoMetrics
from topology.engine.position import Known, encode_known
from topology.engine.state import CHECKPOINT
from topology.settings import Settings
from topology.topics import load_register
from topology.worker import build, tune_interpreter, wire

STATES = ("appeals", "triage")
LIVES = 2_000
PATIENCE_S = 280.0


def topics(
    state: str, prefix: str, config: dict[str, Any], users: int, partitions: int
) -> tuple[str, str, Iterator[workload.Row]]:
    """Make them; returns the input, the changelog, and what keeps coming."""
    if state == "appeals":
        register = load_register(prefix, partitions=partitions)
        Cluster(config, register).create_missing(1)
        topic = register.on_cluster("enforcement.events")
        codec = Codec()
        rows = dossiers.enforcements(topic, lambda record: codec.encode(record, topic), users, seed=1)
        return topic, register.on_cluster(register.changelog.name), rows
    names = [prefix + name for name in ("appeals", "appeals.dlq", "engine-cases")]
    workload.create_topics(config, names, partitions=partitions)
    workload.create_topics(
        config, [f"{prefix}engine-changelog"], partitions=partitions, **{"cleanup.policy": "compact"}
    )
    return names[0], f"{prefix}engine-changelog", workload.small_appeals(names[0], 10**9, users, seed=1)


def load(
    config: dict[str, Any],
    prefix: str,
    topic: str,
    changelog: str,
    states: dossiers.Filled,
    *,
    users: int,
    partitions: int,
) -> int:
    """A committed state for each user, in transactions as an engine's, which have the input's offsets in them.

    Returns:
        The states' bytes.
    """
    producer = Producer(
        {**config, **IN_TURN, "transactional.id": f"{changelog}-load", "partitioner": "murmur2_random", "linger.ms": 20,
         "queue.buffering.max.messages": 500_000, "queue.buffering.max.kbytes": 524_288}
    )  # fmt: skip
    producer.init_transactions(30)
    group = Consumer({**config, "group.id": f"{prefix}engine"})
    known = encode_known(Known(0, partitions))
    positions = [TopicPartition(topic, partition, 0, known) for partition in range(partitions)]
    now, size, chunk = workload.now_ms(), 0, 20_000
    for start in range(0, users, chunk):
        producer.begin_transaction()
        for user in range(start, min(users, start + chunk)):
            key, value = states(user)
            size += len(value)
            producer.produce(changelog, value, key, timestamp=now)
        producer.send_offsets_to_transaction(positions, group.consumer_group_metadata(), 60)
        producer.commit_transaction(60)
    group.close()
    return size


class Live:
    """Records that keep coming."""

    def __init__(self, config: dict[str, Any], topic: str, rows: Iterator[workload.Row], rate: int) -> None:
        self._producer = Producer({**config, "partitioner": "murmur2_random", "linger.ms": 5})
        self._topic, self._rows, self._rate = topic, rows, rate
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sent = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(30)
        self._producer.flush(30)

    def _run(self) -> None:
        due = time.monotonic()
        for topic, key, value, _ in self._rows:
            due += 1 / self._rate
            if self._ending.wait(max(0.0, due - time.monotonic())):
                return
            self._producer.produce(topic, value, key, timestamp=workload.now_ms())
            self._producer.poll(0)
            self.sent += 1


class Process:
    """One worker process and what it has told."""

    def __init__(self, state: str, kafka: str, redis_url: str, prefix: str, slot: str, **more: Any) -> None:
        settings = [f"{name}={value}" for name, value in more.items()]
        command = [sys.executable, "-m", "bench.crew", state, kafka, redis_url, prefix, slot, *settings]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.started = time.monotonic()
        self._told: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self.process.stdout or nullcontext([]) as lines:
            for line in lines:
                self._told.put(json.loads(line))
        self._told.put(None)

    def next(self, deadline: float) -> dict[str, Any]:
        """What it tells next.

        Raises:
            SystemExit: it ended, or tells nothing until the deadline (monotonic seconds).
        """
        try:
            told = self._told.get(timeout=max(0.1, deadline - time.monotonic()))
        except queue.Empty:
            raise SystemExit(f"a worker was silent until the end of its {PATIENCE_S:.0f} s") from None
        if told is None:
            raise SystemExit(f"a worker ended with {self.process.wait()}")
        return told

    def until_ready(self) -> dict[str, Any]:
        """Until all of its partitions are."""
        deadline = time.monotonic() + PATIENCE_S
        while (told := self.next(deadline))["what"] != "ready":
            pass
        return told

    def drain(self) -> list[dict[str, Any]]:
        """What it has told since."""
        told: list[dict[str, Any]] = []
        with suppress(queue.Empty):
            while (one := self._told.get_nowait()) is not None:
                told.append(one)
        return told

    def stop(self) -> None:
        """In good order."""
        self.process.terminate()
        self.process.wait(60)

    def until_processing(self) -> dict[str, Any]:
        """Follow it until the first batch after its partitions came, or were lost sight of, is durable.

        Raises:
            SystemExit: it ended, or takes too long.
        """
        begun = ready = None
        restored = 0.0
        deadline = time.monotonic() + PATIENCE_S
        while True:
            told = self.next(deadline)
            if told["what"] in ("assigned", "lost"):
                begun, ready, restored = told, None, 0.0
            elif told["what"] == "restored":
                restored += told["by"]
            elif told["what"] == "ready" and begun is not None:
                ready = told
            elif told["what"] == "folded" and begun is not None and ready is not None:
                seconds, cpu = ready["at"] - begun["at"], ready["cpu"] - begun["cpu"]
                return {
                    "processing_s": round(told["at"] - begun["at"], 2),
                    "ready_s": round(seconds, 2),
                    "restored": int(restored),
                    "per_second": round(restored / seconds),
                    "cpu_us_a_state": round(cpu / restored * 1e6, 1) if restored else None,
                    "peak_mb": round(ready["peak_mb"]),
                }


class Telling(NoMetrics):
    """Writes what happens, with the time, to standard output."""

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """See `ports.Metrics`."""
        if name == "rebalances_total" and labels["kind"] == "assigned":
            self._tell("assigned")
        elif name in ("redis_lost_total", "redis_refused_total"):
            self._tell("lost")
        elif name in TOLD and by:
            self._tell(TOLD[name], by=by)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """See `ports.Metrics`."""
        del labels
        if name == "worker_ready" and value:
            self._tell("ready")

    def _tell(self, what: str, **more: float) -> None:
        rss, peak = memory_mb()
        told = {
            "what": what, "at": time.monotonic(), "cpu": time.process_time(), "rss_mb": rss, "peak_mb": peak, **more
        }  # fmt: skip
        print(json.dumps(told), flush=True)


TOLD = {
    "restored_records_total": "restored",
    "records_folded_total": "folded",
    "timers_fired_total": "fired",
    "dead_letters_total": "dead",
}


def memory_mb(process: int | str = "self") -> tuple[int, int]:
    """What a process has resident now, and the most it has had."""
    status = Path(f"/proc/{process}/status").read_text()
    now, peak = (int(status.split(f"{field}:")[1].split()[0]) // 1024 for field in ("VmRSS", "VmHWM"))
    return now, peak


def worker(state: str, kafka: str, redis_url: str, prefix: str, slot: str, *more: str) -> None:
    """One worker, until SIGTERM."""
    logs.configure("json")  # to standard error: standard output is for what it tells
    others: dict[str, Any] = dict(pair.split("=", 1) for pair in more)
    settings = Settings(kafka=kafka, redis=redis_url, topic_prefix=prefix, group=f"{prefix}engine", slot=slot, **others)
    app: Any = triage_app(prefix) if state == "triage" else wire(settings)[0]
    engine = build(app, settings, settings.engine(), redis=redis_client(settings), metrics=Telling())
    tune_interpreter()
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    engine.run(stopping.is_set)


def verify(config: dict[str, Any], changelog: str, server: Any, prefix: str, users: int, partitions: int) -> str:
    """Redis holds exactly the newest committed state of each key.

    Raises:
        SystemExit: it does not: the figures are worth nothing.
    """
    newest: list[dict[bytes, int]] = [{} for _ in range(partitions)]
    for message in committed(config, changelog):
        newest[message.partition() or 0][message.key() or b""] = hash(message.value())
    for partition, states in enumerate(newest):
        dossiers_key = f"{{{prefix}engine:{partition}}}:dossiers"
        held = {key: hash(value) for key, value in server.hscan_iter(dossiers_key, count=1_000) if key != CHECKPOINT}
        if held != states:
            raise SystemExit(f"partition {partition}: Redis holds {len(held)} states, the changelog {len(states)}")
    total = sum(not key.startswith(b"\0") for states in newest for key in states)
    if total != users:
        raise SystemExit(f"there are {total} states of {users}")
    return f"Redis equals the changelog: {total} states"


if __name__ == "__main__":
    worker(*sys.argv[1:])
