"""Programs out of Debian packages, without root: fetched and verified by apt, unpacked into the cache folder."""

import getpass
import os
import shutil
import subprocess
from pathlib import Path

from topology.embedded.errors import EmbeddedError
from topology.embedded.jars import alone, cache_dir
from topology.embedded.progress import Progress, Step, to_stderr

_ATTEMPTS = 3
_TIMEOUT_S = 300


def find_program(name: str, *, package: str, progress: Progress = to_stderr) -> Path:
    """Find a program on the PATH, else in the cache, else fetch the Debian package that holds it.

    Args:
        name: The program, such as `promtool`.
        package: The package, such as `prometheus`; it must need nothing but the C library.
        progress: Is told what is fetched.

    Raises:
        EmbeddedError: It is not there, and there is no apt or it cannot fetch the package.
    """
    installed = shutil.which(name)
    if installed is not None:
        return Path(installed)
    folder = cache_dir() / f"debian-{package}"
    program = folder / "usr" / "bin" / name
    if program.is_file():
        return program
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise EmbeddedError(
                f"no {name} on the PATH, and no {tool} to fetch Debian's package {package} with: install {package}"
                " by other means"
            )
    try:
        with alone(folder):
            if not program.is_file():  # another process may have fetched it while we waited
                _fetch(package, folder, progress)
    except OSError as error:
        raise EmbeddedError(
            f"cannot keep {package} in {folder}: {error}; name another folder in RECOURSE_CACHE"
        ) from error
    if not program.is_file():
        raise EmbeddedError(f"Debian's package {package} holds no usr/bin/{name}")
    return program


def program_with_libraries(
    name: str, *, package: str, within: str = "usr/bin", progress: Progress = to_stderr
) -> list[str]:
    """The start of a program's command line, from the cache; the package comes with those that this machine lacks.

    What is on the PATH is passed over: it may have been built without what the package's has.

    Args:
        name: The program, such as `redis-server`.
        package: The package that holds it.
        within: The folder of the package in which it lies.
        progress: Is told what is fetched.

    Raises:
        EmbeddedError: There is no apt, or it cannot fetch the packages.
    """
    folder = cache_dir() / f"debian-{package}-and-libraries"
    program = folder / within / name
    if not program.is_file():
        if shutil.which("apt-get") is None:
            raise EmbeddedError(f"{name} is taken from Debian's package {package}, and there is no apt-get here")
        with alone(folder):
            if not program.is_file():  # another process may have fetched it while we waited
                _fetch(package, folder, progress, libraries=True)
    if not program.is_file():
        raise EmbeddedError(f"Debian's package {package} holds no {within}/{name}")
    # Some packages keep theirs in a folder of their own below, which their other libraries expect at its usual place.
    holders = sorted({path.parent for path in folder.glob("usr/lib/**/lib*.so*")} | {folder / "usr" / "lib"})
    libraries = os.pathsep.join(map(str, holders))
    return ["/usr/bin/env", f"LD_LIBRARY_PATH={libraries}", str(program)]


def _fetch(package: str, folder: Path, progress: Progress, *, libraries: bool = False) -> None:
    """Unpack into a neighbouring folder that gets its name last: what is interrupted is never used."""
    progress(Step(f"fetching Debian's package {package}, once"))
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    lists, cache, whole = partial / "lists", partial / "cache", partial / "whole"
    (lists / "partial").mkdir(parents=True)
    (cache / "archives" / "partial").mkdir(parents=True)
    # Lists of our own: the machine's may be missing, or name a version that is served no more, and need root to renew.
    ours = [
        "apt-get", "-qq",
        "-o", f"Dir::State::Lists={lists}",
        "-o", f"Dir::Cache={cache}",
        "-o", f"APT::Sandbox::User={getpass.getuser()}",
        "-o", f"Acquire::Retries={_ATTEMPTS}",
    ]  # fmt: skip
    _run([*ours, "update"], package, partial)
    wanted = [package]
    if libraries:
        plan = _run([*ours, "install", "--print-uris", "--yes", "--no-install-recommends", package], package, partial)
        # Each line is an address, a file's name, which begins with the package's, a size and a digest.
        wanted += [line.split()[1].partition("_")[0] for line in plan.splitlines() if line.startswith("'")]
    _run([*ours, "download", *dict.fromkeys(wanted)], package, partial)
    fetched = sorted(partial.glob("*.deb"))
    if not fetched:
        raise EmbeddedError(f"apt-get says that it has fetched {package}, and there is no package")
    for archive in fetched:
        _run(["dpkg-deb", "--extract", str(archive), str(whole)], package, partial)
    shutil.rmtree(folder, ignore_errors=True)
    whole.rename(folder)
    shutil.rmtree(partial)


def _run(command: list[str], package: str, cwd: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the system's own tools, our own arguments
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EmbeddedError(f"fetching Debian's package {package} hangs ({error.timeout:.0f} s)") from error
    if done.returncode != 0:
        raise EmbeddedError(
            f"cannot fetch Debian's package {package} ({' '.join(command)} ended with {done.returncode}):\n"
            f"{(done.stdout + done.stderr).strip()}\nCheck the network and apt's sources, or install {package}"
        )
    return done.stdout
