"""What a worker does for privacy: seals dead letters, and keeps the view of the users' keys; nothing without a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.codec import Codec
from topology.engine.batch import Output
from topology.engine.errors import Misconfigured, Retriable
from topology.privacy import letters
from topology.privacy.follower import Follower
from topology.privacy.opening import keys_of, partitions_of_keys
from topology.privacy.subject_keys import now_ms
from topology.settings import Settings
from topology.topics import Register


class PrivacyAtWork:
    """The keys of the loop's thread, and the follower with its own."""

    def __init__(self, settings: Settings, register: Register, codec: Codec, redis: Any) -> None:  # noqa: ANN401
        """`redis` is a client that threads may share.

        Raises:
            Misconfigured: a topic is missing, or the key-encryption keys are not those that were used.
        """
        partitions = partitions_of_keys(settings, register)
        name = f"{settings.engine_name}-keys"
        keys, self._log = keys_of(settings, register, codec, redis, partitions=partitions, name=name)
        own, log = keys_of(settings, register, codec, redis, partitions=partitions, name=f"{name}-follower")
        try:
            keys.prepare()
        except Retriable as exc:
            raise Misconfigured(f"the keys of users cannot be read: {exc}") from exc
        topics = {register.on_cluster(f"{topic.name}.dlq") for topic in register.user_inputs}
        self.seal: Callable[[list[Output]], None] = letters.sealer(keys, topics, now_ms)
        self._follower = Follower(own, log.close)
        self._follower.start()

    def close(self) -> None:
        """Stop following, and let go of the connections."""
        self._follower.stop()
        self._log.close()


def at_work(settings: Settings, register: Register, codec: Codec, redis: Any) -> PrivacyAtWork | None:  # noqa: ANN401
    """None where no key-encryption key is set: then dead letters lie as they came."""
    return None if settings.kek is None else PrivacyAtWork(settings, register, codec, redis)
