"""What partitions as such have: spent allowances and remedies. It is shared out anew, where that is right.

One look at the whole changelog also finds what must keep an installation from moving.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from processors.codec import decode_remedy, encode_remedy
from processors.errors import DossierUnreadableError
from processors.remedy_moving import at_rest, moved
from processors.remedy_state import Remedy
from topology.appeals import REMEDY_PREFIX
from topology.engine import allowance
from topology.engine.errors import Misconfigured
from topology.engine.state import DUE_BYTES, RESERVED, wrap
from topology.partitioner import partition_of
from topology.reshard.carrier import Row
from topology.reshard.merging import Reader
from topology.reshard.sides import Move

_REMEDY = REMEDY_PREFIX.encode()
_EXAMPLES = 3


@dataclass
class Found:
    """What lies in the changelog beside the users' states."""

    records: int = 0
    """Of users, older versions included."""
    allowances: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """The newest record, by partition."""
    remedies: dict[str, dict[int, Remedy]] = field(default_factory=lambda: defaultdict[str, dict[int, Remedy]](dict))
    """By id and partition."""
    unknown: set[bytes] = field(default_factory=set[bytes])
    """Keys that are no user's and that this version does not know."""
    astray: dict[bytes, int] = field(default_factory=dict[bytes, int])
    """States that lie in another partition than their key says, and where."""


def examined(move: Move, reader: Reader) -> Found:
    """Read the changelog of before."""
    found = Found()
    newest: dict[tuple[int, bytes], bytes | None] = {}
    for message in reader.read(move.old.changelog, reader.bounds(move.old.changelog, move.old.partitions)):
        key, number, value = message.key() or b"", message.partition() or 0, message.value()
        if key.startswith(RESERVED):
            newest[number, key] = value
            continue
        found.records += 1
        if partition_of(key, move.states_over) != number:
            found.astray[key] = number
            if value is None:
                del found.astray[key]
    for (number, key), value in newest.items():
        if value is not None:
            _sort(found, number, key, value)
    return found


def _sort(found: Found, number: int, key: bytes, value: bytes) -> None:
    """Note what a partition as such has."""
    if key == allowance.KEY:
        found.allowances[number] = value
        return
    try:
        if not key.startswith(_REMEDY):
            raise DossierUnreadableError(f"no state is known under {key!r}")
        remedy = decode_remedy(value[DUE_BYTES:])
    except DossierUnreadableError:
        found.unknown.add(key)
    else:
        found.remedies[remedy.remedy_id][number] = remedy


def faults(move: Move, found: Found) -> list[str]:
    """Why an installation with this cannot move; each says what to do."""
    texts: list[str] = []
    for remedy_id, states in sorted(found.remedies.items()):
        going_on = Counter(str(one.state) for one in states.values() if not at_rest(one))
        if going_on:
            listed = ", ".join(f"{state} in {count}" for state, count in sorted(going_on.items()))
            texts.append(
                f"remedy {remedy_id} is not over ({listed} of {len(states)} partitions): each partition has its own "
                f"place in the cohort. Start the workers and wait for its end, or `recourse remedy stop {remedy_id}` "
                "and propose it again under another id after the move (what is reversed is skipped)"
            )
    if found.astray:
        examples = ", ".join(f"{key!r} in {number}" for key, number in list(found.astray.items())[:_EXAMPLES])
        texts.append(
            f"{len(found.astray)} users' states do not lie where the default (murmur2) partitioner over "
            f"{move.states_over} partitions puts them: {examples}. Some producer uses another partitioner, so after a "
            "move the users' events would no longer reach their states. Mend the producers first (README.md)"
        )
    if found.unknown:
        names = ", ".join(repr(key) for key in sorted(found.unknown)[:_EXAMPLES])
        texts.append(f"this version does not know what {names} in the changelog is; use the version that wrote it")
    return texts


def shared_out(move: Move, found: Found) -> dict[tuple[int, bytes], bytes]:
    """The records of the partitions of then, by partition and key.

    Raises:
        Misconfigured: see `faults`.
    """
    wrong = faults(move, found)
    if wrong:
        raise Misconfigured("\n".join(wrong))
    after = move.new.partitions
    records: dict[tuple[int, bytes], bytes] = {}
    spent = [found.allowances.get(number) for number in range(move.states_over)]
    for number, record in enumerate(allowance.redistributed(spent, after)):
        if record is not None:
            records[number, allowance.KEY] = record
    for remedy_id, states in sorted(found.remedies.items()):
        for number, remedy in enumerate(moved(states, before=move.states_over, after=after)):
            records[number, _REMEDY + remedy_id.encode()] = wrap(remedy.due, encode_remedy(remedy))
    return records


def rows(move: Move, records: Mapping[tuple[int, bytes], bytes], clock_ms: int) -> list[Row]:
    """The same as records of the changelog."""
    return [
        Row(move.new.changelog, value, key, number, max(1, clock_ms), [])
        for (number, key), value in sorted(records.items())
    ]
