"""docs/desk.md says what is true of the settings, the groups and the files that it names."""

import re
from pathlib import Path

import desk
from desk.identity import Role
from desk.settings import PREFIX, Settings

ROOT = Path(desk.__file__).parents[1]
PAGE = (ROOT / "docs" / "desk.md").read_text()


def rows() -> list[str]:
    found = []
    for name, field in Settings.model_fields.items():
        value = field.default
        if value in (None, "", {}):
            shown = ""
        elif isinstance(value, bool):
            shown = f"`{str(value).lower()}`"
        else:
            shown = f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
        found.append(f"| `{PREFIX}{name.upper()}` | {shown} | {' '.join((field.description or '').split())} |")
    return found


def test_every_setting_is_on_the_page_as_it_is():
    told = [line for line in PAGE.splitlines() if line.startswith(f"| `{PREFIX}")]
    assert told == rows(), "\n".join(rows())


def test_every_role_is_told_with_its_group():
    for role in Role:
        assert f"`recourse-{role.value.replace('_', '-')}`" in PAGE


def test_every_picture_on_the_page_is_there():
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / picture).is_file(), picture
