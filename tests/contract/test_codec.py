"""The two wire forms: what they look like, how schemas are found, and what is refused before any field is read."""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas import (
    ALL_RECORDS,
    MAX_RECORD_BYTES,
    Codec,
    ConfluentRegistry,
    DecodeError,
    DecodeReason,
    EncodeError,
    Record,
    RecordError,
    RegistryUnavailableError,
    SchemaNotFoundError,
    pieces,
    primitives,
)
from schemas import codec as codec_module
from schemas import registry as registry_module
from schemas.catalog import current, fingerprint, full_name, wire_form
from schemas.records import (
    AppealWithdrawn,
    Case,
    CaseClaimed,
    CaseEvent,
    Component,
    DecisionProposed,
    Detector,
    EnforcementIssued,
    EnforcementLifted,
    Lesser,
    Money,
    UserProfileUpdated,
)
from schemas.rules import MAX_TIME_MS, MIN_TIME_MS
from schemas.vocabulary import Action, LiftReason, Outcome
from schemas.writing import writer_for
from tests.contract import oracle
from tests.contract.fake_registry import FakeRegistry
from tests.contract.golden import examples

EVERYTHING = frozenset(ALL_RECORDS)
TOPIC = "some.topic"


def an(record_type: type[Record], **changes: Any) -> Any:
    record = next(each.record for each in examples() if each.record_type is record_type and "typical" in str(each))
    return msgspec.structs.replace(record, **changes)


def refused(codec: Codec, data: bytes, allowed: frozenset[type[Record]] = EVERYTHING) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        codec.decode(data, allowed)
    return caught.value


# --- forms -------------------------------------------------------------------------------------------------


def test_single_object_form_is_two_marks_and_the_fingerprint_little_endian():
    data = Codec().encode(an(Case))
    assert data[:2] == b"\xc3\x01"
    assert data[2:10] == fingerprint(current(Case))


def test_prepared_codec_compiles_nothing_more_for_the_first_records(monkeypatch: pytest.MonkeyPatch):
    written = {each.record_type: each.record for each in examples()}
    as_bytes = {kind: Codec().encode(record) for kind, record in written.items()}
    codec = Codec()
    writer_for.cache_clear()
    codec.prepare()
    compiled: list[Any] = []
    monkeypatch.setattr(codec_module, "compile_reader", lambda *_: compiled.append("reader"))

    for kind, record in written.items():
        misses = writer_for.cache_info().misses
        assert codec.encode(record) == as_bytes[kind]
        assert codec.decode(as_bytes[kind], EVERYTHING) == record
        assert (writer_for.cache_info().misses, compiled) == (misses, [])


def test_confluent_form_is_a_zero_and_the_id_big_endian():
    registry = FakeRegistry.with_all(TOPIC)
    data = Codec(registry).encode(an(Case), TOPIC)
    expected = registry.ids[f"{TOPIC}-recourse.v1.Case", json.dumps(wire_form(current(Case)))]
    assert struct.unpack(">bI", data[:5]) == (0, expected)


def test_body_is_the_same_in_both_forms():
    assert Codec().encode(an(Case))[10:] == Codec(FakeRegistry.with_all(TOPIC)).encode(an(Case), TOPIC)[5:]


def test_reader_with_a_registry_accepts_both_forms():
    codec = Codec(FakeRegistry.with_all(TOPIC))
    case = an(Case)
    assert codec.decode(Codec().encode(case), EVERYTHING) == codec.decode(codec.encode(case, TOPIC), EVERYTHING) == case


def test_equal_records_give_equal_bytes_whatever_the_order_of_map_keys_and_the_zeros_of_amounts():
    one, other = an(CaseEvent, saw={"a": "1", "b": "2"}), an(CaseEvent, saw={"b": "2", "a": "1"})
    assert Codec().encode(one) == Codec().encode(other)
    amounts = [Money(value=Decimal(text), currency="EUR") for text in ("12.5", "12.5000", "1.25E+1")]
    assert len({Codec().encode(an(EnforcementLifted, amount_returned=each)) for each in amounts}) == 1


# --- registry ----------------------------------------------------------------------------------------------


