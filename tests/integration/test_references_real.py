"""A real worker and the reference topics: a detector goes bad, a pod fills up, and both are in the audit."""

from __future__ import annotations

import io
import time
import uuid

import pytest
from rich.console import Console

from schemas import records as r
from schemas.codec import Codec
from schemas.vocabulary import Action, CaseEventKind
from tests.integration.worker_process import Installation, Row, counted, free_port
from tests.integration.workload import HOUR, row_of
from tests.unit import builders
from tests.unit.test_references import a_load, a_rate
from topology.audit import command
from topology.exits import Exit
from topology.reference_tables import LOADS, RATES
from topology.settings import Settings

CODEC = Codec()
NOW = time.time_ns() // 1_000_000
DEFECTIVE = b"\xc3\x01 no record of ours"


def reference(topic: str, key: str, record: r.Record | bytes | None) -> Row:
    value = record if record is None or isinstance(record, bytes) else CODEC.encode(record)
    return Row(topic, key.encode(), value, NOW, None)


def wronged(user: str) -> list[Row]:
    """A ban by a machine, and the appeal against it."""
    about = {"user_id": r.UserId(user), "enforcement_id": f"e-{user}"}
    issued = builders.an_enforcement(NOW - HOUR, event_id=f"i-{user}", action=Action.BAN, policy="spam", **about)
    appeal = builders.an_appeal(NOW - HOUR, f"a-{user}", appellant_id=user, event_id=f"s-{user}", **about)
    return [row_of(issued, NOW - HOUR), row_of(appeal, NOW - HOUR + 1)]


def rate(overturned: int) -> Row:
    return reference(RATES, "r-86400", a_rate(overturned, 40, policy="spam", until=NOW))


@pytest.fixture(scope="module")
def judged(kafka, redis_url, tmp_path_factory):
    """Two users, alike but for what the whole system knew when they appealed."""
    name, port = f"references-{uuid.uuid4().hex[:10]}", free_port()
    with Installation(kafka, redis_url, name, tmp_path_factory.mktemp(name), output_partitions=1) as installation:
        sent = 0

        def tell(*rows: Row) -> None:
            nonlocal sent
            installation.send(rows)
            del installation.delivered[-len(rows) :]  # these are no inputs
            sent += len(rows)

        def judge(user: str) -> None:
            installation.send(wronged(user))
            installation.until_done()

        tell(reference(LOADS, "payments", DEFECTIVE), rate(2))
        worker = installation.start(metrics_port=port)
        judge("u-before")
        tell(reference(LOADS, "accounts", a_load("accounts", at=NOW)), rate(36))
        # A worker looks between two batches: something to fold comes until it has seen everything.
        others = iter(range(1_000))

        def seen() -> bool:
            judge(f"u-other-{next(others)}")
            return counted(port, "reference_records_total") >= sent

        installation.until(seen, "the worker has read the reference topics")
        judge("u-after")
        refused = counted(port, "reference_refused_total")
        assert worker.stop() == Exit.OK, worker.text()
        yield installation, installation.arrived().lines, refused


def opened(lines: list[r.CaseEvent], user: str) -> r.CaseEvent:
    [line] = [line for line in lines if line.user_id == user and line.kind is CaseEventKind.CASE_OPENED]
    return line


def test_the_score_rises_when_the_detector_goes_bad_and_the_line_says_why(judged):
    _, lines, _ = judged
    before, after = opened(lines, "u-before"), opened(lines, "u-after")
    assert (before.saw["rate_overturned"], after.saw["rate_overturned"]) == ("2", "36")
    assert after.score > before.score + 50


def test_a_full_pod_sends_new_cases_to_its_substitute_and_the_line_says_so(judged):
    _, lines, _ = judged
    assert opened(lines, "u-before").pod == "accounts"
    assert (opened(lines, "u-after").pod, opened(lines, "u-after").saw["full_pods"]) == ("general", "accounts")


def test_a_worker_knows_the_tables_before_its_first_decision(judged):
    _, lines, _ = judged
    first = min(lines, key=lambda line: line.occurred_at)
    assert first.user_id == "u-before"
    assert opened(lines, "u-before").saw["rate_decided"] == "40"


def test_a_record_that_cannot_be_read_is_counted_and_stops_nothing(judged):
    _, _, refused = judged
    assert refused == 1


def settings_of(installation: Installation) -> Settings:
    return Settings(kafka=installation.kafka, topic_prefix=installation.prefix, group=installation.name)


def test_a_life_is_folded_again_to_the_same_lines_without_the_tables(judged):
    console = Console(file=io.StringIO(), record=True, width=400)
    assert command.replay("a-u-after", settings_of(judged[0]), console), console.export_text()


def test_the_case_shows_what_was_seen(judged):
    console = Console(file=io.StringIO(), record=True, width=400)
    command.show("a-u-after", settings_of(judged[0]), console)
    shown = console.export_text()
    assert "36 of 40 by fake-finder 7 overturned in 1d, worth 40" in shown
    assert "accounts is full" in shown
