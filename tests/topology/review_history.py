"""What an outsider can know of a run: all that is on the topics, and the life of each case by its lines alone.

Nothing here or in `review_checker` knows how the decision logic works: records come decoded by the public codec, and
what policy people decided is read from the rulebook's plain sections.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.records import (
    AppealSubmitted,
    AppellantNotice,
    Case,
    CaseEvent,
    EnforcementAmended,
    EnforcementIssued,
    Record,
    ReversalOrdered,
)
from schemas.vocabulary import Band, CaseEventKind, CaseOrigin, CaseState, Outcome
from tests.topology.review_forgetting import Forgetting
from tests.topology.review_undoing import Undone

Kind = CaseEventKind
QUEUED = CaseState.QUEUED
OPENED = (Kind.CASE_OPENED, Kind.INTERNAL_CASE_OPENED)

_UNITS_MS = {"min": 60_000, "s": 1_000, "h": 3_600_000, "d": 86_400_000}


class Broken(AssertionError):  # noqa: N818 - what was seen, not an error of ours
    """A promise was not kept."""


def span_ms(text: str) -> int:
    """Milliseconds of a duration as rulebooks write it."""
    unit = next(unit for unit in _UNITS_MS if text.endswith(unit))
    return int(text.removesuffix(unit)) * _UNITS_MS[unit]


@dataclass(frozen=True)
class Policy:
    """What the checker must know of a rulebook, from its plain sections."""

    deadline_ms: int
    pause_cap_ms: int
    lease_ms: int
    returns: int
    lead: str | None
    reviewers: Mapping[str, frozenset[str]]
    """By pod, where the pod lists them."""
    standards: tuple[Mapping[str, Any], ...]
    severity: Mapping[str, float]
    second: Mapping[str, Any]
    thresholds: Mapping[str, int]
    """By action: at how many strikes it follows."""
    lapse_ms: int
    immunity_ms: int
    remand_ms: int

    @staticmethod
    def of(book: Mapping[str, Any]) -> Policy:
        review = book["review"]
        return Policy(
            deadline_ms=span_ms(review["deadline"]),
            pause_cap_ms=span_ms(review.get("pause_cap", "14d")),
            lease_ms=span_ms(review["lease"]),
            returns=review.get("returns", 2),
            lead=review.get("lead_pod"),
            reviewers={p["name"]: frozenset(p["reviewers"]) for p in book["pods"] if p.get("reviewers") is not None},
            standards=tuple(book.get("evidence") or ()),
            severity=book["severity"]["actions"],
            second=book.get("second_review") or {},
            thresholds={action: rule["at"] for rule in book["strikes"]["thresholds"] for action in rule["actions"]},
            lapse_ms=span_ms(book["strikes"]["lapse"]),
            immunity_ms=span_ms(book["immunity"]["time"]),
            remand_ms=span_ms(review.get("remand_time", "14d")),
        )


@dataclass
class Life:
    """One case, as its lines tell it."""

    case_id: str
    user_id: str
    enforcement_id: str | None
    state: CaseState
    version: int
    pod: str | None
    band: Band | None
    holder: str | None = None
    proposer: str | None = None
    returned: int = 0
    disputed_by: frozenset[str] = frozenset()
    """The two who did not agree."""
    with_lead: bool = False
    """Escalated or disputed: only a person moves it to another pod."""
    waived: set[str] = field(default_factory=set)
    """Kinds that the appellant was asked for and did not give in time."""
    outcome: Outcome | None = None
    closed: int = 0
    origin: CaseOrigin = CaseOrigin.APPEAL


@dataclass
class Sent:
    """One input by its `event_id`: the record, when it was first written, and how often."""

    record: Record
    at: int
    deliveries: int = 1


class History:
    """Everything that was read so far. `take` is called once for every record, inputs and cases before lines."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.sent: dict[str, Sent] = {}
        self.appeals: dict[str, AppealSubmitted] = {}
        self.deciders: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        """By enforcement: (when it was written, who decided a version of it)."""
        self.lines: defaultdict[str, list[CaseEvent]] = defaultdict(list)
        self.lives: dict[str, Life] = {}
        self.reviewed: defaultdict[str, set[str]] = defaultdict(set)
        """By enforcement: who has decided a case on it."""
        self.by_version: dict[tuple[str, int], Case] = {}
        self.newest: dict[str, Case] = {}
        self.on_pods: dict[tuple[str, str], Case] = {}
        self.notices: list[AppellantNotice] = []
        self.orders: list[ReversalOrdered] = []
        self.undone = Undone()
        self.forgetting: defaultdict[str, Forgetting] = defaultdict(Forgetting)
        """By user."""
        self.looked_at: set[tuple[str, str | None, int]] = set()
        """Cases without an appeal: (what they follow from, enforcement, its version)."""
        self.answers: defaultdict[str, list[CaseEvent]] = defaultdict(list)
        """Lines by the input that caused them."""
        self.counts: Counter[str] = Counter()

    def take_input(self, record: Record, at: int) -> None:
        """One record of an input topic that was written at this time (UTC ms)."""
        self.counts[f"input {type(record).__name__}"] += 1
        self.undone.take_input(record, at)
        self.forgetting[record.user_id].take_input(record)  # type: ignore[attr-defined]
        event_id: str = record.event_id  # type: ignore[attr-defined]
        known = self.sent.get(event_id)
        if known is not None:
            known.deliveries += 1
            return
        self.sent[event_id] = Sent(record, at)
        if isinstance(record, AppealSubmitted):
            self.appeals.setdefault(record.appeal_id, record)
        if isinstance(record, EnforcementIssued | EnforcementAmended) and record.decided_by is not None:
            self.deciders[record.enforcement_id].append((at, record.decided_by))

    def take_output(self, record: Record) -> None:
        """One record of the topics for notices and reversals."""
        match record:
            case AppellantNotice():
                self.notices.append(record)
            case ReversalOrdered():
                self.orders.append(record)
                self.undone.take_output(record)
            case _:
                self.undone.take_output(record)

    def take_case(self, case: Case) -> None:
        """One published form of a case; call in the order of versions."""
        self.by_version[case.case_id, case.version] = case
        self.newest[case.case_id] = case

    def take_line(self, line: CaseEvent) -> None:
        """One line of the audit, after it was checked: what is known of its case from now on."""
        self.lines[line.user_id].append(line)
        self.answers[line.cause_id].append(line)
        self.counts[f"line {line.kind}"] += 1
        if line.kind in _COUNTED:
            self.counts[f"{_COUNTED[line.kind]} {line.reason}"] += 1
        if line.kind is Kind.REVERSAL_ORDERED:
            self.counts[f"ordered {line.reason or line.saw.get('cause', 'decision')}"] += 1
        self.undone.take_line(line)
        cause = self.sent.get(line.cause_id)
        self.forgetting[line.user_id].take_line(line, None if cause is None else cause.record)
        if line.case_id is None:
            return
        if line.kind in OPENED:
            assert line.state is not None
            assert line.case_version is not None
            life = self.lives[line.case_id] = Life(
                line.case_id, line.user_id, line.enforcement_id, line.state, line.case_version, line.pod, line.band
            )
            if line.kind is Kind.INTERNAL_CASE_OPENED:
                life.origin = CaseOrigin(line.saw["origin"])
                version = int(line.saw["enforcement_version"])
                self.looked_at.add((line.saw["because"], line.enforcement_id, version))
        life = self.lives.get(line.case_id)
        if life is None:
            return
        if line.state is not None:
            self.counts[f"state {line.state}"] += 1
        _tell(life, line, self)

    def timeline(self, user_id: str, last: int = 60) -> str:
        """The user's newest lines, one each, for a failure's message."""
        lines = self.lines[user_id]
        began = lines[0].occurred_at if lines else 0
        return "\n".join(_told(line, began, self) for line in lines[-last:])


