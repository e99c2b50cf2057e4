"""What a worker's clients were told to do and what came of it, line by line into the worker's log.

When a run shows that a record was never folded, the question is whether the client ever brought it: a log without
this cannot say, and most such runs do not happen again.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition


class TracedConsumer(Consumer):
    """A consumer that tells, to standard error."""

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        """As the client's; each run of offsets is told as `topic[partition] first-last`, an error by its name."""
        found = super().consume(num_messages, timeout)
        if found:
            _tell("brought", _runs(found))
        return found

    def assign(self, partitions: list[TopicPartition]) -> None:
        """As the client's."""
        _tell("assign", _places(partitions))
        super().assign(partitions)

    def seek(self, partition: TopicPartition) -> None:
        """As the client's."""
        _tell("seek", _places([partition]))
        super().seek(partition)

    def pause(self, partitions: list[TopicPartition]) -> None:
        """As the client's."""
        _tell("pause", _places(partitions))
        super().pause(partitions)

    def resume(self, partitions: list[TopicPartition]) -> None:
        """As the client's."""
        _tell("resume", _places(partitions))
        super().resume(partitions)

    def committed(self, partitions: list[TopicPartition], *args: Any, **kwargs: Any) -> list[TopicPartition]:
        """As the client's."""
        found = super().committed(partitions, *args, **kwargs)
        _tell("committed", _places(found))
        return found


class TracedProducer(Producer):
    """A producer that tells of its transactions."""

    def init_transactions(self, *args: Any) -> None:
        """As the client's, and each of these: told when it begins and when it ends."""
        self._told("init", "", super().init_transactions, *args)

    def begin_transaction(self, *args: Any) -> None:
        """As the client's."""
        self._told("begin", "", super().begin_transaction, *args)

    def send_offsets_to_transaction(self, positions: list[TopicPartition], metadata: Any, *args: Any) -> None:
        """As the client's."""
        self._told("offsets", _places(positions), super().send_offsets_to_transaction, positions, metadata, *args)

    def commit_transaction(self, *args: Any) -> None:
        """As the client's."""
        self._told("commit", "", super().commit_transaction, *args)

    def abort_transaction(self, *args: Any) -> None:
        """As the client's."""
        self._told("abort", "", super().abort_transaction, *args)

    @staticmethod
    def _told(what: str, about: str, call: Any, *args: Any) -> None:
        _tell(what, about)
        try:
            call(*args)
        except BaseException as exc:
            _tell(what, f"failed: {exc}")
            raise
        _tell(what, "done")


_ALWAYS = frozenset({"begin", "commit", "abort", "init"})


def _runs(messages: list[Message]) -> str:
    runs: list[list[Any]] = []
    for message in messages:
        error = message.error()
        where, offset = f"{_short(message.topic())}[{message.partition()}]", message.offset()
        if error is not None:
            runs.append([where, error.name(), offset, offset])
        elif runs and runs[-1][:2] == [where, ""] and runs[-1][3] + 1 == offset:
            runs[-1][3] = offset
        else:
            runs.append([where, "", offset, offset])
    return " ".join(f"{where}{name} {first}-{last}" for where, name, first, last in runs)


def _places(partitions: list[TopicPartition]) -> str:
    return " ".join(f"{_short(each.topic)}[{each.partition}]@{each.offset}" for each in partitions)


def _short(topic: str | None) -> str:
    """Without the prefix of the run."""
    return (topic or "").partition(".")[2]


def _tell(what: str, about: str) -> None:
    sys.stderr.write(f"{time.time():.3f} {what} {about}\n")


def about(folder: Path, topic: str, partition: int) -> Iterator[str]:
    """What all workers' logs in a folder say of one partition of an input, and of what became of their batches."""
    where = re.compile(rf"{re.escape(topic)}\[{partition}\]\S*(?: \d+-\d+)?")
    for log in sorted(folder.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines():
            moment, _, rest = line.partition(" ")
            what, _, _ = rest.partition(" ")
            found = where.findall(line)
            if line.startswith("{") or what in _ALWAYS:
                yield f"{log.stem}: {line[:300]}"
            elif found:
                yield f"{log.stem}: {moment} {what} {' '.join(found)}"
