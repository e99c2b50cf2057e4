"""One trace from the appeal to its resolution, whoever and whatever comes between; the same bytes each time."""

from __future__ import annotations

import itertools

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.codec import Codec
from schemas.records import Case, ReversalConfirmed, ReversalOrdered
from tests.driver import Driver
from tests.driver.faults import abortable
from tests.topology.ledger import INPUTS, OUT, add, ledger
from tests.unit import builders
from topology.appeals import appeals_app
from topology.engine.carried import Trace, parse
from topology.settings import Settings
from topology.topics import load_register
from topology.tracing import open_tracer

APPEAL = Trace("a" * 32, "1" * 16, "01", "shop=7")
TOOL = Trace("b" * 32, "2" * 16, "01")


def headers(trace: Trace | None, event: str = "") -> tuple[tuple[str, bytes | None], ...]:
    told = [] if trace is None else trace.headers()
    told += [("ce_id", event.encode()), ("ce_source", b"/intake")] if event else []
    return tuple((name, value) for name, value in told if isinstance(value, bytes))


def trace_of(record) -> Trace | None:
    told = dict(record.headers)
    parent, state = told.get("traceparent"), told.get("tracestate", b"")
    return None if parent is None else parse(parent.decode(), state.decode())


# --- the engine ---------------------------------------------------------------------------------------------------


def test_without_headers_nothing_has_any():
    driver = Driver(ledger(), partitions=1)
    driver.send(INPUTS[0], "a", add())
    driver.run()
    [booked] = driver.read(OUT)
    assert not booked.headers


def test_outputs_are_in_the_trace_of_their_input_and_of_no_other():
    driver = Driver(ledger(), partitions=1)
    driver.send(INPUTS[0], "a", add(), headers=headers(APPEAL, "e-1"))
    driver.send(INPUTS[0], "a", add())
    driver.send(INPUTS[0], "b", add(), headers=headers(TOOL))
    driver.run()
    first, second, third = driver.read(OUT)
    found = trace_of(first)
    assert found is not None
    assert (found.trace_id, found.flags, found.state) == (APPEAL.trace_id, "01", "shop=7")
    assert found.span_id != APPEAL.span_id
    assert dict(first.headers)["ce_causationid"] == b"e-1"
    assert dict(first.headers)["ce_source"] == b"/recourse/ledger"
    assert not second.headers
    assert trace_of(third).trace_id == TOOL.trace_id
    assert "ce_id" not in dict(third.headers)


def test_same_input_gives_the_same_headers_whatever_the_batches_and_faults():
    outcomes = []
    for size, fault in itertools.product((1, 100), (False, True)):
        driver = Driver(ledger(), partitions=1, batch_records=size)
        driver.run()
        for n in range(6):
            value = add(1 + n, id=n, fault="after") if n == 3 else add(1 + n, id=n, wait=50)
            driver.send(INPUTS[0], "a", value, headers=headers(APPEAL._replace(span_id=f"{n + 1:016x}"), f"e-{n}"))
        if fault:
            driver.faults.fail("commit_transaction", abortable)
        driver.run()
        outcomes.append([record.headers for record in driver.read(OUT)])
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert len(set(map(tuple, outcomes[0]))) == 5


@pytest.mark.parametrize("size", [1, 100])
def test_what_is_folded_again_because_another_raised_keeps_the_trace_that_it_came_in(size):
    plain = ledger()

    def handle(account, event, ctx):
        plain.handle(account, event, ctx)
        account.later = {**account.later, ctx.trace or "none": 0}

    driver = Driver(ledger(handle=handle), partitions=1, batch_records=size)
    driver.run()
    driver.send(INPUTS[0], "a", add(), headers=headers(APPEAL))
    driver.send(INPUTS[0], "a", add(fault="after"), headers=headers(TOOL))
    driver.send(INPUTS[0], "a", add())
    driver.run()
    assert list(driver.states()["a"].later) == [APPEAL.text(), "none"]


def test_record_set_aside_keeps_its_own_headers():
    driver = Driver(ledger(), partitions=1)
    driver.send(INPUTS[0], "a", add(fault="after"), headers=headers(APPEAL, "e-1"))
    driver.run()
    [letter] = driver.dead_letters()
    assert letter.headers[:4] == headers(APPEAL, "e-1")


# --- appeals ------------------------------------------------------------------------------------------------------

_CODEC = Codec()
_REGISTER = load_register(partitions=1)
_INPUTS = {cls: topic.name for topic in _REGISTER.inputs for cls in topic.allowed}
CASES = [topic.name for topic in _REGISTER.topics if topic.name.startswith("cases.")]


