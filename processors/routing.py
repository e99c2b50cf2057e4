"""Which pod judges a case: overrides, the rulebook's ordered rules, who speaks the language, and who has time."""

from processors.conditions import FACTS, holds
from processors.open_case import OpenCase
from processors.tables import OverrideRule, Route, Stop, Tables

_LANGUAGE = FACTS.index("language")


def route(
    case: OpenCase,
    facts: tuple[str, ...],
    amount: float,
    overrides: list[OverrideRule],
    tables: Tables,
    full: frozenset[str],
) -> str | None:
    """Set the case's pod, the rule that chose it and why. Every case has a pod: the last rule takes the rest.

    Args:
        case: to be routed; one that has a pod is routed again.
        facts: as conditions look at them.
        amount: at stake.
        overrides: those that hold.
        tables: of the rulebook.
        full: pods that overflow.

    Returns:
        The pod that the case would have gone to if it were not full; None if it went where it belongs, or was there.
    """
    belonged, case.overflowed_from = case.overflowed_from, ""
    given = next((rule for rule in overrides if rule.pod is not None), None) if overrides else None
    if given is not None and given.pod is not None:
        case.pod, case.rule, case.because = given.pod, given.name, f"override {given.name}"
        return None
    matched = tables.routes[-1]
    for rule in tables.routes:
        if holds(rule.test, facts, case.flags, amount):
            matched = rule
            break
    case.rule = matched.name
    because = _why(matched, case, facts, amount)
    stays = belonged and belonged == _first_that_fits(matched, case, facts, "", tables, frozenset())[0]
    if stays and any(stop.pod == case.pod and not _unfit(stop, case, facts) for stop in matched.stops):
        # It is in that queue already: going back as soon as there is room would only make it wait twice.
        case.because, case.overflowed_from = f"{because}; stays with {case.pod}, as {belonged} was full", belonged
        return None
    case.pod, case.because, passed = _first_that_fits(matched, case, facts, because, tables, full)
    case.overflowed_from = passed or ""
    return passed


def nobody_independent(case: OpenCase, people: frozenset[str] | None) -> bool:
    """Whether everybody of a pod is excluded from the case; a pod that lists nobody has always somebody."""
    return people is not None and people <= set(case.excluded)


def _first_that_fits(
    matched: Route, case: OpenCase, facts: tuple[str, ...], because: str, tables: Tables, full: frozenset[str]
) -> tuple[str, str, str | None]:
    """The pod, why, and the full one that was passed over for it, if there was one."""
    passed: str | None = None
    for stop in matched.stops:
        unfit = _unfit(stop, case, facts)
        if unfit:
            because += f"; {stop.pod} {unfit}"
        elif stop.pod in full and stop.pod != case.pod:
            because += f"; {stop.pod} is full"
            passed = passed or stop.pod
        else:
            return stop.pod, because, passed
    if passed is not None:  # a long wait for somebody who can judge it, rather than somebody who cannot
        return passed, because + f"; nobody else fits, so {passed}", None
    return tables.default_pod, because + "; default", None


def _unfit(stop: Stop, case: OpenCase, facts: tuple[str, ...]) -> str:
    """Why a pod cannot judge the case; empty if it can."""
    if not stop.skilled:
        return "lacks a skill"
    if stop.languages is not None and facts[_LANGUAGE] not in stop.languages:
        return f"does not read {case.language}"
    return "has nobody independent" if nobody_independent(case, stop.reviewers) else ""


def _why(matched: Route, case: OpenCase, facts: tuple[str, ...], amount: float) -> str:
    test = matched.test
    said = [f"{FACTS[position]}={facts[position]}" for position, _ in test.sets]
    if test.flags is not None:
        said.append("flags=" + ",".join(sorted(test.flags.intersection(case.flags))))
    if test.amount_at_least is not None:
        said.append(f"amount={amount:.2f}")
    return " ".join(said) or "no other rule"
