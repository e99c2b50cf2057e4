"""Reads dead letters and what was done with them from the topics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from schemas.codec import Codec
from schemas.errors import DecodeError, RegistryUnavailableError
from schemas.records import DeadLetterSettled
from topology.dlq.letters import DeadLetter, place, read
from topology.dlq.settling import ACTIONS
from topology.engine.errors import Misconfigured
from topology.topic_reader import TopicReader
from topology.topics import Register, Role


def queues(register: Register, only: str | None = None) -> list[str]:
    """Dead-letter topics, by name without prefix.

    Args:
        register: the topics.
        only: an input topic or its dead-letter topic, with or without prefix; none means all.

    Raises:
        Misconfigured: no such topic.
    """
    found = [t.name for t in register.topics if t.role is Role.DEAD_LETTERS]
    if only is None:
        return found
    for name in found:
        bare = _bare(register, name)
        called = (name, name.removesuffix(".dlq"), bare, bare.removesuffix(".dlq"))
        if only.removeprefix(register.prefix) in called:
            return [name]
    raise Misconfigured(f"{only} is no input with dead letters; there are {', '.join(found)}")


def _bare(register: Register, name: str) -> str:
    """The name on the cluster without the prefix of the installation: as places are written."""
    return register.on_cluster(name).removeprefix(register.prefix)


def letters(
    reader: TopicReader, register: Register, topics: Iterable[str], opened: Callable[[DeadLetter], DeadLetter]
) -> Iterator[DeadLetter]:
    """All committed letters of these dead-letter topics, one after the other, each partition in its order.

    `opened` gives a sealed letter as it was before.

    Raises:
        Misconfigured: a topic is missing, or no broker answers.
    """
    for topic in topics:
        for message in reader.read(topic):
            yield opened(read(message, source=topic.removesuffix(".dlq"), prefix=register.prefix))


def settled(reader: TopicReader, codec: Codec, register: Register) -> dict[str, DeadLetterSettled]:
    """What was done with letters, by place.

    Raises:
        Misconfigured: a record cannot be read, so it is not known what was done; or the topic is missing.
    """
    done: dict[str, DeadLetterSettled] = {}
    for message in reader.read(ACTIONS):
        try:
            record = codec.decode(message.value() or b"", register.by_name[ACTIONS].allowed)
        except DecodeError as exc:
            where = place(message.topic() or "", message.partition() or 0, message.offset() or 0)
            raise Misconfigured(
                f"{where} says what was done with a letter and cannot be read ({exc}). A newer version may have "
                "written it; use that one. Nothing was done."
            ) from exc
        except RegistryUnavailableError as exc:
            raise Misconfigured(f"schema registry: {exc}") from exc
        if isinstance(record, DeadLetterSettled):
            # There can be only one; if ever there were two, what came first is what was done.
            done.setdefault(record.letter, record)
    return done
