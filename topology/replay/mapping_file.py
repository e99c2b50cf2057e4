"""Reads a mapping, packaged or from a path, and when it is wrong tells everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from topology import yaml_faults as faults
from topology.engine.errors import Misconfigured
from topology.replay.checks import check
from topology.replay.mapping import Mapping

PACKAGED = Path(__file__).with_name("mappings")


def load_mapping(which: str) -> Mapping:
    """The packaged mapping of this name, or the one in this file.

    Raises:
        Misconfigured: there is none, or it has faults; each with file, line and place.
    """
    path = PACKAGED / f"{which}.yaml"
    if Path(which).name != which or not path.is_file():
        path = Path(which)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        packaged = sorted(p.stem for p in PACKAGED.glob("*.yaml"))
        hint = faults.nearest(which, packaged)
        raise Misconfigured(f"mapping {which}: neither a packaged mapping ({hint}) nor a readable file: {exc}") from exc
    return parse_mapping(text, name=str(path))


def parse_mapping(text: str, name: str = "mapping") -> Mapping:
    """Check the text of a mapping; `name` is what the errors call it.

    Raises:
        Misconfigured: it has faults.
    """
    try:
        root, raw = faults.read(text, name, expected="a mapping has the keys name, source, values, records and rules")
    except faults.NotYamlError as exc:
        raise Misconfigured(str(exc)) from exc
    found = list(faults.repeated(root))
    try:
        mapping = Mapping.model_validate(raw)
    except ValidationError as exc:
        found += faults.of_model(exc, Mapping)
        raise _misconfigured(name, root, found) from exc
    found += check(mapping)
    if found:
        raise _misconfigured(name, root, found)
    return mapping


def _misconfigured(name: str, root: yaml.Node, found: list[faults.Fault]) -> Misconfigured:
    return Misconfigured(f"the mapping cannot be used:\n{faults.told(name, root, found)}")
