"""What became of each appeal under one rulebook, gathered from what the fold emits and from nothing else."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from processors.automation import ACTOR
from processors.reasons import Reversed
from schemas.records import (
    AppellantNotice,
    Case,
    CaseEvent,
    EnforcementRemanded,
    ImmunityGranted,
    Record,
    ReversalConfirmed,
    ReversalOrdered,
    ReversalStalled,
)
from schemas.vocabulary import CaseEventKind, CaseState, Outcome
from topology.simulate.fold import Emitted
from topology.simulate.trace import Trace

UNNAMED = "unnamed"
"""Trigger of a second review that no published case gives."""


class Answer(StrEnum):
    """How intake has answered an appeal."""

    NONE = "none"
    PARKED = "parked"
    CASE = "case"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn before a case"
    INTERNAL = "a case without an appeal"
    """Nobody appealed: what the enforcement rests on was overturned, or a remand was not answered."""


class Fate(msgspec.Struct):
    """One appeal, or one case without an appeal under the id that stands for it; all times UTC ms."""

    user_id: str
    appeal_id: str
    answer: Answer = Answer.NONE
    answered_at: int = 0
    """When it was parked, or answered for good."""
    refusal: str | None = None
    first: Case | None = None
    """The case as it was opened."""
    last: Case | None = None
    """The case as it was published last."""
    outcome: Outcome | None = None
    decided_at: int | None = None
    by_rule: bool = False
    """Granted by a rule of the rulebook."""
    by_consequence: bool = False
    """Overturned because what the enforcement rests on was."""
    withheld: bool = False
    """A rule would have granted it; its cap or its audit share sent it to people."""
    deadline_missed: bool = False
    promise_missed: bool = False
    proposed: bool = False
    """A first decision was put before a second reviewer."""
    triggers: frozenset[str] = frozenset()
    """Why a second review was asked for."""
    state: CaseState | None = None
    """Of the case, as the audit says last."""
    seen_until: int = 0
    """The clock of its partition at the end of the record."""
    trace: Trace = msgspec.field(default_factory=Trace)
    """Everything that was emitted about it, ids of lines and digests of rulebooks left aside."""


class Unfit(msgspec.Struct, frozen=True):
    """A reviewer's event, or a late withdrawal, that changed nothing."""

    user_id: str
    case_id: str | None
    event: str
    """Record type."""
    reason: str
    at: int


class Fates(msgspec.Struct):
    """All that one rulebook makes of the inputs."""

    appeals: dict[tuple[str, str], Fate] = {}
    """By user and appeal id."""
    unfit: dict[tuple[str, str], Unfit] = {}
    """By user and id of the rejected event."""
    rest: dict[str, Trace] = {}
    """By user: what was emitted about no appeal."""
    consequences: dict[str, int] = {}
    """Enforcements judged again because what they rest on was overturned, by verdict; breaches of immunity too."""
    dead_letters: dict[str, int] = {}
    """By reason."""


