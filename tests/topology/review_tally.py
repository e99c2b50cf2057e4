"""What random histories have reached: counted over all of them, so that one can see that they go everywhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from schemas.vocabulary import CaseEventKind, CaseState, Outcome
from tests.topology.review_history import History

REASONS = (
    "unknown_case", "case_closed", "stale_version", "reviewer_excluded", "already_claimed", "not_claimed",
    "not_the_holder", "outcome_not_supported", "evidence_unknown", "evidence_missing", "reason_missing", "wrong_state",
    "before_the_appeal", "unknown_reviewer", "unknown_pod", "same_pod", "nobody_independent", "nothing_asked",
    "nothing_new", "due_in_the_past", "pause_used_up", "blind_review", "withdrawal_too_late", "not_lesser",
    "remanded_already", "unknown_reversal", "reversal_confirmed", "unknown_directive", "directive_settled",
)  # fmt: skip
"""Every reason for which a reviewer's event, or a late withdrawal, can be rejected."""

NEVER_WRITTEN = {CaseEventKind.UNKNOWN}
"""A confirmation is told by the `CaseDecided` that it leads to."""

OUTCOMES = tuple(outcome for outcome in Outcome if outcome is not Outcome.UNKNOWN)
ANSWERS = (
    "unknown_reversal", "unknown_directive", "wrong_system", "already_confirmed", "already_applied", "superseded",
    "wrong_amount", "wrong_currency", "too_many_digits", "failed_retryable", "failed_permanent",
)  # fmt: skip
"""How a system's answer can be taken that does not settle its directive."""
STALLS = ("failed_permanent", "out_of_tries", "deadline", "money_mismatch")
ORDERS = ("decision", "cascade", "resent", "superseded", "by_operator")
"""Why an order goes out, first or again."""
VERDICTS = ("lifted", "threshold_still_reached", "no_rule")
REMANDS = ("amended", "lifted", "reversed", "overdue")

CHANGES = (
    "amended", "charge_changed", "decider_named", "issued_earlier", "lifted_with_remains", "expired_with_remains",
    "cause_overturned", "returned_in_another_currency",
)  # fmt: skip
"""What happens to the enforcement of an open case."""

ERASED = ("cases", "parked", "reversals", "at_release", "nothing_else")
"""What is ended or carried on when a user is erased, when it happens, and to whom."""
LATE = (
    "EnforcementIssued", "EnforcementAmended", "EnforcementLifted", "UserProfileUpdated", "AppealSubmitted",
    "AppealWithdrawn", "CaseClaimed", "ReversalRetried", "DirectiveAcked", "SubjectErasureRequested", "LegalHoldPlaced",
    "LegalHoldReleased",
)  # fmt: skip
"""What comes about a user who is erased."""


@dataclass
class Tally:
    """Sums over histories."""

    histories: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, history: History, trouble: Counter[str]) -> None:
        """Count one whole history, and the trouble that the machines had in it."""
        self.histories += 1
        self.counts += history.counts
        self.counts += trouble

    def unreached(self) -> list[str]:
        """What no history has come to."""
        wanted = [
            *(f"line {kind}" for kind in CaseEventKind if kind not in NEVER_WRITTEN),
            *(f"refusal {reason}" for reason in REASONS),
            *(f"state {state}" for state in CaseState if state is not CaseState.UNKNOWN),
            *(f"outcome {outcome}" for outcome in OUTCOMES),
            *(f"change {change}" for change in CHANGES),
            *(f"answer {answer}" for answer in ANSWERS),
            *(f"stalled {reason}" for reason in STALLS),
            *(f"ordered {why}" for why in ORDERS),
            *(f"verdict {verdict}" for verdict in VERDICTS),
            *(f"remand {end}" for end in REMANDS),
            *(f"origin {origin}" for origin in ("cascade", "remand")),
            *(f"erased {what}" for what in ERASED),
            *(f"late {name}" for name in LATE),
            *(f"decided {how}" for how in ("alone", "confirmed", "decided_alike", "lead", "rule")),
        ]
        return [name for name in wanted if not self.counts[name]]

    def told(self) -> str:
        """The sums by group, the most frequent first."""
        groups: dict[str, list[str]] = {}
        for name, count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0])):
            group, _, rest = name.partition(" ")
            groups.setdefault(group, []).append(f"{rest} {count:,}")
        body = "\n".join(f"{_TITLES.get(group, group)}: {', '.join(told)}" for group, told in sorted(groups.items()))
        return f"{self.histories:,} histories\n{body}"


_TITLES = {
    "input": "events sent",
    "line": "lines written",
    "refusal": "rejected for",
    "state": "lines by state",
    "trouble": "trouble",
}
