"""The decision logic has no clock, no chance and no world: what would let one in is found by its text."""

import ast
import sys
from pathlib import Path

import pytest

import processors

ROOM = Path(processors.__file__).parent
MODULES = sorted(ROOM.glob("**/*.py"))

ALLOWED = {"schemas", "processors", "msgspec", "pydantic", "pydantic_core"}
WORLDLY = {
    "asyncio",
    "datetime",
    "http",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "warnings",
}
DATES = {"calendar.py", "review_tables.py", "rulebook_review.py"}
"""May handle dates that they are given; what asks for today's is among the calls."""
CALLS = {
    *("open", "print", "input", "exec", "eval", "breakpoint", "globals"),
    *("hash", "id", "uuid1", "uuid4"),  # differ between processes
    *("now", "today", "utcnow"),
}
PACKAGE_DATA = {("calendar.py", "open")}
"""Time zones are read from a package that is pinned, not from the machine."""


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_imports_only_what_is_pure(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            if top == "datetime" and module.name in DATES:
                continue
            assert top not in WORLDLY, f"{module.name}:{node.lineno} imports {name}"
            assert top in ALLOWED or top in sys.stdlib_module_names, f"{module.name}:{node.lineno} imports {name}"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_calls_nothing_that_depends_on_the_process_or_the_world(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            allowed = (module.name, called) in PACKAGE_DATA
            assert allowed or called not in CALLS, f"{module.name}:{node.lineno} calls {called}()"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_says_its_one_idea_and_fits_three_hundred_lines(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert (ast.get_docstring(ast.parse(text)) or "").strip()
    assert len(text.splitlines()) <= 300


def test_the_room_is_not_empty() -> None:
    assert len(MODULES) > 20
