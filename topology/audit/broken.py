"""Judges the lines of a user whose chain is broken: which are gone, changed, moved, doubled or cut off at the end."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from schemas.chain import hash_of
from schemas.records import CaseEvent
from topology.audit.lines import Head, Place, Placed


class FaultKind(StrEnum):
    """What is wrong with a line, or with where one should be."""

    MISSING = "missing"
    ALTERED = "altered"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    TRUNCATED = "truncated"
    NO_DOSSIER = "no_dossier"
    """The end of the chain cannot be proven."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    kind: FaultKind
    user_id: str
    seq: int | None
    """Of the line; None if what is there does not tell."""
    place: Place | None
    """Where the line is; of one that is gone, where the next one is; at the end, the last one."""
    text: str


def examine(user_id: str, whole: Head, place: Place | None, held: Sequence[Placed], end: Head | None) -> list[Fault]:
    """Every fault in the part of a chain that begins with the first line that does not follow.

    Args:
        user_id: whose chain it is.
        whole: the last line that is whole; number 0 if there is none.
        place: where that one lies.
        held: all lines after it, in the order of the topic; not empty.
        end: the last line by the dossier; None without a dossier.
    """
    part = _Part(user_id, whole, place, end)
    part.sort(held)
    part.find_gaps()
    part.find_moved()
    part.find_rewritten()
    return sorted(part.faults, key=_turn)


class _Part:
    def __init__(self, user_id: str, whole: Head, place: Place | None, end: Head | None) -> None:
        self.faults: list[Fault] = []
        self._user_id = user_id
        self._seq = whole.seq
        self._place = place
        self._end = end
        self._hashes = {whole.seq: whole.hash}
        """Of the lines that say what their hash says, by number."""
        self._good: dict[int, Placed] = {}
        """The same lines but the last whole one, in the order of the topic."""
        self._changed: set[int] = set()
        """Numbers of lines that do not say what their hash says."""

    def _add(self, kind: FaultKind, seq: int | None, place: Place | None, text: str) -> None:
        self.faults.append(Fault(kind, self._user_id, seq, place, text))

    def sort(self, held: Sequence[Placed]) -> None:
        """Tell lines that say what their hash says from the others."""
        changed: list[tuple[Place, CaseEvent]] = []
        for placed in held:
            line, place = placed.line, placed.place
            if line is None:
                self._add(FaultKind.ALTERED, None, place, f"is no line of the audit: {placed.unreadable}")
            elif line.user_id != self._user_id:
                self._add(FaultKind.ALTERED, None, place, f"line {line.seq} of {line.user_id} lies under this key")
            elif line.hash is None and not any(self._hashes.values()):
                self._keep(line.seq, placed, None)  # from before there was a chain
            elif line.hash != hash_of(line):
                changed.append((place, line))
            else:
                self._keep(line.seq, placed, line.hash)
        numbers: dict[str | None, int] = {found: seq for seq, found in self._hashes.items() if found is not None}
        if self._seq == 0:
            numbers[None] = 0  # only the first line has none before it
        limit = max([*self._hashes, self._end.seq if self._end else 0]) + len(changed)
        for place, line in changed:
            # What it says of itself may be what was changed; the hash before it is more likely to be true.
            before = numbers.get(line.prev_hash)
            seq = line.seq if before is None else before + 1
            self._changed.add(min(seq, limit))
            says = "" if seq == line.seq else f" (it says {line.seq})"
            self._add(FaultKind.ALTERED, seq, place, f"does not have the hash that it carries{says}")

    def _keep(self, seq: int, placed: Placed, found: str | None) -> None:
        if seq <= self._seq or seq in self._good:
            first = self._good[seq].place if seq in self._good else None
            where = f"at {first}" if first else "before"
            self._add(FaultKind.DUPLICATED, seq, placed.place, f"there is a line {seq} {where} already")
            return
        self._good[seq] = placed
        self._hashes[seq] = found

    def find_gaps(self) -> None:
        """Numbers that no line has, between others and at the end."""
        present = sorted({self._seq, *self._good, *(s for s in self._changed if s > self._seq)})
        for before, after in pairwise(present):
            if after > before + 1:
                many = f"lines {before + 1} to {after - 1} are" if after > before + 2 else f"line {before + 1} is"
                place = self._good[after].place if after in self._good else None
                self._add(FaultKind.MISSING, before + 1, place, f"{many} not there before line {after}")
        last = present[-1]
        if self._end is not None and self._end.seq > last:
            place = self._good[last].place if last in self._good else self._place
            text = f"the dossier counts {self._end.seq} lines, and the topic ends with line {last}"
            self._add(FaultKind.TRUNCATED, last + 1, place, text)

    def find_moved(self) -> None:
        """The fewest lines that, put elsewhere, would bring all into order."""
        for seq in sorted(set(self._good) - _longest_rising(self._good)):
            self._add(FaultKind.REORDERED, seq, self._good[seq].place, "is not between its neighbours")

    def find_rewritten(self) -> None:
        """Lines that carry their own true hash, but not one that their neighbours know."""
        wrong: set[int] = set()
        for seq, placed in self._good.items():
            line = placed.line
            if line is not None and seq - 1 in self._hashes and line.prev_hash != self._hashes[seq - 1]:
                # The line after, or the dossier, tells which of the two was written anew.
                wrong.add(seq - 1 if self._is_known(seq) else seq)
        if self._end is not None and self._end.seq in self._hashes and self._hashes[self._end.seq] != self._end.hash:
            wrong.add(self._end.seq)
        for seq in sorted(wrong):
            place = self._good[seq].place if seq in self._good else self._place
            text = "was written anew: it has a hash of its own, but not the one that the chain or the dossier names"
            self._add(FaultKind.ALTERED, seq, place, text)

    def _is_known(self, seq: int) -> bool:
        if self._end is not None and self._end == Head(seq, self._hashes[seq]):
            return True
        after = self._good.get(seq + 1)
        return after is not None and after.line is not None and after.line.prev_hash == self._hashes[seq]


def _longest_rising(numbers: Iterable[int]) -> set[int]:
    """One of the longest rising subsequences."""
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for number in numbers:
        at = bisect_left(ends, number)
        before[number] = ends[at - 1] if at else None
        ends[at : at + 1] = [number]
    found: set[int] = set()
    here = ends[-1] if ends else None
    while here is not None:
        found.add(here)
        here = before[here]
    return found


def _turn(fault: Fault) -> tuple[int, int, str]:
    offset = -1 if fault.place is None else fault.place.offset
    return (offset if fault.seq is None else fault.seq, offset, fault.kind)
