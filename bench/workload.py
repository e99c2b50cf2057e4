"""What the contenders are given: seeded records, the same for everyone, loaded before anything is timed."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterable, Iterator
from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas import records as r
from schemas import vocabulary as v
from schemas.codec import Codec
from topology.engine.clients import IN_TURN

PARTITIONS = 4
START_MS = time.time_ns() // 1_000_000 - 600_000
"""The first event's time, ten minutes ago; later ones follow a millisecond apart. Recent, so that no deadline of the
appeals topology passes while it is being measured."""

SMALL_APPEAL = fastavro.parse_schema(
    {
        "type": "record",
        "name": "bench.SmallAppeal",
        "fields": [
            {"name": "event_id", "type": "string"},
            {"name": "appeal_id", "type": "string"},
            {"name": "user_id", "type": "string"},
            {"name": "submitted_at", "type": "long"},
            {"name": "enforcement_id", "type": "string"},
            {"name": "action", "type": "string"},
            {"name": "language", "type": "string"},
            {"name": "amount_cents", "type": "long"},
            {"name": "statement_ref", "type": "string"},
            {"name": "statement_sha256", "type": "string"},
        ],
    }
)
ACTIONS = ("content_removal", "payout_hold", "suspension", "ban", "warning")
LANGUAGES = ("en", "de", "fr", "nl", "es")

Row = tuple[str, bytes, bytes, int]
"""(topic, key, value, timestamp UTC ms)."""


def small_appeals(topic: str, events: int, users: int, seed: int) -> Iterator[Row]:
    """Appeals for the triage contenders, flat, and about as long as an `AppealSubmitted` on the wire (256 bytes)."""
    rng = random.Random(seed)
    for i in range(events):
        user = f"user-{rng.randrange(users):07d}"
        record = {
            "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "appeal_id": f"appeal-{i:09d}",
            "user_id": user,
            "submitted_at": START_MS + i,
            "enforcement_id": f"enforcement-{i:09d}",
            "action": rng.choice(ACTIONS),
            "language": rng.choice(LANGUAGES),
            "amount_cents": rng.randrange(0, 500_000),
            "statement_ref": f"s3://statements/{i:09d}",
            "statement_sha256": f"{rng.getrandbits(256):064x}",
        }
        out = BytesIO()
        fastavro.schemaless_writer(out, SMALL_APPEAL, record)
        yield topic, user.encode(), out.getvalue(), START_MS + i


def appeals_and_enforcements(prefix: str, events: int, users: int, seed: int) -> Iterator[Row]:
    """Half enforcements, half appeals against them: every appeal becomes a case, none is refused."""
    rng = random.Random(seed)
    codec = Codec()
    open_: list[r.EnforcementIssued] = []
    for i in range(events):
        at = START_MS + i
        if i % 2 == 0 or not open_:
            record = enforcement(rng, i, at, f"user-{rng.randrange(users):07d}")
            open_.append(record)
            yield prefix + "enforcement.events", record.user_id.encode(), codec.encode(record), at
        else:
            # Appeals follow their enforcement at a distance, as they do in life: not always in the same batch.
            against = open_.pop(rng.randrange(len(open_)) if len(open_) < 1000 else 0)  # fmt: skip
            appeal = appeal_against(rng, i, at, against)
            yield prefix + "appeal.events", appeal.user_id.encode(), codec.encode(appeal), at


def user_of(number: int) -> str:
    """Whose enforcement `enforcements` numbers so."""
    return f"user-{number:07d}"


def enforcement_of(number: int) -> str:
    """Its id."""
    return f"enf-{number:09d}"


def enforcements(prefix: str, users: int, seed: int = 1) -> Iterator[Row]:
    """One for each user."""
    rng = random.Random(seed)
    codec = Codec()
    for i in range(users):
        record = enforcement(rng, i, START_MS + i, user_of(i))
        yield prefix + "enforcement.events", record.user_id.encode(), codec.encode(record), START_MS + i


def enforcement(rng: random.Random, i: int, at: int, user: str, name: str | None = None) -> r.EnforcementIssued:
    """One of any kind; `name` (by default the number `i`) makes its ids."""
    name = name or f"{i:09d}"
    action = rng.choice(
        (v.Action.CONTENT_REMOVAL, v.Action.PAYOUT_HOLD, v.Action.SUSPENSION, v.Action.LIVESTREAM_ENDED)
    )
    money = r.Money(value=Decimal(rng.randrange(100, 90_000)).scaleb(-2), currency="EUR")
    return r.EnforcementIssued(
        event_id=f"ev-{name}",
        user_id=r.UserId(user),
        enforcement_id=r.EnforcementId(f"enf-{name}"),
        version=1,
        issued_at=r.Millis(at),
        policy="counterfeit",
        policy_version="2026-03",
        action=action,
        ends_at=r.Millis(at + 14 * 86_400_000) if action is v.Action.SUSPENSION else None,
        scope=["DE", "FR"],
        target=r.Target(kind=v.TargetKind.LISTING, id=f"listing-{name}", content_hash=f"{i:064x}"),
        ground=v.Ground.DECISION_GROUND_INCOMPATIBLE_CONTENT,
        category=v.Category.STATEMENT_CATEGORY_SCAMS_AND_FRAUD,
        source=v.Source.SOURCE_VOLUNTARY,
        detector=r.Detector(name="counterfeit-image", version=f"4.{rng.randrange(3)}"),
        automation=v.Automation.AUTOMATED_DECISION_FULLY,
        statement_of_reasons_id=f"sor-{name}",
        facts_ref=f"s3://facts/{name}",
        effects=[r.Effect(effect_id=f"ef-{name}", system="catalogue", kind=v.EffectKind.CONTENT_STATUS)],
        amount=money if action is v.Action.PAYOUT_HOLD else None,
        strikes=1,
    )


def appeal_against(
    rng: random.Random, i: int, at: int, against: r.EnforcementIssued, name: str | None = None
) -> r.AppealSubmitted:
    """An appeal against this enforcement; `name` as there."""
    name = name or f"{i:09d}"
    return r.AppealSubmitted(
        event_id=f"ev-{name}",
        user_id=against.user_id,
        appeal_id=r.AppealId(f"appeal-{name}"),
        submitted_at=r.Millis(at),
        enforcement_id=against.enforcement_id,
        enforcement_version=1,
        appellant_id=against.user_id,
        language=rng.choice(LANGUAGES),
        grounds=[v.AppealGround.FACTS_WRONG],
        statement_ref=f"s3://statements/{name}",
    )


def create_topics(kafka: dict[str, Any], names: Iterable[str], *, partitions: int = PARTITIONS, **config: str) -> None:
    """Topics whose records, old as their timestamps are, stay."""
    new = [NewTopic(n, partitions, 1, config={"retention.ms": "-1", **config}) for n in names]
    admin = AdminClient(kafka)  # kept: its answers die with it
    for future in admin.create_topics(new).values():
        future.result()


def load(kafka: dict[str, Any], rows: Iterable[Row]) -> int:
    """Produce all rows, each partition's in their order; returns how many."""
    refused: list[str] = []
    producer = Producer(
        {
            **kafka,
            "partitioner": "murmur2_random",
            # A topic just made refuses its first batches now and then: sent again, they would come after later ones.
            "enable.idempotence": True,
            **IN_TURN,
            "linger.ms": 20,
            "queue.buffering.max.messages": 500_000,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _message: refused.append(str(error)),
        }
    )
    count = 0
    for topic, key, value, timestamp in rows:
        while True:
            try:
                producer.produce(topic, value, key, timestamp=timestamp)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
    if producer.flush(120) or refused:
        raise SystemExit(f"the workload could not be loaded: the broker does not take the records {refused[:1]}")
    return count


def now_ms() -> int:
    """The machine's time, UTC ms."""
    return time.time_ns() // 1_000_000


def prefix() -> str:
    """A name no other run has used."""
    return f"bench-{time.time_ns():x}."
