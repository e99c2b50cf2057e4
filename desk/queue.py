"""The open cases of a pod, most urgent first, made from its topic alone.

`cases.<pod>` is compacted and keyed by case: the newest record of a key is the case, a tombstone says that it has left
the pod (it is decided, or at another pod). So a tool that starts from nothing reads the topic and has the queue.

The order is kept in a sorted list, not in a heap: a heap gives the first, and people look at the first fifty. Of a
record only what the order and the rows need is read at once; the whole case when somebody looks at it.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from confluent_kafka import Message

from schemas import Codec, DecodeError
from schemas.errors import SchemaError
from schemas.projection import Projection, compile_projection
from schemas.records import Case, CaseId, ReviewerId
from schemas.vocabulary import Band, CaseState

_CASE: Final = frozenset({Case})
_SEEN: Final = (
    *("version", "user_id", "state", "band", "rank_at", "due_at", "promised_at", "language"),
    *("excluded_reviewers", "claim", "escalated"),
)
FREE: Final = frozenset({CaseState.QUEUED, CaseState.SECOND_REVIEW})
"""States in which a case that nobody holds can be claimed."""


@dataclass(slots=True)
class Entry:
    """An open case as far as its order and its row need it; times in UTC milliseconds."""

    case_id: CaseId
    version: int
    user_id: str
    state: CaseState
    band: Band
    rank_at: int
    due_at: int
    promised_at: int
    language: str
    excluded: tuple[str, ...]
    """Who may not judge it: the original decider, earlier reviewers, whoever proposed the decision."""
    holder: ReviewerId | None
    """Who works on it."""
    held_until: int
    """When the lease ends; 0: nobody holds it."""
    escalated: bool
    data: bytes = field(repr=False)
    """The record as it came."""
    drawn: dict[Hashable, tuple[int, str]] | None = field(default=None, repr=False, compare=False)
    """For whoever shows it: what it looked like, and when; it goes with the entry."""

    def free_for(self, reviewer: str) -> bool:
        """Whether this person could claim it now."""
        return self.holder is None and self.state in FREE and reviewer not in self.excluded


class PodQueue:
    """A view of one pod's topic (`desk.following.View`). Any thread may ask; one thread feeds it.

    Args:
        pod: Whose cases.
        codec: Of the process.
        on_change: Told the id of each case that came, changed or left.
    """

    def __init__(self, pod: str, codec: Codec, on_change: Callable[[CaseId], None] | None = None) -> None:
        self.pod = pod
        self.whole = threading.Event()
        """The topic has been read to its end: what is here is the queue."""
        self.unreadable = 0
        """Records that are no case for this version of the tool: they are left out, and counted."""
        self._codec = codec
        self._on_change = on_change
        self._lock = threading.RLock()
        self._entries: dict[CaseId, Entry] = {}
        self._order: list[tuple[int, CaseId]] = []
        self._loading: dict[CaseId, bytes] | None = {}
        """Until the end has been reached: the newest bytes of each case, so that each is read once."""
        self._glances: dict[bytes, tuple[Projection | None, int]] = {}
        self._states: Counter[CaseState] = Counter()
        self._bands: Counter[Band] = Counter()
        self._changes = threading.Condition(self._lock)
        self._chosen: dict[str, tuple[int, list[Entry]]] = {}
        self.revision = 0
        """Rises with every change."""

    # --- what is asked -------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, case_id: object) -> bool:
        return case_id in self._entries

    def entry(self, case_id: str) -> Entry | None:
        """A case of this pod; None: it is not here."""
        return self._entries.get(CaseId(case_id))

    def case(self, case_id: str) -> Case | None:
        """The whole case; None: it is not here."""
        found = self._entries.get(CaseId(case_id))
        return None if found is None else self.whole_case(found)

    def whole_case(self, entry: Entry) -> Case:
        """The whole record of an entry.

        Raises:
            DecodeError: a part of it that the order does not need is broken.
        """
        return cast("Case", self._codec.decode(entry.data, _CASE))

    def next_for(self, reviewer: str, but: Collection[str] = ()) -> Case | None:
        """The most urgent case that this person could claim now; None: there is none.

        Args:
            reviewer: Who.
            but: Cases that others are reaching for at this moment.
        """
        with self._lock:
            entries = (self._entries[case_id] for _, case_id in self._order)
            found = next((each for each in entries if each.free_for(reviewer) and each.case_id not in but), None)
        return None if found is None else self.whole_case(found)

    def in_order(self, chosen: Callable[[Entry], bool] | None = None) -> list[Entry]:
        """Entries by `rank_at`, earliest first: all, or the chosen ones."""
        with self._lock:
            entries = [self._entries[case_id] for _, case_id in self._order]
        return entries if chosen is None else [entry for entry in entries if chosen(entry)]

    def selection(self, name: str, chosen: Callable[[Entry], bool]) -> list[Entry]:
        """The chosen entries in order; kept under this name until something changes, as many people look at the same.

        What depends on who asks is for the caller to leave out.
        """
        kept = self._chosen.get(name)
        revision = self.revision
        if kept is None or kept[0] != revision:
            kept = self._chosen[name] = revision, self.in_order(chosen)
        return kept[1]

    def page(self, first: int, size: int) -> list[Entry]:
        """So many entries from a place in the order on, which begins at 0."""
        with self._lock:
            return [self._entries[case_id] for _, case_id in self._order[first : first + size]]

    def place(self, case_id: str) -> int | None:
        """The place of a case in the order, from 0."""
        with self._lock:
            entry = self._entries.get(CaseId(case_id))
            return None if entry is None else bisect_left(self._order, (entry.rank_at, entry.case_id))

    def states(self) -> Counter[CaseState]:
        """How many cases are in which state."""
        with self._lock:
            return self._states.copy()

    def bands(self) -> Counter[Band]:
        """How many cases are in which band."""
        with self._lock:
            return self._bands.copy()

    def wait_until_whole(self, timeout_s: float) -> bool:
        """Whether the topic was read to its end within this time."""
        return self.whole.wait(timeout_s)

    def wait_for(self, case_id: str, version: int, timeout_s: float) -> Entry | None:
        """The case at this version or a later one; None: it has left, or this did not come in time."""
        with self._changes:
            self._changes.wait_for(
                lambda: (found := self._entries.get(CaseId(case_id))) is None or found.version >= version, timeout_s
            )
            found = self._entries.get(CaseId(case_id))
            return found if found is not None and found.version >= version else None

    # --- what is fed ---------------------------------------------------------------------------------------------

    def take(self, message: Message) -> None:
        """See `View`."""
        self.put((message.key() or b"").decode(errors="replace"), message.value())

    def put(self, key: str, value: bytes | None) -> None:
        """The newest bytes of a case; None: it has left."""
        case_id = CaseId(key)
        if self._loading is not None:
            if value is None:
                self._loading.pop(case_id, None)
            else:
                self._loading[case_id] = value
            return
        entry = None if value is None else self._read(case_id, value)
        with self._changes:
            self._drop(case_id)
            if entry is not None:
                self._keep(entry)
                insort(self._order, (entry.rank_at, case_id))
            self.revision += 1
            self._changes.notify_all()
        if self._on_change is not None:
            self._on_change(case_id)

    def caught_up(self) -> None:
        """See `View`."""
        loading, self._loading = self._loading or {}, None
        entries = [entry for item in loading.items() if (entry := self._read(*item)) is not None]
        with self._changes:
            for entry in entries:
                self._keep(entry)
            self._order = sorted((entry.rank_at, entry.case_id) for entry in self._entries.values())
            self.revision += 1
            self._changes.notify_all()
        self.whole.set()

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.case_id] = entry
        self._states[entry.state] += 1
        self._bands[entry.band] += 1

    def _drop(self, case_id: CaseId) -> None:
        entry = self._entries.pop(case_id, None)
        if entry is None:
            return
        at = bisect_left(self._order, (entry.rank_at, case_id))
        del self._order[at]
        self._states[entry.state] -= 1
        self._bands[entry.band] -= 1

    # --- reading -------------------------------------------------------------------------------------------------

    def _read(self, case_id: CaseId, data: bytes) -> Entry | None:
        try:
            glance, begin = self._glance(data)
            seen = self._all_of(data) if glance is None else glance(data, begin)
            return _entry(case_id, seen, data)
        except (DecodeError, ValueError):
            self.unreadable += 1
            return None

    def _glance(self, data: bytes) -> tuple[Projection | None, int]:
        """The reader of what is needed, by the prefix that names the writer's schema; None: an old one, without it."""
        head = data[:10] if data[:2] == b"\xc3\x01" else data[:5]
        known = self._glances.get(head)
        if known is None:
            kind, node, begin = self._codec.written_with(data)
            if kind is not Case:
                return None, begin
            try:
                known = compile_projection(node, read=_SEEN), begin
            except SchemaError:
                known = None, begin
            self._glances[head] = known
        return known

    def _all_of(self, data: bytes) -> tuple[Any, ...]:
        case = cast("Case", self._codec.decode(data, _CASE))
        return tuple(getattr(case, name) for name in _SEEN)


def _entry(case_id: CaseId, seen: tuple[Any, ...], data: bytes) -> Entry:
    version, user_id, state, band, rank_at, due_at, promised_at, language, excluded, claim, escalated = seen
    holder, until = None, 0
    if claim is not None:
        holder, until = (
            (claim["reviewer"], claim["until"]) if isinstance(claim, dict) else (claim.reviewer, claim.until)
        )
    return Entry(
        case_id,
        version,
        user_id,
        _STATES.get(state, CaseState.UNKNOWN),
        _BANDS.get(band, Band.UNKNOWN),
        rank_at,
        due_at,
        promised_at,
        language,
        tuple(excluded),
        holder,
        until,
        escalated,
        data,
    )


_STATES: Final[dict[str, CaseState]] = {state.value: state for state in CaseState}
_BANDS: Final[dict[str, Band]] = {band.value: band for band in Band}
