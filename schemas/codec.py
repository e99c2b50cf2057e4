"""Records on the wire: one prefix that names the writer schema, then the record.

Two forms. Without a registry, Avro single-object encoding: ``C3 01``, then the CRC-64-AVRO fingerprint of the
writer schema. With one, the Confluent wire format: ``00``, then the schema's id, four bytes, big endian. Writing
knows one form; reading takes both, so that a topic can move from one to the other.
"""

from __future__ import annotations

import json
from typing import Final

import msgspec

from schemas.catalog import ALL_RECORDS, RECORD_TYPES, current, fingerprint, full_name, wire_form, writer_schemas
from schemas.errors import DecodeError, DecodeReason, EncodeError, SchemaError, SchemaNotFoundError
from schemas.nodes import Node, parse
from schemas.nodes import Record as RecordNode
from schemas.reading import Reader, compile_reader
from schemas.records import Record
from schemas.registry import SchemaRegistry, subject
from schemas.rules import MAX_RECORD_BYTES
from schemas.writing import Writer, writer_for

SINGLE_OBJECT: Final = b"\xc3\x01"
SINGLE_OBJECT_HEAD: Final = 10
CONFLUENT: Final = b"\x00"
CONFLUENT_HEAD: Final = 5

Known = tuple[type[Record], Reader]


