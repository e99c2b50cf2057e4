"""What the insights and the remedies tell, as the newest of each: small topics that are read whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar, cast

from confluent_kafka import Message

from schemas import Codec, DecodeError, Record
from schemas.records import (
    DecisionTime,
    MisfireSuspected,
    OverturnRate,
    PodLoad,
    RemedyReported,
    ReviewAgreement,
)
from schemas.remedy_whole import Whole
from schemas.vocabulary import Dimension, ReviewSample

R = TypeVar("R", bound=Record)


class Newest(Generic[R]):
    """A view (`desk.following.View`) of a topic whose newest record of each key counts, until a tombstone.

    Args:
        codec: Of the process.
        allowed: Records that may be there.
        on_change: Told of each record.
        key: What is replaced; none: the record's key on the topic.
    """

    def __init__(
        self,
        codec: Codec,
        allowed: frozenset[type[Record]],
        on_change: Callable[[], None] | None = None,
        key: Callable[[R], str] | None = None,
    ) -> None:
        self.rows: dict[str, R] = {}
        self._codec = codec
        self._allowed = allowed
        self._on_change = on_change
        self._key = key

    def take(self, message: Message) -> None:
        """See `View`."""
        key, value = (message.key() or b"").decode(errors="replace"), message.value()
        if value is None:
            self.rows.pop(key, None)
        else:
            try:
                record = cast("R", self._codec.decode(value, self._allowed))
            except DecodeError:
                return
            self.rows[key if self._key is None else self._key(record)] = record
        if self._on_change is not None:
            self._on_change()

    def caught_up(self) -> None:
        """See `View`."""

    def all(self) -> list[R]:
        """The rows as they are now."""
        return list(self.rows.copy().values())


class Remedies:
    """A view of `remedy.events`: each remedy over all partitions."""

    def __init__(self, codec: Codec, allowed: frozenset[type[Record]], on_change: Callable[[str], None]) -> None:
        self.wholes: dict[str, Whole] = {}
        self._codec = codec
        self._allowed = allowed
        self._on_change = on_change

    def take(self, message: Message) -> None:
        """See `View`."""
        value = message.value()
        if value is None:
            return
        try:
            report = cast("RemedyReported", self._codec.decode(value, self._allowed))
        except DecodeError:
            return
        self.wholes.setdefault(report.remedy_id, Whole(report.remedy_id)).take(report)
        self._on_change(report.remedy_id)

    def caught_up(self) -> None:
        """See `View`."""

    def newest_first(self) -> list[Whole]:
        """All remedies, those reported last before."""
        wholes = list(self.wholes.copy().values())
        return sorted(wholes, key=lambda one: max(r.occurred_at for r in one.reports.values()), reverse=True)


def newest_window(
    rates: Iterable[OverturnRate], dimension: Dimension, window_s: int | None = None
) -> list[OverturnRate]:
    """Rates of one dimension, of the longest window there is or of the given one, those with most decisions first."""
    found = [rate for rate in rates if rate.dimension is dimension]
    if window_s is None:
        window_s = max((rate.window_s for rate in found), default=0)
    chosen = [rate for rate in found if rate.window_s == window_s and rate.decided]
    return sorted(chosen, key=lambda rate: (-rate.decided, rate.rate_id))


def agreement(quality: Iterable[ReviewAgreement | DecisionTime], dimension: Dimension) -> dict[str, ReviewAgreement]:
    """Agreement of second looks by value, over all of them, of the longest window."""
    found = [
        each
        for each in quality
        if isinstance(each, ReviewAgreement) and each.dimension is dimension and each.sample is ReviewSample.ALL
    ]
    longest = max((each.window_s for each in found), default=0)
    return {each.value or "": each for each in found if each.window_s == longest and each.compared}


Loads = Newest[PodLoad]
Rates = Newest[OverturnRate]
Quality = Newest["ReviewAgreement | DecisionTime"]
Alerts = Newest[MisfireSuspected]
