"""Closed lists of the reasons that audit lines carry, beside the refusals that appellants are told of."""

from enum import StrEnum


class ReviewRefusal(StrEnum):
    """Why a reviewer's event, or a late withdrawal, changed nothing (kind ``ReviewRejected``)."""

    UNKNOWN_CASE = "unknown_case"
    CASE_CLOSED = "case_closed"
    STALE_VERSION = "stale_version"
    REVIEWER_EXCLUDED = "reviewer_excluded"
    ALREADY_CLAIMED = "already_claimed"
    NOT_CLAIMED = "not_claimed"
    NOT_THE_HOLDER = "not_the_holder"
    OUTCOME_NOT_SUPPORTED = "outcome_not_supported"
    EVIDENCE_UNKNOWN = "evidence_unknown"
    EVIDENCE_MISSING = "evidence_missing"
    """The decision does not cite what the standard of evidence asks for."""
    REASON_MISSING = "reason_missing"
    """A dismissal without its reason, or a changed ground without the rule that takes its place."""
    WRONG_STATE = "wrong_state"
    """The table of states has no such move."""
    BEFORE_THE_APPEAL = "before_the_appeal"
    """It claims to have happened before the appeal was made: a clock went backwards."""
    UNKNOWN_REVIEWER = "unknown_reviewer"
    UNKNOWN_POD = "unknown_pod"
    SAME_POD = "same_pod"
    NOBODY_INDEPENDENT = "nobody_independent"
    """Everybody of that pod is excluded from the case."""
    NOTHING_ASKED = "nothing_asked"
    NOTHING_NEW = "nothing_new"
    DUE_IN_THE_PAST = "due_in_the_past"
    PAUSE_USED_UP = "pause_used_up"
    """The case has waited, or asked, as much as it may."""
    BLIND_REVIEW = "blind_review"
    """In a blind double review the second reviewer decides, without seeing what to confirm or return."""
    NOT_LESSER = "not_lesser"
    """What a decision would leave is not milder in every respect than what is in force."""
    REMANDED_ALREADY = "remanded_already"
    """This version has been sent back once, and the enforcing side has not answered, in time or yet."""
    UNKNOWN_REVERSAL = "unknown_reversal"
    REVERSAL_CONFIRMED = "reversal_confirmed"
    UNKNOWN_DIRECTIVE = "unknown_directive"
    DIRECTIVE_SETTLED = "directive_settled"
    """It is applied, or another one has taken its place."""
    WITHDRAWAL_TOO_LATE = "withdrawal_too_late"
    """The appeal had been decided or refused before it was taken back."""
    SUBJECT_ERASED = "subject_erased"


class AckIgnored(StrEnum):
    """Why a system's answer changed nothing (kind ``AckIgnored``)."""

    UNKNOWN_REVERSAL = "unknown_reversal"
    UNKNOWN_DIRECTIVE = "unknown_directive"
    WRONG_SYSTEM = "wrong_system"
    ALREADY_CONFIRMED = "already_confirmed"
    ALREADY_APPLIED = "already_applied"
    SUPERSEDED = "superseded"
    """Another directive has taken its place, and is waited for."""
    WRONG_AMOUNT = "wrong_amount"
    """Money was moved, but not what was ordered: this one, and the next two, are of kind ``DirectiveFailed``."""
    WRONG_CURRENCY = "wrong_currency"
    TOO_MANY_DIGITS = "too_many_digits"
    """Nobody can pay such an amount in its currency (ISO 4217)."""
    SUBJECT_ERASED = "subject_erased"


class Change(StrEnum):
    """What happened to the enforcement of an open case (kind ``EnforcementChanged``)."""

    AMENDED = "amended"
    CHARGE_CHANGED = "charge_changed"
    """Ground, policy, category or action is another: the case went back to triage."""
    DECIDER_NAMED = "decider_named"
    """A version that came late says who decided it: they may not review it."""
    ISSUED_EARLIER = "issued_earlier"
    """The first version came late: the enforcement has stood for longer than the case said."""
    LIFTED_WITH_REMAINS = "lifted_with_remains"
    EXPIRED_WITH_REMAINS = "expired_with_remains"
    CAUSE_OVERTURNED = "cause_overturned"
    """What the enforcement rests on was overturned."""
    RETURNED_IN_ANOTHER_CURRENCY = "returned_in_another_currency"
    """The lifting says that money went back, in a currency in which none was taken: it counts for nothing."""


