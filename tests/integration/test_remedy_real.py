"""A remedy on a real Kafka and Redis: a worker is killed and Redis flushed in the middle, and each is reversed once."""

from __future__ import annotations

import contextlib
import signal
import time
from argparse import Namespace
from collections import Counter
from typing import Any

import msgspec
import pytest

from bench import remedy as bench
from schemas.codec import Codec
from schemas.records import Millis, Record, RemedyReported, ReversalOrdered
from schemas.vocabulary import RemedyState, ReversalCause
from tests.integration.worker_process import Installation, read_committed
from tests.integration.workload import Row
from tests.unit import remedies as make
from topology.exits import Exit

PARTITIONS = 8
CODEC = Codec()
ENFORCEMENTS = 2_000
USERS = 600


@pytest.fixture
def installation(kafka, redis_server, app_id, tmp_path):
    """With a Redis of its own: it will be flushed."""
    with contextlib.ExitStack() as stack:
        place = Installation(
            kafka, redis_server().url, app_id, tmp_path, partitions=PARTITIONS, static_membership=False, session_s=2
        )
        yield stack.enter_context(place)


def test_each_is_reversed_once_though_a_worker_is_killed_and_redis_flushed_in_the_middle(installation):
    now = time.time_ns() // 1_000_000
    struck = [make.struck(f"u-{n % USERS}", f"e-{n}", now - 60_000 + n) for n in range(ENFORCEMENTS)]
    send(installation, *struck)
    first, second = installation.start(slot=0), installation.start(slot=1)
    installation.until(lambda: len(installation.owners()) == 2, "two workers hold partitions")
    installation.until_done()

    proposal = make.a_proposal(
        issued_from=Millis(now - 120_000), issued_until=Millis(now), occurred_at=Millis(now), per_second=200
    )
    command(installation, proposal)
    installation.until(lambda: states(installation) == {RemedyState.AWAITING_APPROVAL}, "the dry run has ended")
    found = reports(installation)
    assert sum(report.cohort.enforcements for report in found) == ENFORCEMENTS
    assert sum(report.cohort.users for report in found) == USERS
    assert orders(installation) == []

    command(installation, make.an_approval("paul", occurred_at=Millis(now)))
    command(installation, make.an_approval("quinn", occurred_at=Millis(now)))
    installation.until(lambda: ordered(installation) > 300, "some are reversed")
    first.kill()
    assert first.ended() == -signal.SIGKILL
    installation.until(lambda: ordered(installation) > 600, "the other worker goes on")
    assert ordered(installation) < ENFORCEMENTS - 400, "the flush must fall into the middle"
    installation.redis.flushall()
    third = installation.start(slot=0)
    installation.until(lambda: states(installation) == {RemedyState.DONE}, "the remedy is done")

    assert (second.stop(), third.stop()) == (Exit.OK, Exit.OK)
    installation.until(lambda: not installation.unsettled(), "every transaction is settled")
    assert Counter(order.enforcement_id for order in orders(installation)) == Counter(e.enforcement_id for e in struck)
    assert {order.cause for order in orders(installation)} == {ReversalCause.REMEDY}
    assert ordered(installation) == ENFORCEMENTS
    assert [report.approved_by for report in reports(installation)] == [["paul", "quinn"]] * PARTITIONS
    assert not list(read_committed({"bootstrap.servers": installation.kafka}, dead_letters(installation)))
    verified = installation.recourse("case", "verify")
    assert verified.returncode == Exit.OK, verified.stdout + verified.stderr


@pytest.mark.long
def test_bench_of_remedies_measures_and_verifies(kafka, redis_url):
    """Whether it runs, not how fast it is."""
    options = Namespace(enforcements=300, each=2, partitions=2, per_second=300, appeals=20.0, quiet_seconds=1.0)
    found = bench.measure(kafka, redis_url, options)
    assert found["quiet"]["appeals"] >= 20
    assert 0 < found["quiet"]["p50"] <= found["quiet"]["p99"] <= found["quiet"]["worst"]
    assert found["verified"].startswith("300 orders")


def send(installation: Installation, *records: Record, partition: int = -1) -> None:
    topics = {kind: topic for topic in installation.register.inputs for kind in topic.allowed}
    rows = []
    for record in records:
        topic = topics[type(record)]
        value = CODEC.encode(record, installation.register.on_cluster(topic.name))
        at = time.time_ns() // 1_000_000
        rows.append(Row(topic.name, getattr(record, topic.key).encode(), value, at, record))
    installation.send(rows, partition=partition)


def command(installation: Installation, record: make.Command) -> None:
    for partition in range(PARTITIONS):
        copy = msgspec.structs.replace(record, partition=partition, partitions=PARTITIONS)
        send(installation, copy, partition=partition)


def read(installation: Installation, name: str) -> list[Any]:
    topic = installation.register.by_name[name]
    messages = read_committed({"bootstrap.servers": installation.kafka}, [installation.register.on_cluster(name)])
    return [CODEC.decode(message.value() or b"", topic.allowed) for message in messages]


def reports(installation: Installation) -> list[RemedyReported]:
    """The newest of each partition."""
    newest: dict[int, RemedyReported] = {}
    for report in read(installation, "remedy.events"):
        if report.partition not in newest or newest[report.partition].seq < report.seq:
            newest[report.partition] = report
    return [newest[partition] for partition in sorted(newest)]


def states(installation: Installation) -> set[RemedyState]:
    found = reports(installation)
    return {report.state for report in found} if len(found) == PARTITIONS else set()


def ordered(installation: Installation) -> int:
    return sum(report.done.enforcements for report in reports(installation))


def orders(installation: Installation) -> list[ReversalOrdered]:
    return [r for r in read(installation, "resolution.events") if isinstance(r, ReversalOrdered) and r.attempt == 1]


def dead_letters(installation: Installation) -> list[str]:
    return [installation.register.on_cluster(f"{topic.name}.dlq") for topic in installation.register.inputs]
