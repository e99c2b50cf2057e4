"""The worker's rights at Redis: the commands that its store gives, on its own keys, and nothing else."""

from __future__ import annotations

import re

from topology.settings import Settings

COMMANDS = (
    "ping", "hmget", "hget", "hset", "hdel", "exists", "unlink",
    "zscore", "zadd", "zrem", "zrangebyscore", "zrangebylex",
    "eval", "evalsha", "script|load", "watch", "unwatch", "multi", "exec", "time",
)  # fmt: skip
"""Of `topology/engine/redis_store.py` and its script; `time` for `topology/clock_watch.py`."""
CLUSTER_COMMANDS = ("cluster|slots", "cluster|shards", "command", "asking", "info")
"""How redis-py finds the servers of a cluster."""
_SPECIAL = re.compile(r"([*?\[\]\\])")


def key_patterns(settings: Settings) -> list[str]:
    """What the keys of all partitions begin with, `{group:partition}:…`, and those of users' keys.

    The latter belong to all partitionings alike; where there is but one, the first pattern has them.
    """
    names = dict.fromkeys((f"{settings.engine_name}:", f"{settings.group}:subject-keys:"))
    patterns = ["{" + _SPECIAL.sub(r"\\\1", name) + "*" for name in names]
    return patterns if settings.partitioning else patterns[:1]


def rules(settings: Settings) -> list[str]:
    """For `ACL SETUSER name …`, without name and password."""
    commands = COMMANDS + (CLUSTER_COMMANDS if settings.redis_mode == "cluster" else ())
    return [
        "reset",
        "on",
        *(f"~{pattern}" for pattern in key_patterns(settings)),
        *(f"+{command}" for command in commands),
    ]


def command(settings: Settings) -> str:
    """The whole command; the password is the reader's."""
    user = settings.redis_username or "recourse-worker"
    switch, *rest = rules(settings)
    return " ".join(["ACL", "SETUSER", user, switch, ">PASSWORD", *rest])
