"""What can go wrong in the engine, classed by what comes next."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException


class EngineError(Exception):
    """Base of the engine's errors; the text says what, where and what to do."""


class Misconfigured(EngineError):  # noqa: N818 - a state, not an accident
    """Refuse to start: the operator must change something first."""


class Poison(EngineError):  # noqa: N818
    """One record cannot be judged: it goes to the dead-letter queue with `reason`, the next one is processed."""

    def __init__(self, reason: str, text: str) -> None:
        """`reason` is a code from a closed list, `text` names field, bound and value."""
        super().__init__(text)
        self.reason = reason


class TooManyDeadLetters(EngineError):  # noqa: N818
    """So much cannot be judged that the fault is ours: stop before the topic is drained into the DLQ."""


class BatchFailed(EngineError):  # noqa: N818
    """A batch is given up and read again; metrics count which of its kinds it was. Every other error ends a worker."""


class AbortBatch(BatchFailed):
    """The transaction was aborted and nothing of it is left; its partitions are read again."""


class FateUnknown(BatchFailed):
    """Nobody can say if the commit happened: replace the producer and read the group's offsets again."""


class Fenced(BatchFailed):
    """Another producer or group member took over; whatever was folded must not be written."""


class SlotTaken(EngineError):  # noqa: N818
    """Another process runs under the same slot: two workers must never share one."""


class Hung(EngineError):  # noqa: N818
    """A call outlived every time-out it was given. Its thread cannot be ended, so the process must be."""


class StateLost(BatchFailed):
    """Redis does not hold what it should for these partitions: rebuild them before judging any event."""

    def __init__(self, partitions: frozenset[int], text: str) -> None:
        """`partitions` are those to rebuild."""
        super().__init__(f"{text} (partitions {sorted(partitions)})")
        self.partitions = partitions


class Retriable(BatchFailed):
    """Something that is needed does not answer now (e.g. a schema registry): wait and judge the batch again.

    It says nothing about the record, so it must never make a dead letter.
    """


class NotFetched(Retriable):
    """The consumer does not read a partition that it was given: it has not begun to, or has given it up."""


class StoreDown(Retriable):
    """Redis did not answer: wait with the partitions paused, polling on."""


# Codes with which a broker says that a newer incarnation of this producer exists (KIP-360, KIP-447).
_PRODUCER_FENCED = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - librdkafka's own codes start with an underscore
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    }
)
# Codes with which a broker says that this group member is not what it was.
_MEMBER_FENCED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
    }
)


def kafka_error(exc: BaseException) -> KafkaError | None:
    """The Kafka error within an exception, or None.

    A fenced producer's flush can raise `SystemError` whose cause is the `KafkaException`.
    """
    for candidate in (exc, exc.__cause__, exc.__context__):
        if isinstance(candidate, KafkaException) and candidate.args:
            first = candidate.args[0]
            return first if isinstance(first, KafkaError) else None
    return None


def is_fence(error: KafkaError) -> bool:
    """Does the error say that somebody else took over?"""
    return error.code() in _PRODUCER_FENCED or error.code() in _MEMBER_FENCED


# Codes with which a broker says that an ACL is missing.
_UNAUTHORIZED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)


def is_unauthorized(error: KafkaError) -> bool:
    """Does the error say that this principal may not do that? It will not go away by trying again."""
    return error.code() in _UNAUTHORIZED


def unauthorized(error: KafkaError) -> Misconfigured:
    """What an operator is told then."""
    return Misconfigured(
        f"Kafka does not allow it: {error.str()}. `recourse acls` prints every right that is needed; nothing of the "
        "batch was committed"
    )


# What librdkafka calls it when another member joins with our `group.instance.id`.
_SLOT_TAKEN_TEXT = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()


def is_slot_taken(error: KafkaError) -> bool:
    """Does the error say that another process uses our `group.instance.id`?

    A consumer reports whatever ended it as `_FATAL`; then only the text says what it was.
    """
    code = error.code()
    if code == KafkaError._FATAL:  # noqa: SLF001
        return _SLOT_TAKEN_TEXT in error.str()
    return code in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED)  # noqa: SLF001


def is_fatal(error: KafkaError) -> bool:
    """Can the client that reported it do no more? A consumer's `_FATAL` does not carry the flag."""
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001
