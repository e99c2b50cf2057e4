"""What a mapping makes of rows: fields, fallbacks, joins in both directions, and what makes nothing."""

import csv
import json

import fastavro
import msgspec
import pytest

from processors import ids
from schemas.records import AppealSubmitted, AppealWithdrawn, CaseClaimed, EnforcementIssued, EnforcementLifted
from schemas.vocabulary import AppealGround, LiftReason
from topology.engine.errors import Misconfigured
from topology.replay.mapping_file import load_mapping, parse_mapping
from topology.replay.plan import survey
from topology.replay.rows import Format

COLUMNS = [
    *("notice_id", "kind", "published_at", "ts_date", "date_suspect", "claims_circumvention"),
    *("response", "partial", "owner_hashes", "answers_notice_id"),
]
DAY_MS = 86_400_000
MARCH_1_MS = 1_456_790_400_000  # 2016-03-01


def a_row(kind, row_id, *, owners="", answers="", at="2016-03-01T00:00:00Z", **more):
    given = dict(kind=kind, notice_id=row_id, owner_hashes=owners, answers_notice_id=answers, published_at=at, **more)
    return {column: given.get(column, "") for column in COLUMNS}


def a_file(folder, *rows):
    path = folder / "events.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def mapped(tmp_path):
    def apply(*rows):
        plan = survey(a_file(tmp_path, *rows), load_mapping("dmca"))
        return [made.record for made in plan.made()], plan

    return apply


def of(records, kind):
    return [record for record in records if type(record) is kind]


def dropped(plan):
    return {(kind, reason): n for (_, kind, reason), n in plan.tally.skipped.items()}


def test_a_notice_is_one_enforcement_for_each_account(mapped):
    records, _ = mapped(a_row("notice", "n1", owners="u1;u2"))
    assert [(r.user_id, r.enforcement_id) for r in of(records, EnforcementIssued)] == [("u1", "n1:u1"), ("u2", "n1:u2")]


@pytest.mark.parametrize(("claims", "policy"), [("1", "dmca-circumvention"), ("0", "dmca"), ("", "dmca")])
def test_a_column_is_translated(mapped, claims, policy):
    records, _ = mapped(a_row("notice", "n1", owners="u1", claims_circumvention=claims))
    assert records[0].policy == policy


@pytest.mark.parametrize(
    ("date", "suspect", "issued_at"),
    [
        ("2016-02-29", "", MARCH_1_MS - DAY_MS),
        ("2016-03-02", "", MARCH_1_MS + DAY_MS),
        ("2016-03-03", "", MARCH_1_MS),
        ("2016-02-29", "1", MARCH_1_MS),
        ("1999-12-31", "", MARCH_1_MS),
        ("29/02/2016", "", MARCH_1_MS),
        ("", "", MARCH_1_MS),
    ],
    ids=["plausible", "a day ahead", "too far ahead", "suspect", "too early", "no date", "empty"],
)
def test_a_date_that_cannot_be_right_gives_way_to_the_time_of_publication(mapped, date, suspect, issued_at):
    records, _ = mapped(a_row("notice", "n1", owners="u1", ts_date=date, date_suspect=suspect))
    assert records[0].issued_at == issued_at


def test_a_counter_notice_appeals_for_the_accounts_that_it_shares(mapped):
    records, plan = mapped(
        a_row("notice", "n1", owners="u1;u2;u3"),
        a_row("counternotice", "c1", owners="u3;u1;x", answers="n1", response="dispute"),
    )
    appeals = of(records, AppealSubmitted)
    assert [(a.user_id, a.enforcement_id) for a in appeals] == [("u1", "n1:u1"), ("u3", "n1:u3")]
    assert appeals[0].grounds == [AppealGround.FACTS_WRONG]
    assert sum(plan.tally.unmatched.values()) == 1


def test_a_row_can_answer_one_that_comes_later(mapped):
    records, _ = mapped(a_row("counternotice", "c1", owners="u1", answers="n1"), a_row("notice", "n1", owners="u1"))
    assert [type(r) for r in records] == [AppealSubmitted, EnforcementIssued]
    assert records[0].enforcement_id == records[1].enforcement_id


