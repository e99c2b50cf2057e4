"""Ten years of published takedown notices through a real Kafka and Redis, counted independently.

What must come out is computed here in plain Python from the file; the mapping and the decision logic are not asked.
"""

import csv
import io
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console

from schemas.codec import Codec
from schemas.records import AppellantNotice, Case, CaseEvent
from tests.takedowns import DAY_MS, EVENTS, File, millis, needs_takedowns, owners, refusals_of
from topology.cluster import Cluster
from topology.replay.command import Wanted, replay, through
from topology.replay.mapping_file import load_mapping
from topology.replay.outcome import read_all
from topology.replay.plan import survey
from topology.report.command import count
from topology.report.complaint import Restriction, Result
from topology.report.ledger import entries
from topology.report.period import parse_period
from topology.settings import Settings
from topology.topics import load_register

MINUTE_MS = 60_000
PARKING_MS = 7 * DAY_MS
FIRST_MS, LAST_MS = 1_293_840_000_000, 1_672_531_200_000  # 2011 to 2022

pytestmark = needs_takedowns


# --- what comes out: two runs over real servers ------------------------------------------------------------------


@dataclass
class Run:
    balance: object
    raw: dict
    """(topic without prefix, partition) to [(timestamp, key, value)]."""
    settings: Settings

    def decoded(self, name, kind):
        allowed = load_register().by_name[name].allowed
        codec = Codec()
        values = [value for (topic, _), rows in self.raw.items() if topic == name for _, _, value in rows]
        return [r for r in (codec.decode(v, allowed) for v in values if v is not None) if type(r) is kind]

    @property
    def audit(self):
        return self.decoded("case.events", CaseEvent)


def dump(kafka, prefix):
    reader = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": f"{prefix}dump",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    inputs = {topic.name for topic in load_register().inputs}
    found = reader.list_topics(timeout=30).topics
    names = [n for n in found if n.startswith(prefix) and n.removeprefix(prefix) not in inputs | {"dossiers.changelog"}]
    parts = [TopicPartition(name, number, 0) for name in names for number in found[name].partitions]
    raw = {(tp.topic.removeprefix(prefix), tp.partition): [] for tp in parts}
    reader.assign(parts)
    left = len(parts)
    while left:
        for message in reader.consume(1_000, 0.1):
            if message.error() is not None:
                left -= 1
                continue
            where = (message.topic().removeprefix(prefix), message.partition())
            raw[where].append((message.timestamp()[1], message.key(), message.value()))
    reader.close()
    return raw


@pytest.fixture(scope="module")
def file():
    return File()


@pytest.fixture(scope="module")
def runs(kafka, redis_url, tmp_path_factory):
    """The file replayed twice, in batches of different sizes."""
    name = f"dmca-{tmp_path_factory.mktemp('dmca').name}-{datetime.now(UTC).timestamp():.6f}".replace("_", "-")
    plan = survey(EVENTS, load_mapping("dmca"))
    made = []
    for batch_records in (2_000, 137):
        prefix = f"{name}-{batch_records}."
        settings = Settings(
            kafka=kafka, redis=redis_url, topic_prefix=prefix, group=prefix + "group", batch_records=batch_records
        )
        made.append(Run(through(plan, settings), dump(kafka, prefix), settings))
    return made


@pytest.fixture(scope="module")
def run(runs):
    return runs[0]


@pytest.fixture(scope="module")
def ends(run):
    """(account, enforcement id) to what the audit says of the appeal, in order."""
    found = defaultdict(list)
    for line in run.audit:
        if line.kind in ("AppealParked", "CaseOpened", "AppealRefused", "AppealWithdrawnUnopened"):
            found[line.user_id, line.appeal_id].append(line)
    return found


def lines_of(ends, appeal):
    """The audit of one expected appeal, found by account, row and notice."""
    named = (f"{appeal.row}:", f":{appeal.user}")
    keys = [
        (user, appeal_id)
        for user, appeal_id in ends
        if user == appeal.user and appeal_id.startswith(named[0]) and appeal.notice in appeal_id
    ]
    assert len(keys) == 1, f"{appeal} has {len(keys)} appeals in the audit"
    return ends[keys[0]]


