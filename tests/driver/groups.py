"""A consumer group as its coordinator sees it: classic protocol, eager rebalances, range assignment, static members."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError

from tests.driver.faults import kafka


@dataclass(frozen=True, slots=True)
class Membership:
    """What `consumer_group_metadata` carries (KIP-447)."""

    group: str
    member: str
    generation: int
    instance: str | None


@dataclass(eq=False)
class Member:
    """One member."""

    id: str
    instance: str | None
    topics: list[str]
    seen_s: float
    generation: int = -1
    """Of the assignment that the member has been told."""
    rejoined: bool = True
    alive: bool = True
    """A living process sends heartbeats in the background, whether it polls or not."""
    assignment: list[tuple[str, int]] = field(default_factory=list)


class Group:
    """Members, their generation, and the committed offsets."""

    def __init__(self, name: str, partitions_of: Callable[[str], int]) -> None:
        self.name = name
        self.members: dict[str, Member] = {}
        self.generation = 0
        self.rebalancing = False
        self._rebalancing_since: float | None = None
        self.offsets: dict[tuple[str, int], tuple[int, str]] = {}
        self.fenced: set[str] = set()
        """Member ids replaced by another process with the same instance id."""
        self._partitions_of = partitions_of
        self._joined = 0

    def join(self, instance: str | None, topics: list[str], now_s: float) -> Member:
        """A new member; a known static one takes its old place without a rebalance (KIP-345)."""
        self._joined += 1
        member = Member(f"{instance or 'member'}-{self._joined:04}", instance, topics, now_s)
        old = next((m for m in self.members.values() if instance is not None and m.instance == instance), None)
        if old is None:
            self.members[member.id] = member
            self.rebalance()
        else:
            del self.members[old.id]
            self.fenced.add(old.id)
            self.members[member.id] = member
            member.assignment = old.assignment
            if not self.rebalancing and old.topics != topics:
                self.rebalance()
            self._complete()
        return member

    def rejoin(self, member: Member) -> None:
        """The member has given up its partitions and waits for the next generation."""
        member.rejoined = True
        self._complete()

    def remove(self, member_id: str) -> None:
        """The member left, or its session ended."""
        if self.members.pop(member_id, None) is not None:
            self.rebalance()

    def rebalance(self) -> None:
        """Ask all members to join again."""
        self.rebalancing = True
        for member in self.members.values():
            member.rejoined = member.generation == -1
        self._complete()

    def expire(self, now_s: float, limit_s: float) -> None:
        """Remove dead members whose session ended, and members that let a rebalance wait for too long."""
        for member in list(self.members.values()):
            if member.alive:
                member.seen_s = now_s
            elif now_s - member.seen_s > limit_s:
                self.remove(member.id)
        if not self.rebalancing:
            self._rebalancing_since = None
        elif self._rebalancing_since is None:
            self._rebalancing_since = now_s
        elif now_s - self._rebalancing_since > limit_s:
            for member in list(self.members.values()):
                if not member.rejoined:
                    self.remove(member.id)

    def check(self, membership: Membership) -> None:
        """The fence of rule 1: is this still a member of this generation?"""
        if membership.member in self.fenced:
            raise kafka(KafkaError.FENCED_INSTANCE_ID, "another process has the instance id", abort=True)
        if membership.member not in self.members:
            raise kafka(KafkaError.UNKNOWN_MEMBER_ID, "unknown member", abort=True)
        if membership.generation != self.generation:
            raise kafka(KafkaError.ILLEGAL_GENERATION, "illegal generation", abort=True)

    def _complete(self) -> None:
        """When all have joined: a new generation with its range assignment."""
        if not self.rebalancing or not all(member.rejoined for member in self.members.values()):
            return
        self.rebalancing = False
        self.generation += 1
        members = sorted(self.members.values(), key=lambda m: m.instance or m.id)
        for member in members:
            member.assignment = []
        for topic in sorted({topic for member in members for topic in member.topics}):
            takers = [member for member in members if topic in member.topics]
            share, extra = divmod(self._partitions_of(topic), len(takers))
            first = 0
            for i, member in enumerate(takers):
                size = share + (i < extra)
                member.assignment.extend((topic, p) for p in range(first, first + size))
                first += size
