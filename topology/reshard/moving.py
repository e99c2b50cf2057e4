"""The steps of a move, in their order; each goes on where it was left, whatever was killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from confluent_kafka import Message

from schemas.codec import Codec
from topology.engine.errors import Misconfigured
from topology.engine.position import Known
from topology.engine.state import RESERVED
from topology.reshard import comparing, letters, shared
from topology.reshard.carrier import Moment, Row
from topology.reshard.carrying import Carrying
from topology.reshard.seals import GroupOffsets, Offset, Place, Seal, held, positions, resealed
from topology.reshard.stage import Standing, look
from topology.reshard.verifying import Report
from topology.topics import Topic

Say = Callable[[str], None]


class Moving:
    """A move that nothing keeps from being done."""

    def __init__(self, carrying: Carrying, codec: Codec, say: Say) -> None:
        self._carrying = carrying
        self._move = carrying.move
        self._reader = carrying.reader
        self._kafka = carrying.move.old.settings.kafka_config()
        self._codec = codec
        self._say = say

    def seal(self) -> None:
        """Close the old group, and the new one until all is there.

        Whoever would still fold is told by the broker that the group has moved on: this command is its only member
        when it reads the offsets and closes them. Offsets of a transaction that has not ended are waited for.
        """
        move = self._move
        with (
            held(self._kafka, move.old.group, move.old.places()) as proof,
            GroupOffsets(self._kafka, move.old.group) as old,
            GroupOffsets(self._kafka, move.new.group) as new,
        ):
            committed = old.committed(move.old.places())
            starts = {
                (name, number): Offset(start, Known())
                for name in map(move.old.on_cluster, move.old.inputs)
                for number, (start, _) in self._reader.bounds(name, move.old.partitions).items()
            }
            sealed = resealed(starts | committed, Seal.LEAVING.text(move.new.name))
            arriving = Known(0, move.new.partitions, Seal.ARRIVING.text(move.old.name))
            empty = positions(dict.fromkeys(move.new.places(), 0), arriving)
            self._carrying.carrier.commit(Moment.SEAL, [], [(proof, sealed), (new.proof(), empty)])
        self._say(f"the group {move.old.group} is closed")

    def carry(self, standing: Standing) -> Standing:
        """Bring everything, and mark where folding goes on.

        Returns:
            The same with the marks.
        """
        move, carrying = self._move, self._carrying
        changelog = move.old.register.changelog
        count = carrying.carry(Moment.STATES, changelog, self._ends(changelog), change=_users_only)
        self._say(f"{changelog.name}: {count} records of users")
        count = carrying.carry(Moment.AUDIT, move.audit, self._ends(move.audit))
        self._say(f"{move.audit.name}: {count} lines")
        for topic in move.old.inputs:
            folded, reached = self._folded(topic, standing), carrying.reached(topic)
            if any(reached[number] < at for number, at in folded.items()):
                count = carrying.carry(Moment.FOLDED, topic, folded)
                self._say(f"{topic.name}: {count} records that are folded")
        if not standing.marks:
            self._mark()
            standing = look(move)
        self.rest()
        self._letters(standing)
        found = shared.examined(move, self._reader)
        rows = shared.rows(move, shared.shared_out(move, found), standing.clock_ms)
        if rows:  # absolute, so writing them twice is writing them once
            carrying.carrier.commit(Moment.SHARED, rows, [])
        return standing

    def rest(self) -> int:
        """Bring what is not folded, as far as it has been written by now."""
        total = 0
        for topic in self._move.old.inputs:
            count = self._carrying.carry(Moment.REST, topic, self._ends(topic))
            if count:
                self._say(f"{topic.name}: {count} records that are not folded")
            total += count
        return total

    def compare(self, standing: Standing) -> Report:
        """What lies there against what lies here."""
        return comparing.compare(self._move, self._reader, standing, self._codec)

    def open(self, standing: Standing, readers: Sequence[str] = ()) -> None:
        """From one moment to the next: the new group may go on where the old one stopped, the old one never again.

        Raises:
            Misconfigured: something has grown since it was carried, or a reader has not read all.
        """
        move = self._move
        for topic in (move.old.register.changelog, move.audit):
            if self._carrying.reached(topic) != self._ends(topic):
                raise Misconfigured(
                    f"{move.old.on_cluster(topic)} has grown meanwhile: who writes there? Give the command again"
                )
        self.refuse_unread(readers)
        begin = self._begin_of_new_lines()
        known = Known(standing.clock_ms, move.new.partitions)
        with ExitStack() as stack:
            old, new, *groups = (
                stack.enter_context(GroupOffsets(self._kafka, group))
                for group in (move.old.group, move.new.group, *readers)
            )
            closed = resealed(standing.old, Seal.LEFT.text(move.new.name))
            offsets = [(old.proof(), closed), (new.proof(), positions(standing.marks, known))]
            offsets += [(group.proof(), positions(begin)) for group in groups]
            self._carrying.carrier.commit(Moment.OPEN, [], offsets)

    def refuse_unread(self, readers: Sequence[str]) -> None:
        """A reader that goes on in the new audit must have read all of the old one.

        Raises:
            Misconfigured: one has not.
        """
        name, count = self._move.old.on_cluster(self._move.audit), self._move.old.count(self._move.audit)
        for group in readers:
            with GroupOffsets(self._kafka, group) as offsets:
                committed = offsets.committed((name, number) for number in range(count))
            bounds = {
                number: (committed[name, number].offset if (name, number) in committed else start, end)
                for number, (start, end) in self._reader.bounds(name, count).items()
            }
            left = sum(1 for _ in self._reader.read(name, bounds))
            if left:
                raise Misconfigured(
                    f"the group {group} has not read {left} lines of {name}: let it read all, then give the "
                    "command again"
                )

    def _begin_of_new_lines(self) -> dict[Place, int]:
        name = self._move.new.on_cluster(self._move.audit)
        bounds = self._reader.bounds(name, self._move.new.partitions)
        return {(name, number): end for number, (_, end) in bounds.items()}

    def _mark(self) -> None:
        """Behind all that is folded, and before all that is not."""
        ends = {
            (name, number): end
            for name in map(self._move.new.on_cluster, self._move.new.inputs)
            for number, (_, end) in self._reader.bounds(name, self._move.new.partitions).items()
        }
        self._carrying.carrier.commit(Moment.MARK, [], [(self._carrying.progress.proof(), positions(ends))])

    def _letters(self, standing: Standing) -> None:
        move = self._move
        settled = comparing.settled_letters(move, self._codec)
        for topic in move.old.inputs:
            new = move.new.on_cluster(topic)
            starts = {number: standing.marks[new, number] for number in range(move.new.partitions)}
            folded = self._folded(topic, standing)
            count = letters.carry(self._carrying, topic, folded, starts, codec=self._codec, settled=settled)
            if count:
                self._say(f"{letters.queue_of(self._carrying, topic).name}: {count} dead letters")

    def _folded(self, topic: Topic, standing: Standing) -> dict[int, int]:
        """By partition of before, the offset up to which it is folded."""
        name = self._move.old.on_cluster(topic)
        return {number: standing.old[name, number].offset for number in range(self._move.old.partitions)}

    def _ends(self, topic: Topic) -> dict[int, int]:
        bounds = self._reader.bounds(self._move.old.on_cluster(topic), self._move.old.count(topic))
        return {number: end for number, (_, end) in bounds.items()}


def _users_only(_message: Message, row: Row) -> Row | None:
    return None if (row.key or b"").startswith(RESERVED) else row