def final(lines):
    return [line for line in lines if line.kind != "AppealParked"]


# --- tests -------------------------------------------------------------------------------------------------------


def test_every_appeal_ends_in_one_case_or_one_named_refusal(file, ends):
    assert len(ends) == len(file.appeals) > 250
    for appeal in file.appeals:
        end = final(lines_of(ends, appeal))
        assert len(end) == 1, appeal
        if end[0].kind != "CaseOpened":
            assert end[0].kind == "AppealRefused"
            assert end[0].reason


def test_balance_is_even_and_counts_what_the_file_holds(file, run):
    balance = run.balance
    assert balance.even, balance.faults
    notices = sum(len(owners(row)) for row in file.of("notice"))
    assert (balance.total.enforcements, balance.total.appeals) == (notices, len(file.appeals))
    assert sum(balance.rows.values()) == len(file.rows)
    kinds = Counter(line.kind for line in run.audit)
    refused = sum(balance.total.refused.values())
    assert (balance.total.cases, refused) == (kinds["CaseOpened"], kinds["AppealRefused"])
    assert len(file.appeals) == balance.total.cases + refused + balance.total.parked + balance.total.withdrawn


def test_no_row_vanishes(file, run):
    nameless = Counter(row["kind"] for row in file.of("notice", "counternotice") if not owners(row))
    skipped = Counter()
    for item in run.balance.rows_skipped:
        skipped[item.kind, item.reason] += item.count
    assert skipped["notice", "names_no_account"] == nameless["notice"]
    assert skipped["counternotice", "names_no_account"] == nameless["counternotice"]
    appealed = {appeal.row for appeal in file.appeals}
    in_court = [set(row["answers_notice_id"].split(";")) & appealed for row in file.of("legal_action")]
    assert skipped["legal_action", "answers_no_appeal_on_file"] == sum(not rows for rows in in_court)
    left_over = sum(
        len(owners(row)) - len({a.user for a in file.appeals if a.row == row["notice_id"]})
        for row in file.of("counternotice")
    )
    unmatched = sum(item.count for item in run.balance.users_unmatched if item.kind == "counternotice")
    assert unmatched == left_over


def test_appeals_that_come_before_their_notice_wait_and_are_joined(file, ends):
    early = [appeal for appeal in file.appeals if appeal.early]
    assert len({appeal.row for appeal in early}) == 5
    for appeal in early:
        assert [line.kind for line in lines_of(ends, appeal)] == ["AppealParked", "CaseOpened"]
        opened = lines_of(ends, appeal)[1]
        assert opened.occurred_at == millis(file.by_id[appeal.notice]["published_at"])


def test_the_appeal_that_answers_nothing_is_refused_when_the_parking_time_is_over(file, ends):
    [dangling] = [appeal for appeal in file.appeals if not appeal.notice]
    parked, refused = lines_of(ends, dangling)
    assert (parked.kind, refused.kind, refused.reason) == ("AppealParked", "AppealRefused", "no_enforcement_on_file")
    assert refused.occurred_at == dangling.at + PARKING_MS


def test_an_appeal_against_what_did_not_hit_the_account_is_refused_by_name(file, ends):
    strangers = [appeal for appeal in file.appeals if appeal.notice and not appeal.shared]
    assert len(strangers) == 4
    for appeal in strangers:
        assert [line.reason for line in final(lines_of(ends, appeal))] == ["no_enforcement_on_file"]


def test_the_exact_duplicate_is_recognised(file, ends):
    first = {}
    repeated = []
    for appeal in file.appeals:
        before = first.setdefault((appeal.user, appeal.notice), appeal)
        if before is not appeal:
            repeated.append((before, appeal))
    assert len(repeated) == 3
    exact = [pair for pair in repeated if pair[1].at - pair[0].at < MINUTE_MS]
    assert len(exact) == 1
    before, after = exact[0]
    assert final(lines_of(ends, before))[0].kind == "CaseOpened"
    assert [line.reason for line in final(lines_of(ends, after))] == ["duplicate"]


def test_refusals_are_those_that_the_dates_of_the_file_give(file, ends):
    for appeal, expected in refusals_of(file):
        assert [line.reason for line in final(lines_of(ends, appeal))] == [expected], appeal


