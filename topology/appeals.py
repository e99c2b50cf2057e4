"""The appeals fold as the engine runs it: records in and out through the codec, topics through the register."""

from __future__ import annotations

from collections.abc import Callable

from processors import fold
from processors.dossier import Dossier
from processors.rulebook import Rulebook
from schemas.codec import Codec
from schemas.errors import DecodeError, RegistryUnavailableError
from schemas.records import InputRecord, Millis, Record, TimerFired, UserId, event_time
from topology.engine.definition import FoldApp, FoldContext
from topology.engine.errors import Misconfigured, Poison, Retriable
from topology.topics import Register

FUTURE_MS = 24 * 3_600_000
"""An event may claim to be this much later than the engine's clock: time zones and clocks that are a little off."""

KEY_MISMATCH = "key_mismatch"
NULL_VALUE = "null_value"
FUTURE_EVENT = "implausible_time"


class AppealsContext(FoldContext):
    """What the handlers of `processors` see."""

    __slots__ = ("rulebook",)

    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__()
        self.rulebook = rulebook


def appeals_app(*, name: str, register: Register, codec: Codec, rulebook: Rulebook) -> FoldApp[Dossier]:
    """Wire the pure fold of `processors` to topics and bytes.

    Args:
        name: consumer group, and start of the transactional ids.
        register: the topics, with their prefix.
        codec: how records are read and written.
        rulebook: what policy people decided.

    Raises:
        Misconfigured: the rulebook names a pod that has no topic.
    """
    homeless = sorted({pod.name for pod in rulebook.pods} - set(register.pods))
    if homeless:
        raise Misconfigured(
            f"the rulebook names pods without a topic: {', '.join(homeless)}; add `cases.<pod>` to topics.yaml and "
            "run `recourse create-topics`, or take the pods out of the rulebook"
        )
    allowed = [topic.allowed for topic in register.inputs]
    names = [topic.name for topic in register.inputs]
    full = {topic.name: register.on_cluster(topic.name) for topic in register.topics}
    dead_letters = {full[n]: full[f"{n}.dlq"] for n in names}

    def decode(topic: int, key: str, value: bytes | None) -> Record:
        if value is None:
            raise Poison(NULL_VALUE, f"{names[topic]} holds events; a record without a value means nothing here")
        try:
            record = codec.decode(value, allowed[topic])
        except DecodeError as exc:
            raise Poison(exc.reason, exc.text) from exc
        except RegistryUnavailableError as exc:
            raise Retriable(f"schema registry: {exc}") from exc
        if record.user_id != key:  # type: ignore[attr-defined]
            raise Poison(KEY_MISMATCH, f"the key is not the user_id of this {type(record).__name__}")
        return record

    def handle(dossier: Dossier, event: InputRecord | TimerFired, ctx: AppealsContext) -> None:
        if not isinstance(event, TimerFired):
            at = event_time(event)
            if at > ctx.now + FUTURE_MS:
                raise Poison(FUTURE_EVENT, f"{type(event).__name__} happened {at - ctx.now} ms after now ({at})")
        fold.handle(dossier, event, ctx)

    return FoldApp(
        name=name,
        inputs=tuple(full[n] for n in names),
        changelog=full[register.changelog.name],
        dead_letters=dead_letters.__getitem__,
        decode=decode,
        new_state=_new_dossier,
        encode_state=fold.encode_dossier,
        decode_state=fold.decode_dossier,
        handle=handle,
        context=lambda: AppealsContext(rulebook),
        encode=_encoder(codec, full),
        next_due=fold.next_due,
        timer=lambda key, now: TimerFired(UserId(key), Millis(now)),
    )


def _new_dossier(key: str) -> Dossier:
    return fold.new_dossier(UserId(key))


def _encoder(codec: Codec, full: dict[str, str]) -> Callable[[str, Record | None], tuple[str, bytes | None]]:
    def encode(topic: str, record: Record | None) -> tuple[str, bytes | None]:
        physical = full[topic]
        return physical, None if record is None else codec.encode(record, physical)

    return encode
