"""The shares of all partitions added up, and what is published of them.

What arrives is each partition's whole share of a slice, so a share that is read twice replaces itself. Everything that
is published replaces what was published before under its key; after a start all of it is published again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import msgspec

from processors.insights.cells import WINDOWS, Counts, total
from processors.insights.facts import TIMES, Measure
from processors.insights.load import pod_load
from processors.insights.open_cases import COLUMNS, FIRST
from processors.insights.quality import COMPARED_BY, SAMPLES, TIMED_BY, decision_time, review_agreement
from processors.insights.rates import RATES, overturn_rate, rate_id
from processors.insights.shard import PARTIAL, Partial
from processors.insights.slices import LOAD, MISFIRE, OPEN, parts_of, place, slice_key
from processors.insights.watch import Known, Struck, Watch
from processors.overflow import Marks
from schemas.records import Millis, PodLoad, Record
from schemas.vocabulary import Dimension

RATES_TOPIC, LOAD_TOPIC, ALERTS_TOPIC, QUALITY_TOPIC = (
    "insights.overturn-rates",
    "pod.load",
    "misfire.alerts",
    "insights.quality",
)


class Published(NamedTuple):
    """Something to publish; without a record, a tombstone."""

    topic: str
    key: str
    record: Record | None


class Totals:
    """One partition of the shares' topic.

    `prior` is the Beta prior of overturn rates; `marks` say by pod when it overflows; `grace_ms` as of `Shard`.
    """

    def __init__(self, *, grace_ms: int, prior: tuple[float, float], marks: Mapping[str, Marks] | None = None) -> None:
        self._grace_ms = grace_ms
        self._prior = prior
        self._marks = marks or {}
        self._overflowing: dict[str, bool] = {}
        self._shares: dict[str, dict[str, Partial]] = {}
        self._watch = Watch()
        self._offset = -1
        self._dirty: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        self._later: dict[str, None] = {}
        self._told: dict[tuple[str, str], object] = {}
        self._step = -1

    def go_by(self, marks: Mapping[str, Marks]) -> None:
        """From now on pods overflow by these marks; every load is looked at anew."""
        self._marks = marks
        self._step = -1

    # --- state in and out

    def load(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Take over what was written."""
        for key, value in items:
            kind, _, rest = key.partition("|")
            if kind == "t":
                source, name = _split(rest)
                self._shares.setdefault(name, {})[source] = PARTIAL.decode(value)
            elif kind == "m":
                self._watch.known[rest] = _KNOWN.decode(value)
            elif kind == "l":
                self._overflowing[rest] = _LATCH.decode(value)
            elif kind == "q":
                self._offset = _OFFSET.decode(value)
        self._changed = dict.fromkeys(self._shares)

    @property
    def offset(self) -> int:
        """How far the shares are read."""
        return self._offset

    @property
    def newest(self) -> int:
        """The newest time that any share has counted, ms: now, by the clock of the records."""
        return max((share.newest for shares in self._shares.values() for share in shares.values()), default=0)

    @property
    def oldest(self) -> int:
        """The oldest such time; 0: none."""
        found = (share.oldest for shares in self._shares.values() for share in shares.values() if share.oldest)
        return min(found, default=0)

    @property
    def size(self) -> int:
        """Shares held."""
        return sum(map(len, self._shares.values()))

    def writes(self) -> list[tuple[str, bytes | None]]:
        """What to write since last time, in an order that must be kept."""
        found: list[tuple[str, bytes | None]] = []
        for key in self._dirty:
            kind, _, rest = key.partition("|")
            value: object | None
            if kind == "t":
                source, name = _split(rest)
                value = self._shares.get(name, {}).get(source)
            elif kind == "m":
                value = self._watch.known.get(rest)
            elif kind == "l":
                value = self._overflowing[rest]
            else:
                value = self._offset
            found.append((key, None if value is None else _encode(value)))
        self._dirty = {}
        return found

    def take(self, offset: int, key: str, value: bytes | None) -> bool:
        """Take a partition's share, keyed by partition, input and slice; False if it was read before."""
        if offset <= self._offset:
            return False
        self._offset = offset
        source, name = _split(key)
        if value is not None:  # without a value it is over; that is judged here, after the tombstones are out
            share = PARTIAL.decode(value)
            shares = self._shares.setdefault(name, {})
            known = shares.get(source)
            if known is None or share.offset >= known.offset:
                shares[source] = share
                self._dirty[f"t|{key}"] = None
                self._changed[name] = None
        self._dirty.pop("q|", None)
        self._dirty["q|"] = None  # always the last
        return True

    # --- what is published

    def publish(self, now: int) -> list[Published]:
        """What is new since last time, as of `now`."""
        step = WINDOWS[0].last(now)
        names = list(self._shares if step != self._step else self._changed)
        self._step, self._changed = step, {}
        # That an alert is known is kept only after it has been sent: a crash between sends it again, under its id.
        self._dirty, self._later = self._later | self._dirty, {}
        found: list[Published] = []
        pods: dict[str, None] = {}
        detectors: dict[str, None] = {}
        for name in names:
            kind, *parts = parts_of(name)
            if kind in (LOAD, OPEN):
                pods[parts[0]] = None
            elif kind == MISFIRE:
                detectors[parts[0]] = None
            else:
                found += self._figures(name, Dimension(kind), now)
        for pod in pods:
            found += self._load(pod, now, step)
        for detector in detectors:
            alerts, cleared = self._watch.look(detector, self._struck(detector), now)
            self._dirty = {f"m|{name}": None for name in cleared} | self._dirty
            for name, alert in alerts:
                self._later[f"m|{name}"] = None
                found.append(Published(ALERTS_TOPIC, detector, alert))
        self._forget(names, now)
        return found

    def counts(self, name: str, index: int, now: int) -> Counts:
        """What a slice counts in a window."""
        cubes = (share.cube for share in self._shares.get(name, {}).values() if share.cube is not None)
        return total(cubes, index, now)

    def slices(self, kind: str) -> Iterator[tuple[str, list[str]]]:
        """The slices of a kind that are here, and their parts."""
        for name in self._shares:
            found, *parts = parts_of(name)
            if found == kind:
                yield name, parts

    def open_cases(self, pod: str) -> dict[str, list[int]]:
        """A pod's open cases by band, in `COLUMNS`."""
        rows: dict[str, list[int]] = {}
        for share in self._shares.get(slice_key(OPEN, pod), {}).values():
            for band, row in (share.load or {}).items():
                more = (share.more or {}).get(band, [0] * (COLUMNS - FIRST))
                rows[band] = [a + b for a, b in zip(rows.get(band, [0] * COLUMNS), [*row, *more], strict=True)]
        return rows

    def load_of(self, pod: str, now: int) -> PodLoad:
        """A pod's load."""
        rows = self.open_cases(pod)
        flow = {parts[1]: self.counts(name, 0, now) for name, parts in self.slices(LOAD) if parts[0] == pod}
        overflowed, marks = self._overflowing.get(pod, False), self._marks.get(pod)
        return pod_load(pod, rows, flow, now, self.oldest, overflowed=overflowed, marks=marks)

    def _load(self, pod: str, now: int, step: int) -> Iterator[Published]:
        """A pod's load, at every step of the hop too: whoever reads it must see that somebody still looks."""
        load = self.load_of(pod, now)
        if load.overflowing != self._overflowing.get(pod, False):
            self._overflowing[pod] = load.overflowing
            self._dirty = {f"l|{pod}": None} | self._dirty
        told = (step, msgspec.structs.replace(load, observed_at=Millis(0)))
        if self._told.get((LOAD_TOPIC, pod)) != told:
            self._told[LOAD_TOPIC, pod] = told
            yield Published(LOAD_TOPIC, pod, load)

    def _struck(self, detector: str) -> Struck:
        """What is counted of a detector, by version and rule."""
        found: Struck = {}
        for name, parts in self.slices(MISFIRE):
            if parts[0] == detector:
                cubes = [share.cube for share in self._shares[name].values() if share.cube is not None]
                found.setdefault(parts[1], {})[parts[2]] = cubes
        return found

    def _figures(self, name: str, dimension: Dimension, now: int) -> Iterator[Published]:
        if dimension not in RATES:
            return
        for index, window in enumerate(WINDOWS):
            counts = self.counts(name, index, now)
            # What stays as it is is told again in each quarter of the window, so that its end shows it is looked at.
            quarter = window.last(now) * 4 // window.steps
            rate = partial(overturn_rate, name, counts, window, now, self._prior)
            yield from self._if_new(RATES_TOPIC, rate_id(name, window), _told(counts, _RATED, quarter), rate)
            if dimension in TIMED_BY:
                bins = [measure for measure in counts if measure >= TIMES]
                time = partial(decision_time, name, counts, window, now)
                key = f"time|{name}|{window.seconds}"
                yield from self._if_new(QUALITY_TOPIC, key, _told(counts, bins, quarter), time, always=False)
            if dimension in COMPARED_BY:
                for sample, compared in SAMPLES.items():
                    agreement = partial(review_agreement, name, sample, counts, window, now)
                    key = f"agreement|{name}|{sample}|{window.seconds}"
                    told = _told(counts, compared, quarter)
                    yield from self._if_new(QUALITY_TOPIC, key, told, agreement, always=False)

    def _if_new(
        self, topic: str, key: str, told: object | None, record: Callable[[], Record | None], *, always: bool = True
    ) -> Iterator[Published]:
        """Publish what is not known to be out. `always`: after a start a tombstone too, where there is nothing."""
        if self._told.get((topic, key), () if always else None) != told:
            self._told[topic, key] = told
            yield Published(topic, key, record())

    def _forget(self, names: list[str], now: int) -> None:
        """Let go of what no window needs: its tombstones are out."""
        for name in names:
            shares = self._shares[name]
            kind = parts_of(name)[0]
            if kind != OPEN and all(s.cube is None or s.cube.over(now, self._grace_ms) for s in shares.values()):
                self._dirty = {f"t|{source}|{name}": None for source in shares} | self._dirty
                del self._shares[name]


def partition_of(key: str, partitions: int) -> int:
    """Where a share goes, keyed by partition, input and slice."""
    return place(_split(key)[1], partitions)


def _split(key: str) -> tuple[str, str]:
    """Partition and input, and the slice."""
    partition, source, name = key.split("|", 2)
    return f"{partition}|{source}", name


def _told(counts: Counts, measures: Iterable[int], quarter: int) -> object | None:
    """What a figure is computed from; None: there is nothing of it."""
    found = sorted((measure, counts[measure]) for measure in measures if counts.get(measure))
    return (quarter, *found) if found else None


_RATED = (Measure.DECIDED, Measure.OVERTURNED, Measure.MODIFIED)
_LATCH = msgspec.msgpack.Decoder(bool)
_KNOWN = msgspec.msgpack.Decoder(Known)
_OFFSET = msgspec.msgpack.Decoder(int)
_encode = msgspec.msgpack.Encoder().encode
