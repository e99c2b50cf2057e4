"""The appeals fold as the engine runs it: records in and out through the codec, topics through the register."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

from processors import cohort, fold, remedy
from processors.codec import REMEDY_FORMAT, decode_remedy, encode_remedy
from processors.dossier import Dossier
from processors.errors import ImpossibleInputError, UnknownSymbolError
from processors.on_file import Enforcement
from processors.references import NOTHING, References, Seen
from processors.remedy_state import Remedy
from processors.rulebook import Rulebook
from processors.traces import trace_of
from schemas.codec import Codec
from schemas.errors import DecodeError, DecodeReason, RegistryUnavailableError
from schemas.records import Millis, Record, RemedyDue, RemedyOrdered, TimerFired, UserId, event_time
from topology.engine.batch import Output
from topology.engine.context import FoldContext
from topology.engine.definition import FoldApp, Scan
from topology.engine.errors import Misconfigured, Poison, Retriable
from topology.topics import Register

FUTURE_MS = 24 * 3_600_000
"""An event may claim to be this much later than the engine's clock: time zones and clocks that are a little off."""

KEY_MISMATCH = "key_mismatch"
NULL_VALUE = "null_value"
FUTURE_EVENT = "implausible_time"
IMPOSSIBLE_INPUT = "impossible_input"
"""It contradicts itself, e.g. takes an amount that nobody can pay in its currency; the text names which."""

REMEDIES = "remedy.commands"
REMEDY_PREFIX = "\0remedy/"
"""Before a remedy's id in the key of its state, which lies beside the dossiers of its partition."""

State = Dossier | Remedy
_INTERNAL = frozenset({TimerFired, RemedyOrdered, RemedyDue})
"""Never on a topic; their time is the engine's."""


class AppealsContext(FoldContext):
    """What the handlers of `processors` see."""

    __slots__ = ("references", "rulebook")

    def __init__(self, rulebook: Rulebook, references: References | None = None) -> None:
        super().__init__()
        self.rulebook = rulebook
        self.references = references

    def look(self, e: Enforcement) -> Seen:
        """What the reference tables say that matters for this enforcement; the same all through a batch."""
        references = self.references
        return NOTHING if references is None else references.look(e, self.now)

    @property
    def partition(self) -> int:
        """The one whose event is folded."""
        return self.allowances.partition

    @property
    def partitions(self) -> int:
        """Of the inputs."""
        return self.allowances.partitions


def appeals_app(
    *,
    name: str,
    register: Register,
    codec: Codec,
    rulebook: Rulebook,
    references: References | None = None,
    refresh: Callable[[], None] | None = None,
    seal: Callable[[list[Output]], None] | None = None,
) -> FoldApp[State]:
    """Wire the pure fold of `processors` to topics and bytes.

    Args:
        name: consumer group, and start of the transactional ids.
        register: the topics, with their prefix.
        codec: how records are read and written.
        rulebook: what policy people decided.
        references: what decisions may take from the whole system; none: nothing.
        refresh: brings these up to date, between batches.
        seal: seals dead letters, see `FoldApp.seal`.

    Raises:
        Misconfigured: the rulebook names a pod that has no topic.
    """
    homeless = sorted({pod.name for pod in rulebook.pods} - set(register.pods))
    if homeless:
        raise Misconfigured(
            f"the rulebook names pods without a topic: {', '.join(homeless)}; add `cases.<pod>` to topics.yaml and "
            "run `recourse create-topics`, or take the pods out of the rulebook"
        )
    names = [topic.name for topic in register.inputs]
    full = {topic.name: register.on_cluster(topic.name) for topic in register.topics}
    dead_letters = {full[n]: full[f"{n}.dlq"] for n in names}
    return FoldApp(
        name=name,
        inputs=tuple(full[n] for n in names),
        called={full[n]: n for n in names}.__getitem__,
        changelog=full[register.changelog.name],
        dead_letters=dead_letters.__getitem__,
        decode=_decoder(codec, register),
        new_state=_new_state,
        encode_state=_encode_state,
        decode_state=_decode_state,
        handle=_handle,
        context=lambda: AppealsContext(rulebook, references),
        encode=_encoder(codec, full),
        prefixes=tuple(REMEDY_PREFIX.encode() if name == REMEDIES else b"" for name in names),
        trace_of=_trace_of,
        event_type=lambda record: f"recourse.v1.{type(record).__name__}",
        event_time=event_time,
        next_due=attrgetter("due"),
        timer=_timer,
        indexed=cohort.terms_of,
        scan=_scan,
        owner=cohort.owner,
        seal=seal,
        refresh=refresh,
    )


def _decoder(codec: Codec, register: Register) -> Callable[[int, str, bytes | None], Record]:
    topics = register.inputs
    allowed = [topic.allowed for topic in topics]

    def decode(topic: int, key: str, value: bytes | None) -> Record:
        if value is None:
            raise Poison(NULL_VALUE, f"{topics[topic].name} holds events; a record without a value means nothing here")
        try:
            record = codec.decode(value, allowed[topic])
        except DecodeError as exc:
            raise Poison(exc.reason, exc.text) from exc
        except RegistryUnavailableError as exc:
            raise Retriable(f"schema registry: {exc}") from exc
        called = topics[topic].key
        if getattr(record, called) != key:
            raise Poison(KEY_MISMATCH, f"the key is not the {called} of this {type(record).__name__}")
        return record

    return decode


def _handle(state: State, event: Any, ctx: AppealsContext) -> None:  # noqa: ANN401 - both folds say what they take
    if type(event) not in _INTERNAL:
        at = event_time(event)
        if at > ctx.now + FUTURE_MS:
            raise Poison(FUTURE_EVENT, f"{type(event).__name__} happened {at - ctx.now} ms after now ({at})")
    try:
        if isinstance(state, Remedy):
            remedy.handle(state, event, ctx)
        else:
            fold.handle(state, event, ctx)
    except ImpossibleInputError as exc:
        raise Poison(IMPOSSIBLE_INPUT, str(exc)) from exc
    except UnknownSymbolError as exc:
        raise Poison(DecodeReason.UNKNOWN_SYMBOL, str(exc)) from exc


def _new_state(key: str) -> State:
    if key.startswith(REMEDY_PREFIX):
        return Remedy(remedy_id=key.removeprefix(REMEDY_PREFIX))
    return fold.new_dossier(UserId(key))


def _encode_state(state: State) -> bytes:
    return encode_remedy(state) if isinstance(state, Remedy) else fold.encode_dossier(state)


def _decode_state(data: bytes) -> State:
    return decode_remedy(data) if data[:1] == REMEDY_FORMAT else fold.decode_dossier(data)


def _timer(key: str, now: int) -> TimerFired | RemedyDue:
    if key.startswith(REMEDY_PREFIX):
        return RemedyDue(key.removeprefix(REMEDY_PREFIX), Millis(now))
    return TimerFired(UserId(key), Millis(now))


def _trace_of(state: State) -> Callable[[Any], str] | None:
    if isinstance(state, Dossier) and state.traces:
        return partial(trace_of, state)
    return None


def _scan(state: State) -> Scan | None:
    wanted = remedy.scan(state) if isinstance(state, Remedy) else None
    return None if wanted is None else Scan(*wanted)


def _encoder(codec: Codec, full: dict[str, str]) -> Callable[[str, Record | None], tuple[str, bytes | None]]:
    def encode(topic: str, record: Record | None) -> tuple[str, bytes | None]:
        physical = full[topic]
        return physical, None if record is None else codec.encode(record, physical)

    return encode
