"""`recourse remedy`: reverse a whole cohort of enforcements that went wrong together."""

from __future__ import annotations

from typing import Annotated

import typer

from schemas.records import Detector
from schemas.vocabulary import RemedySteer
from topology.cli.common import console, settings_or_exit
from topology.exits import Exit

app = typer.Typer(
    help="Reverse a whole cohort of enforcements: propose, look at the dry run, approve by two people, watch.",
    no_args_is_help=True,
)

RemedyId = Annotated[str, typer.Argument(metavar="ID", help="As `recourse remedy list` shows it.")]
Actor = Annotated[str, typer.Option(help="Who you are: the reports name you.")]
Reason = Annotated[str, typer.Option(help="Why; no personal data.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for the partitions' answers; 0: do not.")]


@app.command()
def propose(
    detector: Annotated[str, typer.Option(help="Name of the detector that misfired.")],
    version: Annotated[str, typer.Option(help="Its version.")],
    issued_from: Annotated[str, typer.Option("--from", help="Issued from then on (ISO 8601, UTC).")],
    issued_until: Annotated[str, typer.Option("--until", help="Issued before then (ISO 8601, UTC).")],
    per_second: Annotated[int, typer.Option(min=1, help="At most so many reversals a second, over all partitions.")],
    actor: Actor,
    reason: Reason,
    policy: Annotated[str | None, typer.Option(help="Only under this rule.")] = None,
    remedy_id: Annotated[str | None, typer.Option("--id", help="By default derived from the cohort.")] = None,
    wait: Wait = 10,
) -> None:
    """Name a cohort: every partition makes a dry run, and nothing is reversed.

    Exit codes: 0 taken; 1 refused by a partition; 2 refused, nothing was written; 3 not all answered in time.
    """
    from topology.remedies.command import Desk  # noqa: PLC0415 - `--help` must not wait for Kafka's library

    heard = Desk(settings_or_exit(), console).propose(
        Detector(name=detector, version=version),
        policy=policy,
        issued_from=issued_from,
        issued_until=issued_until,
        per_second=per_second,
        actor=actor,
        reason=reason,
        remedy_id=remedy_id,
        wait_s=wait,
    )
    raise typer.Exit(heard)


@app.command()
def approve(
    remedy: RemedyId,
    actor: Actor,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = 10,
) -> None:
    """Show the dry run and agree with it; two people must, neither of them who proposed it.

    Exit codes: 0 taken; 1 refused by a partition; 2 refused, nothing was written; 3 not all answered in time.
    """
    from topology.remedies.command import Desk  # noqa: PLC0415

    def confirm(question: str) -> bool:
        return yes or typer.confirm(question)

    heard = Desk(settings_or_exit(), console).approve(remedy, actor=actor, confirm=confirm, wait_s=wait)
    raise typer.Exit(Exit.MISCONFIGURED if heard is None else heard)


@app.command()
def pause(remedy: RemedyId, actor: Actor, reason: Reason, wait: Wait = 10) -> None:
    """Order no more reversals until it is resumed. Exit codes as of `approve`."""
    _steer(remedy, RemedySteer.PAUSE, actor, reason, wait)


@app.command()
def resume(remedy: RemedyId, actor: Actor, reason: Reason, wait: Wait = 10) -> None:
    """Go on where it was paused. Exit codes as of `approve`."""
    _steer(remedy, RemedySteer.RESUME, actor, reason, wait)


@app.command()
def stop(remedy: RemedyId, actor: Actor, reason: Reason, wait: Wait = 10) -> None:
    """End it for good; what was reversed stays reversed. Exit codes as of `approve`."""
    _steer(remedy, RemedySteer.STOP, actor, reason, wait)


@app.command("list")
def list_() -> None:
    """List all remedies."""
    from topology.remedies.command import Desk  # noqa: PLC0415

    Desk(settings_or_exit(), console).list_()


@app.command()
def show(
    remedy: RemedyId,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again until it is over, or Ctrl-C.")] = False,
) -> None:
    """Show one remedy: the cohort, each partition and the sum, examples, who proposed and approved."""
    from topology.remedies.command import Desk  # noqa: PLC0415

    Desk(settings_or_exit(), console).show(remedy, watch=watch)


def _steer(remedy: str, steer: RemedySteer, actor: str, reason: str, wait: float) -> None:
    from topology.remedies.command import Desk  # noqa: PLC0415

    raise typer.Exit(Desk(settings_or_exit(), console).steer(remedy, steer, actor=actor, reason=reason, wait_s=wait))
