"""`recourse reversal`: which run and which are stuck, the life of one, the money, and how to help one on."""

from __future__ import annotations

from typing import Annotated

import typer

from topology.cli.common import console, settings_or_exit
from topology.exits import Exit

app = typer.Typer(help="Show reversals and their money, and help on those that are stuck.", no_args_is_help=True)

ReversalId = Annotated[str, typer.Argument(metavar="REVERSAL", help="As `recourse reversal list` shows it.")]
Actor = Annotated[str, typer.Option(help="Who you are: the audit names you.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit; no personal data.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for what comes of it; 0: do not.")]


@app.command("list")
def list_(
    stalled: Annotated[bool, typer.Option("--stalled", help="Only those that need people.")] = False,
) -> None:
    """List the reversals that are not confirmed: what is open, since when, and what keeps them."""
    from topology.reversals import command  # noqa: PLC0415 - `--help` must not wait for Kafka's library

    command.list_(settings_or_exit(), console, stalled=stalled)


@app.command()
def show(reversal: ReversalId) -> None:
    """Show one reversal: each directive through its life, what must hold afterwards, and what people did."""
    from topology.reversals import command  # noqa: PLC0415

    command.show_one(reversal, settings_or_exit(), console)


@app.command()
def retry(
    reversal: ReversalId,
    actor: Actor,
    reason: Reason,
    directive: Annotated[str | None, typer.Option(help="Only this one; by default all that are open.")] = None,
    wait: Wait = 10,
) -> None:
    """Have open directives sent again, under their old keys, with fresh tries.

    Exit codes: 0 done; 1 rejected, the reason is shown; 2 refused, nothing was written; 3 no answer in time.
    """
    from topology.reversals import command  # noqa: PLC0415

    settings = settings_or_exit()
    raise typer.Exit(
        command.retry(reversal, settings, console, actor=actor, reason=reason, directive_id=directive, wait_s=wait)
    )


@app.command()
def resolve(
    reversal: ReversalId,
    directive: Annotated[str, typer.Argument(metavar="DIRECTIVE", help="As `recourse reversal show` shows it.")],
    actor: Actor,
    reason: Reason,
    wait: Wait = 10,
) -> None:
    """Vouch that what a directive asks for is true, whatever its system said: look there first.

    Exit codes: 0 done; 1 rejected, the reason is shown; 2 refused, nothing was written; 3 no answer in time.
    """
    from topology.reversals import command  # noqa: PLC0415

    settings = settings_or_exit()
    raise typer.Exit(command.resolve(reversal, directive, settings, console, actor=actor, reason=reason, wait_s=wait))


@app.command()
def ledger(
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    currency: Annotated[str | None, typer.Option(help="Only this currency, e.g. EUR.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As one line of JSON; amounts are strings.")] = False,
) -> None:
    """Balance what was taken against what went back, by user and currency, from the topics alone.

    Exit codes: 0 balanced; 1 not, each fault is named; 2 misconfigured.
    """
    from topology.reversals import command  # noqa: PLC0415

    if not command.ledger(settings_or_exit(), console, user_id=user, currency=currency, json=json):
        raise typer.Exit(Exit.DEFECT)
