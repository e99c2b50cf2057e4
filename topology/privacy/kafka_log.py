"""The topics of keys on a real Kafka, as `ports.Log`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.codec import Codec
from schemas.errors import DecodeError, EncodeError, RegistryUnavailableError, SchemaNotFoundError
from schemas.records import WrappingKey
from topology.engine.clients import IN_TURN, BrokerOffsets
from topology.engine.errors import Misconfigured, Retriable, is_unauthorized, unauthorized
from topology.partition_reader import BROKER_S, PartitionReader
from topology.privacy.ports import Change, Logged
from topology.topics import KEYS, WRAPPING, Register

DELIVERY_S = 10.0


class KafkaLog:
    """Used from one thread. Nothing is connected before it is needed."""

    def __init__(
        self, kafka: Mapping[str, Any], register: Register, codec: Codec, *, partitions: int, name: str
    ) -> None:
        """`partitions` of the topic of users' keys; `name` is what the broker's logs call the reader."""
        self._kafka = dict(kafka)
        self._codec = codec
        self._keys, self._wrapping = register.on_cluster(KEYS), register.on_cluster(WRAPPING)
        self._name = name
        self._reader: PartitionReader | None = None
        self._producer: Producer | None = None
        self.partitions = partitions

    def close(self) -> None:
        """Let go of the connections."""
        if self._reader is not None:
            self._reader.__exit__()
            self._reader = None

    def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """See `Log.bounds`."""
        try:
            return self._open().bounds(self._keys, partitions)
        except (KafkaException, Misconfigured) as exc:
            raise _away(exc) from exc

    def between(self, bounds: Mapping[int, tuple[int, int]]) -> Iterator[tuple[int, Logged]]:
        """See `Log.between`."""
        try:
            for message in self._open().between(self._keys, bounds):
                logged = Logged(message.offset() or 0, message.key() or b"", message.value())
                yield message.partition() or 0, logged
        except (KafkaException, Misconfigured) as exc:
            raise _away(exc) from exc

    def write(self, changes: Iterable[Change]) -> None:
        """See `Log.write`."""
        self._write(self._keys, changes)

    def wrapping_keys(self) -> list[WrappingKey]:
        """See `Log.wrapping_keys`."""
        newest: dict[bytes, WrappingKey] = {}
        try:
            reader, count = self._open(), BrokerOffsets(self._kafka).partition_count(self._wrapping, BROKER_S)
            for message in reader.between(self._wrapping, reader.bounds(self._wrapping, range(count))):
                record = self._decode(message)
                if record is not None:
                    newest[message.key() or b""] = record
        except (KafkaException, Misconfigured) as exc:
            raise _away(exc) from exc
        return list(newest.values())

    def write_wrapping(self, records: Iterable[WrappingKey]) -> None:
        """See `Log.write_wrapping`."""
        try:
            changes = [(record.wrapping_id.encode(), self._codec.encode(record, self._wrapping)) for record in records]
        except (EncodeError, SchemaNotFoundError) as exc:
            raise Misconfigured(f"a wrapping key cannot be written: {exc}") from exc
        except RegistryUnavailableError as exc:
            raise Retriable(f"schema registry: {exc}") from exc
        self._write(self._wrapping, changes)

    def _decode(self, message: Message) -> WrappingKey | None:
        value = message.value()
        if value is None:
            return None
        try:
            record = self._codec.decode(value, frozenset({WrappingKey}))
        except DecodeError as exc:
            raise Misconfigured(f"{self._wrapping}@{message.offset()} cannot be read: {exc}") from exc
        except RegistryUnavailableError as exc:
            raise Retriable(f"schema registry: {exc}") from exc
        return record if isinstance(record, WrappingKey) else None

    def _open(self) -> PartitionReader:
        if self._reader is None:
            self._reader = PartitionReader(self._kafka, name=self._name)
        return self._reader

    def _write(self, topic: str, changes: Iterable[Change]) -> None:
        if self._producer is None:
            self._producer = Producer(
                {
                    **self._kafka,
                    **IN_TURN,
                    "acks": "all",
                    "enable.idempotence": True,
                    # Java's partitioner, as topology/partitioner.py has it: whoever looks for a user's key finds it.
                    "partitioner": "murmur2_random",
                    "message.timeout.ms": int(DELIVERY_S * 1_000),
                    "linger.ms": 2,
                }
            )
        failed: list[KafkaError] = []

        def note(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        for key, value in changes:
            self._producer.produce(topic, value, key, on_delivery=note)
        left = self._producer.flush(DELIVERY_S + 5)
        if left or failed:
            # What has been undelivered for so long must not be delivered later, after a tombstone.
            self._producer.purge()
            self._producer.flush(1)
            raise _away(KafkaException(failed[0] if failed else KafkaError(KafkaError._TIMED_OUT)))  # noqa: SLF001


def _away(exc: Exception) -> Exception:
    error = exc.args[0] if exc.args else None
    if isinstance(error, KafkaError) and is_unauthorized(error):
        return unauthorized(error)
    return Retriable(f"the topics of keys: {error.str() if isinstance(error, KafkaError) else exc}")
