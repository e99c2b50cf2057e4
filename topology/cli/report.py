"""`recourse report`: the regulator's figures."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from topology.cli.common import settings_or_exit
from topology.exits import Exit


class Form(StrEnum):
    """As `topology.report.forms.Form`, which `--help` must not wait for."""

    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


def report(
    year: Annotated[int | None, typer.Option(help="The calendar year (UTC), e.g. 2026.")] = None,
    period: Annotated[
        str | None, typer.Option(help="Or days, both included, e.g. 2026-01-01/2026-06-30.", metavar="FIRST/LAST")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How it is written, on stdout.")] = Form.MARKDOWN,
    service: Annotated[str, typer.Option(help="Name of the service, for the template's column.")] = "",
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Instead: each statement of reasons, its appeal and what came of it.")
    ] = False,
) -> None:
    """Count the complaints of a year as the DSA wants them reported, from the topics alone.

    CSV has the rows of the harmonised template (Implementing Regulation (EU) 2024/2835), parts 7 and 8.

    Exit codes: 0 done; 1 something that it is counted from is gone or cannot be read, told on stderr; 2 misconfigured.
    """
    from topology.report import command, forms  # noqa: PLC0415 - `--help` must not wait for Kafka's library
    from topology.report.period import parse_period  # noqa: PLC0415

    when = parse_period(year, period)
    if not command.report(settings_or_exit(), when, forms.Form(form), service=service, ledger=ledger):
        raise typer.Exit(Exit.DEFECT)
