"""Reads a rulebook file, and when it is wrong says everything that is wrong with it, each with its line."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import ValidationError

import processors
from processors.rulebook import Rulebook
from topology import yaml_faults as faults

PACKAGED = Path(processors.__file__).with_name("rulebook.yaml")
"""The rulebook that is used when a setting names no other."""


class RulebookError(ValueError):
    """The rulebook cannot be used; the text lists every fault as ``file:line: field: what is wrong``."""


@dataclass(frozen=True)
class RulebookFile:
    """A rulebook, and the text that it was read from: the text is what is kept for later."""

    book: Rulebook
    text: str


def load_rulebook(path: Path = PACKAGED) -> Rulebook:
    """Read and check the rulebook file; `RulebookError` if it is missing or wrong."""
    return load_rulebook_file(path).book


@cache
def load_rulebook_file(path: Path = PACKAGED) -> RulebookFile:
    """The same with the text. A process reads a file once, so both always tell of the same content."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RulebookError(f"{path}: cannot be read: {error}") from error
    return RulebookFile(parse_rulebook(text, name=str(path)), text)


def parse_rulebook(text: str, name: str = "rulebook") -> Rulebook:
    """Check the text of a rulebook; `name` is what the errors call it."""
    try:
        root, raw = faults.read(text, name, expected="a rulebook is a mapping of sections, starting with `name:`")
    except faults.NotYamlError as error:
        raise RulebookError(str(error)) from error
    found = list(faults.repeated(root))
    book: Rulebook | None = None
    try:
        book = Rulebook.model_validate(raw)
    except ValidationError as error:
        found += faults.of_model(error, Rulebook)
    if found or book is None:
        count = len(set(found))
        listed = faults.told(name, root, found)
        raise RulebookError(f"the rulebook has {count} fault{'s' if count > 1 else ''}:\n{listed}")
    return book
