"""Reads the facts of the balance back from the topics, with a consumer of its own and `read_committed`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Set as AbstractSet
from typing import Any

from schemas.codec import Codec
from schemas.records import (
    AppealSubmitted,
    Case,
    CaseEvent,
    DirectiveAcked,
    EnforcementAmended,
    EnforcementEvent,
    EnforcementIssued,
    EnforcementLifted,
    EvidenceSupplied,
    ReversalConfirmed,
    ReversalOrdered,
)
from schemas.vocabulary import AckStatus, CaseEventKind
from topology.demo.balance import Facts, Place
from topology.demo.clock import now_ms
from topology.demo.errors import DemoError
from topology.demo.outbox import Ledger
from topology.demo.reading import Arrived, Reader
from topology.demo.specialists import CASES
from topology.demo.systems import RESOLUTIONS, EnforcementSystems, SystemsState, truth, verdicts_of, woven
from topology.demo.traffic import REVIEWS
from topology.demo.view import DEAD_LETTERS
from topology.engine import deadletter
from topology.lag import Lag, Reached
from topology.topics import Register

CASE_EVENTS = "case.events"
COMMANDS = "remedy.commands"

_TIMEOUT_S = 120.0
_APPLIED = frozenset({AckStatus.APPLIED, AckStatus.ALREADY_APPLIED})


def read_facts(
    kafka: dict[str, Any],
    register: Register,
    codec: Codec,
    *,
    group: str,
    ledger: Ledger,
    systems: EnforcementSystems,
    staff: AbstractSet[str] = frozenset(),
) -> Facts:
    """Everything that the balance needs.

    Args:
        kafka: how to reach the cluster.
        register: the topics.
        codec: how records are read.
        group: the workers' consumer group, for how far they have read.
        ledger: what the senders say that they sent.
        systems: what they say that they have not applied yet, and what they hold, to be compared with the topics.
        staff: the simulated specialists; what anybody else decides or commands, a person at the desk has.
    """
    facts = Facts(
        records_sent=ledger.records,
        appeals_sent=set(ledger.appeals),
        in_hand=set(systems.in_hand),
        broken_sent=set(ledger.broken),
    )
    lag = Lag(kafka, register, group)
    try:
        reached = lag.read()
    finally:
        lag.close()
    topics = [*(t.name for t in register.inputs), CASE_EVENTS, RESOLUTIONS]
    topics += [t.name for t in register.topics if t.name.startswith(CASES) or t.name.endswith(DEAD_LETTERS)]
    reading = _Reading(facts, reached, {topic.name for topic in register.inputs}, systems.state, staff)
    reader = Reader(kafka, register, codec, topics, name=f"{group}-balance")
    try:
        deadline = time.monotonic() + _TIMEOUT_S
        while not reader.at_end:
            if time.monotonic() > deadline:
                raise DemoError(f"the topics could not be read back within {_TIMEOUT_S:.0f} s: does Kafka still run?")
            for arrived in reader.take(1.0, limit=2_000):
                reading.receive(arrived)
    finally:
        reader.close()
    reading.finish()
    return facts


class _Reading:
    """Sorts committed records into facts."""

    def __init__(
        self, facts: Facts, reached: Reached, inputs: set[str], systems: SystemsState, staff: AbstractSet[str]
    ) -> None:
        self._facts = facts
        self._systems = systems
        self._staff = staff
        self._done: dict[str, list[EnforcementEvent]] = {}
        """What was done, by user, in the order of the topic."""
        self._orders: dict[str, list[ReversalOrdered]] = {}
        self._reached = reached
        self._inputs = inputs
        self._read_appeals: set[str] = set()
        self._standing: dict[tuple[str, str], bool] = {}

    def receive(self, arrived: Arrived) -> None:
        """Take one record in."""
        if arrived.topic in self._inputs:
            self._input(arrived)
        elif arrived.topic.startswith(CASES):
            self._standing[arrived.topic, arrived.key] = isinstance(arrived.record, Case)
        elif arrived.topic.endswith(DEAD_LETTERS):
            self._facts.dead_letters[_origin(arrived)] += 1
        elif isinstance(arrived.record, CaseEvent):
            self._line(arrived.record)
        elif isinstance(arrived.record, ReversalOrdered):
            self._facts.reversals[arrived.record.reversal_id] = arrived.record.user_id
            self._orders.setdefault(arrived.record.user_id, []).append(arrived.record)
            for directive in arrived.record.directives:
                self._facts.directives[directive.directive_id] = arrived.record.reversal_id
        elif isinstance(arrived.record, ReversalConfirmed):
            self._facts.confirmed[arrived.record.reversal_id] += 1

    def finish(self) -> None:
        """After the last record."""
        self._facts.unread_appeals -= self._read_appeals
        self._facts.struck = set(self._done)
        now = now_ms()
        for user_id, events in self._done.items():
            right = truth(woven(events, verdicts_of(self._orders.get(user_id, []))), now)
            if differences := self._systems.view(user_id, now).differences(right):
                self._facts.amiss[user_id] = "; ".join(differences)
        self._facts.open = Counter(case_id for (_, case_id), stands in self._standing.items() if stands)

    def _input(self, arrived: Arrived) -> None:
        facts = self._facts
        facts.records_on_topics += 1
        facts.records_by_hand += self._by_hand(arrived)
        unread = arrived.offset >= self._reached[arrived.topic, arrived.partition].committed
        place = (arrived.topic, arrived.partition, arrived.offset)
        if unread and place in facts.broken_sent:
            facts.unread_broken.add(place)
        record = arrived.record
        if isinstance(record, AppealSubmitted) and record.user_id == arrived.key:
            (facts.unread_appeals if unread else self._read_appeals).add(record.appeal_id)
        if (
            isinstance(record, EnforcementIssued | EnforcementAmended | EnforcementLifted)
            and record.user_id == arrived.key
        ):
            self._done.setdefault(record.user_id, []).append(record)
        if isinstance(record, DirectiveAcked) and unread and record.status in _APPLIED:
            facts.unread_answers.add(record.directive_id)

    def _by_hand(self, arrived: Arrived) -> bool:
        """Whether a person at the desk wrote it; evidence comes from the demo's suppliers, and never from there."""
        if arrived.topic == COMMANDS:
            return True
        if arrived.topic != REVIEWS or arrived.record is None or isinstance(arrived.record, EvidenceSupplied):
            return False
        return getattr(arrived.record, "actor", None) not in self._staff

    def _line(self, line: CaseEvent) -> None:
        facts = self._facts
        match line.kind:
            case CaseEventKind.CASE_OPENED:
                facts.opened[line.appeal_id or ""] += 1
                facts.cases[line.case_id or ""] += 1
            case CaseEventKind.INTERNAL_CASE_OPENED:
                facts.cases[line.case_id or ""] += 1
            case CaseEventKind.APPEAL_REFUSED:
                facts.refused[line.appeal_id or ""] += 1
            case CaseEventKind.APPEAL_WITHDRAWN_UNOPENED:
                facts.withdrawn_unopened[line.appeal_id or ""] += 1
            case CaseEventKind.APPEAL_PARKED:
                facts.parked.add(line.appeal_id or "")
            case CaseEventKind.CASE_DECIDED:
                facts.decided[line.case_id or ""] += 1
            case CaseEventKind.DIRECTIVE_APPLIED:
                facts.applied[line.saw.get("directive_id", "")] += 1
            case CaseEventKind.DIRECTIVE_RESOLVED:
                facts.applied[line.saw.get("directives", "")] += 1
            case CaseEventKind.DIRECTIVE_SUPERSEDED:
                facts.superseded[line.saw.get("directive_id", "")] += 1
            case _:
                pass


def _origin(arrived: Arrived) -> Place:
    told = {name: value.decode(errors="replace") for name, value in arrived.headers.items()}
    partition, offset = told.get(deadletter.PARTITION, "-1"), told.get(deadletter.OFFSET, "-1")
    return arrived.topic.removesuffix(DEAD_LETTERS), int(partition), int(offset)
