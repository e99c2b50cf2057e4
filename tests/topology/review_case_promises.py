"""What must hold of each form of a case that is published: `ON_EACH_CASE`, asked with the form before."""

from __future__ import annotations

import msgspec

from schemas.records import Case
from tests.topology.review_history import History, broken
from tests.topology.review_table import AWAITING, CLAIMED, ON_HOLD, SECOND


def versions_on_pods_only_grow(h: History, before: Case | None, case: Case) -> None:
    """No pod topic ever goes back to an older case; within a version, time may raise it, and nothing else."""
    if before is None or case.version > before.version:
        return
    raised = msgspec.structs.replace(before, band=case.band, rank_at=case.rank_at)
    if case != raised or case.band >= before.band:
        raise broken(h, case.user_id, f"{case.case_id}: version {case.version} after {before.version}: {case}")


def nothing_moves_the_regulatory_clock(h: History, _before: Case | None, case: Case) -> None:
    """Due when it was due on the day of submission, whatever is waited for (DSA Art. 20(4))."""
    if case.due_at != case.submitted_at + h.policy.deadline_ms:
        raise broken(h, case.user_id, f"{case.case_id} v{case.version}: due_at moved by {case.due_at}")


def waiting_never_passes_its_cap(h: History, before: Case | None, case: Case) -> None:
    """All pauses of a case together, the running one included, are within the cap, and none is taken back."""
    running = 0 if case.pause is None else case.pause.until - case.pause.since
    if case.paused_ms + running > h.policy.pause_cap_ms:
        raise broken(h, case.user_id, f"{case.case_id} v{case.version}: paused {case.paused_ms} + {running} ms")
    if before is not None and case.paused_ms < before.paused_ms:
        raise broken(h, case.user_id, f"{case.case_id} v{case.version}: paused_ms fell from {before.paused_ms}")


def a_case_waits_exactly_while_its_state_says_so(h: History, _before: Case | None, case: Case) -> None:
    """The work clock stands still if and only if evidence is awaited or the case is on hold."""
    if (case.pause is not None) != (case.state in (AWAITING, ON_HOLD)):
        raise broken(h, case.user_id, f"{case.case_id} v{case.version}: {case.state} with pause {case.pause}")


def rank_never_gets_later(h: History, before: Case | None, case: Case) -> None:
    """Waiting, hand-backs, referrals, further texts: none costs a case its place, unless the charge is another."""
    if before is not None and _charge(before) == _charge(case) and case.rank_at > before.rank_at:
        later = case.rank_at - before.rank_at
        raise broken(h, case.user_id, f"{case.case_id} v{case.version}: rank_at is {later} ms later")


def a_claim_and_its_state_agree(h: History, _before: Case | None, case: Case) -> None:
    """Somebody holds a claimed case, nobody a queued or waiting one, and no claim outlives its lease."""
    allowed = {CLAIMED: (True,), SECOND: (True, False)}.get(case.state, (False,))
    if (case.claim is not None) not in allowed:
        raise broken(h, case.user_id, f"{case.case_id} v{case.version}: {case.state} with claim {case.claim}")


def the_standard_is_the_rulebooks(h: History, _before: Case | None, case: Case) -> None:
    """The case is held to the first standard whose conditions its enforcement meets."""
    facts = {"policies": case.enforcement.policy, "actions": case.enforcement.action}
    facts |= {"categories": case.enforcement.category}
    first = next(
        (
            standard
            for standard in h.policy.standards
            if all(
                facts[key] in values if key in facts else set(values) & set(case.flags)
                for key, values in standard.get("when", {}).items()
            )
        ),
        {"needs": ()},
    )
    told = [(frozenset(need.kinds), need.at_least, frozenset(need.outcomes)) for need in case.standard]
    wanted = [
        (frozenset(need["kinds"]), need.get("at_least", 1), frozenset(need.get("outcomes", ["upheld"])))
        for need in first["needs"]
    ]
    if told != wanted:
        raise broken(h, case.user_id, f"{case.case_id} v{case.version}: standard {told}, not {wanted}")


ON_EACH_CASE = (
    versions_on_pods_only_grow,
    nothing_moves_the_regulatory_clock,
    waiting_never_passes_its_cap,
    a_case_waits_exactly_while_its_state_says_so,
    rank_never_gets_later,
    a_claim_and_its_state_agree,
    the_standard_is_the_rulebooks,
)


def _charge(case: Case) -> tuple[str, ...]:
    e = case.enforcement
    return (e.ground, e.policy, e.category, e.action)
