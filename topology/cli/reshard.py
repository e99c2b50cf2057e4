"""`recourse reshard`: another number of partitions."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from topology.cli.common import console, settings_or_exit
from topology.engine.errors import Misconfigured


def reshard(
    partitions: Annotated[int, typer.Option(min=1, max=10_000, help="Of inputs, dead letters and changelog, then.")],
    to: Annotated[str, typer.Option(help="Name of the new partitioning: RECOURSE_PARTITIONING from then on.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and what is in the way.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Only compare again what was moved.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Go back, as long as no worker has gone on there.")] = False,
    lose: Annotated[
        bool, typer.Option("--lose-new-inputs", help="With --undo: also if producers have written there already.")
    ] = False,
    reader: Annotated[
        list[str] | None, typer.Option(help="Group that reads case.events and goes on in the new one; repeatable.")
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for stopped workers to leave the group.")] = 0,
    replication: Annotated[int, typer.Option(help="Replicas a partition; -1: the cluster's default.")] = -1,
) -> None:
    """Move a stopped installation to another number of partitions: states, inputs and dead letters, verified.

    Give it with the settings of now. Killed anywhere, the same command goes on; docs/reshard.md has the steps.

    Exit codes: 0 done; 1 what was moved differs, each difference is named; 2 refused or failed, the text says why.
    """
    from topology.reshard.command import Resharding, Wanted  # noqa: PLC0415 - `--help` must not wait for Kafka's library
    from topology.settings import PARTITIONING  # noqa: PLC0415

    if sum((dry_run, verify, undo)) > 1:
        raise Misconfigured("--dry-run, --verify or --undo: one at a time")
    if not to or re.fullmatch(PARTITIONING, to) is None:
        raise Misconfigured(f"--to {to}: write up to 31 small letters, digits and hyphens, not a hyphen first")
    if lose and not undo:
        raise Misconfigured("--lose-new-inputs says something about --undo only")
    wanted = Wanted(partitions=partitions, to=to, wait_s=wait, replication=replication, readers=tuple(reader or ()))
    resharding = Resharding(settings_or_exit(), wanted, console)
    if dry_run:
        done = resharding.plan()
    elif verify:
        done = resharding.verify()
    elif undo:
        done = resharding.undo(lose=lose)
    else:
        done = resharding.run()
    raise typer.Exit(done)
