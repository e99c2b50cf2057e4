"""Step 7's store: Redis as a view of the changelog, that proves with each answer what it holds (rules 2 and 3).

A partition is three keys with one hash tag: a hash of dossiers, a sorted set of timers and one of terms (the index).
The checkpoint lies *inside* all three, so that no flush, fail-over or eviction can take dossiers and leave their
checkpoint behind: with one key a user, an evicted dossier would look like a user without history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

import redis
from redis.connection import parse_url
from redis.exceptions import NoPermissionError, NoScriptError, RedisError, ResponseError, WatchError

from topology.engine.errors import Misconfigured, StoreDown
from topology.engine.ports import Apply, DuePage
from topology.engine.state import CHECKPOINT
from topology.engine.timers import ALWAYS

_APPLY = resources.files("topology.engine").joinpath("apply.lua").read_text()
_ARGUMENTS_A_CALL = 40_000
"""Redis takes a million arguments; smaller calls keep it answering others in between."""
_ARGUMENTS_A_COMMAND = 100
"""Of those in a transaction; even, as some come in pairs."""
_FEW_ARGUMENTS = 1_500
"""Up to here, a Lua call's one round trip costs less than a transaction's three."""
_FIRST_TERM = b"\1"
"""No term is before it: they do not begin with NUL, as the index's checkpoint does."""

_PASSING = (
    "LOADING", "READONLY", "MASTERDOWN", "OOM", "MISCONF", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "BUSY",
)  # fmt: skip
"""Error answers that a healthy Redis will not give any more in a while."""
_NO_RIGHT = re.compile(r"NOPERM|executing the script can't run|ACL failure in script|EXEC without MULTI")
"""How a Redis says that the ACL user may not do that; the last is what is left of a MULTI that was refused."""
_NOTHING: Mapping[str, Any] = {}


