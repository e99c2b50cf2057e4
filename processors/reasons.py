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
    WITHDRAWAL_TOO_LATE = "withdrawal_too_late"
    """The appeal had been decided or refused before it was taken back."""


class AckIgnored(StrEnum):
    """Why a system's answer changed nothing (kind ``AckIgnored``)."""

    UNKNOWN_REVERSAL = "unknown_reversal"
    UNKNOWN_DIRECTIVE = "unknown_directive"
    WRONG_SYSTEM = "wrong_system"
    ALREADY_CONFIRMED = "already_confirmed"
    ALREADY_APPLIED = "already_applied"


class Change(StrEnum):
    """What happened to the enforcement of an open case (kind ``EnforcementChanged``)."""

    AMENDED = "amended"
    CHARGE_CHANGED = "charge_changed"
    """Ground, policy, category or action is another: the case went back to triage."""
    LIFTED_WITH_REMAINS = "lifted_with_remains"
    EXPIRED_WITH_REMAINS = "expired_with_remains"


class Moot(StrEnum):
    """Why nothing was left to decide (kind ``CaseDecided``, outcome ``moot``)."""

    LIFTED = "lifted"
    EXPIRED = "expired"


class Resend(StrEnum):
    """Marks an order that went out again (kind ``ReversalOrdered``)."""

    RESENT = "resent"


class Stall(StrEnum):
    """Why a reversal needs people (kind ``ReversalStalled``)."""

    FAILED_PERMANENT = "failed_permanent"
    OUT_OF_TRIES = "out_of_tries"


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
