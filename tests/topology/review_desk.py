"""Reviewers and appellants at work: the next event about a case, from what its pod's topic shows of it.

A `Roll` says who does what, and how they are mistaken, if they are. Most know what they do, so that histories go deep.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

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
    Evidence,
    EvidenceRequested,
    EvidenceSupplied,
    Lesser,
    Millis,
    Money,
    Record,
)
from schemas.vocabulary import (
    Action,
    CaseState,
    DismissalReason,
    EvidenceKind,
    EvidenceSupplier,
    HoldReason,
    Outcome,
    ReferralReason,
)

POOL = tuple(f"r-{n}" for n in range(1, 9))
PODS = ("legal", "legal", "lead", "general", "accounts")
SUPPLIERS = (EvidenceSupplier.APPELLANT, EvidenceSupplier.SPECIALIST, EvidenceSupplier.ENFORCEMENT)
KINDS = tuple(kind for kind in EvidenceKind if kind is not EvidenceKind.UNKNOWN)
_MINUTE = 60_000
_DAY = 24 * 60 * _MINUTE

_SOUND = ("",)
_ODD = ("stale", "stranger", "excluded", "outsider", "early", "gone", "unknown", "any-move", "any-move")
_MISTAKEN = ("unsupported", "uncited", "foreign", "unreasoned", "empty", "past", "elsewhere", "again", "harder")
ODDITIES = _SOUND * 60 + _ODD
MISTAKES = _SOUND * 36 + _MISTAKEN * 2 + ("empty", "past", "harder", "harder")


class Roll(NamedTuple):
    """What chance decided about one event."""

    pick: int
    what: int
    who: int
    odd: str
    mistake: str

    @staticmethod
    def of(numbers: list[int], salt: int) -> list[Roll]:
        """One for each number, even over all that can be: what hypothesis draws gathers at the ends, and repeats."""
        return [_rolled(random.Random(f"{salt}-{number}-{place}")) for place, number in enumerate(numbers)]


def _rolled(dice: random.Random) -> Roll:
    pick, what, who = (dice.randrange(60) for _ in range(3))
    return Roll(pick, what, who, dice.choice(ODDITIES), dice.choice(MISTAKES))


class Desk:
    """Makes events; it knows the rulebook's lists of reviewers, as any reviewer tool would."""

    def __init__(self, reviewers: Mapping[str, frozenset[str]], fresh: Callable[[str], str]) -> None:
        self._reviewers = reviewers
        self._fresh = fresh
        self.gone: list[Case] = []
        """Cases that are decided: somebody always comes late."""

    def event(self, case: Case, roll: Roll, now: int) -> Record:
        """What somebody does about this case now."""
        moves = _MOVES[_mood(case)]
        if roll.odd == "any-move":
            moves = tuple(dict.fromkeys(move for some in _MOVES.values() for move in some))
        if roll.odd == "gone" and self.gone:
            case = self.gone[roll.pick % len(self.gone)]
        move = moves[roll.what % len(moves)]
        return move(self, case, roll, now)

    def next_for(self, case: Case, outcome: Outcome, now: int) -> Record:
        """What brings the case nearer to this outcome: a claim, the decision, the second one."""
        roll = Roll(0, 0, case.version, "", "")
        if case.state is CaseState.CLAIMED or _mood(case) == "blind":
            return _decision(self, case, roll, now, outcome)
        return (_confirm if _mood(case) == "second look" else _claim)(self, case, roll, now)

    def actor(self, case: Case, roll: Roll) -> str:
        """Who does it: the holder of a claimed case, else somebody who may."""
        if roll.odd == "outsider":
            return "r-99"
        if roll.odd == "excluded" and case.excluded_reviewers:
            return case.excluded_reviewers[roll.who % len(case.excluded_reviewers)]
        if case.claim is not None and roll.odd != "stranger":
            return case.claim.reviewer
        here = sorted(self._reviewers.get(case.pod, POOL))
        fit = [who for who in here if who not in case.excluded_reviewers] or here
        return fit[roll.who % len(fit)]

    def base(self, case: Case, roll: Roll, now: int) -> dict[str, Any]:
        """The fields that all reviewers' events share."""
        return {
            "event_id": self._fresh("review"),
            "user_id": case.user_id,
            "case_id": CaseId("no-such-case") if roll.odd == "unknown" else case.case_id,
            "actor": self.actor(case, roll),
            "expected_version": max(0, case.version - 1 - roll.who % 2) if roll.odd == "stale" else case.version,
            "occurred_at": case.submitted_at - 6 * _MINUTE if roll.odd == "early" else now,
        }

    def pieces(self, case: Case, kinds: list[EvidenceKind], roll: Roll) -> list[Evidence]:
        """Evidence of these kinds, new to the case unless by mistake."""
        if roll.mistake == "again":
            return list(case.evidence[:2])
        return [Evidence(evidence_id=self._fresh("x"), kind=kind, ref="s3://evidence/x") for kind in kinds]


