"""A process whose flushes are ours to hold waits for each of them, and works as ever when they are not held."""

import subprocess
import sys

import pytest

from tests.faults.slow_disk import SlowDisk

FLUSHES = """
import os, sys, time
begun = time.monotonic()
with open(sys.argv[1], "w") as file:
    for call in (os.fsync, os.fdatasync, os.fsync):
        file.write("x")
        file.flush()
        call(file.fileno())
print(time.monotonic() - begun)
"""


@pytest.fixture
def flushing(tmp_path):
    with SlowDisk(tmp_path / "disk") as disk:
        command = disk.wrap([sys.executable, "-c", FLUSHES, str(tmp_path / "file")])

        def run() -> float:
            took = float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout)
            assert (tmp_path / "file").read_text() == "xxx"
            return took

        yield disk, run


def test_each_flush_is_held_for_as_long_as_the_disk_is_slow(flushing):
    disk, run = flushing
    disk.delay_s = 0.1
    assert run() >= 0.3
    assert disk.held == 3


def test_flushes_of_a_quick_disk_are_not_held(flushing):
    disk, run = flushing
    run()
    assert disk.held == 0


def test_a_flush_that_is_held_goes_on_when_the_disk_is_quick_again(flushing, tmp_path):
    disk, _run = flushing
    disk.delay_s = 1_000.0
    command = disk.wrap([sys.executable, "-c", FLUSHES, str(tmp_path / "file")])
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not disk.held:
            assert process.poll() is None
        disk.delay_s = 0.0
        assert process.wait(30) == 0
