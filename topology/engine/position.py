"""What travels with a committed offset, in its metadata: it commits with the offsets that it belongs to."""

from __future__ import annotations

from typing import NamedTuple

_CLOCK = "clock"
_PARTITIONS = "partitions"
_SEAL = "seal"


class Known(NamedTuple):
    """What the batch that committed an offset knew."""

    clock_ms: int = 0
    """Highest event time folded (UTC ms); 0: unknown."""
    partitions: int | None = None
    """How many partitions there were; None: written by a version that did not say."""
    seal: str = ""
    """Why nobody may go on from here, in words without `;` and `=`; empty: anybody in the group may."""


def encode_known(known: Known) -> str:
    """As metadata of an offset."""
    count = "" if known.partitions is None else f";{_PARTITIONS}={known.partitions}"
    seal = f";{_SEAL}={known.seal}" if known.seal else ""
    return f"{_CLOCK}={known.clock_ms}{count}{seal}"


def decode_known(metadata: str | None) -> Known:
    """From metadata; what is not ours says nothing."""
    found: dict[str, str] = {}
    for part in (metadata or "").split(";"):
        name, _, value = part.partition("=")
        found[name] = value
    clock, partitions = found.get(_CLOCK, ""), found.get(_PARTITIONS, "")
    return Known(
        int(clock) if clock.isdecimal() else 0,
        int(partitions) if partitions.isdecimal() else None,
        found.get(_SEAL, ""),
    )