def test_registry_is_asked_once_for_each_schema_and_subject():
    registry = FakeRegistry.with_all(TOPIC)
    codec = Codec(registry)
    for _ in range(3):
        codec.decode(codec.encode(an(Case), TOPIC), EVERYTHING)
        codec.decode(codec.encode(an(CaseClaimed), TOPIC), EVERYTHING)
    case_id, claim_id = (list(ALL_RECORDS).index(kind) + 1 for kind in (Case, CaseClaimed))
    assert registry.questions == [f"{TOPIC}-{full_name(Case)}", case_id, f"{TOPIC}-{full_name(CaseClaimed)}", claim_id]


def test_schema_that_is_not_registered_under_the_topic_is_an_error_and_is_not_registered():
    registry = FakeRegistry.with_all(TOPIC)
    before = dict(registry.ids)
    with pytest.raises(SchemaNotFoundError, match=r"other\.topic-recourse\.v1\.Case"):
        Codec(registry).encode(an(Case), "other.topic")
    assert registry.ids == before


def test_topic_must_be_given_with_a_registry():
    with pytest.raises(EncodeError, match="the topic must be given"):
        Codec(FakeRegistry.with_all(TOPIC)).encode(an(Case))


def test_id_that_the_registry_does_not_know_is_an_unknown_schema_and_asked_again_next_time():
    registry = FakeRegistry()
    codec = Codec(registry)
    data = b"\0\0\0\0\1" + Codec().encode(an(Case))[10:]
    assert refused(codec, data).reason is DecodeReason.UNKNOWN_SCHEMA
    registry.add("late", json.dumps(current(Case)))
    assert codec.decode(data, EVERYTHING) == an(Case)


def test_registry_that_does_not_answer_says_nothing_about_the_record():
    registry = FakeRegistry.with_all(TOPIC)
    data = Codec(registry).encode(an(Case), TOPIC)
    registry.down = True
    codec = Codec(registry)
    with pytest.raises(RegistryUnavailableError) as caught:
        codec.decode(data, EVERYTHING)
    assert not isinstance(caught.value, DecodeError)
    registry.down = False
    assert codec.decode(data, EVERYTHING) == an(Case)


@pytest.mark.parametrize(
    "schema",
    [
        '"string"',
        '{"type": "record", "name": "recourse.v1.Stranger", "fields": []}',
        '{"type": "record", "name": "recourse.v1.Case", "fields": []}',
        '{"type": "record", "name": "recourse.v1.Money", "fields": []}',
        '{"type": "record", "name": "recourse.v1.Case", "fields": [{"name": "x"}]}',
        '{"type": "record", "name": "recourse.v1.Case", "fields": [1]}',
        '{"type": "record", "name": "recourse.v1.Case", "fields": 1}',
        '{"type": "enum", "name": "recourse.v1.Case", "symbols": 1}',
        '{"type": "enum", "name": "recourse.v1.Case", "symbols": [1, {}]}',
        '{"type": "array", "items": "null"}',
        "no json",
        "[" * 100_000,
    ],
)
def test_registered_schema_that_is_none_of_ours_is_an_unknown_schema(schema: str):
    registry = FakeRegistry()
    schema_id = registry.add("x", schema)
    found = refused(Codec(registry), b"\0" + schema_id.to_bytes(4, "big"))
    assert found.reason is DecodeReason.UNKNOWN_SCHEMA
    assert f"schema id {schema_id}" in found.text


def test_confluent_form_without_a_registry_is_an_unknown_schema():
    found = refused(Codec(), b"\0\0\0\0\7abc")
    assert (found.reason, found.text) == ("unknown_schema", "schema id 7, but no registry is configured")


def test_registry_client_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    def missing(_: str) -> object:
        raise ImportError("no")

    monkeypatch.setattr(registry_module, "import_module", missing)
    with pytest.raises(RegistryUnavailableError, match=r"recourse\[registry\]"):
        ConfluentRegistry({"url": "http://localhost"})