def test_every_lifted_or_withdrawn_case_is_closed(file, run):
    decided = Counter(str(line.outcome) for line in run.audit if line.kind == "CaseDecided")
    assert decided["withdrawn"] == len(file.of("counternotice_retraction"))
    assert decided["moot"] > 0
    assert set(decided) == {"moot", "upheld", "withdrawn"}


def test_a_rejection_in_time_is_upheld_or_looked_at_twice_and_one_after_the_deadline_is_rejected(file, run, ends):
    rejected = {row["answers_notice_id"]: millis(row["published_at"]) for row in file.of("counternotice_reversal")}
    answered = [appeal for appeal in file.appeals if appeal.row in rejected]
    assert len(answered) == 6
    for appeal in answered:
        [case_id] = {line.case_id for line in lines_of(ends, appeal) if line.kind == "CaseOpened"}
        kinds = {str(line.kind) for line in run.audit if line.case_id == case_id}
        if rejected[appeal.row] < appeal.at + 28 * DAY_MS:
            assert kinds & {"CaseDecided", "DecisionProposed"}, appeal
        else:  # by then the lead pod had the case
            stale = [line for line in run.audit if line.case_id == case_id and line.kind == "ReviewRejected"]
            assert [line.reason for line in stale] == ["stale_version", "not_claimed"], appeal


def test_cases_that_went_to_court_are_held_and_their_work_clock_stands_still(file, run):
    appealed = {(a.row, a.user) for a in file.appeals}
    in_court = {row for legal in file.of("legal_action") for row in legal["answers_notice_id"].split(";")}
    held = [line for line in run.audit if line.kind == "CaseHeld"]
    assert 0 < len(held) <= sum(row in in_court for row, _ in appealed)
    assert {line.reason for line in held} == {"legal_proceedings"}
    for line in held:
        [after] = [other for other in run.audit if other.case_id == line.case_id and other.kind == "PauseCapped"]
        assert int(after.saw["paused_ms"]) == 14 * DAY_MS


def test_wrong_dates_do_no_harm(file, run):
    assert sum(1 for row in file.rows if row["date_suspect"]) > 0
    assert not any(rows for (topic, _), rows in run.raw.items() if topic.endswith(".dlq"))
    cases = [case for topic in load_register().pods for case in run.decoded(f"cases.{topic}", Case)]
    assert cases
    for case in cases:
        assert FIRST_MS <= case.submitted_at <= case.rank_at <= case.due_at <= LAST_MS
        assert case.submitted_at <= case.promised_at
        assert case.opened_at >= case.submitted_at - DAY_MS
    times = [line.occurred_at for line in run.audit]
    assert min(times) >= FIRST_MS
    assert max(times) <= LAST_MS


def test_every_appellant_is_told(run, ends):
    told = Counter(notice.appeal_id for notice in run.decoded("appellant.notices", AppellantNotice))
    assert set(told) == {appeal_id for _, appeal_id in ends}


def test_two_runs_in_other_batches_give_the_same_bytes(runs):
    one, two = (run.raw for run in runs)
    assert one.keys() == two.keys()
    by_case = {where for where in one if where[0].startswith("cases.")}
    kept = {where for where in one if where[0] == "rulebooks"}  # put there as the worker starts, by its own clock
    for where in one.keys() - by_case - kept:
        assert one[where] == two[where], where
    for where in kept:
        assert [row[1:] for row in one[where]] == [row[1:] for row in two[where]]
    # Years old, so the broker may have compacted any of it by now; what is newest of each key is promised.
    for where in by_case:
        assert newest(one[where]) == newest(two[where]), where
    assert runs[0].balance.digest == runs[1].balance.digest


@pytest.fixture(scope="module")
def figures(run):
    """What the regulator's report counts on the topics, over all years."""
    found, missing = count(run.settings, parse_period(None, "2011-01-01/2021-12-31"))
    assert missing == []
    return found


