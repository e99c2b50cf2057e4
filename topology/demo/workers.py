"""The processes of the demo: `run`, `insights` and the desk as in production, watched, logged, stopped."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from topology.access.files import SUFFIX
from topology.access.kafka import KafkaAccess
from topology.access.redis import RedisAccess
from topology.demo import desk
from topology.demo.errors import DemoError
from topology.embedded.process import SupervisedProcess
from topology.rulebook_file import PACKAGED, parse_rulebook
from topology.settings import PREFIX, Settings

FIRST_WAIT = "2s"
"""After which a directive without a good answer is sent again; the packaged rulebook has minutes."""

_KEPT = {"RECOURSE_CACHE"} | {
    f"{PREFIX}{name.upper()}{suffix}"
    for access in (KafkaAccess, RedisAccess)
    for name in access.model_fields
    for suffix in ("", SUFFIX)
}
"""What names servers that are not ours, and says who the workers are there."""
_SESSION_S = "8"
"""A member hears of another's joining with its next heartbeat, a quarter of this: the demo wants to begin."""
_READY_S = 60.0
_ASK_S = 1.0
_STOP_S = 30.0


def write_rulebook(folder: Path) -> Path:
    """The packaged rulebook with a short first wait, so that a repetition can be seen within the demo."""
    text = PACKAGED.read_text(encoding="utf-8")
    text, changed = re.subn(r"(?m)^(  first_wait: ).*$", rf"\g<1>{FIRST_WAIT}", text)
    if changed != 1:
        raise DemoError("the packaged rulebook has no single `first_wait`; the demo cannot shorten it")
    parse_rulebook(text, name="the demo's rulebook")
    path = folder / "rulebook.yaml"
    path.write_text(text, encoding="utf-8")
    return path


class Workers:
    """Each worker is a process of its own that cannot outlive this one."""

    def __init__(
        self,
        settings: Settings,
        rulebook: Path,
        *,
        count: int,
        folder: Path,
        metrics_port: int = 0,
        desk_port: int = 0,
    ) -> None:
        # They are an extra of the installation; nothing else of the demo needs them.
        self._insights = "faust" in sys.modules or importlib.util.find_spec("faust") is not None
        self._settings = settings
        self._folder = folder
        self._processes: dict[str, SupervisedProcess] = {}
        self._count = count
        self._metrics_port = metrics_port
        self._desk_port = desk_port
        """Where the desk listens; 0: there is none."""
        self._told: set[str] = set()
        """Whose end has been told already."""
        self._environment = {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            "RECOURSE_KAFKA": settings.kafka,
            "RECOURSE_REDIS": settings.redis,
            "RECOURSE_TOPIC_PREFIX": settings.topic_prefix,
            "RECOURSE_GROUP": settings.group,
            "RECOURSE_PARTITIONING": settings.partitioning,
            "RECOURSE_RULEBOOK": str(rulebook),
            "RECOURSE_LOG_FORMAT": "json",
            "RECOURSE_SESSION_S": _SESSION_S,
        }

    @property
    def logs(self) -> Path:
        """Where the workers' logs lie."""
        return self._folder

    def start(self) -> None:
        """Start all; they join the group in their own time."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # With these, `recourse` finds the demo's topics and keys.
        (self._folder / "environment.json").write_text(json.dumps(self._environment, indent=1), encoding="utf-8")
        for number in range(self._count):
            self._begin(f"worker-{number}", number, "run", "--slot", str(number))
        if self._insights:
            self._begin("insights", self._count, "insights")
        if self._desk_port:
            self._start("desk", desk.environment(self._settings, self._folder, self._desk_port), desk.MODULE)

    def _begin(self, name: str, number: int, *arguments: str) -> None:
        port = self._metrics_port + number if self._metrics_port else 0
        told = {**self._environment, "RECOURSE_METRICS_PORT": str(port)}
        self._start(name, told, "topology.cli", *arguments)

    def _start(self, name: str, told: Mapping[str, str], *module: str) -> None:
        with _environment(told):
            self._processes[name] = SupervisedProcess(
                [sys.executable, "-m", *module], log=self._folder / f"{name}.log", cwd=Path.cwd()
            )

    def wait_until_ready(self, stopping: Callable[[], bool]) -> None:
        """Wait until all are in the group and hold their partitions, or somebody wants to stop.

        Raises:
            DemoError: one died, or they took too long.
        """
        admin = AdminClient({**self._settings.kafka_config(), "log_level": 2})
        deadline = time.monotonic() + _READY_S
        while not stopping():
            self.check()
            # On a new broker the groups' own topic has yet to be made, and until a first worker has joined there is
            # no such group; without a time limit the first question would be held back for a minute.
            with contextlib.suppress(KafkaException):
                name = self._settings.group
                group = admin.describe_consumer_groups([name], request_timeout=_ASK_S)[name].result()
                if group.state == ConsumerGroupState.STABLE and len(group.members) == self._count:
                    return
            if time.monotonic() > deadline:
                raise DemoError(f"the workers are not ready after {_READY_S:.0f} s; see {self._folder}")
            time.sleep(0.1)

    def check(self) -> None:
        """Do nothing while all run.

        Raises:
            DemoError: one has ended, which none should; with the end of its log.
        """
        for name, process in self._processes.items():
            code = process.exit_code()
            if code is not None:
                self._told.add(name)
                raise DemoError(f"{name} ended by itself with exit code {code}. Its last lines:\n{process.log_tail()}")

    def stop(self) -> list[str]:
        """Ask all to finish their batch and leave; force those that do not.

        Returns:
            What did not go well, in words.
        """
        faults: list[str] = []
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self._processes.items():
            code = process.wait(_STOP_S)
            process.end(grace_s=0)
            if code is None:
                faults.append(f"{name} did not stop within {_STOP_S:.0f} s of SIGTERM and was killed")
            elif code != 0 and name not in self._told:
                faults.append(f"{name} ended with exit code {code}. Its last lines:\n{process.log_tail()}")
        self._processes.clear()
        return faults


@contextlib.contextmanager
def _environment(ours: Mapping[str, str]) -> Generator[None]:
    """Show children the given `RECOURSE_*` variables and no others."""
    before = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    for name in before:
        del os.environ[name]
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]
        os.environ.update(before)
