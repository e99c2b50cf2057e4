"""Random installations with the reference systems, each from its seed: `python -m tests.topology.reference_runs`.

`SEEDS=200` says how many, `SEED=7` runs that one alone, `FIRST=1000` where to begin, `JOBS` how many processes.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal

from schemas.records import CaseEvent, EnforcementAmended, EnforcementIssued, EnforcementLifted
from schemas.vocabulary import Action, CaseEventKind, Operation, Outcome, ReversalCause
from tests.topology.reference_world import DAY, HOUR, MISFIRING, USERS, Installation
from topology.demo.systems import Verdict, View, truth
from topology.demo.systems.purse import stated
from topology.demo.systems.truth import Chapter

STEPS = 70
"""Random things in one world."""
THRESHOLDS = {Action.FEATURE_RESTRICTION: 2, Action.SUSPENSION: 2, Action.SELLING_REVOKED: 3, Action.BAN: 3}
"""Strikes at which an action follows, as the packaged rulebook has it."""
LAPSE_MS = 365 * DAY


Balance = dict[str, tuple[Decimal, Decimal, Decimal, Decimal]]
"""By currency: ever taken or held, of it back with its users, still away in the systems, and away by the truth."""


class Wrong(AssertionError):  # noqa: N818 - what was seen, not an error of ours
    """The world of this seed did not end as it should."""


def run(seed: int, steps: int = STEPS) -> Installation:
    """One world from its seed to its end, checked.

    Raises:
        Wrong: with the seed, from which it repeats.
    """
    world = Installation(seed)
    for _ in range(steps):
        world.act()
    faults = [] if world.come_to_rest() else [f"never done: {sorted(world.unconfirmed)} {world.unremedied}"]
    faults += [*_views(world), *_money(world), *_orders(world), *_consequences(world), *_cohorts(world)]
    if world.driver.dead_letters():
        faults.append(f"{len(world.driver.dead_letters())} dead letters: {world.driver.dead_letters()[-1]}")
    if faults:
        raise Wrong(
            f"seed {seed}: " + "\n  ".join(faults) + f"\nagain: SEED={seed} python -m tests.topology.reference_runs"
        )
    return world


def _views(world: Installation) -> list[str]:
    """Every user is as if what was overturned had never been, now and when more has ended by itself."""
    return [
        f"{user} at +{at - world.now}: {difference}"
        for user in USERS
        for at in (world.now, world.now + 20 * HOUR, world.now + 40 * DAY)
        for difference in world.state.view(user, at).differences(truth(world.history(user), at))
    ]


def _money(world: Installation) -> list[str]:
    """By effect, no more was ordered back than was ever taken; nothing was refused that only the engine did wrong."""
    most: dict[tuple[str, str], Decimal] = {}
    own_doing: Counter[str] = Counter()
    for events in world.events.values():
        for event in events:
            if hasattr(event, "effects"):
                for effect_id, _, amount in stated(event):
                    key = event.enforcement_id, effect_id
                    most[key] = max(most.get(key, Decimal(0)), amount.value)
            own_doing[event.enforcement_id] += not hasattr(event, "issued_at")
    back: dict[tuple[str, str], Decimal] = {}
    for order, directive in world.directives.values():
        if directive.amount is not None:
            key = order.enforcement_id, directive.effect_id
            back[key] = back.get(key, Decimal(0)) + directive.amount.value
    faults = [f"{key}: {value} ordered back, {most[key]} taken" for key, value in back.items() if value > most[key]]
    faults += [
        f"refused though the enforcing side did nothing itself: {directive.directive_id}: {detail}"
        for order, directive, detail in world.refused
        if not own_doing[order.enforcement_id] or directive.operation not in (Operation.REPAY, Operation.RELEASE)
    ]
    for currency, (taken, returned) in world.state.totals().items():
        away = sum((world.state.view(user, world.now).money_in(currency) for user in USERS), Decimal(0))
        if not away <= taken - returned <= taken:
            faults.append(f"{currency}: {taken} taken, {returned} returned, {away} away")
    return faults


def _orders(world: Installation) -> list[str]:
    """Each case that undoes something has exactly one reversal, and each reversal is confirmed once."""
    decided = Counter(line.case_id for line in world.lines if _undoes(line))
    ordered = Counter(o.case_id for o in world.first.values() if o.case_id != o.reversal_id)
    faults = [f"case {case}: {decided[case]} decisions, {ordered[case]} orders" for case in decided - ordered]
    faults += [f"case {case}: {ordered[case]} orders, {decided[case]} decisions" for case in ordered - decided]
    return faults + [f"{reversal} confirmed {n} times" for reversal, n in world.confirmed.items() if n > 1]


def _consequences(world: Installation) -> list[str]:
    """A consequence is undone exactly if the strikes that are left do not reach what it rests on."""
    faults: list[str] = []
    for order in world.first.values():
        if order.outcome is not Outcome.OVERTURNED:
            continue
        history = [chapter for chapter in world.history(order.user_id) if _time(chapter) <= order.ordered_at]
        strikes = truth(history, order.ordered_at).strikes
        judged = {c.enforcement_id for c in history if isinstance(c, Verdict)}  # of a modified one, little may be left
        first = {c.enforcement_id: c for c in reversed(history) if isinstance(c, EnforcementIssued)}
        newest = {c.enforcement_id: c for c in history if isinstance(c, EnforcementIssued | EnforcementAmended)}
        lifted = {c.enforcement_id for c in history if isinstance(c, EnforcementLifted)}
        for key, e in first.items():
            until = e.issued_at
            counted = sum(
                n for (_, of), n in strikes.items() if of != key and until - LAPSE_MS < first[of].issued_at <= until
            )
            enough = counted >= THRESHOLDS.get(newest[key].action, 0)
            if key == order.enforcement_id and order.cause is ReversalCause.CASCADE and enough:
                faults.append(f"{key} undone as a consequence, though {counted} strikes are left")
            over = newest[key].ends_at is not None and newest[key].ends_at <= order.ordered_at
            if e.caused_by == order.enforcement_id and not (enough or over or key in judged or key in lifted):
                faults.append(f"{key} stands, though {order.enforcement_id} is undone and {counted} strikes are left")
    return faults


def _cohorts(world: Installation) -> list[str]:
    """Nothing is left of what the misfiring version had done by a proposal, unless something was said of it since."""
    proposed = max(world.remedies.values(), default=0)
    return [
        f"{e.enforcement_id} is of the cohort, and of it is left: {left.restrictions} {left.money} {left.strikes}"
        for e in world.newest.values()
        if e.detector == MISFIRING
        and all(_time(c) < proposed for c in world.events[e.user_id] if c.enforcement_id == e.enforcement_id)
        and (left := truth([c for c in world.history(e.user_id) if c.enforcement_id == e.enforcement_id], world.now))
        != View()
    ]


def _time(chapter: Chapter) -> int:
    at = getattr(chapter, "at", None) or getattr(chapter, "issued_at", None)
    return chapter.occurred_at if at is None else at  # type: ignore[union-attr]


def _undoes(line: CaseEvent) -> bool:
    return line.kind is CaseEventKind.CASE_DECIDED and line.outcome in (Outcome.OVERTURNED, Outcome.MODIFIED)


def balance(world: Installation) -> Balance:
    """The money of a world that has come to rest, by currency."""
    found: Balance = {}
    for currency, (taken, _) in world.state.totals().items():
        away = sum((world.state.view(user, world.now).money_in(currency) for user in USERS), Decimal(0))
        due = sum((truth(world.history(user), world.now).money_in(currency) for user in USERS), Decimal(0))
        found[currency] = taken, taken - away, away, due
    return found


def _reached(seed: int) -> tuple[Counter[str], Balance] | str:
    try:
        world = run(seed)
        return world.reached, balance(world)
    except Exception as exc:  # noqa: BLE001 - told with its seed, whatever it is
        return str(exc) if isinstance(exc, Wrong) else f"seed {seed}: {exc!r}"


def main() -> int:
    """As many worlds as `SEEDS` says; 1 if one of them went wrong."""
    if "SEED" in os.environ:
        world = run(int(os.environ["SEED"]))
        print(world.reached)
        _print(balance(world))
        return 0
    first, seeds = int(os.environ.get("FIRST", "1")), int(os.environ.get("SEEDS", "200"))
    began, reached, wrong = time.monotonic(), Counter[str](), 0
    total: Balance = {}
    with ProcessPoolExecutor(int(os.environ.get("JOBS", str(os.cpu_count() or 1)))) as pool:
        for found in pool.map(_reached, range(first, first + seeds)):
            if isinstance(found, str):
                wrong += 1
                print(found, file=sys.stderr)
            else:
                reached += found[0]
                for currency, sums in found[1].items():
                    before = total.get(currency, (Decimal(0),) * 4)
                    total[currency] = tuple(map(sum, zip(before, sums, strict=True)))  # type: ignore[assignment]
    print("\n".join(f"{count:8,}  {what}" for what, count in sorted(reached.items())))
    _print(total)
    print(f"{seeds - wrong:,} of {seeds:,} worlds ended as they should, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


def _print(total: Balance) -> None:
    for currency, (taken, back, away, due) in sorted(total.items()):
        even = "even" if away == due else f"NOT EVEN, {away - due:+,f}"
        print(f"{currency}: {taken:,f} taken or held = {back:,f} back + {away:,f} away; by the truth {due:,f}: {even}")


if __name__ == "__main__":
    sys.exit(main())
