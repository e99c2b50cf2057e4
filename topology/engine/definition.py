"""What an application gives to the engine: topics, codecs and a pure fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar

from topology.engine.allowance import Allowances

S = TypeVar("S")


class ClockKind(Enum):
    """Whose time `ctx.now` and the timers follow."""

    WALL = "wall"
    """The machine's."""
    STREAM = "stream"
    """The highest event time seen in the partition: history replays in minutes and always to the same result."""


class FoldContext:
    """What a handler may see and do besides its dossier. Reused for every event; keep no reference to it."""

    __slots__ = ("allowances", "emitted", "now")

    def __init__(self) -> None:
        self.now = 0
        self.allowances = Allowances(None, partition=0, partitions=1)
        """The running partition's; outside the engine, a context has each allowance to itself."""
        self.emitted: list[tuple[str, str, Any]] = []

    def emit(self, topic: str, key: str, record: Any) -> None:  # noqa: ANN401 - the application's own type
        """Publish `record` (None: a tombstone) under `key` on a topic of the application."""
        self.emitted.append((topic, key, record))

    def spend(self, name: str, limit: int) -> bool:
        """Take one unit of the allowance `name` for the UTC day of `now`; False when none is left.

        `limit` is for the whole installation and day. Each partition has a fixed share of it, so that its events
        alone decide the answer, and the sum never exceeds the limit; a partition with little to do leaves some of
        its share unused. Names come from a small set: all that were spent on a day are written whenever one is.
        """
        return self.allowances.spend(name, limit, self.now)


@dataclass(frozen=True, kw_only=True)
class FoldApp(Generic[S]):
    """A fold over co-partitioned input topics, one state a key.

    All functions are pure: the same state, event and time give the same state and the same records. `decode` and
    `handle` raise `Poison` (or anything) for a record that cannot be judged: it becomes a dead letter.
    """

    name: str
    """Consumer group and prefix of the transactional ids."""
    inputs: tuple[str, ...]
    """Topics, keyed alike, with the same number of partitions. Their order breaks ties of event time."""
    changelog: str
    """Compacted topic with as many partitions: the state's truth."""
    dead_letters: Callable[[str], str]
    """Input topic to its dead-letter topic."""
    decode: Callable[[int, str, bytes | None], Any]
    """(index of the input topic, key, value) to an event."""
    new_state: Callable[[str], S]
    encode_state: Callable[[S], bytes]
    decode_state: Callable[[bytes], S]
    handle: Callable[[S, Any, Any], None]
    """(state, event, context): changes the state it was given, emits through the context."""
    context: Callable[[], FoldContext] = FoldContext
    encode: Callable[[str, Any], tuple[str, bytes | None]]
    """(topic as emitted, record) to (topic on the cluster, bytes)."""
    next_due: Callable[[S], int | None] = field(default=lambda _state: None)
    """UTC ms at which the state wants a timer."""
    timer: Callable[[str, int], Any] | None = None
    """(key, now) to the event that a due state is given."""


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Sizes and time limits of one worker. Seconds, unless the name says otherwise."""

    slot: str
    """Stable name of this worker; its `transactional.id` and `group.instance.id` are made from it."""
    clock: ClockKind = ClockKind.WALL
    batch_records: int = 2_000
    batch_timers: int = 5_000
    poll_s: float = 0.02
    """How long a batch waits for its first records when there is nothing to do."""
    pipelined: bool = True
    """Commit and apply run in a thread behind the next batch's fold."""
    cached_states: int = 200_000
    """States kept decoded, over all partitions."""
    buffered_records: int = 20_000
    """Records a topic partition may have waiting for slower ones before it is paused."""
    align_s: float = 2.0
    """With `WALL`, how long records wait for an input that has not been read to its end, while nothing else comes
    either; `STREAM` waits for ever."""
    align_most_s: float = 30.0
    """With `WALL`, how long they wait in all, when a backlog of other partitions keeps coming."""
    init_s: float = 60.0
    commit_s: float = 60.0
    """One transaction from begin to committed; past it the commit's fate is unknown."""
    revoke_s: float = 20.0
    """What a revoke may take to finish the running transaction before it gives up."""
    broker_s: float = 10.0
    """One question to the broker about offsets."""
    backoff_s: float = 0.2
    """First wait after a failure that can be tried again; doubles up to `backoff_max_s`."""
    backoff_max_s: float = 5.0
    restore_records: int = 20_000
    """Changelog records a step of a restore."""
    renewals_in_a_row: int = 10
    """Producers replaced without one commit between them before the worker gives up."""
    dead_letters_in_a_row: int = 500
    dead_letter_share: float = 0.5
    dead_letter_window: int = 2_000
    """Records over which the share is taken; below it the share is not judged."""
    earliest_ms: int = 946_684_800_000
    """Record timestamps before this (2000-01-01) are mistakes."""
    latest_ms: int = 4_102_444_800_000
    """Record timestamps from this on (2100-01-01) are mistakes."""
