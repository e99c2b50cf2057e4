"""The reference enforcement systems after a run: obeying every order, are they as if the wrong had never been done?

They hear what the enforcing side did and obey what was ordered in the order in which the engine came to know of it,
which the audit tells (`CaseEvent.folded`); the truth is computed without any directive (`topology/demo/systems/truth`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from schemas import records as r
from schemas.vocabulary import AckStatus, CaseEventKind
from tests.integration.reversal_checker import Fault
from topology.demo.systems import SystemsState, truth, verdicts_of, woven


def system_faults(
    events: Iterable[Any], lines: Iterable[r.CaseEvent], orders: Iterable[r.ReversalOrdered], now: int
) -> Iterator[Fault]:
    """Differences between what systems hold and what should be so, at `now` (UTC ms).

    Args:
        events: good records of `enforcement.events`, each user's in the order of the topic.
        lines: of the audit, each user's in order.
        orders: in the order of the topic.
        now: UTC ms.
    """
    done: dict[str, list[Any]] = defaultdict(list)
    for event in events:
        done[event.user_id].append(event)
    ordered: dict[str, list[r.ReversalOrdered]] = defaultdict(list)
    for order in orders:
        ordered[order.user_id].append(order)
    told: dict[str, list[r.CaseEvent]] = defaultdict(list)
    for line in lines:
        told[line.user_id].append(line)
    state = SystemsState()
    for user, history in done.items():
        yield from _lived(state, history, told[user], ordered[user], now)
        right = truth(woven(history, verdicts_of(ordered[user])), now)
        for difference in state.view(user, now).differences(right):
            yield Fault("system_wrong", f"{user}: {difference}")


def _lived(
    state: SystemsState, history: list[Any], lines: list[r.CaseEvent], orders: list[r.ReversalOrdered], now: int
) -> Iterator[Fault]:
    """One user's life as the systems see it."""
    sent, heard = {(order.reversal_id, str(order.attempt)): order for order in orders}, 0
    for line in lines:
        for event in history[heard : line.folded[0]]:
            state.hear(event, line.occurred_at)
        heard = max(heard, line.folded[0])
        if line.kind is CaseEventKind.REVERSAL_ORDERED:
            order = sent.get((line.saw["reversal_id"], line.saw["attempt"]))
            if order is None:
                yield Fault("order_lost", f"{line.saw['reversal_id']}, attempt {line.saw['attempt']}")
                continue
            for directive in order.directives:
                answer = state.obey(directive, order, line.occurred_at)
                if answer.status is AckStatus.FAILED_PERMANENT:
                    yield Fault("directive_impossible", f"{directive.directive_id}: {answer.detail}")
    for event in history[heard:]:
        state.hear(event, now)
