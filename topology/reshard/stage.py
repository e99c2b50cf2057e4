"""How far a move is, told from the offsets of its two groups and of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from topology.cluster import Cluster
from topology.engine.errors import Misconfigured
from topology.reshard.merging import Reader
from topology.reshard.seals import GroupOffsets, Offset, Place, Seal, parse
from topology.reshard.sides import Move, Side
from topology.settings import Settings


class Stage(Enum):
    """Where a move stands."""

    NEW = "not begun"
    UNDER_WAY = "under way"
    DONE = "done"


@dataclass(frozen=True)
class Standing:
    """What the groups say."""

    stage: Stage
    old: Mapping[Place, Offset]
    """Committed by the old group: up to there its inputs are folded."""
    new: Mapping[Place, Offset]
    marks: Mapping[Place, int]
    """Where the new group begins to fold; empty before that is known."""

    @property
    def clock_ms(self) -> int:
        """No partition's time may go back, so all begin with the latest."""
        return max((each.known.clock_ms for each in self.old.values()), default=0)

    @property
    def started(self) -> bool:
        """Whether workers have folded anything at the new place."""
        return self.stage is Stage.DONE and {at: each.offset for at, each in self.new.items()} != dict(self.marks)


def sides(settings: Settings, to: str, partitions: int) -> Move:
    """Both sides, by the settings of the installation as it is.

    Raises:
        Misconfigured: they are the same, or the topics of before are not as they must be.
    """
    if not to or to == settings.partitioning:
        raise Misconfigured("--to must be the name of another partitioning than the one in RECOURSE_PARTITIONING")
    register = settings.register_of_topics()
    cluster = Cluster(settings.kafka_config(), register)
    count, counts = cluster.check(), cluster.partitions()
    target = settings.model_copy(update={"partitioning": to})
    old = Side(settings, register, count, counts)
    new = Side(target, target.register_of_topics(partitions), partitions)
    with GroupOffsets(settings.kafka_config(), old.group) as group:
        known = {each.known.partitions for each in group.committed(old.places()).values()} - {None}
    if len(known) > 1:
        raise Misconfigured(f"the group {old.group} has offsets of several partition counts: {sorted(map(str, known))}")
    return Move(old, new, next((n for n in known if n is not None), count))


def look(move: Move) -> Standing:
    """Where the move stands.

    Raises:
        Misconfigured: the installation has moved elsewhere, or the place to move to is in use or was given up.
    """
    old, new = move.old, move.new
    kafka = old.settings.kafka_config()
    with GroupOffsets(kafka, old.group) as group:
        theirs = group.committed(old.places())
    with GroupOffsets(kafka, new.group) as group:
        ours = group.committed(new.places())
    with GroupOffsets(kafka, move.progress) as group:
        marks = {place: each.offset for place, each in group.committed(new.places()).items()}
    _same_count(move)
    left, arrived = _seal(old, theirs), _seal(new, ours)
    if left is not None and left[1] != new.name:
        raise Misconfigured(f"the group {old.group} is closed: {left[0].text(left[1])}")
    if arrived is not None and arrived[0] is Seal.UNDONE:
        raise Misconfigured(
            f'a move to the partitioning "{new.name}" was undone: its topics hold what was true then. Choose another '
            "name with --to, and delete those topics when you like"
        )
    match left and left[0], arrived and arrived[0]:
        case None, None:
            _unused(move, ours)
            stage = Stage.NEW
        case Seal.LEAVING, Seal.ARRIVING if arrived == (Seal.ARRIVING, old.name):
            stage = Stage.UNDER_WAY
        case Seal.LEFT, None:
            stage = Stage.DONE
        case _:
            raise Misconfigured(
                f"the groups {old.group} and {new.group} contradict each other (offsets may have expired, see "
                "offsets.retention.minutes): choose another name with --to"
            )
    return Standing(stage, theirs, ours, marks)


def refuse_unmoved(settings: Settings, partitions: int) -> None:
    """A worker of a named partitioning must find what `recourse reshard` has committed for it.

    Raises:
        Misconfigured: there is nothing, so it would begin without anybody's history.
    """
    if not settings.partitioning:
        return
    side = Side(settings, settings.register_of_topics(), partitions)
    with GroupOffsets(settings.kafka_config(), side.group) as group:
        missing = set(side.places()) - group.committed(side.places()).keys()
    if missing:
        raise Misconfigured(
            f"the group {side.group} has no committed offsets for {len(missing)} partitions of its inputs, which "
            f"`recourse reshard --to {settings.partitioning}` commits when it is through. Is RECOURSE_PARTITIONING "
            "right? Kafka forgets the offsets of a group without members after offsets.retention.minutes"
        )


def _seal(side: Side, offsets: Mapping[Place, Offset]) -> tuple[Seal, str] | None:
    texts = {each.known.seal for each in offsets.values()}
    if texts <= {""}:
        return None
    seals = {parse(text) for text in texts}
    if len(seals) > 1 or None in seals:
        raise Misconfigured(
            f"only some offsets of the group {side.group} are sealed, or in words that this version does not know: "
            f"{', '.join(sorted(texts))}"
        )
    return seals.pop()


def _same_count(move: Move) -> None:
    found = Cluster(move.old.settings.kafka_config(), move.new.register).partitions()
    for topic in move.moving:
        count = found.get(move.new.on_cluster(topic))
        if count not in (None, move.new.partitions):
            raise Misconfigured(
                f"{move.new.on_cluster(topic)} has {count} partitions, and --partitions says {move.new.partitions}"
            )


def _unused(move: Move, ours: Mapping[Place, Offset]) -> None:
    kafka, new = move.old.settings.kafka_config(), move.new
    found = Cluster(kafka, new.register).partitions()
    with Reader(kafka, name=move.progress) as reader:
        used = [
            name
            for name in map(new.on_cluster, (t for t in new.register.topics if t.of_partitioning))
            if name in found and any(end for _, end in reader.bounds(name, found[name]).values())
        ]
    if used or ours:
        what = f"topics that have been written to: {', '.join(used)}" if used else f"a group {new.group} with offsets"
        raise Misconfigured(
            f'the partitioning "{new.name}" is not new, there are {what}. Choose another name with --to'
        )
