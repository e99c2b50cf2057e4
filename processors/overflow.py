"""When a pod has too much: two marks, so that it does not begin and end with every case that comes and goes.

Whether a pod overflows is decided once for the whole system, where its load is counted, and travels in `PodLoad`: so
every worker sees the same, whenever it was started, and no worker's memory is part of a decision.
"""

from typing import NamedTuple


class Marks(NamedTuple):
    """A pod's marks, in cases that wait for somebody; a load that is older than `fresh_ms` says nothing."""

    above: int
    below: int
    fresh_ms: int


def latch(was: bool, backlog: int, marks: Marks | None) -> bool:  # noqa: FBT001 - the state it goes on from
    """Whether a pod overflows now.

    Args:
        was: whether it did before.
        backlog: its open cases but those whose work clock stands still.
        marks: the pod's; without any it never overflows.
    """
    if marks is None:
        return False
    return backlog > (marks.below if was else marks.above)
