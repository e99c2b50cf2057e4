"""A real run under a real Prometheus: `recourse demo`, scraped every second, and what a dashboard's queries answer.

Pictures and tests ask the same way, from the JSON that Grafana imports.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topology.embedded import EmbeddedError, Progress, to_stderr
from topology.embedded.prometheus import PrometheusServer, Series
from topology.embedded.server import free_ports

RULES = Path(__file__).parents[1] / "prometheus" / "recourse.rules.yaml"
WORKERS = 2
SCRAPE_S = 1
_SMOOTH_S = 10
"""In place of Grafana's `$__rate_interval`."""
_START_S = 240.0
_END_S = 150.0


@dataclass(frozen=True)
class Asked:
    """A query of a dashboard as Prometheus gets it.

    Attributes:
        panel: The panel's title.
        form: Grafana's name of its kind.
        unit: Grafana's name of its unit.
        letter: Its place in the panel.
        legend: What series are called.
        expr: PromQL, without variables.
        instant: Whether only the newest values are wanted.
    """

    panel: str
    form: str
    unit: str
    letter: str
    legend: str
    expr: str
    instant: bool

    def name(self, series: Series) -> str:
        """What the legend says of a series."""
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: series.labels.get(found[1], ""), self.legend)


def queries(page: Mapping[str, Any], *, range_s: float) -> list[Asked]:
    """All queries of a dashboard's JSON, its variables at their first values."""
    values = {"__rate_interval": f"{_SMOOTH_S}s", "__range": f"{max(range_s, 1):.0f}s"}
    for variable in page["templating"]["list"]:
        if "current" in variable:
            chosen = variable["current"]["value"]
            values[variable["name"]] = variable["allValue"] if chosen == ["$__all"] else chosen
    found: list[Asked] = []
    for panel in page["panels"]:
        for target in panel.get("targets", ()):
            expr = re.sub(r"\$(\w+)", lambda variable: values[variable[1]], target["expr"])
            unit = panel["fieldConfig"]["defaults"]["unit"]
            instant = bool(target.get("instant"))
            where = (panel["title"], panel["type"], unit, target["refId"])
            found.append(Asked(*where, legend=target["legendFormat"], expr=expr, instant=instant))
    return found


Place = tuple[str, str, str]
"""Dashboard, panel and letter."""
Answers = dict[Place, tuple[Asked, list[Series]]]


@dataclass
class Run:
    """A demo that runs, and the Prometheus that scrapes it.

    Attributes:
        prometheus: The Prometheus.
        demo: The process.
        environment: Variables with which `recourse` finds the demo's topics and keys.
        start_s: When all could be scraped, in seconds since 1970.
        log: What the demo prints.
    """

    prometheus: PrometheusServer
    demo: subprocess.Popen[bytes]
    environment: dict[str, str]
    start_s: float
    log: Path

    def ask(self, query: Asked, *, end_s: float) -> list[Series]:
        """What it gave over the run, or at its end; only series with a value that is a number."""
        if query.instant:
            found = self.prometheus.query(query.expr, at_s=end_s)
        else:
            span_s = end_s - self.start_s
            step_s = max(SCRAPE_S, span_s / 300)
            found = self.prometheus.query_range(query.expr, start_s=self.start_s, end_s=end_s, step_s=step_s)
        return [one for one in found if any(value == value for _, value in one.points)]  # noqa: PLR0124 - NaN

    def watch(self, pages: Mapping[str, Mapping[str, Any]], *, at_least_s: float, at_most_s: float) -> Answers:
        """Watch until every query has had data, as some things of a demo take a while, and tell what all give then.

        Args:
            pages: Dashboards' JSON by name.
            at_least_s: Seconds since the start that are watched anyhow.
            at_most_s: Seconds from now after which it is told what there is.
        """
        seen: set[Place] = set()
        deadline = time.monotonic() + at_most_s
        while True:
            now_s = time.time()
            asked = {
                (name, query.panel, query.letter): query
                for name, page in pages.items()
                for query in queries(page, range_s=now_s - self.start_s)
            }
            seen |= {place for place in asked.keys() - seen if self.ask(asked[place], end_s=now_s)}
            late = time.monotonic() > deadline
            if late or (len(seen) == len(asked) and now_s - self.start_s >= at_least_s):
                return {place: (query, self.ask(query, end_s=now_s)) for place, query in asked.items()}
            time.sleep(SCRAPE_S)

    def finish(self) -> str:
        """Wait for the demo's end; what it printed.

        Raises:
            EmbeddedError: its balance is not even, or it does not end.
        """
        try:
            self.demo.wait(_END_S)
        except subprocess.TimeoutExpired as error:
            raise EmbeddedError(f"the demo did not end within {_END_S:.0f} s; see {self.log}") from error
        told = self.log.read_text(encoding="utf-8")
        if self.demo.returncode != 0:
            raise EmbeddedError(f"the demo ended with {self.demo.returncode}:\n{told}")
        return told


@contextlib.contextmanager
def scraped_run(
    folder: Path,
    *,
    seconds: float,
    arguments: Sequence[str] = (),
    servers: Mapping[str, str] | None = None,
    progress: Progress = to_stderr,
) -> Generator[Run]:
    """Run a demo under a Prometheus; both end with the block.

    Args:
        folder: For data and logs.
        seconds: How long traffic is fed.
        arguments: More of the demo's.
        servers: `RECOURSE_KAFKA` and `RECOURSE_REDIS` of servers that run already; else it starts its own.
        progress: Is told what is waited for.

    Raises:
        EmbeddedError: One of them does not start.
    """
    first, *_ = ports = free_ports(WORKERS + 1, in_a_row=True)
    jobs = {"recourse": ports[:WORKERS], "recourse-insights": ports[WORKERS:]}
    with PrometheusServer(
        folder / "prometheus", jobs=jobs, rules=RULES, interval_s=SCRAPE_S, keep=False, progress=progress
    ) as prometheus:
        command = [sys.executable, "-m", "topology.cli", "demo", "--plain", "--seconds", str(seconds)]
        command += ["--workers", str(WORKERS), "--metrics-port", str(first), "--data-dir", str(folder / "demo")]
        log = folder / "demo.log"
        with log.open("wb") as file:
            demo = subprocess.Popen(  # noqa: S603 - our own command
                [*command, *arguments],
                env={**os.environ, **(servers or {}), "COLUMNS": "200"},
                stdout=file,
                stderr=file,
            )
        try:
            start_s = _scraped(prometheus, demo, log)
            yield Run(prometheus, demo, _environment(folder / "demo"), start_s, log)
        finally:
            demo.kill()
            demo.wait()


def _scraped(prometheus: PrometheusServer, demo: subprocess.Popen[bytes], log: Path) -> float:
    """Wait until all processes answer scrapes."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if demo.poll() is not None:
            raise EmbeddedError(
                f"the demo ended with {demo.returncode} before it began:\n{log.read_text(encoding='utf-8')}"
            )
        if len(prometheus.query("up == 1")) == WORKERS + 1:
            return time.time()
        time.sleep(0.2)
    raise EmbeddedError(f"the demo cannot be scraped after {_START_S:.0f} s: {prometheus.query('up')}")


def _environment(folder: Path) -> dict[str, str]:
    return json.loads((folder / "logs" / "environment.json").read_text(encoding="utf-8"))
