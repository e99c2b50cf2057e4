"""What any `StateStore` promises: run on the in-memory twin and on a real Redis."""

import pytest

from topology.engine.ports import StateStore, Write


def dossier(key: str, body: str = "x", due: int | None = None) -> Write:
    return key.encode(), body.encode(), due


class StoreContract:
    """Subclasses give `store`, empty."""

    @pytest.fixture
    def store(self) -> StateStore:
        raise NotImplementedError

    @pytest.mark.rule(2)
    def test_an_empty_store_says_that_it_holds_nothing(self, store):
        assert store.read({0: [b"ann"], 3: []}) == {0: (None, [None]), 3: (None, [])}
        assert store.checkpoints([0, 3]) == {0: None, 3: None}
        assert store.timers(0) == (None, [])

    @pytest.mark.rule(2)
    def test_what_was_applied_is_read_with_its_checkpoint_in_the_order_asked(self, store):
        assert store.apply([(0, None, 7, [dossier("ann", "A"), dossier("bob", "B")])]) == {0: (True, 7)}

        assert store.read({0: [b"bob", b"eve", b"ann"]}) == {0: (7, [b"B", None, b"A"])}

    @pytest.mark.rule(2)
    def test_apply_with_another_expectation_writes_nothing(self, store):
        store.apply([(0, None, 7, [dossier("ann", "A", 50)])])

        for expected in (None, 6, 8):
            assert store.apply([(0, expected, 9, [dossier("ann", "zombie", 1), dossier("bob")])]) == {0: (False, 7)}

        assert store.read({0: [b"ann", b"bob"]}) == {0: (7, [b"A", None])}
        assert store.timers(0) == (7, [(50, b"ann")])

    @pytest.mark.rule(2)
    def test_a_flushed_store_refuses_what_builds_on_the_lost_state(self, store):
        store.apply([(0, None, 7, [dossier("ann")])])
        store.reset(0)

        assert store.apply([(0, 7, 9, [dossier("ann")])]) == {0: (False, None)}
        assert store.checkpoints([0]) == {0: None}

    @pytest.mark.rule(2)
    def test_an_apply_sent_again_is_refused_and_shows_that_it_was_done(self, store):
        call = (0, None, 7, [dossier("ann", "A")])
        store.apply([call])

        assert store.apply([call]) == {0: (False, 7)}

    @pytest.mark.rule(2)
    def test_partitions_are_applied_each_for_itself(self, store):
        store.apply([(1, None, 5, [dossier("ann")])])

        assert store.apply([(0, None, 3, [dossier("bob")]), (1, 4, 6, [dossier("ann", "no")])]) == {
            0: (True, 3),
            1: (False, 5),
        }
        assert store.read({0: [b"bob"], 1: [b"ann"]}) == {0: (3, [b"x"]), 1: (5, [b"x"])}

    def test_a_tombstone_removes_the_dossier_and_its_timer(self, store):
        store.apply([(0, None, 1, [dossier("ann", due=5), dossier("bob", due=6)])])
        store.apply([(0, 1, 2, [(b"ann", None, None)])])

        assert store.read({0: [b"ann", b"bob"]}) == {0: (2, [None, b"x"])}
        assert store.timers(0) == (2, [(6, b"bob")])

    def test_timers_carry_the_checkpoint_and_come_earliest_first(self, store):
        store.apply([(0, None, 1, [dossier("ann", due=2_000), dossier("bob", due=1_000), dossier("cat")])])
        store.apply([(0, 1, 2, [dossier("ann", due=500), dossier("bob", due=None)])])

        assert store.timers(0) == (2, [(500, b"ann")])

    @pytest.mark.rule(3)
    def test_an_empty_batch_still_moves_the_checkpoint(self, store):
        assert store.apply([(0, None, 4, [])]) == {0: (True, 4)}
        assert store.checkpoints([0]) == {0: 4}
        assert store.timers(0) == (4, [])

    @pytest.mark.rule(3)
    def test_offset_nought_is_a_checkpoint_and_not_none(self, store):
        store.apply([(0, None, 0, [])])

        assert store.checkpoints([0]) == {0: 0}
        assert store.timers(0) == (0, [])
        assert store.apply([(0, None, 5, [])]) == {0: (False, 0)}

    def test_reset_forgets_one_partition_only(self, store):
        store.apply([(0, None, 1, [dossier("ann", due=1)]), (1, None, 2, [dossier("bob")])])
        store.reset(0)

        assert store.checkpoints([0, 1]) == {0: None, 1: 2}
        assert store.read({0: [b"ann"]}) == {0: (None, [None])}
        assert store.timers(0) == (None, [])

    def test_keys_and_dossiers_are_bytes_of_any_kind(self, store):
        odd = [bytes([n]) for n in range(1, 256)] + ["ключ".encode(), b"a\0b", b"{0}:dossiers"]
        store.apply([(0, None, 1, [(key, b"\0\xff" + key, None) for key in odd])])

        assert store.read({0: odd}) == {0: (1, [b"\0\xff" + key for key in odd])}

    @pytest.mark.parametrize("size", [1_999, 2_000, 2_001, 19_000])
    def test_a_big_batch_is_written_whole(self, store, size):
        writes = [dossier(f"u{i}", f"d{i}", i if i % 3 else None) for i in range(size)]
        assert store.apply([(0, None, 1, writes)]) == {0: (True, 1)}

        keys = [key for key, _, _ in writes]
        assert store.read({0: keys}) == {0: (1, [raw for _, raw, _ in writes])}
        assert store.timers(0) == (1, [(due, key) for key, _, due in writes if due is not None])
