"""Records that nobody can judge: each goes to its dead-letter topic whole, with the reason, and blocks nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import fastavro
import msgspec
import pytest

from schemas import records as r
from schemas import vocabulary as v
from schemas.catalog import current, full_name
from schemas.codec import SINGLE_OBJECT_HEAD, Codec
from tests.contract.fake_registry import FakeRegistry
from tests.integration.checker import faults
from tests.integration.worker_process import PARTITIONS, Delivered, Installation, free_port
from tests.integration.workload import DAY, HOUR, SECOND, Row, row_of
from tests.unit import builders
from topology.appeals import appeals_app
from topology.engine.clients import NoMetrics
from topology.engine.definition import FoldApp
from topology.exits import Exit
from topology.settings import Settings
from topology.topics import Role
from topology.worker import build, open_rulebook

NOW = time.time_ns() // 1_000_000
SENT_AT = NOW - HOUR
YEAR_2200 = 7_258_118_400_000
CODEC = Codec()


# --- what is wrong ---------------------------------------------------------------------------------------------


class Bad(NamedTuple):
    """A record that cannot be judged: made for a user, sent under `key` (the user by default) at `at`."""

    reason: str
    topic: str
    value: Callable[[r.UserId], bytes | None]
    key: Callable[[str], bytes | None] = str.encode
    at: int = SENT_AT


def enforcement(user: str, n: int = 1, **change: object) -> r.EnforcementIssued:
    return builders.an_enforcement(SENT_AT - HOUR, user_id=user, enforcement_id=f"e-{user}-{n}", **change)


def appeal(user: str, name: str = "a", n: int = 1, **change: object) -> r.AppealSubmitted:
    fields = {
        "user_id": user,
        "appellant_id": user,
        "enforcement_id": f"e-{user}-{n}",
        "statement_ref": f"s3://statements/{PLANTED}",
    }
    return builders.an_appeal(SENT_AT, f"{name}-{user}", **(fields | change))


def decision(user: str) -> r.DecisionProposed:
    return msgspec.structs.replace(builders.a_decision(SENT_AT), user_id=user)


def claim(user: str) -> r.CaseClaimed:
    return msgspec.structs.replace(builders.a_claim(SENT_AT + SECOND), user_id=user)


def ack(user: str) -> r.DirectiveAcked:
    fields = {"reversal_id": "x", "directive_id": "x", "system": "x", "status": v.AckStatus.APPLIED}
    event_id = builders.fresh("ev-ack")
    return r.DirectiveAcked(event_id=event_id, user_id=user, occurred_at=SENT_AT + SECOND, **fields)


def forged(record: r.Record, *, up_to: str | None = None, schema: dict | None = None, **change: object) -> bytes:
    """The bytes of a record that our own writer would refuse; with `up_to` only the fields before that one."""
    schema = schema or current(type(record))
    if up_to is not None:
        names = [field["name"] for field in schema["fields"]]
        schema = schema | {"fields": schema["fields"][: names.index(up_to)]}
    out = io.BytesIO()
    content = msgspec.to_builtins(record, builtin_types=(Decimal,)) | change
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), content)
    return CODEC.encode(record)[:SINGLE_OBJECT_HEAD] + out.getvalue()


def with_effect(user: str, **change: object) -> bytes:
    """An enforcement whose one effect is forged."""
    record = enforcement(user, 9, effects=[builders.an_effect()])
    [effect] = msgspec.to_builtins(record.effects, builtin_types=(Decimal,))
    return forged(record, effects=[effect | change])


def bomb(record: r.Record) -> bytes:
    """A few bytes that claim an array of a billion items."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", 1_000_000_000)
    return forged(record, up_to="grounds") + out.getvalue() + bytes(64)