class Recorder:
    """Takes emissions in the order of the fold; `fates` grows."""

    def __init__(self) -> None:
        self.fates = Fates()
        self._cases: dict[str, Fate] = {}
        self._reversals: dict[str, Fate] = {}
        self._of_partition: dict[int, list[Fate]] = {}
        self._partition = 0

    def take(self, partition: int, key: str, emitted: Emitted, _now: int) -> None:
        """What one event of the user `key` emitted; a `Sink`."""
        self._partition = partition
        for topic, name, record in emitted:
            if isinstance(record, CaseEvent) and record.kind is CaseEventKind.REVIEW_REJECTED:
                self._reject(key, record)
                continue
            fate = self._note(key, name, record)
            trace = self.fates.rest.setdefault(key, Trace()) if fate is None else fate.trace
            trace.add(topic, record)

    def end(self, partition: int, clock: int) -> None:
        """The partition's record ends here."""
        for fate in self._of_partition.pop(partition, ()):
            fate.seen_until = clock

    def _note(self, user: str, name: str, record: Record | None) -> Fate | None:
        """Keep what the record says; returns the appeal that it is about."""
        match record:
            case CaseEvent():
                return self._line(user, record)
            case Case():
                fate = self._cases[record.case_id] = self._fate(user, record.appeal_id)
                _publish(fate, record)
            case AppellantNotice():
                fate = None if record.appeal_id is None else self._fate(user, record.appeal_id)
            case ReversalOrdered():
                fate = self._cases.get(record.case_id)
                if fate is not None:
                    self._reversals[record.reversal_id] = fate
            case ReversalConfirmed() | ReversalStalled() | EnforcementRemanded():
                fate = self._cases.get(record.case_id)
            case ImmunityGranted():
                fate = self._reversals.get(record.reversal_id)
            case _:  # a tombstone: its key is the case, or the reversal
                fate = self._cases.get(name) or self._reversals.get(name)
        return fate

    def _reject(self, user: str, line: CaseEvent) -> None:
        event, reason = line.saw.get("event", "AppealWithdrawn"), line.reason or "without reason"
        self.fates.unfit[user, line.cause_id] = Unfit(user, line.case_id, event, reason, line.occurred_at)

    def _line(self, user: str, line: CaseEvent) -> Fate | None:
        counted = _COUNTED.get(line.kind)
        if counted is not None:
            name = counted if line.reason is None else f"{counted}: {line.reason}"
            self.fates.consequences[name] = self.fates.consequences.get(name, 0) + 1
        if line.appeal_id is None or line.kind is CaseEventKind.STATEMENT_ADDED:  # it names the appeal that was added
            return None if line.case_id is None else self._cases.get(line.case_id)
        fate = self._fate(user, line.appeal_id)
        _happen(fate, line)
        return fate

    def _fate(self, user: str, appeal_id: str) -> Fate:
        fate = self.fates.appeals.get((user, appeal_id))
        if fate is None:
            fate = self.fates.appeals[user, appeal_id] = Fate(user, appeal_id)
            self._of_partition.setdefault(self._partition, []).append(fate)
        return fate


_COUNTED = {CaseEventKind.CONSEQUENCE_JUDGED: "consequence", CaseEventKind.IMMUNITY_BREACHED: "immunity breached"}
"""Lines that belong to no appeal, and that policy people change the rulebook for."""


def _publish(fate: Fate, case: Case) -> None:
    if fate.first is None:
        fate.first = case
    fate.last = case
    if case.second_review is not None:
        fate.triggers |= frozenset(case.second_review.because)


def _happen(fate: Fate, line: CaseEvent) -> None:  # noqa: C901 - one branch a kind of line
    kind = line.kind
    if line.state is not None:
        fate.state = line.state
    if kind is CaseEventKind.APPEAL_PARKED:
        fate.answer, fate.answered_at = Answer.PARKED, line.occurred_at
    elif kind is CaseEventKind.CASE_OPENED:
        fate.answer, fate.answered_at = Answer.CASE, line.occurred_at
    elif kind is CaseEventKind.INTERNAL_CASE_OPENED:
        fate.answer, fate.answered_at = Answer.INTERNAL, line.occurred_at
    elif kind is CaseEventKind.APPEAL_REFUSED:
        fate.answer, fate.answered_at, fate.refusal = Answer.REFUSED, line.occurred_at, line.reason
    elif kind is CaseEventKind.APPEAL_WITHDRAWN_UNOPENED:
        fate.answer, fate.answered_at = Answer.WITHDRAWN, line.occurred_at
    elif kind is CaseEventKind.CASE_DECIDED:
        fate.outcome, fate.decided_at = line.outcome, line.occurred_at
        fate.by_rule = (line.actor or "").startswith(ACTOR)
        fate.by_consequence = line.reason == Reversed.CONSEQUENCE
    elif kind is CaseEventKind.GRANT_WITHHELD:
        fate.withheld = True
    elif kind is CaseEventKind.DEADLINE_MISSED:
        fate.deadline_missed = True
    elif kind is CaseEventKind.PROMISE_MISSED:
        fate.promise_missed = True
    elif kind is CaseEventKind.DECISION_PROPOSED:
        fate.proposed = True


def triggers_of(fate: Fate) -> frozenset[str]:
    """Why a second person had to look at a decision that was proposed; empty if none had to."""
    return (fate.triggers or frozenset({UNNAMED})) if fate.proposed else frozenset()
