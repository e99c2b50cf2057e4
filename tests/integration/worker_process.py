"""The appeals topology as real processes on a real Kafka and Redis: start, feed, disturb and watch it.

Run as a program it is one worker that sends itself a signal right before a step of its n-th batch:
`python -m tests.integration.worker_process SIGKILL COMMIT 3`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import psutil
import redis
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas import records as r
from schemas.codec import Codec
from tests.integration.checker import Arrived, Place, Sent, View
from tests.integration.prefork import Forked, forker
from tests.integration.workload import Row
from topology import logs, worker
from topology.cluster import Cluster
from topology.embedded import server
from topology.engine.clients import IN_TURN
from topology.engine.transaction import UNTOLD, Step
from topology.settings import load_settings
from topology.topics import Role, Topic, load_register

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
GUARD_S = 240.0
"""Longer than anything here takes: to fail, not to wait."""
RECOURSE = ("-m", "topology.cli")
RUN = (*RECOURSE, "run")


class Delivered(NamedTuple):
    """Where the broker put a row."""

    row: Row
    partition: int
    offset: int
    """`UNTOLD`: the broker has taken it, as the client believes, but did not tell where."""


def free_port() -> int:
    """A port on which nobody listens."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of so many ports in a row on which nobody listens."""
    return server.free_ports(count, in_a_row=True)[0]


def counted(port: int, name: str) -> float:
    """A worker's counter, summed over its labels, from its Prometheus endpoint."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    wanted = rf"recourse_{re.escape(name)}(\{{| )"
    return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(wanted, line))


def children(pid: int) -> set[int]:
    """Running child processes."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return {child.pid for child in psutil.Process(pid).children() if runs(child.pid)}
    return set()