class Codec:
    """Encodes and decodes records. One a process; compiled functions and schema ids are kept.

    Args:
        registry: Where schemas have ids; None for the form that needs no registry.
        max_record_bytes: Bound of a record, prefix included, both ways.
    """

    def __init__(self, registry: SchemaRegistry | None = None, *, max_record_bytes: int = MAX_RECORD_BYTES) -> None:
        self._registry = registry
        self._max_record_bytes = max_record_bytes
        for record in ALL_RECORDS:
            # msgspec looks a class up when it first meets it, and two threads that meet it together crash the
            # interpreter (seen with 0.22.0 in 19 of 25 tries). So every class is met here, by one thread.
            msgspec.json.Decoder(record)
        self._known: dict[bytes, Known] = {}
        """Prefix to reader."""
        self._by_fingerprint = {fingerprint(schema): (kind, schema) for kind, schema in writer_schemas()}
        self._writers: dict[tuple[type[Record], str | None], tuple[str, Writer]] = {}
        """Record and topic to prefix and writer."""

    def prepare(self) -> None:
        """Compile now what the first records of a process would wait for: half a second, in which a backlog forms.

        Writers of all records, and the readers of the schemas that they are written with. A registry is not asked.
        """
        for kind in RECORD_TYPES.values():
            writer_for(kind)
            head = SINGLE_OBJECT + fingerprint(wire_form(current(kind)))
            self._new_reader(head)

    def encode(self, record: Record, topic: str | None = None) -> bytes:
        """The bytes of a record; equal records give equal bytes.

        Args:
            record: One of the records that can stand alone on a topic.
            topic: Where it goes; part of the registry's subject, so needed with a registry.

        Raises:
            EncodeError: The record breaks a rule that its readers hold it to.
            SchemaNotFoundError: The registry lacks the schema under this topic's subject.
            RegistryUnavailableError: The registry does not answer.
        """
        kind = type(record)
        head, write = self._writers.get((kind, topic)) or self._new_writer(kind, topic)
        data = write(record, head)
        if len(data) > self._max_record_bytes:
            text = f"{kind.__name__} has {len(data)} bytes, at most {self._max_record_bytes} allowed"
            raise EncodeError(text)
        return data

    def decode(self, data: bytes, allowed: frozenset[type[Record]]) -> Record:
        """The record in these bytes, of one of the allowed types, as the current version sees it.

        A tombstone has no bytes, so it is not for this function.

        Raises:
            DecodeError: Not a good record, for the reason that it carries.
            RegistryUnavailableError: The registry does not answer; the record may be good.
        """
        if len(data) > self._max_record_bytes:
            text = f"the record has {len(data)} bytes, at most {self._max_record_bytes} allowed"
            raise DecodeError(DecodeReason.BOUND_EXCEEDED, text)
        size = CONFLUENT_HEAD if data[:1] == CONFLUENT else SINGLE_OBJECT_HEAD
        kind, reader = self._known.get(data[:size]) or self._new_reader(data[:size])
        if kind not in allowed:
            names = ", ".join(sorted(each.__name__ for each in allowed))
            text = f"{kind.__name__} does not belong here, only {names}"
            raise DecodeError(DecodeReason.RECORD_TYPE_NOT_ALLOWED, text)
        return reader(data, size)

    def written_with(self, data: bytes) -> tuple[type[Record], Node, int]:
        """Which record these bytes are, the schema that they were written with, and where the record begins.

        For `compile_projection`: whoever reads some fields of many records compiles once for each prefix.

        Raises:
            DecodeError: The prefix names no schema of ours.
            RegistryUnavailableError: The registry does not answer; the record may be good.
        """
        size = CONFLUENT_HEAD if data[:1] == CONFLUENT else SINGLE_OBJECT_HEAD
        return *self._written(data[:size]), size

    def warm(self, kind: type[Record], topic: str) -> None:
        """Ask the registry now for what `encode` of such a record will need.

        Raises:
            SchemaNotFoundError: The registry lacks the schema under this topic's subject.
            RegistryUnavailableError: The registry does not answer.
        """
        if (kind, topic) not in self._writers:
            self._new_writer(kind, topic)

    def warm_id(self, schema_id: int) -> None:
        """Ask the registry now for what `decode` of records with this schema will need.

        Raises:
            DecodeError: It is no schema of ours, so records that name it are dead letters.
            RegistryUnavailableError: The registry does not answer.
        """
        head = CONFLUENT + schema_id.to_bytes(4, "big")
        if head not in self._known:
            self._new_reader(head)

    def _new_writer(self, kind: type[Record], topic: str | None) -> tuple[str, Writer]:
        if RECORD_TYPES.get(full_name(kind)) is not kind:
            raise EncodeError(f"{kind.__name__} cannot stand alone on a topic")
        schema = wire_form(current(kind))
        if self._registry is None:
            head = SINGLE_OBJECT + fingerprint(schema)
        elif topic is None:
            raise EncodeError(f"{kind.__name__}: with a registry, the topic must be given")
        else:
            name = subject(topic, full_name(kind))
            head = CONFLUENT + self._registry.id_for(name, json.dumps(schema)).to_bytes(4, "big")
        self._writers[kind, topic] = found = head.decode("latin-1"), writer_for(kind)
        return found

    def _new_reader(self, head: bytes) -> Known:
        """Find the writer schema. What is not found is not remembered: it may be registered the next minute."""
        kind, writer = self._written(head)
        try:
            known = kind, compile_reader(writer, kind)
        except (SchemaError, RecursionError) as error:
            if head.startswith(SINGLE_OBJECT):
                raise
            text = f"schema id {int.from_bytes(head[1:], 'big')}: {error}"
            raise DecodeError(DecodeReason.UNKNOWN_SCHEMA, text) from error
        self._known[head] = known
        return known

    def _written(self, head: bytes) -> tuple[type[Record], Node]:
        if head.startswith(SINGLE_OBJECT) and len(head) == SINGLE_OBJECT_HEAD:
            return self._from_history(head)
        if head.startswith(CONFLUENT) and len(head) == CONFLUENT_HEAD:
            return self._from_registry(head)
        text = f"starts with {head[:2].hex(' ') or 'nothing'}, neither single-object nor Confluent form"
        raise DecodeError(DecodeReason.UNDECODABLE, text)

    def _from_history(self, head: bytes) -> tuple[type[Record], Node]:
        mark = head[len(SINGLE_OBJECT) :]
        if mark not in self._by_fingerprint:
            text = f"fingerprint {mark.hex()} is in no history: is the writer newer than this program?"
            raise DecodeError(DecodeReason.UNKNOWN_SCHEMA, text)
        kind, schema = self._by_fingerprint[mark]
        return kind, parse(schema)

    def _from_registry(self, head: bytes) -> tuple[type[Record], Node]:
        schema_id = int.from_bytes(head[1:], "big")
        if self._registry is None:
            text = f"schema id {schema_id}, but no registry is configured"
            raise DecodeError(DecodeReason.UNKNOWN_SCHEMA, text)
        try:
            writer = parse(json.loads(self._registry.schema_by_id(schema_id)))
            if not isinstance(writer, RecordNode) or writer.name not in RECORD_TYPES:
                raise SchemaError("is not one of our records")
            return RECORD_TYPES[writer.name], writer
        except SchemaNotFoundError as error:
            raise DecodeError(DecodeReason.UNKNOWN_SCHEMA, str(error)) from error
        except (SchemaError, ValueError, RecursionError) as error:
            text = f"schema id {schema_id}: {error}"
            raise DecodeError(DecodeReason.UNKNOWN_SCHEMA, text) from error
