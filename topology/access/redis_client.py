"""The one place where a client for Redis is made."""

from __future__ import annotations

from typing import Any

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from topology.access.redis import RedisAccess, without_secret
from topology.engine.errors import Misconfigured
from topology.engine.redis_store import connect


def redis_client(settings: RedisAccess) -> Any:  # noqa: ANN401 - redis-py's clients share no base
    """A client whose server has answered.

    Raises:
        Misconfigured: it does not answer, or does not let this process in.
    """
    try:
        client = connect(
            settings.redis,
            mode=settings.redis_mode,
            sentinel_service=settings.redis_sentinel_service,
            options=settings.redis_options(),
            sentinel_options=settings.sentinel_options(),
        )
        client.ping()
    except (AuthenticationError, NoPermissionError) as exc:
        raise Misconfigured(
            f"Redis at {without_secret(settings.redis)} does not let this process in ({exc}). Are "
            "RECOURSE_REDIS_USERNAME and RECOURSE_REDIS_PASSWORD right? `recourse acls --format redis` prints the "
            "ACL that this user needs."
        ) from exc
    except (RedisError, ValueError, OSError) as exc:
        raise Misconfigured(
            f"Redis does not answer at {without_secret(settings.redis)} ({exc}). "
            "Start one, or point RECOURSE_REDIS at yours (redis://host:port/db, or rediss:// if it speaks TLS)."
        ) from exc
    return client
