"""Trace context and CloudEvents attributes are passed on as their standards say, and nothing in them is drawn."""

from __future__ import annotations

import pytest

from topology.engine.carried import Carried, Parents, Trace, event_headers, parse, parse_text, read

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{ID}-{SPAN}-01"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (PARENT, Trace(ID, SPAN, "01")),
        (f"00-{ID}-{SPAN}-00", Trace(ID, SPAN, "00")),
        (f"cc-{ID}-{SPAN}-01-what-a-later-version-adds", Trace(ID, SPAN, "01")),
        (f"00-{ID}-{SPAN}-01-more", None),
        (f"ff-{ID}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{ID}-{'0' * 16}-01", None),
        (f"00-{ID.upper()}-{SPAN}-01", None),
        (f"00-{ID}-{SPAN}", None),
        ("", None),
    ],
)
def test_traceparent_is_read_as_w3c_says(text: str, found: Trace | None):
    assert parse(text) == found


def test_what_is_not_well_formed_in_a_header_is_nothing():
    assert read([("traceparent", b"\xff"), ("other", b"x"), ("ce_id", None)]) is None
    assert read([("ce_id", b"1")]) is None, "an id without its source names nothing"
    assert read([("traceparent", PARENT), ("tracestate", b"a=1,b=2")]) == Carried(Trace(ID, SPAN, "01", "a=1,b=2"))
    assert read([("traceparent", PARENT), ("tracestate", b"x" * 513)]) == Carried(Trace(ID, SPAN, "01"))
    assert read([("traceparent", PARENT), ("tracestate", b"a=1\r\nb")]) == Carried(Trace(ID, SPAN, "01"))
    assert read([("ce_id", b"1"), ("ce_source", b"/intake")]) == Carried(None, "1", "/intake")


def test_trace_that_a_state_keeps_is_the_same_afterwards():
    for trace in (Trace(ID, SPAN, "01"), Trace(ID, SPAN, "00", "a=1,b=2")):
        assert parse_text(trace.text()) == trace


def test_span_is_told_by_its_parent_and_by_what_was_folded():
    trace = Trace(ID, SPAN, "01", "a=1")
    one = trace.span(b"x")
    assert one == trace.span(b"x")
    assert (one.trace_id, one.flags, one.state) == (ID, "01", "a=1")
    assert len({one.span_id, trace.span(b"y").span_id, Trace(ID, "1" * 16, "01").span(b"x").span_id, SPAN}) == 4
    assert one.headers() == [("traceparent", f"00-{ID}-{one.span_id}-01".encode()), ("tracestate", b"a=1")]


OTHER = Trace("9" * 32, "8" * 16, "01")


def test_trace_of_what_a_record_is_about_goes_before_the_one_that_the_event_came_in():
    kept = Trace(ID, SPAN, "01")
    parents = Parents(Carried(OTHER), lambda record: kept.text() if record == "case" else "", b"w")
    assert parents.headers("case") == kept.span(b"w").headers()
    assert parents.headers("else") == OTHER.span(b"w").headers()
    spans = list(parents.folded("review.events", 3, 7))
    assert [(span.parent, span.outputs, span.linked) for span in spans] == [(OTHER, 1, None), (kept, 1, OTHER)]


def test_within_one_trace_the_event_is_the_nearer_place():
    kept, nearer = Trace(ID, SPAN, "01"), Trace(ID, "7" * 16, "01")
    parents = Parents(Carried(nearer), lambda _: kept.text(), b"w")
    assert parents.headers("case") == nearer.span(b"w").headers()
    assert [span.parent for span in parents.folded("review.events", 0, 0)] == [nearer]


def test_timer_goes_on_in_the_trace_of_what_it_is_about():
    kept = Trace(ID, SPAN, "01")
    parents = Parents(None, lambda _: kept.text(), b"w")
    assert parents.headers("case") == kept.span(b"w").headers()
    assert Parents(None, lambda _: "", b"w").headers("case") == []


def test_cloud_event_is_named_by_its_cause_and_by_which_of_its_outputs_it_is():
    cause = Carried(None, "e-1", "/intake")
    told = dict(
        event_headers(cause, source="/recourse/g", kind="recourse.v1.Case", topic="cases", number=0, at_ms=1_500)
    )
    assert told | {"ce_id": b""} == {
        "ce_specversion": b"1.0",
        "ce_id": b"",
        "ce_source": b"/recourse/g",
        "ce_type": b"recourse.v1.Case",
        "ce_time": b"1970-01-01T00:00:01.500+00:00",
        "ce_causationid": b"e-1",
    }
    ids = {
        dict(event_headers(by, source="/r", kind="k", topic=topic, number=number, at_ms=0))["ce_id"]
        for by in (cause, Carried(None, "e-1", "/other"), Carried(None, "e-2", "/intake"))
        for topic in ("a", "b")
        for number in (0, 1)
    }
    assert len(ids) == 12
