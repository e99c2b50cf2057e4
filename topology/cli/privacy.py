"""`recourse privacy`: erase a user, hold that up, see how they stand, and change the key over all keys."""

from __future__ import annotations

from typing import Annotated

import typer

from topology.cli.common import console, settings_or_exit

app = typer.Typer(help="Erase users, place legal holds, and look after the keys of texts.", no_args_is_help=True)

User = Annotated[str, typer.Argument(metavar="USER", help="The user's id.")]
HoldId = Annotated[str, typer.Option("--hold", help="The hold's name; a new one for each.")]
Actor = Annotated[str, typer.Option(help="Who you are: the audit names you.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit; no personal data.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for what comes of it; 0: do not.")]


@app.command()
def erase(user: User, actor: Actor, reason: Reason, wait: Wait = 10) -> None:
    """Ask for a user to be erased: their key, open cases and dossier. It cannot be undone.

    Exit codes: 0 done, begun, or held up by a legal hold, see the line; 1 it was asked for before; 2 refused, nothing
    was written; 3 no answer in time.
    """
    from topology.privacy import command  # noqa: PLC0415 - `--help` must not wait for Kafka's library

    event = command.erasure(user, actor=actor, reason=reason, now_ms=command.now_ms())
    raise typer.Exit(command.say(event, settings_or_exit(), console, wait_s=wait))


@app.command()
def hold(user: User, hold: HoldId, actor: Actor, reason: Reason, wait: Wait = 10) -> None:
    """Place a legal hold: until it is released, the user is not erased.

    Exit codes: 0 done; 1 too late, or released before, see the line; 2 refused, nothing was written; 3 no answer in
    time, as of a hold that is in force already.
    """
    from topology.privacy import command  # noqa: PLC0415

    event = command.hold(user, hold, actor=actor, reason=reason, now_ms=command.now_ms())
    raise typer.Exit(command.say(event, settings_or_exit(), console, wait_s=wait))


@app.command()
def release(user: User, hold: HoldId, actor: Actor, reason: Reason, wait: Wait = 10) -> None:
    """Release a legal hold; an erasure that waits for it, and for no other, happens at once.

    Exit codes: 0 done; 1 there is no such hold; 2 refused, nothing was written; 3 no answer in time.
    """
    from topology.privacy import command  # noqa: PLC0415

    event = command.release(user, hold, actor=actor, reason=reason, now_ms=command.now_ms())
    raise typer.Exit(command.say(event, settings_or_exit(), console, wait_s=wait))


@app.command()
def show(user: User) -> None:
    """Show a user's legal holds, how far an erasure is, and whether their texts have a key."""
    from topology.privacy import command  # noqa: PLC0415

    command.show(user, settings_or_exit(), console)


@app.command()
def rotate(
    renew: Annotated[
        bool, typer.Option("--renew", help="Also make a new wrapping key, which wraps users' keys from now on.")
    ] = False,
) -> None:
    """Wrap with the first key of RECOURSE_KEK what older ones have wrapped; users' keys are not touched.

    Exit codes: 0 done; 2 refused, nothing was written.
    """
    from topology.privacy import command  # noqa: PLC0415

    command.rotate_keks(settings_or_exit(), console, renew=renew)


@app.command("new-kek")
def new_kek(
    name: Annotated[str | None, typer.Option(help="Its name; by default the day's date.")] = None,
) -> None:
    """Print a new key-encryption key as RECOURSE_KEK wants it. Keep it where secrets are kept; it is shown once."""
    from topology.privacy import command  # noqa: PLC0415

    command.new_kek(name, console)
