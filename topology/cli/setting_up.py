"""`create-topics`, `acls`, `topology`, `doctor` and `lag`: what an installation needs, and whether it has it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from topology.cli.common import console, settings_or_exit
from topology.engine.errors import Misconfigured
from topology.exits import Exit


def create_topics(
    partitions: Annotated[
        int | None, typer.Option(min=1, help="For the inputs, their dead letters and the changelog.")
    ] = None,
    replication: Annotated[int, typer.Option(help="Replicas a partition; -1: the cluster's default.")] = -1,
) -> None:
    """Create the register's topics that are missing; report what differs, alter nothing."""
    from topology.cluster import Cluster  # noqa: PLC0415

    settings = settings_or_exit()
    register = settings.register_of_topics(partitions)
    cluster = Cluster(settings.kafka_config(), register)
    found = cluster.partitions() if settings.partitioning else {}
    if settings.partitioning and register.on_cluster(register.changelog.name) not in found:
        raise Misconfigured(
            f"the topics of the partitioning {settings.partitioning} are made by `recourse reshard --to "
            f"{settings.partitioning}`, which fills them; empty ones would be users without history. Is "
            "RECOURSE_PARTITIONING right?"
        )
    created, drift = cluster.create_missing(replication)
    for name in created:
        console.print(f"created  {name}", highlight=False)
    console.print(f"{len(created)} created, {len(register.topics) - len(created)} were there", highlight=False)
    for note in drift.notes:
        console.print(f"[yellow]differs[/]  {note}", highlight=False)
    for fault in drift.fatal:
        console.print(f"[red]refused[/]  {fault}", highlight=False)
    if drift.fatal:
        raise typer.Exit(Exit.MISCONFIGURED)


def acls(
    output: Annotated[str, typer.Option("--format", help="kafka-acls, json, strimzi or redis.")] = "kafka-acls",
    role: Annotated[list[str] | None, typer.Option(help="Only this role; may be repeated. Default: all.")] = None,
    principal: Annotated[
        list[str] | None, typer.Option(metavar="ROLE=User:NAME", help="As whom a role comes to Kafka; repeatable.")
    ] = None,
    cluster: Annotated[str, typer.Option(help="With strimzi: the Kafka resource.")] = "kafka",
) -> None:
    """Print the rights that each role of the register needs, no more, under these settings' names."""
    from topology.acls import forms, redis, rules  # noqa: PLC0415

    settings = settings_or_exit()
    if output == "redis":
        print(redis.command(settings))  # noqa: T201 - for a file or a pipe: no terminal colours
        return
    pairs = [each.partition("=") for each in principal or []]
    if wrong := [role for role, _, name in pairs if not name.startswith("User:")]:
        raise Misconfigured(f"--principal {wrong[0]}: ROLE=User:NAME is wanted")
    found = rules.acls(settings, only=role or (), principals={role: name for role, _, name in pairs})
    if output == "kafka-acls":
        print(forms.as_commands(found), end="")  # noqa: T201
    elif output == "json":
        print(forms.as_json(found))  # noqa: T201
    elif output == "strimzi":
        print(forms.as_strimzi(found, cluster=cluster), end="")  # noqa: T201
    else:
        raise Misconfigured(f"--format {output}: choose kafka-acls, json, strimzi or redis")


def topology(
    output: Annotated[str, typer.Option("--format", help="table, markdown or mermaid.")] = "table",
) -> None:
    """Show the topics and who writes and reads them."""
    from topology import diagram  # noqa: PLC0415

    register = settings_or_exit().register_of_topics()
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


def lag() -> None:
    """Show by input partition how many records are not committed yet, and which worker holds it.

    Exit codes: 0 every partition has a worker; 1 one has none; 2 misconfigured.
    """
    from topology.cluster import Cluster  # noqa: PLC0415
    from topology.lag import Lag, holders  # noqa: PLC0415

    settings = settings_or_exit()
    register = settings.register_of_topics()
    Cluster(settings.kafka_config(), register).check()
    group = settings.engine_name
    held = holders(settings.kafka_config(), register, group)
    lag = Lag(settings.kafka_config(), register, group)
    try:
        reached = lag.read()
    finally:
        lag.close()
    table = Table(caption=f"group {group}; an aborted transaction or a commit's marker is an offset too")
    for heading in ("input", "partition", "committed", "end", "behind", "worker"):
        table.add_column(heading, no_wrap=True, justify="left" if heading in {"input", "worker"} else "right")
    for (name, partition), standing in sorted(reached.items()):
        behind = max(0, standing.end - standing.committed)
        worker = held.get((name, partition), "[red]none[/]")
        table.add_row(name, str(partition), str(standing.committed), str(standing.end), str(behind), worker)
    console.print(table)
    if any(place not in held for place in reached):
        raise typer.Exit(Exit.DEFECT)
