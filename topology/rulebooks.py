"""Rulebooks kept by digest, in a compacted topic: what decided a case can be read back as long as its audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from processors.rulebook import Rulebook
from topology.engine.clients import IN_TURN
from topology.engine.errors import EngineError, Misconfigured
from topology.rulebook_file import RulebookError, RulebookFile, parse_rulebook
from topology.topic_reader import TopicReader
from topology.topics import Register

TOPIC = "rulebooks"
DELIVERY_S = 30.0


class RulebookNotKept(EngineError):  # noqa: N818 - a state, not an accident
    """What decided a line cannot be had any more; the text says why."""


class KeptRulebooks:
    """The texts by digest, parsed when first asked for."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = texts
        self._books: dict[str, Rulebook] = {}

    def __call__(self, digest: str) -> Rulebook:
        """The rulebook of this digest.

        Raises:
            RulebookNotKept: it is not in the topic, or what is there is not what was kept.
        """
        book = self._books.get(digest)
        if book is None:
            text = self._texts.get(digest)
            if text is None:
                raise RulebookNotKept(f"the rulebook {digest} is not in the topic `{TOPIC}`: no worker published it")
            book = self._books[digest] = proven(digest, text)
        return book


def proven(digest: str, text: bytes) -> Rulebook:
    """The rulebook in a text that must have this digest.

    Raises:
        RulebookNotKept: it has another one, or is no rulebook.
    """
    try:
        book = parse_rulebook(text.decode(), name=f"the rulebook kept as {digest}")
    except (RulebookError, UnicodeDecodeError) as exc:
        raise RulebookNotKept(f"the text kept as {digest} is no rulebook for this version: {exc}") from exc
    if book.digest != digest:
        raise RulebookNotKept(
            f"the text kept as {digest} has the digest {book.digest}: it was altered, or kept by a version of Recourse "
            "whose rulebooks had other fields; then use that version"
        )
    return book


def read_kept(reader: TopicReader) -> dict[str, bytes]:
    """The newest text by digest, unproven."""
    kept: dict[str, bytes] = {}
    for message in reader.read(TOPIC):
        digest, text = (message.key() or b"").decode(errors="replace"), message.value()
        if text is None:
            kept.pop(digest, None)
        else:
            kept[digest] = text
    return kept


def publish(kafka: Mapping[str, Any], register: Register, file: RulebookFile) -> bool:
    """Keep the rulebook, unless it is kept already. Two workers that do it at the same time write the same.

    Returns:
        Whether it was written now.

    Raises:
        Misconfigured: the broker does not take it.
    """
    digest = file.book.digest
    with TopicReader(kafka, register, name=f"{register.on_cluster(TOPIC)}-writer") as reader:
        text = read_kept(reader).get(digest)
    if text is not None and _tells(digest, text):
        return False
    refused: list[KafkaError] = []

    def note(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            refused.append(error)

    producer = Producer({**kafka, **IN_TURN, "enable.idempotence": True, "message.timeout.ms": int(DELIVERY_S * 1_000)})
    producer.produce(register.on_cluster(TOPIC), key=digest.encode(), value=file.text.encode(), on_delivery=note)
    left = producer.flush(DELIVERY_S + 5)
    if refused or left:
        why = refused[0].str() if refused else f"no answer within {DELIVERY_S:.0f} s"
        raise Misconfigured(
            f"the rulebook {digest} cannot be kept in {register.on_cluster(TOPIC)} ({why}). Without it nothing that it "
            "decides could be folded again. May this client write there?"
        )
    return True


def _tells(digest: str, text: bytes) -> bool:
    """Whether the text gives this digest; comments may differ."""
    try:
        proven(digest, text)
    except RulebookNotKept:
        return False
    return True
