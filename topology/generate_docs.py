"""Writes the generated pages of docs/, each from its one source, and the programs into the page that shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from processors import lifecycle
from topology import diagram
from topology.access.files import SUFFIX, is_secret
from topology.access.kafka import KafkaAccess
from topology.access.privacy import PrivacyAccess
from topology.access.redis import RedisAccess
from topology.access.registry import RegistryAccess
from topology.contract import asyncapi, contract_page
from topology.metrics import page
from topology.privacy import page as privacy_page
from topology.settings import PREFIX, Settings
from topology.topics import load_register

ROOT = Path(__file__).parents[1]
NOTE = "<!-- Made by `make docs`; change the source, not this page. -->\n\n"


def pages() -> dict[str, str]:
    """File name to text."""
    register = load_register()
    topics = f"{diagram.markdown(register)}\n\n```mermaid\n{diagram.mermaid(register)}\n```"
    return {
        "asyncapi.yaml": asyncapi.text(register),
        "contract.md": f"# The contract\n\n{NOTE}{contract_page.markdown(asyncapi.document(register))}\n",
        "privacy.md": f"# Personal data by topic\n\n{NOTE}{privacy_page.markdown(register)}\n",
        "topics.md": f"# Topics\n\n{NOTE}{topics}\n",
        "case-states.md": f"# States of a case\n\n{NOTE}{_states()}\n",
        "metrics.md": f"# Metrics\n\n{NOTE}{page.markdown()}\n",
        "settings.md": f"# Settings\n\n{NOTE}{_settings()}\n",
    }


def _settings() -> str:
    """A table a group: who is reached, then how this process works."""
    groups: dict[str, type[BaseModel]] = {
        "Kafka": KafkaAccess,
        "Redis": RedisAccess,
        "Schema registry": RegistryAccess,
        "Privacy": PrivacyAccess,
    }
    told = {name for group in groups.values() for name in group.model_fields}
    fields = {title: group.model_fields for title, group in groups.items()}
    fields["Everything else"] = {name: field for name, field in Settings.model_fields.items() if name not in told}
    parts = [
        f"Where two variables stand, either is set: `..{SUFFIX}` names a file that holds the secret.",
        *(f"## {title}\n\n{_table(each)}" for title, each in fields.items()),
    ]
    return "\n\n".join(parts)


def _table(fields: Mapping[str, FieldInfo]) -> str:
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in fields.items():
        default = field.default.value if isinstance(field.default, Enum) else field.default
        shown = "" if default in (None, "") else f"`{default}`"
        variable = f"`{PREFIX}{name.upper()}`"
        if is_secret(field):
            variable += f", `{PREFIX}{name.upper()}{SUFFIX}`"
        rows.append(f"| {variable} | {shown} | {' '.join((field.description or '').split())} |")
    return "\n".join(rows)


def _states() -> str:
    """The diagram, then the table: one row a thing that can happen, one column a state."""
    states = list(dict.fromkeys(state for state, _ in lifecycle.MOVES))
    rows = [f"| what happens | {' | '.join(states)} |", f"| --- |{' --- |' * len(states)}"]
    rows += [
        f"| {move} | {' | '.join(lifecycle.MOVES.get((state, move), '') for state in states)} |"
        for move in lifecycle.Move
    ]
    return f"```mermaid\n{lifecycle.mermaid()}\n```\n\n" + "\n".join(rows)


_SHOWN = re.compile(r"^<!-- (examples/\S+) -->\n\n```(\w+)\n.*?```$", re.MULTILINE | re.DOTALL)


def with_programs(page: str) -> str:
    """A page of docs/ with the programs that it names, as they are."""
    return _SHOWN.sub(lambda m: f"<!-- {m[1]} -->\n\n```{m[2]}\n{(ROOT / m[1]).read_text()}```", page)


def main() -> None:
    """Write them."""
    folder = ROOT / "docs" / "generated"
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)
    integrate = ROOT / "docs" / "integrate.md"
    integrate.write_text(with_programs(integrate.read_text()))


if __name__ == "__main__":
    main()
