"""`recourse report`: from settings to what is printed."""

from __future__ import annotations

import sys

from topology.report import forms
from topology.report.figures import Books, Figures
from topology.report.forms import Form
from topology.report.period import Period
from topology.report.reader import ReportReader
from topology.settings import Settings


def count(settings: Settings, period: Period) -> tuple[Figures, list[str]]:
    """The figures of a period, and what may make them too low.

    Raises:
        Misconfigured: the topics cannot be read.
    """
    books = Books(period)
    with ReportReader(settings) as reader:
        reader.fill(books)
        missing = reader.missing()
    return books.figures(), missing


def report(settings: Settings, period: Period, form: Form, *, service: str = "", ledger: bool = False) -> bool:
    """Print the complaint tables of a period, or its ledger of statements of reasons.

    Returns:
        Whether everything that they are counted from was there and could be read; what was not is told on stderr.

    Raises:
        Misconfigured: the topics cannot be read.
    """
    figures, missing = count(settings, period)
    text = forms.statements(figures, form) if ledger else forms.report(figures, form, service=service)
    sys.stdout.write(text)  # for a pipe: no colours, no wrapping
    for what in missing:
        print(f"may be too low: {what}", file=sys.stderr)  # noqa: T201
    return not missing
