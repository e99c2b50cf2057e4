"""The broker's jars: fetched once, checked against pinned digests, then used offline.

`kafka_jars.json` (written by `lock.py`) names each jar with its SHA-256, so no dependency is resolved on a
user's machine and nothing but these bytes is ever run. `maven.py` fetches them.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from topology.embedded.errors import EmbeddedError
from topology.embedded.maven import Coordinates, fetch_artifact
from topology.embedded.progress import Progress, Step, to_stderr

_LOCK = Path(__file__).with_name("kafka_jars.json")
_PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of the broker.

    Attributes:
        group: The Maven group id.
        artifact: The Maven artifact id.
        version: The version.
        size_bytes: The file's size.
        sha256: The file's digest, hexadecimal.
    """

    group: str
    artifact: str
    version: str
    size_bytes: int
    sha256: str

    @property
    def file(self) -> str:
        """The file's name."""
        return f"{self.artifact}-{self.version}.jar"


def kafka_classpath(progress: Progress = to_stderr) -> str:
    """Give the broker's class path, fetching the jars (43 MB) when they are not in the cache.

    Raises:
        EmbeddedError: A jar could not be fetched, or is not the one that is pinned.
    """
    lock = _LOCK.read_bytes()
    listed = json.loads(lock)
    jars = [Jar(*jar["coordinate"].split(":"), size_bytes=jar["bytes"], sha256=jar["sha256"]) for jar in listed["jars"]]
    # The digest in its name: another list is another folder, and one that is there is complete.
    folder = cache_dir() / f"kafka-{listed['kafka']}-{hashlib.sha256(lock).hexdigest()[:12]}"
    try:
        if not _complete(folder, jars):
            with alone(folder):
                if not _complete(folder, jars):  # another process may have fetched them while we waited
                    _fetch(jars, folder, f"fetching Kafka {listed['kafka']}, once", progress)
    except OSError as error:
        raise EmbeddedError(
            f"cannot keep Kafka's jars in {folder}: {error}; name another folder in RECOURSE_CACHE"
        ) from error
    return f"{folder}{os.sep}*"


def cache_dir() -> Path:
    """Give the folder that outlives runs: `RECOURSE_CACHE`, else `recourse` in the user's cache folder."""
    own = os.environ.get("RECOURSE_CACHE")
    if own:
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "recourse")


def _complete(folder: Path, jars: list[Jar]) -> bool:
    return all((folder / jar.file).is_file() for jar in jars)


def _fetch(jars: list[Jar], folder: Path, text: str, progress: Progress) -> None:
    """Fetch into a neighbouring folder that gets its name last: what is interrupted is never used."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    total_bytes = sum(jar.size_bytes for jar in jars)
    done_bytes = 0
    progress(Step(text, done_bytes, total_bytes))
    pool = ThreadPoolExecutor(_PARALLEL)
    try:
        largest_first = sorted(jars, key=lambda jar: -jar.size_bytes)
        fetched = {pool.submit(_fetch_one, jar, partial): jar for jar in largest_first}
        told_tenth = 0
        for future in as_completed(fetched):
            future.result()
            done_bytes += fetched[future].size_bytes
            tenth = 10 * done_bytes // total_bytes
            if tenth > told_tenth:
                told_tenth = tenth
                progress(Step(text, done_bytes, total_bytes))
    finally:
        pool.shutdown(cancel_futures=True)
    shutil.rmtree(partial / "maven")
    shutil.rmtree(folder, ignore_errors=True)  # an incomplete one, such as a tidied-up cache leaves
    partial.rename(folder)


def _fetch_one(jar: Jar, partial: Path) -> None:
    """Fetch a jar into `partial`."""
    coordinates = Coordinates(jar.group, jar.artifact, jar.version)
    hint = "or name a running broker in RECOURSE_KAFKA"
    target = partial / jar.file
    what = f"{jar.file} of Kafka"
    fetch_artifact(coordinates, jar.sha256, target, what=what, maven_cache=partial / "maven", hint=hint)


@contextlib.contextmanager
def alone(folder: Path) -> Generator[None]:
    """Hold off other processes that fetch the same folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
