"""The programs of docs/integrate.md work against a running engine, with nothing but topics and schemas.

Both pairs play one appeal from the enforcement to its confirmed reversal: an enforcement system in one language, a
reviewer tool in the other.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schemas import records as r
from schemas import vocabulary as v
from schemas.codec import Codec
from schemas.vocabulary import CaseEventKind as Kind
from tests.integration.worker_process import GUARD_S, Installation
from tests.integration.workload import row_of
from tests.npm import installed, node
from topology.topics import Role

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
POD = "general"


class Programs:
    """Starts programs of `examples/`, in a folder that holds nothing else of ours."""

    def __init__(self, folder, installation):
        self.folder = folder
        self.running = []
        shutil.copytree(EXAMPLES, folder / "examples")
        shutil.copytree(ROOT / "docs" / "generated", folder / "docs" / "generated")
        shutil.copytree(ROOT / "schemas" / "history", folder / "schemas" / "history")
        modules = installed(EXAMPLES / "node") / "node_modules"
        (folder / "examples" / "node" / "node_modules").symlink_to(modules)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RECOURSE", "PYTHON"))},
            "KAFKA": installation.kafka,
            "TOPIC_PREFIX": installation.prefix,
        }

    def start(self, language, name, *arguments):
        if language == "python":
            command = [sys.executable, f"examples/python/{name}.py"]
        else:
            command = [node(), f"examples/node/{name}.js"]
        process = subprocess.Popen(
            [*command, *arguments], cwd=self.folder, env=self.environment, text=True, stdout=-1, stderr=-2
        )
        self.running.append(process)
        return process

    def close(self):
        for process in self.running:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def world(kafka, redis_url, tmp_path_factory):
    """A running engine, and the programs beside it."""
    folder = tmp_path_factory.mktemp("examples")
    with Installation(kafka, redis_url, f"examples-{time.time_ns()}", folder, output_partitions=3) as installation:
        programs = Programs(folder / "elsewhere", installation)
        installation.start()
        yield installation, programs
        programs.close()


def an_appeal(user, enforcement):
    now = r.Millis(time.time_ns() // 1_000_000)
    return r.AppealSubmitted(
        event_id=f"ev-{user}",
        user_id=r.UserId(user),
        appeal_id=r.AppealId(f"appeal-{user}"),
        submitted_at=now,
        enforcement_id=r.EnforcementId(enforcement),
        appellant_id=r.UserId(user),
        language="de",
        grounds=[v.AppealGround.FACTS_WRONG],
        statement_ref="s3://appeals/1",
    )


@pytest.mark.parametrize(
    ("enforces", "reviews", "system"), [("python", "node", "catalogue"), ("node", "python", "catalogue-node")]
)
def test_an_appeal_goes_from_enforcement_to_confirmed_reversal_by_the_programs_of_the_docs(
    world, enforces, reviews, system
):
    installation, programs = world
    user, listing = f"seller-of-{enforces}", f"listing-of-{enforces}"
    enforcement = f"{system}-{user}-{listing}"

    system_runs = programs.start(enforces, "enforcement_system", user, listing)
    appeal = an_appeal(user, enforcement)
    installation.send([row_of(appeal, appeal.submitted_at)])
    reviewer_runs = programs.start(reviews, "reviewer_tool", POD, f"reviewer-in-{reviews}")
    said = {}
    for name, process in (("tool", reviewer_runs), ("system", system_runs)):
        said[name] = process.communicate(timeout=GUARD_S)[0]
        assert process.returncode == 0, said
    assert re.search(r"\S+ is decided", said["tool"]), said
    assert f"{listing} is restricted by nothing" in said["system"], said

    codec = Codec()
    lines = [
        codec.decode(message.value(), topic.allowed)
        for topic, message in installation.messages(Role.OUTPUT)
        if topic.name == "case.events"
    ]
    kinds = [line.kind for line in lines if line.user_id == user]
    wanted = {Kind.CASE_OPENED, Kind.CASE_CLAIMED, Kind.CASE_DECIDED, Kind.DIRECTIVE_APPLIED, Kind.REVERSAL_CONFIRMED}
    assert wanted <= set(kinds), kinds
    assert Kind.REVIEW_REJECTED not in kinds, "each event was the first valid one"
    letters = [topic.name for topic, _ in installation.messages(Role.DEAD_LETTERS)]
    assert not letters, "what the programs wrote was judged"


def test_the_programs_import_nothing_of_ours():
    ours = re.compile(r"^\s*(?:from|import)\s+(schemas|processors|topology|bench|tests)\b", re.MULTILINE)
    found = [path for path in EXAMPLES.rglob("*.py") if ours.search(path.read_text())]
    assert not found


def test_the_page_shows_the_programs_as_they_are():
    text = (ROOT / "docs" / "integrate.md").read_text()
    shown = re.findall(r"^<!-- (\S+) -->\n\n```\w+\n(.*?)```$", text, re.MULTILINE | re.DOTALL)
    programs = sorted([*EXAMPLES.glob("python/*.py"), *EXAMPLES.glob("node/*.js")])
    assert {name for name, _ in shown} == {path.relative_to(ROOT).as_posix() for path in programs}
    for name, program in shown:
        assert program == (ROOT / name).read_text(), f"{name} in docs/integrate.md is not the file"
