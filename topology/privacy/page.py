"""What each topic keeps of people, for how long, and what becomes of it when somebody is erased: made for the docs."""

from __future__ import annotations

from collections.abc import Iterator

from schemas import catalog
from topology.topics import Register, Topic

HEADINGS = ("topic", "personal data", "kept", "replaced is gone within", "when a user is erased")


def markdown(register: Register) -> str:
    """The topics that have personal data, those that have none, and every field by class."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + " --- |" * len(HEADINGS)]
    lines += ["| " + " | ".join(_row(topic)) + " |" for topic in register.topics if topic.personal_data != "none"]
    without = ", ".join(f"`{topic.name}`" for topic in register.topics if topic.personal_data == "none")
    lines += ["", f"Without personal data: {without}.", "", "## Fields by class", ""]
    lines += _fields()
    return "\n".join(lines)


def _row(topic: Topic) -> tuple[str, ...]:
    if topic.cleanup == "compact":
        kept = "the newest of each key"
    else:
        kept = "for ever" if topic.retention == "forever" else f"{topic.retention} days"
    hours = topic.compacted_within
    within = "" if hours is None else f"{hours} h" if hours > 1 else "an hour"
    return f"`{topic.name}`", topic.personal_data, kept, within, topic.erasure


def _fields() -> Iterator[str]:
    yield "| record | sealed | pseudonymous |"
    yield "| --- | --- | --- |"
    for record_type in catalog.all_types():
        fields = catalog.file_of(record_type)["fields"]
        found = {
            kind: ", ".join(f"`{each['name']}`" for each in fields if each["personal"] == kind)
            for kind in ("sealed", "pseudonymous")
        }
        if any(found.values()):
            yield f"| {record_type.__name__} | {found['sealed']} | {found['pseudonymous']} |"
