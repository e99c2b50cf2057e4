"""One partition's log with Kafka's transactional visibility."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

Header = tuple[str, str | bytes | None]


@dataclass(frozen=True, slots=True)
class Record:
    """A record as a reader sees it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: tuple[Header, ...] = ()


class Fate(Enum):
    """What the coordinator has decided about a transaction."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(eq=False)
class Transaction:
    """One transaction: where it wrote, and the group offsets that go with it."""

    transactional_id: str
    began_s: float
    timeout_s: float
    fate: Fate = Fate.OPEN
    touched: set[tuple[str, int]] = field(default_factory=set)
    offsets: dict[str, dict[tuple[str, int], tuple[int, str]]] = field(default_factory=dict)
    """By group: (topic, partition) to (offset, metadata)."""
    offsets_settled: bool = False


@dataclass(frozen=True, slots=True)
class _Marker:
    """A control record: takes an offset, is never delivered."""

    committed: bool


class Log:
    """Records and control records; the index is the offset. A compacted-away record leaves a hole."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.start = 0
        self._entries: list[tuple[Record, Transaction | None] | _Marker | None] = []
        self._undecided: dict[Transaction, int] = {}
        """Transactions without a marker here, whatever the coordinator knows, and their first offset."""
        self._aborted: set[Transaction] = set()

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        timestamp: int,
        headers: tuple[Header, ...],
        transaction: Transaction | None,
    ) -> int:
        """Write one record; returns its offset."""
        offset = len(self._entries)
        record = Record(self.topic, self.partition, offset, key, value, timestamp, headers)
        self._entries.append((record, transaction))
        if transaction is not None:
            self._undecided.setdefault(transaction, offset)
        return offset

    def mark(self, transaction: Transaction) -> None:
        """Write the control record that makes the transaction's fate known here."""
        committed = transaction.fate is Fate.COMMITTED
        self._entries.append(_Marker(committed))
        self._undecided.pop(transaction, None)
        if not committed:
            self._aborted.add(transaction)

    @property
    def high_watermark(self) -> int:
        """The end, open transactions included."""
        return len(self._entries)

    @property
    def last_stable(self) -> int:
        """The end for a `read_committed` reader."""
        return min(self._undecided.values(), default=len(self._entries))

    def fetch(self, position: int, limit: int, *, committed: bool = True) -> tuple[list[Record], int]:
        """Up to `limit` records from `position`, and the position after them and what is skipped behind them."""
        end = self.last_stable if committed else self.high_watermark
        position = max(position, self.start)
        found: list[Record] = []
        while position < end:
            entry = self._entries[position]
            if entry is not None and not isinstance(entry, _Marker):
                record, transaction = entry
                if not committed or transaction not in self._aborted:
                    if len(found) >= limit:
                        break
                    found.append(record)
            position += 1
        return found, position

    def compact(self) -> None:
        """Keep the newest committed record of each key, and the last entry, as a log cleaner would."""
        newest = {record.key: record.offset for record in self.fetch(0, len(self._entries))[0]}
        for offset in range(min(self.last_stable, len(self._entries) - 1)):
            entry = self._entries[offset]
            if isinstance(entry, tuple) and newest.get(entry[0].key) != offset:
                self._entries[offset] = None

    def trim(self, start: int) -> None:
        """Retention: everything before `start` is gone."""
        self.start = max(self.start, start)