def runs(pid: int) -> bool:
    """Whether a process runs; one that nobody has collected yet does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def variables(settings: dict[str, object]) -> dict[str, str]:
    """Settings, by their names in `Settings`, as the environment gives them."""
    return {f"RECOURSE_{name.upper()}": str(value) for name, value in settings.items()}


class Process:
    """A process whose log is kept: forked if it is `recourse` (`prefork`), else started by itself.

    Of the interface it has what `subprocess.Popen` has of the same name.
    """

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        environment = os.environ | environment
        self._process: subprocess.Popen[bytes] | Forked
        with log.open("wb") as file:
            if tuple(arguments[: len(RECOURSE)]) == RECOURSE:
                self._process = forker().fork(arguments[len(RECOURSE) :], environment, file, file)
            else:
                command = [sys.executable, *arguments]
                self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit code; None: it runs."""
        return self._process.poll()

    @property
    def returncode(self) -> int | None:
        """Its exit code, if it has ended."""
        return self.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not within this time.
        """
        return self._process.wait(timeout)

    def send_signal(self, number: int) -> None:
        """A signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def text(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        try:
            return self.wait(GUARD_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.log.name} does not end: {self.text()[-2_000:]}") from None

    def stop(self) -> int:
        """Ask it to finish, as an orchestrator does; its exit code."""
        self.terminate()
        return self.ended()

    @property
    def stopped(self) -> bool:
        """Does it stand still by a SIGSTOP?"""
        return psutil.Process(self.pid).status() == psutil.STATUS_STOPPED


class Installation:
    """Topics, group and keys of one test, and the processes that work on them."""

    def __init__(
        self,
        kafka: str,
        redis_url: str,
        name: str,
        folder: Path,
        *,
        create: bool = True,
        partitions: int = PARTITIONS,
        output_partitions: int = 2,
        **settings: object,
    ) -> None:
        """`settings` are the workers', by their names in `Settings`; `create` the topics on entry.

        Outputs have `output_partitions`, whatever the register says: each is a folder to make and to remove.
        """
        self.kafka = kafka
        self.name = name
        self.prefix = f"{name}."
        self.redis = redis.Redis.from_url(redis_url)
        self.environment = {
            "RECOURSE_KAFKA": kafka,
            "RECOURSE_REDIS": redis_url,
            "RECOURSE_TOPIC_PREFIX": self.prefix,
            "RECOURSE_GROUP": name,
            "RECOURSE_SESSION_S": "6",
            "RECOURSE_LOG_FORMAT": "json",
            "RECOURSE_METRICS_STRICT": "true",
        } | variables(settings)
        partitioning = str(settings.get("partitioning", ""))
        self.group = f"{name}.{partitioning}" if partitioning else name
        self.register = load_register(self.prefix, partitions=partitions, partitioning=partitioning)
        topics = tuple(
            t if t.co_partitioned else t.model_copy(update={"partitions": output_partitions})
            for t in self.register.topics
        )
        self.register = self.register.model_copy(update={"topics": topics})
        self._partitions = partitions
        self.processes: list[Process] = []
        self.delivered: list[Delivered] = []
        self._create = create
        self._folder = folder
        # After an outage of the broker a test would wait for up to ten seconds by librdkafka's default.
        self._client = {"bootstrap.servers": kafka, "log_level": 0, "reconnect.backoff.max.ms": 500}
        self._producer = Producer(
            self._client
            | {"partitioner": "murmur2_random", "enable.idempotence": True, "queue.buffering.max.messages": 200_000}
            | IN_TURN
        )
        self.admin = AdminClient(self._client)
        self._offsets = Consumer(self._client | {"group.id": self.group, "enable.auto.commit": False})

    def __enter__(self) -> Self:
        if self._create:
            self.create_topics()
        return self

    def create_topics(self) -> None:
        """Create the topics that are missing."""
        Cluster(self._client, self.register).create_missing()

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            for one in (*children(process.pid), process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            process.wait()
        self._offsets.close()
        topics = [name for name in self.admin.list_topics(timeout=30).topics if name.startswith(self.prefix)]
        for future in self.admin.delete_topics(topics).values() if topics else ():
            future.result()
        with contextlib.suppress(redis.ConnectionError):
            self.redis.delete(*(key for number in range(self._partitions) for key in self.keys(number)))
        self.redis.close()

    def keys(self, partition: int) -> tuple[str, str, str]:
        """The three keys of a partition: dossiers, timers and index."""
        tag = f"{{{self.group}:{partition}}}"
        return f"{tag}:dossiers", f"{tag}:timers", f"{tag}:index"

    # --- processes --------------------------------------------------------------------------------------------

    def start(self, *arguments: str, **settings: object) -> Process:
        """A `recourse run`, or whatever the arguments say, under these settings."""
        log = self._folder / f"process-{len(self.processes)}.log"
        self.processes.append(Process(arguments or RUN, self.environment | variables(settings), log))
        return self.processes[-1]

    def saboteur(self, signal_name: str, step: Step, batch: int, **settings: object) -> Process:
        """A worker that sends itself the signal before this step of its `batch`-th batch."""
        return self.start("-m", __name__, signal_name, step.name, str(batch), **settings)

    def recourse(self, *arguments: str, **settings: object) -> subprocess.CompletedProcess:
        """The command line, run to its end under these settings."""
        environment = os.environ | {"COLUMNS": "400"} | self.environment | variables(settings)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = forker().fork(arguments, environment, out, err)
            try:
                ended = process.wait(GUARD_S)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                raise AssertionError(f"recourse {' '.join(arguments)} does not end") from None
            told = []
            for stream in (out, err):
                stream.seek(0)
                told.append(stream.read().decode())
        return subprocess.CompletedProcess(["recourse", *arguments], ended, *told)

    def owners(self) -> set[str]:
        """Members of the group that hold partitions; none while the broker cannot tell.

        A fresh broker makes the topic of the groups' offsets when it is first asked. An admin client that asks then
        waits out its whole time-out, or never ends; the group's own consumer asks again by itself, so it goes first.
        """
        try:
            self.committed()
        except KafkaException:
            return set()
        future = self.admin.describe_consumer_groups([self.group])[self.group]
        return {member.member_id for member in future.result().members if member.assignment.topic_partitions}

    def membership(self) -> str:
        """The group's members as the broker sees them, in words."""
        found = self.admin.describe_consumer_groups([self.group])[self.group].result()
        told = [
            f"{member.group_instance_id or member.client_id}"
            f" {sorted({tp.partition for tp in member.assignment.topic_partitions})}"
            for member in found.members
        ]
        return f"group {found.state.name}: {', '.join(sorted(told)) or 'nobody'}"

    # --- records in -------------------------------------------------------------------------------------------

    def send(self, rows: Iterable[Row], *, partition: int = -1, headers: Any = None) -> list[Delivered]:
        """Send, wait until all are on the broker, and tell where."""
        sent: list[Delivered] = []

        def note(error: KafkaError | None, message: Message, row: Row) -> None:
            assert error is None, error
            offset = message.offset()
            # As after a lost answer; or the broker never took it, which `sent_twice` finds out.
            sent.append(Delivered(row, message.partition() or 0, UNTOLD if offset is None else offset))

        for row in rows:
            self._producer.produce(
                self.register.on_cluster(row.topic),
                row.value,
                row.key,
                partition,
                timestamp=row.at,
                headers=headers,
                on_delivery=lambda error, message, row=row: note(error, message, row),
            )
            self._producer.poll(0)
        left = self._producer.flush(60)
        assert not left, f"{left} rows did not reach the broker"
        self.delivered += sent
        return sent

    def flow(self, rows: list[Row], seconds: float) -> threading.Thread:
        """Send in the background, spread evenly over so many seconds."""
        size = max(1, -(-len(rows) // int(seconds / 0.1)))

        def run() -> None:
            for first in range(0, len(rows), size):
                self.send(rows[first : first + size])
                time.sleep(0.1)

        thread = threading.Thread(target=run, name="feed", daemon=True)
        thread.start()
        return thread

    def sent(self, before: dict[tuple[str, int], int] | None = None) -> Sent:
        """What went in, as the checker takes it; only what lies before these offsets, if any are given."""
        return Sent.of(
            ((d.row.topic, d.partition, d.offset), d.row.key, d.row.value, d.row.record)
            for d in self.delivered
            if before is None or d.offset < before.get((d.row.topic, d.partition), 0)
        )

    # --- progress ---------------------------------------------------------------------------------------------

    def committed(self) -> dict[tuple[str, int], int]:
        """The group's offsets by topic (without prefix) and partition."""
        inputs = {self.register.on_cluster(topic.name): topic.name for topic in self.register.inputs}
        wanted = [TopicPartition(topic, number) for topic in inputs for number in range(self._partitions)]
        found = self._offsets.committed(wanted, timeout=GUARD_S)
        return {(inputs[tp.topic], tp.partition): tp.offset for tp in found if tp.offset > 0}

    def done(self) -> int:
        """Records of the inputs that are committed."""
        return sum(self.committed().values())

    def behind(self) -> dict[tuple[str, int], int]:
        """By topic and partition, how many of the records that were sent lie behind the group's offset."""
        ends: Counter[tuple[str, int]] = Counter()
        for row, partition, offset in self.delivered:
            ends[row.topic, partition] = max(ends[row.topic, partition], offset + 1)
        committed = self.committed()
        left = {where: end - committed.get(where, 0) for where, end in ends.items()}
        return {where: count for where, count in left.items() if count > 0}

    def until(self, reached: Callable[[], object], what: str) -> None:
        """Wait until something is so; fail at once when a worker has died that nobody killed."""
        deadline = time.monotonic() + GUARD_S
        while not reached():
            for process in self.processes:
                if process.poll() not in (None, 0, -signal.SIGKILL):
                    raise AssertionError(
                        f"{process.log.name} ended with {process.returncode}: {process.text()[-2_000:]}"
                    )
            assert time.monotonic() < deadline, f"waited in vain: {what}; {self.done()} records are committed"
            time.sleep(0.05)

    def until_done(self, records: int | None = None) -> None:
        """Wait until so many records are committed; all that were sent, by default."""
        wanted = len(self.delivered) if records is None else records
        self.until(lambda: self.done() >= wanted, f"{wanted} records committed")

    def unsettled(self) -> list[str]:
        """Partitions in which a transaction is open: their readers wait for its end."""
        topics = {self.register.on_cluster(topic.name) for topic in self.register.topics}
        known = self.admin.list_topics(timeout=30).topics
        wanted = {TopicPartition(t, number): OffsetSpec.latest() for t in topics for number in known[t].partitions}
        stable, end = (
            self.admin.list_offsets(wanted, isolation_level=level)
            for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
        )
        return [f"{tp.topic}[{tp.partition}]" for tp in wanted if stable[tp].result().offset < end[tp].result().offset]

    def sent_twice(self) -> list[Delivered]:
        """What lies in the inputs and the producer never said so: records of ours that it sent again.

        An idempotent producer does not, but for brokers that forgot what it had sent before they were killed. Rows
        whose places were not told get them here.

        Raises:
            AssertionError: something lies there that is not ours, or something does not that the broker has taken.
        """
        rows = {(d.row.topic, d.row.key, d.row.value): d.row for d in self.delivered}
        known = {(d.row.topic, d.partition, d.offset) for d in self.delivered if d.offset != UNTOLD}
        untold = Counter((d.row.topic, d.row.key, d.row.value) for d in self.delivered if d.offset == UNTOLD)
        found: list[Delivered] = []
        placed: list[Delivered] = []
        gone = set(known)
        for topic, message in self.messages(Role.INPUT):
            what, partition, offset = (
                (topic.name, message.key(), message.value()),
                message.partition(),
                message.offset(),
            )
            gone.discard((topic.name, partition, offset))
            if (topic.name, partition, offset) not in known:
                assert what in rows, f"{topic.name}[{partition}]@{offset} is not ours"
                (placed if untold[what] > 0 else found).append(Delivered(rows[what], partition or 0, offset or 0))
                untold[what] -= 1
        lost = [f"{topic} of {key!r}" for (topic, key, _), count in untold.items() if count > 0]
        missing = [*map(str, sorted(gone)), *lost]
        assert not missing, f"acknowledged, and not in the inputs: {missing[:10]}"
        self.delivered = [d for d in self.delivered if d.offset != UNTOLD] + placed
        return found

    # --- what came out ----------------------------------------------------------------------------------------

    def messages(self, *roles: Role) -> Iterator[tuple[Topic, Message]]:
        """All committed records of the topics with these roles, each partition in its order."""
        topics = {self.register.on_cluster(t.name): t for t in self.register.topics if t.role in roles}
        for message in read_committed(self._client, topics):
            yield topics[message.topic() or ""], message

    def published(self) -> dict[tuple[str, bytes | None], list[bytes | None]]:
        """Everything published, by topic and key, byte for byte; of a compacted topic what compaction must leave."""
        found: dict[tuple[str, bytes | None], list[bytes | None]] = defaultdict(list)
        for topic, message in self.messages(Role.OUTPUT):
            where = topic.name, message.key()
            if topic.cleanup == "compact":
                # Its broker may have thrown away any older value by now, and a tombstone too.
                found.pop(where, None)
                if message.value() is None:
                    continue
            found[where].append(message.value())
        return found

    def arrived(self) -> Arrived:
        """What came out, as the checker takes it."""
        arrived, codec = Arrived(committed=self.committed(), views=self.views()), Codec()
        takers: dict[type, Callable[[Any], None]] = {
            r.CaseEvent: arrived.lines.append,
            r.AppellantNotice: arrived.notices.append,
            r.ReversalOrdered: arrived.orders.append,
            r.ReversalConfirmed: arrived.confirmations.append,
            r.ReversalStalled: arrived.stalls.append,
            r.ImmunityGranted: arrived.immunities.append,
            r.EnforcementRemanded: arrived.remands.append,
            r.RemedyReported: lambda _report: None,  # tests of their own add them up
            r.DeadLetterSettled: lambda _settled: None,
        }
        for topic, message in self.messages(Role.OUTPUT, Role.DEAD_LETTERS):
            key, value = message.key(), message.value()
            if topic.role is Role.DEAD_LETTERS:
                arrived.letters.append((self.origin(message), key, value))
                continue
            record = None if value is None else codec.decode(value, topic.allowed)
            if topic.name.startswith("cases."):
                arrived.pods[topic.name, (key or b"").decode()] = record  # type: ignore[assignment]
            elif topic.name == "reversals.stalled":
                arrived.stalled[(key or b"").decode()] = record  # type: ignore[assignment]
            else:
                takers[type(record)](record)
        return arrived

    def origin(self, letter: Message) -> Place:
        """Where a dead letter says that it came from."""
        headers = dict(letter.headers() or [])
        topic, *numbers = (headers[f"__streams.errors.{part}"].decode() for part in ("topic", "partition", "offset"))
        names = {self.register.on_cluster(known): known for known in self.register.by_name}
        return names.get(topic, topic), *map(int, numbers)  # type: ignore[return-value]

    def views(self) -> dict[int, View]:
        """The dossiers' changelog and what Redis holds of it, by partition."""
        views = {number: View() for number in range(self._partitions)}
        for _, message in self.messages(Role.CHANGELOG):
            view, key = views[message.partition() or 0], message.key() or b""
            view.next_offset = (message.offset() or 0) + 1
            view.newest.pop(key, None)
            if message.value() is not None:
                view.newest[key] = message.value() or b""
        for number, view in views.items():
            dossiers, timers, _ = self.keys(number)
            view.hash = self.redis.hgetall(dossiers)
            view.timers = dict(self.redis.zrange(timers, 0, -1, withscores=True))
            where = TopicPartition(self.register.on_cluster(self.register.changelog.name), number)
            view.end = self._offsets.get_watermark_offsets(where, timeout=30)[1]
        return views


def read_committed(client: dict[str, Any], topics: Iterable[str]) -> Iterator[Message]:
    """All committed records of the topics, each partition in its order, up to the ends of now."""
    reader = Consumer(
        client
        | {
            "group.id": "reader",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
        }
    )
    try:
        known = reader.list_topics(timeout=30).topics
        left = {(topic, number) for topic in topics for number in known[topic].partitions}
        reader.assign([TopicPartition(topic, number, 0) for topic, number in sorted(left)])
        deadline = time.monotonic() + GUARD_S
        while left:
            assert time.monotonic() < deadline, f"no end of {sorted(left)}; is a transaction open?"
            for message in reader.consume(10_000, timeout=0.05):
                error = message.error()
                if error is None:
                    yield message
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left.discard((message.topic() or "", message.partition() or 0))
    finally:
        reader.close()


def sabotage(signal_name: str, step_name: str, batch: str) -> int:
    """Run one worker that sends itself the signal right before the step of its n-th batch.

    If it comes to its end all the same, its last line tells how often each step was begun.
    """
    number, step = signal.Signals[signal_name], Step[step_name]
    begun: Counter[str] = Counter()

    def probe(reached: Step) -> None:
        begun[reached.name] += 1
        if reached is step and begun[step.name] == int(batch):
            os.kill(os.getpid(), number)
            time.sleep(0.2)  # a stop reaches one thread first, and this one must not begin the step before it

    settings = load_settings()
    logs.configure(settings.log_format)
    code = worker.run(settings, probe=probe)
    print(json.dumps(begun))  # noqa: T201 - for the test that started it
    return code


if __name__ == "__main__":
    sys.exit(sabotage(*sys.argv[1:]))
