"""Dead letters: what a record that cannot be judged looks like on its queue, and when there are too many.

Headers are those of KIP-1034 (Kafka Streams' dead-letter queues), plus our closed-list reason.
"""

from __future__ import annotations

import traceback
from collections import deque
from typing import cast

from confluent_kafka import Message

from topology.engine.errors import Poison, TooManyDeadLetters

EXCEPTION = "__streams.errors.exception"
MESSAGE = "__streams.errors.message"
STACKTRACE = "__streams.errors.stacktrace"
TOPIC = "__streams.errors.topic"
PARTITION = "__streams.errors.partition"
OFFSET = "__streams.errors.offset"
REASON = "recourse.reason"
TIMESTAMP = "recourse.timestamp"
SEALED = "recourse.sealed"
"""The only header before ours of a letter whose record, own headers and words are sealed (`FoldApp.seal`)."""
TOLD = "recourse.told"
TELLER = "recourse.teller"

NULL_KEY = "null_key"
BAD_KEY = "undecodable_key"
NULL_VALUE = "null_value"
IMPLAUSIBLE_TIME = "implausible_time"
HANDLER_RAISED = "handler_raised"
TIMER_RAISED = "timer_raised"
TELL_RAISED = "tell_raised"

_TEXT_BYTES = 4_096
"""A message and a trace help the on-call; more than a screen of each does not."""

Header = tuple[str, str | bytes | None]


def reason_of(exc: Exception) -> str:
    """The closed-list code of an error: its own, or that a handler raised."""
    return exc.reason if isinstance(exc, Poison) else HANDLER_RAISED


def headers(message: Message, exc: Exception, reason: str) -> list[Header]:
    """The original headers and, after them, why and where from."""
    original = cast("list[Header]", message.headers() or [])
    why = about(
        exc,
        reason,
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
    )
    return [*original, *why, (TIMESTAMP, str(message.timestamp()[1]).encode())]


def about(exc: Exception, reason: str, *, topic: str, partition: int, offset: int) -> list[Header]:
    """The headers of KIP-1034. A `Poison` was foreseen and needs no trace; anything else is a defect and does."""
    trace = "" if isinstance(exc, Poison) else "".join(traceback.format_exception(exc))
    return [
        (EXCEPTION, f"{type(exc).__module__}.{type(exc).__qualname__}".encode()),
        # Both can hold what the record held: any text, lone surrogates included, of any length.
        (MESSAGE, str(exc).encode(errors="backslashreplace")[:_TEXT_BYTES]),
        (STACKTRACE, trace.encode(errors="backslashreplace")[-_TEXT_BYTES:]),
        (TOPIC, topic.encode()),
        (PARTITION, str(partition).encode()),
        (OFFSET, str(offset).encode()),
        (REASON, reason.encode()),
    ]


class Limit:
    """Stops a worker that finds nearly everything undecodable: after a bad deploy the topic must not be drained.

    `in_a_row` dead letters one after the other, or more than `share` of the last `window` records.
    """

    def __init__(self, *, in_a_row: int, share: float, window: int) -> None:
        self._in_a_row = in_a_row
        self._share = share
        self._last: deque[int] = deque(maxlen=window)
        self._run = 0
        self._bad = 0

    def record(self, *, good: int, bad_run: int) -> None:
        """Count `good` judged records, then `bad_run` dead letters after them.

        Raises:
            TooManyDeadLetters: a cap is reached; nothing of the running batch may be committed.
        """
        unchanged = good if not self._bad and len(self._last) == self._last.maxlen else 0  # all good, and still so
        for is_bad, times in ((0, good - unchanged), (1, bad_run)):
            for _ in range(min(times, self._last.maxlen or 0)):
                if len(self._last) == self._last.maxlen:
                    self._bad -= self._last[0]
                self._last.append(is_bad)
                self._bad += is_bad
        self._run = self._run + bad_run if good == 0 else bad_run
        if self._run >= self._in_a_row:
            raise TooManyDeadLetters(
                f"{self._run} records in a row could not be judged; the fault is probably ours. Nothing of this "
                "batch was committed. Look at the newest deploy and at `recourse dlq list`, then start again."
            )
        if len(self._last) == self._last.maxlen and self._bad > self._share * len(self._last):
            raise TooManyDeadLetters(
                f"{self._bad} of the last {len(self._last)} records could not be judged; the fault is probably "
                "ours. Nothing of this batch was committed. Look at the newest deploy and at `recourse dlq list`."
            )
