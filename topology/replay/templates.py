"""Templates compiled to functions of a row's names, with what they refer to known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from string import Formatter
from typing import Any, cast

from pydantic import JsonValue

Names = Mapping[str, Any]
"""What a template can refer to, by name: columns, values, and what the rule has bound."""
Filled = Callable[[Names], Any]


class TemplateError(ValueError):
    """The text is no template; says why."""


def parts(text: str) -> list[tuple[str, str | None]]:
    """Literal text and the name that follows it, in order.

    Raises:
        TemplateError: a brace is left open, or something else than a name is in braces.
    """
    try:
        found = list(Formatter().parse(text))
    except ValueError as exc:
        raise TemplateError(f"{text!r} is no template ({exc}); write {{name}}, and {{{{ for a brace") from exc
    for _, name, form, conversion in found:
        if name == "" or form or conversion:
            raise TemplateError(f"{text!r}: between braces stands a name and nothing else")
    return [(before, name) for before, name, _, _ in found]


def names(literal: JsonValue) -> Iterator[str]:
    """Every name that templates anywhere in this structure refer to."""
    if isinstance(literal, str):
        yield from (name for _, name in parts(literal) if name is not None)
    elif isinstance(literal, list):
        for item in literal:
            yield from names(item)
    elif isinstance(literal, dict):
        for item in literal.values():
            yield from names(item)


def compile_literal(literal: JsonValue) -> Filled:
    """A function that fills this structure. Fields of a mapping whose template gives nothing are left out."""
    if isinstance(literal, str):
        return _text(literal)
    if isinstance(literal, list):
        items = [compile_literal(item) for item in literal]
        return lambda scope: [item(scope) for item in items]
    if isinstance(literal, dict):
        return compile_fields(literal)
    return lambda _scope: literal


def compile_fields(fields: Mapping[str, JsonValue]) -> Callable[[Names], dict[str, Any]]:
    """A function that fills a record's fields, without those that come to nothing."""
    constant = {name: literal for name, literal in fields.items() if _constant(literal)}
    filled = [(name, compile_literal(literal)) for name, literal in fields.items() if not _constant(literal)]

    def fill(scope: Names) -> dict[str, Any]:
        made = dict(constant)
        for name, function in filled:
            value = function(scope)
            if value is not None and value != "":
                made[name] = value
        return made

    return fill


def _constant(literal: JsonValue) -> bool:
    return not isinstance(literal, list | dict) and not any(True for _ in names(literal)) and "{" not in str(literal)


def _text(text: str) -> Filled:
    found = parts(text)
    if len(found) == 1 and found[0][0] == "" and found[0][1] is not None:
        return _lookup(found[0][1])
    pieces: list[tuple[str, Filled | None]] = [(before, None if n is None else _lookup(n)) for before, n in found]

    def fill(scope: Names) -> str:
        return "".join([before + ("" if get is None else str(get(scope))) for before, get in pieces])

    return fill


def _lookup(name: str) -> Filled:
    first, _, field = name.partition(".")
    if not field:
        return lambda scope: scope[first]
    return lambda scope: cast("Mapping[str, Any]", scope[first])[field]
