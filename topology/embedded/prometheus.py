"""A real Prometheus of our own: scrapes ports of this machine, judges rules, answers queries."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from topology.embedded.debian import find_program
from topology.embedded.errors import EmbeddedError
from topology.embedded.progress import Progress, Step, to_stderr
from topology.embedded.server import HOST, Server

_PACKAGE = "prometheus"
_ASK_S = 30.0


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer.

    Attributes:
        labels: Its labels.
        points: Time (seconds since 1970) and value; a single one for a query of an instant.
    """

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


class PrometheusServer(Server):
    """A Prometheus for development and tests, reached from this machine only.

    Args:
        data_dir: Holds configuration and samples.
        jobs: By job, the ports of this machine that it scrapes.
        rules: A file of recording and alerting rules.
        interval_s: Seconds between two scrapes, and between two looks at the rules.
        port: Where it answers; None for a free one.
        keep: Whether `stop()` leaves the samples.
        start_timeout_s: How long a start may take.
        progress: Is told what a start waits for.
    """

    name: ClassVar[str] = "Prometheus"
    _files: ClassVar[tuple[str, ...]] = ("server.log", "prometheus.yml", "samples")

    def __init__(
        self,
        data_dir: Path,
        *,
        jobs: Mapping[str, Sequence[int]],
        rules: Path | None = None,
        interval_s: int = 5,
        port: int | None = None,
        keep: bool = True,
        start_timeout_s: float = 120.0,
        progress: Progress = to_stderr,
    ) -> None:
        super().__init__(data_dir, port=port, keep=keep, start_timeout_s=start_timeout_s, progress=progress)
        self._jobs = jobs
        self._rules = rules
        self._interval_s = interval_s

    @property
    def url(self) -> str:
        """Where Grafana, promtool and people find it."""
        return f"http://{HOST}:{self.port}"

    def query(self, expression: str, *, at_s: float | None = None) -> list[Series]:
        """What an expression gives at one time (seconds since 1970; now).

        Raises:
            EmbeddedError: Prometheus refuses it, or does not answer.
        """
        moment = {} if at_s is None else {"time": f"{at_s:.3f}"}
        found = self._ask("query", {"query": expression, **moment})
        if found["resultType"] == "scalar":
            return [Series({}, [_point(found["result"])])]
        return [Series(one["metric"], [_point(one["value"])]) for one in found["result"]]

    def query_range(self, expression: str, *, start_s: float, end_s: float, step_s: float) -> list[Series]:
        """What it gives from `start_s` to `end_s`, every `step_s` seconds.

        Raises:
            EmbeddedError: Prometheus refuses it, or does not answer.
        """
        asked = {"query": expression, "start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:.3f}"}
        return [
            Series(one["metric"], [_point(p) for p in one["values"]])
            for one in self._ask("query_range", asked)["result"]
        ]

    def rules(self) -> list[dict[str, Any]]:
        """The rules as Prometheus tells them, each with its `health`: `ok`, or not judged, or why it cannot be.

        Raises:
            EmbeddedError: Prometheus does not answer.
        """
        return [rule for group in self._ask("rules", {})["groups"] for rule in group["rules"]]

    def _ask(self, what: str, asked: Mapping[str, str]) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=_ASK_S) as answer:  # noqa: S310 - http, our own server
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise EmbeddedError(f"Prometheus refuses {asked}: {error.read().decode(errors='replace')}") from error
        except OSError as error:
            raise EmbeddedError(f"Prometheus does not answer at {self.url}: {error}") from error

    def _provision(self) -> Sequence[str]:
        program = find_program("prometheus", package=_PACKAGE, progress=self._progress)
        self._progress(Step(f"starting {program}"))
        return [str(program)]

    def _prepare(self, command: Sequence[str]) -> Sequence[str]:
        config = self.data_dir / "prometheus.yml"
        # JSON is YAML.
        config.write_text(json.dumps(self._config(), indent=1), encoding="utf-8")
        return [
            *command,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._samples}",
            f"--web.listen-address={HOST}:{self.port}",
        ]

    def _answers(self) -> bool:
        try:
            found = self._ask("status/flags", {})
            self._ask("query", {"query": "1"})  # refused while it reads what it has
        except EmbeddedError:
            return False
        return found["storage.tsdb.path"] == str(self._samples)

    @property
    def _samples(self) -> Path:
        return self.data_dir / "samples"

    def _config(self) -> dict[str, object]:
        every = f"{self._interval_s}s"
        return {
            "global": {"scrape_interval": every, "evaluation_interval": every, "scrape_timeout": every},
            "rule_files": [str(self._rules)] if self._rules else [],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [f"{HOST}:{port}" for port in ports]}]}
                for job, ports in self._jobs.items()
            ],
        }


def find_promtool(progress: Progress = to_stderr) -> Path:
    """Find promtool, which checks and tests rules and asks a Prometheus.

    Raises:
        EmbeddedError: There is none, and it cannot be fetched.
    """
    return find_program("promtool", package=_PACKAGE, progress=progress)


def _point(pair: Sequence[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
