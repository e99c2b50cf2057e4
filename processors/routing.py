"""Which pod judges a case: overrides, then the rulebook's ordered rules, then who speaks the language."""

from processors.conditions import FACTS, holds
from processors.open_case import OpenCase
from processors.tables import OverrideRule, Route, Tables

_LANGUAGE = FACTS.index("language")


def route(case: OpenCase, facts: tuple[str, ...], amount: float, overrides: list[OverrideRule], tables: Tables) -> None:
    """Set the case's pod, the rule that chose it and why. Every case has a pod: the last rule takes the rest."""
    given = next((rule for rule in overrides if rule.pod is not None), None) if overrides else None
    if given is not None and given.pod is not None:
        case.pod, case.rule, case.because = given.pod, given.name, f"override {given.name}"
        return
    matched = tables.routes[-1]
    for rule in tables.routes:
        if holds(rule.test, facts, case.flags, amount):
            matched = rule
            break
    case.rule = matched.name
    case.pod, case.because = _first_that_fits(matched, case, facts, amount, tables)


def nobody_independent(case: OpenCase, people: frozenset[str] | None) -> bool:
    """Whether everybody of a pod is excluded from the case; a pod that lists nobody has always somebody."""
    return people is not None and people <= set(case.excluded)


def _first_that_fits(
    matched: Route, case: OpenCase, facts: tuple[str, ...], amount: float, tables: Tables
) -> tuple[str, str]:
    because = _why(matched, case, facts, amount)
    for stop in matched.stops:
        if not stop.skilled:
            because += f"; {stop.pod} lacks a skill"
        elif stop.languages is not None and facts[_LANGUAGE] not in stop.languages:
            because += f"; {stop.pod} does not read {case.language}"
        elif nobody_independent(case, stop.reviewers):
            because += f"; {stop.pod} has nobody independent"
        else:
            return stop.pod, because
    return tables.default_pod, because + "; default"


def _why(matched: Route, case: OpenCase, facts: tuple[str, ...], amount: float) -> str:
    test = matched.test
    said = [f"{FACTS[position]}={facts[position]}" for position, _ in test.sets]
    if test.flags is not None:
        said.append("flags=" + ",".join(sorted(test.flags.intersection(case.flags))))
    if test.amount_at_least is not None:
        said.append(f"amount={amount:.2f}")
    return " ".join(said) or "no other rule"
