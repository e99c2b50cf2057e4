"""A rolling upgrade: the previous version and this one side by side in one group, one worker replaced at a time.

The previous version is real: its own code, run from `tests/upgrade`. Each worker goes forward, one goes back and
forward again, so that either version reads dossiers and records that the other wrote. Meanwhile records keep coming.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time

import pytest
from confluent_kafka import KafkaException

from tests import upgrade
from tests.integration.checker import faults
from tests.integration.worker_process import PARTITIONS, Installation
from tests.integration.workload import workload
from topology.exits import Exit
from topology.topics import Role

SESSION_S = 20
EVENTS = 12_000
WHOLE = [(0, "this"), (1, "this"), (1, "previous"), (1, "this"), (2, "this")]
"""Who is replaced, and by which version: forward, back as whoever finds a fault goes, and forward again."""
SHORT = [(0, "this"), (0, "previous")]
A_TENTH_OF_A_SECOND = 15
"""Records sent in it, until the last worker is replaced: few enough that any machine keeps up."""
RUN = """
import sys
sys.path.insert(0, {root!r})
import os, runpy, topology
from topology.settings import Settings
print("code of", topology.__file__, flush=True)
# Whoever goes back takes back the settings that the old version does not know: it would refuse them.
known = {{"RECOURSE_" + name.upper() for name in Settings.model_fields}} | {{"RECOURSE_CACHE"}}
for name in [name for name in os.environ if name.startswith("RECOURSE_") and name not in known]:
    del os.environ[name]
sys.argv = ["recourse", "run"]
runpy.run_module("topology.cli", run_name="__main__")
"""


class Pauses:
    """Watches the group's offsets: how long each partition had records to judge and judged none."""

    def __init__(self, installation):
        self._installation = installation
        self._stop = threading.Event()
        self._since = {}
        self.longest = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        before = {}
        while not self._stop.wait(0.1):
            try:
                behind, done = self._installation.behind(), self._installation.committed()
            except KafkaException:  # the coordinator waits for a transaction's end: so does whoever counts pauses
                continue
            now = time.monotonic()
            waiting = {partition for _, partition in behind}
            for partition in range(PARTITIONS):
                at = tuple(sorted(each for each in done.items() if each[0][1] == partition))
                if partition not in waiting or at != before.get(partition):
                    self._since[partition] = now
                before[partition] = at
                pause = now - self._since.setdefault(partition, now)
                self.longest[partition] = max(pause, self.longest.get(partition, 0.0))


class Feed:
    """Sends records while something else goes on."""

    def __init__(self, installation, rows):
        self._installation = installation
        self._rows = rows
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.finished = False

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        for first in range(0, len(self._rows), A_TENTH_OF_A_SECOND):
            self._installation.send(self._rows[first : first + A_TENTH_OF_A_SECOND])
            if self._stop.wait(0.1):
                return
        self.finished = True


class Timeline:
    """What happened when, for whoever reads the test's output (`pytest -s`)."""

    def __init__(self, installation):
        self._installation = installation
        self._began = time.monotonic()
        self.rows = []

    def note(self, what):
        row = f"{time.monotonic() - self._began:6.1f} s  {self._installation.done():6d} judged  {what}"
        self.rows.append(row)
        print(row)  # noqa: T201


@pytest.fixture(scope="module")
def previous(tmp_path_factory):
    return upgrade.unpack(tmp_path_factory.mktemp("previous"))


def test_previous_version_is_the_commit_that_it_names_where_history_has_it():
    commit = json.loads(upgrade.NOTE.read_text())["commit"]
    known = subprocess.run(
        ["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=upgrade.ROOT, capture_output=True, check=False
    )
    if known.returncode:
        pytest.skip(f"this clone has no {commit[:12]}; the archive is used as it is")
    frozen = upgrade.lzma.decompress(upgrade.ARCHIVE.read_bytes())
    assert frozen == upgrade.archived(commit)


@pytest.mark.parametrize(
    ("slots", "steps"),
    [
        pytest.param(2, SHORT, id="one of two"),
        pytest.param(3, WHOLE, id="all of three", marks=pytest.mark.long),
    ],
)
def test_workers_are_replaced_one_by_one_forward_and_back_while_records_come_and_each_counts_once(
    kafka, redis_url, app_id, tmp_path, previous, slots, steps
):
    versions = {"previous": previous, "this": upgrade.ROOT}
    with Installation(
        kafka, redis_url, app_id, tmp_path, session_s=SESSION_S, batch_records=200, cached_states=100
    ) as installation:
        timeline = Timeline(installation)
        running = {}

        def start(slot, version):
            code = RUN.format(root=str(versions[version]))
            running[slot] = version, installation.start("-c", code, slot=slot)

        def replace(slot, version):
            before, process = running[slot]
            asked_at = time.monotonic()
            assert process.stop() == Exit.OK
            stopped_at = time.monotonic()
            start(slot, version)
            ready = rf'"event": "worker_started".*"slot": "{slot}"|"slot": "{slot}".*"event": "worker_started"'
            installation.until(lambda: re.search(ready, running[slot][1].text()), f"slot {slot} has started")
            started_at = time.monotonic()
            done = installation.done()
            installation.until(lambda: installation.done() >= done + 300 or not installation.behind(), "it goes on")
            timeline.note(
                f"slot {slot}: {before} -> {version}; stopped in {stopped_at - asked_at:.1f} s, the next one started"
                f" after {started_at - stopped_at:.1f} s"
            )

        for slot in range(slots):
            start(slot, "previous")
        installation.until(lambda: len(installation.owners()) == slots, "all hold partitions")
        rows = [
            row if row.record is None else row._replace(value=upgrade.written_before(row.record, previous))
            for row in workload(EVENTS, seed=31)
        ]
        with Pauses(installation) as pauses:
            with Feed(installation, rows) as feed:
                installation.until_done(600)
                timeline.note(f"{slots} workers of the previous version, records keep coming")
                for slot, version in steps:  # whoever goes back reads what the new version wrote
                    replace(slot, version)
            assert not feed.finished, "records came until the end; else give more of them"
            installation.until_done()
        timeline.note(f"all records judged; longest pause of a partition {max(pauses.longest.values()):.1f} s")

        for version, process in running.values():
            assert process.stop() == Exit.OK
            assert f"code of {versions[version]}/topology" in process.text(), "each ran the code that it should"
        installation.until(lambda: not installation.unsettled(), "every transaction is settled")
        found = faults(installation.sent(), installation.arrived())
        assert not found, f"{len(found)} faults, the first: {found[:10]}"
        letters = sum(1 for _ in installation.messages(Role.DEAD_LETTERS))
        bad = sum(1 for each in installation.delivered if each.row.record is None)
        assert letters == bad, "neither version met a record of the other's that it could not judge"
        timeline.note(
            f"{len(installation.delivered)} records in, each with exactly its effects; {letters} dead letters"
        )
        assert max(pauses.longest.values()) < SESSION_S, pauses.longest


def test_the_previous_version_is_another_one_than_this(previous):
    """Else the test above would prove nothing."""
    ours = {path.relative_to(upgrade.ROOT): path.read_bytes() for path in (upgrade.ROOT / "topology").rglob("*.py")}
    theirs = {path.relative_to(previous): path.read_bytes() for path in (previous / "topology").rglob("*.py")}
    assert ours != theirs
