"""What is kept in memory is bounded by number and by size, and what is used stays longest."""

from hypothesis import given
from hypothesis import strategies as st

from topology.engine.state import Cache, Entry, wrap

_PLENTY = 10**9


def an_entry(name: str, size: int = 20) -> Entry:
    return Entry(name.encode(), wrap(None, b"x" * (size - 8)))


def kept(cache: Cache, names: list[str]) -> list[str]:
    """Looks without using."""
    held = {**cache._old, **cache._young}
    return [name for name in names if name.encode() in held]


@given(st.lists(st.integers(0, 60)), st.integers(2, 30))
def test_never_more_than_the_number(names, limit):
    cache = Cache(limit, _PLENTY)
    for name in names:
        cache.put(an_entry(f"user-{name}"))
        assert len(cache) <= limit
        assert cache.get(f"user-{name}".encode()) is not None


@given(st.lists(st.integers(8, 400), min_size=1), st.integers(100, 3_000))
def test_states_that_come_once_never_weigh_more_than_allowed_and_the_two_heaviest(sizes, size):
    cache = Cache(_PLENTY, size)
    for number, weight in enumerate(sizes):
        cache.put(an_entry(f"user-{number}", weight))
        held = [entry.raw for generation in (cache._old, cache._young) for entry in generation.values()]
        assert sum(len(raw or b"") for raw in held) <= size + 2 * max(sizes)


def test_large_states_push_out_what_has_not_been_used_since():
    cache = Cache(_PLENTY, 1_000)
    for name in ("used", "unused"):
        cache.put(an_entry(name))
    for number in range(20):
        cache.put(an_entry(f"large-{number}", 100))
        assert cache.get(b"used") is not None

    assert kept(cache, ["used", "unused"]) == ["used"]
    assert cache.get(b"unused") is None


def test_a_state_that_is_put_again_and_again_leaves_room_for_the_others():
    cache = Cache(_PLENTY, 1_000)
    cache.put(an_entry("other"))
    hot = an_entry("hot", 100)
    for _ in range(1_000):
        cache.put(hot)

    assert kept(cache, ["other", "hot"]) == ["other", "hot"]


def test_nothing_is_left_after_it_was_cleared_and_all_its_room_is_free():
    cache = Cache(10, 1_000)
    for number in range(5):
        cache.put(an_entry(f"user-{number}", 90))
    cache.clear()
    assert len(cache) == 0
    for number in range(5):
        cache.put(an_entry(f"user-{number}", 90))
    assert len(cache) == 5