_COUNTED = {
    Kind.REVIEW_REJECTED: "refusal",
    Kind.ENFORCEMENT_CHANGED: "change",
    Kind.ACK_IGNORED: "answer",
    Kind.DIRECTIVE_FAILED: "answer",
    Kind.REVERSAL_STALLED: "stalled",
}
"""Lines whose reasons are counted, and as what."""

_LETS_GO = frozenset(
    {
        Kind.CASE_RELEASED,
        Kind.CLAIM_EXPIRED,
        Kind.CASE_HELD,
        Kind.CASE_REFERRED,
        Kind.DECISION_PROPOSED,
        Kind.DECISION_RETURNED,
        Kind.DECISION_DISPUTED,
        Kind.CASE_DECIDED,
        Kind.CASE_ESCALATED,
        Kind.CASE_REROUTED,
    }
)
"""After these nobody holds the case."""


def _tell(life: Life, line: CaseEvent, history: History) -> None:
    kind, before = line.kind, life.state
    life.state = line.state or before
    life.version = line.case_version or life.version
    life.pod, life.band = line.pod or life.pod, line.band or life.band
    asked = kind is Kind.EVIDENCE_REQUESTED and line.actor is not None
    dropped = kind is Kind.ENFORCEMENT_CHANGED and before is not QUEUED and line.state is QUEUED
    # The second reviewer's claim is dropped without the state changing where they turn out to be the decider.
    if kind in _LETS_GO or asked or dropped or "claim_dropped" in line.saw:
        life.holder = None
    elif kind in (Kind.CASE_CLAIMED, Kind.CLAIM_RENEWED):
        life.holder = line.actor
    if kind in (Kind.CASE_ESCALATED, Kind.DECISION_DISPUTED, Kind.CASE_REFERRED):
        life.with_lead = kind is not Kind.CASE_REFERRED
    life.closed += kind is Kind.CASE_CLOSED
    if kind is Kind.EVIDENCE_OVERDUE and line.saw["supplier"] == "appellant":
        life.waived.update(line.saw["kinds"].split(","))
    _tell_decisions(life, line)
    if kind is Kind.CASE_DECIDED:
        people = {line.saw.get("reviewer", ""), line.saw.get("second_reviewer", "")}
        history.reviewed[str(life.enforcement_id)] |= {p for p in people if p and not p.startswith("rule:")}
        history.counts[f"outcome {line.outcome}"] += 1
        if "how" in line.saw:
            history.counts[f"decided {line.saw['how']}"] += 1


