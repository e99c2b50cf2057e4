"""`recourse`: one verb for each job; `--help` is enough to use it. One module a group of verbs."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from topology.cli import case, dlq, history, privacy, remedy, report, reshard, reversal, running, schemas, setting_up
from topology.engine.errors import EngineError
from topology.exits import Exit

app = typer.Typer(
    help="The appeals engine behind a marketplace's enforcement. Settings come from RECOURSE_* variables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(running.run)
app.command()(running.insights)
app.command()(running.demo)
app.command("create-topics")(setting_up.create_topics)
app.command()(setting_up.acls)
app.command()(setting_up.topology)
app.command()(setting_up.doctor)
app.command()(setting_up.lag)
app.command()(history.replay)
app.command()(history.simulate)
app.command()(report.report)
app.command()(reshard.reshard)
app.add_typer(dlq.app, name="dlq")
app.add_typer(case.app, name="case")
app.add_typer(reversal.app, name="reversal")
app.add_typer(remedy.app, name="remedy")
app.add_typer(privacy.app, name="privacy")
app.add_typer(schemas.app, name="schemas")


def main() -> None:
    """Entry point: an error that an operator can mend is one message, never a traceback."""
    try:
        app()
    except EngineError as exc:
        Console(stderr=True).print(f"[red]recourse:[/] {escape(str(exc))}", highlight=False, soft_wrap=True)
        sys.exit(Exit.MISCONFIGURED)
