"""Every test that docs/complaints.md names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "complaints.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_the_page_names_exists(file: str, name: str):
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("paragraph", re.findall(r"^\*\*.*?(?=^\*\*|^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
def test_every_complaint_names_a_test(paragraph: str):
    assert re.search(r"`tests/[\w/]+\.py::\w+`", paragraph), paragraph.splitlines()[0]


def test_the_page_has_complaints():
    assert len(NAMED) > 20
