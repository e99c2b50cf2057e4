"""Breaks of the rules of docs/architecture.md: for each part of a rule, the smallest change that gives it up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from string import ascii_lowercase
from typing import NamedTuple

IN_MEMORY = ("tests/topology", "tests/unit")
"""Of these, only tests that start no servers."""
ON_SERVERS = ("tests/integration/test_engine_ports.py",)
"""What only a real broker or Redis can show."""


class Break(NamedTuple):
    """A line of the product, and what it becomes."""

    rule: int
    file: str
    old: str
    """Stands in the file exactly once."""
    new: str
    gives_up: str
    also: tuple[str, str, str] | None = None
    """File, old, new: of a second change that the first one needs."""
    on: tuple[str, ...] = IN_MEMORY
    """Where the tests are looked for that must notice."""


_ASKED_FIRST = "        committed = consumer.committed(wanted, timeout=self._config.broker_s)\n"
_ASKED_SECOND = "        bounds = self._offsets.bounds(self._changelog, partitions, self._config.broker_s)\n"
_THEN = "        checkpoints = self._store.checkpoints(partitions)\n"

BREAKS = (
    Break(
        1,
        "topology/engine/transaction.py",
        "            if self.cancelled:\n",
        "            if False:\n",
        "a worker that was told that its partitions are lost commits all the same",
    ),
    Break(
        1,
        "topology/engine/transaction.py",
        "producer.send_offsets_to_transaction(positions, batch.metadata, left)",
        "producer.send_offsets_to_transaction(positions, batch.metadata.consumer_group_metadata(), left)",
        "offsets are sent under whatever generation the group has by then, so a zombie's are taken",
        also=(
            "topology/engine/loop.py",
            "batch.metadata = self._consumer.consumer_group_metadata()",
            "batch.metadata = self._consumer",
        ),
    ),
    Break(
        1,
        "topology/engine/loop.py",
        "        self._committer.lost()\n",
        "",
        "a worker whose partitions are lost does not hear of it before the commit",
    ),
    Break(
        1,
        "topology/engine/fold.py",
        "for topic in sorted(ends or {0})",
        "for topic in sorted(ends)",
        "a batch of timers alone commits no offset, so nothing fences it",
    ),
    Break(
        2,
        "topology/engine/committer.py",
        "            if applied or found == heads[number]:\n",
        "            if True:\n",
        "an apply that the store refused counts as done",
    ),
    Break(
        2,
        "topology/engine/apply.lua",
        "if found ~= ARGV[1] then",
        "if false then",
        "Redis takes whatever a zombie applies",
        on=ON_SERVERS,
    ),
    Break(
        2,
        "topology/engine/apply.lua",
        "if not (timed and indexed) or tonumber(timed) ~= -(tonumber(found) + 1) then return 'torn' end",
        "if false then return 'torn' end",
        "a key that was lost alone is written on and looks whole",
        on=ON_SERVERS,
    ),
    Break(
        3,
        "topology/engine/reading.py",
        "if (at := found[p]) is None or at < floor)",
        "if (at := found[p]) is not None and at < 0)",
        "a store that has lost its checkpoint is believed",
    ),
    Break(
        3,
        "topology/engine/reading.py",
        "if (at := found[p]) is None or at < floor)",
        "if (at := found[p]) is None)",
        "a store that came back with an older snapshot is believed",
    ),
    Break(
        3,
        "topology/engine/reading.py",
        "        self._prove({number: floor}, {number: checkpoint})\n",
        "",
        "a page of a lost index is believed: nobody is found, and nobody is told",
    ),
    Break(
        4,
        "topology/engine/restore.py",
        "return max(replay.position, replay.reached) >= replay.mark",
        "return max(replay.position, replay.reached) >= 0",
        "a partition is active before the changelog has been read to its uncommitted end",
    ),
    Break(
        4,
        "topology/engine/restore.py",
        _ASKED_FIRST,
        _ASKED_SECOND + _ASKED_FIRST,
        "the end is asked for before the offsets: what commits between the two is in the offsets and not in the state",
        also=("topology/engine/restore.py", _ASKED_SECOND + _THEN, _THEN),
    ),
    Break(
        4,
        "topology/engine/clients.py",
        "isolation_level=IsolationLevel.READ_UNCOMMITTED",
        "isolation_level=IsolationLevel.READ_COMMITTED",
        "the changelog's end is the last stable offset, which can hide what has committed",
        on=ON_SERVERS,
    ),
    Break(
        4,
        "topology/engine/restore.py",
        "replay.reached = max(replay.reached, offset)",
        "pass",
        "only messages are counted, so control records at the end are waited for in vain",
    ),
    Break(
        4,
        "topology/engine/taking.py",
        "        if lane.gaps >= GAPS_BELIEVED:\n",
        "        if True:\n",
        "a client that goes on from elsewhere than it was told is believed",
    ),
    Break(
        5,
        "topology/engine/partition.py",
        "        self.cache.clear()\n",
        "",
        "what an aborted batch has folded stays in the cache",
    ),
    Break(
        5,
        "topology/engine/partition.py",
        "        self.allowances = None\n        self.merge",
        "        self.merge",
        "what an aborted batch has spent stays spent",
    ),
    Break(
        5,
        "topology/engine/loop.py",
        "            seek(self._consumer, TopicPartition(topic, number, partition.committed[index]))\n",
        "            pass\n",
        "the consumer goes on behind what was aborted",
        also=("topology/engine/taking.py", "        if lane.gaps >= GAPS_BELIEVED:\n", "        if True:\n"),
    ),
    Break(
        5,
        "topology/engine/committer.py",
        "        if any(isinstance(outcome, Fenced | FateUnknown) for outcome in outcomes):",
        "        if any(isinstance(outcome, Fenced) for outcome in outcomes):",
        "a producer whose transaction's fate is unknown is used again",
    ),
    Break(
        5,
        "topology/engine/transaction.py",
        "error.txn_requires_abort() or not error.retriable()",
        "error.txn_requires_abort()",
        "what the client library does not call retriable is tried again",
    ),
    Break(
        5,
        "topology/engine/committer.py",
        "        if self._producer.spent:\n",
        "        if False:\n",
        "a producer that has aborted goes on, and offsets of the aborted batch that come late are committed",
        also=(
            "topology/engine/transaction.py",
            "        if producer is None or self.spent:\n",
            "        if producer is None:\n",
        ),
    ),
    Break(
        6,
        "topology/engine/loop.py",
        "        self._committer.leave(self._config.revoke_s)\n",
        "        self._committer.checkpoints = {}\n",
        "partitions are given up while their transaction is on its way",
    ),
    Break(
        6,
        "topology/engine/committer.py",
        "            self.settle(limit_s)\n        except FutureTimeoutError:",
        "            self.settle()\n        except FutureTimeoutError:",
        "a rebalance waits for a transaction without a deadline",
    ),
    Break(
        7,
        "topology/engine/fold.py",
        "        if entry is not None:\n            self._undo(entry)\n",
        "",
        "an event whose handler raises leaves the state half changed",
    ),
    Break(
        7,
        "topology/engine/fold.py",
        "        self._batch.outputs.append(\n            (\n                self._app.dead_letters(topic),",
        "        [].append(\n            (\n                self._app.dead_letters(topic),",
        "a record that cannot be judged vanishes",
    ),
    Break(
        7,
        "topology/engine/fold.py",
        "        self._batch.outputs.append(\n            (\n                self._app.dead_letters(topic),",
        "        vars(self).setdefault('l', []).append(\n            (\n                self._app.dead_letters(topic),",
        "a dead letter goes with the next transaction, and not with the one that commits its record's offset",
        also=(
            "topology/engine/fold.py",
            "        self._good_since = 0\n        for partition in",
            "        self._good_since = 0\n        batch.outputs += vars(self).pop('l', [])\n        for partition in",
        ),
    ),
    Break(
        7,
        "topology/engine/fold.py",
        "                del outputs[before:]\n",
        "                pass\n",
        "of an event that raises, some outputs are published with the dead letter",
    ),
    Break(
        7,
        "topology/engine/fold.py",
        "            except Exception as exc:  # noqa: BLE001 - rule 7: a timer that raises must not stop the others\n",
        "            except ZeroDivisionError as exc:\n",
        "a timer that raises stops the worker",
    ),
    Break(
        7,
        "topology/engine/fold.py",
        "        self._judged(bad_run=1)\n",
        "",
        "a worker that can judge nothing any more drains its topics into the dead letters",
    ),
    Break(
        7,
        "topology/engine/deadletter.py",
        "    return [*original, *why,",
        "    return [*why,",
        "a dead letter has lost the headers of its record",
    ),
    Break(
        8,
        "processors/ids.py",
        "    digest.update(name.encode())\n",
        "    digest.update(name.encode() + str(id(digest)).encode())\n",
        "the same cause has another id each time",
    ),
    Break(
        9,
        "topology/engine/restore.py",
        "self._reader.consume(self._config.restore_records, timeout=0.05)",
        "self._reader.consume(10**9, timeout=0.05)",
        "a replay is read in one go, however long it is, with no poll of the group meanwhile",
    ),
    Break(
        9,
        "topology/engine/restore.py",
        "        self._not_before = self._clock.monotonic() + self._backoff_s\n",
        "        self._clock.sleep(300)\n",
        "a store or broker that is away is waited for without a poll of the group",
    ),
)


def changes(each: Break) -> list[tuple[str, str, str]]:
    """File, old, new."""
    return [(each.file, each.old, each.new), *([each.also] if each.also is not None else [])]


def named() -> dict[str, Break]:
    """By the rule's number and a letter, in the order above."""
    letters = defaultdict[int, Iterator[str]](lambda: iter(ascii_lowercase))
    return {f"{each.rule}{next(letters[each.rule])}": each for each in BREAKS}
