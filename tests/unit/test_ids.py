"""Ids are derived from their causes, and are what `uuid.uuid5` would give."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import ids
from schemas.records import AppealId, CaseId

pytestmark = pytest.mark.rule(8)


@given(name=st.text())
def test_hand_written_ids_equal_the_standard_librarys(name: str) -> None:
    assert ids.uuid5(name) == str(uuid.uuid5(ids.NAMESPACE, name))


def test_ids_are_version_five_of_the_standard() -> None:
    parsed = uuid.UUID(ids.case_id(AppealId("a-1")))
    assert parsed.version == 5
    assert parsed.variant == uuid.RFC_4122


def test_ids_never_change() -> None:
    assert ids.case_id(AppealId("a-1")) == "eb45253d-4f8a-5caf-8d35-b60637ebdc81"
    assert ids.reversal_id(CaseId("c-1")) == str(uuid.uuid5(ids.NAMESPACE, "reversal\x1fc-1"))


def test_parts_of_an_id_cannot_run_into_each_other() -> None:
    assert ids.event_id("u", "a", "b", 11) != ids.event_id("u", "a", "b1", 1)
    assert ids.directive_id("r1", "e") != ids.directive_id("r", "1e")


@given(name=st.text(), attempt=st.integers(0, 100))
def test_jitter_is_a_share_of_one_and_repeatable(name: str, attempt: int) -> None:
    assert 0 <= ids.fraction(name, attempt) < 1
    assert ids.fraction(name, attempt) == ids.fraction(name, attempt)
