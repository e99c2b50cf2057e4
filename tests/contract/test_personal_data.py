"""Every field says what it tells of a person, and every topic what its records do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.catalog import AVRO, NAMESPACE, all_types, current, fingerprint, wire_form
from schemas.records import AppealSubmitted, Case, Record
from topology.topics import Role, Topic, load_register

CLASSES = ("none", "pseudonymous", "sealed", "direct")
"""In rising order."""


def schema_of(name: str) -> dict[str, Any]:
    return json.loads((AVRO / f"{name}.avsc").read_text("utf-8"))


def parts(node: object) -> Iterator[str]:
    """The records of ours that a type is made of, by short name."""
    if isinstance(node, str) and node.startswith(f"{NAMESPACE}."):
        name = node.removeprefix(f"{NAMESPACE}.")
        if schema_of(name)["type"] == "record":
            yield name
    elif isinstance(node, list):
        for each in node:
            yield from parts(each)
    elif isinstance(node, dict):
        for key in ("type", "items", "values"):
            yield from parts(node.get(key))


def highest(classes: Iterator[str]) -> str:
    return max(classes, key=CLASSES.index, default="none")


def class_of(record: str) -> str:
    return highest(field["personal"] for field in schema_of(record)["fields"])


@pytest.mark.parametrize("record_type", all_types(), ids=lambda each: each.__name__)
def test_every_field_is_classed_and_one_that_holds_a_part_at_least_as_that(record_type: type[Record]):
    for field in schema_of(record_type.__name__)["fields"]:
        assert field["personal"] in CLASSES, f"{record_type.__name__}.{field['name']}"
        inner = highest(class_of(part) for part in parts(field["type"]))
        assert CLASSES.index(field["personal"]) >= CLASSES.index(inner), f"{record_type.__name__}.{field['name']}"


def test_nothing_travels_in_clear_that_names_or_quotes_a_person():
    assert "direct" not in {class_of(each.__name__) for each in all_types()}
    assert "direct" not in {topic.personal_data for topic in load_register().topics}


def test_what_is_sealed_is_called_so():
    for record_type in all_types():
        for field in schema_of(record_type.__name__)["fields"]:
            if field["personal"] == "sealed" and not list(parts(field["type"])):
                assert field["name"].endswith("sealed")
                assert field["type"] == ["null", "string"]


def expected(topic: Topic) -> str:
    register = load_register()
    if topic.role is Role.DEAD_LETTERS:
        source = register.by_name[topic.name.removesuffix(".dlq")]
        return "sealed" if source.key == "user_id" else expected(source)
    if topic.role is Role.CHANGELOG:
        return highest(expected(each) for each in register.user_inputs)
    if topic.role is Role.STATE or topic.name == "rulebooks":  # neither is made of records; said by hand
        return topic.personal_data
    return highest(class_of(record) for record in topic.records)


@pytest.mark.parametrize("topic", load_register().topics, ids=lambda topic: topic.name)
def test_topic_says_of_its_records_what_their_fields_say(topic: Topic):
    assert topic.personal_data == expected(topic)


def test_class_of_a_field_is_no_part_of_what_is_on_the_wire():
    for record_type in (AppealSubmitted, Case):
        schema = current(record_type)
        assert '"personal"' in json.dumps(schema)
        assert '"personal"' not in json.dumps(wire_form(schema))
        assert fingerprint(schema) == fingerprint(wire_form(schema))
