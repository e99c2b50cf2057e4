"""Each exactly-once rule is named by tests, and can still be broken on purpose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rules.breaks import BREAKS, Break, changes, named

ROOT = Path(__file__).parents[2]
RULES = range(1, 10)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_named_by_a_test(rule: int):
    named = re.compile(rf"mark\.rule\({rule}\)")
    assert [path for path in (ROOT / "tests").rglob("test_*.py") if named.search(path.read_text())]


@pytest.mark.parametrize("each", [pytest.param(each, id=name) for name, each in named().items()])
def test_every_break_fits_the_code(each: Break):
    assert [(ROOT / file).read_text().count(old) for file, old, _ in changes(each)] == [1] * len(changes(each))


def test_there_is_a_break_for_every_rule():
    assert {each.rule for each in BREAKS} == set(RULES)
