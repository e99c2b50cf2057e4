"""By which rulebook workers decide now: the insights count by its marks, whichever file they were started with.

Workers read their rulebook when they start, and publish it before they fold anything; each line has its digest. So the
newest lines tell which one is in force, and the topic `rulebooks` what it says. While workers are replaced one by one,
lines of both come by turns, and nothing changes until one of them has been alone for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.overflow import Marks
from schemas.records import CaseEvent
from topology.rulebooks import KeptRulebooks, read_kept
from topology.topic_reader import TopicReader
from topology.topics import Register

ALONE_MS = 5_000
"""How long no line of another rulebook must have come."""
NEW_MS = 3_600_000
"""Older lines, which are read after a long stop, do not tell what is in force now."""


class InForce:
    """Follows the digest of the lines that one process reads. `digest` is that of the rulebook it begins with."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self._seen = digest
        self._since = 0
        self._given_up = ""

    def saw(self, line: CaseEvent, now: int) -> None:
        """A line was read at `now`, UTC ms."""
        if line.rulebook_digest != self._seen and line.occurred_at > now - NEW_MS:
            self._seen, self._since = line.rulebook_digest, now

    def changed_to(self, now: int) -> str | None:
        """The digest to go over to; None: stay."""
        wanted = self._seen not in (self.digest, self._given_up) and now - self._since >= ALONE_MS
        return self._seen if wanted else None

    def try_later(self, now: int) -> None:
        """The topic could not be read: ask again after a while."""
        self._since = now

    def give_up(self, digest: str) -> None:
        """It cannot be had: stay with what there is until lines tell of another one."""
        self._given_up = digest


def marks_of(kafka: Mapping[str, Any], register: Register, digest: str) -> Mapping[str, Marks]:
    """When the pods of a kept rulebook overflow.

    Raises:
        RulebookNotKept: it is not in the topic, or no rulebook for this version.
        Misconfigured: the topic cannot be read.
    """
    with TopicReader(kafka, register, name=f"{register.on_cluster('rulebooks')}-insights") as reader:
        return KeptRulebooks(read_kept(reader))(digest).tables.overflow
