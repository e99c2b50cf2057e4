"""Step 7's store: Redis as a view of the changelog, that proves with each answer what it holds (rules 2 and 3).

A partition is two keys with one hash tag: a hash of dossiers and a sorted set of timers. The checkpoint lies
*inside* both, so that no flush, fail-over or eviction can take dossiers and leave their checkpoint behind: with one
key a user, an evicted dossier would look like a user without history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import redis
from redis.connection import parse_url
from redis.exceptions import NoScriptError, RedisError, ResponseError

from topology.engine.errors import StoreDown
from topology.engine.ports import Write
from topology.engine.state import RESERVED

CHECKPOINT = RESERVED + b"checkpoint"
"""Field and member name; no user can have it, because reserved keys are refused at the door."""

_APPLY = resources.files("topology.engine").joinpath("apply.lua").read_text()
_ARGUMENTS_A_CALL = 60_000
"""Redis takes a million arguments; smaller calls keep it answering others in between."""


_PASSING = (
    "LOADING", "READONLY", "MASTERDOWN", "OOM", "MISCONF", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "BUSY",
)  # fmt: skip
"""Error answers that a healthy Redis will not give any more in a while."""


class RedisStore:
    """`StateStore` on redis-py: one server, Sentinel's master or a cluster client."""

    def __init__(self, client: Any, *, namespace: str, pipelines: bool = True) -> None:  # noqa: ANN401 - redis-py's clients share no base
        """`namespace` starts every key; `pipelines` is off on a cluster, whose pipelines know no scripts."""
        self._client = client
        self._namespace = namespace
        self._pipelines = pipelines
        self._sha: str | None = None

    def _keys(self, partition: int) -> tuple[str, str]:
        tag = f"{{{self._namespace}:{partition}}}"
        return f"{tag}:dossiers", f"{tag}:timers"

    def read(self, wanted: Mapping[int, Sequence[bytes]]) -> dict[int, tuple[int | None, list[bytes | None]]]:
        """See `StateStore.read`: one HMGET a partition, whose first field is the checkpoint."""
        try:
            if self._pipelines:
                pipe = self._client.pipeline(transaction=False)
                for partition, keys in wanted.items():
                    pipe.hmget(self._keys(partition)[0], [CHECKPOINT, *keys])
                answers = pipe.execute()
            else:
                answers = [
                    self._client.hmget(self._keys(partition)[0], [CHECKPOINT, *keys])
                    for partition, keys in wanted.items()
                ]
        except RedisError as exc:
            raise _down("read", exc) from exc
        return {partition: (_offset(answer[0]), answer[1:]) for partition, answer in zip(wanted, answers, strict=True)}

    def apply(
        self, batch: Iterable[tuple[int, int | None, int, Sequence[Write]]]
    ) -> dict[int, tuple[bool, int | None]]:
        """See `StateStore.apply`: one Lua call a partition."""
        calls: list[tuple[int, list[Any]]] = []
        for partition, expected, new, writes in batch:
            args: list[Any] = [b"" if expected is None else expected, new]
            for key, raw, due in writes:
                args += (key, b"" if raw is None else raw, b"" if due is None else due)
            if len(args) > _ARGUMENTS_A_CALL:
                raise AssertionError(f"{len(writes)} writes in one call; the caller must send fewer at a time")
            calls.append((partition, [2, *self._keys(partition), *args]))
        try:
            answers = self._evaluate(calls)
        except RedisError as exc:
            raise _down("apply", exc) from exc
        return {
            partition: (bool(answer[0]), _offset(answer[1]))
            for (partition, _), answer in zip(calls, answers, strict=True)
        }

    def _evaluate(self, calls: list[tuple[int, list[Any]]]) -> list[Any]:
        if self._sha is None:
            self._sha = self._client.script_load(_APPLY)
        if not self._pipelines:
            return [self._client.eval(_APPLY, *args) for _, args in calls]
        pipe = self._client.pipeline(transaction=False)
        for _, args in calls:
            pipe.evalsha(self._sha, *args)
        answers = pipe.execute(raise_on_error=False)
        for i, answer in enumerate(answers):
            # A restarted Redis has forgotten the script; such a call wrote nothing and can be sent whole.
            if isinstance(answer, NoScriptError):
                answers[i] = self._client.eval(_APPLY, *calls[i][1])
            elif isinstance(answer, Exception):
                raise answer
        return answers

    def checkpoints(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """See `StateStore.checkpoints`."""
        return {partition: found for partition, (found, _) in self.read(dict.fromkeys(partitions, ())).items()}

    def reset(self, partition: int) -> None:
        """See `StateStore.reset`; the server frees the memory in the background."""
        try:
            self._client.unlink(*self._keys(partition))
        except RedisError as exc:
            raise _down("reset", exc) from exc

    def timers(self, partition: int) -> tuple[int | None, list[tuple[int, bytes]]]:
        """See `StateStore.timers`: the proof has the lowest score, so it comes first."""
        try:
            pairs = self._client.zrange(self._keys(partition)[1], 0, -1, withscores=True)
        except RedisError as exc:
            raise _down("timers", exc) from exc
        if not pairs or pairs[0][0] != CHECKPOINT:
            return None, []
        return -int(pairs[0][1]) - 1, [(int(score), key) for key, score in pairs[1:]]


def connect(url: str, *, mode: str, sentinel_service: str = "", timeout_s: float = 5.0) -> Any:  # noqa: ANN401
    """A redis-py client for `single`, `sentinel` (url names the sentinels' first) or `cluster`."""
    options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    if mode == "cluster":
        return redis.RedisCluster.from_url(url, **options)
    if mode == "sentinel":
        parsed = parse_url(url)
        sentinel = redis.Sentinel([(parsed["host"], parsed.get("port", 26379))], socket_timeout=timeout_s)
        return sentinel.master_for(sentinel_service, **options)
    return redis.Redis.from_url(url, **options)


def _offset(raw: bytes | None) -> int | None:
    return int(raw) if raw else None


def _down(what: str, exc: RedisError) -> Exception:
    """A refusal by the script is a defect of ours; anything else means that Redis is not there for us now."""
    if isinstance(exc, ResponseError) and not str(exc).startswith(_PASSING):
        return exc
    return StoreDown(f"redis {what}: {exc}")
