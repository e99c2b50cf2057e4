"""Step 2 of a batch: each state from the batch in flight, else the cache, else the store, which must prove itself."""

from __future__ import annotations

from topology.engine import allowance
from topology.engine.allowance import Allowances
from topology.engine.batch import Batch
from topology.engine.definition import EngineConfig
from topology.engine.errors import StateLost
from topology.engine.partition import Partition
from topology.engine.ports import Metrics, StateStore
from topology.engine.state import RESERVED, Entry


class StateReader:
    """Fills a batch's overlay."""

    def __init__(self, store: StateStore, config: EngineConfig, metrics: Metrics) -> None:
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
            flying = in_flight.overlay.get(partition, {}) if in_flight is not None else {}
            overlay: dict[bytes, Entry] = {}
            missing: list[bytes] = []
            for key in batch.keys(partition, self._config.batch_timers):
                entry = flying.get(key) or partition.cache.get(key)
                if entry is None:
                    missing.append(key)
                else:
                    overlay[key] = entry
            if partition.allowances is None:
                missing.append(allowance.KEY)
            hits += len(overlay)
            batch.overlay[partition] = overlay
            if missing:
                wanted[partition] = missing
        self._metrics.count("state_cache_hits_total", hits)
        if wanted:
            self._read(batch, wanted, checkpoints)

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

    def _prove(self, floors: dict[int, int], found: dict[int, int | None]) -> None:
        """Rule 3: a flushed or stale Redis must never look like users without history."""
        lost = frozenset(p for p, floor in floors.items() if (at := found[p]) is None or at < floor)
        if lost:
            self._metrics.count("redis_lost_total", len(lost))
            raise StateLost(lost, "Redis does not hold what was applied to it")


def _entry(key: bytes, raw: bytes | None) -> Entry | None:
    """An entry, or None for a key that is not text: the fold makes its record a dead letter.

    One that is reserved is refused too: the engine keeps checkpoint and allowances under such names.
    """
    if key.startswith(RESERVED):
        return None
    try:
        return Entry(key, raw)
    except UnicodeDecodeError:
        return None
