"""A pod's queue and a writer of reviews, connected: all that a reviewer tool needs, and the reference for builders.

>>> with Client({"bootstrap.servers": "localhost:9092"}) as client:
...     queue, writer = client.queue("general"), client.writer
...     case = queue.next_for("reviewer-7")
...     answer = writer.claim(case, "reviewer-7")
...     held = queue.wait_for(case.case_id, answer.line.case_version, 5)

Nothing is kept anywhere: a client that starts reads the pods' topics whole, and the audit from its end on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from desk.answers import Answers
from desk.errors import Misconfigured
from desk.following import Follower, Part, View, partitions, reader
from desk.names import LINES, REVIEWS, Names
from desk.queue import PodQueue
from desk.writer import ANSWER_S, ReviewWriter
from schemas import Codec, DecodeError
from schemas.records import CaseEvent, CaseId

_ASK_S: Final = 10.0
_AGAIN_S: Final = 0.2
_LINE: Final = frozenset({CaseEvent})
CLIENT: Final = "desk"
"""How the client's groups are called: its role, as the rights of `recourse acls` have it. Nothing is committed."""


class Lines:
    """The audit as it comes (`desk.following.View`): answers for those who wait, and lines for whoever listens."""

    def __init__(self, codec: Codec, answers: Answers, hear: Callable[[CaseEvent, Message], None] | None) -> None:
        self._codec = codec
        self._answers = answers
        self._hear = hear

    def take(self, message: Message) -> None:
        """See `View`."""
        value = message.value()
        if value is None:
            return
        try:
            line = cast("CaseEvent", self._codec.decode(value, _LINE))
        except DecodeError:
            return  # `recourse case verify` names it; nobody can be waiting for a line without a cause
        self._answers.heard(line)
        if self._hear is not None:
            self._hear(line, message)

    def caught_up(self) -> None:
        """See `View`."""