class RedisStore:
    """`StateStore` on redis-py: one server, Sentinel's master or a cluster client."""

    def __init__(self, client: Any, *, namespace: str, pipelines: bool = True) -> None:  # noqa: ANN401 - redis-py's clients share no base
        """`namespace` starts every key; `pipelines` is off on a cluster, whose pipelines know no scripts."""
        self._client = client
        self._namespace = namespace
        self._pipelines = pipelines
        self._sha: str | None = None

    def _keys(self, partition: int) -> tuple[str, str, str]:
        tag = f"{{{self._namespace}:{partition}}}"
        return f"{tag}:dossiers", f"{tag}:timers", f"{tag}:index"

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
            raise down("read", exc) from exc
        return {partition: (_offset(answer[0]), answer[1:]) for partition, answer in zip(wanted, answers, strict=True)}

    def apply(self, batch: Iterable[Apply]) -> dict[int, tuple[bool, int | None]]:
        """See `StateStore.apply`: little in one Lua call a partition, much in a watched transaction.

        Both look at the checkpoint of all three keys and write at one moment, or not at all.
        """
        wanted = list(batch)
        sizes = [3 * len(one.writes) + 2 * len(one.terms) for one in wanted]
        small = [one for one, size in zip(wanted, sizes, strict=True) if size <= _ARGUMENTS_A_CALL]
        try:
            found = self._transact(small) if small and sum(sizes) > _FEW_ARGUMENTS else self._call(small)
            for one, size in zip(wanted, sizes, strict=True):
                if size > _ARGUMENTS_A_CALL:
                    found |= self._apply_in_parts(one)
        except RedisError as exc:
            raise down("apply", exc) from exc
        return found

    def _apply_in_parts(self, wanted: Apply) -> dict[int, tuple[bool, int | None]]:
        """Only the last call moves the checkpoint, and none is sent before the one before it was done.

        What the calls say is absolute, so a partition that got only some of them still tells the truth: what follows
        its checkpoint is replayed. Terms go first: a restore takes out what the states that it finds had there.
        """
        found: dict[int, tuple[bool, int | None]] = {}
        expected = wanted.expected
        terms, states = _ARGUMENTS_A_CALL // 2, _ARGUMENTS_A_CALL // 3
        parts = [((), wanted.terms[start : start + terms]) for start in range(0, len(wanted.terms), terms)]
        parts += [(wanted.writes[start : start + states], ()) for start in range(0, len(wanted.writes), states)]
        for part in parts:
            new = wanted.new if part is parts[-1] else max(expected or 0, 0)
            found = self._transact([Apply(wanted.partition, expected, new, *part)])
            if not found[wanted.partition][0]:
                break
            expected = new
        return found

    def _call(self, batch: Sequence[Apply]) -> dict[int, tuple[bool, int | None]]:
        """One Lua call a partition: one round trip for all."""
        answers = self._evaluate([[3, *self._keys(one.partition), *_arguments(one)] for one in batch]) if batch else []
        return {
            one.partition: (bool(answer[0]), _offset(answer[1])) for one, answer in zip(batch, answers, strict=True)
        }

    def _transact(self, batch: Sequence[Apply]) -> dict[int, tuple[bool, int | None]]:
        """Watch, look, and write if nobody else did meanwhile: half the server's work, as Lua copies what it is given.

        Whoever wrote, flushed or evicted one of the keys after the look makes the server refuse the transaction; so
        does a connection that broke. Then a Lua call finds out, or does it after all.
        """
        if not self._pipelines and len(batch) > 1:
            return {p: answer for one in batch for p, answer in self._transact([one]).items()}
        keys = [key for one in batch for key in self._keys(one.partition)]
        try:
            with self._node(keys[0]).pipeline(transaction=True) as pipe:
                pipe.watch(*keys)
                # A ping that fails makes redis-py connect anew without a word, and the new connection watches nothing.
                pipe.connection.health_check_interval = 0
                looked: list[bytes] = pipe.eval(_APPLY, len(keys), *keys)
                agreed = [
                    one
                    for one, held in zip(batch, looked, strict=True)
                    if held == (b"" if one.expected is None else b"%d" % one.expected)
                ]
                pipe.multi()
                for one in agreed:
                    for command in _commands(self._keys(one.partition), one):
                        pipe.execute_command(*command)
                pipe.execute()
        except WatchError:
            return self._call(batch)
        except ResponseError:
            if self._pipelines:
                raise
            return self._call(batch)  # the slot has moved: the cluster's client finds it
        done = {one.partition: (True, one.new) for one in agreed}
        return {one.partition: (False, _offset(held)) for one, held in zip(batch, looked, strict=True)} | done

    def _node(self, key: str) -> Any:  # noqa: ANN401 - redis-py's clients share no base
        """A client of the server that has this key."""
        if self._pipelines:
            return self._client
        return self._client.get_redis_connection(self._client.get_node_from_key(key))

    def _evaluate(self, calls: list[list[Any]]) -> list[Any]:
        if not self._pipelines:
            return [self._client.eval(_APPLY, *args) for args in calls]
        if self._sha is None:
            self._sha = self._client.script_load(_APPLY)
        pipe = self._client.pipeline(transaction=False)
        for args in calls:
            pipe.evalsha(self._sha, *args)
        answers = pipe.execute(raise_on_error=False)
        for i, answer in enumerate(answers):
            # A restarted Redis has forgotten the script; such a call wrote nothing and can be sent whole.
            if isinstance(answer, NoScriptError):
                answers[i] = self._client.eval(_APPLY, *calls[i])
            elif isinstance(answer, Exception):
                raise answer
        return answers

    def checkpoints(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """See `StateStore.checkpoints`: all three keys of a partition are looked at at one moment."""
        try:
            answers = self._evaluate([[3, *self._keys(p)] for p in partitions])
        except RedisError as exc:
            raise down("checkpoints", exc) from exc
        return {p: _offset(held) for p, (held,) in zip(partitions, answers, strict=True)}

    def reset(self, partition: int) -> None:
        """See `StateStore.reset`; the server frees the memory in the background."""
        try:
            self._client.unlink(*self._keys(partition))
        except RedisError as exc:
            raise down("reset", exc) from exc

    def timers(self, partition: int, after: int, limit: int) -> DuePage:
        """See `StateStore.timers`: the page, then its proof, whose score is below every time."""
        timers = self._keys(partition)[1]
        try:
            found, held = self._with_proof("zrangebyscore", (timers, f"({after}", "+inf", 0, limit, True), timers)
            until = ALWAYS
            if len(found) >= limit:
                # The last moment may go on: leave it to the next page, or if there is no other, read all of it.
                last = int(found[-1][1])
                until = last - 1
                found = [pair for pair in found if pair[1] <= until]
                if not found:
                    until = last
                    found, held = self._with_proof("zrangebyscore", (timers, last, last, None, None, True), timers)
        except RedisError as exc:
            raise down("timers", exc) from exc
        checkpoint = None if held is None else -int(held) - 1
        return DuePage(checkpoint, [(int(score), key) for key, score in found], until)

    def _with_proof(self, command: str, page: tuple[Any, ...], timers: str) -> tuple[list[tuple[bytes, float]], Any]:
        """A page of the timers and then the score of the checkpoint among them."""
        if not self._pipelines:
            return getattr(self._client, command)(*page), self._client.zscore(timers, CHECKPOINT)
        pipe = self._client.pipeline(transaction=False)
        getattr(pipe, command)(*page)
        pipe.zscore(timers, CHECKPOINT)
        found, held = pipe.execute()
        return found, held

    def scan(self, partition: int, low: bytes, high: bytes, limit: int) -> tuple[int | None, list[bytes]]:
        """See `StateStore.scan`: the page, then its proof."""
        index = self._keys(partition)[2]
        after = b"(" + low if low >= _FIRST_TERM else b"[" + _FIRST_TERM
        page = (index, after, b"(" + high, 0, limit)
        proof = (index, b"[\0", b"(" + _FIRST_TERM)
        try:
            if self._pipelines:
                pipe = self._client.pipeline(transaction=False)
                pipe.zrangebylex(*page)
                pipe.zrangebylex(*proof)
                terms, held = pipe.execute()
            else:
                terms, held = self._client.zrangebylex(*page), self._client.zrangebylex(*proof)
        except RedisError as exc:
            raise down("scan", exc) from exc
        return (_offset(held[0].rpartition(b"\0")[2]) if held else None), terms


def connect(
    url: str,
    *,
    mode: str,
    sentinel_service: str = "",
    timeout_s: float = 5.0,
    options: Mapping[str, Any] = _NOTHING,
    sentinel_options: Mapping[str, Any] = _NOTHING,
) -> Any:  # noqa: ANN401
    """A redis-py client for `single`, `sentinel` (url names the sentinels' first) or `cluster`.

    Args:
        url: where.
        mode: what is there.
        sentinel_service: the master's name at the sentinels.
        timeout_s: of connecting, and of an answer.
        options: redis-py's, for who this is and whom to trust.
        sentinel_options: the same for sentinels.
    """
    all_options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, **options}
    if mode == "cluster":
        return redis.RedisCluster.from_url(url, **all_options)
    if mode == "sentinel":
        parsed = parse_url(url)
        sentinel = redis.Sentinel(
            [(parsed["host"], parsed.get("port", 26379))],
            sentinel_kwargs={"socket_timeout": timeout_s, **sentinel_options},
        )
        if url.startswith("rediss://"):
            all_options["ssl"] = True
        return sentinel.master_for(sentinel_service, **all_options)
    return redis.Redis.from_url(url, **all_options)