def test_the_report_counts_the_complaints_and_measures_that_the_file_holds(file, figures):
    happened = {row["notice_id"]: day_of(row) for row in file.rows}
    duplicates = [appeal for appeal, reason in refusals_of(file) if reason == "duplicate"]
    complaints = Counter(happened[appeal.row].year for appeal in file.appeals)
    complaints.subtract(happened[appeal.row].year for appeal in duplicates)
    assert Counter(year_of(one.submitted_at) for one in figures.complaints) == complaints
    assert figures.further_texts == len(duplicates) > 0
    measures = figures.measures
    assert (measures.automated, measures.other) == (0, sum(len(owners(row)) for row in file.of("notice")))
    strangers = sum(not appeal.shared for appeal in file.appeals)
    kinds = figures.by_restriction()
    assert kinds[Restriction.UNKNOWN].total == strangers
    assert kinds[Restriction.VISIBILITY].total == figures.tally().total - strangers
    refused = Counter(reason for _, reason in refusals_of(file) if reason not in (None, "duplicate"))
    refused["no_enforcement_on_file"] += strangers
    endings = figures.endings(Result.OMITTED)
    assert {why.removeprefix("refused:"): n for why, n in endings.items() if why.startswith("refused:")} == refused


def test_the_report_tells_results_and_median_as_the_audit_has_them(file, figures, run):
    submitted = {(a.user, a.row, a.notice): day_of(file.by_id[a.row]) for a in file.appeals}
    assert len(submitted) == len(file.appeals)
    decided = {line.appeal_id: line for line in run.audit if line.kind == "CaseDecided"}
    upheld = [line for line in decided.values() if line.outcome == "upheld"]
    tally = figures.tally()
    assert (tally.upheld, tally.partially_reversed, tally.reversed) == (len(upheld), 0, 0)
    assert tally.omitted == tally.total - len(upheld)
    took = sorted(line.occurred_at - int(line.saw["submitted_at"]) for line in upheld)
    assert tally.median_ms * 2 == took[(len(took) - 1) // 2] + took[len(took) // 2]


def test_the_ledger_leads_from_every_notice_that_was_appealed_to_what_came_of_it(file, figures, run):
    found = {(entry.statement_of_reasons_id, entry.appeal_id): entry for entry in entries(figures)}
    for line in run.audit:
        if line.kind == "CaseDecided":
            entry = found[line.saw["statement_of_reasons_id"], line.appeal_id]
            assert entry.outcome.split(":")[0] == line.outcome
            assert entry.case_id == line.case_id
    assert len(found) == figures.tally().total


def day_of(row):
    """When it happened, as the mapping promises: the date of the row, unless it cannot be right."""
    at, published = (datetime.fromisoformat(row[name]) for name in ("ts_date", "published_at"))
    at = at.replace(tzinfo=UTC)
    wrong = bool(row["date_suspect"]) or at.year < 2000 or at > published + timedelta(days=1)
    return published if wrong else at


def year_of(at_ms):
    return datetime.fromtimestamp(at_ms / 1000, UTC).year


def newest(rows):
    """The newest row of each key that is not a tombstone, by key."""
    found = {key: (timestamp, value) for timestamp, key, value in rows}
    return {key: row for key, row in found.items() if row[1] is not None}


# --- into topics that are there already --------------------------------------------------------------------------


def test_without_servers_of_its_own_it_loads_keyed_and_dated_and_warns_of_retention(
    kafka, redis_url, app_id, tmp_path, file
):
    rows = [row for row in file.of("notice") if owners(row)][:40]
    few = tmp_path / "few.csv"
    with few.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    settings = Settings(kafka=kafka, redis=redis_url, topic_prefix=f"{app_id}.", group=app_id)
    register = load_register(settings.topic_prefix)
    Cluster(settings.kafka_config(), register).create_missing()
    shown = io.StringIO()
    balance = replay(Wanted(path=few, mapping="dmca", rate=1e6), settings, Console(file=shown, width=200))
    assert f"{app_id}.appellant.notices: retention.ms" in shown.getvalue()
    assert not balance.processed
    messages = list(read_all(settings.kafka_config(), [register.on_cluster("enforcement.events")]))
    codec, allowed = Codec(), register.by_name["enforcement.events"].allowed
    expected = Counter((millis(row["published_at"]), user) for row in rows for user in owners(row))
    assert Counter((m.timestamp()[1], m.key().decode()) for m in messages) == expected
    assert all(codec.decode(m.value(), allowed).user_id == m.key().decode() for m in messages)
