"""Dead letters move with their records: each names where its record lies now, and is settled if it was.

`recourse case replay` leaves out the records that letters name, so a letter that named a place of before would have
a record folded that never was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from confluent_kafka import Message

from processors.ids import uuid5
from schemas.codec import Codec
from schemas.records import DeadLetterSettled
from topology.dlq.letters import DeadLetter, Kind, place, read
from topology.dlq.settling import ACTIONS
from topology.engine import deadletter
from topology.reshard.carrier import Moment, Row
from topology.reshard.carrying import Carrying
from topology.reversals.sender import encoded
from topology.topics import Topic

Origin = tuple[int, int]
"""(partition, offset) of a record in its input topic."""


def queue_of(carrying: Carrying, topic: Topic) -> Topic:
    """The dead-letter topic of an input."""
    return carrying.move.old.register.by_name[f"{topic.name}.dlq"]


def carry(
    carrying: Carrying,
    topic: Topic,
    folded: Mapping[int, int],
    starts: Mapping[int, int],
    *,
    codec: Codec,
    settled: Mapping[str, DeadLetterSettled],
) -> int:
    """Carry the letters of one input, whose records have been carried.

    Args:
        carrying: the move.
        topic: the input.
        folded: by partition of before, the offset up to which it has been folded.
        starts: by partition of then, the offset from which on it has not.
        codec: how records are written.
        settled: what was done with letters, by place.

    Returns:
        How many letters.
    """
    queue = queue_of(carrying, topic)
    old = carrying.move.old
    ends = carrying.reader.bounds(old.on_cluster(queue), old.partitions)
    until = {number: end for number, (_, end) in ends.items()}
    reached = carrying.reached(queue)
    if all(reached[number] >= end for number, end in until.items()):
        return 0
    lie = _moved(carrying, topic, folded, starts, set(_origins(carrying, queue, until)))
    letters: list[DeadLetter] = []

    def change(message: Message, row: Row) -> Row:
        letter = _letter(carrying, topic, message)
        letters.append(letter)
        return row._replace(headers=readdressed(carrying, topic, letter, row.partition, lie))

    def follow(rows: Sequence[Row], offsets: Sequence[int]) -> Iterator[Row]:
        """The letters that were settled are so at their new places too."""
        for letter, row, offset in zip(letters, rows, offsets, strict=True):
            done = settled.get(letter.place)
            if done is not None:
                yield _settled(carrying, codec, done, row, offset)
        letters.clear()

    return carrying.carry(Moment.LETTERS, queue, until, change=change, follow=follow)


def readdressed(
    carrying: Carrying, topic: Topic, letter: DeadLetter, partition: int, lie: Mapping[Origin, Origin]
) -> list[tuple[str, bytes | None]]:
    """The headers of a letter at its new place; of a record that is no longer there, as they were."""
    if letter.kind is Kind.FOREIGN:
        return list(letter.headers)
    where: dict[str, str] = {}
    if letter.kind is Kind.RECORD:
        found = lie.get(origin_of(letter)) if _names(carrying, topic, letter) else None
        if found is None:
            return list(letter.headers)
        where = {deadletter.PARTITION: str(found[0]), deadletter.OFFSET: str(found[1])}
    else:
        where = {deadletter.PARTITION: str(partition)}
    where[deadletter.TOPIC] = carrying.move.new.on_cluster(topic)
    # The newest of each name is ours; the record may have had headers of the same names.
    headers = list(letter.headers)
    for index in range(len(headers) - 1, -1, -1):
        name = headers[index][0]
        if name in where:
            headers[index] = name, where.pop(name).encode()
    return headers


def origin_of(letter: DeadLetter) -> Origin:
    """Where a letter says that its record lies; (-1, -1) if it does not say so."""
    numbers = letter.header(deadletter.PARTITION), letter.header(deadletter.OFFSET)
    return (int(numbers[0]), int(numbers[1])) if all(n.isdecimal() for n in numbers) else (-1, -1)


def _names(carrying: Carrying, topic: Topic, letter: DeadLetter) -> bool:
    return letter.header(deadletter.TOPIC) == carrying.move.old.on_cluster(topic)


def _letter(carrying: Carrying, topic: Topic, message: Message) -> DeadLetter:
    return read(message, source=topic.name, prefix=carrying.move.old.register.prefix)


def _origins(carrying: Carrying, queue: Topic, until: Mapping[int, int]) -> Iterator[Origin]:
    """The records that letters are about."""
    topic = carrying.move.old.register.by_name[queue.name.removesuffix(".dlq")]
    on_cluster, count = carrying.move.old.on_cluster(queue), carrying.move.old.partitions
    starts = carrying.reader.bounds(on_cluster, count)
    bounds = {number: (start, until[number]) for number, (start, _) in starts.items()}
    for message in carrying.reader.read(on_cluster, bounds):
        letter = _letter(carrying, topic, message)
        if letter.kind is Kind.RECORD and _names(carrying, topic, letter):
            yield origin_of(letter)


def _moved(
    carrying: Carrying, topic: Topic, folded: Mapping[int, int], starts: Mapping[int, int], wanted: set[Origin]
) -> dict[Origin, Origin]:
    """Where these records lie now.

    The order in which records were carried is always the same, so it is counted: the n-th record that went to a
    partition is the n-th that lies there.
    """
    if not wanted:
        return {}
    move, reader = carrying.move, carrying.reader
    old, new = move.old.on_cluster(topic), move.new.on_cluster(topic)
    before = reader.bounds(old, move.old.partitions)
    counted = [0] * move.new.partitions
    by_turn: dict[tuple[int, int], tuple[Origin, bytes | None, bytes | None]] = {}
    bounds = {number: (start, folded.get(number, start)) for number, (start, _) in before.items()}
    for message in reader.merged(old, bounds):
        number = message.partition() or 0
        to = move.placed(topic, message.key(), number)
        origin = (number, message.offset() or 0)
        if origin in wanted:
            by_turn[to, counted[to]] = origin, message.key(), message.value()
        counted[to] += 1
    counted = [0] * move.new.partitions
    lie: dict[Origin, Origin] = {}
    after = reader.bounds(new, move.new.partitions)
    for message in reader.read(new, {number: (start, starts[number]) for number, (start, _) in after.items()}):
        to = message.partition() or 0
        found = by_turn.get((to, counted[to]))
        # If records of before have been deleted meanwhile, the count says nothing; then what it finds differs.
        if found is not None and found[1:] == (message.key(), message.value()):
            lie[found[0]] = to, message.offset() or 0
        counted[to] += 1
    return lie


def _settled(carrying: Carrying, codec: Codec, done: DeadLetterSettled, row: Row, offset: int) -> Row:
    register = carrying.move.new.register
    at = place(row.topic.removeprefix(register.prefix), row.partition, offset)
    told = {name: (value or b"").decode(errors="backslashreplace") for name, value in row.headers}
    where = (told.get(name, "?") for name in (deadletter.TOPIC, deadletter.PARTITION, deadletter.OFFSET))
    record = msgspec.structs.replace(
        done,
        event_id=uuid5(f"dead-letter\x1f{at}\x1f{done.action}"),
        letter=at,
        origin="{}[{}]@{}".format(*where)[:4_096],
    )
    topic = register.on_cluster(ACTIONS)
    return Row(topic, encoded(codec, record, topic), at.encode(), 0, time.time_ns() // 1_000_000, [])
