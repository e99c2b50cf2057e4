"""What a campaign has shown, a JSON line a run: appended as it goes, so a long one can be done in pieces."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from importlib import metadata, resources
from pathlib import Path

import confluent_kafka
import msgspec
import psutil

from topology.embedded.redis import find_redis

ROOT = Path(__file__).parents[2]
FIRST_STRIKE = "storm, up to the first strike"
"""A part of a run's time that is within another one."""
_ROOMS = ("schemas", "processors", "topology", "tests")
"""What a commit must hold as it is for a run to be the commit's."""


class Struck(msgspec.Struct, frozen=True):
    """What became of one strike."""

    what: str
    fault: str
    """By name, as in `Fault`."""
    step: str
    """By name, as in `Step`."""
    happened: bool
    text: str


class Wrong(msgspec.Struct, frozen=True):
    """Something that should not be so after a run."""

    kind: str
    what: str
    lost: bool
    doubled: bool


class Run(msgspec.Struct, frozen=True, tag="run"):
    """One run."""

    seed: int
    plan: str
    at: str
    """UTC, when it was over."""
    seconds: float
    parts: dict[str, float]
    """Seconds, by what was done or waited for."""
    struck: list[Struck]
    wrong: list[Wrong]
    restarts: dict[int, int]
    """Workers that ended by themselves, by exit code."""
    hung: int = 0
    """Of them, those in which a call of the client library did not end within its time-out."""
    sent_twice: int = 0
    """Records that the campaign's own producer left twice in an input."""
    skipped: list[str] = []
    """Records that a worker's client had passed over and that were read again."""
    cpu: dict[str, float] = {}
    """Seconds of CPU, by who used them."""

    @property
    def passed(self) -> bool:
        """Nothing is wrong, and every fault really happened."""
        return not self.wrong and all(one.happened for one in self.struck)


class Chunk(msgspec.Struct, frozen=True, tag="chunk"):
    """One call of the command: the runs after this line are its, up to the next."""

    at: str
    commit: str
    altered: bool
    """Files were not as in the commit."""
    lanes: int
    machine: str
    versions: str


class Record:
    """A file of lines. Made when something is first added."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[tuple[Chunk, list[Run]]]:
        """Each call of the command with its runs, in the order of time.

        Raises:
            msgspec.DecodeError: a line is none of ours.
        """
        found: list[tuple[Chunk, list[Run]]] = []
        decoder = msgspec.json.Decoder(Run | Chunk)
        for line in self._path.read_bytes().splitlines() if self._path.exists() else ():
            told = decoder.decode(line)
            if isinstance(told, Chunk):
                found.append((told, []))
            else:
                found[-1][1].append(told)
        return found

    def seeds(self) -> set[int]:
        """Those that were run already."""
        return {run.seed for _, runs in self.read() for run in runs}

    def add(self, *lines: Run | Chunk) -> None:
        """Append."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.Encoder().encode_lines(lines))


def chunk_now(lanes: int) -> Chunk:
    """The line for a call that begins now."""
    commit, altered = _commit()
    return Chunk(now(), commit, altered, lanes, _machine(), _versions())


def now() -> str:
    """UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())


def total(counts: Iterable[dict[int, int]]) -> dict[int, int]:
    """Counts added up, in the order of their keys."""
    found: dict[int, int] = {}
    for each in counts:
        for key, count in each.items():
            found[key] = found.get(key, 0) + count
    return dict(sorted(found.items()))


def _commit() -> tuple[str, bool]:
    commit = _git("rev-parse", "--short=10", "HEAD").strip()
    return commit or "unknown", not commit or bool(_git("status", "--porcelain", "--", *_ROOMS))


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _machine() -> str:
    memory = psutil.virtual_memory().total // 2**30
    return f"{os.cpu_count()} cores, {memory} GB, {platform.system()} {platform.machine()}"


def _versions() -> str:
    kafka = json.loads(resources.files("topology.embedded").joinpath("kafka_jars.json").read_text())["kafka"]
    said = subprocess.run([str(find_redis()), "--version"], capture_output=True, text=True, check=True).stdout
    redis = next((word.removeprefix("v=") for word in said.split() if word.startswith("v=")), said.strip())
    return (
        f"Python {platform.python_version()}, Kafka {kafka}, Redis {redis},"
        f" librdkafka {confluent_kafka.libversion()[0]}, redis-py {metadata.version('redis')}"
    )
