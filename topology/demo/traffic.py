"""What the world sends: a timeline of records, the same for the same seed. Nothing here knows a clock or a broker."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from schemas.records import EnforcementId, EnforcementIssued, Record, Target, UserId
from schemas.vocabulary import Action
from topology.demo import measures, odds, rates
from topology.demo.forms import Forms, user_of
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


def first_burst_s(plan: Plan) -> float:
    """When the detector version strikes wrongly for the first time."""
    return max(1.0, plan.seconds * _FIRST_BURST)


def staff_needed(plan: Plan) -> float:
    """Cases a second that this traffic opens when there is no burst."""
    return _stories_a_second(plan) * _appeals_a_story(plan)


def _appeals_a_story(plan: Plan) -> float:
    return sum(
        published.measures / rates.ALL.measures * rates.appeal_share(restriction, plan.appeal_times)
        for restriction, published in rates.BY_RESTRICTION.items()
    )


def _stories_a_second(plan: Plan) -> float:
    extra = odds.REDELIVERY_SHARE + odds.DUPLICATE_SHARE + odds.WITHDRAWAL_SHARE + odds.EARLY_WITHDRAWAL_SHARE
    extra += odds.APPELLANT_PROFILE_SHARE - odds.PROFILE_SHARE
    return plan.rate / (_RECORDS_A_STORY + _appeals_a_story(plan) * (1 + extra))


class _Timeline:
    """Stories begin one after the other; what follows from them waits in a heap for its moment."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rng = Random(plan.seed)
        self._forms = Forms(self._rng, plan.start_ms)
        self._waiting: list[tuple[float, int, Sending]] = []
        self._count = 0
        self._measures = {kind: published.measures for kind, published in rates.BY_RESTRICTION.items()}
        self._strikes: dict[UserId, EnforcementId] = {}
        """The newest measure with a strike, by user."""
        self._targets: dict[tuple[UserId, Action], Target] = {}
        """What was struck last by such a measure or one that hits the same kind of thing; never an account."""
        self._past = Random(f"{plan.seed} past")

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
        burst_s = first_burst_s(self._plan)
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
        way = None
        if self._happens(rates.appeal_share(restriction, self._plan.appeal_times)):
            way = measures.pick(self._rng, odds.WAYS_TO_APPEAL)
        if self._happens(odds.PROFILE_SHARE if way is None else odds.APPELLANT_PROFILE_SHARE):
            self._send(at_s, ENFORCEMENTS, self._forms.profile(at_s, who), Kind.PROFILE)
        issued_s = at_s - odds.UNTIMELY_DAYS * 86_400 if way is Kind.UNTIMELY else at_s
        issued = self._issued(issued_s, who, action)
        heard_s = at_s + self._rng.uniform(0.8, 2.5) if way is Kind.EARLY_APPEAL else at_s
        if way is not Kind.ORPHAN_APPEAL:
            self._send(heard_s, ENFORCEMENTS, issued, Kind.ENFORCEMENT)
            if self._happens(odds.REDELIVERY_SHARE / 10):
                self._send(heard_s + 0.4, ENFORCEMENTS, issued, Kind.REDELIVERY)
        if way is not None:
            soon = way in (Kind.EARLY_APPEAL, Kind.ORPHAN_APPEAL)
            wait_s = self._rng.uniform(0.2, 0.6) if soon else 0.3 + self._rng.expovariate(1 / _APPEAL_AFTER_S)
            self._appeal(at_s + wait_s, who, issued, way)
        if self._happens(odds.AMENDMENT_SHARE):
            later_s = heard_s + self._rng.uniform(2, 8)
            self._send(later_s, ENFORCEMENTS, self._forms.amended(later_s, issued), Kind.AMENDMENT)
        if self._happens(odds.LIFT_SHARE):
            later_s = heard_s + self._rng.uniform(2, 8)
            self._send(later_s, ENFORCEMENTS, self._forms.lifted(later_s, issued), Kind.LIFT)

    def _issued(self, at_s: float, who: measures.User, action: Action) -> EnforcementIssued:
        """A measure, in its place among what was done to this user before."""
        target = caused_by = None
        if self._past.random() < odds.SAME_TARGET_SHARE:
            target = self._targets.get((who.user_id, action))
        if action in measures.RESTS_ON_STRIKES and self._past.random() < odds.CAUSED_SHARE:
            caused_by = self._strikes.get(who.user_id)
        issued = self._forms.issued(at_s, who, action, target=target, caused_by=caused_by)
        if issued.strikes:
            self._strikes[who.user_id] = issued.enforcement_id
        for other in measures.alike(action):
            self._targets[who.user_id, other] = issued.target
        return issued

    def _burst(self, at_s: float) -> None:
        """A detector version misfires: it strikes many at once, and many of them appeal."""
        for _ in range(max(20, int(self._plan.rate / 2))):
            struck_s = at_s + self._rng.uniform(0, _BURST_S)
            who = self._user()
            issued = self._forms.issued(struck_s, who, Action.CONTENT_REMOVAL, misfire=True)
            self._send(struck_s, ENFORCEMENTS, issued, Kind.ENFORCEMENT, burst=True)
            if self._happens(rates.MISFIRE_APPEAL_SHARE):
                self._appeal(struck_s + self._rng.uniform(0.5, 4), who, issued, Kind.APPEAL, burst=True)

    def _appeal(
        self, at_s: float, who: measures.User, issued: EnforcementIssued, way: Kind, *, burst: bool = False
    ) -> None:
        appeal = self._forms.submitted(at_s, who, issued, way)
        self._send(at_s, APPEALS, appeal, way, burst=burst)
        if self._happens(odds.REDELIVERY_SHARE):
            self._send(at_s + self._rng.uniform(0.1, 3), APPEALS, appeal, Kind.REDELIVERY, burst=burst)
        if self._happens(odds.DUPLICATE_SHARE):
            again_s = at_s + self._rng.uniform(0.2, 3)
            again = self._forms.submitted(again_s, who, issued, Kind.DUPLICATE)
            self._send(again_s, APPEALS, again, Kind.DUPLICATE, burst=burst)
        if self._happens(odds.WITHDRAWAL_SHARE):
            later_s = at_s + self._rng.uniform(0.2, 4)
            self._send(later_s, APPEALS, self._forms.withdrawn(later_s, appeal), Kind.WITHDRAWAL)
        elif self._happens(odds.EARLY_WITHDRAWAL_SHARE):
            before_s = at_s - 0.2
            self._send(before_s, APPEALS, self._forms.withdrawn(before_s, appeal), Kind.EARLY_WITHDRAWAL)

    def _broken(self, at_s: float) -> None:
        """A record that must end as a dead letter. It belongs to no story, so nothing waits for it."""
        who = self._user()
        issued = self._forms.issued(at_s, who, Action.WARNING)
        appeal = self._forms.submitted(at_s, who, issued, Kind.APPEAL)
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

    # --- small things -----------------------------------------------------------------------------------------

    def _user(self) -> measures.User:
        """Some users are struck more often than others."""
        return measures.user(int(measures.USERS * self._rng.random() ** 1.5), self._plan.seed)

    def _happens(self, share: float) -> bool:
        return self._rng.random() < share

    def _send(self, at_s: float, topic: str, record: Record, kind: Kind, *, burst: bool = False) -> None:
        self._put(Sending(at_s, topic, user_of(record), record, kind, burst))

    def _put(self, sending: Sending) -> None:
        self._count += 1
        heapq.heappush(self._waiting, (sending.at_s, self._count, sending))
