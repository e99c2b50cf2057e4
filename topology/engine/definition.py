"""What an application gives to the engine: topics, codecs and a pure fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from topology.engine import allowance
from topology.engine.context import FoldContext
from topology.engine.errors import Misconfigured
from topology.engine.state import CHECKPOINT, RESERVED

if TYPE_CHECKING:
    from topology.engine.batch import Output

S = TypeVar("S")


class ClockKind(Enum):
    """Whose time `ctx.now` and the timers follow."""

    WALL = "wall"
    """The machine's."""
    STREAM = "stream"
    """The highest event time seen in the partition: history replays in minutes and always to the same result."""


def never_due(_state: object) -> int | None:
    """`FoldApp.next_due` of an application without timers."""
    return None


@dataclass(frozen=True)
class Scan:
    """A page that a sweep asks for: the terms strictly after `low` and before `high`, in byte order."""

    low: bytes
    high: bytes
    limit: int
    """At most so many; a page with fewer is the last."""


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
    called: Callable[[str], str] = str
    """What an input topic is called in metrics."""
    prefixes: tuple[bytes, ...] = ()
    """By index of the input (missing: b""), what comes before a record's key in the key of its state.

    Without one, the states are users'. With one, which begins with NUL so that it is no user's, they are those of
    something that the whole system is told: a sender addresses such records by partition, a copy for each.
    """
    changelog: str
    """Compacted topic with as many partitions: the state's truth."""
    dead_letters: Callable[[str], str]
    """Input topic to its dead-letter topic."""
    decode: Callable[[int, str, bytes | None], Any]
    """(index of the input topic, the record's own key, value) to an event."""
    new_state: Callable[[str], S]
    encode_state: Callable[[S], bytes]
    decode_state: Callable[[bytes], S]
    handle: Callable[[S, Any, Any], None]
    """(state, event, context): changes the state it was given, emits through the context."""
    context: Callable[[], FoldContext] = FoldContext
    encode: Callable[[str, Any], tuple[str, bytes | None]]
    """(topic as emitted, record) to (topic on the cluster, bytes)."""
    trace_of: Callable[[S], Callable[[Any], str] | None] | None = None
    """What a state knows of the traces of records about it (`FoldContext.trace` as it was kept); None: of none."""
    event_type: Callable[[Any], str] = lambda record: type(record).__name__
    """A record's type, as CloudEvents name it."""
    event_time: Callable[[Any], int | None] | None = None
    """UTC ms at which an event says that it happened, for metrics alone."""
    next_due: Callable[[S], int | None] = never_due
    """UTC ms at which the state wants a timer."""
    timer: Callable[[str, int], Any] | None = None
    """(the state's key, now) to the event that a due state is given."""
    indexed: Callable[[bytes], Iterable[bytes]] | None = None
    """The terms of one encoded user's state, for an index that is rebuilt. It must take all that was ever encoded."""
    scan: Callable[[S], Scan | None] | None = None
    """What to look up in the index for the timer of this state; asked only of states under a prefix."""
    owner: Callable[[bytes], bytes] | None = None
    """The key of the one state that a term is about."""
    seal: Callable[[list[Output]], None] | None = None
    """Given a batch's outputs if there are dead letters among them, before they are sent; may replace those. It may
    wait a little, and raises `Retriable` if it cannot do it now."""
    refresh: Callable[[], None] | None = None
    """Called before each batch is folded: takes in what handlers may see besides, which then stays the same until the
    next call, so that what is folded again within the batch sees it too. It must not wait for anything."""

    def __post_init__(self) -> None:
        """Refuse prefixes under which somebody else's states could lie.

        Raises:
            Misconfigured: see the text.
        """
        if len(self.prefixes) > len(self.inputs):
            raise Misconfigured(f"{len(self.prefixes)} prefixes for {len(self.inputs)} inputs")
        for prefix in filter(None, self.prefixes):
            taken = [own for own in (allowance.KEY, CHECKPOINT) if own.startswith(prefix)]
            if not prefix.startswith(RESERVED) or taken or not _is_text(prefix):
                raise Misconfigured(f"the prefix {prefix!r} must be UTF-8, begin with NUL, and leave {taken} alone")
        if self.scan is not None and self.owner is None:
            raise Misconfigured("an application that scans must say whose a term is (`owner`)")

    def prefix(self, index: int) -> bytes:
        """Of an input's states."""
        return self.prefixes[index] if index < len(self.prefixes) else b""

    def told_as(self, key: bytes) -> tuple[str, bytes]:
        """The input topic that a state belongs to (a user's: the first), and its key there."""
        for index, prefix in enumerate(self.prefixes):
            if prefix and key.startswith(prefix):
                return self.inputs[index], key[len(prefix) :]
        return self.inputs[0], key


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Sizes and time limits of one worker. Seconds, unless the name says otherwise."""

    slot: str
    """Stable name of this worker; its `transactional.id` and `group.instance.id` are made from it."""
    clock: ClockKind = ClockKind.WALL
    batch_records: int = 8_000
    """At most; live traffic makes smaller ones, see `Taker.take`."""
    batch_timers: int = 5_000
    timers_window: int = 10_000
    """Timers that a partition keeps in memory, about: the nearest; more are read from the store as time comes to them.
    Fewer than twice as many if they are due at different moments."""
    poll_s: float = 0.02
    """How long a batch waits for its first records when there is nothing to do."""
    pipelined: bool = True
    """Commit and apply run in a thread behind the next batch's fold."""
    cached_states: int = 200_000
    """States kept decoded, over all partitions, at most."""
    cached_bytes: int = 256_000_000
    """As many bytes of them, encoded, at most. A decoded dossier takes some seven times as much memory."""
    buffered_records: int = 20_000
    """Records a topic partition may have waiting for slower ones before it is paused."""
    align_s: float = 2.0
    """With `WALL`, how long records wait for an input that has not been read to its end, while nothing else comes
    either; `STREAM` waits for ever."""
    align_most_s: float = 30.0
    """With `WALL`, how long they wait in all, when a backlog of other partitions keeps coming."""
    init_s: float = 60.0
    commit_s: float = 30.0
    """One transaction from begin to committed; past it the commit's fate is unknown.

    The broker ends one that was abandoned as late, and whoever takes its partitions over waits for that (rule 4a): so
    it is shorter than the session, after which they are handed out.
    """
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

    @property
    def longest_step_s(self) -> float:
        """No round of the loop takes longer, if every call keeps its limit; the rest is for a fold of a full batch."""
        return self.init_s + self.commit_s + self.revoke_s + 60