class Moot(StrEnum):
    """Why nothing was left to decide (kind ``CaseDecided``, outcome ``moot``)."""

    LIFTED = "lifted"
    EXPIRED = "expired"


class Resend(StrEnum):
    """Marks an order that went out again (kind ``ReversalOrdered``)."""

    RESENT = "resent"
    SUPERSEDED = "superseded"
    """What survives has changed; only what says something else now was sent."""
    BY_OPERATOR = "by_operator"


class Stall(StrEnum):
    """Why a reversal needs people (kind ``ReversalStalled``)."""

    FAILED_PERMANENT = "failed_permanent"
    OUT_OF_TRIES = "out_of_tries"
    DEADLINE = "deadline"
    MONEY_MISMATCH = "money_mismatch"
    """A system says that it moved another amount than it was told to."""
    UNKNOWN = "unknown"
    """It stalled under a version that kept no reason."""


class Parking(StrEnum):
    """Why an appeal whose enforcement is not on file was refused (in the line's ``saw``)."""

    FULL = "parking_full"
    TIME_OVER = "parking_time_over"


class Wait(StrEnum):
    """Why a case waits or goes on (kinds ``EvidenceRequested``, ``CaseResumed``)."""

    ASKED_AT_INTAKE = "asked_at_intake"
    RESUMED = "resumed_by_a_person"
    OVER = "waiting_over"


class Dispute(StrEnum):
    """Why the lead pod decides (kind ``DecisionDisputed``)."""

    DIFFERENT_OUTCOMES = "different_outcomes"
    RETURNED_TOO_OFTEN = "returned_too_often"


class Withheld(StrEnum):
    """Why a rule that would have granted left the case to people (kind ``GrantWithheld``)."""

    AUDIT_SAMPLE = "audit_sample"
    DAILY_CAP = "daily_cap"


class Clock(StrEnum):
    """Which clock raised a band (kind ``BandRaised``)."""

    WORK = "work"
    REGULATORY = "regulatory"


class Consequence(StrEnum):
    """What becomes of an enforcement that rested on an overturned one (kind ``ConsequenceJudged``)."""

    LIFTED = "lifted"
    """The strikes that are left do not reach its threshold: it is reversed too."""
    STILL_REACHED = "threshold_still_reached"
    """Other strikes reach it: people look at it."""
    NO_RULE = "no_rule"
    """No threshold is set for its action: people look at it."""
    TOO_DEEP = "too_deep"
    """The chain of consequences is longer than is followed: people look at it."""


class Reversed(StrEnum):
    """Why a case ended as overturned without a reviewer (in the line's ``how``)."""

    CONSEQUENCE = "consequence"
    REMEDY = "remedy"


class RemandAnswer(StrEnum):
    """How the enforcing side answered a remand (kind ``RemandAnswered``)."""

    AMENDED = "amended"
    LIFTED = "lifted"
    REVERSED = "reversed"
    """It was reversed before they answered."""


class Erasure(StrEnum):
    """What an erasure, or a legal hold against it, came to, where that is not all of it."""

    ERASURE = "erasure"
    """Why a case ended as withdrawn (kind ``CaseDecided``)."""
    NOTHING_ON_FILE = "nothing_on_file"
    """Nobody knew the user (kind ``SubjectErased``); what comes late is ignored all the same."""
    HELD_ALREADY = "held_already"
    """Asked again (kind ``ErasureRepeated``), as the next two."""
    BEGUN_ALREADY = "begun_already"
    ERASED_ALREADY = "erased_already"
    """Also of a hold that comes too late, as is ``begun_already``."""
    RELEASED_ALREADY = "released_already"
    """A hold that was released is over (kind ``LegalHoldPlaced``); a new one has a new id."""
    UNKNOWN_HOLD = "unknown_hold"
    """There is none to be released (kind ``LegalHoldReleased``)."""
    SUBJECT_ERASED = "subject_erased"
    """Why an input was ignored (kind ``InputIgnored``)."""
