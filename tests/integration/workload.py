"""A seeded life of many users, told in the order of time: what the tests of the whole topology send.

Each story is one enforcement and what follows from it. Together they hold every way in which an appeal can end, and
what must not count twice or at all: redeliveries, duplicates, late withdrawals, stale reviews, bytes nobody can read.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec

from processors import ids
from schemas import records as r
from schemas import vocabulary as v
from schemas.codec import Codec
from topology.topics import load_register

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SPAN = 9 * DAY
"""Longer than the parking time, so that appeals which waited in vain are refused while the story is told."""

TOPIC_OF: dict[type, str] = {
    cls: topic.name for topic in load_register().inputs for cls in sorted(topic.allowed, key=lambda c: c.__name__)
}

_OF_THE_FIRST = ("issued_at", "caused_by", "version")
"""Fields that a first version has and an amendment does not, or not the same."""

Told = tuple[int, r.Record]
"""(UTC ms at which it happens, record)."""


class Row(NamedTuple):
    """One record to send; `record` is none when its bytes are none."""

    topic: str
    key: bytes | None
    value: bytes | None
    at: int
    record: r.Record | None


def workload(events: int, seed: int) -> list[Row]:
    """`events` rows in the order of time; the same for the same seed and day: they start at midnight, nine days ago."""
    rng = random.Random(seed)
    start = (time.time_ns() // 1_000_000 - SPAN) // DAY * DAY
    users = [r.UserId(f"user-{n:06d}") for n in range(max(8, events // 16))]
    told: list[tuple[int, int, r.Record | bytes]] = []
    while len(told) < events * 1.03:
        begin = start + rng.randrange(SPAN - DAY)
        story = Story(rng, len(told), rng.choice(users), begin)
        told += [(at, len(told) + n, record) for n, (at, record) in enumerate(story.tell())]
        if rng.random() < 0.01:
            told.append((begin, len(told), rng.randbytes(rng.randrange(1, 60))))
    told.sort(key=lambda item: item[:2])
    codec = Codec()
    return [_row(codec, rng, at, what, rng.choice(users)) for at, _, what in told[:events]]


def row_of(record: r.Record, at: int, codec: Codec | None = None) -> Row:
    """The row that sends this record."""
    topic = TOPIC_OF[type(record)]
    return Row(topic, record.user_id.encode(), (codec or Codec()).encode(record), at, record)  # type: ignore[attr-defined]


def _row(codec: Codec, rng: random.Random, at: int, what: r.Record | bytes, user: str) -> Row:
    if isinstance(what, bytes):
        return Row(rng.choice(sorted(set(TOPIC_OF.values()))), user.encode(), what, at, None)
    return row_of(what, at, codec)


class Story:
    """One enforcement against one user and what follows."""

    def __init__(self, rng: random.Random, number: int, user: r.UserId, at: int) -> None:
        self.rng = rng
        self.number = f"{number:06d}"
        self.user = user
        self.at = at
        self.count = 0
        self.enforcement_id = r.EnforcementId(f"enf-{self.number}")

    def tell(self) -> Iterator[Told]:
        """One of the stories, by its weight."""
        tellers = tuple(STORIES)
        yield from self.rng.choices(tellers, [STORIES[t] for t in tellers])[0](self)

    # --- stories ----------------------------------------------------------------------------------------------

    def quiet(self) -> Iterator[Told]:
        yield self.enforcement()
        if self.rng.random() < 0.3:
            yield self.profile()

    def appealed(self) -> Iterator[Told]:
        yield self.enforcement()
        yield self.appeal(self.later(6 * HOUR))

    def decided(self) -> Iterator[Told]:
        issued, at = self.enforcement(), self.later(6 * HOUR)
        yield issued
        yield self.appeal(at)
        reviewer = self.reviewer()
        at += self.up_to(2 * HOUR)
        yield self.review(r.CaseClaimed, at, reviewer, 1)
        if self.rng.random() < 0.2:  # somebody was quicker
            yield self.review(r.CaseClaimed, at + SECOND, self.reviewer(), self.rng.choice((1, 2)))
        if self.rng.random() < 0.1:
            yield self.review(r.CaseReleased, at + 2 * SECOND, reviewer, 2)
        at += self.up_to(35 * MINUTE)  # sometimes after the lease
        outcome = self.rng.choice((v.Outcome.OVERTURNED, v.Outcome.OVERTURNED, v.Outcome.UPHELD))
        yield self.decision(at, reviewer, outcome)
        if outcome is v.Outcome.OVERTURNED:
            yield from self.acks(at, issued[1])
        if self.rng.random() < 0.1:
            yield at + HOUR, self.withdrawal(at + HOUR)

    def looked_at_twice(self) -> Iterator[Told]:
        issued, at = self.ban(), self.later(6 * HOUR)
        first, second, _ = self.three()
        yield issued
        yield self.appeal(at)
        outcome = self.rng.choice((v.Outcome.OVERTURNED, v.Outcome.UPHELD))
        yield self.review(r.CaseClaimed, at + SECOND, first, 1)
        yield self.decision(at + 2 * SECOND, first, outcome)
        yield self.review(r.CaseClaimed, at + 3 * SECOND, self.rng.choice((first, second, second, second)), 3)
        yield self.review(r.DecisionConfirmed, at + 4 * SECOND, second, 4)
        if outcome is v.Outcome.OVERTURNED:
            yield from self.acks(at + 4 * SECOND, issued[1])

    def returned_and_disputed(self) -> Iterator[Told]:
        at = self.later(6 * HOUR)
        first, second, lead = self.three()
        yield self.ban()
        yield self.appeal(at)
        yield self.review(r.CaseClaimed, at + SECOND, first, 1)
        yield self.decision(at + 2 * SECOND, first, v.Outcome.UPHELD)
        yield self.review(r.CaseClaimed, at + 3 * SECOND, second, 3)
        yield self.review(r.DecisionReturned, at + 4 * SECOND, second, 4, guidance_ref=f"s3://guidance/{self.number}")
        yield self.review(r.CaseClaimed, at + 5 * SECOND, first, 5)
        yield self.decision(at + 6 * SECOND, first, v.Outcome.UPHELD, 6)
        yield self.review(r.CaseClaimed, at + 7 * SECOND, second, 7)
        yield self.decision(at + 8 * SECOND, second, v.Outcome.DISMISSED, 8)  # without a reason: rejected
        yield self.decision(at + 9 * SECOND, second, v.Outcome.OVERTURNED, 8)
        yield self.review(r.CaseClaimed, at + 10 * SECOND, lead, 9)
        yield self.decision(at + 11 * SECOND, lead, v.Outcome.UPHELD, 10)

    def asked(self) -> Iterator[Told]:
        at = self.later(6 * HOUR)
        reviewer = self.reviewer()
        yield self.enforcement()
        yield self.appeal(at)
        yield self.review(r.CaseClaimed, at + SECOND, reviewer, 1)
        kinds = [v.EvidenceKind.LICENCE, v.EvidenceKind.SCREENSHOT]
        due_at = r.Millis(at + 12 * HOUR)
        yield self.review(r.EvidenceRequested, at + 2 * SECOND, reviewer, 2, kinds=kinds, due_at=due_at)
        if self.rng.random() < 0.6:
            at += self.up_to(14 * HOUR)  # sometimes too late
            shown = r.Evidence(evidence_id=f"y-{self.number}", kind=kinds[0], ref=f"s3://evidence/y-{self.number}")
            supplied = self.review(
                r.EvidenceSupplied,
                at,
                r.ReviewerId(self.user),
                0,
                supplier=v.EvidenceSupplier.APPELLANT,
                evidence=[shown],
            )[1]
            yield at, msgspec.structs.replace(supplied, expected_version=None)

    def held(self) -> Iterator[Told]:
        at = self.later(6 * HOUR)
        reviewer = self.reviewer()
        yield self.enforcement()
        yield self.appeal(at)
        yield self.review(r.CaseClaimed, at + SECOND, reviewer, 1)
        yield self.review(r.CaseHeld, at + 2 * SECOND, reviewer, 2, reason=v.HoldReason.INVESTIGATION)
        yield self.review(r.CaseResumed, at + self.up_to(DAY), self.reviewer(), 3)

    def referred(self) -> Iterator[Told]:
        at = self.later(6 * HOUR)
        reviewer = self.reviewer()
        yield self.enforcement()
        yield self.appeal(at)
        yield self.review(r.CaseClaimed, at + SECOND, reviewer, 1)
        pod = self.rng.choice(("legal", "legal", "nowhere"))
        yield self.review(r.CaseReferred, at + 2 * SECOND, reviewer, 2, to_pod=pod, reason=v.ReferralReason.LEGAL)

    def struck_again(self) -> Iterator[Told]:
        """The same thing is struck by the same rule after it was struck wrongly: a rule grants the next appeal."""
        same: dict[str, object] = {
            "action": v.Action.CONTENT_REMOVAL,
            "ends_at": None,
            "decided_by": None,
            "policy": "spam",
        }
        same["target"] = r.Target(kind=v.TargetKind.LISTING, id=f"listing-{self.number}")
        at = self.later(6 * HOUR)
        reviewer = self.reviewer()
        yield self.enforcement(**same)
        yield self.appeal(at)
        yield self.review(r.CaseClaimed, at + SECOND, reviewer, 1)
        yield self.decision(at + 2 * SECOND, reviewer, v.Outcome.OVERTURNED)
        again = r.EnforcementId(f"enf-{self.number}-again")
        self.at = at + 3 * SECOND
        yield self.enforcement(**same, enforcement_id=again)
        yield self.appeal(at + 4 * SECOND, "again", enforcement_id=again)

    def modified(self) -> Iterator[Told]:
        """Half of the money goes back and no strike stays; the systems say what they moved, not always the truth."""
        at, reviewer = self.later(6 * HOUR), self.reviewer()
        taken = r.Money(value=Decimal(self.rng.randrange(2, 9_000)).scaleb(-1), currency="EUR")
        fee = r.Effect(effect_id=f"ef-{self.number}-1", system="payments", kind=v.EffectKind.MONEY_TAKEN, amount=taken)
        strikes = r.Effect(effect_id=f"ef-{self.number}-2", system="strikes", kind=v.EffectKind.STRIKES)
        alone: dict[str, object] = {"decided_by": None, "ends_at": None, "strikes": 1, "effects": [fee, strikes]}
        issued = self.enforcement(action=v.Action.FEE, amount=taken, **alone)
        kept = r.Money(value=(taken.value / 2).quantize(Decimal("0.01")), currency="EUR")
        back = r.Money(value=taken.value - kept.value, currency="EUR")
        yield issued
        yield self.appeal(at)
        yield self.review(r.CaseClaimed, at + SECOND, reviewer, 1)
        harder = r.Lesser(action=v.Action.BAN)
        yield self.decision(at + 2 * SECOND, reviewer, v.Outcome.MODIFIED, lesser=harder)  # rejected
        lesser = r.Lesser(action=v.Action.FEE, amount=kept)
        yield self.decision(at + 3 * SECOND, reviewer, v.Outcome.MODIFIED, lesser=lesser)
        wrong = msgspec.structs.replace(back, value=back.value + 1)
        for moved in (wrong, back) if self.rng.random() < 0.3 else (back,):
            at += self.up_to(HOUR)
            yield self.ack(at, fee, v.AckStatus.APPLIED, amount=moved)
        yield self.ack(at + SECOND, strikes, v.AckStatus.APPLIED)

    def remanded(self) -> Iterator[Told]:
        """Sent back; the enforcing side amends it, lifts it, or has not answered yet."""
        at, reviewer = self.later(6 * HOUR), self.reviewer()
        issued = self.enforcement(decided_by=None)
        yield issued
        yield self.appeal(at)
        yield self.review(r.CaseClaimed, at + SECOND, reviewer, 1)
        guidance = f"s3://guidance/{self.number}"
        yield self.decision(at + 2 * SECOND, reviewer, v.Outcome.REMANDED, guidance_ref=guidance)
        at += self.up_to(DAY)
        answer = self.rng.choice(("amended", "lifted", "none"))
        if answer == "amended":
            content = {name: getattr(issued[1], name) for name in r.EnforcementIssued.__struct_fields__}
            content = {name: value for name, value in content.items() if name not in _OF_THE_FIRST}
            change = {"event_id": self.event(), "version": 2, "occurred_at": r.Millis(at), "reason": "guidance"}
            yield at, r.EnforcementAmended(**content | change)
        elif answer == "lifted":
            yield at, self.lift(at)

    def struck_out(self) -> Iterator[Told]:
        """Strikes that led to a ban and to a hold: what falls with them is undone, the rest is looked at again."""
        warning: dict[str, object] = {"action": v.Action.WARNING, "ends_at": None, "decided_by": None, "effects": []}
        for name in ("one", "two"):
            yield self.enforcement(**warning, strikes=1, enforcement_id=self.also(name))
        yield self.enforcement(**warning, strikes=1)
        self.at += SECOND
        rests: dict[str, object] = {"caused_by": self.enforcement_id, "decided_by": None, "ends_at": None, "strikes": 0}
        banned = r.Effect(effect_id=f"ef-{self.number}-ban", system="accounts", kind=v.EffectKind.ACCOUNT_STATUS)
        yield self.enforcement(**rests, action=v.Action.BAN, effects=[banned], enforcement_id=self.also("ban"))
        yield self.enforcement(**rests, action=v.Action.PAYOUT_HOLD, enforcement_id=self.also("hold"))
        at, reviewer = self.later(6 * HOUR), self.reviewer()
        yield self.appeal(at)
        yield self.review(r.CaseClaimed, at + SECOND, reviewer, 1)
        yield self.decision(at + 2 * SECOND, reviewer, v.Outcome.OVERTURNED)
        reversal_id = ids.consequence_id(ids.reversal_id(self.case_id()), self.also("ban"), 1)
        yield self.ack(at + HOUR, banned, v.AckStatus.APPLIED, reversal_id=reversal_id)

    def stuck(self) -> Iterator[Told]:
        """A system cannot; an operator has it sent again, or vouches for it, and looks twice."""
        at, reviewer = self.later(6 * HOUR), self.reviewer()
        issued = self.enforcement(action=v.Action.CONTENT_REMOVAL, ends_at=None, decided_by=None)
        effect = issued[1].effects[0]  # type: ignore[attr-defined]
        yield issued
        yield self.appeal(at)
        yield self.review(r.CaseClaimed, at + SECOND, reviewer, 1)
        yield self.decision(at + 2 * SECOND, reviewer, v.Outcome.OVERTURNED)
        if self.rng.random() < 0.4:  # what survives changes while its system has not answered
            self.at = at + 3 * SECOND
            account = r.Target(kind=v.TargetKind.ACCOUNT, id=self.user)
            hidden: dict[str, object] = {"action": v.Action.REDUCED_DISCOVERABILITY, "target": account}
            yield self.enforcement(**hidden, enforcement_id=self.also("hidden"), effects=[], ends_at=None)
        yield self.ack(at + MINUTE, effect, v.AckStatus.FAILED_PERMANENT, detail="no such listing")
        reversal_id = ids.reversal_id(self.case_id())
        about = {"user_id": self.user, "reversal_id": reversal_id, "actor": "ops-1", "reason": "seen to"}
        retry = r.ReversalRetried(event_id=self.event(), occurred_at=r.Millis(at + 2 * MINUTE), **about)
        directive_id = ids.directive_id(reversal_id, effect.effect_id)
        if self.rng.random() < 0.5:
            yield at + 2 * MINUTE, retry
            yield self.ack(at + 3 * MINUTE, effect, v.AckStatus.APPLIED)
        for minutes in (4, 5):  # the second time it is settled, or confirmed
            at_ms = r.Millis(at + minutes * MINUTE)
            yield (
                at_ms,
                r.DirectiveResolved(event_id=self.event(), occurred_at=at_ms, directive_id=directive_id, **about),
            )

    def parked(self) -> Iterator[Told]:
        yield self.appeal(self.at)
        self.at += self.up_to(6 * HOUR)
        yield self.enforcement()

    def orphaned(self) -> Iterator[Told]:
        yield self.appeal(self.at)

    def duplicated(self) -> Iterator[Told]:
        yield self.enforcement()
        at = self.later(6 * HOUR)
        yield self.appeal(at)
        yield self.appeal(at + self.up_to(DAY), "b")

    def redelivered(self) -> Iterator[Told]:
        issued, appeal = self.enforcement(), self.appeal(self.later(6 * HOUR))
        yield issued
        yield issued[0] + self.up_to(DAY), issued[1]
        yield appeal
        yield appeal[0] + self.up_to(DAY), appeal[1]

    def withdrawn(self) -> Iterator[Told]:
        yield self.enforcement()
        at = self.later(6 * HOUR)
        yield self.appeal(at)
        at += self.up_to(6 * HOUR)
        yield at, self.withdrawal(at)

    def withdrawn_while_parked(self) -> Iterator[Told]:
        at = self.at + self.up_to(HOUR)
        yield self.appeal(self.at)
        yield at, self.withdrawal(at)
        self.at = at + HOUR
        yield self.enforcement()

    def withdrawn_before_it_came(self) -> Iterator[Told]:
        yield self.enforcement()
        yield self.at + SECOND, self.withdrawal(self.at + SECOND)
        yield self.appeal(self.at + MINUTE)

    def lifted(self) -> Iterator[Told]:
        yield self.enforcement()
        at, lifted_at = self.later(6 * HOUR), self.later(12 * HOUR)
        yield self.appeal(at)
        yield lifted_at, self.lift(lifted_at)

    def refused(self) -> Iterator[Told]:
        """Two appeals that give themselves away."""
        yield self.enforcement()
        yield self.appeal(self.at + MINUTE, "other", appellant_id=r.UserId("somebody-else"))
        yield self.appeal(self.at + HOUR, "empty", grounds=[], statement_ref=None)

    # --- their parts ------------------------------------------------------------------------------------------

    def up_to(self, ms: int) -> int:
        return self.rng.randrange(SECOND, ms)

    def later(self, ms: int) -> int:
        return self.at + self.up_to(ms)

    def event(self) -> str:
        self.count += 1
        return f"ev-{self.number}-{self.count}"

    def reviewer(self) -> r.ReviewerId:
        return r.ReviewerId(f"reviewer-{self.rng.randrange(40)}")

    def also(self, name: str) -> r.EnforcementId:
        """Another enforcement of this story."""
        return r.EnforcementId(f"enf-{self.number}-{name}")

    def lift(self, at: int) -> r.EnforcementLifted:
        return r.EnforcementLifted(
            event_id=self.event(),
            user_id=self.user,
            enforcement_id=self.enforcement_id,
            occurred_at=r.Millis(at),
            reason=v.LiftReason.ERROR,
            strikes_expunged=self.rng.random() < 0.7,
        )

    def case_id(self) -> r.CaseId:
        return ids.case_id(r.AppealId(f"appeal-{self.number}-a"))

    def profile(self) -> Told:
        record = r.UserProfileUpdated(
            event_id=self.event(),
            user_id=self.user,
            occurred_at=r.Millis(self.at),
            language="de",
            region="DE",
            seller_tier=v.SellerTier.SELLER,
            reach=self.rng.randrange(100_000),
        )
        return self.at, record

    def enforcement(self, **change: object) -> Told:
        rng, n = self.rng, self.number
        action = rng.choice((v.Action.CONTENT_REMOVAL, v.Action.PAYOUT_HOLD, v.Action.SUSPENSION, v.Action.BAN))
        effects = [r.Effect(effect_id=f"ef-{n}-1", system="catalogue", kind=v.EffectKind.CONTENT_STATUS)]
        if action is v.Action.PAYOUT_HOLD:
            held = r.Money(value=Decimal(rng.randrange(100, 90_000)).scaleb(-2), currency="EUR")
            effects.append(
                r.Effect(effect_id=f"ef-{n}-2", system="payments", kind=v.EffectKind.PAYOUT_STATUS, amount=held)
            )
        fields: dict[str, object] = dict(  # noqa: C408 - as the record's own keywords
            event_id=self.event(),
            user_id=self.user,
            enforcement_id=self.enforcement_id,
            version=1,
            issued_at=r.Millis(self.at),
            policy=rng.choice(("counterfeit", "spam", "fraud")),
            policy_version="2026-03",
            action=action,
            ends_at=r.Millis(self.at + rng.randrange(1, 9) * DAY) if action is v.Action.SUSPENSION else None,
            target=r.Target(kind=v.TargetKind.LISTING, id=f"listing-{n}"),
            ground=v.Ground.DECISION_GROUND_INCOMPATIBLE_CONTENT,
            category=v.Category.STATEMENT_CATEGORY_SCAMS_AND_FRAUD,
            source=v.Source.SOURCE_VOLUNTARY,
            detector=r.Detector(name="fake-finder", version=f"4.{rng.randrange(3)}"),
            automation=v.Automation.AUTOMATED_DECISION_FULLY,
            decided_by=self.reviewer() if rng.random() < 0.2 else None,
            statement_of_reasons_id=f"sor-{n}",
            effects=effects,
            evidence=[r.Evidence(evidence_id=f"x-{n}", kind=v.EvidenceKind.MODEL_SIGNAL, ref=f"s3://evidence/{n}")],
            strikes=rng.randrange(2),
        )
        return self.at, r.EnforcementIssued(**fields | change)

    def ban(self) -> Told:
        """Whatever is decided about it, a second person looks at it."""
        return self.enforcement(action=v.Action.BAN, ends_at=None, decided_by=None)

    def appeal(self, at: int, which: str = "a", **change: object) -> Told:
        fields = {
            "event_id": self.event(),
            "user_id": self.user,
            "appeal_id": r.AppealId(f"appeal-{self.number}-{which}"),
            "submitted_at": r.Millis(at),
            "enforcement_id": self.enforcement_id,
            "appellant_id": self.user,
            "language": self.rng.choice(("en", "de", "fr", "es")),
            "grounds": [v.AppealGround.FACTS_WRONG],
            "statement_ref": f"s3://statements/{self.number}-{which}",
        }
        return at, r.AppealSubmitted(**fields | change)

    def withdrawal(self, at: int) -> r.AppealWithdrawn:
        appeal_id = r.AppealId(f"appeal-{self.number}-a")
        return r.AppealWithdrawn(
            event_id=self.event(), user_id=self.user, appeal_id=appeal_id, occurred_at=r.Millis(at)
        )

    def review(self, kind: type, at: int, actor: r.ReviewerId, version: int, **more: object) -> Told:
        return at, kind(
            event_id=self.event(),
            user_id=self.user,
            case_id=self.case_id(),
            actor=actor,
            expected_version=version,
            occurred_at=r.Millis(at),
            **more,
        )

    def decision(self, at: int, actor: r.ReviewerId, outcome: v.Outcome, version: int = 2, **further: object) -> Told:
        more: dict[str, object] = {"outcome": outcome, "reasons_ref": f"s3://reasons/{self.number}"}
        more |= {"policy_version": "2026-03", "cited_evidence": [f"x-{self.number}"]}
        return self.review(r.DecisionProposed, at, actor, version, **more | further)

    def three(self) -> list[r.ReviewerId]:
        """Three people."""
        return [r.ReviewerId(f"reviewer-{n}") for n in self.rng.sample(range(40), 3)]

    def acks(self, at: int, enforcement: r.Record) -> Iterator[Told]:
        """Most are applied at once; some only after a failure, some never, some are answered twice."""
        for effect in enforcement.effects:  # type: ignore[attr-defined]
            statuses = self.rng.choices(
                (
                    [v.AckStatus.APPLIED],
                    [v.AckStatus.FAILED_RETRYABLE, v.AckStatus.ALREADY_APPLIED],
                    [v.AckStatus.FAILED_PERMANENT],
                    [],
                    [v.AckStatus.APPLIED, v.AckStatus.ALREADY_APPLIED],
                ),
                (70, 10, 5, 5, 10),
            )[0]
            for status in statuses:
                at += self.up_to(20 * MINUTE)
                # A payout that was held is released with the amount that the system says.
                done = status in (v.AckStatus.APPLIED, v.AckStatus.ALREADY_APPLIED)
                yield self.ack(at, effect, status, amount=effect.amount if done else None)

    def ack(self, at: int, effect: r.Effect, status: v.AckStatus, **change: object) -> Told:
        """The system of this effect answers."""
        reversal_id = str(change.get("reversal_id") or ids.reversal_id(self.case_id()))
        fields: dict[str, object] = {
            "event_id": self.event(),
            "user_id": self.user,
            "reversal_id": reversal_id,
            "directive_id": ids.directive_id(reversal_id, effect.effect_id),
            "system": effect.system,
            "status": status,
            "occurred_at": r.Millis(at),
        }
        return at, r.DirectiveAcked(**fields | change)


STORIES: dict[Callable[[Story], Iterator[Told]], int] = {
    Story.quiet: 10,
    Story.appealed: 20,
    Story.decided: 30,
    Story.parked: 10,
    Story.orphaned: 3,
    Story.duplicated: 8,
    Story.redelivered: 5,
    Story.withdrawn: 5,
    Story.withdrawn_while_parked: 2,
    Story.withdrawn_before_it_came: 2,
    Story.lifted: 4,
    Story.refused: 2,
    Story.looked_at_twice: 4,
    Story.returned_and_disputed: 2,
    Story.asked: 4,
    Story.held: 2,
    Story.referred: 2,
    Story.struck_again: 4,
    Story.modified: 4,
    Story.remanded: 3,
    Story.struck_out: 3,
    Story.stuck: 4,
}
