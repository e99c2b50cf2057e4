"""`recourse demo` as a user runs it: the balance is even, also when stopped early; a fault makes it fail, loudly."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from rich.console import Console

from schemas.records import AppealSubmitted, Record
from schemas.vocabulary import AckStatus
from topology.demo import run as demo
from topology.demo import world
from topology.demo.outbox import Outbox
from topology.demo.systems import Answer, SystemsState

SHORT = ["--seconds", "6", "--rate", "150", "--plain"]
WHOLES = ["records sent", "appeals in", "cases", "directives ordered", "reversals ordered", "users struck"]
WHOLES += ["broken records sent"]

Started = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(kafka: str, redis_url: str, tmp_path: Path) -> Iterator[Started]:
    """Give a function that starts the command on the session's servers; it is ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "topology.cli", "demo", *arguments, "--data-dir", str(tmp_path / "demo")],
                env={**os.environ, "RECOURSE_KAFKA": kafka, "RECOURSE_REDIS": redis_url, "COLUMNS": "200"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def until_live(process: subprocess.Popen[str]) -> list[str]:
    """Read its lines until traffic flows through the workers."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if re.search(r"  cases [1-9]", line):
            return lines
    pytest.fail(f"the demo ended with {process.wait(10)} before it was live:\n" + "".join(lines))


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if child.cmdline()[1:4] == ["-m", "topology.cli", "run"]]


def at_the_desk(lines: list[str]) -> None:
    """Somebody signs in and takes a case away from the simulated specialists."""
    address = next(re.search(r"http://\S+", line)[0] for line in lines if "the desk" in line)
    with httpx2.Client(base_url=address, follow_redirects=True, timeout=20) as browser:
        form = {"token": token(browser.get("/").text), "name": "zoe", "role": ["specialist", "lead"]}
        page = browser.post("/sign-in", data=form).text
        assert "zoe" in page
        deadline = time.monotonic() + 20
        while "The case is yours." not in page:
            assert time.monotonic() < deadline, "the specialists leave nothing"
            pod = ("general", "accounts")[int(time.monotonic() * 10) % 2]
            page = browser.post(f"/pods/{pod}/next", data={"token": token(browser.get(f"/pods/{pod}").text)}).text


def token(page: str) -> str:
    return re.search(r'name="token" value="([^"]+)"', page)[1]


def test_balance_comes_out_even_with_somebody_at_the_desk_and_no_process_is_left(start):
    process = start(*SHORT)
    head = until_live(process)
    at_the_desk(head)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(workers_of(process)) == 2
    tail, _ = process.communicate(timeout=150)
    told = "".join(head) + tail
    assert process.returncode == 0, told
    for whole in WHOLES:
        assert re.search(rf"✓ +[\d,]+ {whole}", told), told
    assert "✗" not in told
    assert "Even." in told
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive


def test_interrupt_stops_early_and_still_balances(start):
    process = start("--seconds", "300", "--rate", "150", "--plain")
    until_live(process)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    tail, _ = process.communicate(timeout=150)
    assert process.returncode == 0, tail
    assert time.monotonic() - began < 100
    assert "Even." in tail


def test_death_of_a_worker_fails_the_demo_and_names_it(start):
    process = start("--seconds", "300", "--rate", "150", "--plain")
    until_live(process)
    workers_of(process)[0].kill()
    tail, _ = process.communicate(timeout=200)
    assert process.returncode == 1, tail
    assert re.search(r"worker-\d ended by itself", tail), tail


class LosingOutbox(Outbox):
    """Says that it sent its first appeal, and does not."""

    def send(self, topic: str, key: str, record: Record | bytes, *, broken: bool = False) -> None:
        if isinstance(record, AppealSubmitted) and not broken and not self.ledger.appeals:
            self.ledger.appeals.add(record.appeal_id)
        else:
            super().send(topic, key, record, broken=broken)


def test_lost_appeal_fails_the_demo_and_is_named(kafka, redis_url, tmp_path, monkeypatch):
    monkeypatch.setenv("RECOURSE_KAFKA", kafka)
    monkeypatch.setenv("RECOURSE_REDIS", redis_url)
    monkeypatch.setattr(world, "Outbox", LosingOutbox)
    console = Console(record=True, width=200, force_terminal=False)
    options = demo.Options(seconds=5, rate=150, plain=True, data_dir=tmp_path / "demo")
    assert demo.run(options, console) == 1
    told = console.export_text()
    assert "does not come out even" in told
    assert re.search(r"✗ +[\d,]+ appeals in .*", told), told
    assert "1 lost, e.g. ap-" in told


@pytest.mark.long
def test_system_that_does_not_do_what_it_says_fails_the_demo_and_a_user_is_named(
    kafka, redis_url, tmp_path, monkeypatch
):
    monkeypatch.setenv("RECOURSE_KAFKA", kafka)
    monkeypatch.setenv("RECOURSE_REDIS", redis_url)
    monkeypatch.setattr(SystemsState, "obey", lambda *_: Answer(AckStatus.APPLIED))
    console = Console(record=True, width=200, force_terminal=False)
    options = demo.Options(seconds=10, rate=200, plain=True, data_dir=tmp_path / "demo")
    assert demo.run(options, console) == 1
    told = console.export_text()
    assert re.search(r"✓ +[\d,]+ reversals ordered", told), told
    assert re.search(r"✗ +[\d,]+ users struck .*", told), told
    assert re.search(r"amiss, e.g. user-\d+ ", told), told
