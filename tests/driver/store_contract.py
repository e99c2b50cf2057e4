"""What any `StateStore` promises: run on the in-memory twin and on a real Redis."""

from collections.abc import Callable

import pytest

from topology.engine.ports import Apply, StateStore, Write
from topology.engine.timers import ALWAYS, BEFORE_ALL


def dossier(key: str, body: str = "x", due: int | None = None) -> Write:
    return key.encode(), body.encode(), due


def _timers(store: StateStore, partition: int) -> tuple[int | None, list[tuple[int, bytes]]]:
    """All of them."""
    page = store.timers(partition, BEFORE_ALL, 1_000_000)
    assert page.until == ALWAYS
    return page.checkpoint, list(page.pairs)


class StoreContract:
    """Subclasses give `store`, empty, and a way to lose some of it."""

    @pytest.fixture
    def store(self) -> StateStore:
        raise NotImplementedError

    @pytest.fixture
    def lose(self) -> Callable[[StateStore, int, str], None]:
        """Evict one part of a partition: `dossiers`, `timers` or `index`."""
        raise NotImplementedError

    @pytest.mark.rule(2)
    def test_an_empty_store_says_that_it_holds_nothing(self, store):
        assert store.read({0: [b"ann"], 3: []}) == {0: (None, [None]), 3: (None, [])}
        assert store.checkpoints([0, 3]) == {0: None, 3: None}
        assert _timers(store, 0) == (None, [])

    @pytest.mark.rule(2)
    def test_what_was_applied_is_read_with_its_checkpoint_in_the_order_asked(self, store):
        assert store.apply([Apply(0, None, 7, [dossier("ann", "A"), dossier("bob", "B")])]) == {0: (True, 7)}

        assert store.read({0: [b"bob", b"eve", b"ann"]}) == {0: (7, [b"B", None, b"A"])}

    @pytest.mark.rule(2)
    def test_apply_with_another_expectation_writes_nothing(self, store):
        store.apply([Apply(0, None, 7, [dossier("ann", "A", 50)])])

        for expected in (None, 6, 8):
            assert store.apply([Apply(0, expected, 9, [dossier("ann", "zombie", 1), dossier("bob")])]) == {
                0: (False, 7)
            }

        assert store.read({0: [b"ann", b"bob"]}) == {0: (7, [b"A", None])}
        assert _timers(store, 0) == (7, [(50, b"ann")])

    @pytest.mark.rule(2)
    def test_a_flushed_store_refuses_what_builds_on_the_lost_state(self, store):
        store.apply([Apply(0, None, 7, [dossier("ann")])])
        store.reset(0)

        assert store.apply([Apply(0, 7, 9, [dossier("ann")])]) == {0: (False, None)}
        assert store.checkpoints([0]) == {0: None}

    @pytest.mark.rule(2)
    def test_an_apply_sent_again_is_refused_and_shows_that_it_was_done(self, store):
        call = Apply(0, None, 7, [dossier("ann", "A")])
        store.apply([call])

        assert store.apply([call]) == {0: (False, 7)}

    @pytest.mark.rule(2)
    def test_partitions_are_applied_each_for_itself(self, store):
        store.apply([Apply(1, None, 5, [dossier("ann")])])

        assert store.apply([Apply(0, None, 3, [dossier("bob")]), Apply(1, 4, 6, [dossier("ann", "no")])]) == {
            0: (True, 3),
            1: (False, 5),
        }
        assert store.read({0: [b"bob"], 1: [b"ann"]}) == {0: (3, [b"x"]), 1: (5, [b"x"])}

    def test_a_tombstone_removes_the_dossier_and_its_timer(self, store):
        store.apply([Apply(0, None, 1, [dossier("ann", due=5), dossier("bob", due=6)])])
        store.apply([Apply(0, 1, 2, [(b"ann", None, None)])])

        assert store.read({0: [b"ann", b"bob"]}) == {0: (2, [None, b"x"])}
        assert _timers(store, 0) == (2, [(6, b"bob")])

    def test_timers_carry_the_checkpoint_and_come_earliest_first(self, store):
        store.apply([Apply(0, None, 1, [dossier("ann", due=2_000), dossier("bob", due=1_000), dossier("cat")])])
        store.apply([Apply(0, 1, 2, [dossier("ann", due=500), dossier("bob", due=None)])])

        assert _timers(store, 0) == (2, [(500, b"ann")])

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 100])
    def test_timers_come_page_by_page_each_once_and_no_moment_cut_in_two(self, store, limit):
        dues = {"ann": 5, "bob": 5, "cat": 6, "dan": 6, "eve": 6, "fay": 9, "gus": 0}
        store.apply([Apply(0, None, 1, [dossier(key, due=due) for key, due in dues.items()])])

        after, seen = BEFORE_ALL, []
        while after != ALWAYS:
            checkpoint, pairs, until = store.timers(0, after, limit)
            assert checkpoint == 1
            assert after < until
            assert all(after < due <= until for due, _ in pairs)
            seen += pairs
            after = until
            assert seen == sorted((due, key.encode()) for key, due in dues.items() if due <= after)
        assert len(seen) == len(dues)

    @pytest.mark.rule(3)
    def test_a_page_of_timers_without_any_still_carries_its_proof(self, store):
        assert store.timers(0, 5, 10) == (None, [], ALWAYS)
        store.apply([Apply(0, None, 3, [dossier("ann", due=5)])])
        assert store.timers(0, 5, 10) == (3, [], ALWAYS)

    @pytest.mark.rule(3)
    def test_an_empty_batch_still_moves_the_checkpoint(self, store):
        assert store.apply([Apply(0, None, 4, [])]) == {0: (True, 4)}
        assert store.checkpoints([0]) == {0: 4}
        assert _timers(store, 0) == (4, [])

    @pytest.mark.rule(3)
    def test_offset_nought_is_a_checkpoint_and_not_none(self, store):
        store.apply([Apply(0, None, 0, [])])

        assert store.checkpoints([0]) == {0: 0}
        assert _timers(store, 0) == (0, [])
        assert store.apply([Apply(0, None, 5, [])]) == {0: (False, 0)}

    def test_reset_forgets_one_partition_only(self, store):
        store.apply([Apply(0, None, 1, [dossier("ann", due=1)]), Apply(1, None, 2, [dossier("bob")])])
        store.reset(0)

        assert store.checkpoints([0, 1]) == {0: None, 1: 2}
        assert store.read({0: [b"ann"]}) == {0: (None, [None])}
        assert _timers(store, 0) == (None, [])

    def test_keys_and_dossiers_are_bytes_of_any_kind(self, store):
        odd = [bytes([n]) for n in range(1, 256)] + ["ключ".encode(), b"a\0b", b"{0}:dossiers"]
        store.apply([Apply(0, None, 1, [(key, b"\0\xff" + key, None) for key in odd])])

        assert store.read({0: odd}) == {0: (1, [b"\0\xff" + key for key in odd])}

    @pytest.mark.parametrize("size", [1_999, 2_000, 2_001, 19_000])
    def test_a_big_batch_is_written_whole(self, store, size):
        writes = [dossier(f"u{i}", f"d{i}", i if i % 3 else None) for i in range(size)]
        assert store.apply([Apply(0, None, 1, writes)]) == {0: (True, 1)}

        keys = [key for key, _, _ in writes]
        assert store.read({0: keys}) == {0: (1, [raw for _, raw, _ in writes])}
        assert _timers(store, 0) == (1, [(due, key) for key, _, due in writes if due is not None])

    # --- the index --------------------------------------------------------------------------------------------------

    @pytest.mark.rule(3)
    def test_an_index_that_is_not_there_proves_nothing(self, store):
        assert store.scan(0, b"", b"\xff", 10) == (None, [])

    def test_terms_come_in_byte_order_strictly_between_the_bounds_and_at_most_so_many(self, store):
        terms = [b"a", b"a\0", b"a\0b", b"a/ann", b"a/bob", b"a0", b"b", b"\xff\xfe"]
        store.apply([Apply(0, None, 7, [], [(term, True) for term in reversed(terms)])])

        assert store.scan(0, b"", b"\xff\xff", 100) == (7, terms)
        assert store.scan(0, b"a", b"a0", 100) == (7, [b"a\0", b"a\0b", b"a/ann", b"a/bob"])
        assert store.scan(0, b"a/ann", b"b", 1) == (7, [b"a/bob"])
        assert store.scan(0, b"a/", b"a0", 1) == (7, [b"a/ann"])
        assert store.scan(0, b"a", b"a0", 0) == (7, [])
        assert store.scan(0, b"b", b"a", 5) == store.scan(0, b"a", b"", 5) == (7, [])

    @pytest.mark.rule(2)
    def test_terms_are_written_with_the_dossiers_or_not_at_all(self, store):
        store.apply([Apply(0, None, 7, [dossier("ann", "A")], [(b"t/ann", True)])])

        assert store.apply([Apply(0, 6, 9, [dossier("ann", "no")], [(b"t/ann", False), (b"t/eve", True)])]) == {
            0: (False, 7)
        }
        assert store.scan(0, b"t", b"u", 9) == (7, [b"t/ann"])
        assert store.apply([Apply(0, 7, 9, [], [(b"t/ann", False), (b"t/eve", True), (b"t/nobody", False)])]) == {
            0: (True, 9)
        }
        assert store.scan(0, b"t", b"u", 9) == (9, [b"t/eve"])
        assert store.read({0: [b"ann"]}) == {0: (9, [b"A"])}

    @pytest.mark.rule(3)
    def test_a_checkpoint_never_passes_for_a_term(self, store):
        for expected, new in ((None, 0), (0, 0), (0, 5), (5, 123)):
            assert store.apply([Apply(0, expected, new, [], [(b"\x01", True)])]) == {0: (True, new)}
            assert store.scan(0, b"", b"\xff", 10) == store.scan(0, b"\0", b"\xff", 10) == (new, [b"\x01"])

    @pytest.mark.rule(3)
    @pytest.mark.parametrize("part", ["dossiers", "timers", "index"])
    def test_a_part_that_was_lost_alone_takes_the_checkpoint_and_refuses_what_follows(self, store, lose, part):
        store.apply([Apply(0, None, 7, [dossier("ann", "A", 50)], [(b"t/ann", True)])])
        lose(store, 0, part)

        assert store.checkpoints([0]) == {0: None}
        for expected in (7, None):
            assert store.apply([Apply(0, expected, 9, [dossier("bob")], [])]) == {0: (False, None)}
        if part == "index":
            assert store.scan(0, b"t", b"u", 9) == (None, [])
        store.reset(0)
        assert store.apply([Apply(0, None, 9, [dossier("bob")], [])]) == {0: (True, 9)}
        assert store.scan(0, b"t", b"u", 9) == (9, [])

    def test_reset_forgets_the_index_of_one_partition_only(self, store):
        store.apply([Apply(p, None, 1, [], [(b"t", True)]) for p in (0, 1)])
        store.reset(0)

        assert store.scan(0, b"", b"\xff", 9) == (None, [])
        assert store.scan(1, b"", b"\xff", 9) == (1, [b"t"])

    @pytest.mark.parametrize(("terms", "states"), [(1_000, 0), (2_001, 10), (19_000, 19_000), (70_000, 25_000)])
    def test_more_terms_and_states_than_fit_one_call_are_written_whole(self, store, terms, states):
        writes = [dossier(f"u{i}", f"d{i}", i) for i in range(states)]
        present = [b"t/%06d" % i for i in range(terms)]
        assert store.apply([Apply(0, None, 3, writes, [(t, True) for t in present])]) == {0: (True, 3)}
        assert store.apply([Apply(0, 3, 5, writes, [(t, n % 2 == 0) for n, t in enumerate(present)])]) == {0: (True, 5)}

        assert store.scan(0, b"t", b"u", terms + 1) == (5, present[::2])
        assert store.read({0: [key for key, _, _ in writes]}) == {0: (5, [raw for _, raw, _ in writes])}
        assert store.apply([Apply(0, 3, 9, writes, [(t, False) for t in present])]) == {0: (False, 5)}
        assert store.scan(0, b"t", b"u", 2) == (5, present[:4:2])
