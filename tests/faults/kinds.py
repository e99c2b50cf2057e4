"""What is done to an installation, and right before which step of a batch: the cells of the campaign's table."""

from __future__ import annotations

from enum import StrEnum

from topology.engine.transaction import Step


class Fault(StrEnum):
    """The value is the table's row."""

    WORKER_STOPPED = "worker stopped (SIGTERM), started again"
    WORKER_KILLED = "worker killed (SIGKILL), started again"
    WORKER_ZOMBIE = "worker asleep (SIGSTOP) for longer than its session, then back"
    WORKER_ADDED = "another worker added"
    WORKER_REMOVED = "another worker removed (SIGTERM)"
    BROKER_KILLED = "broker killed (SIGKILL), started again"
    BROKER_FROZEN = "broker frozen (SIGSTOP) for a while"
    BROKER_DISK_SLOW = "broker's disk slow to flush, each write being flushed"
    KAFKA_CUT = "worker's connections to the broker cut"
    KAFKA_DELAYED = "worker's connections to the broker slow"
    LOST_ADD_OFFSETS = "answers to AddOffsetsToTxn swallowed"
    LOST_OFFSET_COMMIT = "answers to TxnOffsetCommit swallowed"
    LOST_END_TXN = "answers to EndTxn swallowed"
    REDIS_KILLED = "Redis killed (SIGKILL), started again empty"
    REDIS_RESTARTED = "Redis stopped in good order, started again with all it held"
    REDIS_FLUSHED = "Redis flushed (FLUSHALL)"
    REDIS_OLDER = "Redis killed, started again with an older snapshot"
    REDIS_CUT = "worker's connections to Redis cut"
    REDIS_DELAYED = "worker's connections to Redis slow"


Cell = tuple[Fault, Step]
CELLS: tuple[Cell, ...] = tuple((fault, step) for fault in Fault for step in Step)
