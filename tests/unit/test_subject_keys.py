"""One key a user, whoever makes it and whatever Redis forgets; and none once it is shredded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.wrapped import new_key
from tests.unit.privacy_twins import KEKS, MemoryLog, MemoryView, check_view, key_ids, some_keys
from topology.engine.errors import Misconfigured
from topology.privacy import subject_keys
from topology.privacy.errors import Erased
from topology.privacy.rotation import rotate

USER = "u-1"


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def view() -> MemoryView:
    return MemoryView()


def test_key_is_made_on_first_use_and_is_the_same_for_every_program(log: MemoryLog, view: MemoryView) -> None:
    key = some_keys(log, view).for_sealing([USER])[USER]
    other = some_keys(log, view)
    assert other.for_sealing([USER])[USER] == key == other.for_reading(USER, key.key_id)
    assert key_ids(log, USER) == [key.key_id]
    assert len(log.wrapping) == 1
    assert key.secret.hex() not in repr(key)


def test_topic_holds_no_key_in_clear(log: MemoryLog, view: MemoryView) -> None:
    key = some_keys(log, view).for_sealing([USER])[USER]
    everything = repr(log.records) + repr(log.wrapping)
    assert key.secret.hex() not in everything
    assert repr(key.secret)[2:-1] not in everything


def test_many_users_get_keys_at_once(log: MemoryLog, view: MemoryView) -> None:
    users = [f"u-{number}" for number in range(50)]
    found = some_keys(log, view).for_sealing([*users, *users])
    assert len({key.key_id for key in found.values()}) == len(found) == 50


def test_flushed_redis_makes_no_second_key(log: MemoryLog, view: MemoryView) -> None:
    key = some_keys(log, view).for_sealing([USER])[USER]
    view.flush()
    assert some_keys(log, view).for_sealing([USER])[USER] == key
    view.flush()
    assert some_keys(log, view).for_reading(USER, key.key_id) == key
    assert key_ids(log, USER) == [key.key_id]


def test_redis_that_forgot_its_newest_writes_makes_no_second_key(log: MemoryLog, view: MemoryView) -> None:
    some_keys(log, view).for_sealing(["u-0"])
    older = view.snapshot()
    key = some_keys(log, view).for_sealing([USER])[USER]
    view.fail_over(older)
    assert some_keys(log, view).for_sealing([USER])[USER] == key
    assert key_ids(log, USER) == [key.key_id]


def test_two_programs_that_make_one_at_the_same_moment_end_with_the_same(log: MemoryLog, view: MemoryView) -> None:
    found = []
    log.before_write = lambda: found.append(some_keys(log, view).for_sealing([USER])[USER])
    subject_keys.ANNOUNCED_S, before = 0.1, subject_keys.ANNOUNCED_S
    try:
        key = some_keys(log, view).for_sealing([USER])[USER]
    finally:
        subject_keys.ANNOUNCED_S = before
    assert found == [key]
    assert set(key_ids(log, USER)) == {key.key_id}


def test_two_keys_after_a_fail_over_in_between_are_one_in_the_end(log: MemoryLog, view: MemoryView) -> None:
    some_keys(log, view).for_sealing(["u-0"])
    older = view.snapshot()
    found = []

    def somebody_else() -> None:
        view.fail_over(older)  # the announcement is forgotten
        found.append(some_keys(log, view).for_sealing([USER])[USER])

    log.before_write = somebody_else
    key = some_keys(log, view).for_sealing([USER])[USER]
    assert [key] == found, "what was on the topic first counts"
    assert len(set(key_ids(log, USER))) == 2
    log.compact()
    view.flush()
    assert key_ids(log, USER) == [key.key_id], "and compaction keeps it"
    assert some_keys(log, view).for_reading(USER, key.key_id) == key


def test_announcement_of_a_program_that_died_is_made_good(log: MemoryLog, view: MemoryView) -> None:
    class DiedError(Exception):
        pass

    def die() -> None:
        raise DiedError

    some_keys(log, view).for_sealing(["u-0"])
    log.before_write = die
    with pytest.raises(DiedError):
        some_keys(log, view).for_sealing([USER])
    assert key_ids(log, USER) == []
    subject_keys.ANNOUNCED_S, before = 0.05, subject_keys.ANNOUNCED_S
    try:
        key = some_keys(log, view).for_sealing([USER])[USER]
    finally:
        subject_keys.ANNOUNCED_S = before
    assert key_ids(log, USER) == [key.key_id]


def test_shredded_key_is_gone_for_whoever_looks(log: MemoryLog, view: MemoryView) -> None:
    keys = some_keys(log, view)
    key = keys.for_sealing([USER])[USER]
    log.write([(USER.encode(), None)])
    with pytest.raises(Erased):
        some_keys(log, view).for_reading(USER, "0" * 32)  # a look that brings the view up to date
    with pytest.raises(Erased):
        some_keys(log, view).for_reading(USER, key.key_id)
    view.flush()
    log.compact()
    with pytest.raises(Erased):
        some_keys(log, view).for_reading(USER, key.key_id)
    assert some_keys(log, view).find(USER) is None


def test_user_who_is_back_gets_another_key_and_what_was_sealed_stays_unreadable(
    log: MemoryLog, view: MemoryView
) -> None:
    old = some_keys(log, view).for_sealing([USER])[USER]
    log.write([(USER.encode(), None)])
    some_keys(log, view).catch_up()
    new = some_keys(log, view).for_sealing([USER])[USER]
    assert new.key_id != old.key_id
    with pytest.raises(Erased):
        some_keys(log, view).for_reading(USER, old.key_id)


def test_remembered_key_is_forgotten_after_a_while(
    log: MemoryLog, view: MemoryView, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = some_keys(log, view)
    key = keys.for_sealing([USER])[USER]
    log.write([(USER.encode(), None)])
    some_keys(log, view).catch_up()
    assert keys.for_reading(USER, key.key_id) == key
    now = subject_keys.time.monotonic()
    monkeypatch.setattr(subject_keys.time, "monotonic", lambda: now + subject_keys.REMEMBERED_S + 1)
    with pytest.raises(Erased):
        keys.for_reading(USER, key.key_id)


def test_catching_up_takes_in_only_what_is_new(log: MemoryLog, view: MemoryView) -> None:
    keys = some_keys(log, view)
    keys.for_sealing([f"u-{number}" for number in range(10)])
    assert keys.catch_up() == 0
    view.flush()
    assert keys.catch_up() == 10
    assert keys.catch_up() == 0


def test_topic_that_was_made_anew_is_read_from_its_beginning(log: MemoryLog, view: MemoryView) -> None:
    some_keys(log, view).for_sealing([f"u-{number}" for number in range(10)])
    other = MemoryLog()
    other.wrapping = log.wrapping
    key = some_keys(other, view).for_sealing([USER])[USER]
    assert some_keys(other, view).for_reading(USER, key.key_id) == key
    assert some_keys(other, view).find("u-2") is None


def test_another_key_encryption_key_is_refused_with_what_to_do(log: MemoryLog, view: MemoryView) -> None:
    some_keys(log, view).for_sealing([USER])
    with pytest.raises(Misconfigured, match=r"key-encryption key k-1, which RECOURSE_KEK does not hold"):
        some_keys(log, view, {"k-2": bytes(32)}).prepare()
    with pytest.raises(Misconfigured, match="same name, other key"):
        some_keys(log, view, {"k-1": bytes(32)}).prepare()


def test_rotation_wraps_the_wrapping_keys_anew_and_touches_no_user(log: MemoryLog, view: MemoryView) -> None:
    key = some_keys(log, view).for_sealing([USER])[USER]
    both = {"k-2": bytes(32), **KEKS}
    before = log.of(USER)
    assert rotate(log, both) == (1, 1)
    assert rotate(log, both) == (0, 1), "again is harmless"
    assert log.of(USER) == before
    assert some_keys(log, view, {"k-2": bytes(32)}).for_reading(USER, key.key_id) == key


def test_rotation_can_make_a_new_wrapping_key_that_wraps_from_then_on(log: MemoryLog, view: MemoryView) -> None:
    key = some_keys(log, view).for_sealing([USER])[USER]
    assert rotate(log, KEKS, renew=True) == (0, 2)
    other = some_keys(log, view).for_sealing(["u-2"])["u-2"]
    [record] = [some_keys(log, view).find("u-2")]
    first = some_keys(log, view).find(USER)
    assert record is not None
    assert first is not None
    assert record.wrapped_by != first.wrapped_by
    for name, each in ((USER, key), ("u-2", other)):
        assert some_keys(log, view).for_reading(name, each.key_id) == each


@settings(max_examples=60)
@given(steps=st.lists(st.sampled_from(["seal", "shred", "flush", "fail over", "copy", "compact"]), max_size=30))
def test_whatever_redis_forgets_a_user_has_one_key_at_a_time(steps: list[str]) -> None:
    log, view = MemoryLog(), MemoryView()
    now, gone, copy = None, set(), view.snapshot()
    for step in steps:
        if step == "seal":
            key = some_keys(log, view).for_sealing([USER])[USER]
            assert now in (None, key)
            assert key.key_id not in gone
            now = key
        elif step == "shred":
            log.write([(USER.encode(), None)])
            some_keys(log, view).catch_up()  # the follower
            gone |= set() if now is None else {now.key_id}
            now = None
            copy = view.snapshot()  # one that is older is rid of by the time that the topic keeps tombstones for
        elif step == "flush":
            view.flush()
        elif step == "copy":
            copy = view.snapshot()
        elif step == "fail over":
            view.fail_over(copy)
        else:
            log.compact()
    for key_id in gone:
        with pytest.raises(Erased):
            some_keys(log, view).for_reading(USER, key_id)
    if now is not None:
        assert some_keys(log, view).for_reading(USER, now.key_id) == now


def test_twin_of_the_view_keeps_its_promises(view: MemoryView) -> None:
    check_view(view)


def test_keys_are_random() -> None:
    assert len({new_key().secret for _ in range(100)}) == 100
