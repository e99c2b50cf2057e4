"""What the shape of a mapping cannot say: every name is known, every record can be made, no join goes in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from pydantic import JsonValue

from schemas.records import INPUT_RECORDS, AppealSubmitted, Record
from topology.replay.mapping import Mapping, Step
from topology.replay.templates import TemplateError, compile_literal, names
from topology.yaml_faults import Fault, Place, dotted, nearest

TYPES: dict[str, type[Record]] = {cls.__name__: cls for cls in INPUT_RECORDS}
CASE_ID = "case_id"


def check(mapping: Mapping) -> Iterator[Fault]:
    """Every fault, with its place."""
    yield from _source(mapping)
    yield from _values(mapping)
    yield from _templates(mapping)
    for kind, steps in mapping.rules.items():
        for index, step in enumerate(steps):
            yield from _step(mapping, step, ("rules", kind, index))
    yield from _circles(mapping)


def joined_fields(record_type: str) -> set[str]:
    """What a template can say of a record that a join found."""
    cls = TYPES[record_type]
    return {*cls.__struct_fields__, *([CASE_ID] if cls is AppealSubmitted else [])}


def needs(mapping: Mapping) -> dict[str, set[str]]:
    """Record type to the types that rules which make it join: those must be made first."""
    needed: dict[str, set[str]] = {}
    for steps in mapping.rules.values():
        made = {mapping.records[n].type for step in steps for n in step.emit if n in mapping.records}
        joined = {step.join.records for step in steps if step.join is not None}
        for record_type in made:
            needed.setdefault(record_type, set()).update(joined)
    return needed


def _column(mapping: Mapping, column: str, place: Place, known: Iterable[str] | None = None) -> Iterator[Fault]:
    columns = mapping.source.known if known is None else set(known)
    if column not in columns:
        yield place, f"no such column {column!r} in `source`; {nearest(column, columns)}"


def _source(mapping: Mapping) -> Iterator[Fault]:
    source = mapping.source
    for name in ("timestamp", "kind", "id"):
        if getattr(source, name) in source.lists:
            yield ("source", name), "a row has one of it, so it cannot be in `lists`"
    for name in mapping.values:
        if name in source.known:
            yield ("values", name), "a column of `source` has this name"


def _values(mapping: Mapping) -> Iterator[Fault]:
    single = mapping.source.known - set(mapping.source.lists)
    for name, value in mapping.values.items():
        place: Place = ("values", name)
        if value.map is not None:
            yield from _column(mapping, value.map, (*place, "map"), single)
            continue
        yield from _column(mapping, value.time or "", (*place, "time"), single)
        for index, column in enumerate(value.unless):
            yield from _column(mapping, column, (*place, "unless", index))
        if not isinstance(value.otherwise, str):
            yield (*place, "otherwise"), "a time falls back to a column; name it"
        else:
            yield from _column(mapping, value.otherwise, (*place, "otherwise"), single)


def _templates(mapping: Mapping) -> Iterator[Fault]:
    used = {name for steps in mapping.rules.values() for step in steps for name in step.emit}
    for name, template in mapping.records.items():
        place: Place = ("records", name)
        cls = TYPES.get(template.type)
        if cls is None:
            yield (*place, "type"), f"no such input record {template.type!r}; {nearest(template.type, TYPES)}"
            continue
        fields = {field.name: field for field in msgspec.structs.fields(cls)}
        for field, literal in template.fields.items():
            if field not in fields:
                yield (*place, "fields", field), f"{template.type} has no field {field!r}; {nearest(field, fields)}"
            else:
                yield from _constant(literal, fields[field].type, (*place, "fields", field))
        lacking = [f for f, info in fields.items() if info.required and f not in template.fields]
        if lacking:
            yield (*place, "fields"), f"{template.type} also needs {', '.join(lacking)}"
        if name not in used:
            yield place, "no rule emits it"


def _constant(literal: JsonValue, wanted: object, place: Place) -> Iterator[Fault]:
    """A field that is the same for all rows can be tried now."""
    try:
        if not list(names(literal)):
            msgspec.convert(compile_literal(literal)({}), wanted, strict=False)
    except msgspec.ValidationError as exc:
        yield place, str(exc)
    except TemplateError:
        return  # told where the template is filled


def _step(mapping: Mapping, step: Step, place: Place) -> Iterator[Fault]:
    source = mapping.source
    for column in step.when:
        yield from _column(mapping, column, (*place, "when", column))
    for key, columns in (("given", step.given), ("missing", step.missing)):
        for index, column in enumerate(columns):
            yield from _column(mapping, column, (*place, key, index))
    for name, column in step.for_each.items():
        yield from _column(mapping, column, (*place, "for_each", name), source.lists)
    yield from _join(mapping, step, place)
    yield from _bindings(mapping, step, place)


def _bindings(mapping: Mapping, step: Step, place: Place) -> Iterator[Fault]:
    """The names that the step binds, and what its templates make of them."""
    bound: dict[str, set[str] | None] = dict.fromkeys(mapping.source.known - set(mapping.source.lists))
    bound.update(dict.fromkeys([*mapping.values, *step.for_each]))
    if step.join is not None:
        bound[step.join.name] = joined_fields(step.join.records) if step.join.records in TYPES else set()
    taken = mapping.source.known | set(mapping.values)
    for name in (*step.for_each, *([step.join.name] if step.join else []), *step.set):
        if name in taken:
            yield place, f"{name!r} is a column or a value already; choose another name"
    for name, text in step.set.items():
        yield from _names(text, bound, (*place, "set", name))
    bound.update(dict.fromkeys(step.set))
    for index, template in enumerate(step.emit):
        if template not in mapping.records:
            yield (*place, "emit", index), f"no such record {template!r}; {nearest(template, mapping.records)}"
            continue
        for field, literal in mapping.records[template].fields.items():
            for at, text in _names(literal, bound, ("records", template, "fields", field)):
                yield at, f"{text} (as filled by {dotted(place)})"


def _join(mapping: Mapping, step: Step, place: Place) -> Iterator[Fault]:
    join = step.join
    if join is None:
        return
    if mapping.source.id is None:
        yield (*place, "join"), "a join finds rows by their id; name its column as `id` in `source`"
    yield from _column(mapping, join.rows, (*place, "join", "rows"), mapping.source.lists)
    if join.users is not None:
        yield from _column(mapping, join.users, (*place, "join", "users"), mapping.source.lists)
    made = {template.type for template in mapping.records.values()}
    if join.records not in made:
        text = f"no record of the mapping is a {join.records!r}; {nearest(join.records, made)}"
        yield (*place, "join", "records"), text


def _names(literal: JsonValue, bound: dict[str, set[str] | None], place: Place) -> Iterator[Fault]:
    try:
        found = list(names(literal))
    except TemplateError as exc:
        yield place, str(exc)
        return
    for name in found:
        first, _, field = name.partition(".")
        fields = bound.get(first)
        if first not in bound:
            yield place, f"nothing is called {first!r} here; {nearest(first, bound)}"
        elif fields is None and field:
            yield place, f"{first!r} is text and has no fields"
        elif fields is not None and not field:
            yield place, f"{first!r} is a record; say which field of it, as in {{{first}.user_id}}"
        elif fields is not None and field not in fields:
            yield place, f"{first!r} has no field {field!r}; {nearest(field, fields)}"


def _circles(mapping: Mapping) -> Iterator[Fault]:
    needed = needs(mapping)
    for kind, steps in mapping.rules.items():
        for index, step in enumerate(steps):
            if step.join is None:
                continue
            made = {mapping.records[n].type for s in steps for n in s.emit if n in mapping.records}
            if made & _reachable(needed, step.join.records):
                yield (
                    ("rules", kind, index, "join"),
                    f"goes in a circle: what makes {step.join.records} needs what this rule makes",
                )


def _reachable(needed: dict[str, set[str]], start: str) -> set[str]:
    found, open_ = {start}, [start]
    while open_:
        for record_type in needed.get(open_.pop(), set()) - found:
            found.add(record_type)
            open_.append(record_type)
    return found
