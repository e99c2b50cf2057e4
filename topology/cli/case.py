"""`recourse case`: show, verify and replay cases."""

from __future__ import annotations

from typing import Annotated

import typer

from topology.cli.common import console, settings_or_exit
from topology.engine.errors import Misconfigured
from topology.exits import Exit

app = typer.Typer(help="Show, verify and replay cases, from the audit.", no_args_is_help=True)


@app.command("show")
def show(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="Of a case or of an appeal.")],
    json: Annotated[bool, typer.Option("--json", help="Only the lines, each as one line of JSON.")] = False,
) -> None:
    """Show a case's whole life: what happened, who did it, what each step saw, what was undone."""
    from topology.audit import command  # noqa: PLC0415

    command.show(wanted, settings_or_exit(), console, json=json)


@app.command("verify")
def verify(
    user: Annotated[str | None, typer.Option(help="Only this user's lines.")] = None,
    wanted: Annotated[
        str | None, typer.Option("--case", metavar="ID", help="Only the lines of the user whose case or appeal it is.")
    ] = None,
) -> None:
    """Walk the hash chains of the audit; name every line that is missing, altered, moved, doubled or cut off.

    Exit codes: 0 every chain is whole; 1 one is not; 2 misconfigured, or nothing is known of it.
    """
    from topology.audit import command  # noqa: PLC0415

    if user is not None and wanted is not None:
        raise Misconfigured("--user and --case: give one of them, or none for all users")
    if not command.verify(settings_or_exit(), console, user_id=user, wanted=wanted):
        raise typer.Exit(Exit.DEFECT)


@app.command("replay")
def replay(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="Of a case or of an appeal.")],
) -> None:
    """Fold the user's inputs again, under the rulebooks of then, and compare with the audit line by line.

    Exit codes: 0 every line comes out identical; 1 one does not; 2 misconfigured, or nothing is known of it.
    """
    from topology.audit import command  # noqa: PLC0415

    if not command.replay(wanted, settings_or_exit(), console):
        raise typer.Exit(Exit.DEFECT)
