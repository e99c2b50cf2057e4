"""What the audit says of each complaint: collected line by line, in the order of the topic, then put to an end."""

from __future__ import annotations

from dataclasses import dataclass, field

from processors.automation import ACTOR
from processors.reasons import RemandAnswer, Reversed
from schemas.records import CaseEvent
from schemas.vocabulary import CaseEventKind, CaseOrigin, Outcome, RefusalReason
from topology.report.complaint import RESULTS, Decider, Ending, Result

_DECIDERS = {Reversed.CONSEQUENCE: Decider.CONSEQUENCE, Reversed.REMEDY: Decider.REMEDY}
_ANSWERS = {
    RemandAnswer.LIFTED: Result.REVERSED,
    RemandAnswer.REVERSED: Result.REVERSED,
    # The decision that the user complained about did not stand as it was; the new one can be appealed against.
    RemandAnswer.AMENDED: Result.PARTIALLY_REVERSED,
}


Key = tuple[str, str]
"""A user, and one of their cases."""


@dataclass
class Life:
    """One complaint by its lines."""

    version: int | None = None
    """Of the enforcement, as the line says that answered it."""
    parked: bool = False
    case_id: str | None = None
    refused: str | None = None
    withdrawn_at: int | None = None
    refused_at: int | None = None

    def take(self, line: CaseEvent) -> None:
        """One line that names the appeal."""
        seen = line.saw.get("enforcement_version", "")
        if line.kind is CaseEventKind.APPEAL_PARKED:
            self.parked = True
        elif line.kind is CaseEventKind.CASE_OPENED:
            self.case_id, self.version = line.case_id, int(seen) if seen.isdecimal() else None
        elif line.kind is CaseEventKind.APPEAL_REFUSED:
            self.refused, self.refused_at = line.reason or "unknown", line.occurred_at
            self.version = int(seen) if seen.isdecimal() else None
        elif line.kind is CaseEventKind.APPEAL_WITHDRAWN_UNOPENED:
            self.withdrawn_at = line.occurred_at

    @property
    def is_further_text(self) -> bool:
        """It was no complaint of its own, but a further text for one that is open."""
        return self.refused == RefusalReason.DUPLICATE


@dataclass
class Cases:
    """What the audit says of cases and reversals, whoever asked for them."""

    decided: dict[Key, CaseEvent] = field(default_factory=dict[Key, CaseEvent])
    answers: dict[Key, CaseEvent] = field(default_factory=dict[Key, CaseEvent])
    """To remands, by the case that sent it back."""
    internal: dict[Key, str] = field(default_factory=dict[Key, str])
    """Cases without an appeal, with their origin."""
    looked_again: dict[Key, Key] = field(default_factory=dict[Key, Key])
    """The internal case that decides what was sent back and not answered, by the case that sent it back."""
    confirmed_at: dict[Key, int] = field(default_factory=dict[Key, int])
    """By case, when its reversal was confirmed."""

    def take(self, line: CaseEvent) -> None:
        """Any line of the audit."""
        if line.case_id is None:
            return
        case = (line.user_id, line.case_id)
        if line.kind is CaseEventKind.CASE_DECIDED:
            self.decided[case] = line
        elif line.kind is CaseEventKind.REMAND_ANSWERED:
            self.answers[case] = line
        elif line.kind is CaseEventKind.INTERNAL_CASE_OPENED:
            self.internal[case] = line.saw.get("origin", "")
            if line.saw.get("origin") == CaseOrigin.REMAND:
                self.looked_again[line.user_id, line.saw.get("because", "")] = case
        elif line.kind is CaseEventKind.REVERSAL_CONFIRMED:
            self.confirmed_at[case] = line.occurred_at

    def ending(self, user_id: str, life: Life | None) -> Ending:
        """How a complaint ended, as far as the audit goes."""
        if life is None:
            return Ending(Result.OMITTED, "not_taken_in", Decider.NOBODY, None)
        if life.case_id is not None:
            return self._of_case(user_id, life.case_id)
        if life.refused is not None:
            return Ending(Result.OMITTED, f"refused:{life.refused}", Decider.NOBODY, life.refused_at)
        if life.withdrawn_at is not None:
            return Ending(Result.OMITTED, str(Outcome.WITHDRAWN), Decider.NOBODY, life.withdrawn_at)
        return Ending(Result.OMITTED, "parked" if life.parked else "not_taken_in", Decider.NOBODY, None)

    def confirmed(self, user_id: str, ending: Ending) -> int | None:
        """When the reversal that a complaint led to was confirmed, if it was."""
        if ending.case_id is None:
            return None
        case = (user_id, ending.case_id)
        return self.confirmed_at.get(self.looked_again.get(case, case))

    def _of_case(self, user_id: str, case_id: str) -> Ending:
        line = self.decided.get((user_id, case_id))
        if line is None:
            return Ending(Result.OMITTED, "open", Decider.NOBODY, None, case_id)
        if line.outcome is Outcome.REMANDED:
            return self._of_remand((user_id, case_id), line)
        return _ending(line, case_id, "")

    def _of_remand(self, case: Key, line: CaseEvent) -> Ending:
        """What was sent back ends as it was answered; if it was not, as the lead pod decided."""
        sent_back = str(Outcome.REMANDED)
        case_id = case[1]
        answer = self.answers.get(case)
        if answer is not None and answer.reason is not None:
            result = _ANSWERS[RemandAnswer(answer.reason)]
            why = f"{sent_back}:{answer.reason}"
            return Ending(result, why, Decider.ENFORCING_SIDE, answer.occurred_at, case_id)
        again = self.decided.get(self.looked_again.get(case, ("", "")))
        if again is None:
            return Ending(Result.OMITTED, sent_back, Decider.NOBODY, line.occurred_at, case_id)
        return _ending(again, case_id, f"{sent_back}:")


def _ending(line: CaseEvent, case_id: str, before: str) -> Ending:
    outcome = line.outcome or Outcome.UNKNOWN
    result = RESULTS[outcome]
    how = next((decider for reason, decider in _DECIDERS.items() if line.reason == reason), None)
    if result is Result.OMITTED:
        decider = Decider.PEOPLE if outcome is Outcome.DISMISSED else Decider.NOBODY
    elif (line.actor or "").startswith(ACTOR):
        decider = Decider.RULE
    else:
        decider = how or Decider.PEOPLE
    reason = f":{line.reason}" if line.reason else ""
    return Ending(result, f"{before}{outcome}{reason}", decider, line.occurred_at, case_id)
