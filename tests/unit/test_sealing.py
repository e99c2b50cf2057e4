"""What a sealed text is, who can open it, and what of a dead letter is left outside."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Codec
from schemas.errors import NotGenuineError
from schemas.records import Evidence, Statement
from schemas.sealed import EVIDENCE, HEAD, KEY_ID, STATEMENT, Key, Purpose, key_id_of, open_, seal, to_text
from schemas.vocabulary import DeadLetterAction, EvidenceKind
from schemas.wrapped import new_key
from tests.unit.builders import T0, USER, an_appeal
from tests.unit.privacy_twins import MemoryLog, MemoryView, some_keys
from topology.dlq.choosing import Wanted, Why, choose
from topology.dlq.letters import DeadLetter, Kind
from topology.engine import deadletter
from topology.engine.errors import Misconfigured, Poison
from topology.privacy import letters
from topology.privacy.errors import Erased, NotGenuine
from topology.privacy.subject_keys import SubjectKeys
from topology.privacy.texts import MAX_BYTES, Texts, TooLong
from topology.settings import Settings, load_settings

PLANTED = "Ich bin die planted plaintext Person, 14 Rue de la Paix"
DLQ = "appeal.events.dlq"
NOW = T0


@pytest.fixture
def keys() -> SubjectKeys:
    return some_keys(MemoryLog(), MemoryView())


# --- envelopes -------------------------------------------------------------------------------------------------


@given(text=st.binary(max_size=200), user=st.text(max_size=9), record=st.text(max_size=9))
def test_what_is_sealed_opens_for_its_user_and_record_alone(text: bytes, user: str, record: str) -> None:
    key, purpose = new_key(), Purpose(STATEMENT, user, record)
    sealed = seal(key, purpose, text)
    assert open_(key, purpose, sealed) == text
    assert key_id_of(sealed) == key.key_id
    others = [Purpose(EVIDENCE, user, record), Purpose(STATEMENT, user + "x", record), Purpose(STATEMENT, user, "x")]
    # Where one part ends and the next begins is told too.
    others.append(Purpose(STATEMENT, user + record, ""))
    for other in others:
        if other != purpose:
            with pytest.raises(NotGenuineError):
                open_(key, other, sealed)


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_changed_bit_is_noticed(place: int, bit: int) -> None:
    key, purpose = new_key(), Purpose(STATEMENT, USER, "a-1")
    sealed = bytearray(seal(key, purpose, b"text"))
    sealed[place % len(sealed)] ^= 1 << bit
    with pytest.raises(NotGenuineError):
        open_(key, purpose, bytes(sealed))


def test_same_text_is_sealed_differently_each_time() -> None:
    key, purpose = new_key(), Purpose(STATEMENT, USER, "a-1")
    nonces = {seal(key, purpose, b"text")[1 + KEY_ID : HEAD] for _ in range(1_000)}
    assert len(nonces) == 1_000


def test_form_is_the_documented_one() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - opened by hand, as others would

    key = new_key()
    sealed = seal(key, Purpose("statement", "u-1", "a-1"), b"text")
    aad = b"recourse\0" + b"\0\0\0\x09statement" + b"\0\0\0\x03u-1" + b"\0\0\0\x03a-1"
    assert (sealed[0], sealed[1:17].hex()) == (1, key.key_id)
    assert AESGCM(key.secret).decrypt(sealed[17:29], sealed[29:], aad) == b"text"


@pytest.mark.parametrize("text", ["", "AA", "not base64!", "é", "A" * 200])
def test_what_is_no_sealed_text_says_so(keys: SubjectKeys, text: str) -> None:
    with pytest.raises((NotGenuine, Erased)):
        Texts(keys).read(STATEMENT, USER, "a-1", text)


# --- texts -----------------------------------------------------------------------------------------------------


def test_statement_and_evidence_travel_sealed_and_are_read_again(keys: SubjectKeys) -> None:
    texts = Texts(keys)
    appeal = texts.in_appeal(an_appeal(statement_sha256="00"), PLANTED)
    assert appeal.statement_sha256 is None, "a short text can be guessed by its hash"
    piece = Evidence(evidence_id="x-1", kind=EvidenceKind.OTHER, ref="")
    piece = texts.in_evidence(USER, piece, PLANTED)
    wire = Codec().encode(appeal)
    assert PLANTED.encode() not in wire
    assert texts.of_appeal(appeal) == texts.of_evidence(USER, piece) == PLANTED
    statement = Statement(appeal_id=appeal.appeal_id, submitted_at=appeal.submitted_at, sealed=appeal.statement_sealed)
    assert texts.of_statement(USER, statement) == PLANTED
    assert texts.of_appeal(an_appeal()) is None


def test_text_of_one_appeal_cannot_be_passed_off_as_anothers(keys: SubjectKeys) -> None:
    texts = Texts(keys)
    sealed = texts.in_appeal(an_appeal(), PLANTED).statement_sealed
    with pytest.raises(NotGenuine):
        texts.of_appeal(an_appeal(appeal_id="a-2", statement_sealed=sealed))


def test_longest_text_fits_and_a_longer_one_is_refused(keys: SubjectKeys) -> None:
    texts = Texts(keys)
    appeal = texts.in_appeal(an_appeal(), "é" * (MAX_BYTES // 2))
    Codec().encode(appeal)
    with pytest.raises(TooLong):
        texts.in_appeal(an_appeal(), "x" * (MAX_BYTES + 1))


def test_text_of_an_erased_user_says_erased(keys: SubjectKeys) -> None:
    texts = Texts(keys)
    appeal = texts.in_appeal(an_appeal(), PLANTED)
    keys.shred(USER)
    other = some_keys(keys._log, keys._view)  # type: ignore[arg-type]
    with pytest.raises(Erased):
        Texts(other).of_appeal(appeal)


# --- dead letters ----------------------------------------------------------------------------------------------


class Message:
    """As much of one as dead letters look at."""

    def __init__(self, key: bytes | None, value: bytes, headers: list[Any]) -> None:
        self._key, self._value, self._headers = key, value, headers

    def topic(self) -> str:
        return "appeal.events"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 17

    def headers(self) -> list[Any]:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return 1, T0


def an_output(
    reason: str = "undecodable",
    key: bytes | None = USER.encode(),
    exc: Exception | None = None,
    headers: list[Any] | None = None,
) -> Any:
    message = Message(key, PLANTED.encode(), [("who", PLANTED.encode())] if headers is None else headers)
    error = exc or Poison(reason, f"cannot read {PLANTED!r}")
    told = deadletter.headers(message, error, reason)  # type: ignore[arg-type]
    return DLQ, PLANTED.encode(), key, 3, None, None, T0, told


def sealed_by(keys: SubjectKeys, *outputs: Any, now: int = NOW) -> list[Any]:
    found = list(outputs)
    letters.sealer(keys, [DLQ], lambda: now)(found)
    return found


def a_letter(output: Any) -> DeadLetter:
    return DeadLetter(
        source="appeal.events",
        topic=DLQ,
        partition=3,
        offset=0,
        at_ms=T0,
        key=output[2],
        value=output[1],
        headers=tuple((name, value.encode() if isinstance(value, str) else value) for name, value in output[7]),
    )


def test_letter_of_a_user_has_nothing_of_the_record_outside(keys: SubjectKeys) -> None:
    plain = an_output(exc=ValueError(PLANTED), reason="handler_raised")
    [sealed] = sealed_by(keys, plain)
    assert "planted" not in repr(sealed)
    letter = a_letter(sealed)
    assert letter.kind is Kind.RECORD
    assert letters.is_sealed(letter)
    assert (letter.code, letter.origin, letter.key) == ("handler_raised", "appeal.events[3]@17", USER.encode())
    opened = letters.Opener(keys)(letter)
    original = a_letter(plain)
    assert (opened.value, opened.headers, opened.original_headers) == (
        original.value, original.headers, original.original_headers
    )  # fmt: skip
    assert (opened.message, opened.original_at_ms) == (PLANTED, T0)
    assert opened.digest == letter.digest != original.digest, "a digest of the record would outlive its key"


def test_letter_that_was_moved_elsewhere_still_opens(keys: SubjectKeys) -> None:
    [sealed] = sealed_by(keys, an_output())
    moved = [(name, b"40" if name == deadletter.OFFSET else value) for name, value in sealed[7]]
    opened = letters.Opener(keys)(a_letter((*sealed[:7], moved)))
    assert opened.value == PLANTED.encode()
    assert opened.origin == "appeal.events[3]@40"


def test_letter_of_an_erased_user_says_so_and_can_only_be_discarded(keys: SubjectKeys) -> None:
    [sealed] = sealed_by(keys, an_output())
    keys.shred(USER)
    other = some_keys(keys._log, keys._view)  # type: ignore[arg-type]
    letter = letters.Opener(other)(a_letter(sealed))
    assert letter.unreadable.startswith("erased: its user was erased")
    replay = choose([letter], {}, Wanted(), DeadLetterAction.REPLAYED)
    assert [(left.why, left.text) for left in replay.left] == [(Why.SEALED, letter.unreadable)]
    assert not replay.chosen
    assert choose([letter], {}, Wanted(), DeadLetterAction.DISCARDED).chosen


def test_where_no_key_encryption_key_is_set_a_sealed_letter_says_what_is_missing(keys: SubjectKeys) -> None:
    [sealed] = sealed_by(keys, an_output())
    assert "RECOURSE_KEK" in letters.Opener(None)(a_letter(sealed)).unreadable
    plain = a_letter(an_output())
    assert letters.Opener(None)(plain) == plain


@pytest.mark.parametrize(
    ("reason", "key"),
    [("null_key", None), ("undecodable_key", b"\xff"), ("undecodable_key", b"\0x"), ("key_mismatch", b"u-2")],
)
def test_letter_without_a_user_is_sealed_with_a_key_of_the_month(
    keys: SubjectKeys, reason: str, key: bytes | None
) -> None:
    [sealed] = sealed_by(keys, an_output(reason=reason, key=key))
    letter = a_letter(sealed)
    assert letter.header(deadletter.SEALED) == letters.month_of(NOW) == "2025-10"
    assert letters.Opener(keys)(letter).value == PLANTED.encode()
    assert keys.shred(letters.NOBODY + "2025-10")
    other = some_keys(keys._log, keys._view)  # type: ignore[arg-type]
    assert "the key of 2025-10 has been shredded" in letters.Opener(other)(letter).unreadable


def test_months_are_kept_for_three_whole_ones() -> None:
    gone = letters.months_gone(NOW)
    assert gone[-1] == "2025-06"
    assert gone[0] == "2023-10"
    assert len(gone) == 21


def test_timer_and_what_is_no_letter_of_a_user_stay_as_they_are(keys: SubjectKeys) -> None:
    about = deadletter.about(ValueError("x"), "timer_raised", topic="appeal.events", partition=3, offset=T0)
    timer = (DLQ, None, USER.encode(), 3, None, None, T0, about)
    remedy = ("remedy.commands.dlq", b"x", b"m-1", 3, None, None, T0, an_output()[7])
    output = ("case.events", b"x", USER.encode(), -1, None, None, T0, None)
    assert sealed_by(keys, timer, remedy, output) == [timer, remedy, output]


def test_record_whose_own_header_claims_to_be_sealed_is_sealed_like_any_other(keys: SubjectKeys) -> None:
    plain = an_output(headers=[(deadletter.SEALED, b"2020-01")])
    [sealed] = sealed_by(keys, plain)
    opened = letters.Opener(keys)(a_letter(sealed))
    assert opened.original_headers == [(deadletter.SEALED, b"2020-01")]
    assert not letters.is_sealed(a_letter(plain)), "its bytes are no sealed ones"


def test_a_thousand_letters_of_as_many_users_are_sealed_in_one_go(keys: SubjectKeys) -> None:
    began = time.monotonic()
    many = [an_output(key=f"u-{number}".encode()) for number in range(1_000)]
    sealed = sealed_by(keys, *many)
    assert len({each[1] for each in sealed}) == 1_000
    assert time.monotonic() - began < 20


# --- settings --------------------------------------------------------------------------------------------------

GOOD = "2026-11:" + to_text(bytes(range(32)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nocolon", "entry 1 is not written as name:key"),
        (f"{GOOD} 2026-12:SECRETSECRET", "entry 2 has no 32 bytes"),
        (f"{GOOD} {GOOD}", "entry 2 has the name of another one"),
        ("  ", "holds no key"),
        ("a b:" + "A" * 43, "entry 1 is not written as name:key"),
    ],
)
def test_key_encryption_key_that_is_none_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    monkeypatch.setenv("RECOURSE_KEK", text)
    with pytest.raises(Misconfigured) as caught:
        load_settings()
    assert told in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_key_encryption_keys_are_read_in_their_order_and_never_shown() -> None:
    second = to_text(bytes(32))
    settings = Settings(kek=f"{GOOD}\n2025-11:{second}")  # type: ignore[arg-type]
    assert list(settings.key_encryption_keys().items()) == [("2026-11", bytes(range(32))), ("2025-11", bytes(32))]
    assert second not in repr(settings)
    assert second not in str(settings.model_dump())
    assert repr(Key("00", b"secret")) == "Key(00)"
