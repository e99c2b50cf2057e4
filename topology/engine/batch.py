"""One batch on its way: what was taken, the states it needs, what the fold made of both."""

from __future__ import annotations

from topology.engine import deadletter
from topology.engine.carried import Folded
from topology.engine.merge import Lane, Taken
from topology.engine.partition import Partition
from topology.engine.ports import Write
from topology.engine.position import Known
from topology.engine.state import Entry
from topology.engine.sweep import Page

Output = tuple[str, bytes | None, bytes | None, int, None, None, int, list[deadletter.Header] | None]
"""(topic, value, key, partition or -1, no callback under either name, timestamp UTC ms, headers).

What `Producer.produce` takes, in its order: naming the arguments would cost as much as the call.
"""

ANY_PARTITION = -1


class Batch:
    """One batch on its way: filled by steps 1 to 3, made durable by steps 4 to 7."""

    __slots__ = (
        "begun_ms", "committed_ms", "counts", "dirty", "due", "good", "horizons", "index", "lanes", "lateness",
        "letters", "metadata", "moved", "offsets", "outputs", "overlay", "pages", "records", "spans", "sweeps",
        "timed", "timers", "told", "writes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.records: dict[Partition, list[Taken]] = {}
        """Step 1: by partition, in the order of the fold."""
        self.lanes: list[Lane] = []
        """Step 1: those that the records come from."""
        self.due = 0
        """Step 2: timers found due, of which a batch takes only so many a partition."""
        self.horizons: dict[Partition, int] = {}
        """Step 1: timers due at or before this are fired."""
        self.overlay: dict[Partition, dict[bytes, Entry]] = {}
        """Step 2: the states that the batch needs."""
        self.sweeps: dict[Partition, list[bytes]] = {}
        """Step 2: the states under a prefix whose timer is due; nearly always none."""
        self.pages: dict[tuple[Partition, bytes], Page] = {}
        """Step 2: by partition and key, what those of them find that scan."""
        self.dirty: dict[Partition, dict[bytes, Entry]] = {}
        """Step 3: the states that were folded into."""
        self.outputs: list[Output] = []
        self.index: dict[Partition, dict[bytes, bool]] = {}
        """Step 3: terms put into the index (True) or taken out."""
        self.counts: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        """Step 3: by name and labels, what handlers have counted."""
        self.timed: dict[str, list[int]] = {}
        """Step 3: by metric, when the records were published (UTC ms) whose time until step 6 it is about."""
        self.spans: list[Folded] = []
        """Step 3: of events in a trace, if anybody collects spans."""
        self.begun_ms = 0
        """Step 3: when it began (UTC ms), for the spans alone."""
        self.lateness: list[int] = []
        """Step 3: for how many ms each timer had been due."""
        self.writes: dict[Partition, list[Write]] = {}
        self.offsets: list[tuple[int, int, int, Known]] = []
        """(index of input, partition, next offset, what travels with it) for step 5."""
        self.moved: dict[Partition, dict[int, int]] = {}
        """The same of inputs that moved, by partition and index of the input: the next offset."""
        self.committed_ms = 0
        """Step 6: when (UTC ms)."""
        self.metadata: object = None
        """Proof of group membership, taken when the batch was folded."""
        self.good = 0
        self.letters: dict[tuple[str, str], int] = {}
        """Step 3: dead letters, by the topic that they come from and their reason."""
        self.timers = 0
        self.told = 0

    @property
    def bad(self) -> int:
        """Dead letters."""
        return sum(self.letters.values())

    def plan(self, partition: Partition, records: list[Taken], horizon: int, heads: list[tuple[Lane, Taken]]) -> None:
        """Add what was taken of one partition; `heads` were the first of its lanes before."""
        self.records[partition] = records
        self.horizons[partition] = horizon
        for lane, first in heads:
            if not lane.queue or lane.queue[0] is not first:
                lane.taken.append(first)
                self.lanes.append(lane)

    def keys(self, partition: Partition, timer_limit: int) -> set[bytes]:
        """The keys whose states the fold of this partition can need."""
        keys = {record[3] for record in self.records[partition] if record[3]}
        due = partition.timers.until(self.horizons[partition], timer_limit)
        self.due += len(due)
        for _, key in due:
            keys.add(key)
            if key[0] == 0:
                self.sweeps.setdefault(partition, []).append(key)
        return keys

    def settled(self) -> None:
        """It is durable: what it took waits no more."""
        for lane in self.lanes:
            lane.taken.popleft()
        for partition, ends in self.moved.items():
            partition.committed.update(ends)

    def __bool__(self) -> bool:
        return bool(self.records)
