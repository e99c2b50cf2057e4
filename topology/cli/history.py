"""`replay` and `simulate`: verbs that work on recorded inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from topology.cli.common import console, settings_or_exit
from topology.exits import Exit


def replay(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or an Avro container file.")],
    mapping: Annotated[str, typer.Option(help="A packaged mapping's name (dmca), or a file.")],
    file_format: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl or avro, if the suffix does not say.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Load at most so many records a second.")] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Start a Kafka and a Redis, process the file to its end, stop them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Map and count only; send nothing.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the balance here as JSON.")] = None,
) -> None:
    """Turn the rows of a file into input records, by a mapping, and count what becomes of them.

    Exit codes: 0 done; 1 the balance is not even: some appeal did not end exactly once; 2 misconfigured.
    """
    from topology.replay.command import Wanted  # noqa: PLC0415
    from topology.replay.command import replay as replay_file  # noqa: PLC0415
    from topology.replay.rows import parse_format  # noqa: PLC0415

    settings = settings_or_exit()
    wanted = Wanted(
        path=file,
        mapping=mapping,
        form=parse_format(file_format),
        rate=rate,
        json=json,
        embedded=embedded,
        dry_run=dry_run,
    )
    if not replay_file(wanted, settings, console).even:
        raise typer.Exit(Exit.DEFECT)


def simulate(
    rulebook: Annotated[Path, typer.Option(help="The new rulebook.")],
    against: Annotated[Path | None, typer.Option(help="The old one; by default the one in force.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="CSV, JSON lines or Avro, instead of the input topics; needs --mapping.")
    ] = None,
    mapping: Annotated[str | None, typer.Option(help="A packaged mapping's name (dmca), or a file.")] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl or avro, if the suffix does not say.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Compare only appeals answered from then on (UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="Compare only appeals answered before then (UTC).")] = None,
    examples: Annotated[int, typer.Option(min=0, help="Examples of each kind of difference.")] = 5,
    json: Annotated[Path | None, typer.Option(help="Write all differences here as JSON.")] = None,
    fail_on_change: Annotated[bool, typer.Option("--fail-on-change", help="Exit with 1 if anything differs.")] = False,
) -> None:
    """Show what a new rulebook would have done with recorded inputs, next to the old one. Writes to no topic.

    Exit codes: 0 done; 1 with --fail-on-change, some appeal fares differently; 2 misconfigured.
    """
    from topology.replay.rows import parse_format  # noqa: PLC0415
    from topology.simulate.command import Wanted, parse_window  # noqa: PLC0415
    from topology.simulate.command import simulate as simulate_books  # noqa: PLC0415

    settings = settings_or_exit()
    wanted = Wanted(
        rulebook=rulebook,
        against=against,
        file=file,
        mapping=mapping,
        form=parse_format(file_format),
        window=parse_window(since, until),
        examples=examples,
        json=json,
    )
    if simulate_books(wanted, settings, console).comparison.differs and fail_on_change:
        raise typer.Exit(Exit.DEFECT)
