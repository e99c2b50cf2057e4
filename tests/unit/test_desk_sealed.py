"""Sealed texts at the desk: who reads them, what is said where nobody can, and that nothing of them stays anywhere."""

from __future__ import annotations

import gc
import itertools
import sys
import time
from hashlib import sha256
from types import SimpleNamespace

import msgspec
import pytest
from structlog.testing import capture_logs

from desk.errors import DeskError, Misconfigured
from desk.floor import Floor
from desk.names import KEYS, READ, WRAPPING
from desk.newest_bytes import NewestBytes
from desk.sealed_texts import SealedTexts, State
from desk.settings import Settings, load_settings
from desk.wording import LANGUAGES, words
from schemas.records import Millis
from schemas.sealed import EVIDENCE, STATEMENT, Key, Purpose, seal, to_text
from schemas.wrapped import new_key, wrap_subject, wrap_wrapping
from tests.unit.builders import T0, some_evidence
from tests.unit.desk_house import ANYBODY, CODEC, House, Message

KEK = bytes(range(32))
SETTING = f"k-1:{to_text(KEK)}"
PLANTED = "Das war <b>meine</b> eigene Marke, planted plaintext."
SHOWN = "Das war &lt;b&gt;meine&lt;/b&gt; eigene Marke, planted plaintext."
AT = Millis(T0)


class Keys:
    """What intake has written to the topics of keys."""

    def __init__(self, house: House, *, kek_id: str = "k-1", kek: bytes = KEK) -> None:
        self.house = house
        self.wrapping = new_key()
        self._offsets = itertools.count()
        wrapping = CODEC.encode(wrap_wrapping(self.wrapping, kek_id, kek, AT))
        house.wrapping_keys.take(Message(self.wrapping.key_id, wrapping, 0))

    def of(self, user: str) -> Key:
        key = new_key()
        self.give(user, CODEC.encode(wrap_subject(key, user, self.wrapping, AT)))
        return key

    def shred(self, user: str) -> None:
        self.give(user, None)

    def give(self, user: str, value: bytes | None) -> None:
        self.house.keys.take(Message(user, value, next(self._offsets)))


def sealed(key: Key, user: str, record: str, kind: str = STATEMENT, text: str = PLANTED) -> str:
    return to_text(seal(key, Purpose(kind, user, record), text.encode()))


@pytest.fixture
def house(tmp_path) -> House:
    return House(tmp_path, rulebook=ANYBODY, kek=SETTING)


@pytest.fixture
def keys(house) -> Keys:
    return Keys(house)


@pytest.fixture
def case_id(house, keys) -> str:
    """Of u-1, whose statement is sealed with the key that they have."""
    return house.appeal(1, sealed=sealed(keys.of("u-1"), "u-1", "a-1"))


def said(house: House, case_id: str, state: State, language: str = "en") -> bool:
    """Whether the page says this of a sealed text, and nothing else, and shows nothing of it."""
    page = house.visit(**{"accept-language": language}).get(f"/cases/{case_id}")
    told = words(language)
    found = {each for each in State if each is not State.HERE and told(f"text.{each}") in page.replace("&#39;", "'")}
    assert "planted" not in page
    return found == {state}


# --- where it can be read --------------------------------------------------------------------------------------


def test_statement_and_evidence_are_shown_escaped_to_who_works_at_the_pod(house, keys):
    key = keys.of("u-7")
    piece = msgspec.structs.replace(
        some_evidence("x-7"), ref="", sealed=sealed(key, "u-7", "x-7", EVIDENCE, "planted evidence")
    )
    case_id = house.appeal(7, sealed=sealed(key, "u-7", "a-7"), shown=[piece])
    for path in (f"/cases/{case_id}", f"/cases/{case_id}/state"):
        page = house.visit().get(path)
        assert f"<blockquote>{SHOWN}</blockquote>" in page
        assert "<blockquote>planted evidence</blockquote>" in page
        assert not [each for each in State if each is not State.HERE and words("en")(f"text.{each}") in page]


def test_text_that_is_no_utf_8_is_shown_as_far_as_it_is(house, keys):
    key = keys.of("u-1")
    raw = to_text(seal(key, Purpose(STATEMENT, "u-1", "a-1"), b"half \xff a word"))
    assert "half \ufffd a word" in house.visit().get(f"/cases/{house.appeal(1, sealed=raw)}")


def test_text_that_also_lies_elsewhere_is_shown_from_the_record_and_else_its_place_is_told(house, keys):
    key = keys.of("u-1")
    case_id = house.appeal(1, sealed=sealed(key, "u-1", "a-1"))
    queue, _ = house._find(case_id)
    case = house.case(case_id)
    both = msgspec.structs.replace(case.statements[0], ref="s3://elsewhere/1")
    value = CODEC.encode(msgspec.structs.replace(case, statements=[both]))
    queue.take(Message(case_id, value, 10_000))
    page = house.visit().get(f"/cases/{case_id}")
    assert SHOWN in page
    assert "s3://elsewhere/1" not in page
    keys.shred("u-1")
    page = house.visit().get(f"/cases/{case_id}")
    assert words("en")("text.erased") in page
    assert "s3://elsewhere/1" in page


