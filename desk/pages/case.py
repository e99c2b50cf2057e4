"""A case: what was done, what the appellant says, the evidence against its standard, what else stands, what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from starlette.responses import Response

from desk.audit import Link
from desk.floor import Floor
from desk.identity import Person, Role
from desk.live import stream
from desk.pages.draft import Draft, milder
from desk.pages.visit import Visit, error_page
from desk.queue import PodQueue
from desk.standard import OUTCOMES, short_of
from desk.standing import Standing
from desk.texts import Text
from desk.writer import now_ms
from schemas import DecodeError, to_json
from schemas.records import Case
from schemas.vocabulary import (
    CaseEventKind,
    CaseState,
    DismissalReason,
    EvidenceKind,
    EvidenceSupplier,
    HoldReason,
    ReferralReason,
)

_MATERIAL: Final = (
    *("state", "pod", "enforcement", "evidence", "statements", "standard", "requests", "proposal", "guidance_ref"),
    *("flags", "grounds", "excluded_reviewers"),
)
"""What a person looks at before they decide: if none of it has changed, they have seen the newest version."""
_REVERSAL: Final = (
    *(CaseEventKind.REVERSAL_ORDERED, CaseEventKind.DIRECTIVE_APPLIED, CaseEventKind.DIRECTIVE_FAILED),
    *(CaseEventKind.REVERSAL_STALLED, CaseEventKind.REVERSAL_CONFIRMED),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A case and the pod that it is at."""

    queue: PodQueue
    case: Case

    def holder(self) -> str | None:
        """Who works on it."""
        return None if self.case.claim is None else self.case.claim.reviewer

    def held_by(self, who: Person) -> bool:
        """Whether it is this person's now."""
        return self.holder() == who.name


def find(visit: Visit) -> Found | None:
    """The open case that the path names, if it is at one of the person's pods."""
    place = visit.floor.client.find(visit.path("case_id"))
    if place is None or not may_see(visit, place[0]):
        return None
    case = place[0].case(place[1])
    return None if case is None else Found(place[0], case)


def may_see(visit: Visit, queue: PodQueue) -> bool:
    """Whoever works at the pod, and second reviewers of it."""
    return visit.who.works_at(queue.pod)


def digest(case: Case) -> str:
    """Stands for all that a person looks at before they decide."""
    shown = {name: json.loads(to_json(case))[name] for name in _MATERIAL}
    if shown["state"] == CaseState.QUEUED and case.claim is None:
        shown["state"] = CaseState.CLAIMED  # to claim a case changes nothing that is looked at
    return sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:24]


async def case_page(visit: Visit) -> Response:
    """The whole page; of a case that has left, what became of it."""
    return await _shown(visit, "case.html")


async def state(visit: Visit) -> Response:
    """The part of it that changes by itself; what somebody is writing stays as it is."""
    return await _shown(visit, "_state.html")


async def live(visit: Visit) -> Response:
    """Tells of every change of the case; and as long as it is listened to, its holder is at work."""
    case_id, who = visit.path("case_id"), visit.who.name
    visit.site.presence.came(who, case_id)
    count = 0

    def look() -> object:
        nonlocal count
        count += 1
        return count

    return stream(
        visit.floor.bell,
        (f"case:{case_id}", "broker"),
        look,
        lambda: visit.site.presence.left(who, case_id),
    )


async def _shown(visit: Visit, template: str) -> Response:
    found = find(visit)
    if found is not None:
        return visit.page(template, **await visit.slow(context, visit.floor, visit.who, found))
    case_id = visit.path("case_id")
    user_id = visit.floor.audit.user_of(case_id)
    links: list[Link] = [] if user_id is None else await visit.slow(_lines, visit.floor, user_id, case_id)
    pod = next((link.line.pod for link in reversed(links) if link.line.pod is not None), None)
    if not links or pod is None or not (visit.who.works_at(pod) or visit.who.may(Role.AUDITOR)):
        still = not visit.floor.lines.whole.is_set()
        return error_page(visit.request, visit.site, visit.who, 404, "case_reading" if still else "case")
    name = "_closed.html" if template.startswith("_") else "closed.html"
    return visit.page(name, case_id=case_id, pod=pod, links=links, **_ending(links))