def _tell_decisions(life: Life, line: CaseEvent) -> None:
    kind = line.kind
    if kind is Kind.DECISION_PROPOSED:
        life.proposer = line.actor
    elif kind is Kind.CASE_DECIDED:
        life.outcome = line.outcome
    elif kind in (Kind.DECISION_RETURNED, Kind.DECISION_DISPUTED):
        if kind is Kind.DECISION_DISPUTED:
            life.disputed_by |= {str(life.proposer), str(line.actor)}
        life.returned += kind is Kind.DECISION_RETURNED
        life.proposer = None
    elif kind is Kind.ENFORCEMENT_CHANGED and line.state is not CaseState.SECOND_REVIEW:
        life.proposer = None


def _told(line: CaseEvent, began: int, history: History) -> str:
    minutes = (line.occurred_at - began) // 60_000
    when = f"{minutes // 1440}d{minutes % 1440 // 60:02}h{minutes % 60:02}"
    cause = history.sent.get(line.cause_id)
    by = line.cause_id if cause is None else type(cause.record).__name__
    words = (line.case_id and line.case_id[:4], line.case_version, line.state, line.pod, line.band, line.actor)
    extra = " ".join(f"{k}={v[:60]}" for k, v in line.saw.items() if k in _SHOWN)
    told = " ".join(str(word) for word in (*words, line.outcome, line.reason) if word is not None)
    return f"{line.seq:4} {when:>9} {line.kind:22} {told} <- {by[:60]} {extra}"


_SHOWN = frozenset(
    {"from", "kinds", "supplier", "still_asked", "until", "paused_ms", "first_reviewer", "second_reviewer", "how"}
    | {"reversal_id", "directive_id", "by", "caused_by", "because", "origin", "attempt", "lesser_action"}
    | {"expected_version", "event", "detail", "claim_dropped", "proposal_dropped", "rank_at"}
)


def broken(history: History, user_id: str, text: str) -> Broken:
    """The failure, with what happened to the user."""
    return Broken(f"{text}\n--- {user_id}:\n{history.timeline(user_id)}")


def some(items: Iterable[object]) -> str:
    """A few of them, for messages."""
    return ", ".join(str(item) for item in list(items)[:6]) or "none"
