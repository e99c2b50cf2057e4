"""Names of what is counted: one key a slice, readable, and the same in state, on the way and in what is published."""

from __future__ import annotations

from zlib import crc32

NONE = ""
"""Stands for a part that is not there: no detector was involved."""
MISFIRE = "misfire"
"""Decisions, appeals and enforcements of a detector version under a rule, by when the enforcement was issued."""
LOAD = "load"
"""Cases that come to a pod and end there, by band."""
OPEN = "open"
"""Open cases of a pod, as they are."""


def slice_key(kind: str, *parts: str) -> str:
    """`kind` and its parts, joined by bars; what a part has of bars is escaped."""
    return "|".join((kind, *(part.replace("%", "%25").replace("|", "%7C") for part in parts)))


def parts_of(key: str) -> list[str]:
    """The kind and the parts again."""
    return [part.replace("%7C", "|").replace("%25", "%") for part in key.split("|")]


def place(key: str, partitions: int) -> int:
    """Where the counts of a slice are added up: all versions of a detector together, all bands of a pod too."""
    kind, *parts = key.split("|")
    together = f"{kind}|{parts[0]}" if kind in (MISFIRE, LOAD, OPEN) else key
    if kind in (LOAD, OPEN):
        together = parts[0]
    return crc32(together.encode()) % partitions