def test_a_row_can_answer_several(mapped):
    records, _ = mapped(
        a_row("notice", "n1", owners="u1"),
        a_row("notice", "n2", owners="u1;u2"),
        a_row("counternotice", "c1", owners="u1;u2", answers="n1;n2"),
    )
    against = [a.enforcement_id for a in of(records, AppealSubmitted)]
    assert against == ["n1:u1", "n2:u1", "n2:u2"]
    assert len({a.appeal_id for a in of(records, AppealSubmitted)}) == 3


def test_without_an_account_in_common_each_account_appeals_against_what_did_not_hit_it(mapped):
    records, _ = mapped(a_row("notice", "n1", owners="u1"), a_row("counternotice", "c1", owners="x;y", answers="n1"))
    assert [a.enforcement_id for a in of(records, AppealSubmitted)] == ["n1:x", "n1:y"]


def test_an_appeal_that_answers_nothing_is_made_all_the_same(mapped):
    records, _ = mapped(a_row("counternotice", "c1", owners="u1"))
    assert [a.user_id for a in of(records, AppealSubmitted)] == ["u1"]


def test_a_retraction_lifts_for_the_accounts_that_it_names(mapped):
    records, _ = mapped(
        a_row("notice", "n1", owners="u1;u2"),
        a_row("retraction", "r1", owners="u2", answers="n1", partial="1"),
    )
    assert [(r.user_id, r.reason) for r in of(records, EnforcementLifted)] == [("u2", LiftReason.RETRACTED)]


def test_a_reversal_that_names_nobody_lifts_for_all(mapped):
    records, _ = mapped(a_row("notice", "n1", owners="u1;u2"), a_row("reversal", "r1", answers="n1"))
    assert [(r.user_id, r.reason) for r in of(records, EnforcementLifted)] == [
        ("u1", LiftReason.ERROR),
        ("u2", LiftReason.ERROR),
    ]


def test_a_partial_retraction_that_names_nobody_lifts_for_nobody(mapped):
    records, plan = mapped(a_row("notice", "n1", owners="u1"), a_row("retraction", "r1", answers="n1", partial="1"))
    assert not of(records, EnforcementLifted)
    assert dropped(plan) == {("retraction", "names_no_account"): 1}


def test_an_appeal_is_withdrawn_through_two_joins(mapped):
    records, _ = mapped(
        a_row("notice", "n1", owners="u1;u2"),
        a_row("counternotice", "c1", owners="u1;u2", answers="n1"),
        a_row("counternotice_retraction", "w1", owners="u2", answers="c1"),
    )
    [withdrawn] = of(records, AppealWithdrawn)
    assert withdrawn.appeal_id == of(records, AppealSubmitted)[1].appeal_id


def test_a_rejected_appeal_is_claimed_by_the_id_of_the_case_that_it_opened(mapped):
    records, _ = mapped(
        a_row("notice", "n1", owners="u1"),
        a_row("counternotice", "c1", owners="u1", answers="n1"),
        a_row("counternotice_reversal", "x1", answers="c1"),
    )
    [claim] = of(records, CaseClaimed)
    assert claim.case_id == ids.case_id(of(records, AppealSubmitted)[0].appeal_id)


def test_rows_that_make_nothing_are_counted_with_their_reason(mapped):
    records, plan = mapped(
        a_row("notice", "n1"),
        a_row("counternotice", "c1", answers="n1"),
        a_row("legal_action", "l1", answers="n1"),
        a_row("rumour", "x1"),
        a_row("counternotice_retraction", "w1", answers="c1"),
    )
    assert records == []
    assert dropped(plan) == {
        ("notice", "names_no_account"): 1,
        ("counternotice", "names_no_account"): 1,
        ("legal_action", "answers_no_appeal_on_file"): 1,
        ("rumour", "kind_without_rule"): 1,
        ("counternotice_retraction", "answers_no_appeal_on_file"): 1,
    }


def test_a_row_that_does_not_fit_stops_with_file_line_and_field(tmp_path):
    path = a_file(tmp_path, a_row("notice", "n1", owners="u1"), a_row("notice", "n2", owners="u" * 300))
    with pytest.raises(Misconfigured, match=r"events\.csv:3: records\.enforcement cannot be made .* `\$\."):
        survey(path, load_mapping("dmca"))