APPEALS, ENFORCEMENTS, REVIEWS, ACKS = "appeal.events", "enforcement.events", "review.events", "resolution.acks"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PLANTED = "my daughter is ill"
"""A text of somebody, which nobody may find where texts do not belong."""
BAD = {
    "a letter instead of a record": Bad("undecodable", APPEALS, lambda _: PLANTED.encode()),
    "bytes that are no record": Bad("undecodable", APPEALS, lambda _: b"{'appeal_id': 7}"),
    "a record cut off": Bad("undecodable", APPEALS, lambda u: CODEC.encode(appeal(u))[:-3]),
    "a schema nobody knows": Bad("unknown_schema", ENFORCEMENTS, lambda _: b"\xc3\x01" + bytes(range(30))),
    "a schema id without a registry": Bad("unknown_schema", ACKS, lambda _: b"\x00\x00\x00\x00\x07abc"),
    "a record of another topic": Bad("record_type_not_allowed", APPEALS, lambda u: CODEC.encode(enforcement(u, 9))),
    "a text too long": Bad("bound_exceeded", APPEALS, lambda u: forged(appeal(u), statement_ref=PLANTED * 300)),
    "a record too large": Bad("bound_exceeded", APPEALS, lambda u: CODEC.encode(appeal(u)) + bytes(300_000)),
    "an array bomb": Bad("bound_exceeded", APPEALS, lambda u: bomb(appeal(u))),
    "no key": Bad("null_key", APPEALS, lambda u: CODEC.encode(appeal(u)), lambda _: None),
    "a key that is not text": Bad(
        "undecodable_key", APPEALS, lambda u: CODEC.encode(appeal(u)), lambda u: b"\xff[/red]" + u.encode()
    ),
    "the key of the checkpoint": Bad(
        "undecodable_key", APPEALS, lambda u: CODEC.encode(appeal(u)), lambda _: b"\0checkpoint"
    ),
    "the key of another user": Bad(
        "key_mismatch", APPEALS, lambda u: CODEC.encode(appeal(u)), lambda _: b"somebody-else"
    ),
    "no value": Bad("null_value", REVIEWS, lambda _: None),
    "an unknown action": Bad("unknown_symbol", ENFORCEMENTS, lambda u: forged(enforcement(u, 9), action="UNKNOWN")),
    "an unknown outcome": Bad("unknown_symbol", REVIEWS, lambda u: forged(decision(u), outcome="UNKNOWN")),
    "an unknown answer": Bad("unknown_symbol", ACKS, lambda u: forged(ack(u), status="UNKNOWN")),
    "a date in 1970": Bad("implausible_time", APPEALS, lambda u: forged(appeal(u), submitted_at=1)),
    "a date in 2200": Bad("implausible_time", APPEALS, lambda u: forged(appeal(u), submitted_at=YEAR_2200)),
    "a date after tomorrow": Bad(
        "implausible_time", APPEALS, lambda u: CODEC.encode(appeal(u, submitted_at=NOW + 2 * DAY))
    ),
    "sent in 1970": Bad("implausible_time", APPEALS, lambda u: CODEC.encode(appeal(u)), at=1),
    "a negative amount": Bad(
        "impossible_input", ENFORCEMENTS, lambda u: CODEC.encode(enforcement(u, 9, amount=builders.euros("-1.00")))
    ),
    "an amount finer than its currency": Bad(
        "impossible_input", ENFORCEMENTS, lambda u: CODEC.encode(enforcement(u, 9, amount=builders.euros("1.005")))
    ),
    "an effect of unknown kind": Bad("unknown_symbol", ENFORCEMENTS, lambda u: with_effect(u, kind="UNKNOWN")),
    "an answer under the key of another user": Bad(
        "key_mismatch", ACKS, lambda u: CODEC.encode(ack(u)), lambda _: b"somebody-else"
    ),
}


def following(topic: str, user: str) -> list[r.Record]:
    """The next good record on the topic; the last one of the list leaves a line in the audit."""
    return {
        APPEALS: [appeal(user, "next")],
        ENFORCEMENTS: [enforcement(user, 2), appeal(user, "next", 2)],
        REVIEWS: [claim(user)],
        ACKS: [ack(user)],
    }[topic]


# --- the real worker -------------------------------------------------------------------------------------------


class Judged(NamedTuple):
    """One worker's life over all bad records."""

    installation: Installation
    bad: dict[str, Delivered]
    after: dict[str, tuple[Delivered, str]]
    """The record after the bad one, and the event of which a line must tell that it was judged."""
    log: list[str]
    """Of the worker."""
    answers: dict[str, tuple[int, str]]
    """What its metrics port said when it had judged everything, by path: status and text."""
    round_trips: set[str]
    """Clients that have told of any."""

    def hear(self, port: int) -> bool:
        with contextlib.suppress(OSError):  # it has not begun to listen
            text = ask(port, "/metrics")[1]
            self.round_trips.update(re.findall(r'kafka_round_trip_seconds\{client="(\w+)"\} (?!0\.0\n)', text))
        return self.round_trips == {"consumer", "producer"}


