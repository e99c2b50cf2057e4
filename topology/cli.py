"""`recourse`: one verb for each job; `--help` is enough to use it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from topology import logs
from topology.engine.errors import EngineError, Misconfigured
from topology.settings import Settings, load_settings
from topology.worker import Exit

app = typer.Typer(
    help="The appeals engine behind a marketplace's enforcement. Settings come from RECOURSE_* variables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
dlq = typer.Typer(help="Look into the dead-letter topics.", no_args_is_help=True)
app.add_typer(dlq, name="dlq")
case = typer.Typer(help="Show, verify and replay cases, from the audit.", no_args_is_help=True)
app.add_typer(case, name="case")
console = Console()


def settings_or_exit(**overrides: object) -> Settings:
    """The process's settings, with logging set up."""
    settings = load_settings(**overrides)
    logs.configure(settings.log_format)
    return settings


@app.command()
def run(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes on this host.")] = 1,
    slot: Annotated[str | None, typer.Option(help="Stable name of this worker; its own for each.")] = None,
    supervised_by: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Process appeals until SIGTERM or Ctrl-C, which finish the batch and leave the group cleanly.

    Exit codes: 0 stopped as asked; 1 a defect; 2 misconfigured; 3 too many dead letters; 4 slot taken.
    """
    from topology import supervisor, worker  # noqa: PLC0415 - `--help` must not wait for Kafka's library

    settings = settings_or_exit(slot=slot)
    code = (
        worker.run(settings, parent=supervised_by) if workers == 1 else supervisor.Supervisor(settings, workers).run()
    )
    raise typer.Exit(code)


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=1, help="How long traffic is fed.")] = 60,
    rate: Annotated[
        float, typer.Option(min=10, max=5_000, help="Records a second that enforcement and users send.")
    ] = 400,
    appeal_share: Annotated[
        float, typer.Option(min=0.1, max=20, help="Appeals as a multiple of the published rate.")
    ] = 3,
    workers: Annotated[int, typer.Option(min=1, max=4, help="Worker processes.")] = 2,
    seed: Annotated[int, typer.Option(help="The same seed gives the same traffic.")] = 1,
    data_dir: Annotated[Path | None, typer.Option(help="Where data and logs lie; they are kept.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep data and logs of a temporary folder.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a screen.")] = False,
) -> None:
    """Show the whole loop live, with simulated users, systems and specialists, and balance it at the end.

    Starts a Kafka and a Redis of its own, unless RECOURSE_KAFKA and RECOURSE_REDIS name some. Ctrl-C stops early and
    still prints the balance. Exit codes: 0 the balance is even; 1 it is not, or a worker died; 2 misconfigured.
    """
    from topology.demo.run import Options, run  # noqa: PLC0415

    options = Options(
        seconds=seconds,
        rate=rate,
        appeal_times=appeal_share,
        workers=workers,
        seed=seed,
        data_dir=data_dir,
        keep=keep,
        plain=plain,
    )
    raise typer.Exit(run(options, console))


@app.command("create-topics")
def create_topics(
    partitions: Annotated[
        int | None, typer.Option(min=1, help="For the inputs, their dead letters and the changelog.")
    ] = None,
    replication: Annotated[int, typer.Option(help="Replicas a partition; -1: the cluster's default.")] = -1,
) -> None:
    """Create the register's topics that are missing; report what differs, alter nothing."""
    from topology.cluster import Cluster  # noqa: PLC0415
    from topology.topics import load_register  # noqa: PLC0415

    settings = settings_or_exit()
    register = load_register(settings.topic_prefix, partitions=partitions)
    created, drift = Cluster(settings.kafka_config(), register).create_missing(replication)
    for name in created:
        console.print(f"created  {name}", highlight=False)
    console.print(f"{len(created)} created, {len(register.topics) - len(created)} were there", highlight=False)
    for note in drift.notes:
        console.print(f"[yellow]differs[/]  {note}", highlight=False)
    for fault in drift.fatal:
        console.print(f"[red]refused[/]  {fault}", highlight=False)
    if drift.fatal:
        raise typer.Exit(Exit.MISCONFIGURED)


@app.command()
def topology(
    output: Annotated[str, typer.Option("--format", help="table, markdown or mermaid.")] = "table",
) -> None:
    """Show the topics and who writes and reads them."""
    from topology import diagram  # noqa: PLC0415
    from topology.topics import load_register  # noqa: PLC0415

    register = load_register(settings_or_exit().topic_prefix)
    if output == "mermaid":
        print(diagram.mermaid(register))  # noqa: T201 - for a file or a pipe: no terminal colours
    elif output == "markdown":
        print(diagram.markdown(register))  # noqa: T201
    elif output == "table":
        table = Table(caption="keys, records and what each is for: --format markdown")
        for heading in diagram.HEADINGS[: diagram.NARROW]:
            table.add_column(heading, no_wrap=True)
        for row in diagram.table(register):
            table.add_row(*row[: diagram.NARROW])
        console.print(table)
    else:
        raise Misconfigured(f"--format {output}: choose table, markdown or mermaid")


@app.command()
def doctor() -> None:
    """Check broker, topics, Redis, registry, rulebook and versions; each line says what to do."""
    from topology.doctor import examine  # noqa: PLC0415

    settings = settings_or_exit()
    sick = False
    for finding in examine(settings):
        mark = "[green]ok[/]  " if finding.ok else "[red]FAIL[/]"
        console.print(f"{mark} {finding.what:<9} {finding.text}", highlight=False, soft_wrap=True)
        sick |= not finding.ok
    if sick:
        raise typer.Exit(Exit.MISCONFIGURED)


@app.command()
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


@app.command()
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


@dlq.command("list")
def dlq_list(
    topic: Annotated[str | None, typer.Option(help="Only those of this input topic.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many lines.")] = 50,
) -> None:
    """List dead letters with their reasons, and count them by reason."""
    from topology.dlq import dead_letters  # noqa: PLC0415

    counts: dict[str, int] = {}
    table = Table("where", "from", "at", "reason", "what was wrong")
    for letter in dead_letters(settings_or_exit(), topic):
        counts[letter.reason] = counts.get(letter.reason, 0) + 1
        if table.row_count < limit:
            where = f"{letter.topic}[{letter.partition}]@{letter.offset}"
            cells = (where, letter.origin, f"{letter.at:%Y-%m-%d %H:%M:%S}", letter.reason, letter.message)
            # Escaped: the message can quote what was sent, and that must not be read as markup.
            table.add_row(*map(escape, cells))
    console.print(table)
    console.print(", ".join(f"{reason} {n}" for reason, n in sorted(counts.items())) or "no dead letters")


@dlq.command("show")
def dlq_show(
    where: Annotated[str, typer.Argument(help="As listed: topic[partition]@offset")],
) -> None:
    """Show one dead letter whole: headers, key and bytes."""
    from topology.dlq import dead_letters, parse_where  # noqa: PLC0415

    settings = settings_or_exit()
    topic, partition, offset = parse_where(where)
    for letter in dead_letters(settings, topic.removeprefix(settings.topic_prefix)):
        if (letter.partition, letter.offset) == (partition, offset):
            console.print(f"key    {letter.key!r}", highlight=False, markup=False)
            for name, value in letter.headers.items():
                console.print(
                    f"header {name}: {value.decode(errors='backslashreplace')}", highlight=False, markup=False
                )
            console.print(f"value  {len(letter.value or b'')} bytes: {(letter.value or b'').hex()}", highlight=False)
            return
    raise Misconfigured(f"no dead letter at {where}; `recourse dlq list` shows which there are")


@case.command("show")
def case_show(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="Of a case or of an appeal.")],
    json: Annotated[bool, typer.Option("--json", help="Only the lines, each as one line of JSON.")] = False,
) -> None:
    """Show a case's whole life: what happened, who did it, what each step saw, what was undone."""
    from topology.audit import command  # noqa: PLC0415

    command.show(wanted, settings_or_exit(), console, json=json)


@case.command("verify")
def case_verify(
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


@case.command("replay")
def case_replay(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="Of a case or of an appeal.")],
) -> None:
    """Fold the user's inputs again, under the rulebooks of then, and compare with the audit line by line.

    Exit codes: 0 every line comes out identical; 1 one does not; 2 misconfigured, or nothing is known of it.
    """
    from topology.audit import command  # noqa: PLC0415

    if not command.replay(wanted, settings_or_exit(), console):
        raise typer.Exit(Exit.DEFECT)


def main() -> None:
    """Entry point: an error that an operator can mend is one message, never a traceback."""
    try:
        app()
    except EngineError as exc:
        Console(stderr=True).print(f"[red]recourse:[/] {escape(str(exc))}", highlight=False, soft_wrap=True)
        sys.exit(Exit.MISCONFIGURED)


if __name__ == "__main__":
    main()