def test_a_row_without_a_time_stops_with_file_line_and_column(tmp_path):
    path = a_file(tmp_path, a_row("notice", "n1", owners="u1", at="yesterday"))
    with pytest.raises(Misconfigured, match=r"events\.csv:2: published_at is 'yesterday'"):
        survey(path, load_mapping("dmca"))


def test_a_value_without_a_translation_stops_when_it_is_used(tmp_path):
    text = """\
name: tones
source: {kind: kind, timestamp: published_at, columns: [response], lists: {owner_hashes: ";"}}
values:
  reason: {map: response, to: {sorry: retracted}}
records:
  lift:
    type: EnforcementLifted
    fields: {event_id: e, user_id: "{user}", enforcement_id: e, occurred_at: 1, reason: "{reason}"}
rules:
  notice: [{for_each: {user: owner_hashes}, emit: [lift]}]
"""
    path = a_file(tmp_path, a_row("notice", "n1", owners="u1", response="never"))
    with pytest.raises(Misconfigured, match=r"events\.csv:2: response is 'never', which value 'reason' does not"):
        survey(path, parse_mapping(text))


def test_the_same_rows_give_the_same_records_each_time(tmp_path):
    rows = [
        a_row("counternotice", "c1", owners="u2;u1", answers="n1;n2"),
        a_row("notice", "n1", owners="u1;u2"),
        a_row("notice", "n2", owners="u2"),
    ]
    path = a_file(tmp_path, *rows)
    once, again = (survey(path, load_mapping("dmca")) for _ in range(2))
    first = msgspec.json.encode([tuple(made) for made in once.made()])
    assert first == msgspec.json.encode([tuple(made) for made in once.made()])
    assert first == msgspec.json.encode([tuple(made) for made in again.made()])


def test_csv_json_lines_and_avro_give_the_same_records(tmp_path):
    rows = [
        a_row("notice", "n1", owners="u1;u2", ts_date="2016-02-29", claims_circumvention="1"),
        a_row("counternotice", "c1", owners="u2", answers="n1"),
    ]
    from_csv = a_file(tmp_path, *rows)
    from_json = tmp_path / "events.jsonl"
    # JSON has lists, numbers and times of its own, and leaves out what is empty.
    natural = [{name: value for name, value in row.items() if value} for row in rows]
    natural[0] |= {"owner_hashes": ["u1", "u2"], "claims_circumvention": 1, "published_at": MARCH_1_MS}
    from_json.write_text("".join(json.dumps(row) + "\n" for row in natural))
    from_avro = tmp_path / "events.avro"
    schema = {"type": "record", "name": "Row", "fields": [{"name": c, "type": "string"} for c in COLUMNS]}
    with from_avro.open("wb") as file:
        fastavro.writer(file, schema, rows)
    made = [list(survey(path, load_mapping("dmca")).made()) for path in (from_csv, from_json, from_avro)]
    assert made[0] == made[1] == made[2]
    assert len(made[0]) == 3


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", "notice_id,kind\nn1,notice\n", r"a\.csv:2: no column .*published_at"),
        ("a.csv", ",".join(COLUMNS) + "\nn1,notice\n", r"a\.csv:2: has not as many columns as the head"),
        ("a.jsonl", '{"kind": "notice", "published_at": "2016-01-01"}\n{', r"a\.jsonl:2: is not JSON"),
        ("a.jsonl", "[1]\n", r"a\.jsonl:1: is not a JSON object"),
        ("a.jsonl", '{"kind": "notice"}\n', r"a\.jsonl:1: no column published_at"),
        ("a.avro", "no container", r"a\.avro: is not an Avro container file"),
        ("a.txt", "", r"a\.txt: the suffix is none of \.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path, name, content, told):
    (tmp_path / name).write_text(content)
    with pytest.raises(Misconfigured, match=told):
        survey(tmp_path / name, load_mapping("dmca"))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(Misconfigured, match="cannot be read"):
        survey(tmp_path / "none.csv", load_mapping("dmca"))


def test_the_format_can_be_given_where_the_suffix_does_not_say(tmp_path):
    path = a_file(tmp_path, a_row("notice", "n1", owners="u1")).rename(tmp_path / "events.txt")
    assert len(list(survey(path, load_mapping("dmca"), Format.CSV).made())) == 1