def test_only_people_of_the_pod_are_shown_it(house, case_id):
    page = house.visit("lea", "recourse-lead").get(f"/cases/{case_id}")
    assert SHOWN in page
    other = "recourse-specialist,recourse-pod-payments"
    assert "planted" not in house.visit("otto", other).get(f"/cases/{case_id}", 404)
    assert "planted" not in house.visit("aud", "recourse-auditor").get(f"/cases/{case_id}")


def test_nothing_of_a_text_is_in_a_log_a_header_or_a_cookie_and_nothing_is_kept(house, case_id):
    anna = house.visit()
    with capture_logs() as logs:
        answer = anna.client.get(f"/cases/{case_id}")
    assert SHOWN in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "planted" not in repr((logs, answer.headers, dict(anna.client.cookies), vars(house.sealed)))
    assert "planted" not in repr(house.sealed.statements(house.case(case_id))[0][1])


def test_no_key_of_a_user_stays_unwrapped_in_memory(house, keys):
    key = keys.of("u-1")
    case_id, digest = house.appeal(1, sealed=sealed(key, "u-1", "a-1")), sha256(key.secret).digest()
    del key
    assert SHOWN in house.visit().get(f"/cases/{case_id}")
    gc.collect()
    open_keys = [each for each in gc.get_objects() if type(each) is Key]
    assert open_keys, "the wrapping key of this test is one"
    assert not [each for each in open_keys if sha256(each.secret).digest() == digest]


def test_keys_of_many_users_cost_their_bytes_and_are_not_decoded(house, keys, case_id, monkeypatch):
    for number in range(2, 300):
        keys.of(f"u-{number}")
    decoded = []
    decode = CODEC.decode

    def counted(_self, data, allowed):
        decoded.append(allowed)
        return decode(data, allowed)

    monkeypatch.setattr(type(CODEC), "decode", counted)
    assert SHOWN in house.visit().get(f"/cases/{case_id}")
    assert [decoded.count(READ[name]) for name in (KEYS, WRAPPING)] == [1, 1]


