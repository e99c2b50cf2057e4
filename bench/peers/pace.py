"""Appeals at a steady rate, each with the time at which it was sent in its id: `pace.py KAFKA TOPIC RATE SECONDS`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from io import BytesIO

import fastavro
from confluent_kafka import Producer

from bench.peers.registry import clients
from bench.workload import SMALL_APPEAL, Row, small_appeals

USERS = 20_000
_APPEAL = "sent-"


def stamped(topic: str, events: int) -> Iterator[Row]:
    """The rows of the workload, each with the monotonic nanoseconds of the moment at which it is taken."""
    for row_topic, key, value, at in small_appeals(topic, events, USERS, seed=0):
        appeal = fastavro.schemaless_reader(BytesIO(value), SMALL_APPEAL, None)
        assert isinstance(appeal, dict)  # noqa: S101 - for the type checker: it is a record
        appeal["appeal_id"] = f"{_APPEAL}{time.monotonic_ns()}"
        out = BytesIO()
        fastavro.schemaless_writer(out, SMALL_APPEAL, appeal)
        yield row_topic, key, out.getvalue(), at


def sent_at(appeal_id: str) -> float | None:
    """Monotonic seconds of an appeal that `stamped` gave; None for another one."""
    return int(appeal_id.removeprefix(_APPEAL)) / 1e9 if appeal_id.startswith(_APPEAL) else None


def main() -> None:
    """Send them."""
    kafka, topic, rate, seconds = sys.argv[1:]
    producer = Producer({**clients(kafka), "partitioner": "murmur2_random"})
    events = int(float(rate) * float(seconds))
    rows = stamped(topic, events)
    start = time.monotonic()
    for number in range(events):
        time.sleep(max(0.0, start + number / float(rate) - time.monotonic()))
        row_topic, key, value, at = next(rows)
        producer.produce(row_topic, value, key, timestamp=at)
        producer.poll(0)
    if producer.flush(30):
        raise SystemExit("the broker does not take the records")


if __name__ == "__main__":
    main()
