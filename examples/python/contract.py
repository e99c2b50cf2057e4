"""The contract, as a program sees it: topics and schemas from the AsyncAPI document, records by fastavro."""

import io
import json
import os
from pathlib import Path

import fastavro
import yaml

ROOT = Path(os.environ.get("CONTRACT", Path(__file__).parents[2]))  # holds docs/generated/asyncapi.yaml and schemas/
DOCUMENT = yaml.load((ROOT / "docs/generated/asyncapi.yaml").read_text(), yaml.CSafeLoader)
MESSAGES = DOCUMENT["components"]["messages"]
SCHEMAS = {name: fastavro.parse_schema(message["payload"]["schema"]) for name, message in MESSAGES.items()}
VERSIONS = {
    bytes.fromhex(version["fingerprint"]): (name, ROOT / version["schema"])
    for name, message in MESSAGES.items()
    for version in message["x-versions"]
}
KAFKA = {"bootstrap.servers": os.environ["KAFKA"]}
PREFIX = os.environ.get("TOPIC_PREFIX", "")


def encode(name: str, record: dict) -> bytes:
    """Single-object encoding: C3 01, the fingerprint of the newest version, the record."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMAS[name], record)
    return b"\xc3\x01" + bytes.fromhex(MESSAGES[name]["x-versions"][-1]["fingerprint"]) + out.getvalue()


def decode(data: bytes) -> tuple[str, dict]:
    """The record's name and content, whichever version its writer had."""
    name, version = VERSIONS[data[2:10]]
    writer = fastavro.parse_schema(json.loads(version.read_text()))
    return name, fastavro.schemaless_reader(io.BytesIO(data[10:]), writer, SCHEMAS[name])
