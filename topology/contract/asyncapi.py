"""The AsyncAPI 3 document of the register of topics and the Avro schemas (`docs/generated/asyncapi.yaml`).

It is written from the engine's side: `receive` is what the engine reads, `send` what it writes. Topics that hold
private state, dead letters or texts have no record types and are no part of the contract.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any, Final

import yaml

from schemas import catalog
from schemas.catalog import JsonSchema
from schemas.records import Record
from topology.topics import RECORDS, Register, Topic

ASYNCAPI: Final = "3.0.0"
AVRO_FORMAT: Final = "application/vnd.apache.avro;version=1.9.0"
KAFKA_BINDING: Final = "0.5.0"
OURS: Final = frozenset({"appeals processor", "insights", "recourse dlq"})
"""Writers and readers of the register that are programs of this repository."""

_DESCRIPTION: Final = """\
What flows between the appeals engine, the systems that enforce, those that take in appeals, and the tools that decide.

Every value is one Avro record.
Without a schema registry it is in single-object encoding: the bytes C3 01, eight bytes that name the writer's schema \
(`x-versions` of each message lists them), then the record.
With a registry it is in the Confluent wire format, under the subject `<topic>-<full name of the record>`.
The engine reads both.

A key is the UTF-8 text of the id that `x-key` names.
Producers partition by murmur2, Kafka's default.
Readers read committed records only (`isolation.level=read_committed`), and meet a record again after a crash of \
their own.
A topic with `x-tombstones` is compacted: a record without a value says that its key is gone.
Topics may have a prefix on your cluster; ask whoever runs the engine."""

_HEADERS: Final = {
    "traceparent": "W3C trace context; passed on to whatever is published because of the record.",
    "tracestate": "Goes with traceparent.",
    "ce_id": "CloudEvents, binary mode: the id of the event. What comes of a record that has it has one too.",
    "ce_source": "CloudEvents: who says so.",
    "ce_type": "CloudEvents: the full name of the record.",
    "ce_specversion": "CloudEvents: 1.0.",
    "ce_time": "CloudEvents: when it happened.",
    "ce_causationid": "On what the engine publishes: ce_id of the record that it came of.",
}
"""None of them is needed."""


def document(register: Register) -> dict[str, Any]:
    """The whole document, as JSON data; the same register and schemas give the same one."""
    topics = [topic for topic in register.topics if topic.records]
    flows = {topic.name: (_id(topic.name), topic) for topic in topics}
    names = sorted({name for topic in topics for name in topic.records})
    return {
        "asyncapi": ASYNCAPI,
        "id": "urn:recourse:appeals",
        "info": {"title": "Recourse", "version": version("recourse"), "description": _DESCRIPTION},
        "defaultContentType": "avro/binary",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The cluster that holds the topics.",
                "variables": {"bootstrap": {"default": "localhost:9092", "description": "A broker to start from."}},
            }
        },
        "channels": {name: _channel(register, topic) for name, topic in flows.values()},
        "operations": {
            f"{action}{name[0].upper()}{name[1:]}": _operation(name, topic, action)
            for name, topic in flows.values()
            for action, parties in (("receive", topic.readers), ("send", topic.writers))
            if OURS & set(parties)
        },
        "components": {
            "messages": {name: _message(RECORDS[name], topics) for name in names},
            "schemas": {
                "headers": {
                    "type": "object",
                    "properties": {name: {"type": "string", "description": told} for name, told in _HEADERS.items()},
                }
            },
        },
    }


def text(register: Register) -> str:
    """The document as YAML."""
    return "# Made by `make docs` from topology/topics.yaml and schemas/; change these.\n" + yaml.dump(
        document(register), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120
    )


class _Plain(yaml.CSafeDumper):
    """Writes what occurs twice out twice: a reader looks for the record, not for an anchor above it."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def _paragraphs(dumper: yaml.CSafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Plain.add_representer(str, _paragraphs)


def _id(topic: str) -> str:
    """A channel's name in the document: `cases.child-safety` is `casesChildSafety`."""
    first, *rest = topic.replace("-", ".").split(".")
    return first + "".join(part.capitalize() for part in rest)


def _channel(register: Register, topic: Topic) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        "cleanup.policy": [topic.cleanup],
        "retention.ms": int(topic.config["retention.ms"]),
    }
    if "max.message.bytes" in topic.config:
        configuration["max.message.bytes"] = int(topic.config["max.message.bytes"])
    return {
        "address": register.on_cluster(topic.name),
        "title": topic.name,
        "description": topic.purpose,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in topic.records},
        "tags": [{"name": topic.role.value}],
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": KAFKA_BINDING,
            }
        },
        "x-key": topic.key,
        "x-tombstones": topic.cleanup == "compact",
        "x-owner": topic.owner,
        "x-writers": list(topic.writers),
        "x-readers": list(topic.readers),
        "x-personal-data": topic.personal_data,
    }


def _operation(channel: str, topic: Topic, action: str) -> dict[str, Any]:
    parties = topic.readers if action == "receive" else topic.writers
    others = topic.writers if action == "receive" else topic.readers
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "title": f"{', '.join(sorted(OURS & set(parties)))} {action}s {topic.name}",
        "summary": f"{'From' if action == 'receive' else 'For'} {', '.join(others)}.",
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in topic.records],
    }


def _message(kind: type[Record], topics: list[Topic]) -> dict[str, Any]:
    schema = catalog.current(kind)
    keys = {topic.key for topic in topics if kind.__name__ in topic.records}
    return {
        "name": catalog.full_name(kind),
        "title": kind.__name__,
        "summary": schema["doc"],
        "contentType": "avro/binary",
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": {"schemaFormat": AVRO_FORMAT, "schema": schema},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"{' or '.join(sorted(keys))}, UTF-8"},
                "bindingVersion": KAFKA_BINDING,
            }
        },
        "examples": [{"name": path.stem, "payload": json.loads(path.read_text("utf-8"))} for path in _examples(kind)],
        "x-versions": versions(kind),
    }


def versions(kind: type[Record]) -> list[dict[str, Any]]:
    """Each version of a record's schema that a reader may meet, oldest first, by the fingerprint in its prefix."""
    root = catalog.ROOT.parent
    return [
        {
            "version": each.number,
            "fingerprint": catalog.fingerprint(each.schema).hex(),
            "schema": each.path.relative_to(root).as_posix(),
        }
        for each in catalog.history(kind)
    ]


def _examples(kind: type[Record]) -> list[Any]:
    """The typical one alone: the awkward ones are for tests of codecs."""
    return sorted((catalog.ROOT / "examples" / kind.__name__).glob("typical.json"))


def named_types(schema: JsonSchema) -> dict[str, JsonSchema]:
    """All records and enumerations that a schema defines, by short name, itself included."""
    found: dict[str, JsonSchema] = {}

    def walk(node: object) -> None:
        if isinstance(node, list):
            for each in node:  # pyright: ignore[reportUnknownVariableType]
                walk(each)
        elif isinstance(node, dict):
            inner: JsonSchema = node  # pyright: ignore[reportUnknownVariableType]
            if inner.get("type") in ("record", "enum"):
                found[inner["name"]] = inner
            for key in ("type", "items", "values", "fields"):
                walk(inner.get(key))

    walk(schema)
    return found
