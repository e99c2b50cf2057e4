"""How processes of ours end; apart, so that a verb which only shows its help loads no worker."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `recourse run`."""

    OK = 0
    """Stopped as asked: the last batch is committed, the partitions are given back."""
    DEFECT = 1
    """A defect of ours; the traceback says where."""
    MISCONFIGURED = 2
    """Something outside must be changed first; the message says what."""
    TOO_MANY_DEAD_LETTERS = 3
    """Nearly nothing could be judged, so nothing was committed; look at the newest deploy."""
    SLOT_TAKEN = 4
    """Another process runs under the same slot."""