Move = Callable[[Desk, Case, Roll, int], Record]


def _claim(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    return CaseClaimed(**desk.base(case, roll, now))


def _take_over(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    return CaseClaimed(**desk.base(case, roll._replace(odd="stranger"), now))


def _release(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    return CaseReleased(**desk.base(case, roll, now))


def _request(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    kinds = [KINDS[roll.what % len(KINDS)], KINDS[roll.who % len(KINDS)]]
    needed = [kind for need in case.standard if not need.met for kind in need.kinds]
    due = (None, now + 3 * _DAY, now + 20 * _MINUTE, now + 30 * _DAY)[roll.what % 4]
    return EvidenceRequested(
        **desk.base(case, roll, now),
        kinds=[] if roll.mistake == "empty" else needed or kinds,
        at_least=1 + roll.who % 2,
        supplier=SUPPLIERS[roll.who % 3],
        due_at=now - 1 if roll.mistake == "past" else due,
    )


def _supply(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    """What was asked for, all or part of it, from the right side or the wrong one."""
    asked = case.requests[roll.who % len(case.requests)] if case.requests else None
    supplier = SUPPLIERS[roll.what % 3] if asked is None or roll.mistake == "elsewhere" else asked.supplier
    kinds = [KINDS[roll.what % len(KINDS)]]
    if asked is not None and roll.what % 5 < 4:
        kinds = [asked.kinds[roll.who % len(asked.kinds)]] * (1 if roll.what % 5 == 3 else asked.at_least)
    base = desk.base(case, roll, now)
    if supplier is EvidenceSupplier.APPELLANT:
        base |= {"actor": case.user_id, "expected_version": case.version if roll.mistake == "empty" else None}
    return EvidenceSupplied(**base, supplier=supplier, evidence=desk.pieces(case, kinds, roll))


def _refer(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    pods = [pod for pod in PODS if pod != case.pod] * 2 + ["no-such-pod", case.pod]
    pod = pods[roll.pick % len(pods)]
    return CaseReferred(**desk.base(case, roll, now), to_pod=pod, reason=ReferralReason.EXPERTISE, note_ref="s3://n/1")


def _hold(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    until = now - 1 if roll.mistake == "past" else (None, now + _DAY, now + 60 * _DAY)[roll.who % 3]
    return CaseHeld(**desk.base(case, roll, now), reason=HoldReason.THIRD_PARTY, until=until)


def _resume(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    return CaseResumed(**desk.base(case, roll, now))


def _decide(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    """Mostly an outcome for which the evidence on the case is enough."""
    outcomes = [
        Outcome.UPHELD,
        Outcome.OVERTURNED,
        Outcome.DISMISSED,
        Outcome.MODIFIED,
        Outcome.UPHELD_GROUND_CHANGED,
        Outcome.OVERTURNED,
        Outcome.REMANDED,
        Outcome.MODIFIED,
    ]
    short = {outcome for need in case.standard if not need.met and not need.waived for outcome in need.outcomes}
    sound = [outcome for outcome in outcomes if outcome not in short]
    return _decision(desk, case, roll, now, (sound or outcomes)[roll.who % len(sound or outcomes)])


def _hope(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    """Whatever the evidence is."""
    return _decision(desk, case, roll, now, (Outcome.UPHELD, Outcome.OVERTURNED)[roll.who % 2])


def _agree(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    """A second decision like the first, as far as that is shown."""
    if case.proposal is None:
        return _decision(desk, case, roll, now, Outcome.OVERTURNED)
    return _decision(desk, case, roll, now, case.proposal.outcome, case.proposal.lesser)


_WITH_REASONS = (Outcome.DISMISSED, Outcome.UPHELD_GROUND_CHANGED, Outcome.MODIFIED, Outcome.REMANDED)
Milder = Callable[[Case, int], Lesser]


def _warning(case: Case, _now: int) -> Lesser:
    return Lesser(action=Action.WARNING, strikes=case.enforcement.strikes if case.version % 2 else 0)


def _label(_case: Case, _now: int) -> Lesser:
    """Milder than most."""
    return Lesser(action=Action.CONTENT_LABEL)


def _sooner(case: Case, now: int) -> Lesser:
    """The same for a shorter time, in one territory."""
    e = case.enforcement
    ends_at = now + 9 * _DAY if e.ends_at is None else e.ends_at - _DAY
    return Lesser(action=e.action, ends_at=Millis(ends_at), scope=["DE"], strikes=e.strikes)


def _half(case: Case, _now: int) -> Lesser:
    """Half of the money stays, and no strike."""
    e = case.enforcement
    if e.amount is None:
        return _warning(case, 0)
    half = (e.amount.value / 2).quantize(Decimal(1))
    return Lesser(action=e.action, ends_at=e.ends_at, amount=Money(value=half, currency=e.amount.currency))


def _banned(_case: Case, _now: int) -> Lesser:
    return Lesser(action=Action.BAN)


def _more_strikes(case: Case, _now: int) -> Lesser:
    return Lesser(action=Action.WARNING, strikes=case.enforcement.strikes + 1)


def _the_same(case: Case, _now: int) -> Lesser:
    e = case.enforcement
    return Lesser(action=e.action, ends_at=e.ends_at, amount=e.amount, strikes=e.strikes)


def _later(case: Case, now: int) -> Lesser:
    return Lesser(action=case.enforcement.action, ends_at=Millis(now + 400 * _DAY), strikes=0)


def _too_fine(case: Case, _now: int) -> Lesser:
    return Lesser(action=case.enforcement.action, amount=Money(value=Decimal("1.005"), currency="EUR"))


_MILDER: tuple[Milder, ...] = (_warning, _sooner, _half, _half, _label)
_HARDER: tuple[Milder, ...] = (_banned, _more_strikes, _the_same, _later, _too_fine)


def _decision(desk: Desk, case: Case, roll: Roll, now: int, outcome: Outcome, lesser: Lesser | None = None) -> Record:
    mistake = roll.mistake
    if mistake == "unsupported":
        outcome = (Outcome.WITHDRAWN, Outcome.MOOT)[roll.who % 2]
    if mistake == "unreasoned":
        outcome = _WITH_REASONS[roll.who % len(_WITH_REASONS)]
    if mistake == "harder":
        outcome, lesser = Outcome.MODIFIED, _HARDER[roll.who % len(_HARDER)](case, now)
    if outcome is Outcome.MODIFIED and lesser is None:
        lesser = _MILDER[roll.pick % len(_MILDER)](case, now)
    cited = [] if mistake == "uncited" else [piece.evidence_id for piece in case.evidence]
    reasoned = mistake != "unreasoned"
    return DecisionProposed(
        **desk.base(case, roll, now),
        outcome=outcome,
        reasons_ref="s3://reasons/1",
        policy_version=case.enforcement.policy_version,
        cited_evidence=[*cited, "x-foreign"] if mistake == "foreign" else cited,
        dismissal=DismissalReason.ABUSIVE if outcome is Outcome.DISMISSED and reasoned else None,
        substituted_policy="other-rule" if outcome is Outcome.UPHELD_GROUND_CHANGED and reasoned else None,
        lesser=lesser if outcome is Outcome.MODIFIED and reasoned else None,
        guidance_ref="s3://guidance/2" if outcome is Outcome.REMANDED and reasoned else None,
    )


def _confirm(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    return DecisionConfirmed(**desk.base(case, roll, now), reasons_ref="s3://reasons/2" if roll.who % 2 else None)


def _return(desk: Desk, case: Case, roll: Roll, now: int) -> Record:
    return DecisionReturned(**desk.base(case, roll, now), guidance_ref="s3://guidance/1")


def _mood(case: Case) -> str:
    if case.state is CaseState.SECOND_REVIEW:
        if case.claim is None:
            return "proposed"
        return "blind" if case.proposal is None else "second look"
    return case.state.value


_MOVES: dict[str, tuple[Move, ...]] = {
    "queued": (*[_claim] * 9, _supply, _decide, _resume),
    "claimed": (
        *[_decide] * 7,
        _hope,
        *[_request] * 4,
        *[_hold] * 3,
        *[_refer] * 4,
        _release,
        _claim,
        _take_over,
        _supply,
    ),
    "awaiting_evidence": (*[_supply] * 6, _resume, _claim),
    "on_hold": (*[_resume] * 3, _supply, _claim),
    "proposed": (*[_claim] * 9, _supply, _confirm),
    "second look": (
        *[_confirm] * 3,
        *[_return] * 4,
        _agree,
        _decide,
        _decide,
        _hope,
        _release,
        _claim,
        _supply,
        _refer,
    ),
    "blind": (*[_agree] * 3, _decide, _decide, _hope, _confirm, _return, _release),
}
"""By what a reviewer sees: what is likely to be done next."""
