"""What the engine says to what was written: the first line of `case.events` that names the event as its cause.

The engine answers each review event in the batch that reads it: with the line of what happened, or with
`ReviewRejected` and a reason from a closed list. An accepted event that is delivered again is met with silence, so
answers are remembered for a while.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from schemas.records import CaseEvent
from schemas.vocabulary import CaseEventKind

_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The engine's answer."""

    line: CaseEvent

    @property
    def accepted(self) -> bool:
        """Whether the event counted."""
        return self.line.kind is not CaseEventKind.REVIEW_REJECTED

    @property
    def reason(self) -> str:
        """Why not: a code (docs/review.md); empty if it counted."""
        return "" if self.accepted else self.line.reason or "unknown"

    @property
    def detail(self) -> str:
        """What the engine adds: who holds the case, what evidence is missing."""
        return "" if self.accepted else self.line.saw.get("detail", "")


class Answers:
    """Who waits for which event's answer. Fed with lines by one thread, asked by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Future[Answer]]] = {}
        self._accepted: OrderedDict[str, Answer] = OrderedDict()

    def expect(self, event_id: str) -> Future[Answer]:
        """A future of the answer; done already if the event has been accepted before. To be asked before writing."""
        future: Future[Answer] = Future()
        with self._lock:
            known = self._accepted.get(event_id)
            if known is None:
                self._waiting.setdefault(event_id, []).append(future)
        if known is not None:
            future.set_result(known)
        return future

    def forget(self, event_id: str, future: Future[Answer]) -> None:
        """Nobody waits any more."""
        with self._lock:
            left = [each for each in self._waiting.get(event_id, []) if each is not future]
            if left:
                self._waiting[event_id] = left
            else:
                self._waiting.pop(event_id, None)

    def heard(self, line: CaseEvent) -> None:
        """A line of the audit."""
        answer = Answer(line)
        with self._lock:
            waiting = self._waiting.pop(line.cause_id, [])
            if answer.accepted and line.actor is not None and line.cause_id not in self._accepted:
                self._accepted[line.cause_id] = answer
                if len(self._accepted) > _REMEMBERED:
                    self._accepted.popitem(last=False)
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_result(answer)
