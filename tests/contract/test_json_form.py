"""Records as JSON: strict, and clear about what is wrong."""

from __future__ import annotations

import json

import pytest

from schemas import JsonError, from_json, to_json
from schemas.records import CaseClaimed, EnforcementLifted
from schemas.vocabulary import LiftReason

CLAIM = {
    "event_id": "e",
    "user_id": "u",
    "case_id": "c",
    "actor": "a",
    "expected_version": 1,
    "occurred_at": 1_760_000_000_000,
}
LIFTED = {
    "event_id": "e",
    "user_id": "u",
    "enforcement_id": "n",
    "occurred_at": 1_760_000_000_000,
    "reason": "error",
    "amount_returned": {"value": "12.50", "currency": "EUR"},
}


def test_absent_optional_fields_take_their_defaults():
    record = from_json(EnforcementLifted, json.dumps(LIFTED))
    assert (record.lifted_by, record.strikes_expunged, record.reason) == (None, False, LiftReason.ERROR)


def test_amounts_are_strings_and_keep_their_digits():
    assert b'"value":"12.50"' in to_json(from_json(EnforcementLifted, json.dumps(LIFTED)))


def test_indent_spreads_a_record_over_lines():
    record = from_json(CaseClaimed, json.dumps(CLAIM))
    assert json.loads(to_json(record, indent=2)) == json.loads(to_json(record)) == CLAIM
    assert to_json(record, indent=2).count(b"\n") == len(CLAIM) + 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"acter": "b"}, "CaseClaimed: unknown key acter, perhaps actor"),
        ({"zzzzzz": "b"}, "CaseClaimed: unknown key zzzzzz"),
        ({"expected_version": -1}, "CaseClaimed: Expected `int` >= 0 - at `$.expected_version`"),
        ({"expected_version": "1"}, "CaseClaimed: Expected `int`, got `str` - at `$.expected_version`"),
        ({"actor": ""}, "CaseClaimed: Expected `str` of length >= 1 - at `$.actor`"),
        ({"occurred_at": 1_760_000_000}, "CaseClaimed: occurred_at is 1760000000, must be ms in"),
        ({"occurred_at": "2025-10-09"}, "CaseClaimed: Expected `int`, got `str` - at `$.occurred_at`"),
    ],
)
def test_fault_is_named_with_its_field(change: dict[str, object], text: str):
    with pytest.raises(JsonError) as caught:
        from_json(CaseClaimed, json.dumps(CLAIM | change))
    assert text in str(caught.value)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "0.00001", "100000000000000"])
def test_amount_that_the_wire_cannot_hold_is_refused(amount: str):
    fields = LIFTED | {"amount_returned": {"value": amount, "currency": "EUR"}}
    with pytest.raises(JsonError, match=r"amount_returned\.value"):
        from_json(EnforcementLifted, json.dumps(fields))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}", b"\xff"])
def test_text_that_is_no_record_is_refused(text: str | bytes):
    with pytest.raises(JsonError, match="CaseClaimed"):
        from_json(CaseClaimed, text)