@pytest.fixture(scope="module")
def judged(kafka, redis_url, tmp_path_factory):
    name, folder = f"bad-input-{uuid.uuid4().hex[:10]}", tmp_path_factory.mktemp("bad-input")
    with Installation(kafka, redis_url, name, folder, batch_records=50) as installation:
        found = Judged(installation, {}, {}, [], {}, set())
        for number, (what, bad) in enumerate(BAD.items()):
            user = r.UserId(f"user-{number}")
            [first] = installation.send([row_of(enforcement(user), SENT_AT - SECOND)])
            row = Row(bad.topic, bad.key(user), bad.value(user), bad.at, None)
            [found.bad[what]] = installation.send([row], partition=first.partition, headers=[("trace-id", b"7")])
            records = following(bad.topic, user)
            rows = [row_of(record, SENT_AT + SECOND) for record in records]
            after = installation.send(rows, headers=[("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode())])
            found.after[what] = next(d for d in after if d.row.topic == bad.topic), records[-1].event_id
        port = free_port()
        worker = installation.start(metrics_port=port, kafka_statistics_s=0.2)
        # The client tells of the newest fifth of a second alone: ask while there is something to do.
        installation.until(lambda: found.hear(port), "round trips of both clients")
        installation.until_done()
        told = 'kafka_bytes_total{client="producer",way="sent"} 0.0'
        installation.until(lambda: told not in ask(port, "/metrics")[1], "the producer's statistics")
        found.answers.update({path: ask(port, path) for path in ("/metrics", "/livez", "/readyz", "/nothing")})
        assert worker.stop() == Exit.OK
        found.log.extend(worker.text().splitlines())
        yield found


@pytest.fixture(scope="module")
def letters(judged):
    """Dead letters by the place that their headers name."""
    installation = judged.installation
    return {installation.origin(m): m for _, m in installation.messages(Role.DEAD_LETTERS)}


@pytest.fixture(scope="module")
def arrived(judged):
    return judged.installation.arrived()


@pytest.mark.rule(7)
@pytest.mark.parametrize("what", BAD)
def test_a_bad_record_is_set_aside_whole_and_the_next_of_its_partition_is_judged(judged, letters, arrived, what):
    bad, sent = BAD[what], judged.bad[what]
    letter = letters[sent.row.topic, sent.partition, sent.offset]
    headers = dict(letter.headers())

    assert headers["recourse.reason"].decode() == bad.reason
    assert (letter.key(), letter.value()) == (sent.row.key or None, sent.row.value)
    assert letter.headers()[0] == ("trace-id", b"7")
    assert headers["recourse.timestamp"].decode() == str(bad.at)
    assert letter.timestamp()[1] == bad.at or bad.at < SENT_AT - DAY <= letter.timestamp()[1]
    assert headers["__streams.errors.topic"].decode() == judged.installation.prefix + bad.topic
    assert headers["__streams.errors.exception"]
    assert headers["__streams.errors.message"]
    assert not headers["__streams.errors.stacktrace"], "all of these were foreseen: no defect of ours to trace"

    after, event_id = judged.after[what]
    assert (after.row.topic, after.partition, after.offset) == (bad.topic, sent.partition, sent.offset + 1)
    assert event_id in {line.cause_id for line in arrived.lines}


@pytest.mark.rule(7)
def test_each_bad_record_has_one_dead_letter_and_everything_else_is_as_if_it_had_not_come(judged, arrived):
    assert faults(judged.installation.sent(), arrived) == []


def test_dlq_list_shows_every_dead_letter_with_its_reason_and_counts_them(judged):
    listed = judged.installation.recourse("dlq", "list")

    assert (listed.returncode, listed.stderr) == (0, "")
    reasons = [bad.reason for bad in BAD.values()]
    counts = ", ".join(f"{reason} {reasons.count(reason)}" for reason in sorted(set(reasons)))
    assert listed.stdout.splitlines()[-1].strip() == counts
    for sent in judged.bad.values():
        origin = f"{judged.installation.prefix}{sent.row.topic}[{sent.partition}]@{sent.offset} "
        assert origin in listed.stdout

    only = judged.installation.recourse("dlq", "list", "--topic", REVIEWS)
    assert only.stdout.splitlines()[-1].strip() == "null_value 1, unknown_symbol 1"


@pytest.mark.parametrize("what", ["no key", "no value", "a key that is not text", "an array bomb"])
def test_dlq_show_prints_a_dead_letter_whole(judged, letters, what):
    sent = judged.bad[what]
    letter = letters[sent.row.topic, sent.partition, sent.offset]

    shown = judged.installation.recourse("dlq", "show", f"{letter.topic()}[{letter.partition()}]@{letter.offset()}")

    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert lines[0] == f"key    {sent.row.key!r}"
    assert f"header recourse.reason: {BAD[what].reason}" in lines
    assert "header trace-id: 7" in lines
    value = sent.row.value or b""
    assert lines[-1] == f"value  {len(value)} bytes: {value.hex()}"


def ask(port: int, path: str) -> tuple[int, str]:
    """Status and text of an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def figures(judged: Judged) -> dict[str, float]:
    """The scrape, by name and labels, without those that are 0."""
    lines = [line for line in judged.answers["/metrics"][1].splitlines() if line.startswith("recourse_")]
    found = {line.rpartition(" ")[0].removeprefix("recourse_"): float(line.rpartition(" ")[2]) for line in lines}
    return {name: value for name, value in found.items() if value}


def test_worker_that_has_judged_everything_is_alive_and_ready(judged):
    assert judged.answers["/livez"] == judged.answers["/readyz"] == (200, "ok\n")
    assert judged.answers["/nothing"][0] == 404


def test_scrape_counts_dead_letters_by_where_from_and_why(judged):
    found = {name: value for name, value in figures(judged).items() if name.startswith("dead_letters_total")}
    wanted = Counter(f'dead_letters_total{{input="{bad.topic}",reason="{bad.reason}"}}' for bad in BAD.values())
    assert found == dict(wanted)


def test_scrape_of_a_worker_that_has_caught_up_says_so(judged, arrived):
    found = figures(judged)
    assert not [name for name in found if name.startswith("input_behind")]
    behind = re.findall(r"^recourse_input_behind_records.* 0\.0$", judged.answers["/metrics"][1], re.MULTILINE)
    assert len(behind) == 5 * PARTITIONS, "every partition of every input is told of"
    opened = sum(line.kind is v.CaseEventKind.CASE_OPENED for line in arrived.lines)
    assert found["appeal_to_case_seconds_count"] == opened > 0
    assert found["worker_ready"] == 1
    assert found["transactions_begun_total"] == found["transactions_committed_total"] == found["batch_records_count"]
    assert all(found[f'batch_step_seconds_count{{step="{step}"}}'] for step in ("take", "read", "fold", "apply"))
    assert "label_values_refused_total" not in str(found)
    assert abs(found["clock_ahead_seconds"]) < 1, "Redis runs on this machine"


def test_case_line_and_notice_carry_the_trace_that_their_appeal_came_in(judged):
    carried: dict[str, int] = Counter()
    for topic, message in judged.installation.messages(Role.OUTPUT):
        told = dict(message.headers() or []).get("traceparent", b"").decode()
        if told:
            assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", told)
            carried[topic.name] += 1
    appeals = sum(bad.topic in (APPEALS, ENFORCEMENTS) for bad in BAD.values())
    assert carried["appellant.notices"] >= appeals
    assert carried["case.events"] >= appeals
    assert any(name.startswith("cases.") for name in carried)


@pytest.mark.parametrize("client", ["consumer", "producer"])
def test_scrape_tells_what_kafkas_clients_say_of_themselves(judged, client):
    found = figures(judged)
    assert found[f'kafka_brokers_up{{client="{client}"}}'] == 1
    assert found[f'kafka_bytes_total{{client="{client}",way="sent"}}'] > 0
    assert client in judged.round_trips


def test_log_has_ids_and_reasons_and_no_text_of_anybody(judged):
    lines = [json.loads(line) for line in judged.log]
    events = {line["event"] for line in lines}
    assert events >= {"worker_started", "partitions_assigned", "caught_up", "dead_letters", "worker_stopped"}
    assert sum(line["records"] for line in lines if line["event"] == "dead_letters") == len(BAD)
    assert {line["reason"] for line in lines if line["event"] == "dead_letters"} == {bad.reason for bad in BAD.values()}
    everything = "\n".join(judged.log)
    for text in (PLANTED, "daughter", "s3://", "my%20daughter"):
        assert text not in everything
    assert PLANTED in str([sent.row.value for sent in judged.bad.values()]), "it was there to be found"


@pytest.fixture
def installation(kafka, redis_url, app_id, tmp_path):
    with Installation(kafka, redis_url, app_id, tmp_path) as installation:
        yield installation


@pytest.mark.rule(7)
def test_a_worker_that_can_judge_nearly_nothing_stops_and_sets_nothing_aside(installation):
    installation.send(Row(APPEALS, b"user-1", b"from a writer gone wrong", SENT_AT + n, None) for n in range(600))

    worker = installation.start()

    assert worker.ended() == Exit.TOO_MANY_DEAD_LETTERS
    assert "500 records in a row could not be judged" in worker.text()
    assert "Traceback" not in worker.text()
    assert installation.done() == 0
    assert list(installation.messages(Role.DEAD_LETTERS)) == []


# --- inside the worker -----------------------------------------------------------------------------------------


def judge(installation: Installation, **changes: Callable) -> None:
    """Process all that was sent within this process, by the appeals fold with these parts exchanged."""
    settings = Settings(
        kafka=installation.kafka,
        redis=installation.environment["RECOURSE_REDIS"],
        topic_prefix=installation.prefix,
        group=installation.name,
    )
    app = dataclasses.replace(the_app(installation, CODEC), **changes)
    worker = build(app, settings, settings.engine(), redis=installation.redis, metrics=NoMetrics())
    deadline = time.monotonic() + 60
    worker.run(lambda: installation.done() == len(installation.delivered) or time.monotonic() > deadline)
    assert installation.done() == len(installation.delivered)


def the_app(installation: Installation, codec: Codec) -> FoldApp:
    rulebook = open_rulebook(Settings())
    return appeals_app(name=installation.name, register=installation.register, codec=codec, rulebook=rulebook)


@pytest.mark.rule(7)
def test_a_handler_that_raises_leaves_the_dossier_as_it_was_and_a_trace_in_the_dead_letter(installation):
    refused, again = appeal("user-1"), appeal("user-1")
    assert refused.appeal_id == again.appeal_id
    real = the_app(installation, CODEC).handle

    def handle(dossier, event, ctx):
        real(dossier, event, ctx)
        if event == refused:
            raise LookupError("after half of the work")

    rows = [row_of(record, SENT_AT) for record in (enforcement("user-1"), refused, again)]
    rows[1] = rows[1]._replace(record=None)
    installation.send(rows)
    judge(installation, handle=handle)

    arrived = installation.arrived()
    assert faults(installation.sent(), arrived) == []
    # Had the dossier kept anything of the first delivery, the second would have been a silent redelivery.
    assert [(line.kind, line.seq, line.cause_id) for line in arrived.lines] == [
        (v.CaseEventKind.CASE_OPENED, 1, again.event_id)
    ]
    [(_, letter)] = installation.messages(Role.DEAD_LETTERS)
    headers = dict(letter.headers())
    assert headers["recourse.reason"] == b"handler_raised"
    assert headers["__streams.errors.exception"] == b"builtins.LookupError"
    assert headers["__streams.errors.message"] == b"after half of the work"
    assert b"Traceback (most recent call last)" in headers["__streams.errors.stacktrace"]


@pytest.mark.rule(7)
def test_a_symbol_newer_than_the_worker_stops_a_decision_and_is_carried_on_elsewhere(installation):
    registry = FakeRegistry()

    def newer(record: r.Record, field: str, symbol: str) -> bytes:
        """As a writer one release ahead of us sends it, with a symbol that we do not know."""
        text = json.dumps(current(type(record)))
        symbols = json.dumps([*type(getattr(record, field))])
        assert symbols in text
        schema = json.loads(text.replace(symbols, json.dumps([*json.loads(symbols), symbol])))
        number = registry.add(full_name(type(record)), json.dumps(schema))
        body = forged(record, schema=schema, **{field: symbol})[SINGLE_OBJECT_HEAD:]
        return b"\x00" + number.to_bytes(4, "big") + body

    harmless, critical, against = enforcement("user-1"), enforcement("user-1", 2), appeal("user-1")
    rows = [
        row_of(harmless, SENT_AT - SECOND)._replace(
            value=newer(harmless, "category", "STATEMENT_CATEGORY_OF_NEXT_YEAR")
        ),
        row_of(critical, SENT_AT)._replace(value=newer(critical, "action", "exile"), record=None),
        row_of(against, SENT_AT + SECOND),
    ]
    installation.send(rows)
    judge(installation, decode=the_app(installation, Codec(registry)).decode)

    arrived = installation.arrived()
    assert faults(installation.sent(), arrived) == []
    [case] = [case for case in arrived.pods.values() if case is not None]
    assert case.enforcement.category is v.Category.UNKNOWN
    [(_, letter)] = installation.messages(Role.DEAD_LETTERS)
    assert dict(letter.headers())["recourse.reason"] == b"unknown_symbol"
    assert b"'exile'" in dict(letter.headers())["__streams.errors.message"]
