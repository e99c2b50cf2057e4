"""The canonical form of a line is the same for every reader, in every language and every later version."""

import hashlib
import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.chain import canonical, hash_of, seal
from schemas.codec import Codec
from schemas.records import CaseEvent, EnforcementId, Millis, ReviewerId, UserId
from schemas.vocabulary import Band, CaseEventKind, CaseState, Outcome
from tests.unit.builders import Life, decided


def a_line(**change: Any) -> CaseEvent:
    return CaseEvent(
        **{
            "event_id": "0d0c2c5e-7a0a-5a53-8d5a-5f0d3a7d4c11",
            "user_id": UserId("u-1"),
            "seq": 2,
            "enforcement_id": EnforcementId("e-1"),
            "occurred_at": Millis(1_760_000_000_000),
            "kind": CaseEventKind.CASE_DECIDED,
            "cause_id": "ev-9",
            "actor": ReviewerId("r-1"),
            "case_version": 3,
            "state": CaseState.DECIDED,
            "band": Band.P1,
            "score": 0,
            "outcome": Outcome.OVERTURNED,
            "saw": {"policy": "fées \U0001f600 \u2028", "action": 'a "ban"\\\n\x01\x7f/'},
            "rulebook_digest": "0123456789abcdef",
            "folded": [2, 1, 2, 0],
            "prev_hash": "00" * 32,
            **change,
        }
    )


GOLDEN = (
    '{"actor":"r-1","band":"P1","case_version":3,"cause_id":"ev-9","enforcement_id":"e-1",'
    '"event_id":"0d0c2c5e-7a0a-5a53-8d5a-5f0d3a7d4c11","folded":[2,1,2,0],"kind":"CaseDecided",'
    '"occurred_at":1760000000000,"outcome":"overturned","prev_hash":"' + "00" * 32 + '",'
    '"rulebook_digest":"0123456789abcdef",'
    '"saw":{"action":"a \\"ban\\"\\\\\\n\\u0001\x7f/","policy":"fées \U0001f600 \u2028"},'
    '"score":0,"seq":2,"state":"decided","user_id":"u-1"}'
).encode()


def test_bytes_that_are_hashed_are_golden() -> None:
    """A difference here breaks every chain that was ever written."""
    assert canonical(a_line()) == GOLDEN
    assert hash_of(a_line()) == "bebb1e5f70c4adc93b40e8d9fa1fcf69a4dd32ea48b2cfc8b08d1fd53a5dcd14"


def test_hash_of_a_sealed_line_is_over_everything_but_itself() -> None:
    line = a_line()
    assert seal(line).hex() == line.hash == hash_of(line) == hashlib.sha256(GOLDEN).hexdigest()
    assert canonical(line) == GOLDEN


_texts = st.text(max_size=20)
_numbers = st.integers(-(2**53), 2**53)


@given(
    saw=st.dictionaries(_texts, _texts, max_size=6),
    texts=st.lists(_texts, min_size=4, max_size=4),
    numbers=st.lists(_numbers, min_size=2, max_size=2),
    folded=st.lists(_numbers, max_size=5),
    kind=st.sampled_from(CaseEventKind),
    reason=st.none() | _texts,
)
def test_plain_json_gives_the_same_bytes_whatever_a_line_says(
    saw: dict[str, str],
    texts: list[str],
    numbers: list[int],
    folded: list[int],
    kind: CaseEventKind,
    reason: str | None,
) -> None:
    line = CaseEvent(
        event_id=texts[0],
        user_id=UserId(texts[1]),
        seq=numbers[0],
        occurred_at=Millis(numbers[1]),
        kind=kind,
        cause_id=texts[2],
        reason=reason,
        saw=saw,
        rulebook_digest=texts[3],
        folded=folded,
    )
    said = {name: getattr(line, name) for name in line.__struct_fields__}
    kept = {name: value for name, value in said.items() if name != "hash" and value not in (None, {}, [])}
    assert canonical(line) == json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_field_that_a_later_version_adds_with_a_default_changes_no_hash() -> None:
    class Later(CaseEvent, frozen=True, kw_only=True, omit_defaults=True):
        aaa: bool = False
        region: str | None = None
        zzz: list[str] = msgspec.field(default_factory=list)

    line = a_line()
    fields = {name: getattr(line, name) for name in line.__struct_fields__}
    assert canonical(Later(**fields)) == GOLDEN
    assert canonical(Later(**fields, aaa=True)) != GOLDEN


def test_line_comes_back_from_the_wire_with_the_same_hash() -> None:
    codec = Codec()
    for line in decided().lines():
        back = codec.decode(codec.encode(line), frozenset({CaseEvent}))
        assert isinstance(back, CaseEvent)
        assert hash_of(back) == line.hash


@pytest.mark.parametrize("name", [f for f in CaseEvent.__struct_fields__ if f != "hash"])
def test_every_field_is_under_the_hash(name: str) -> None:
    line = a_line(case_id="c-1", appeal_id="a-1", pod="general", reason="x")
    value = getattr(line, name)
    other = {str: "other", int: -1, list: [9], dict: {"a": "b"}}[
        next(t for t in (str, int, list, dict) if isinstance(value, t))
    ]
    assert hash_of(msgspec.structs.replace(line, **{name: other})) != hash_of(line)


def test_lines_of_a_life_are_chained_and_the_dossier_holds_the_head() -> None:
    life: Life = decided()
    lines = life.lines()
    assert len(lines) > 3
    assert lines[0].prev_hash is None
    for before, after in itertools.pairwise(lines):
        assert after.prev_hash == before.hash == hash_of(before)
    assert life.dossier.head.hex() == lines[-1].hash == hash_of(lines[-1])
