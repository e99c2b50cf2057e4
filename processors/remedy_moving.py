"""What remedies become when users move to another number of partitions: those that are over keep what they did.

A remedy that is not over cannot move: each partition has its own place in the cohort, and the users before and after
that place are about to be mixed.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from processors.remedy import AT_REST, MAX_COMMANDS
from processors.remedy_judging import MAX_CURRENCIES, MOST_MONEY
from processors.remedy_state import Remedy, Tallied
from schemas.vocabulary import RemedyState


def at_rest(remedy: Remedy) -> bool:
    """Whether it will never do anything more, whatever it is told."""
    return remedy.state in AT_REST


def moved(states: Mapping[int, Remedy], *, before: int, after: int) -> list[Remedy]:
    """The states of one remedy that is over, one for each partition of then.

    Sums over all partitions stay what they are. Reports count on from the highest number, so that one of then replaces
    any of before.

    Args:
        states: of one remedy, by partition; all `at_rest`.
        before: how many partitions there are.
        after: how many there will be.

    Raises:
        ValueError: one of them is not over.
    """
    every = [states[number] for number in sorted(states)]
    if not every or not all(map(at_rest, every)):
        raise ValueError("only a remedy that is over in all partitions can move")
    proposal = next((one.proposal for one in every if one.proposal is not None), None)
    steered = [one.steered for one in every if one.steered is not None]
    approvals = {who: seen for one in every for who, seen in one.approvals.items()}
    commands = list(dict.fromkeys(command for one in every for command in one.commands))[-MAX_COMMANDS:]
    known = [one for one in every if one.state is not RemedyState.UNKNOWN]
    return [
        Remedy(
            remedy_id=every[0].remedy_id,
            proposal=proposal and msgspec.structs.replace(proposal, partition=number, partitions=after),
            approvals=dict(sorted(approvals.items())),
            steered=max(steered, default=None),
            previewed=any(one.previewed for one in every),
            started=any(one.started for one in every),
            # One that is over in any other way was done.
            stopped=any(one.stopped and not one.finished for one in own or known),
            finished=proposal is not None and all(one.finished for one in own or known),
            sweep=max(one.sweep for one in every),
            cohort=_added(one.cohort for one in own),
            spared=_reasons(one.spared for one in own),
            done=_added(one.done for one in own),
            skipped=_reasons(one.skipped for one in own),
            commands=commands,
            seq=max(one.seq for one in every),
        )
        for number in range(after)
        for own in [[states[p] for p in range(number, before, after) if p in states and states[p] in known]]
    ]


def _added(tallies: Iterable[Tallied]) -> Tallied:
    total = Tallied()
    for one in tallies:
        total.enforcements += one.enforcements
        total.users += one.users
        for action, count in one.by_action.items():
            total.by_action[action] = total.by_action.get(action, 0) + count
        for currency, value in one.money.items():
            if currency in total.money or len(total.money) < MAX_CURRENCIES:
                total.money[currency] = min(total.money.get(currency, Decimal(0)) + value, MOST_MONEY)
    return total


def _reasons(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for reason, count in one.items():
            total[reason] = total.get(reason, 0) + count
    return total
