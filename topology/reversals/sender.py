"""Writes what an operator says to an input topic, keyed by user, and waits until the broker has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from schemas.codec import Codec
from schemas.errors import EncodeError, RegistryUnavailableError, SchemaNotFoundError
from schemas.records import Record
from topology.engine.clients import IN_TURN
from topology.engine.errors import Misconfigured
from topology.topics import Register

DELIVERY_S = 30.0


def encoded(codec: Codec, record: Record, on_cluster: str) -> bytes:
    """The bytes of a record that somebody has typed.

    Raises:
        Misconfigured: it breaks a bound, or the registry does not know it.
    """
    try:
        return codec.encode(record, on_cluster)
    except EncodeError as exc:
        raise Misconfigured(f"that cannot be written: {exc}. Nothing was written.") from exc
    except (SchemaNotFoundError, RegistryUnavailableError) as exc:
        raise Misconfigured(f"schema registry: {exc}. Nothing was written.") from exc


def send(kafka: Mapping[str, Any], register: Register, codec: Codec, *, topic: str, key: str, record: Record) -> str:
    """Write one record.

    Returns:
        Where it lies, as `topic[partition]@offset`.

    Raises:
        Misconfigured: it breaks a bound, or the broker did not confirm it.
    """
    name = register.on_cluster(topic)
    data = encoded(codec, record, name)
    answer: list[tuple[KafkaError | None, str]] = []

    def note(error: KafkaError | None, message: Message) -> None:
        answer.append((error, f"{message.topic()}[{message.partition()}]@{message.offset()}"))

    producer = Producer(
        {
            **kafka,
            **IN_TURN,
            "acks": "all",
            "enable.idempotence": True,
            # Java's partitioner, as topology/partitioner.py has it: the user's dossier lies with this partition.
            "partitioner": "murmur2_random",
            "message.timeout.ms": int(DELIVERY_S * 1_000),
        }
    )
    producer.produce(name, data, key, on_delivery=note)
    producer.flush(DELIVERY_S + 5)
    error, place = answer[0] if answer else (None, "")
    if error is not None or not place:
        why = error.str() if error is not None else f"no answer within {DELIVERY_S:.0f} s"
        raise Misconfigured(
            f"{name} did not confirm it ({why}). It may or may not be written; the same command again is safe."
        )
    return place