class World:
    """The appeals topology with one worker, and a collector of spans."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        app = appeals_app(name="g", register=_REGISTER, codec=_CODEC, rulebook=builders.RULEBOOK)
        self.tracer = open_tracer(Settings(), SimpleSpanProcessor(self.exporter))
        self.driver = Driver(app, partitions=1, start_ms=builders.T0, tracer=self.tracer)
        self.driver.run()

    def send(self, record, trace: Trace | None = None) -> None:
        """At the time that it says, or now."""
        at = getattr(record, "submitted_at", None) or getattr(record, "issued_at", None) or record.occurred_at
        self.driver.advance(max(0, at - self.driver.clock.now_ms()))
        topic = _INPUTS[type(record)]
        self.driver.send(topic, record.user_id, _CODEC.encode(record, topic), headers=headers(trace))
        self.driver.run()

    def read(self, *topics: str) -> list[tuple[object, Trace | None]]:
        """What was published, and the trace that it belongs to."""
        return [
            (None if raw.value is None else _CODEC.decode(raw.value, _REGISTER.by_name[topic].allowed), trace_of(raw))
            for topic in topics
            for raw in self.driver.read(topic)
        ]

    def resolution(self, kind: type) -> tuple[object, Trace | None]:
        return next((record, trace) for record, trace in self.read("resolution.events") if isinstance(record, kind))

    def spans(self) -> list:
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def world():
    found = World()
    yield found
    found.tracer.close()


def _decide(world: World, claim: Trace | None = None, decision: Trace | None = None):
    world.send(builders.an_enforcement())
    world.send(builders.an_appeal(), APPEAL)
    world.send(builders.a_claim(builders.T0 + 2 * builders.HOUR), claim)
    world.send(builders.a_decision(builders.T0 + 2 * builders.HOUR + builders.MINUTE), decision)
    return world.resolution(ReversalOrdered)


def test_one_trace_from_the_appeal_to_its_resolution(world):
    """Reviewer tool and enforcement system go on in the trace of what they were given, as W3C asks of everybody."""
    world.send(builders.an_enforcement())
    world.send(builders.an_appeal(), APPEAL)
    [case] = [trace for record, trace in world.read(*CASES) if isinstance(record, Case)]
    claim = case._replace(span_id="c" * 16)
    world.send(builders.a_claim(builders.T0 + 2 * builders.HOUR), claim)
    decision = case._replace(span_id="d" * 16)
    world.send(builders.a_decision(builders.T0 + 2 * builders.HOUR + builders.MINUTE), decision)
    order, ordered = world.resolution(ReversalOrdered)
    ack = ordered._replace(span_id="e" * 16)
    for position in range(len(order.directives)):
        world.send(builders.an_ack(order, position), ack)
    confirmed, last = world.resolution(ReversalConfirmed)
    assert confirmed.reversal_id == order.reversal_id

    spans = world.spans()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {APPEAL.trace_id}
    assert [(span.name, f"{span.parent.span_id:016x}") for span in spans[:4]] == [
        ("fold appeal.events", APPEAL.span_id),
        ("fold review.events", claim.span_id),
        ("fold review.events", decision.span_id),
        ("fold resolution.acks", ack.span_id),
    ]
    ids = [f"{span.context.span_id:016x}" for span in spans]
    assert (case.span_id, ordered.span_id, last.span_id) == (ids[0], ids[2], ids[-1])
    assert len(set(ids)) == len(ids)
    for topic in (*CASES, "case.events", "appellant.notices", "resolution.events"):
        for record, trace in world.read(topic):
            assert trace is None or (trace.trace_id, trace.state) == (APPEAL.trace_id, APPEAL.state), record
    audit = [(record.kind.value, trace is not None) for record, trace in world.read("case.events")]
    assert audit
    assert all(traced for _, traced in audit)
    assert spans[0].attributes["messaging.destination.name"] == "appeal.events"
    assert "u-1" not in str([span.to_json() for span in spans]), "whose it is stays out"


def test_reviewer_tool_that_knows_nothing_of_traces_does_not_end_one(world):
    _, ordered = _decide(world)
    assert ordered.trace_id == APPEAL.trace_id
    assert ordered.state == APPEAL.state
    first = world.driver.read("resolution.events")[0]
    world.driver.advance(builders.HOUR)
    world.driver.run()
    again = [trace for record, trace in world.read("resolution.events") if isinstance(record, ReversalOrdered)]
    assert len(again) > 1, "nobody answered, so a timer sent it again"
    assert {trace.trace_id for trace in again} == {APPEAL.trace_id}
    assert first.headers
    assert "fold timer" in {span.name for span in world.spans()}


def test_tool_with_a_trace_of_its_own_is_linked_and_the_resolution_stays_in_the_appeals(world):
    _, ordered = _decide(world, claim=TOOL, decision=TOOL)
    assert ordered.trace_id == APPEAL.trace_id
    [linked] = [span for span in world.spans() if span.links and f"{span.context.span_id:016x}" == ordered.span_id]
    assert f"{linked.links[0].context.trace_id:032x}" == TOOL.trace_id
    own = [span for span in world.spans() if f"{span.context.trace_id:032x}" == TOOL.trace_id]
    assert len(own) == 2, "and the tool's trace shows what became of its events"


def test_parked_appeal_opens_its_case_in_its_own_trace(world):
    world.send(builders.an_appeal(builders.T0), APPEAL)
    world.send(builders.an_enforcement(builders.T0 - builders.HOUR), TOOL)
    [case] = [trace for record, trace in world.read(*CASES) if isinstance(record, Case)]
    assert case.trace_id == APPEAL.trace_id


def test_trace_that_is_not_to_be_recorded_is_passed_on_and_not_told(world):
    world.send(builders.an_enforcement())
    world.send(builders.an_appeal(), APPEAL._replace(flags="00"))
    [case] = [trace for record, trace in world.read(*CASES) if isinstance(record, Case)]
    assert (case.trace_id, case.flags) == (APPEAL.trace_id, "00")
    assert world.spans() == []


def test_batch_that_was_given_up_tells_no_span(world):
    world.send(builders.an_enforcement())
    world.driver.faults.fail("commit_transaction", abortable)
    world.send(builders.an_appeal(), APPEAL)
    assert [span.name for span in world.spans()] == ["fold appeal.events"], "once, when it was committed"


def test_line_of_the_audit_is_the_same_with_and_without_a_trace():
    found = []
    for trace in (None, APPEAL):
        world = World()
        world.send(builders.an_enforcement(event_id="issued"))
        world.send(builders.an_appeal(event_id="appeal"), trace)
        found.append([record for record, _ in world.read("case.events")])
        world.tracer.close()
    assert found[0] == found[1]
