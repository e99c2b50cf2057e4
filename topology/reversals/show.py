"""Says on a terminal what is known of reversals and their money. What others wrote is never read as markup."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.text import Text

from topology import tables
from topology.reversals import words
from topology.reversals.amounts import exact
from topology.reversals.ledger import Ledger, Sums
from topology.reversals.life import DirectiveLife, ReversalLife

COLUMNS = ("taken or held", "given back", "ordered back", "confirmed back", "to come", "kept")


def show_list(found: list[ReversalLife], console: Console) -> None:
    """Reversals that are not confirmed."""
    table = tables.table(
        "Reversals under way (UTC)",
        ("user", "reversal", "enforcement", "cause", "attempts", "open", "ordered", "stalled since", "reason"),
    )
    for life in found:
        order, stuck = life.order, life.stuck
        tables.row(
            table,
            order.user_id,
            order.reversal_id,
            order.enforcement_id,
            order.cause,
            order.attempt,
            f"{len(life.open)} of {len(life.directives)}",
            words.at(order.ordered_at),
            None if stuck is None else words.at(stuck[0]),
            None if stuck is None else stuck[1],
        )
    console.print(table)
    stuck = sum(life.stuck is not None for life in found)
    _say(console, f"{len(found)} under way, {stuck} of them stalled")


def show_life(life: ReversalLife, console: Console) -> None:
    """One reversal: what it is, each directive through its life, what people did, how it stands."""
    order = life.order
    _say(console, f"Reversal {order.reversal_id} ordered {words.at(order.ordered_at)}, attempt {order.attempt}")
    _say(console, f"  of       enforcement {order.enforcement_id} version {order.enforcement_version}")
    _say(console, f"  user     {order.user_id}")
    _say(console, f"  cause    {_cause(life)}")
    _say(console, f"  outcome  {order.outcome}")
    if order.lesser is not None:
        _say(console, f"  left     {words.lesser(order.lesser)}")
    if order.strikes_expunged or order.strikes_left is not None:
        left = "" if order.strikes_left is None else f", {order.strikes_left} left on the user's record"
        _say(console, f"  strikes  {order.strikes_expunged} taken off{left}")
    show_directives(life, console)
    for given in life.helped:
        about = ", ".join(given.directive_ids) or "no directive"
        _say(console, f"{given.kind} {about} by {words.help_given(given)}")
    for since, reason in life.stalls:
        _say(console, f"needed people {words.at(since)}: {reason}")
    for immunity in life.immunities:
        target = f"{immunity.target.kind} {immunity.target.id}"
        by = immunity.detector or "every detector"
        _say(console, f"immune: {target} against {immunity.policy} by {by} until {words.at(immunity.until)}")
    _say(console, _standing(life))


def show_directives(life: ReversalLife, console: Console) -> None:
    """Each directive: where it stands, what must hold afterwards, what its system said."""
    table = tables.table(
        "Directives", ("directive", "system", "operation", "target", "effect", "amount", "state", "due (UTC)")
    )
    for one in life.directives.values():
        directive = one.directive
        tables.row(
            table,
            directive.directive_id,
            directive.system,
            directive.operation,
            f"{directive.target.kind} {directive.target.id}",
            directive.effect_id,
            words.money(directive.amount),
            _state(one),
            None if directive.deadline is None else words.at(directive.deadline),
        )
    console.print(table)
    for key, one in life.directives.items():
        _say(console, f"{key} afterwards: {words.must_hold(one.directive)}")
        for answer in words.answers(one):
            _say(console, f"{key} answer: {answer}")


def show_ledger(ledger: Ledger, console: Console) -> None:
    """One line a user and currency, the totals, and what does not balance."""
    table = tables.table("Money by user", ("user", "currency", *COLUMNS))
    for (user_id, currency), sums in ledger.by_user().items():
        tables.row(table, user_id, currency, *_cells(sums))
    table.add_section()
    for currency, sums in ledger.totals().items():
        tables.row(table, "all", currency, *_cells(sums))
    console.print(table)
    for fault in ledger.faults:
        directives, amount = ", ".join(fault.directive_ids) or "none", f"{exact(fault.amount)} {fault.currency}"
        _say(
            console,
            f"{fault.kind}: user {fault.user_id}, enforcement {fault.enforcement_id}, effect "
            f"{fault.effect_id or 'none'}, directives {directives}: {amount}; {fault.text}",
        )
    if ledger.faults:
        _say(console, f"not balanced: {len(ledger.faults)} {'fault' if len(ledger.faults) == 1 else 'faults'}")
    else:
        _say(console, "balanced")


def ledger_as_json(ledger: Ledger) -> str:
    """The same as JSON; amounts are strings, as no number of JSON is exact."""
    lines = [
        {"user_id": user_id, "currency": currency, **_named(sums)}
        for (user_id, currency), sums in ledger.by_user().items()
    ]
    totals = [{"currency": currency, **_named(sums)} for currency, sums in ledger.totals().items()]
    return msgspec.json.encode(
        {"balanced": not ledger.faults, "lines": lines, "totals": totals, "faults": ledger.faults}
    ).decode()


def _named(sums: Sums) -> dict[str, str]:
    names = ("taken", "given_back", "ordered_back", "confirmed_back", "to_come", "kept")
    return {**dict(zip(names, _cells(sums), strict=True)), "too_much": exact(sums.too_much)}


def _cells(sums: Sums) -> list[str]:
    found = (sums.taken, sums.given_back, sums.ordered, sums.confirmed, sums.to_come, sums.kept)
    return [exact(value) for value in found]


def _cause(life: ReversalLife) -> str:
    order = life.order
    of = {"decision": f"of case {order.case_id}", "remedy": f"{order.remedy_id}", "cascade": f"of {order.caused_by}"}
    return f"{order.cause} {of.get(order.cause, '')}".strip()


def _state(one: DirectiveLife) -> str:
    parts = [words.state_of(one)]
    if len(one.sent) > 1 and not parts[0].startswith("sent"):
        parts.append(f"sent {len(one.sent)} times")
    if one.directive.supersedes is not None:
        parts.append(f"takes the place of {one.directive.supersedes}")
    return "\n".join(parts)


def _standing(life: ReversalLife) -> str:
    reversal_id = life.order.reversal_id
    if life.confirmed is not None:
        done = f"{len(life.confirmed.directive_ids)} directives"
        return f"Reversal {reversal_id} confirmed {words.at(life.confirmed.confirmed_at)}: {done}"
    open_ = f"{len(life.open)} of {len(life.directives)} directives open"
    if life.stuck is not None:
        return (
            f"Reversal {reversal_id} stalled since {words.at(life.stuck[0])} ({life.stuck[1]}): "
            f"{open_}. `recourse reversal retry {reversal_id}` has them sent again, "
            f"`recourse reversal resolve {reversal_id} DIRECTIVE` vouches that one is done."
        )
    return f"Reversal {reversal_id} under way: {open_}"


def _say(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)
