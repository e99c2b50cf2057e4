"""A Dockerfile's steps as a script: what can be known of an image where no engine builds one.

Each `RUN` is run by a shell, each `COPY` copies, below a folder that stands for the root of the image: the paths that
the file names are put below it. `FROM` gives nothing, so what the base image has must be at hand, here a Python.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

_LINE = re.compile(r"^(?P<word>[A-Z]+)\s+(?P<rest>.*)$")


@dataclass
class Stage:
    """One `FROM` and what follows."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, word: str) -> str | None:
        """What the last instruction of this kind says."""
        return next((rest for each, rest in reversed(self.steps) if each == word), None)


def stages(text: str) -> list[Stage]:
    """The stages of a Dockerfile; arguments before the first are left out."""
    found: list[Stage] = []
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        match = _LINE.match(line)
        assert match, f"no instruction: {line}"
        word, rest = match["word"], match["rest"]
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        elif found:
            found[-1].steps.append((word, rest))
        else:
            assert word == "ARG", f"before the first stage: {line}"
    return found


def ignored(context: Path, path: Path) -> bool:
    """Whether `.dockerignore` keeps a path out of the build; its last matching line decides."""
    told = False
    for line in (context / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        wanted = pattern.removeprefix("!")
        parts = path.relative_to(context).parts
        heads = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        if any(fnmatch(head, wanted) or fnmatch(f"/{head}", wanted.removeprefix("**")) for head in heads):
            told = not pattern.startswith("!")
    return told


def build(stage: Stage, *, context: Path, root: Path, roots: tuple[str, ...], path: str) -> None:
    """Run a stage's steps below `root`.

    Args:
        stage: Its steps; those that only describe the image are passed over.
        context: The folder that `COPY` copies from.
        root: Stands for `/` in the image.
        roots: Absolute folders of the image that commands name.
        path: Where commands are found.
    """
    workdir = root
    for word, rest in stage.steps:
        if word == "WORKDIR":
            workdir = root / rest.lstrip("/")
            workdir.mkdir(parents=True, exist_ok=True)
        elif word == "COPY" and not rest.startswith("--from"):
            *sources, target = shlex.split(rest)
            for source in sources:
                _copy(context, context / source, workdir / target)
        elif word == "RUN":
            command = rest
            for each in roots:
                command = re.sub(rf"(?<![\w/]){re.escape(each)}(?=[\s/\"')]|$)", f"{root}{each}", command)
            environment = {"PATH": path, "HOME": str(root), "LANG": "C.UTF-8"}
            done = subprocess.run(
                ["sh", "-c", command], cwd=workdir, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"RUN {command}:\n{done.stdout[-1_000:]}{done.stderr[-3_000:]}"


def _copy(context: Path, source: Path, target: Path) -> None:
    if source.is_dir():

        def left_out(folder: str, names: list[str]) -> set[str]:
            return {name for name in names if ignored(context, Path(folder) / name)}

        shutil.copytree(source, target, ignore=left_out, dirs_exist_ok=True)
    else:
        assert not ignored(context, source), f"{source.name} is not in the build's context: .dockerignore"
        shutil.copy(source, target)


def exec_form(rest: str | None) -> list[str]:
    """An `ENTRYPOINT` or a `CMD` as the list that it must be."""
    return json.loads(rest or "[]")
