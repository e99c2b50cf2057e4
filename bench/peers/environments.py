"""Each peer in an environment of its own, made on first use: a venv of pinned packages, or a Maven build.

They are kept in `.environments` beside this file and made again when the pins or sources change.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from topology.embedded import EmbeddedError
from topology.embedded.java import find_java

PEERS = Path(__file__).parent
CACHE = PEERS / ".environments"
STREAMS = "kafka-streams"


class UnavailableError(Exception):
    """A peer cannot be run on this machine; the text says why."""


def python(name: str) -> Path:
    """The interpreter of a Python peer.

    Raises:
        UnavailableError: its packages could not be installed.
    """
    folder, requirements = CACHE / name, PEERS / name / "requirements.txt"

    def make() -> None:
        _run([sys.executable, "-I", "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--no-deps", "--requirement", str(requirements)])
        _run([str(folder / "bin" / "python"), "-I", "-m", "pip", "check", "--disable-pip-version-check"])

    _once(folder, _digest([requirements], sys.version), make)
    return folder / "bin" / "python"


def java_classpath() -> tuple[Path, str]:
    """The Java that runs Kafka Streams, and the class path of its application.

    Raises:
        UnavailableError: there is no Java, no Maven, or the build failed.
    """
    folder, project = CACHE / STREAMS, PEERS / STREAMS
    maven = shutil.which("mvn")

    def make() -> None:
        if maven is None:
            raise UnavailableError("no Maven (mvn) on the PATH to build it with")
        _run([maven, "--quiet", "--batch-mode", f"--file={project}", f"-Denvironment={folder}", "package"])

    sources = [project / "pom.xml", *project.rglob("*.java"), *(PEERS / "avro").glob("*.avsc")]
    _once(folder, _digest(sources, ""), make)
    try:
        return find_java(), f"{folder / 'peer.jar'}:{folder / 'lib'}/*"
    except EmbeddedError as error:
        raise UnavailableError(str(error)) from error


def _once(folder: Path, digest: str, make: Callable[[], None]) -> None:
    stamp = folder / ".made-from"
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"making the environment of {folder.name}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make()
    stamp.write_text(digest)


def _digest(files: Iterable[Path], also: str) -> str:
    digest = hashlib.sha256(also.encode())
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()[-15:]
        raise UnavailableError("\n".join([f"{' '.join(command)} failed:", *said]))