def context(floor: Floor, who: Person, found: Found) -> dict[str, Any]:
    """What the page shows of an open case."""
    case, now = found.case, now_ms()
    standing = floor.standing_of(case.user_id)
    e = case.enforcement
    detector = "" if e.detector is None else f"{e.detector.name} {e.detector.version}"
    cited = {item.evidence_id for item in case.evidence}
    return {
        "queue": found.queue,
        "case": case,
        "e": e,
        "now": now,
        "mine": found.held_by(who),
        "holder": found.holder(),
        "excluded": who.name in case.excluded_reviewers,
        "seen": digest(case),
        "place": found.queue.place(case.case_id),
        "texts": _texts(floor, case),
        "statements": floor.sealed.statements(case),
        "evidence": floor.sealed.evidence(case),
        "needs": [(need, need.waived, short_of(case, need, cited)) for need in case.standard],
        "others": standing.others(e.enforcement_id, now),
        "histories_whole": floor.enforcements.whole.is_set() and floor.lines.whole.is_set(),
        "alike": floor.audit.alike(e.policy, e.action.value, detector, case.case_id),
        "links": _lines(floor, case.user_id, case.case_id),
        "outcomes": OUTCOMES,
        "milder": milder(e.action),
        "draft": Draft(),
        "kinds": [kind for kind in EvidenceKind if kind is not EvidenceKind.UNKNOWN],
        "suppliers": [EvidenceSupplier.APPELLANT, EvidenceSupplier.ENFORCEMENT],
        "dismissals": [reason for reason in DismissalReason if reason is not DismissalReason.UNKNOWN],
        "referrals": [reason for reason in ReferralReason if reason is not ReferralReason.UNKNOWN],
        "holds": [reason for reason in HoldReason if reason is not HoldReason.UNKNOWN],
        "all_pods": list(floor.client.queues),
        "may_work": who.may(Role.SPECIALIST, Role.LEAD),
        "may_second": who.may(Role.SECOND_REVIEWER, Role.LEAD),
        "at_second": case.state is CaseState.SECOND_REVIEW,
        "waits": case.state in (CaseState.AWAITING_EVIDENCE, CaseState.ON_HOLD),
        "claimable": case.claim is None and case.state in (CaseState.QUEUED, CaseState.SECOND_REVIEW),
    }


def standing_for(floor: Floor, case: Case) -> Standing:
    """What is known of the user of a case."""
    return floor.standing_of(case.user_id)


def _texts(floor: Floor, case: Case) -> dict[str, Text]:
    """By reference: whatever the case refers to that lies here."""
    found = {each.ref: floor.texts.read(each.ref, each.sha256) for each in case.statements if each.ref is not None}
    refs = [case.guidance_ref, case.enforcement.facts_ref, *(request.note_ref for request in case.requests)]
    if case.proposal is not None:
        refs += [case.proposal.reasons_ref, case.proposal.guidance_ref]
    found |= {ref: floor.texts.read(ref) for ref in refs if ref is not None}
    return found


def _lines(floor: Floor, user_id: str, case_id: str) -> list[Link]:
    return [link for link in floor.audit.life(user_id) if link.line.case_id == case_id]


def _ending(links: list[Link]) -> dict[str, Any]:
    """What became of a case that has left its pod: the outcome, and how far its reversal is."""
    decided = next((link.line for link in links if link.line.kind is CaseEventKind.CASE_DECIDED), None)
    steps = [link.line for link in links if link.line.kind in _REVERSAL]
    kinds = [line.kind for line in steps]
    if CaseEventKind.REVERSAL_CONFIRMED in kinds:
        reversal = "confirmed"
    elif CaseEventKind.REVERSAL_STALLED in kinds:
        reversal = "stalled"
    else:
        reversal = "going" if CaseEventKind.REVERSAL_ORDERED in kinds else ""
    return {"decided": decided, "steps": steps, "reversal": reversal, "pod_now": links[-1].line.pod}


def decodable(queue: PodQueue, case_id: str) -> Case | None:
    """A case of a queue; None: it has left, or is broken."""
    try:
        return queue.case(case_id)
    except DecodeError:
        return None
