"""How the engine's answer is told to the person who waited for it."""

from __future__ import annotations

from datetime import UTC, datetime

from desk.answers import Answer
from desk.pages.visit import Visit
from desk.queue import PodQueue
from schemas.records import Money

_RACES = frozenset({"stale_version", "already_claimed"})


async def tell_answer(visit: Visit, queue: PodQueue | None, answer: Answer, done: str = "accepted") -> None:
    """Say on the next page that it counted, or why not; of a race, who was quicker."""
    if answer.accepted:
        visit.tell(done)
        return
    values = {"reason": answer.reason, "detail": answer.detail[:200]}
    line = answer.line
    if answer.reason in _RACES and queue is not None and line.case_id is not None:
        entry = await visit.slow(queue.wait_for, line.case_id, line.case_version or 0, 2.0)
        if entry is not None and entry.holder is not None and entry.holder != visit.who.name:
            visit.tell("beaten", good=False, who=entry.holder)
            return
    visit.tell("rejected", good=False, **values)


def amount_of(money: Money) -> str:
    """An exact amount as people write it: with two digits after the point, or with as many as it has."""
    value = money.value.normalize()
    exponent = value.as_tuple().exponent
    digits = max(2, -exponent) if isinstance(exponent, int) else 2
    return f"{money.value:.{digits}f} {money.currency}"


def time_of(ms: int, form: str = "%Y-%m-%d %H:%M") -> str:
    """A time as people read it; UTC."""
    return f"{datetime.fromtimestamp(ms / 1_000, UTC):{form}}"
