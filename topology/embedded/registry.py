"""A real schema registry of our own: Apicurio, in memory, through its Confluent-compatible API."""

import json
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from topology.embedded.errors import EmbeddedError
from topology.embedded.jars import alone, cache_dir
from topology.embedded.java import find_java
from topology.embedded.maven import Coordinates, fetch_artifact
from topology.embedded.progress import Progress, Step, to_stderr
from topology.embedded.server import HOST, Server

_VERSION = "3.0.9"
_COORDINATES = Coordinates("io.apicurio", "apicurio-registry-app", _VERSION, "tar.gz", "all")
_SHA256 = "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43"
_TIMEOUT_S = 2.0


class RegistryServer(Server):
    """An Apicurio registry that keeps everything in memory: a restart comes back empty.

    Args:
        data_dir: Its working folder; made when missing.
        port: Where to listen; None for a free one.
        heap_mb: The JVM's largest heap.
        start_timeout_s: How long a start may take.
        progress: Is told what a start waits for.
    """

    name: ClassVar[str] = "Registry"
    _files: ClassVar[tuple[str, ...]] = ("server.log",)

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        heap_mb: int = 384,
        start_timeout_s: float = 180.0,
        progress: Progress = to_stderr,
    ) -> None:
        super().__init__(data_dir, port=port, keep=False, start_timeout_s=start_timeout_s, progress=progress)
        self._heap_mb = heap_mb

    @property
    def url(self) -> str:
        """What `RECOURSE_REGISTRY` takes."""
        return f"http://{HOST}:{self.port}/apis/ccompat/v7"

    def _provision(self) -> Sequence[str]:
        java, folder = find_java(), registry_folder(self._progress)
        self._progress(Step(f"starting Apicurio with {java}"))
        return [
            str(java),
            f"-Xmx{self._heap_mb}m",
            # It lives for minutes: no compiler that pays only for longer.
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Dquarkus.log.level=WARN",
            f"-Dquarkus.http.host={HOST}",
            "-jar",
            str(folder / f"apicurio-registry-app-{_VERSION}-runner.jar"),
        ]

    def _prepare(self, command: Sequence[str]) -> Sequence[str]:
        java, *rest = command
        return [java, f"-Dquarkus.http.port={self.port}", *rest]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=_TIMEOUT_S) as answer:  # noqa: S310 - our own
                return isinstance(json.load(answer), list)
        except (OSError, ValueError, urllib.error.URLError):
            return False


def registry_folder(progress: Progress = to_stderr) -> Path:
    """Give the folder with Apicurio's jars, fetching them (109 MB) when they are not in the cache.

    Raises:
        EmbeddedError: They could not be fetched, or are not those that are pinned.
    """
    # The digest in its name: another archive is another folder, and one that is there is complete.
    folder = cache_dir() / f"apicurio-{_VERSION}-{_SHA256[:12]}"
    if folder.is_dir():
        return folder
    try:
        with alone(folder):
            if not folder.is_dir():  # another process may have fetched it while we waited
                _fetch(folder, progress)
    except OSError as error:
        raise EmbeddedError(f"cannot keep Apicurio in {folder}: {error}; name another one in RECOURSE_CACHE") from error
    return folder


def _fetch(folder: Path, progress: Progress) -> None:
    """Unpack into a neighbouring folder that gets its name last: what is interrupted is never used."""
    progress(Step(f"fetching Apicurio {_VERSION}, once"))
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    archive = partial / "apicurio.tar.gz"
    hint = "without it there is no registry to test against"
    what = f"Apicurio {_VERSION}"
    fetch_artifact(_COORDINATES, _SHA256, archive, what=what, maven_cache=partial / "maven", hint=hint)
    with tarfile.open(archive) as packed:
        packed.extractall(partial, filter="data")
    archive.unlink()
    shutil.rmtree(partial / "maven", ignore_errors=True)
    partial.rename(folder)
