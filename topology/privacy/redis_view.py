"""The view of the users' keys in Redis: a hash a partition, which says itself how far the topic has been taken in.

That lies within the hash, so no fail-over or eviction can take keys and leave it behind. A view that has slept longer
than half of what the topic keeps tombstones for may have missed one, and is made again from the topic's beginning.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib import resources
from typing import Any

from redis.exceptions import RedisError

from topology.engine.redis_store import down
from topology.privacy.ports import Change, Held

_KEYS = resources.files("topology.privacy").joinpath("keys.lua").read_text()
_AT = b"\0at"
_CONFIRMED = b"C"
SLEEPS_MS = 3 * 86_400_000
"""Below half of the topic's `delete.retention.ms` (`topology/topics.py`)."""


class RedisView:
    """`View` on redis-py."""

    def __init__(self, client: Any, *, namespace: str) -> None:  # noqa: ANN401 - redis-py's clients share no base
        """`namespace` starts every key, as that of the dossiers does; without the name of a partitioning."""
        self._client = client
        self._namespace = namespace

    def _key(self, partition: int) -> str:
        return f"{{{self._namespace}:subject-keys:{partition}}}"

    def get(self, partition: int, keys: Sequence[bytes]) -> list[Held | None]:
        """See `View.get`."""
        try:
            found = self._client.hmget(self._key(partition), list(keys)) if keys else []
        except RedisError as exc:
            raise down("keys", exc) from exc
        return [None if raw is None else _held(raw) for raw in found]

    def reached(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """See `View.reached`."""
        try:
            found = {partition: self._client.hget(self._key(partition), _AT) for partition in partitions}
        except RedisError as exc:
            raise down("keys", exc) from exc
        return {partition: _reached(raw) for partition, raw in found.items()}

    def forget(self, partition: int) -> None:
        """See `View.forget`."""
        try:
            self._client.unlink(self._key(partition))
        except RedisError as exc:
            raise down("keys", exc) from exc

    def take(self, partition: int, expected: int | None, reached: int, changes: Sequence[Change]) -> bool:
        """See `View.take`."""
        pairs = [part for key, value in changes for part in (key, b"" if value is None else value)]
        before = b"" if expected is None else b"%d" % expected
        return bool(self._evaluate(partition, [b"take", before, reached, _now_ms(), *pairs])[0])

    def claim(self, partition: int, at_least: int, changes: Sequence[tuple[bytes, bytes]]) -> list[Held] | None:
        """See `View.claim`."""
        pairs = [part for change in changes for part in change]
        known, *held = self._evaluate(partition, [b"claim", at_least, *pairs])
        return [_held(raw) for raw in held] if known else None

    def _evaluate(self, partition: int, arguments: list[Any]) -> list[Any]:
        try:
            return self._client.eval(_KEYS, 1, self._key(partition), *arguments)
        except RedisError as exc:
            raise down("keys", exc) from exc


def _held(raw: bytes) -> Held:
    return Held(raw[1:], raw[:1] == _CONFIRMED)


def _reached(raw: bytes | None) -> int | None:
    if raw is None:
        return None
    offset, _, at = raw.partition(b" ")
    return int(offset) if _now_ms() - int(at) < SLEEPS_MS else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
