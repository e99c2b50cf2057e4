"""Spans to an OpenTelemetry collector (extra `tracing`): one for each event in a trace, told once it is committed.

The ids are those that travel in the headers (`engine.carried`), so what others do with a case hangs below the span that
published it. The library is imported only if spans are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, cast

from topology.engine.carried import TIMER, Folded, Trace
from topology.engine.errors import Misconfigured
from topology.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import SpanContext

_MS = 1_000_000
"""Nanoseconds."""
_CLOSE_MS = 5_000


class Spans(Protocol):
    """A `ports.Tracer` that must be closed."""

    def folded(self, spans: Sequence[Folded], begun_ms: int, committed_ms: int) -> None:
        """See `ports.Tracer`."""
        ...

    def close(self) -> None:
        """Send what has not been sent, for five seconds at most."""
        ...


def open_tracer(settings: Settings, processor: SpanProcessor | None = None) -> Spans:
    """Collect spans, in batches, from a thread of its own; one that cannot be sent is dropped and logged.

    Args:
        settings: names this process.
        processor: instead of OTLP over HTTP.

    Raises:
        Misconfigured: the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise Misconfigured(f"RECOURSE_TRACING: {exc.name} is not installed: pip install 'recourse[tracing]'") from exc
    return _OpenTelemetry(settings, processor or BatchSpanProcessor(OTLPSpanExporter()))


class _OpenTelemetry:
    def __init__(self, settings: Settings, processor: SpanProcessor) -> None:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased  # noqa: PLC0415

        self._ids = _Ids()
        self._provider = TracerProvider(
            # Whoever began the trace decided whether it is recorded.
            sampler=ParentBased(ALWAYS_ON),
            id_generator=cast("Any", self._ids),
            resource=Resource.create(
                {
                    "service.name": "recourse",
                    "service.version": version("recourse"),
                    "service.instance.id": settings.slot,
                }
            ),
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("recourse")
        self._group = settings.engine_name

    def folded(self, spans: Sequence[Folded], begun_ms: int, committed_ms: int) -> None:
        from opentelemetry.trace import (  # noqa: PLC0415
            Link,
            NonRecordingSpan,
            SpanKind,
            set_span_in_context,
        )

        for found in spans:
            self._ids.next_span = int(found.span.span_id, 16)
            timer = found.input == TIMER
            span = self._tracer.start_span(
                "fold timer" if timer else f"fold {found.input}",
                context=set_span_in_context(NonRecordingSpan(_context(found.parent))),
                kind=SpanKind.INTERNAL if timer else SpanKind.CONSUMER,
                links=() if found.linked is None else (Link(_context(found.linked)),),
                start_time=begun_ms * _MS,
                attributes={"recourse.outputs": found.outputs, **({} if timer else self._place(found))},
            )
            span.end(committed_ms * _MS)

    def close(self) -> None:
        self._provider.force_flush(_CLOSE_MS)
        self._provider.shutdown()

    def _place(self, found: Folded) -> dict[str, str | int]:
        """OpenTelemetry's names for messaging. The key is a user's id, and stays out."""
        return {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": found.input,
            "messaging.destination.partition.id": str(found.partition),
            "messaging.kafka.offset": found.offset or 0,
            "messaging.consumer.group.name": self._group,
        }


def _context(trace: Trace) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags, TraceState  # noqa: PLC0415

    return SpanContext(
        trace_id=int(trace.trace_id, 16),
        span_id=int(trace.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(trace.flags, 16)),
        trace_state=TraceState.from_header([trace.state]) if trace.state else TraceState(),
    )


class _Ids:
    """Ids that are given, not drawn (`opentelemetry.sdk.trace.IdGenerator`); spans are made in one thread."""

    def __init__(self) -> None:
        self.next_span = 0

    def generate_span_id(self) -> int:
        """The one that travelled."""
        return self.next_span

    def generate_trace_id(self) -> int:
        """Never asked for: each span has a parent."""
        raise AssertionError("a span without a parent")

    def is_trace_id_random(self) -> bool:
        """Whoever began the trace knows."""
        return False
