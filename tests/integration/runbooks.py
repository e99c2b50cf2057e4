"""The commands of the runbooks, as a person would paste them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "runbooks"


@dataclass(frozen=True)
class Command:
    """One line of a fenced block.

    Attributes:
        page: The runbook's name.
        line: Its line number in the page.
        text: What is pasted.
    """

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def commands() -> list[Command]:
    """All, page by page in their order; what several pages say is there once."""
    found: dict[str, Command] = {}
    for path in sorted(FOLDER.glob("*.md")):
        text = path.read_text()
        fences = re.findall(r"^```(\S*)$", text, re.MULTILINE)[::2]
        assert set(fences) <= {"sh"}, f"{path.name}: only ```sh blocks are run; found {fences}"
        for block in re.finditer(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            first = text[: block.start(1)].count("\n") + 1
            for number, line in enumerate(block[1].splitlines()):
                found.setdefault(line, Command(path.stem, first + number, line))
    return list(found.values())
