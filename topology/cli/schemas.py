"""`recourse schemas`: this release's schemas against the registry, for pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from topology.cli.common import console, settings_or_exit
from topology.engine.errors import Misconfigured
from topology.exits import Exit

if TYPE_CHECKING:
    from schemas.registry import ConfluentRegistry
    from topology.settings import Settings

app = typer.Typer(help="Check and register this release's schemas in the schema registry.", no_args_is_help=True)


@app.command("check")
def check() -> None:
    """Say what registering would do, and what is not compatible; change nothing.

    Exit codes: 0 compatible; 1 something is not, and workers of this release would refuse to start; 2 misconfigured.
    """
    from topology import subjects  # noqa: PLC0415

    settings = settings_or_exit()
    standings = subjects.look(_registry(settings), subjects.subjects(settings.register_of_topics())[0])
    for each in standings:
        if each.faults:
            console.print(f"[red]refused[/]   {subjects.told(each)}", highlight=False, soft_wrap=True)
        elif not each.registered:
            console.print(f"to do     {each.subject.name}", highlight=False, soft_wrap=True)
        elif each.level != subjects.LEVEL:
            text = f"{each.subject.name}: compatibility {each.level or 'not set'}, should be {subjects.LEVEL}"
            console.print(f"[yellow]to do[/]     {text}", highlight=False, soft_wrap=True)
    bad = sum(bool(each.faults) for each in standings)
    missing = sum(not each.registered for each in standings)
    console.print(f"{len(standings)} subjects: {bad} incompatible, {missing} to be registered", highlight=False)
    if bad:
        raise typer.Exit(Exit.DEFECT)


@app.command("register")
def register(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="As `check`.")] = False,
) -> None:
    """Register this release's schemas, all or, if one is not compatible, none; set each subject's compatibility.

    Exit codes: 0 all are registered; 1 something is not compatible, nothing was changed; 2 misconfigured.
    """
    from topology import subjects  # noqa: PLC0415

    if dry_run:
        check()
        return
    settings = settings_or_exit()
    registry = _registry(settings)
    standings = subjects.look(registry, subjects.subjects(settings.register_of_topics())[0])
    refused = [each for each in standings if each.faults]
    for each in refused:
        console.print(f"[red]refused[/]   {subjects.told(each)}", highlight=False, soft_wrap=True)
    if refused:
        console.print("nothing was changed", highlight=False)
        raise typer.Exit(Exit.DEFECT)
    done = 0
    for subject, schema_id in subjects.register_all(registry, standings):
        if schema_id is not None:
            done += 1
            console.print(f"registered {subject.name}  id {schema_id}", highlight=False, soft_wrap=True)
    console.print(f"{done} registered, {len(standings) - done} were there", highlight=False)


def _registry(settings: Settings) -> ConfluentRegistry:
    from topology.registry import open_registry  # noqa: PLC0415 - `--help` must not wait for Kafka's library

    registry = open_registry(settings)
    if registry is None:
        raise Misconfigured("RECOURSE_REGISTRY is not set: there is no registry to ask")
    return registry
