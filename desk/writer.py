"""Writes what reviewers do to `review.events`, and waits for the engine's answer.

Every event names its actor and the version of the case that the actor saw; the first valid one wins. Its id is derived
from its content, so that a click that comes twice is one event.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any, Final, TypedDict

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from desk.answers import Answer, Answers
from desk.errors import NoAnswer, NotWritten
from desk.names import REVIEWS, Names
from schemas import Codec, EncodeError
from schemas.records import (
    Case,
    CaseClaimed,
    CaseHeld,
    CaseId,
    CaseReferred,
    CaseReleased,
    CaseResumed,
    DecisionConfirmed,
    DecisionProposed,
    DecisionReturned,
    EvidenceRequested,
    Lesser,
    Millis,
    ReviewerId,
    ReviewEvent,
    UserId,
)
from schemas.vocabulary import (
    DismissalReason,
    EvidenceKind,
    EvidenceSupplier,
    HoldReason,
    Outcome,
    ReferralReason,
)

ANSWER_S: Final = 10.0
"""How long an answer may take before a person is told that there is none; usually it takes tens of milliseconds."""
IN_TURN: Final[Mapping[str, Any]] = {"max.in.flight.requests.per.connection": 1}
"""A broker that refuses the first of two requests to a new partition and takes the second makes the client believe
that it took both (KAFKA-15591)."""
_WRITE_S: Final = 8.0
_POLL_S: Final = 0.1
_SPACE: Final = uuid.UUID("6f1d2c4e-90a7-5a4e-9d0c-2b3f5a7c9e11")


@dataclass(frozen=True, slots=True)
class Decision:
    """What is proposed: an outcome with what it needs (docs/review.md has a table)."""

    outcome: Outcome
    reasons_ref: str
    cited_evidence: Sequence[str] = ()
    dismissal: DismissalReason | None = None
    substituted_policy: str | None = None
    lesser: Lesser | None = None
    guidance_ref: str | None = None


class _About(TypedDict):
    event_id: str
    user_id: UserId
    case_id: CaseId
    actor: ReviewerId
    expected_version: int
    occurred_at: Millis


class ReviewWriter:
    """One producer for all reviewers of a tool; any thread may use it.

    Args:
        kafka: How to reach the cluster, in librdkafka's words.
        names: Of the installation's topics.
        codec: Of the process.
        answers: Fed with the lines of `case.events` from before the first event on.
        answer_s: How long an answer may take.
    """

    def __init__(
        self, kafka: Mapping[str, Any], names: Names, codec: Codec, answers: Answers, *, answer_s: float = ANSWER_S
    ) -> None:
        # The partitioner of Java's clients: a user's events must meet in one partition, whoever wrote them.
        self._producer = Producer(
            {
                **kafka,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                **IN_TURN,
                "linger.ms": 0,
                "delivery.timeout.ms": int(_WRITE_S * 1_000),
                "log_level": 2,
            }
        )
        self._topic = names.on_cluster(REVIEWS)
        self._codec = codec
        self._answers = answers
        self._answer_s = answer_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="desk-writer", daemon=True)
        self._thread.start()

    # --- what reviewers do ---------------------------------------------------------------------------------------

    def claim(self, case: Case, actor: str) -> Answer:
        """Take the case, or the second look at its proposed decision; by its holder: renew the lease.

        Like all of these:

        Returns:
            The engine's answer: accepted, or rejected with the reason.

        Raises:
            NotWritten: Kafka did not take it; nothing has happened.
            NoAnswer: it is written and was not answered in time; it will count.
        """
        return self.write(CaseClaimed(**_about("claim", case, actor)))

    def release(self, case: Case, actor: str, reason: str | None = None) -> Answer:
        """Hand the case back: it keeps its place in the order. `reason` is a code or a reference, not a text."""
        return self.write(CaseReleased(**_about("release", case, actor), reason=reason))

    def request_evidence(
        self,
        case: Case,
        actor: str,
        *,
        kinds: Sequence[EvidenceKind],
        supplier: EvidenceSupplier,
        at_least: int = 1,
        due_at: int | None = None,
        note_ref: str | None = None,
    ) -> Answer:
        """Ask for evidence; the case waits for it, and its claim ends."""
        about = _about("request", case, actor, supplier, ",".join(kinds), str(at_least), str(due_at), note_ref or "")
        due = None if due_at is None else Millis(due_at)
        return self.write(
            EvidenceRequested(
                **about, kinds=list(kinds), at_least=at_least, supplier=supplier, due_at=due, note_ref=note_ref
            )
        )

    def refer(
        self, case: Case, actor: str, *, to_pod: str, reason: ReferralReason, note_ref: str | None = None
    ) -> Answer:
        """Hand the case on to another pod, by its holder."""
        about = _about("refer", case, actor, to_pod, reason, note_ref or "")
        return self.write(CaseReferred(**about, to_pod=to_pod, reason=reason, note_ref=note_ref))

    def hold(
        self, case: Case, actor: str, *, reason: HoldReason, until: int | None = None, note_ref: str | None = None
    ) -> Answer:
        """Let the case wait for something outside."""
        about = _about("hold", case, actor, reason, str(until), note_ref or "")
        ends = None if until is None else Millis(until)
        return self.write(CaseHeld(**about, reason=reason, until=ends, note_ref=note_ref))

    def resume(self, case: Case, actor: str) -> Answer:
        """A case that waits goes on."""
        return self.write(CaseResumed(**_about("resume", case, actor)))

    def propose(self, case: Case, actor: str, decision: Decision) -> Answer:
        """Decide, by the holder of the claim: it counts, or waits for a second reviewer, as the rulebook says."""
        content = msgspec.json.encode(decision).decode()
        return self.write(
            DecisionProposed(
                **_about("propose", case, actor, content),
                outcome=decision.outcome,
                reasons_ref=decision.reasons_ref,
                policy_version=case.enforcement.policy_version,
                cited_evidence=list(decision.cited_evidence),
                dismissal=decision.dismissal,
                substituted_policy=decision.substituted_policy,
                lesser=decision.lesser,
                guidance_ref=decision.guidance_ref,
            )
        )

    def confirm(self, case: Case, actor: str, reasons_ref: str | None = None) -> Answer:
        """Agree with the proposed decision, by the second reviewer who has claimed the case."""
        return self.write(DecisionConfirmed(**_about("confirm", case, actor), reasons_ref=reasons_ref))

    def give_back(self, case: Case, actor: str, guidance_ref: str) -> Answer:
        """Return the proposed decision with guidance, by the second reviewer."""
        return self.write(DecisionReturned(**_about("return", case, actor, guidance_ref), guidance_ref=guidance_ref))

    # --- how it is written ---------------------------------------------------------------------------------------

    def write(self, event: ReviewEvent) -> Answer:
        """Write any review event, and wait.

        Raises:
            NotWritten: Kafka did not take it.
            NoAnswer: it is written and was not answered in time.
        """
        answer = self._answers.expect(event.event_id)
        if answer.done():
            return answer.result()  # the same click once more
        try:
            self.send(event)
            return answer.result(self._answer_s)
        except FutureTimeout:
            raise NoAnswer(
                f"{type(event).__name__} {event.event_id} is written to {self._topic}, and was not answered within "
                f"{self._answer_s:g} s: is the engine running? It counts as soon as it is read"
            ) from None
        finally:
            self._answers.forget(event.event_id, answer)

    def send(self, event: ReviewEvent) -> None:
        """Write any review event, and wait only until Kafka has it.

        Raises:
            NotWritten: Kafka did not take it.
        """
        taken: Future[None] = Future()

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is None:
                taken.set_result(None)
            else:
                taken.set_exception(KafkaException(error))

        try:
            value = self._codec.encode(event, self._topic)
            self._producer.produce(self._topic, value, event.user_id, on_delivery=delivered)
            taken.result(2 * _WRITE_S)
        except (BufferError, EncodeError, FutureTimeout) as error:
            raise NotWritten(f"{self._topic}: {type(event).__name__} was not written: {error or 'time-out'}") from error
        except KafkaException as error:
            text = error.args[0].str()
            raise NotWritten(f"{self._topic}: {type(event).__name__} was not written: {text}") from error

    def close(self) -> None:
        """Send what is left and end."""
        self._stop.set()
        self._thread.join()
        self._producer.flush(_WRITE_S)

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(_POLL_S)


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


def derived(*parts: str) -> str:
    """An id that the same parts always give."""
    return str(uuid.uuid5(_SPACE, "\x1f".join(parts)))


def _about(what: str, case: Case, actor: str, *content: str) -> _About:
    return {
        "event_id": derived(what, case.case_id, str(case.version), actor, *content),
        "user_id": case.user_id,
        "case_id": case.case_id,
        "actor": ReviewerId(actor),
        "expected_version": case.version,
        "occurred_at": Millis(now_ms()),
    }
