"""The contract for others is valid AsyncAPI 3, complete, and says what the register and the schemas say."""

import json
from pathlib import Path

import fastavro
import jsonschema
import pytest
import yaml

from schemas import catalog
from schemas.codec import SINGLE_OBJECT, SINGLE_OBJECT_HEAD, Codec
from schemas.json_form import from_json
from tests.npm import installed
from topology.contract import asyncapi, contract_page
from topology.topics import RECORDS, Role, load_register

REGISTER = load_register()
DOCUMENT = yaml.load(asyncapi.text(REGISTER), yaml.CSafeLoader)
MESSAGES = DOCUMENT["components"]["messages"]


@pytest.fixture(scope="module")
def validator():
    """Of AsyncAPI 3.0.0's own JSON schema."""
    specs = installed(Path(__file__).parents[1] / "specs") / "node_modules" / "@asyncapi" / "specs" / "schemas"
    return jsonschema.Draft7Validator(json.loads((specs / "3.0.0-without-$id.json").read_text()))


def told(validator, document):
    return ["/".join(map(str, fault.absolute_path)) + f": {fault.message}" for fault in validator.iter_errors(document)]


def test_document_is_valid_by_the_json_schema_of_asyncapi_3(validator):
    assert told(validator, DOCUMENT)[:3] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["channels"]["appealEvents"].update(adress="x"),
        lambda d: d["operations"]["receiveAppealEvents"].update(action="read"),
        lambda d: d["channels"]["appealEvents"]["bindings"]["kafka"].update(partitions=0),
        lambda d: d.pop("info"),
    ],
)
def test_that_schema_refuses_a_document_with_one_fault(validator, spoil):
    spoilt = json.loads(json.dumps(DOCUMENT))
    spoil(spoilt)
    assert told(validator, spoilt)


def test_every_reference_leads_somewhere():
    def references(node):
        if isinstance(node, dict):
            for key, inner in node.items():
                if key == "$ref":
                    yield inner
                else:
                    yield from references(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from references(inner)

    found = list(references(DOCUMENT))
    assert len(found) > 100
    for reference in found:
        target = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
            while "$ref" in target:  # a channel's message is a reference itself
                target = MESSAGES[target["$ref"].rpartition("/")[2]]


def test_every_topic_with_records_is_a_channel_and_private_ones_are_none():
    channels = {channel["address"]: channel for channel in DOCUMENT["channels"].values()}
    assert set(channels) == {topic.name for topic in REGISTER.topics if topic.records}
    private = {Role.CHANGELOG, Role.STATE, Role.DEAD_LETTERS}
    assert not [topic.name for topic in REGISTER.topics if topic.role in private and topic.name in channels]
    for topic in REGISTER.topics:
        if topic.records:
            assert tuple(channels[topic.name]["messages"]) == topic.records
            assert channels[topic.name]["bindings"]["kafka"]["partitions"] == topic.partitions


def test_the_engine_receives_every_input_and_sends_every_output_of_its_own():
    actions = {(each["action"], each["channel"]["$ref"].rpartition("/")[2]) for each in DOCUMENT["operations"].values()}
    for channel, content in DOCUMENT["channels"].items():
        if content["tags"] == [{"name": "input"}]:
            assert ("receive", channel) in actions
            assert ("send", channel) not in actions
        elif "appeals processor" in content["x-writers"]:
            assert ("send", channel) in actions


def test_operations_name_the_register_s_programs():
    parties = {party for topic in REGISTER.topics for party in (*topic.writers, *topic.readers)}
    assert parties >= asyncapi.OURS, "a program that the register does not know would have no operations"


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_payload_is_an_avro_schema_that_writes_what_our_codec_reads(name):
    """Somebody who has only the document makes the bytes that the engine takes."""
    message, kind = MESSAGES[name], RECORDS[name]
    schema = fastavro.parse_schema(message["payload"]["schema"])
    record = from_json(kind, json.dumps(message["examples"][0]["payload"]))
    data = Codec().encode(record)
    newest = message["x-versions"][-1]
    assert data[:SINGLE_OBJECT_HEAD] == SINGLE_OBJECT + bytes.fromhex(newest["fingerprint"])
    assert len(newest["fingerprint"]) == 16
    with (Path(catalog.ROOT.parent) / newest["schema"]).open() as file:
        assert json.load(file)["name"] == name
    assert fastavro.schema.to_parsing_canonical_form(schema) == fastavro.schema.to_parsing_canonical_form(
        catalog.current(kind)
    )


def test_page_shows_every_topic_every_record_and_every_type_that_it_links_to():
    text = contract_page.markdown(DOCUMENT)
    headings = {line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")}
    assert set(MESSAGES) <= headings
    linked = {part.split("]")[0] for part in text.split("| [")[1:]}
    assert {name for name in linked if name[0].isupper()} <= headings
    assert all(f"`{topic.name}`" in text for topic in REGISTER.topics if topic.records)
