"""What the group's committed offsets must say before anything is folded from there (rule 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from topology.engine.errors import Misconfigured


def check_seals(seals: set[str]) -> None:
    """Refuse to go on from offsets that somebody has closed.

    Raises:
        Misconfigured: `recourse reshard` has moved the states elsewhere, or is about to.
    """
    closed = sorted(seals - {""})
    if closed:
        raise Misconfigured(f"no worker may go on here: {'; '.join(closed)} (docs/reshard.md)")


def check_count(partitions: int, committed: set[int | None]) -> None:
    """Refuse to go on where keys have moved to other partitions than their states.

    Raises:
        Misconfigured: partitions were added, to all topics alike, or nobody would have got here.
    """
    before = committed - {None, partitions}
    if before:
        counts = ", ".join(str(count) for count in sorted(filter(None, before)))
        raise Misconfigured(
            f"there are {partitions} partitions, but the group has committed offsets for {counts}: with partitions "
            "added, users' events no longer reach the partition that holds their state, and would be judged as if "
            "they had no history. Kafka cannot take partitions back, but `recourse reshard` can move everything: stop "
            f"all workers and run `recourse reshard --partitions {partitions} --to NAME`, which makes topics with "
            "another number of partitions and moves states, inputs and dead letters there (docs/reshard.md)"
        )


def check_kept(topic: str, partitions: Mapping[int, tuple[int, int]]) -> None:
    """Refuse to go on where records were deleted before they were folded: the client would skip them in silence.

    Args:
        topic: an input.
        partitions: the committed offset, negative for none, and the offset of the oldest record.

    Raises:
        Misconfigured: the text says which, and how to go on without them.
    """
    gone = [
        f"{topic}[{p}] begins at {low} and is folded up to {at}" for p, (at, low) in partitions.items() if 0 <= at < low
    ]
    if gone:
        raise Misconfigured(
            f"records were deleted before they were folded: {'; '.join(gone)}. Is the topic's retention as the "
            "register says? To go on without them, set the group's offsets there with kafka-consumer-groups.sh "
            "--reset-offsets --to-earliest"
        )


def refuse_states_without_offsets(where: str) -> NoReturn:
    """Whoever writes a state commits an offset with it: these have expired, or belong to another group.

    Raises:
        Misconfigured: always.
    """
    raise Misconfigured(
        f"{where} holds states, but the group has no committed offsets for their inputs: everything would be folded "
        "again. Is RECOURSE_GROUP right? Kafka forgets the offsets of a group without members after "
        "offsets.retention.minutes, seven days by default: then set them again with kafka-consumer-groups.sh "
        "--reset-offsets to where the workers had stopped"
    )
