"""The image as far as it can be known without an engine: its steps run in a clean folder, its entrypoint for real.

A worker of that installation runs where it may write to no file at all, as behind a read-only root, and its folders
stay empty.
"""

import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dockerfile import build, exec_form, ignored, stages
from tests.integration.worker_process import GUARD_S, Installation
from tests.integration.workload import workload
from topology.exits import Exit

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The folder that stands for `/`, after the steps of the building stage."""
    root = tmp_path_factory.mktemp("image")
    programs = root / "base"
    programs.mkdir()
    # The base image's Python; not that of this environment, whose packages must not be found.
    (programs / "python").symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    build(
        stages(DOCKERFILE)[0],
        context=ROOT,
        root=root,
        roots=("/opt/recourse", "/src"),
        path=f"{programs}:/usr/bin:/bin",
    )
    return root


def entrypoint(image):
    first, *rest = exec_form(stages(DOCKERFILE)[1].last("ENTRYPOINT"))
    return [str(image) + first, *rest]


def no_files():
    """From now on a write to a file fails; sockets and pipes are none."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def run(image, empty, *arguments, **settings):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(empty), "TMPDIR": str(empty), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [*entrypoint(image), *arguments],
        cwd=empty,
        env=environment | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=no_files,  # noqa: PLW1509 - before any thread of ours is started
        text=True,
    )


@pytest.mark.long
def test_the_steps_of_the_image_give_an_entrypoint_that_knows_its_verbs(image, tmp_path):
    process = run(image, tmp_path, "--help")
    said, _ = process.communicate(timeout=GUARD_S)
    assert process.returncode == 0, said
    assert "create-topics" in said
    lines = (image / "opt" / "recourse" / "installed.txt").read_text().splitlines()
    listed = {re.split(r"==| @ ", line)[0] for line in lines}
    assert {"recourse", "confluent-kafka", "faust-streaming"} <= listed, "the insights run from the same image"
    assert "pytest" not in listed, "what only developers need is not in it"


@pytest.mark.long
def test_what_is_installed_has_the_versions_of_the_constraints(image):
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    listed = (image / "opt" / "recourse" / "installed.txt").read_text().splitlines()
    installed = dict(line.split("==") for line in listed if "==" in line)
    wrong = {
        name: (version, pinned[name]) for name, version in installed.items() if pinned.get(name, version) != version
    }
    assert not wrong


@pytest.mark.long
def test_a_worker_of_the_image_works_where_no_file_can_be_written(image, kafka, redis_url, app_id, tmp_path):
    empty = tmp_path / "root"
    empty.mkdir()
    rows = workload(2_000, seed=3)
    with Installation(kafka, redis_url, app_id, tmp_path, output_partitions=1) as installation:
        installation.send(rows)
        worker = run(image, empty, "run", **installation.environment)
        try:
            installation.until_done()
            worker.send_signal(signal.SIGTERM)
            said, _ = worker.communicate(timeout=GUARD_S)
        finally:
            worker.kill()
        assert worker.returncode == Exit.OK, said
        assert "worker_started" in said
    assert list(empty.rglob("*")) == [], "nothing was left behind"


def test_that_limit_would_be_noticed(tmp_path):
    code = "import os, sys; os.write(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY), b'x')"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "file"],
        preexec_fn=no_files,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "File too large" in done.stderr


def test_the_image_runs_as_nobody_and_takes_signals_itself():
    last = stages(DOCKERFILE)[1]
    user = last.last("USER") or ""
    assert user.split(":")[0].isdecimal(), "Kubernetes cannot tell that a name is not root"
    assert int(user.split(":")[0]) >= 1_000
    assert exec_form(last.last("ENTRYPOINT"))[0].startswith("/"), "a shell would not pass SIGTERM on"
    assert not [rest for word, rest in last.steps if word == "RUN"], "the last stage only copies"


def test_the_context_of_the_build_holds_the_sources_and_nothing_private():
    assert not ignored(ROOT, ROOT / "topology" / "topics.yaml")
    assert not ignored(ROOT, ROOT / "processors" / "rulebook.yaml")
    for path in (".git/config", ".venv/bin/python", "tests/conftest.py", ".env", "topology/__pycache__/x.pyc"):
        assert ignored(ROOT, ROOT / path), path