class Client:
    """Everything connected; use it as a context, or `start` and `close` it.

    Args:
        kafka: How to reach the cluster, in librdkafka's words: `bootstrap.servers`, and TLS and SASL if it wants them.
        names: What the installation calls its topics.
        codec: With a registry, if the installation has one.
        pods: Whose queues; none: every pod that has a topic this client may see.
        answer_s: How long the engine may take to answer.
        on_case: Told of each case that came, changed or left, with its pod.
        on_line: Told of each new line of the audit.

    Raises:
        Misconfigured: the brokers do not answer, or a topic is missing.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        names: Names | None = None,
        codec: Codec | None = None,
        *,
        pods: Iterable[str] = (),
        answer_s: float = ANSWER_S,
        on_case: Callable[[str, CaseId], None] | None = None,
        on_line: Callable[[CaseEvent, Message], None] | None = None,
    ) -> None:
        self.kafka = dict(kafka)
        self.names = names or Names()
        self.codec = codec or Codec()
        asked = reader(self.kafka, f"{self.names.prefix}{CLIENT}-asks")
        try:
            self.partitions = partitions(asked)
            self._refuse_missing([LINES, REVIEWS])
            self._chosen, self._on_case = tuple(pods), on_case
            self.queues = {pod: self._new_queue(pod, on_case) for pod in self._pods(self._chosen)}
            self.line_ends = ends(asked, self.names.on_cluster(LINES), self.partitions)
        finally:
            asked.close()
        answers = Answers()
        self.writer = ReviewWriter(self.kafka, self.names, self.codec, answers, answer_s=answer_s)
        lines = self.names.on_cluster(LINES)
        self._followers = [
            self.follower("cases", {self.names.on_cluster(f"cases.{pod}"): q for pod, q in self.queues.items()}),
            self.follower("lines", {lines: Lines(self.codec, answers, on_line)}, self.line_ends),
        ]

    def queue(self, pod: str) -> PodQueue:
        """A pod's queue.

        Raises:
            Misconfigured: there is no such pod, or this client does not read it.
        """
        if pod not in self.queues:
            raise Misconfigured(f"no queue of pod {pod}; there are {', '.join(self.queues) or 'none'}")
        return self.queues[pod]

    def find(self, case_id: str) -> tuple[PodQueue, CaseId] | None:
        """The pod that an open case is at."""
        for queue in self.queues.values():
            if case_id in queue:
                return queue, CaseId(case_id)
        return None

    def follower(self, name: str, views: Mapping[str, View], first: Mapping[int, int] | None = None) -> Follower:
        """A thread that feeds these views, by topic on the cluster; from the beginning, or an offset a partition."""
        parts = [
            Part(topic, number) if first is None else Part(topic, number, first[number])
            for topic in views
            for number in range(self.partitions[topic])
        ]
        return Follower(self.kafka, f"{self.names.prefix}{CLIENT}-{name}", parts, views)

    def take_new_pods(self, found: Mapping[str, int]) -> list[str]:
        """Read the queues of pods whose topics have come since the start; to be called by one thread alone.

        Args:
            found: every topic that this client may see, and how many partitions it has.

        Returns:
            The new pods; none if this client reads only some pods, which it was given.
        """
        if self._chosen:
            return []
        new = [pod for topic in found if (pod := self.names.pod_of(topic)) is not None and pod not in self.queues]
        for pod in new:
            topic, queue = self.names.on_cluster(f"cases.{pod}"), self._new_queue(pod, self._on_case)
            self.partitions = {**self.partitions, topic: found[topic]}
            follower = self.follower(f"cases.{pod}", {topic: queue})
            follower.start()
            self._followers = [*self._followers, follower]
            # Others look through it meanwhile, so it is never changed in place.
            self.queues = dict(sorted({**self.queues, pod: queue}.items()))
        return new

    @property
    def failure(self) -> Exception | None:
        """Why a thread ended by itself, if one has."""
        return next((each.failure for each in self._followers if each.failure is not None), None)

    def start(self) -> None:
        """Begin to read."""
        for follower in self._followers:
            follower.start()

    def close(self) -> None:
        """End the threads, and give the connections back."""
        for follower in self._followers:
            follower.stop()
        self.writer.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _new_queue(self, pod: str, on_case: Callable[[str, CaseId], None] | None) -> PodQueue:
        return PodQueue(pod, self.codec, None if on_case is None else lambda case_id: on_case(pod, case_id))

    def _pods(self, wanted: Iterable[str]) -> list[str]:
        there = sorted(pod for topic in self.partitions if (pod := self.names.pod_of(topic)) is not None)
        chosen = list(wanted) or there
        self._refuse_missing([f"cases.{pod}" for pod in chosen])
        if not chosen:
            raise Misconfigured(f"no topic begins with {self.names.prefix}cases. Run `recourse create-topics`")
        return chosen

    def _refuse_missing(self, topics: list[str]) -> None:
        missing = [name for name in map(self.names.on_cluster, topics) if name not in self.partitions]
        if missing:
            raise Misconfigured(
                f"no topic {', '.join(missing)}, or no right to see it. Run `recourse create-topics`, or is the "
                "prefix right?"
            )


def ends(consumer: Consumer, topic: str, counts: Mapping[str, int]) -> dict[int, int]:
    """By partition, the offset up to which everything is settled: what is committed later lies behind it.

    Raises:
        Misconfigured: the brokers do not answer.
    """
    return {number: _end(consumer, TopicPartition(topic, number)) for number in range(counts[topic])}


def _end(consumer: Consumer, place: TopicPartition) -> int:
    """Asked again while the broker is only not ready to answer: a topic just made, a leader just moved."""
    deadline = time.monotonic() + _ASK_S
    while True:
        try:
            # The stubs forget that it is none when the time is over.
            marks: tuple[int, int] | None = consumer.get_watermark_offsets(place, timeout=_ASK_S)
        except KafkaException as error:
            fault: KafkaError = error.args[0]
            if time.monotonic() > deadline or fault.fatal():
                where = f"{place.topic}[{place.partition}]"
                raise Misconfigured(f"Kafka does not say where {where} ends: {fault.str()}") from error
            time.sleep(_AGAIN_S)
            continue
        if marks is not None:  # pyright: ignore[reportUnnecessaryComparison]
            return marks[1]
        raise Misconfigured(f"Kafka does not say where {place.topic}[{place.partition}] ends within {_ASK_S:g} s")
