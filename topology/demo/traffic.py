"""What the world sends: a timeline of records, the same for the same seed. Nothing here knows a clock or a broker."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from schemas.records import (
    AppealId,
    AppealSubmitted,
    AppealWithdrawn,
    EnforcementAmended,
    EnforcementId,
    EnforcementIssued,
    EnforcementLifted,
    Evidence,
    Millis,
    Record,
    ReviewerId,
    UserId,
    UserProfileUpdated,
)
from schemas.vocabulary import Action, AppealFlag, AppealGround, Automation, EvidenceKind, LiftReason, Source
from topology.demo import measures, odds, rates
from topology.demo.odds import Kind

ENFORCEMENTS = "enforcement.events"
APPEALS = "appeal.events"
REVIEWS = "review.events"
ACKS = "resolution.acks"

_FIRST_BURST = 0.35
"""Of the whole time."""
_BURST_EVERY_S = 30.0
_BURST_S = 1.5
_APPEAL_AFTER_S = 4.0
"""Mean time from measure to appeal. Published takedown data: a median of 13 days."""
_RECORDS_A_STORY = 1 + odds.PROFILE_SHARE + odds.AMENDMENT_SHARE + odds.LIFT_SHARE + odds.BROKEN_SHARE


@dataclass(frozen=True)
class Plan:
    """What traffic to make."""

    seed: int
    seconds: float
    rate: float
    """Records a second on average, bursts apart."""
    appeal_times: float
    """Appeals as a multiple of the published rate."""
    start_ms: int
    """UTC ms at which the timeline begins."""


@dataclass(frozen=True)
class Sending:
    """One record, or bytes that are none, for one topic at one moment of the timeline."""

    at_s: float
    topic: str
    key: str
    record: Record | bytes
    kind: Kind
    burst: bool = False


def traffic(plan: Plan) -> Iterator[Sending]:
    """The timeline in order of time; what would come after its end never comes."""
    yield from _Timeline(plan).run()


def staff_needed(plan: Plan) -> float:
    """Cases a second that this traffic opens when there is no burst."""
    return _stories_a_second(plan) * _appeals_a_story(plan)


def _appeals_a_story(plan: Plan) -> float:
    return sum(
        published.measures / rates.ALL.measures * rates.appeal_share(restriction, plan.appeal_times)
        for restriction, published in rates.BY_RESTRICTION.items()
    )


def _stories_a_second(plan: Plan) -> float:
    extra = odds.REDELIVERY_SHARE + odds.DUPLICATE_SHARE + odds.WITHDRAWAL_SHARE
    return plan.rate / (_RECORDS_A_STORY + _appeals_a_story(plan) * (1 + extra))


class _Timeline:
    """Stories begin one after the other; what follows from them waits in a heap for its moment."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rng = Random(plan.seed)
        self._waiting: list[tuple[float, int, Sending]] = []
        self._count = 0
        self._measures = {kind: published.measures for kind, published in rates.BY_RESTRICTION.items()}

    def run(self) -> Iterator[Sending]:
        """See `traffic`."""
        for at_s in self._beginnings():
            while self._waiting and self._waiting[0][0] <= at_s:
                yield heapq.heappop(self._waiting)[2]
            self._measure(at_s)
            if self._happens(odds.BROKEN_SHARE):
                self._broken(at_s)
        while self._waiting and self._waiting[0][0] < self._plan.seconds:
            yield heapq.heappop(self._waiting)[2]

    def _beginnings(self) -> Iterator[float]:
        a_second = _stories_a_second(self._plan)
        burst_s = max(1.0, self._plan.seconds * _FIRST_BURST)
        at_s = self._rng.expovariate(a_second)
        while at_s < self._plan.seconds:
            if at_s >= burst_s:
                self._burst(burst_s)
                burst_s += _BURST_EVERY_S
            yield at_s
            at_s += self._rng.expovariate(a_second)

    # --- stories ----------------------------------------------------------------------------------------------

    def _measure(self, at_s: float) -> None:
        """A measure, and what comes of it."""
        restriction = measures.pick(self._rng, self._measures)
        action = measures.pick(self._rng, rates.ACTIONS[restriction])
        who = self._user()
        if self._happens(odds.PROFILE_SHARE):
            self._profile(at_s, who)
        way = None
        if self._happens(rates.appeal_share(restriction, self._plan.appeal_times)):
            way = measures.pick(self._rng, odds.WAYS_TO_APPEAL)
        issued_s = at_s - odds.UNTIMELY_DAYS * 86_400 if way is Kind.UNTIMELY else at_s
        issued = self._issued(issued_s, who, action)
        heard_s = at_s + self._rng.uniform(0.8, 2.5) if way is Kind.EARLY_APPEAL else at_s
        if way is not Kind.ORPHAN_APPEAL:
            self._send(heard_s, ENFORCEMENTS, issued, Kind.ENFORCEMENT)
            if self._happens(odds.REDELIVERY_SHARE / 10):
                self._send(heard_s + 0.4, ENFORCEMENTS, issued, Kind.REDELIVERY)
        if way is not None:
            soon = way in (Kind.EARLY_APPEAL, Kind.ORPHAN_APPEAL)
            wait_s = self._rng.uniform(0, 0.5) if soon else 0.3 + self._rng.expovariate(1 / _APPEAL_AFTER_S)
            self._appeal(at_s + wait_s, who, issued, way)
        if self._happens(odds.AMENDMENT_SHARE):
            self._amendment(heard_s + self._rng.uniform(2, 8), issued)
        if self._happens(odds.LIFT_SHARE):
            self._lift(heard_s + self._rng.uniform(2, 8), issued)

    def _burst(self, at_s: float) -> None:
        """A detector version misfires: it strikes many at once, and many of them appeal."""
        for _ in range(max(20, int(self._plan.rate / 2))):
            struck_s = at_s + self._rng.uniform(0, _BURST_S)
            who = self._user()
            issued = self._issued(struck_s, who, Action.CONTENT_REMOVAL, misfire=True)
            self._send(struck_s, ENFORCEMENTS, issued, Kind.ENFORCEMENT, burst=True)
            if self._happens(rates.MISFIRE_APPEAL_SHARE):
                self._appeal(struck_s + self._rng.uniform(0.5, 4), who, issued, Kind.APPEAL, burst=True)

    def _appeal(
        self, at_s: float, who: measures.User, issued: EnforcementIssued, way: Kind, *, burst: bool = False
    ) -> None:
        appeal = self._submitted(at_s, who, issued, way)
        self._send(at_s, APPEALS, appeal, way, burst=burst)
        if self._happens(odds.REDELIVERY_SHARE):
            self._send(at_s + self._rng.uniform(0.1, 3), APPEALS, appeal, Kind.REDELIVERY, burst=burst)
        if self._happens(odds.DUPLICATE_SHARE):
            again_s = at_s + self._rng.uniform(0.2, 3)
            again = self._submitted(again_s, who, issued, Kind.DUPLICATE)
            self._send(again_s, APPEALS, again, Kind.DUPLICATE, burst=burst)
        if self._happens(odds.WITHDRAWAL_SHARE):
            self._withdrawal(at_s + self._rng.uniform(0.2, 4), appeal, Kind.WITHDRAWAL)
        elif self._happens(odds.EARLY_WITHDRAWAL_SHARE):
            self._withdrawal(at_s - 0.2, appeal, Kind.EARLY_WITHDRAWAL)

    def _broken(self, at_s: float) -> None:
        """A record that must end as a dead letter. It belongs to no story, so nothing waits for it."""
        who = self._user()
        issued = self._issued(at_s, who, Action.WARNING)
        appeal = self._submitted(at_s, who, issued, Kind.APPEAL)
        match measures.pick(self._rng, {Kind.UNDECODABLE: 2, Kind.WRONG_RECORD: 1, Kind.WRONG_KEY: 1}):
            case Kind.WRONG_RECORD:
                topic, record = self._rng.choice([(REVIEWS, appeal), (APPEALS, issued), (ACKS, issued)])
                self._send(at_s, topic, record, Kind.WRONG_RECORD)
            case Kind.WRONG_KEY:
                other = self._user().user_id
                key = other if other != who.user_id else UserId(f"{other}-b")
                self._put(Sending(at_s, APPEALS, key, appeal, Kind.WRONG_KEY))
            case _:
                as_json = json.dumps({"user_id": who.user_id, "appeal": appeal.appeal_id}).encode()
                data = self._rng.choice([as_json, b"\xc3\x01" + self._rng.randbytes(48), self._rng.randbytes(32)])
                topic = self._rng.choice([ENFORCEMENTS, APPEALS, ACKS])
                self._put(Sending(at_s, topic, who.user_id, data, Kind.UNDECODABLE))

    # --- records ----------------------------------------------------------------------------------------------

    def _issued(
        self, at_s: float, who: measures.User, action: Action, *, misfire: bool = False
    ) -> EnforcementIssued:
        rng = self._rng
        policy = measures.COUNTERFEIT if misfire else measures.pick(rng, measures.POLICIES)
        automated = misfire or self._happens(rates.AUTOMATED_SHARE)
        by_hand = rng.choice([Automation.AUTOMATED_DECISION_PARTIALLY, Automation.AUTOMATED_DECISION_NOT_AUTOMATED])
        enforcement_id = EnforcementId(self._new_id("enf"))
        lasts_ms = measures.ends_after_ms(rng, action)
        money = measures.amount(rng, action)
        issued_at = self._millis(at_s)
        return EnforcementIssued(
            event_id=self._new_id("ev"),
            user_id=who.user_id,
            enforcement_id=enforcement_id,
            version=1,
            issued_at=issued_at,
            policy=policy.name,
            policy_version="2025-10",
            action=action,
            ends_at=None if lasts_ms is None else Millis(issued_at + lasts_ms),
            scope=[who.region] if self._happens(0.1) else ["EU"],
            target=measures.target(rng, action, who.user_id),
            ground=policy.ground,
            category=policy.category,
            source=measures.pick(
                rng, {Source.SOURCE_VOLUNTARY: 88, Source.SOURCE_ARTICLE_16: 10, Source.SOURCE_TRUSTED_FLAGGER: 2}
            ),
            detector=rates.MISFIRE if misfire else rng.choice(policy.detectors) if automated else None,
            automation=Automation.AUTOMATED_DECISION_FULLY if automated else by_hand,
            decided_by=None if automated else ReviewerId(f"moderator-{rng.randrange(40):02d}"),
            statement_of_reasons_id=self._new_id("sor"),
            facts_ref=f"facts/{enforcement_id}",
            evidence=[self._evidence(EvidenceKind.MODEL_SIGNAL if automated else EvidenceKind.SCREENSHOT)],
            effects=measures.effects(action, enforcement_id, money),
            amount=money,
            strikes=measures.strikes(action),
        )

    def _submitted(self, at_s: float, who: measures.User, issued: EnforcementIssued, way: Kind) -> AppealSubmitted:
        rng = self._rng
        appeal_id = AppealId(self._new_id("ap"))
        other = way in (Kind.BY_OTHER, Kind.BY_AGENT)
        empty = way is Kind.EMPTY
        flags = [
            flag
            for flag, share in (
                (AppealFlag.LEGAL_ORDER, odds.LEGAL_ORDER_SHARE),
                (AppealFlag.CHILD_SAFETY, odds.CHILD_SAFETY_SHARE),
                (AppealFlag.PERSONAL_SAFETY, odds.PERSONAL_SAFETY_SHARE),
            )
            if self._happens(share)
        ]
        return AppealSubmitted(
            event_id=self._new_id("ev"),
            user_id=who.user_id,
            appeal_id=appeal_id,
            submitted_at=self._millis(at_s),
            enforcement_id=issued.enforcement_id,
            enforcement_version=None if self._happens(0.3) else issued.version,
            appellant_id=UserId(f"someone-{rng.randrange(1_000):03d}") if other else who.user_id,
            mandate_ref=f"mandates/{appeal_id}" if way is Kind.BY_AGENT else None,
            language=who.language,
            grounds=[] if empty else [rng.choice([g for g in AppealGround if g is not AppealGround.UNKNOWN])],
            statement_ref=None if empty else f"statements/{appeal_id}",
            evidence=[self._evidence(EvidenceKind.TRANSACTION_RECORD)] if not empty and self._happens(0.3) else [],
            flags=flags,
        )

    def _profile(self, at_s: float, who: measures.User) -> None:
        profile = UserProfileUpdated(
            event_id=self._new_id("ev"),
            user_id=who.user_id,
            occurred_at=self._millis(at_s),
            language=who.language,
            region=who.region,
            seller_tier=who.tier,
            lifetime_value=who.lifetime_value,
            reach=who.reach,
            is_minor=who.is_minor,
        )
        self._send(at_s, ENFORCEMENTS, profile, Kind.PROFILE)

    def _amendment(self, at_s: float, issued: EnforcementIssued) -> None:
        """The same, found by a second look to break another policy."""
        policy = measures.pick(self._rng, measures.POLICIES)
        content: dict[str, Any] = {
            name: getattr(issued, name) for name in EnforcementAmended.__struct_fields__ if hasattr(issued, name)
        }
        content |= {
            "event_id": self._new_id("ev"),
            "version": 2,
            "policy": policy.name,
            "category": policy.category,
            "ground": policy.ground,
        }
        amended = EnforcementAmended(**content, occurred_at=self._millis(at_s), reason="second look")
        self._send(at_s, ENFORCEMENTS, amended, Kind.AMENDMENT)

    def _lift(self, at_s: float, issued: EnforcementIssued) -> None:
        lifted = EnforcementLifted(
            event_id=self._new_id("ev"),
            user_id=issued.user_id,
            enforcement_id=issued.enforcement_id,
            occurred_at=self._millis(at_s),
            reason=self._rng.choice([LiftReason.ERROR, LiftReason.RETRACTED]),
            strikes_expunged=self._happens(0.5),
        )
        self._send(at_s, ENFORCEMENTS, lifted, Kind.LIFT)

    def _withdrawal(self, at_s: float, appeal: AppealSubmitted, kind: Kind) -> None:
        withdrawn = AppealWithdrawn(
            event_id=self._new_id("ev"),
            user_id=appeal.user_id,
            appeal_id=appeal.appeal_id,
            occurred_at=self._millis(at_s),
        )
        self._send(at_s, APPEALS, withdrawn, kind)

    def _evidence(self, kind: EvidenceKind) -> Evidence:
        evidence_id = self._new_id("x")
        return Evidence(evidence_id=evidence_id, kind=kind, ref=f"evidence/{evidence_id}")

    # --- small things -----------------------------------------------------------------------------------------

    def _user(self) -> measures.User:
        """Some users are struck more often than others."""
        return measures.user(int(measures.USERS * self._rng.random() ** 1.5), self._plan.seed)

    def _happens(self, share: float) -> bool:
        return self._rng.random() < share

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}-{self._rng.getrandbits(56):014x}"

    def _millis(self, at_s: float) -> Millis:
        return Millis(self._plan.start_ms + int(at_s * 1000))

    def _send(self, at_s: float, topic: str, record: Record, kind: Kind, *, burst: bool = False) -> None:
        key: str = msgspec.structs.asdict(record)["user_id"]
        self._put(Sending(at_s, topic, key, record, kind, burst))

    def _put(self, sending: Sending) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (sending.at_s, self._count, sending))
