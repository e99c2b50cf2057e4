"""Directives in words: what must hold afterwards, and where one stands."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.records import Directive, Lesser, Money, Restriction
from schemas.vocabulary import DirectiveState, Operation
from topology.reversals.amounts import exact
from topology.reversals.life import Answer, DirectiveLife, Help


def at(millis: int) -> str:
    """UTC, to the second."""
    return f"{datetime.fromtimestamp(millis / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def money(amount: Money | None) -> str:
    """Exact, with its currency."""
    return "" if amount is None else f"{exact(amount.value)} {amount.currency}"


def must_hold(directive: Directive) -> str:
    """The state that must hold once the directive is obeyed."""
    amount = money(directive.amount)
    match directive.operation:
        case Operation.REPAY:
            return f"exactly {amount} of {directive.effect_id} is paid back"
        case Operation.RELEASE:
            released = f"exactly {amount} of {directive.effect_id} is released; " if amount else ""
            return f"{released}{_restrictions(directive)}"
        case Operation.EXPUNGE:
            kept = directive.strikes_kept or 0
            strikes = "1 strike" if kept == 1 else f"{kept or 'no'} strikes"
            return f"{strikes} of the enforcement {'stays' if kept == 1 else 'stay'} on the record"
        case Operation.RESTORE:
            return _restrictions(directive)
        case Operation.UNKNOWN:
            return "an operation that this version does not know"


def lesser(terms: Lesser) -> str:
    """What is left of an enforcement that was found too hard."""
    parts = [str(terms.action), f"in {', '.join(terms.scope)}" if terms.scope else "everywhere"]
    parts.append("without end" if terms.ends_at is None else f"until {at(terms.ends_at)}")
    if terms.amount is not None:
        parts.append(f"keeping {money(terms.amount)}")
    if terms.strikes:
        parts.append("with 1 strike" if terms.strikes == 1 else f"with {terms.strikes} strikes")
    return " ".join(parts)


def state_of(one: DirectiveLife) -> str:
    """Where it stands, and how it came there."""
    match one.state:
        case DirectiveState.SUPERSEDED:
            return f"superseded by {one.superseded_by or 'another'}"
        case DirectiveState.APPLIED if one.resolved is not None:
            return f"resolved by hand: {help_given(one.resolved)}"
        case DirectiveState.SENT:
            return "sent" if len(one.sent) <= 1 else f"sent {len(one.sent)} times"
        case _:
            return str(one.state)


def answers(one: DirectiveLife) -> list[str]:
    """All answers, oldest first."""
    return [_answer(answer) for answer in one.answers] or ["none yet"]


def help_given(given: Help) -> str:
    """Who did it, when and why."""
    return f"{given.actor or 'somebody'} {at(given.at)}: {given.reason or 'no reason given'}"


def _answer(answer: Answer) -> str:
    parts = [f"{answer.status} {at(answer.at)}"]
    if answer.amount is not None:
        parts.append(f"moved {money(answer.amount)}")
    if answer.detail is not None:
        parts.append(answer.detail)
    if answer.judged is not None:
        parts.append(f"({answer.judged})")
    return " ".join(parts)


def _restrictions(directive: Directive) -> str:
    where = f"{directive.target.kind} {directive.target.id}"
    if directive.state:
        return f"on {where} exactly: {'; '.join(map(_restriction, directive.state))}"
    if directive.surviving and not directive.revision:  # of a version that left it to the system to join them
        named = "; ".join(f"{s.action} of {s.enforcement_id}" for s in directive.surviving)
        return f"on {where} what these make it: {named}"
    return f"on {where} nothing is restricted by this kind of effect any more"


def _restriction(restriction: Restriction) -> str:
    where = restriction.territory or "everywhere"
    until = "without end" if restriction.ends_at is None else f"until {at(restriction.ends_at)}"
    return f"{restriction.action} {where} {until} ({restriction.enforcement_id})"
