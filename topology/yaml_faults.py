"""Faults of a YAML file, each with its line, and with the nearest known name where one is not known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Place = tuple[int | str, ...]
"""Keys and positions from the top of the file."""
Fault = tuple[Place, str]
_QUOTED = re.compile(r"'([^']*)'")


class NotYamlError(ValueError):
    """The text is no YAML, or not a mapping at its top; says where."""


def read(text: str, name: str, *, expected: str) -> tuple[yaml.MappingNode, object]:
    """The text as nodes with their lines, and as plain values.

    Args:
        text: what the file holds.
        name: what the errors call it.
        expected: what the top of the file should be, in words.

    Raises:
        NotYamlError: the text is something else.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        raw: object = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = name if mark is None else f"{name}:{mark.line + 1}"
        raise NotYamlError(f"{where}: is not YAML: {getattr(exc, 'problem', None) or exc}") from exc
    if not isinstance(root, yaml.MappingNode):
        raise NotYamlError(f"{name}:1: {expected}")
    return root, raw


def nearest(given: str, known: Iterable[str]) -> str:
    """What somebody who wrote `given` probably meant."""
    names = sorted(known)
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"


def told(name: str, root: yaml.Node, faults: Iterable[Fault]) -> str:
    """All faults, one a line, as `file:line: place: what is wrong`."""
    lines = sorted({(line_of(root, place), f"{dotted(place)}: {text}") for place, text in faults})
    return "\n".join(f"  {name}:{line}: {text}" for line, text in lines)


def of_model(error: ValidationError, model: type[BaseModel]) -> Iterator[Fault]:
    """What the validator found, in the file's own terms."""
    for item in error.errors(include_url=False):
        place = tuple(step for step in item["loc"] if step != "[key]")
        yield place, _text(item, place, model)


def repeated(node: yaml.Node, place: Place = ()) -> Iterator[Fault]:
    """Keys that are given twice: YAML would silently take the last."""
    seen: set[str] = set()
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if key.value in seen:
                yield (*place, key.value), f"is given twice, again in line {key.start_mark.line + 1}"
            seen.add(key.value)
    for step, child, _ in _children(node):
        yield from repeated(child, (*place, step))


def dotted(place: Place) -> str:
    """A place as people write it."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "file"


def line_of(root: yaml.Node, place: Place) -> int:
    """The line of a place, or of the nearest thing around it that is in the file."""
    node, line = root, 1
    for step in place:
        found = next((child for child in _children(node) if str(child[0]) == str(step)), None)
        if found is None:
            return line
        _, node, line = found
    return line


def _children(node: yaml.Node) -> Iterator[tuple[int | str, yaml.Node, int]]:
    """Key or position, node, and the line on which it starts."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key.value, value, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield position, value, value.start_mark.line + 1


def _text(fault: ErrorDetails, place: Place, model: type[BaseModel]) -> str:
    text = re.sub(r"^Value error, ", "", fault["msg"])
    match fault["type"]:
        case "extra_forbidden":
            return f"unknown key; {nearest(str(place[-1]), _known_keys(model, place[:-1]))}"
        case "enum":
            return f"unknown value {fault['input']!r}; {nearest(str(fault['input']), _QUOTED.findall(text))}"
        case "missing":
            return "is missing"
        case _:
            return text


def _known_keys(model: type[BaseModel], place: Place) -> set[str]:
    """The keys that the part at this place may have."""
    shape: object = model
    for step in place:
        inner = _model(shape)
        if inner is not None and isinstance(step, str) and step in inner.model_fields:
            shape = inner.model_fields[step].annotation
        else:
            args = [arg for arg in get_args(shape) if arg is not Ellipsis]
            shape = args[-1] if args and get_origin(shape) is not None else None
    inner = _model(shape)
    return set(inner.model_fields) if inner is not None else set()


def _model(shape: object) -> type[BaseModel] | None:
    candidates = (shape, *get_args(shape))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
