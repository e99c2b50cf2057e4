"""Commands of remedies: a copy for every partition, all of them or none, and what may be approved by whom.

Nothing is reversed before a dry run over all partitions and the approvals of people who did not propose it; each
partition judges for itself, so what is refused here would be refused there (docs/reversal.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Producer

from desk.client import CLIENT
from desk.errors import NotWritten
from desk.names import COMMANDS, Names
from desk.writer import IN_TURN, derived, now_ms
from schemas import Codec
from schemas.records import Millis, MisfireSuspected, RemedyApproved, RemedyProposed, RemedySteered, ReviewerId
from schemas.remedy_whole import Whole
from schemas.vocabulary import RemedyState, RemedySteer

_BROKER_S: Final = 20.0
Command = RemedyProposed | RemedyApproved | RemedySteered


def may_not_approve(whole: Whole, actor: str) -> str | None:
    """A code that says why this person cannot approve it now; None: they can."""
    if whole.missing or RemedyState.PREVIEWING in whole.states:
        return "previewing"
    if set(whole.states) != {RemedyState.AWAITING_APPROVAL}:
        return "not_waiting"
    if any(report.proposed_by == actor for report in whole.reports.values()):
        return "own"
    return "again" if actor in whole.approved_by else None


def steers(whole: Whole) -> list[RemedySteer]:
    """What can be done with it as it stands."""
    states = set(whole.states)
    found: list[RemedySteer] = []
    if RemedyState.RUNNING in states:
        found.append(RemedySteer.PAUSE)
    if RemedyState.PAUSED in states:
        found.append(RemedySteer.RESUME)
    if states - {RemedyState.STOPPED, RemedyState.DONE}:
        found.append(RemedySteer.STOP)
    return found


class RemedyWriter:
    """Writes commands, each in one transaction. Seldom used, so each has a producer of its own.

    Args:
        kafka: How to reach the cluster.
        names: Of its topics.
        codec: Of the process.
        partitions: Of the commands' topic.
    """

    def __init__(self, kafka: Mapping[str, Any], names: Names, codec: Codec, partitions: int) -> None:
        self._kafka = kafka
        self._topic = names.on_cluster(COMMANDS)
        self._id = f"{names.prefix}{CLIENT}-remedies"
        self._codec = codec
        self._partitions = partitions

    def propose(self, alert: MisfireSuspected, actor: str, reason: str, per_second: int) -> RemedyProposed:
        """Name the cohort of an alert. Nothing is reversed by that: a dry run follows.

        Raises:
            NotWritten: it may be written or not; the same again is safe.
        """
        cohort = (
            alert.detector.name,
            alert.detector.version,
            alert.policy or "",
            str(alert.issued_from),
            str(alert.issued_until),
        )
        command = RemedyProposed(
            event_id=derived("remedy-proposed", *cohort, actor, reason, str(per_second)),
            remedy_id=_readable(cohort, alert.issued_from),
            partition=0,
            partitions=self._partitions,
            actor=ReviewerId(actor),
            occurred_at=Millis(now_ms()),
            reason=reason,
            detector=alert.detector,
            policy=alert.policy,
            issued_from=alert.issued_from,
            issued_until=alert.issued_until,
            per_second=per_second,
        )
        self._send(command)
        return command

    def approve(self, whole: Whole, actor: str) -> RemedyApproved:
        """Agree with the dry run as it was shown.

        Raises:
            NotWritten: see `propose`.
        """
        total = whole.cohort.enforcements
        command = RemedyApproved(
            event_id=derived("remedy-approved", whole.remedy_id, actor, str(total), _said(whole)),
            remedy_id=whole.remedy_id,
            partition=0,
            partitions=self._partitions,
            actor=ReviewerId(actor),
            occurred_at=Millis(now_ms()),
            enforcements=total,
        )
        self._send(command)
        return command

    def steer(self, whole: Whole, steer: RemedySteer, actor: str, reason: str) -> RemedySteered:
        """Pause, resume or stop.

        Raises:
            NotWritten: see `propose`.
        """
        command = RemedySteered(
            event_id=derived("remedy-steered", whole.remedy_id, steer, actor, reason, _said(whole)),
            remedy_id=whole.remedy_id,
            partition=0,
            partitions=self._partitions,
            actor=ReviewerId(actor),
            occurred_at=Millis(now_ms()),
            reason=reason,
            steer=steer,
        )
        self._send(command)
        return command

    def _send(self, command: Command) -> None:
        copies: Sequence[Command] = [
            msgspec.structs.replace(command, partition=number) for number in range(self._partitions)
        ]
        producer = Producer(
            {
                **self._kafka,
                **IN_TURN,
                "transactional.id": self._id,
                "transaction.timeout.ms": int(_BROKER_S * 1_000),
                "log_level": 2,
            }
        )
        try:
            producer.init_transactions(_BROKER_S)
            producer.begin_transaction()
            for copy in copies:
                value = self._codec.encode(copy, self._topic)
                producer.produce(self._topic, value, command.remedy_id, copy.partition)
            producer.commit_transaction(_BROKER_S)
        except KafkaException as error:
            fault: KafkaError = error.args[0]
            if fault.txn_requires_abort():
                producer.abort_transaction(_BROKER_S)
            raise NotWritten(
                f"{self._topic} did not take the command ({fault.str()}); the same command again is safe"
            ) from error


def _said(whole: Whole) -> str:
    """All that people have told it: the same words after another command are another command."""
    return ",".join(sorted(whole.answers))


def _readable(cohort: Sequence[str], since: int) -> str:
    detector, version = (re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-")[:60] for part in cohort[:2])
    day = f"{datetime.fromtimestamp(since / 1000, UTC):%Y-%m-%d}"
    return f"{detector}-{version}-{day}-{derived(*cohort)[:6]}"
