"""The flow as a Mermaid diagram and a table, made from the register."""

from __future__ import annotations

import re

from topology.topics import Register, Role

_UNTYPED = {
    Role.CHANGELOG: "private",
    Role.DEAD_LETTERS: "as the original",
    Role.REFERENCE: "text",
    Role.STATE: "private",
}
"""What a topic without record types holds."""


def mermaid(register: Register) -> str:
    """A `flowchart LR`: who writes which topic, who reads it."""
    lines = ["flowchart LR"]
    actors = sorted({a for t in register.topics for a in (*t.writers, *t.readers)})
    for actor in actors:
        shape = f"{{{{{actor}}}}}" if actor == "appeals processor" else f"([{actor}])"
        lines.append(f"  {_id(actor)}{shape}")
    for topic in register.topics:
        box = f"[({topic.name})]" if topic.cleanup == "compact" else f"[/{topic.name}/]"
        lines.append(f"  {_id(topic.name)}{box}")
        lines += [f"  {_id(writer)} --> {_id(topic.name)}" for writer in topic.writers]
        lines += [f"  {_id(topic.name)} --> {_id(reader)}" for reader in topic.readers]
    redis = "  redis[(Redis: dossiers and timers by partition)]"
    lines += [redis, f"  {_id(register.changelog.name)} -. view .-> redis", "  appeals_processor <-.-> redis"]
    return "\n".join(lines)


def table(register: Register) -> list[tuple[str, ...]]:
    """One row a topic, as `HEADINGS`."""
    rows: list[tuple[str, ...]] = []
    for t in register.topics:
        records = ", ".join(t.records) or _UNTYPED[t.role]
        retention = "forever" if t.retention == "forever" else f"{t.retention} days"
        rows.append(
            (register.on_cluster(t.name), str(t.partitions), t.cleanup, retention, t.role, t.key, records, t.purpose)
        )
    return rows


NARROW = 5
"""So many columns fit on a terminal."""
HEADINGS = ("topic", "partitions", "cleanup", "retention", "role", "key", "records", "purpose")


def markdown(register: Register) -> str:
    """The same table for the docs."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + " --- |" * len(HEADINGS)]
    lines += ["| " + " | ".join(row) + " |" for row in table(register)]
    return "\n".join(lines)


def _id(name: str) -> str:
    return re.sub(r"\W", "_", name)
