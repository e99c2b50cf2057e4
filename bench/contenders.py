"""The four contenders, each in a process of its own: `python -m bench.contenders NAME KAFKA REDIS PREFIX EVENTS`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from bench import triage
from bench.measure import Result, Stopwatch, report
from topology.access.redis_client import redis_client
from topology.engine import clients
from topology.engine.definition import FoldApp
from topology.engine.loop import Worker
from topology.settings import Settings
from topology.worker import build, tune_interpreter, wire

BATCH = Settings.model_fields["batch_records"].default
"""Records a transaction takes at most, for the copy and for the engine."""
NAIVE_BATCH = 500


class Counting(clients.NoMetrics):
    """Knows how many records are folded and committed."""

    def __init__(self) -> None:
        self.folded = 0.0

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """See `ports.Metrics`."""
        del labels
        if name == "records_folded_total":
            self.folded += by


def _settings(kafka: str, redis: str, prefix: str) -> Settings:
    return Settings(
        kafka=kafka,
        redis=redis,
        topic_prefix=prefix,
        group=f"{prefix}engine",
        static_membership=False,
    )


def _consumer(kafka: str, group: str, topic: str, **more: Any) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **more,
        }
    )
    consumer.subscribe([topic])
    return consumer


def raw_copy(kafka: str, redis: str, prefix: str, events: int) -> Result:
    """(a) The ceiling: bytes from topic to topic in transactions as large as the engine's, nothing done with them."""
    del redis
    consumer = _consumer(kafka, f"{prefix}copy", f"{prefix}appeals", **{"isolation.level": "read_committed"})
    producer = Producer(
        {"bootstrap.servers": kafka, "transactional.id": f"{prefix}copy", "partitioner": "murmur2_random",
         "retry.backoff.ms": 20, "queue.buffering.max.messages": 500_000, "linger.ms": 5}
    )  # fmt: skip
    producer.init_transactions(30)
    out = f"{prefix}copied"
    watch, done = Stopwatch(), 0
    while done < events:
        messages = [m for m in consumer.consume(BATCH, 0.05) if m.error() is None]
        if not messages:
            continue
        watch.start()
        producer.begin_transaction()
        ends: dict[int, int] = {}
        for message in messages:
            producer.produce(out, message.value(), message.key())
            ends[message.partition() or 0] = (message.offset() or 0) + 1
        positions = [TopicPartition(f"{prefix}appeals", p, offset) for p, offset in ends.items()]
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata())
        producer.commit_transaction()
        done += len(messages)
    result = watch.stop("raw", done)
    consumer.close()
    return result


def naive(kafka: str, redis: str, prefix: str, events: int) -> Result:
    """(b) The loop that most teams write: poll, HGETALL, HSET, produce, commit every 500; at least once."""
    client = redis_client(_settings(kafka, redis, prefix))
    consumer = _consumer(kafka, f"{prefix}naive", f"{prefix}appeals")
    producer = Producer(
        {"bootstrap.servers": kafka, "partitioner": "murmur2_random", "queue.buffering.max.messages": 500_000}
    )
    out = f"{prefix}naive-cases"
    watch, done = Stopwatch(), 0
    while done < events:
        message = consumer.poll(1.0)
        if message is None or message.error() is not None:
            continue
        watch.start()
        appeal = triage.decode(message.value())
        key = f"{prefix}naive:{appeal['user_id']}"
        history = client.hgetall(key)
        appeals, cents, case = triage.triage(int(history.get(b"appeals", 0)), int(history.get(b"cents", 0)), appeal)
        client.hset(key, mapping={"appeals": appeals, "cents": cents})
        producer.produce(out, triage.encode(case), message.key())
        producer.poll(0)
        done += 1
        if done % NAIVE_BATCH == 0:
            producer.flush()
            consumer.commit(asynchronous=False)
    if done % NAIVE_BATCH:
        producer.flush()
        consumer.commit(asynchronous=False)
    result = watch.stop("naive", done)
    consumer.close()
    return result


class History(msgspec.Struct, array_like=True):
    """The engine's state of (c): what (b) keeps in a hash."""

    appeals: int = 0
    cents: int = 0


def triage_app(prefix: str) -> FoldApp[History]:
    """(c) as an application of the engine, through its public definition."""
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(History)

    def handle(history: History, appeal: tuple[Any, ...], ctx: Any) -> None:
        user, action, cents, submitted_at, appeal_id, user_id, statement = appeal
        before = history.appeals
        case = (appeal_id, user_id, *triage.judge(before, action, cents, submitted_at), before, statement)
        history.appeals, history.cents = before + 1, history.cents + cents
        ctx.emit("cases", user, case)

    return FoldApp(
        name=f"{prefix}engine",
        inputs=(f"{prefix}appeals",),
        changelog=f"{prefix}engine-changelog",
        dead_letters=lambda topic: f"{topic}.dlq",
        decode=lambda _topic, _key, value: triage.read(value or b"", 0),
        new_state=lambda _key: History(),
        encode_state=encoder.encode,
        decode_state=decoder.decode,
        handle=handle,
        encode=lambda _topic, case: (f"{prefix}engine-cases", triage.write(*case)),
    )


def engine(kafka: str, redis: str, prefix: str, events: int) -> Result:
    """(c) Recourse's engine with the same step as (b), exactly once."""
    settings = _settings(kafka, redis, prefix)
    return _run("engine", triage_app(prefix), settings, events)


def appeals(kafka: str, redis: str, prefix: str, events: int) -> Result:
    """(d) The whole appeals topology: enforcements filed, appeals taken in, ranked, routed, audited, answered."""
    settings = _settings(kafka, redis, prefix)
    app, *_ = wire(settings)
    return _run("appeals", app, settings, events)


def _run(name: str, app: FoldApp[Any], settings: Settings, events: int) -> Result:
    counting = Counting()
    worker: Worker[Any] = build(app, settings, settings.engine(), redis=redis_client(settings), metrics=counting)
    tune_interpreter()
    watch = Stopwatch()
    worker.start()
    while counting.folded < events:
        if worker.step():
            watch.start()
    result = watch.stop(name, int(counting.folded))
    worker.close()
    return result


CONTENDERS: dict[str, Callable[[str, str, str, int], Result]] = {
    "raw": raw_copy,
    "naive": naive,
    "engine": engine,
    "appeals": appeals,
}
TOPICS = {
    "raw": ("appeals", "copied"),
    "naive": ("appeals", "naive-cases"),
    "engine": ("appeals", "appeals.dlq", "engine-cases"),
}
OUTPUTS = {"raw": "copied", "naive": "naive-cases", "engine": "engine-cases"}


def main() -> None:
    """Run one contender and report on standard output."""
    name, kafka, redis, prefix, events = sys.argv[1:]
    report(CONTENDERS[name](kafka, redis, prefix, int(events)))


if __name__ == "__main__":
    main()
