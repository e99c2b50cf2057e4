"""Which dead letters an order is about, and which of them may be settled now: pure, and in the order of the topic.

A record that was set aside must not overtake an older one of its key that was set aside too: within a topic, records
of a key keep their order. So a letter is replayed only if each older letter of the same topic and key is settled, or
is replayed before it by the same order; otherwise it is held back, and the order says what it waits for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.records import DeadLetterSettled
from schemas.vocabulary import DeadLetterAction
from topology.dlq.letters import DeadLetter, Kind


class State(StrEnum):
    """What became of a letter."""

    PENDING = "pending"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class Why(StrEnum):
    """Why a letter that an order is about is not settled by it."""

    DONE_ALREADY = "done already"
    """By an order before, or by this one before it was killed: nothing is missing."""
    SETTLED_OTHERWISE = "settled otherwise"
    """Discarded, so it cannot be replayed; or the other way round."""
    NO_RECORD = "no record"
    """Of a timer, or of what a sweep tells: there is nothing to send."""
    NOT_OURS = "not ours"
    """Without our headers nobody knows what the original was."""
    NO_TIME = "no time"
    """Kafka cannot be told the timestamp that it had, so it needs a new one."""
    SEALED = "sealed"
    """It cannot be opened: its key is gone, or not at hand."""
    HELD_BACK = "held back"
    """An older letter of its key is pending."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an order is about: letters that meet all that is set."""

    places: frozenset[str] = frozenset()
    """Without prefix; empty: anywhere."""
    codes: frozenset[str] = frozenset()
    key: bytes | None = None
    since_ms: int | None = None
    """Set aside at or after."""
    until_ms: int | None = None
    """Set aside before."""

    def takes(self, letter: DeadLetter) -> bool:
        """Whether this is one of them."""
        return (
            (not self.places or letter.place in self.places)
            and (not self.codes or letter.code in self.codes)
            and (self.key is None or letter.key == self.key)
            and (self.since_ms is None or letter.at_ms >= self.since_ms)
            and (self.until_ms is None or letter.at_ms < self.until_ms)
        )


@dataclass(frozen=True)
class Left:
    """A letter that the order is about and does not settle."""

    place: str
    why: Why
    text: str


@dataclass
class Choice:
    """What an order comes to."""

    chosen: dict[str, None] = field(default_factory=dict[str, None])
    """Places, in the order in which they are settled."""
    left: list[Left] = field(default_factory=list[Left])

    @property
    def refused(self) -> list[Left]:
        """Those that the order wanted and did not get."""
        return [left for left in self.left if left.why is not Why.DONE_ALREADY]


def state_of(place: str, settled: Mapping[str, DeadLetterSettled]) -> State:
    """Of the letter at this place."""
    done = settled.get(place)
    if done is None:
        return State.PENDING
    return State.REPLAYED if done.action is DeadLetterAction.REPLAYED else State.DISCARDED


def choose(
    letters: Iterable[DeadLetter],
    settled: Mapping[str, DeadLetterSettled],
    wanted: Wanted,
    action: DeadLetterAction,
    *,
    limit: int | None = None,
    new_time: bool = False,
) -> Choice:
    """What an order settles, oldest first.

    Args:
        letters: all of the topics in question, each partition in its order.
        settled: what was done before, by place.
        wanted: which of them.
        action: what to do with them.
        limit: at most so many; those after them wait for the next order.
        new_time: replayed with the time of now, so a timestamp that is none does not matter.
    """
    choice = Choice()
    waiting: dict[tuple[str, bytes], str] = {}
    """By topic and key, the oldest letter that stays pending."""
    for letter in letters:
        done = settled.get(letter.place)
        if not wanted.takes(letter):
            left = None
        elif done is not None:
            # Without places an order is about what is pending, so it does not speak of the others.
            left = _settled_before(done, action) if wanted.places else None
        else:
            full = limit is not None and len(choice.chosen) >= limit
            left = None if full else _hindrance(letter, action, waiting, new_time=new_time)
            if left is None and not full:
                choice.chosen[letter.place] = None
                continue
        if left is not None:
            choice.left.append(left)
        if done is None and letter.kind is Kind.RECORD and letter.key is not None:
            waiting.setdefault((letter.topic, letter.key), letter.place)
    return choice


def missing(wanted: Wanted, seen: Collection[str]) -> list[str]:
    """Places that were named and at which no letter lies."""
    return sorted(wanted.places - set(seen))


def _settled_before(done: DeadLetterSettled, action: DeadLetterAction) -> Left:
    same = done.action is action
    text = f"{done.action} already by {done.actor}"
    return Left(done.letter, Why.DONE_ALREADY if same else Why.SETTLED_OTHERWISE, text)


def _hindrance(
    letter: DeadLetter, action: DeadLetterAction, waiting: Mapping[tuple[str, bytes], str], *, new_time: bool
) -> Left | None:
    """Why this one cannot be settled, if it cannot. Anything may be discarded."""
    if action is DeadLetterAction.DISCARDED:
        return None
    if (without := _without_record(letter)) is not None:
        return without
    older = None if letter.key is None else waiting.get((letter.topic, letter.key))
    if older is not None:
        text = f"an older letter of its key is pending: replay {older} with it, or before it, or discard that one"
        return Left(letter.place, Why.HELD_BACK, text)
    if letter.original_at_ms <= 0 and not new_time:
        text = f"its timestamp was {letter.original_at_ms} ms, which Kafka cannot be told; replay it with --new-time"
        return Left(letter.place, Why.NO_TIME, text)
    return None


def _without_record(letter: DeadLetter) -> Left | None:
    """Why there is nothing to send, if there is not."""
    match letter.kind:
        case Kind.TIMER | Kind.TELL:
            return Left(letter.place, Why.NO_RECORD, WITHOUT_RECORD[letter.kind])
        case Kind.FOREIGN:
            return Left(letter.place, Why.NOT_OURS, "its headers are not those of a worker; it can only be discarded")
        case Kind.RECORD:
            return Left(letter.place, Why.SEALED, letter.unreadable) if letter.unreadable else None


WITHOUT_RECORD = {
    Kind.TIMER: (
        "a timer raised, and there is no record to send. The timer is still in the dossier: it fires again when a "
        "worker takes over the partition, as after a restart, or when an event changes it. Mend the fault, restart "
        "the workers, see that no new letter comes, then discard this one"
    ),
    Kind.TELL: (
        "a sweep could not tell this to one user, and there is no record to send; the sweep went on with the others. "
        "Mend the fault, propose the remedy again under another id (what is reversed already is skipped), then "
        "discard this one"
    ),
}
"""What to do instead of a replay."""