class FakeClientModule:
    """What `ConfluentRegistry` uses of ``confluent_kafka.schema_registry``."""

    class SchemaRegistryError(Exception):
        def __init__(self, error_code: int) -> None:
            super().__init__(f"code {error_code}")
            self.error_code = error_code

    class Schema:
        def __init__(self, schema_str: str, schema_type: str) -> None:
            assert schema_type == "AVRO"
            self.schema_str = schema_str
            self.schema_id = 5

    class SchemaRegistryClient:
        def __init__(self, configuration: dict[str, Any]) -> None:
            self.configuration = configuration

        def get_schema(self, schema_id: int) -> Any:
            if schema_id in {404, 500, 40403}:
                raise FakeClientModule.SchemaRegistryError(schema_id)
            if schema_id == 0:
                raise ConnectionError("refused")
            return FakeClientModule.Schema('"string"', "AVRO")

        def lookup_schema(self, subject: str, schema: Any, *, normalize_schemas: bool) -> Any:
            assert normalize_schemas
            if subject == "missing":
                raise FakeClientModule.SchemaRegistryError(40401)
            return schema

        def register_schema(self, subject: str, schema: Any, *, normalize_schemas: bool) -> int:
            assert normalize_schemas
            return 6


def test_adapter_asks_the_client_and_tells_not_found_from_no_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry_module, "import_module", lambda _: FakeClientModule)
    registry = ConfluentRegistry({"url": "http://localhost"})
    assert registry.schema_by_id(1) == '"string"'
    assert registry.id_for("there", '"string"') == 5
    with pytest.raises(SchemaNotFoundError):
        registry.schema_by_id(40403)
    with pytest.raises(SchemaNotFoundError):
        registry.id_for("missing", '"string"')
    for broken in (500, 404, 0):  # a bare 404: most likely a wrong address
        with pytest.raises(RegistryUnavailableError):
            registry.schema_by_id(broken)


def test_adapter_registers_only_when_it_is_told_to(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry_module, "import_module", lambda _: FakeClientModule)
    assert ConfluentRegistry({"url": "http://localhost"}, auto_register=True).id_for("missing", '"string"') == 6


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"\xc3", b"\xc3\x01", b"\xc3\x01short", b"\0", b"\0\0\0\0", b"{}", b"\xc3\x02" + b"0" * 20]
)
def test_bytes_in_neither_form_are_undecodable(data: bytes):
    assert refused(Codec(FakeRegistry()), data).reason is DecodeReason.UNDECODABLE


def test_fingerprint_of_no_version_is_an_unknown_schema():
    found = refused(Codec(), b"\xc3\x01" + b"\1" * 8 + b"abc")
    assert found.reason is DecodeReason.UNKNOWN_SCHEMA
    assert "0101010101010101" in found.text


def test_record_of_a_type_that_the_topic_does_not_allow_is_refused():
    found = refused(Codec(), Codec().encode(an(Case)), frozenset({CaseClaimed, AppealWithdrawn}))
    assert found.reason is DecodeReason.RECORD_TYPE_NOT_ALLOWED
    assert found.text == "Case does not belong here, only AppealWithdrawn, CaseClaimed"


def test_record_beyond_the_bound_is_refused_both_ways():
    big = {str(number): "x" * 4096 for number in range(70)}
    with pytest.raises(EncodeError, match=f"at most {MAX_RECORD_BYTES}"):
        Codec().encode(an(CaseEvent, saw=big))
    data = Codec(max_record_bytes=1 << 20).encode(an(CaseEvent, saw=big))
    found = refused(Codec(), data)
    assert (found.reason, str(len(data)) in found.text) == (DecodeReason.BOUND_EXCEEDED, True)
    assert Codec(max_record_bytes=1 << 20).decode(data, EVERYTHING) == an(CaseEvent, saw=big)


def test_part_cannot_stand_alone():
    with pytest.raises(EncodeError, match="Detector cannot stand alone"):
        Codec().encode(Detector(name="a", version="1"))


def test_error_text_never_carries_a_text_of_the_record():
    secret = "the-secret-text" * 400
    with pytest.raises(EncodeError) as caught:
        Codec().encode(an(EnforcementLifted, lifted_by=secret))
    assert "the-secret" not in str(caught.value)


