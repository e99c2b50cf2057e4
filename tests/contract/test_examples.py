"""Each example is a test: through both wire forms, every version in the history, and against its golden bytes."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import fastavro
import msgspec
import pytest

from schemas import ALL_RECORDS, Codec, JsonError, Record, from_json, to_json
from schemas.catalog import current, fingerprint, history
from tests.contract import oracle
from tests.contract.fake_registry import FakeRegistry
from tests.contract.golden import EXAMPLES, Example, examples
from tests.contract.strategies import fields_of

each_example = pytest.mark.parametrize("example", examples(), ids=str)


def test_every_record_has_two_examples_and_there_are_no_orphans():
    assert {path.name for path in EXAMPLES.iterdir()} == {each.__name__ for each in ALL_RECORDS}
    for record_type in ALL_RECORDS:
        found = sorted(path.name for path in (EXAMPLES / record_type.__name__).iterdir())
        assert {"typical.json", "awkward.json"} <= set(found)
        texts = [name for name in found if name.endswith(".json")]
        assert found == sorted(texts + [name.replace(".json", ".hex") for name in texts])


@each_example
def test_example_survives_the_form_without_a_registry(example: Example):
    codec = Codec()
    record = example.record
    assert codec.decode(codec.encode(record), frozenset({example.record_type})) == record


@each_example
def test_example_survives_the_form_with_a_registry(example: Example):
    codec = Codec(FakeRegistry.with_all("some.topic"))
    record = example.record
    data = codec.encode(record, "some.topic")
    assert data[0] == 0
    assert codec.decode(data, frozenset({example.record_type})) == record


@each_example
def test_example_gives_its_golden_bytes_and_comes_back_from_them(example: Example):
    golden = bytes.fromhex(example.golden.read_text("ascii"))
    assert Codec().encode(example.record).hex() == golden.hex()
    assert Codec().decode(golden, frozenset({example.record_type})) == example.record


@each_example
def test_example_is_read_and_written_the_same_by_another_avro_library(example: Example):
    record = example.record
    data = Codec().encode(record)[10:]
    assert oracle.write(record) == data
    assert oracle.read(data, example.record_type) == record


def holds_all_of(now: Any, old: Any) -> bool:
    """Whether every field that was written is there with its value; parts may have got further fields."""
    if isinstance(old, dict):
        return all(name in now and holds_all_of(now[name], value) for name, value in old.items())
    if isinstance(old, list):
        return len(now) == len(old) and all(map(holds_all_of, now, old))
    return now == old


@each_example
def test_example_written_by_any_earlier_version_is_read(example: Example):
    for version in history(example.record_type):
        names = {field["name"] for field in version.schema["fields"]}
        old = {name: value for name, value in fields_of(example.record).items() if name in names}
        out = BytesIO()
        schema = fastavro.parse_schema(oracle.plain_times(version.schema))
        fastavro.schemaless_writer(out, schema, old)
        data = b"\xc3\x01" + fingerprint(version.schema) + out.getvalue()
        written = fastavro.schemaless_reader(BytesIO(out.getvalue()), schema, None)
        written = {name: value for name, value in written.items() if name in old}
        assert holds_all_of(fields_of(Codec().decode(data, frozenset({example.record_type}))), written)


@each_example
def test_example_is_read_by_any_earlier_version(example: Example):
    data = Codec().encode(example.record)[10:]
    writer = fastavro.parse_schema(oracle.plain_times(current(example.record_type)))
    for version in history(example.record_type):
        reader = fastavro.parse_schema(oracle.plain_times(version.schema))
        old = fastavro.schemaless_reader(BytesIO(data), writer, reader)
        assert old.keys() == {field["name"] for field in version.schema["fields"]}


@each_example
def test_example_is_written_in_the_form_that_to_json_gives(example: Example):
    assert to_json(example.record, indent=2) + b"\n" == example.path.read_bytes()


@each_example
def test_misspelt_key_in_an_example_is_refused_and_the_right_one_is_named(example: Example):
    fields = json.loads(example.path.read_bytes())
    key = next(reversed(fields))
    fields[f"{key}x"] = fields[key]
    with pytest.raises(JsonError, match=f"unknown key {key}x, perhaps {key}"):
        from_json(example.record_type, json.dumps(fields))


@each_example
def test_misspelt_key_deep_in_an_example_is_refused(example: Example):
    def misspell(value: object) -> bool:
        """Add a stray key to the first part found, depth first; maps are free and have only texts."""
        if isinstance(value, list):
            return any(map(misspell, value))
        if isinstance(value, dict):
            if any(map(misspell, value.values())):
                return True
            if "currency" in value or "kind" in value or "because" in value:
                value["stray"] = 1
                return True
        return False

    fields = json.loads(example.path.read_bytes())
    if not any(map(misspell, fields.values())):
        return  # a record without parts
    with pytest.raises(JsonError, match=r"unknown key \S+\.stray"):
        from_json(example.record_type, json.dumps(fields))


@each_example
def test_record_without_one_of_its_required_fields_is_refused(example: Example):
    fields = json.loads(example.path.read_bytes())
    for field in msgspec.structs.fields(example.record_type):
        if field.required:
            less = {name: value for name, value in fields.items() if name != field.name}
            with pytest.raises(JsonError, match=f"missing required field `{field.name}`"):
                from_json(example.record_type, json.dumps(less))


def test_awkward_examples_have_an_unknown_symbol_a_huge_amount_and_a_text_at_its_bound():
    texts = [each.path.read_text("utf-8") for each in examples() if each.path.stem == "awkward"]
    everything = "".join(texts)
    assert '"UNKNOWN"' in everything
    assert '"-99999999999999.9999"' in everything
    records: list[Record] = [each.record for each in examples() if each.path.stem == "awkward"]
    assert any(len(text) == 4096 for record in records for text in fields_of(record).values() if isinstance(text, str))