# --- where it cannot, and why ----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_desk_without_a_key_encryption_key_says_so(tmp_path, language):
    house = House(tmp_path, rulebook=ANYBODY)
    case_id = house.appeal(1, sealed=sealed(Keys(house).of("u-1"), "u-1", "a-1"))
    assert said(house, case_id, State.SEALED, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_of_who_was_erased_says_so_and_is_gone_at_once(house, keys, case_id, language):
    assert SHOWN in house.visit().get(f"/cases/{case_id}")
    keys.shred("u-1")
    assert said(house, case_id, State.ERASED, language)
    assert house.keys.asked, "only what was read to its end is said to be gone"


@pytest.mark.parametrize(("kek_id", "kek"), [("k-2", KEK), ("k-1", bytes(32))], ids=["missing", "another"])
def test_wrong_key_encryption_key_is_told_and_named_once_in_the_log(tmp_path, kek_id, kek):
    house = House(tmp_path, rulebook=ANYBODY, kek=SETTING)
    case_id = house.appeal(1, sealed=sealed(Keys(house, kek_id=kek_id, kek=kek).of("u-1"), "u-1", "a-1"))
    with capture_logs() as logs:
        assert said(house, case_id, State.LOCKED)
        assert said(house, case_id, State.LOCKED, "de")
    [line] = logs
    assert kek_id in line["why"]
    assert line["held"] == ["k-1"]
    assert to_text(KEK) not in repr(logs)


def test_altered_text_and_one_of_another_record_or_kind_are_told(house, keys):
    key = keys.of("u-1")
    good = sealed(key, "u-1", "a-1")
    raw = bytearray(seal(key, Purpose(STATEMENT, "u-1", "a-1"), PLANTED.encode()))
    raw[-1] ^= 1
    wrong = [
        to_text(bytes(raw)),
        good[:-8],
        "v1.key.nonce.words",
        sealed(key, "u-1", "a-2"),
        sealed(key, "u-2", "a-1"),
        sealed(key, "u-1", "a-1", EVIDENCE),
    ]
    case_id = house.appeal(1, sealed=good)
    [statement] = house.case(case_id).statements
    for each in wrong:
        case = msgspec.structs.replace(
            house.case(case_id), statements=[msgspec.structs.replace(statement, sealed=each)]
        )
        [(_, opened)] = house.sealed.statements(case)
        assert (opened.state, opened.text) == (State.FORGED, None), each
    other = house.appeal(2, sealed=sealed(keys.of("u-2"), "u-1", "a-2"))
    for language in LANGUAGES:
        assert said(house, other, State.FORGED, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_under_another_users_key_is_told(house, keys, language):
    keys.of("u-1")
    moved = sealed(keys.of("u-2"), "u-2", "a-2")
    assert said(house, house.appeal(1, sealed=moved), State.OTHER_KEY, language)


def test_key_record_of_another_user_opens_nothing(house, keys):
    key = new_key()
    keys.give("u-1", CODEC.encode(wrap_subject(key, "u-2", keys.wrapping, AT)))
    assert said(house, house.appeal(1, sealed=sealed(key, "u-1", "a-1")), State.FORGED)


@pytest.mark.parametrize("language", LANGUAGES)
def test_keys_that_are_still_being_read_are_waited_for(house, case_id, language):
    house.keys.whole.clear()
    assert said(house, case_id, State.READING, language)
    assert not house.keys.asked


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_opened_while_an_erasure_would_not_be_heard_of(house, case_id, language):
    house.hears = False
    assert said(house, case_id, State.UNREAD, language)


def test_floor_hears_of_erasures_until_half_a_minute_after_the_broker_was_last_heard_of():
    def hears(lost_s: float | None, failure: Exception | None = None) -> bool:
        pulse = SimpleNamespace(lost_at=None if lost_s is None else time.time() - lost_s)
        return Floor._hears(SimpleNamespace(pulse=pulse, failure=failure))

    assert [hears(None), hears(20), hears(40), hears(None, OSError())] == [True, True, False, False]


def test_key_that_kafka_does_not_give_is_not_said_to_be_destroyed(house, keys, case_id):
    keys.shred("u-1")
    house.keys.fault = DeskError("subject.keys: Kafka does not give it")
    assert said(house, case_id, State.UNREAD)


def test_wrapping_key_that_is_not_there_and_record_that_is_none_leave_the_text_unread(house, keys, case_id):
    house.wrapping_keys.take(Message(keys.wrapping.key_id, None, 1))
    assert said(house, case_id, State.UNREAD)
    assert house.wrapping_keys.asked
    keys.give("u-1", b"no record")
    assert said(house, case_id, State.UNREAD)


# --- the view --------------------------------------------------------------------------------------------------


def test_view_holds_the_newest_bytes_until_a_tombstone_whoever_feeds_it():
    view = NewestBytes("subject.keys", {}, "test")
    records = [Message("u-1", b"1", 0), Message("u-1", b"2", 1), Message("u-2", b"3", 2), Message("u-1", None, 5)]
    for record in records:
        view.take(record)
    assert (view.get("u-1"), view.get("u-2"), len(view)) == (None, b"3", 1)
    for record in records:  # a second reader, which is behind
        view.take(record)
        assert view.get("u-1") is None, "what was shredded has come back"


def test_pages_that_wait_for_the_keys_are_told_when_they_are_there():
    rung = []
    view = NewestBytes("subject.keys", {}, "test", lambda: rung.append(1))
    assert not view.whole.is_set()
    view.caught_up()
    assert (view.whole.is_set(), rung) == (True, [1])


# --- settings --------------------------------------------------------------------------------------------------


def test_key_encryption_keys_come_from_the_environment_or_a_file_and_are_never_shown(monkeypatch, tmp_path):
    file = tmp_path / "kek"
    file.write_text(f"{SETTING}\n")
    monkeypatch.setenv("RECOURSE_DESK_KEK_FILE", str(file))
    settings = load_settings()
    assert settings.key_encryption_keys() == {"k-1": KEK}
    assert to_text(KEK) not in repr(settings) + str(settings.model_dump())
    monkeypatch.setenv("RECOURSE_DESK_KEK", SETTING)
    with pytest.raises(Misconfigured, match="both set"):
        load_settings()
    assert Settings().key_encryption_keys() == {"k-1": KEK}


@pytest.mark.parametrize(
    ("text", "told"), [("k-1", "entry 1"), ("  ", "holds no key"), (f"{SETTING} k-2:SECRET", "entry 2")]
)
def test_key_encryption_key_that_is_none_is_refused_without_showing_it(monkeypatch, text, told):
    monkeypatch.setenv("RECOURSE_DESK_KEK", text)
    with pytest.raises(Misconfigured, match=rf"RECOURSE_DESK_KEK: .*{told}") as caught:
        load_settings()
    assert "SECRET" not in str(caught.value)
    assert to_text(KEK) not in str(caught.value)


def test_desk_with_a_key_and_without_the_library_that_opens_refuses_to_start(monkeypatch, house):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(Misconfigured, match=r"RECOURSE_DESK_KEK: .*recourse\[privacy\]"):
        SealedTexts(CODEC, {"k-1": KEK}, house.keys, house.wrapping_keys, lambda: True)
    SealedTexts(CODEC, {}, house.keys, house.wrapping_keys, lambda: True)
