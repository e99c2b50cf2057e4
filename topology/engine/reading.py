"""Step 2 of a batch: each state from the batch in flight, else the cache, else the store, which must prove itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from topology.engine import allowance
from topology.engine.allowance import Allowances
from topology.engine.batch import Batch
from topology.engine.definition import EngineConfig, FoldApp, Scan
from topology.engine.errors import Retriable, StateLost
from topology.engine.partition import Partition
from topology.engine.ports import Metrics, StateStore, Write
from topology.engine.state import RESERVED, Entry
from topology.engine.sweep import Page, state_of, to_ask

_NO_STATES: Mapping[bytes, Entry] = {}
_NO_CHANGES: Mapping[bytes, bool] = {}
_NO_WRITES: Sequence[Write] = ()


class StateReader:
    """Fills a batch's overlay."""

    def __init__(self, app: FoldApp[Any], store: StateStore, config: EngineConfig, metrics: Metrics) -> None:
        self._app = app
        self._store = store
        self._config = config
        self._metrics = metrics

    def fill(self, batch: Batch, in_flight: Batch | None, checkpoints: dict[int, int]) -> None:
        """Get every state that the batch needs, and with a partition's first batch its allowances.

        Args:
            batch: planned, its overlay empty.
            in_flight: the batch before, not yet durable; its states are newer than the store's.
            checkpoints: what the store must hold by partition; the batch in flight may raise it meanwhile.

        Raises:
            StateLost: the store's checkpoint is missing or older than it must be (rule 3).
            Retriable: the store does not answer.
        """
        wanted: dict[Partition, list[bytes]] = {}
        hits = 0
        for partition in batch.records:
            overlay: dict[bytes, Entry] = {}
            batch.overlay[partition] = overlay
            keys = batch.keys(partition, self._config.batch_timers)
            missing = self._in_memory(partition, keys, overlay, in_flight)
            hits += len(overlay)
            if partition.allowances is None:
                missing.append(allowance.KEY)
            if missing:
                wanted[partition] = missing
        self._metrics.count("state_cache_hits_total", hits)
        if wanted:
            self._read(batch, wanted, checkpoints)
        if batch.sweeps and self._app.scan is not None:
            self._find(batch, in_flight, checkpoints)

    def _in_memory(
        self, partition: Partition, keys: Iterable[bytes], overlay: dict[bytes, Entry], in_flight: Batch | None
    ) -> list[bytes]:
        """Put into the overlay what need not be read; returns what must be."""
        flying = in_flight.overlay.get(partition, _NO_STATES) if in_flight is not None else _NO_STATES
        missing: list[bytes] = []
        for key in keys:
            entry = flying.get(key) or partition.cache.get(key)
            if entry is None:
                missing.append(key)
            else:
                overlay[key] = entry
        return missing

    def _read(self, batch: Batch, wanted: dict[Partition, list[bytes]], checkpoints: dict[int, int]) -> None:
        # Taken before the answer, which can only be newer.
        floors = {partition.number: checkpoints[partition.number] for partition in wanted}
        answers = self._store.read({partition.number: keys for partition, keys in wanted.items()})
        self._prove(floors, {number: found for number, (found, _) in answers.items()})
        for partition, keys in wanted.items():
            overlay = batch.overlay[partition]
            raws = answers[partition.number][1]
            if partition.allowances is None:
                partition.allowances = Allowances(
                    raws[-1], partition=partition.number, partitions=partition.partition_count
                )
            for key, raw in zip(keys, raws, strict=True):
                entry = _entry(key, raw)
                if entry is not None:
                    overlay[key] = entry
        self._metrics.count("state_reads_total", sum(map(len, wanted.values())))

    def more_timers(self, partition: Partition, in_flight: Batch | None, checkpoints: dict[int, int]) -> None:
        """Let the partition know its timers up to a later moment than now; as in `fill`, between two folds.

        Raises:
            StateLost: the timers' checkpoint is missing or older than it must be (rule 3).
            Retriable: the store does not answer.
        """
        number, timers = partition.number, partition.timers
        floor = checkpoints[number]
        page = self._store.timers(number, timers.known_until, self._config.timers_window)
        self._prove({number: floor}, {number: page.checkpoint})
        flying = in_flight.writes.get(partition, _NO_WRITES) if in_flight is not None else _NO_WRITES
        # The store may have been told of them or not.
        timers.learn(page.pairs, page.until, {key: due for key, _, due in flying})
        self._metrics.count("timer_pages_total")

    # --- sweeps -----------------------------------------------------------------------------------------------

    def _find(self, batch: Batch, in_flight: Batch | None, checkpoints: dict[int, int]) -> None:
        """Read the pages that due states scan for, and the states of those found."""
        wanted: dict[Partition, list[bytes]] = {}
        for partition, keys in batch.sweeps.items():
            overlay = batch.overlay[partition]
            flying = in_flight.index.get(partition, _NO_CHANGES) if in_flight is not None else _NO_CHANGES
            found: dict[bytes, None] = {}
            for key in keys:
                scan = self._scan(overlay.get(key))
                if scan is not None:
                    page = self._page(partition, scan, flying, checkpoints)
                    batch.pages[partition, key] = page
                    found |= self._owners(page)
            missing = self._in_memory(partition, found.keys() - overlay.keys(), overlay, in_flight)
            if missing:
                wanted[partition] = missing
        if wanted:
            self._read(batch, wanted, checkpoints)

    def _page(
        self, partition: Partition, scan: Scan, flying: Mapping[bytes, bool], checkpoints: dict[int, int]
    ) -> Page:
        number = partition.number
        floor, asked = checkpoints[number], to_ask(scan, flying)
        checkpoint, terms = self._store.scan(number, scan.low, scan.high, asked)
        self._prove({number: floor}, {number: checkpoint})
        self._metrics.count("index_scans_total")
        return Page(scan, terms, asked, flying)

    def _scan(self, entry: Entry | None) -> Scan | None:
        """What a due state scans for.

        An application that raises here raises again when the timer fires, and there it makes a dead letter.
        """
        app = self._app
        if entry is None or app.scan is None:
            return None
        try:
            return app.scan(state_of(app, entry))
        except Retriable:
            raise
        except Exception:  # noqa: BLE001 - see above
            return None

    def _owners(self, page: Page) -> dict[bytes, None]:
        """The keys to read; an application that raises here is treated as by `_scan`."""
        app = self._app
        try:
            return {app.owner(term): None for term in page.terms} if app.owner is not None else {}
        except Exception:  # noqa: BLE001 - see above
            return {}

    def _prove(self, floors: dict[int, int], found: dict[int, int | None]) -> None:
        """Rule 3: a flushed or stale Redis must never look like users without history."""
        lost = frozenset(p for p, floor in floors.items() if (at := found[p]) is None or at < floor)
        if lost:
            self._metrics.count("redis_lost_total", len(lost))
            raise StateLost(lost, "Redis does not hold what was applied to it")


def _entry(key: bytes, raw: bytes | None) -> Entry | None:
    """An entry, or None for a key that is nobody's: the fold makes its record a dead letter.

    Those are keys that are not text; the name to which `taking` brings all that begin with NUL; and the engine's own.
    """
    if key in (RESERVED, allowance.KEY):
        return None
    try:
        return Entry(key, raw)
    except UnicodeDecodeError:
        return None