A_NUMBER: Any = float("nan")


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (an(CaseClaimed, actor=""), "actor"),
        (an(CaseClaimed, actor="x" * 257), "actor"),
        (an(CaseClaimed, actor="é" * 257), "actor has 257 characters, must have 1 to 256"),
        (an(CaseClaimed, actor="\ud800"), "surrogates not allowed"),
        (an(CaseClaimed, expected_version=-1), "expected_version is -1, must be in [0,"),
        (an(CaseClaimed, expected_version=2**63), "expected_version is 9223372036854775808"),
        (an(CaseClaimed, occurred_at=946_684_799_999), "occurred_at is 946684799999"),
        (an(CaseClaimed, occurred_at=4_102_444_800_000), "occurred_at is 4102444800000"),
        (an(CaseClaimed, occurred_at=None), "occurred_at"),
        (an(CaseClaimed, actor=None), "actor"),
        (an(CaseClaimed, actor=7), "actor"),
        (an(DecisionProposed, outcome=Outcome.UNKNOWN), "outcome is UNKNOWN, must be one of upheld"),
        (an(DecisionProposed, lesser=Lesser(action=Action.UNKNOWN)), "lesser.action is UNKNOWN"),
        (an(DecisionProposed, outcome=None), "outcome is None"),
        (an(DecisionProposed, cited_evidence=["x"] * 1001), "cited_evidence"),
        (an(DecisionProposed, cited_evidence=["x", ""]), "cited_evidence[1]"),
        (an(EnforcementLifted, reason="pardoned"), "reason is pardoned"),
        (an(EnforcementLifted, strikes_expunged=None), "strikes_expunged"),
        (an(CaseEvent, saw={str(number): "" for number in range(1001)}), "saw"),
        (an(CaseEvent, saw={"a": "x" * 4097}), "saw"),
        (an(CaseEvent, saw={1: "x"}), "saw"),
        (an(Case, score=2**63), "score"),
        (
            an(Case, components=[Component(name="n", value=A_NUMBER, weight=1.0, contribution=0.0, because="")]),
            "is nan",
        ),
        (an(Case, components=[Component(name="n", value=0.0, weight=-1e999, contribution=0.0, because="")]), "is -inf"),
        (an(Case, components=[Component(name="n", value="1", weight=0.0, contribution=0.0, because="")]), "value"),  # type: ignore[arg-type]
    ],
)
def test_writer_refuses_what_its_readers_would_refuse_and_names_the_field(record: Record, text: str):
    with pytest.raises(EncodeError) as caught:
        Codec().encode(record)
    assert text in str(caught.value)
    assert str(caught.value).startswith(type(record).__name__)


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "1E+14",
        "1E+999999",
        "-100000000000000",
        "0.00001",
        "1." + "0" * 40 + "1",
    ],
)
def test_amount_is_never_rounded_cut_or_made_up(value: str):
    amount = Money(value=Decimal(value), currency="EUR")
    with pytest.raises(EncodeError, match=r"amount_returned\.value is"):
        Codec().encode(an(EnforcementLifted, amount_returned=amount))


@pytest.mark.parametrize("currency", ["eur", "EU", "EURO", "EUR\n", "", "ÉUR"])
def test_currency_is_three_capital_letters(currency: str):
    with pytest.raises(EncodeError, match="currency"):
        Codec().encode(an(EnforcementLifted, amount_returned=Money(value=Decimal(1), currency=currency)))


def test_all_errors_are_in_one_tree():
    assert issubclass(DecodeError, RecordError)
    assert issubclass(EncodeError, RecordError)
    assert issubclass(RegistryUnavailableError, RecordError)


# --- times and symbols on the way in -----------------------------------------------------------------------


def written(record: Record, **changes: Any) -> bytes:
    """The bytes of a record with changes that our writer would refuse."""
    from tests.contract import oracle  # noqa: PLC0415

    return Codec().encode(record)[:10] + oracle.write(msgspec.structs.replace(record, **changes))


@pytest.mark.parametrize(
    "value", [0, -1, 1_760_000_000, 946_684_799_999, 4_102_444_800_000, 1_760_000_000_000_000, 2**63 - 1]
)
@pytest.mark.parametrize(
    ("record_type", "name"),
    [
        (CaseClaimed, "occurred_at"),
        (EnforcementIssued, "ends_at"),
        (EnforcementIssued, "appeal_until"),
        (UserProfileUpdated, "joined_at"),
    ],
)
def test_implausible_time_is_named_with_its_value(record_type: type[Record], name: str, value: int):
    found = refused(Codec(), written(an(record_type), **{name: value}))
    assert found.reason is DecodeReason.IMPLAUSIBLE_TIME
    assert f"{record_type.__name__}: {name} is {value}" in found.text


def test_implausible_time_is_found_inside_of_parts():
    case = an(Case)
    claim = msgspec.structs.replace(case.claim, until=5)
    found = refused(Codec(), written(case, claim=claim))
    assert (found.reason, "claim.until is 5" in found.text) == (DecodeReason.IMPLAUSIBLE_TIME, True)


