"""The AsyncAPI document as a page that people read: topics, records field by field, and the types these are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from schemas.catalog import NAMESPACE, JsonSchema
from topology.contract.asyncapi import named_types


def markdown(document: dict[str, Any]) -> str:
    """The page's body, made from the document alone: what is not in the contract is not on its page."""
    channels, messages = document["channels"], document["components"]["messages"]
    info = document["info"]
    lines = [
        f"{info['title']} {info['version']}. AsyncAPI {document['asyncapi']}: [asyncapi.yaml](asyncapi.yaml).",
        "[integrate.md](../integrate.md) has programs that use it.",
        "",
        info["description"],
        "",
        "## Topics",
        "",
        "| topic | key | records | written by | read by | kept |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_topic_row(channel) for channel in channels.values()),
        "",
        "## Headers",
        "",
        "| header | meaning |",
        "| --- | --- |",
        *(
            f"| `{name}` | {each['description']} |"
            for name, each in document["components"]["schemas"]["headers"]["properties"].items()
        ),
        "",
        "## Records",
    ]
    types: dict[str, JsonSchema] = {}
    for name, message in messages.items():
        lines += _record(name, message, channels)
        types |= {each: node for each, node in named_types(message["payload"]["schema"]).items() if each != name}
    lines += ["", "## Types", ""]
    for name in sorted(types):
        lines += _type(name, types[name])
    return "\n".join(lines)


def _topic_row(channel: dict[str, Any]) -> str:
    kafka = channel["bindings"]["kafka"]["topicConfiguration"]
    if "compact" in kafka["cleanup.policy"]:
        kept = "the newest of each key"
    elif kafka["retention.ms"] < 0:
        kept = "for ever"
    else:
        kept = f"{kafka['retention.ms'] // 86_400_000} days"
    records = ", ".join(_link(name) for name in channel["messages"])
    cells = (
        f"`{channel['address']}`",
        channel["x-key"],
        records,
        ", ".join(channel["x-writers"]),
        ", ".join(channel["x-readers"]),
        kept,
    )
    return f"| {' | '.join(cells)} |"


def _record(name: str, message: dict[str, Any], channels: dict[str, Any]) -> Iterator[str]:
    where = [f"`{channel['address']}`" for channel in channels.values() if name in channel["messages"]]
    told = ", ".join(f"{each['version']}: `{each['fingerprint']}`" for each in message["x-versions"])
    yield from ("", f"### {name}", "", message["summary"], "")
    yield f"On {', '.join(where)}. Versions by fingerprint: {told}."
    yield ""
    yield from _fields(message["payload"]["schema"])
    for example in message["examples"]:
        yield from ("", "```json", json.dumps(example["payload"], indent=2), "```")


def _type(name: str, node: JsonSchema) -> Iterator[str]:
    yield from (f"### {name}", "", node.get("doc", ""), "")
    if node["type"] == "enum":
        yield f"One of {', '.join(f'`{symbol}`' for symbol in node['symbols'])}."
        if "default" in node:
            yield f"A reader that does not know the symbol takes `{node['default']}`."
    else:
        yield from _fields(node)
    yield ""


def _fields(node: JsonSchema) -> Iterator[str]:
    yield "| field | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for field in node["fields"]:
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        personal = "" if field["personal"] == "none" else f" Personal data: {field['personal']}."
        yield f"| `{field['name']}` | {_shape(field['type'])} | {default} | {field.get('doc', '')}{personal} |"


def _shape(node: object) -> str:
    """A type in words."""
    if isinstance(node, str):
        return _link(node.removeprefix(f"{NAMESPACE}.")) if node.startswith(f"{NAMESPACE}.") else node
    if isinstance(node, list):
        shapes = [_shape(each) for each in node if each != "null"]  # pyright: ignore[reportUnknownVariableType]
        return f"{' or '.join(shapes)}{', or null' if 'null' in node else ''}"
    inner: JsonSchema = node  # type: ignore[assignment] - Avro has strings, unions and objects
    if inner["type"] in ("array", "map"):
        return f"{'list' if inner['type'] == 'array' else 'map'} of {_shape(inner.get('items', inner.get('values')))}"
    match inner.get("logicalType"):
        case "timestamp-millis":
            return "UTC ms"
        case "decimal":
            return f"decimal({inner['precision']}, {inner['scale']})"
        case _:
            return _link(inner["name"]) if "name" in inner else _shape(inner["type"])


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"
