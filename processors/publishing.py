"""Cases on their pods' topics: the newest full state, and the tombstone when a case leaves."""

from functools import lru_cache

from processors import standards
from processors.context import Context
from processors.dossier import Dossier
from processors.on_file import Enforcement, Exhibit
from processors.open_case import OpenCase, Part, Proposed, Request
from processors.outbox import CASES, lesser_record, money
from processors.second_review import AGAINST_PRIOR
from schemas.records import (
    Case,
    Claim,
    Component,
    Detector,
    EnforcementId,
    EnforcementSummary,
    Evidence,
    EvidenceRequest,
    Pause,
    Proposal,
    Routing,
    SecondReview,
    Statement,
    Target,
)


def publish(dossier: Dossier, ctx: Context, case: OpenCase, enforcement: Enforcement) -> None:
    """The newest full case on its pod's topic."""
    lease, waiting, proposal = case.lease, case.waiting, case.proposal
    record = Case(
        case_id=case.case_id,
        version=case.version,
        user_id=dossier.user_id,
        appeal_id=case.appeal_id,
        state=case.state,
        pod=case.pod,
        band=case.band,
        score=case.score,
        components=[_component(part) for part in case.parts],
        rank_at=case.rank_at,
        submitted_at=case.submitted_at,
        opened_at=case.opened_at,
        due_at=case.due_at,
        promised_at=case.promised_at,
        language=case.language,
        region=case.region,
        grounds=list(case.grounds),  # copies: the record must not change with the dossier
        flags=list(case.flags),
        statements=[
            Statement(appeal_id=n.appeal_id, submitted_at=n.submitted_at, ref=n.ref, sha256=n.sha256, sealed=n.sealed)
            for n in case.notes
        ],
        evidence=[_evidence(exhibit) for exhibit in case.evidence],
        enforcement=_summary(case.enforcement_id, enforcement),
        enforcement_changed=case.changed,
        excluded_reviewers=list(case.excluded) if proposal is None else [*case.excluded, proposal.reviewer],
        claim=None if lease is None else Claim(reviewer=lease.reviewer, since=lease.since, until=lease.until),
        routing=Routing(rule=case.rule, pod=case.pod, because=case.because),
        rulebook_digest=case.digest,
        pause=None if waiting is None else Pause(since=waiting.since, until=waiting.until),
        paused_ms=case.paused_ms,
        standard=standards.view(case, ctx.rulebook.tables.review) if case.standard else [],
        requests=[_request(request) for request in case.requests],
        second_review=None if proposal is None else _second(case),
        proposal=None if proposal is None or case.blind else _proposal(proposal),
        guidance_ref=case.guidance_ref,
        escalated=case.escalated,
        origin=case.origin,
    )
    ctx.emit(CASES + case.pod, case.case_id, record)


def withdraw(ctx: Context, case: OpenCase) -> None:
    """The tombstone that takes a case off its pod's topic."""
    ctx.emit(CASES + case.pod, case.case_id, None)


@lru_cache(maxsize=1 << 14)
def _component(part: Part) -> Component:
    """The same object for equal parts, so that its bytes are made once (`schemas.rules.SHARED`)."""
    return Component(
        name=part.name, value=part.value, weight=part.weight, contribution=part.contribution, because=part.because
    )


def _evidence(exhibit: Exhibit) -> Evidence:
    return Evidence(
        evidence_id=exhibit.evidence_id,
        kind=exhibit.kind,
        ref=exhibit.ref,
        sha256=exhibit.sha256,
        supplied_by=exhibit.supplier,
        sealed=exhibit.sealed,
    )


def _request(request: Request) -> EvidenceRequest:
    return EvidenceRequest(
        request_id=request.request_id,
        kinds=list(request.kinds),
        at_least=request.at_least,
        supplier=request.supplier,
        requested_at=request.requested_at,
        due_at=request.due_at,
        note_ref=request.note_ref,
    )


def _second(case: OpenCase) -> SecondReview:
    # With the parts of the score, that it goes against the prior would tell a blind reviewer what was decided.
    because = [name for name in case.triggers if not (case.blind and name == AGAINST_PRIOR)]
    return SecondReview(because=because, since=case.second_since, blind=case.blind)


def _proposal(proposal: Proposed) -> Proposal:
    lesser = proposal.lesser
    return Proposal(
        outcome=proposal.outcome,
        reviewer=proposal.reviewer,
        proposed_at=proposal.proposed_at,
        reasons_ref=proposal.reasons_ref,
        cited_evidence=list(proposal.cited),
        lesser=None if lesser is None else lesser_record(lesser),
        guidance_ref=proposal.guidance_ref,
    )


def _summary(enforcement_id: EnforcementId, e: Enforcement) -> EnforcementSummary:
    return EnforcementSummary(
        enforcement_id=enforcement_id,
        version=e.version,
        issued_at=e.issued_at,
        policy=e.policy,
        policy_version=e.policy_version,
        action=e.action,
        ends_at=e.ends_at,
        target=Target(kind=e.target_kind, id=e.target_id, content_hash=e.content_hash),
        ground=e.ground,
        category=e.category,
        automation=e.automation,
        detector=None if e.detector is None else Detector(name=e.detector, version=e.detector_version),
        statement_of_reasons_id=e.statement_of_reasons_id,
        facts_ref=e.facts_ref,
        amount=money(e.amount),
        strikes=e.strikes,
    )
