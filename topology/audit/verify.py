"""Walks the chains of the audit and names every line that is missing, altered, out of order, doubled or cut off.

A chain that is whole costs one look at each line, and a few hundred bytes a user. From the first line that does not
follow the one before, a user's lines are held back and judged together at the end (`broken`): only then is it known
whether a line is gone or only comes later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas.chain import hash_of
from topology.audit.broken import Fault, FaultKind, examine
from topology.audit.lines import Head, Place, Placed


@dataclass
class Report:
    """What was verified and what was found."""

    users: int = 0
    lines: int = 0
    unchained: int = 0
    """Lines from before there was a chain; of these only the numbers are verified."""
    faults: list[Fault] = field(default_factory=list[Fault])


class _Chain:
    """One user's chain, as far as it is whole."""

    __slots__ = ("hash", "held", "place", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self.hash: str | None = None
        self.place: Place | None = None
        self.held: list[Placed] = []

    def take(self, placed: Placed, head: Head | None) -> bool:
        """Go on by one line; False if it does not follow, and is held back like all after it."""
        line = placed.line
        if (
            self.held
            or line is None
            or line.user_id != placed.user_id
            or line.seq != self.seq + 1
            or line.prev_hash != self.hash
            or (line.hash is None and self.hash is not None)
            or (line.hash is not None and line.hash != hash_of(line))
            or (head is not None and head.seq == line.seq and head.hash != line.hash)
        ):
            self.held.append(placed)
            return False
        self.seq, self.hash, self.place = line.seq, line.hash, placed.place
        return True


def verify(lines: Iterable[Placed], heads: Mapping[str, Head]) -> Report:
    """Walk all chains, and hold their ends against the dossiers.

    Args:
        lines: of the users to verify, each user's in the order of the topic.
        heads: the ends by the dossiers of these users, read *before* the lines: a line that was written in between has
            no place in them.
    """
    report = Report()
    chains: dict[str, _Chain] = {}
    for placed in lines:
        chain = chains.get(placed.user_id)
        if chain is None:
            chain = chains[placed.user_id] = _Chain()
        report.lines += 1
        if chain.take(placed, heads.get(placed.user_id)) and chain.hash is None:
            report.unchained += 1
    report.users = len(chains)
    for user_id, chain in chains.items():
        report.faults += _end(user_id, chain, heads.get(user_id))
    for user_id, head in heads.items():
        if user_id not in chains and head.seq:
            text = f"the dossier counts {head.seq} lines, and the topic has none of this user"
            report.faults.append(Fault(FaultKind.TRUNCATED, user_id, 1, None, text))
    return report


def _end(user_id: str, chain: _Chain, head: Head | None) -> list[Fault]:
    faults: list[Fault] = []
    if chain.held:
        whole = Head(chain.seq, chain.hash)
        faults = examine(user_id, whole, chain.place, chain.held, head)
    elif head is not None and head.seq > chain.seq:
        text = f"the dossier counts {head.seq} lines, and the topic ends with line {chain.seq}"
        faults = [Fault(FaultKind.TRUNCATED, user_id, chain.seq + 1, chain.place, text)]
    if head is None:
        text = "the changelog has no dossier of this user, so lines cut off at the end would not be noticed"
        faults.append(Fault(FaultKind.NO_DOSSIER, user_id, chain.seq, chain.place, text))
    return faults
