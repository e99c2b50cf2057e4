"""Every command of every runbook, against a real installation that has what the runbooks are about."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from deploy.dashboards.scraped_run import RULES
from schemas import vocabulary as v
from tests.integration.runbooks import Command, commands
from tests.integration.stuck_reversals import START, STATUS, TAKEN, answered, of, wronged
from tests.integration.worker_process import GUARD_S, Installation, free_port
from tests.integration.workload import Row
from topology.embedded import silent
from topology.embedded.prometheus import PrometheusServer, find_promtool

USER = "u-stuck"
PARTITIONS = 2


class World:
    """A worker, the insights and a Prometheus; one reversal is stalled, some records are dead letters."""

    def __init__(self, installation: Installation, prometheus: PrometheusServer, environment: dict[str, str]) -> None:
        self.installation = installation
        self.prometheus = prometheus
        self.environment = environment

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=GUARD_S,
            check=False,
        )

    def until_seen(self, expression: str) -> None:
        """Wait until Prometheus has it."""
        deadline = time.monotonic() + GUARD_S
        while not self.prometheus.query(expression):
            assert time.monotonic() < deadline, f"Prometheus never saw {expression}"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def world(kafka, redis_url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runbooks")
    worker_port, insights_port = free_port(), free_port()
    jobs = {"recourse": [worker_port], "recourse-insights": [insights_port]}
    name = f"runbooks-{uuid.uuid4().hex[:10]}"
    with (
        Installation(
            kafka, redis_url, name, folder, partitions=PARTITIONS, output_partitions=PARTITIONS
        ) as installation,
        PrometheusServer(
            folder / "prometheus", jobs=jobs, rules=RULES, interval_s=1, keep=False, progress=silent
        ) as prometheus,
    ):
        installation.send([*wronged(USER, 1), *(Row("appeal.events", b"u-odd", b"odd", START, None) for _ in range(3))])
        installation.start(metrics_port=worker_port)
        installation.start("-m", "topology.cli", "insights", metrics_port=insights_port, insights_tick_s=0.2)
        installation.until_done()
        applied = answered(USER, of(USER).money, v.AckStatus.APPLIED, TAKEN)
        failed = answered(USER, of(USER).status, v.AckStatus.FAILED_PERMANENT, STATUS)
        installation.send([applied, failed])
        installation.until_done()
        tools = [str(Path(sys.executable).parent), str(find_promtool(silent).parent), os.environ["PATH"]]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RECOURSE_")},
            **installation.environment,
            "PATH": os.pathsep.join(tools),
            "COLUMNS": "200",
            "USER": "ann",
            "PROMETHEUS": prometheus.url,
            "WORKER": f"127.0.0.1:{worker_port}",
            "INSIGHTS": f"127.0.0.1:{insights_port}",
            "CASE": f"a-{USER}",
            "REVERSAL": of(USER).reversal,
        }
        world = World(installation, prometheus, environment)
        letters = world.run("recourse dlq list").stdout
        environment["LETTER"] = re.findall(r"\S+\.dlq\[\d+\]@\d+", letters)[0]
        world.until_seen("recourse_worker_ready == 1")
        world.until_seen("recourse_insights_partitions_assigned > 0")
        yield world


def test_a_stalled_reversal_and_a_dead_letter_are_what_the_rules_see(world):
    world.until_seen('recourse_reversals_open{state="stalled"} > 0')
    world.until_seen('ALERTS{alertname="RecourseReversalStalled"}')
    world.until_seen('recourse_dead_letters_total{input="appeal.events"} > 0')
    # Until the worker had joined there was nobody.
    world.until_seen('absent(ALERTS{alertname="RecoursePartitionUnassigned"})')


@pytest.mark.parametrize("command", commands(), ids=str)
def test_command_ends_as_its_runbook_says(world, command: Command):
    done = world.run(command.text)
    assert done.returncode == 0, f"{command.text}\n{done.stdout}\n{done.stderr}"


def test_lag_names_a_partition_without_a_worker(world):
    done = world.run("recourse lag")
    assert done.returncode == 0
    rows = re.findall(rf"│ {world.installation.name}-0 on ", done.stdout)
    assert len(rows) == PARTITIONS * len(world.installation.register.inputs), done.stdout
    [worker, *_] = world.installation.processes
    assert worker.stop() == 0
    # A static member that leaves keeps its place until its session is over.
    world.installation.until(lambda: world.run("recourse lag").returncode == 1, "the partition has no worker")
    done = world.run("recourse lag")
    assert re.search(r"appeal.events +│ +0 │ +\d+ │ +\d+ │ +0 │ none", done.stdout), done.stdout