def _arguments(wanted: Apply) -> list[Any]:
    """For the script."""
    args: list[Any] = [b"" if wanted.expected is None else wanted.expected, wanted.new, 2 * len(wanted.terms)]
    for term, present in wanted.terms:
        args += (term, int(present))
    for key, raw, due in wanted.writes:
        args += (key, b"" if raw is None else raw, b"" if due is None else due)
    return args


def _commands(keys: tuple[str, str, str], wanted: Apply) -> Iterator[list[Any]]:
    """What the script does when it finds what is expected, as plain commands."""
    dossiers, timers, index = keys
    new, old = wanted.new, wanted.expected
    fields: list[Any] = [CHECKPOINT, new]
    scores: list[Any] = [-(new + 1), CHECKPOINT]
    without: list[bytes] = []
    silent: list[bytes] = []
    for key, raw, due in wanted.writes:
        if raw is None:
            without.append(key)
        else:
            fields += (key, raw)
        if due is None:
            silent.append(key)
        else:
            scores += (due, key)
    added: list[Any] = [0, CHECKPOINT + b"\0%d" % new]
    removed = [] if old is None or old == new else [CHECKPOINT + b"\0%d" % old]
    for term, present in wanted.terms:
        if present:
            added += (0, term)
        else:
            removed.append(term)
    yield from _split("HSET", dossiers, fields)
    yield from _split("HDEL", dossiers, without)
    yield from _split("ZADD", timers, scores)
    yield from _split("ZREM", timers, silent)
    yield from _split("ZADD", index, added)
    yield from _split("ZREM", index, removed)


def _split(command: str, key: str, args: list[Any]) -> Iterator[list[Any]]:
    """Not too much in one: hiredis takes ten times as long for a dossier in a command of megabytes."""
    for start in range(0, len(args), _ARGUMENTS_A_COMMAND):
        yield [command, key, *args[start : start + _ARGUMENTS_A_COMMAND]]


def _offset(raw: bytes | None) -> int | None:
    """Of a checkpoint; None for none, and for the word that says that the keys do not agree."""
    return int(raw) if raw and raw.isdigit() else None


def down(what: str, exc: RedisError) -> Exception:
    """A refusal by the script is a defect of ours; anything else means that Redis is not there for us now."""
    if _NO_RIGHT.search(str(exc)) or isinstance(exc, NoPermissionError):
        return Misconfigured(
            f"Redis {what} is refused: {exc}. `recourse acls --format redis` prints all that the ACL user needs"
        )
    if isinstance(exc, ResponseError) and not str(exc).startswith(_PASSING):
        return exc
    return StoreDown(f"redis {what}: {exc}")
