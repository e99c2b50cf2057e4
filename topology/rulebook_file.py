"""Reads a rulebook file, and when it is wrong says everything that is wrong with it, each with its line."""

import difflib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

import processors
from processors.rulebook import Rulebook

PACKAGED = Path(processors.__file__).with_name("rulebook.yaml")
"""The rulebook that is used when a setting names no other."""

Place = tuple[int | str, ...]
"""Keys and positions from the top of the file."""

_QUOTED = re.compile("'([^']+)'")


class RulebookError(ValueError):
    """The rulebook cannot be used; the text lists every fault as ``file:line: field: what is wrong``."""


@cache
def load_rulebook(path: Path = PACKAGED) -> Rulebook:
    """Read and check the rulebook file; `RulebookError` if it is missing or wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RulebookError(f"{path}: cannot be read: {error}") from error
    return parse_rulebook(text, name=str(path))


def parse_rulebook(text: str, name: str = "rulebook") -> Rulebook:
    """Check the text of a rulebook; `name` is what the errors call it."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        raw: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = name if mark is None else f"{name}:{mark.line + 1}"
        raise RulebookError(f"{where}: is not YAML: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(root, yaml.MappingNode):
        raise RulebookError(f"{name}:1: a rulebook is a mapping of sections, starting with `name:`")
    faults = [(line, f"{key}: is given twice") for line, key in _repeated(root)]
    book: Rulebook | None = None
    try:
        book = Rulebook.model_validate(raw)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            place = _in_file(item["loc"])
            faults.append((_line(root, place), f"{_dotted(place)}: {_told(item, place)}"))
    if faults or book is None:
        listed = "\n".join(f"  {name}:{line}: {what}" for line, what in sorted(set(faults)))
        count = len(set(faults))
        raise RulebookError(f"the rulebook has {count} fault{'s' if count > 1 else ''}:\n{listed}")
    return book


def _told(fault: ErrorDetails, place: Place) -> str:
    text = fault["msg"].removeprefix("Value error, ")
    match fault["type"]:
        case "extra_forbidden":
            return f"unknown key; {_nearest(str(place[-1]), sorted(_known_keys(place[:-1])))}"
        case "enum":
            return f"unknown value {fault['input']!r}; {_nearest(str(fault['input']), _QUOTED.findall(text))}"
        case "missing":
            return "is missing"
        case _:
            return text


def _nearest(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def _known_keys(place: Place) -> set[str]:
    """The keys that the section at this place may have."""
    shape: object = Rulebook
    for step in place:
        model = _model(shape)
        if model is not None and isinstance(step, str) and step in model.model_fields:
            shape = model.model_fields[step].annotation
        else:
            shape = _item(shape)
    model = _model(shape)
    return set(model.model_fields) if model is not None else set()


def _model(shape: object) -> type[BaseModel] | None:
    candidates = (shape, *get_args(shape))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _item(shape: object) -> object:
    """What a tuple or a mapping holds."""
    args = [arg for arg in get_args(shape) if arg is not Ellipsis]
    return args[-1] if args and get_origin(shape) is not None else None


def _in_file(loc: tuple[int | str, ...]) -> Place:
    """Where the fault is in the file: the validator's own step for a mapping's key is none."""
    return tuple(step for step in loc if step != "[key]")


def _dotted(place: Place) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "rulebook"


def _line(root: yaml.Node, place: Place) -> int:
    """The line of a place, or of the nearest thing around it that is in the file."""
    node, line = root, 1
    for step in place:
        found = next((child for child in _children(node) if str(child[0]) == str(step)), None)
        if found is None:
            return line
        node = found[1]
        line = found[2]
    return line


def _children(node: yaml.Node) -> Iterator[tuple[int | str, yaml.Node, int]]:
    """Key or position, node, and the line on which the key stands."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key.value, value, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield position, value, value.start_mark.line + 1


def _repeated(node: yaml.Node, path: str = "") -> Iterator[tuple[int, str]]:
    """Keys that are given twice: YAML would silently take the last."""
    seen: set[str] = set()
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, f"{path}{key.value}"
            seen.add(key.value)
    for step, child, _ in _children(node):
        yield from _repeated(child, f"{path}{step}.")
