"""One partition in small: its users' dossiers, its remedies and its index, folded without an engine."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from processors import cohort, fold, remedy
from processors.codec import decode_remedy, encode_remedy
from processors.dossier import Dossier
from processors.fold import decode_dossier, encode_dossier
from processors.on_file import Enforcement
from processors.references import NOTHING, Seen
from processors.remedy_state import Remedy
from processors.rulebook import Rulebook
from schemas.codec import Codec
from schemas.records import (
    CaseEvent,
    Detector,
    EnforcementId,
    EnforcementIssued,
    InputRecord,
    Millis,
    Record,
    RemedyApproved,
    RemedyDue,
    RemedyOrdered,
    RemedyProposed,
    RemedyReported,
    RemedySteered,
    ReversalOrdered,
    ReviewerId,
    UserId,
)
from schemas.vocabulary import RemedySteer, ReversalCause
from tests.unit.builders import DAY, HOUR, RULEBOOK, T0, Emission, an_appeal, an_enforcement, fresh

BAD = Detector(name="fake-finder", version="7")
GOOD = Detector(name="fake-finder", version="8")
START = T0 + 10 * DAY
_CODEC = Codec()
Command = RemedyProposed | RemedyApproved | RemedySteered


def a_proposal(remedy_id: str = "m-1", **change: Any) -> RemedyProposed:
    base = {
        "event_id": fresh("ev-proposed"),
        "remedy_id": remedy_id,
        "partition": 0,
        "partitions": 1,
        "actor": ReviewerId("olga"),
        "occurred_at": Millis(START),
        "reason": "it takes brand owners for fakes",
        "detector": BAD,
        "issued_from": Millis(T0),
        "issued_until": Millis(T0 + 5 * DAY),
        "per_second": 1_000,
    }
    return RemedyProposed(**{**base, **change})


def an_approval(actor: str, remedy_id: str = "m-1", **change: Any) -> RemedyApproved:
    base = {
        "event_id": fresh("ev-approved"),
        "remedy_id": remedy_id,
        "partition": 0,
        "partitions": 1,
        "actor": ReviewerId(actor),
        "occurred_at": Millis(START),
        "enforcements": 7,
    }
    return RemedyApproved(**{**base, **change})


def a_steering(steer: RemedySteer, remedy_id: str = "m-1", **change: Any) -> RemedySteered:
    base = {
        "event_id": fresh("ev-steered"),
        "remedy_id": remedy_id,
        "partition": 0,
        "partitions": 1,
        "actor": ReviewerId("olga"),
        "occurred_at": Millis(START),
        "reason": "wait",
        "steer": steer,
    }
    return RemedySteered(**{**base, **change})


def struck(user: str, enforcement_id: str, at: int = T0, **change: Any) -> EnforcementIssued:
    return an_enforcement(at, user_id=UserId(user), enforcement_id=EnforcementId(enforcement_id), **change)


def appealed(user: str, enforcement_id: str, at: int = T0 + HOUR) -> Any:
    who = {"user_id": UserId(user), "appellant_id": UserId(user)}
    return an_appeal(at, appeal_id=f"a-{enforcement_id}", enforcement_id=EnforcementId(enforcement_id), **who)


@dataclass
class Partition:
    """Send records, let remedies come due, read what came out. States lie here as bytes, as in the engine's store."""

    rulebook: Rulebook = RULEBOOK
    now: int = START
    trace: str = ""
    partition: int = 0
    partitions: int = 1
    found: tuple[bytes, ...] = ()
    dossiers: dict[str, bytes] = field(default_factory=dict)
    remedies: dict[str, bytes] = field(default_factory=dict)
    terms: set[bytes] = field(default_factory=set)
    out: list[Emission] = field(default_factory=list)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    told: list[tuple[str, RemedyOrdered]] = field(default_factory=list)

    # --- what handlers see ------------------------------------------------------------------------------------

    def look(self, _e: Enforcement) -> Seen:
        return NOTHING

    def emit(self, topic: str, key: str, record: Record | None) -> None:
        if record is not None:
            _CODEC.encode(record, topic)  # what cannot be sent would be a dead letter
        self.out.append(Emission(topic, key, record))

    def spend(self, name: str, limit: int) -> bool:
        return limit > 0

    def index(self, term: bytes) -> None:
        self.terms.add(term)

    def timed(self, name: str) -> None:
        pass

    def unindex(self, term: bytes) -> None:
        self.terms.discard(term)

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        self.counted[name, ",".join(labels.values())] += int(by)

    def peek(self, key: str) -> Dossier | None:
        assert key.encode() in map(cohort.owner, self.found)
        return decode_dossier(self.dossiers[key]) if key in self.dossiers else None

    def tell(self, key: str, event: RemedyOrdered) -> None:
        self.told.append((key, event))

    # --- what the engine does ---------------------------------------------------------------------------------

    def send(self, *records: InputRecord | Command) -> None:
        """Fold them now."""
        for record in records:
            if isinstance(record, Command):
                state = self.remedy(record.remedy_id)
                remedy.handle(state, record, self)
                self.remedies[record.remedy_id] = encode_remedy(state)
            else:
                self._fold(record.user_id, record)

    def tick(self) -> bool:
        """Let the remedy that is due first have its timer; False when none is."""
        due, remedy_id = min(
            ((state.due, key) for key in self.remedies if (state := self.remedy(key)).due is not None),
            default=(None, ""),
        )
        if due is None:
            return False
        self.now = max(self.now, due)
        state = self.remedy(remedy_id)
        wanted = remedy.scan(state)
        assert wanted is not None, "it is due, and looks for nothing"
        low, high, limit = wanted
        self.found = tuple(sorted(term for term in self.terms if low < term < high)[:limit])
        remedy.handle(state, RemedyDue(remedy_id, Millis(self.now)), self)
        assert state.due is None or state.due > self.now
        self.remedies[remedy_id] = encode_remedy(state)
        self.found = ()
        for key, event in self.told:
            self._fold(key, event)
        self.told.clear()
        return True

    def run(self, ticks: int = 10_000) -> int:
        """Until no remedy is due; how often one was."""
        for done in range(ticks):
            if not self.tick():
                return done
        return ticks

    def _fold(self, user: str, event: InputRecord | RemedyOrdered) -> None:
        dossier = self.dossier(user)
        fold.handle(dossier, event, self)
        self.dossiers[user] = encode_dossier(dossier)

    # --- what is there ----------------------------------------------------------------------------------------

    def dossier(self, user: str) -> Dossier:
        return decode_dossier(self.dossiers[user]) if user in self.dossiers else fold.new_dossier(user)

    def remedy(self, remedy_id: str = "m-1") -> Remedy:
        known = self.remedies.get(remedy_id)
        return Remedy(remedy_id=remedy_id) if known is None else decode_remedy(known)

    def reports(self, remedy_id: str = "m-1") -> list[RemedyReported]:
        return [e.record for e in self.out if isinstance(e.record, RemedyReported) and e.key == remedy_id]

    @property
    def last(self) -> RemedyReported:
        return self.reports()[-1]

    @property
    def orders(self) -> list[ReversalOrdered]:
        return [e.record for e in self.out if isinstance(e.record, ReversalOrdered)]

    def reversed(self, cause: ReversalCause = ReversalCause.REMEDY) -> list[str]:
        """Enforcements whose reversal was ordered for this cause, each as often as it was."""
        return [o.enforcement_id for o in self.orders if o.cause is cause and o.attempt == 1]

    def lines(self, user: str) -> list[CaseEvent]:
        return [e.record for e in self.out if isinstance(e.record, CaseEvent) and e.key == user]