@pytest.mark.parametrize("value", [946_684_800_000, 2_199_023_255_551, 2_199_023_255_552, 4_102_444_799_999])
def test_times_at_the_edges_are_good_for_ends_and_deadlines_too(value: int):
    record = an(EnforcementIssued, issued_at=value, ends_at=value, appeal_until=value)
    assert Codec().decode(Codec().encode(record), EVERYTHING) == record


@pytest.mark.parametrize("value", [946_684_800_000, 1_790_000_000_000, 2_199_023_255_551, 4_102_444_799_999])
def test_a_time_beside_one_that_was_read_before_is_read_for_itself(value: int):
    start = value & ~0x1FFF  # all times up to the next multiple share a table's entry
    for at in (value, start, start + 1, start + 63, start + 64, start + 0x1FFF, value):
        record = an(CaseClaimed, occurred_at=at)
        if MIN_TIME_MS <= at < MAX_TIME_MS:
            data = Codec().encode(record)
            assert data.endswith(oracle.write(record))
            assert Codec().decode(data, EVERYTHING) == record
        else:
            assert refused(Codec(), written(an(CaseClaimed), occurred_at=at)).reason is DecodeReason.IMPLAUSIBLE_TIME


def test_tables_that_fill_as_they_are_used_start_again_and_go_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(primitives, "KEPT", 4)
    monkeypatch.setattr(pieces, "KEPT", 4)
    tables: list[dict[Any, Any]] = [primitives.HIGHS, pieces.TIMES, pieces.REALS]
    for table in tables:
        table.clear()
    case = an(Case)
    for n in range(20):
        part = Component(name="severity", value=n / 32, weight=0.5, contribution=n / 64, because=str(n))
        record = msgspec.structs.replace(case, components=[part, part], rank_at=1_790_000_000_000 + n * 8_192)
        data = Codec().encode(record)
        assert data.endswith(oracle.write(record))
        assert Codec().decode(data, EVERYTHING) == record
        assert all(len(table) <= 4 for table in tables)
    assert all(tables)


def test_parts_that_are_equal_but_not_the_same_are_each_written_as_they_are():
    zero, minus = (Component(name="x", value=value, weight=0.0, contribution=0.0, because="") for value in (0.0, -0.0))
    assert zero == minus
    first, second = (Codec().encode(an(Case, components=[part])) for part in (zero, minus))
    assert first != second


def test_unknown_symbol_where_nothing_rests_on_it_goes_through_both_ways():
    record = an(EnforcementLifted, reason=LiftReason.UNKNOWN)
    assert Codec().decode(Codec().encode(record), EVERYTHING) == record


def critical_paths() -> list[tuple[type[Record], str]]:
    from schemas import CRITICAL_SYMBOLS  # noqa: PLC0415

    return [(record_type, path) for record_type, paths in CRITICAL_SYMBOLS.items() for path in sorted(paths)]


def with_unknown(value: Any, path: str) -> Any:
    """The record with `UNKNOWN` at a path; lists get it in their last item."""
    name, _, rest = path.partition(".")
    plain = name.removesuffix("[]")
    inner = value[plain]
    if not rest:
        return value | {plain: [*inner[:-1], "UNKNOWN"] if name.endswith("[]") else "UNKNOWN"}
    if name.endswith("[]"):
        return value | {plain: [*inner[:-1], with_unknown(inner[-1], rest)]}
    return value | {plain: with_unknown(inner, rest)}


@pytest.mark.parametrize(("record_type", "path"), critical_paths(), ids=lambda each: getattr(each, "__name__", each))
def test_unknown_symbol_stops_the_record_both_ways_where_a_decision_would_rest_on_it(
    record_type: type[Record], path: str
):
    from tests.contract.strategies import fields_of  # noqa: PLC0415

    fields = with_unknown(fields_of(an(record_type)), path)
    record = msgspec.convert(fields, record_type)
    found = refused(Codec(), written(an(record_type), **{name: getattr(record, name) for name in fields}))
    assert (found.reason, found.text) == (
        DecodeReason.UNKNOWN_SYMBOL,
        f"{record_type.__name__}: {path} is 'UNKNOWN', and a decision would rest on it",
    )
    with pytest.raises(EncodeError) as caught:
        Codec().encode(record)
    assert f"{record_type.__name__}: {path} is UNKNOWN" in str(caught.value)
