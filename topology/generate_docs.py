"""Writes the generated pages of docs/: topics, metrics, settings and states, each from its one source."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from processors import lifecycle
from topology import diagram, metrics
from topology.settings import PREFIX, Settings
from topology.topics import load_register

NOTE = "<!-- Made by `make docs`; change the source, not this page. -->\n\n"


def pages() -> dict[str, str]:
    """File name to text."""
    register = load_register()
    rows: list[str] = []
    for name, field in Settings.model_fields.items():
        default = field.default.value if isinstance(field.default, Enum) else field.default
        shown = "" if default in (None, "") else f"`{default}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |")
    settings = "\n".join(rows)
    topics = f"{diagram.markdown(register)}\n\n```mermaid\n{diagram.mermaid(register)}\n```"
    return {
        "topics.md": f"# Topics\n\n{NOTE}{topics}\n",
        "case-states.md": f"# States of a case\n\n{NOTE}{_states()}\n",
        "metrics.md": f"# Metrics\n\n{NOTE}{metrics.markdown()}\n",
        "settings.md": f"# Settings\n\n{NOTE}| variable | default | meaning |\n| --- | --- | --- |\n{settings}\n",
    }


def _states() -> str:
    """The diagram, then the table: one row a thing that can happen, one column a state."""
    states = list(dict.fromkeys(state for state, _ in lifecycle.MOVES))
    rows = [f"| what happens | {' | '.join(states)} |", f"| --- |{' --- |' * len(states)}"]
    rows += [
        f"| {move} | {' | '.join(lifecycle.MOVES.get((state, move), '') for state in states)} |"
        for move in lifecycle.Move
    ]
    return f"```mermaid\n{lifecycle.mermaid()}\n```\n\n" + "\n".join(rows)


def main() -> None:
    """Write them."""
    folder = Path(__file__).parents[1] / "docs" / "generated"
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
