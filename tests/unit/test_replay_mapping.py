"""The mapping language: what it refuses, and that each refusal names file, line and place."""

import pytest

from topology.engine.errors import Misconfigured
from topology.replay.mapping_file import PACKAGED, load_mapping, parse_mapping

MAPPING = """\
name: takedowns
source:
  id: row
  kind: what
  timestamp: at
  columns: [day, tone]
  lists: {who: ";", about: ";"}
values:
  when:
    time: day
    otherwise: at
records:
  lift:
    type: EnforcementLifted
    fields:
      event_id: "{row}:{user}"
      user_id: "{user}"
      enforcement_id: "{row}:{user}"
      occurred_at: "{when}"
      reason: retracted
rules:
  back:
    - for_each: {user: who}
      emit: [lift]
"""


def faults_of(old, new):
    assert old in MAPPING
    with pytest.raises(Misconfigured) as caught:
        parse_mapping(MAPPING.replace(old, new), name="own.yaml")
    return str(caught.value)


def test_a_correct_mapping_is_taken():
    assert parse_mapping(MAPPING).name == "takedowns"


@pytest.mark.parametrize("name", sorted(p.stem for p in PACKAGED.glob("*.yaml")))
def test_each_packaged_mapping_is_found_by_its_name(name):
    assert load_mapping(name).name == name


def test_a_mapping_is_found_by_path(tmp_path):
    (tmp_path / "own.yaml").write_text(MAPPING)
    assert load_mapping(str(tmp_path / "own.yaml")).name == "takedowns"


def test_an_unknown_mapping_is_answered_with_the_packaged_ones():
    with pytest.raises(Misconfigured, match=r"mapping dcma: .*did you mean 'dmca'"):
        load_mapping("dcma")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("for_each:", "for_eahc:", "own.yaml:23: rules.back[0].for_eahc: unknown key; did you mean 'for_each'?"),
        ("  timestamp: at\n", "", "own.yaml:2: source.timestamp: is missing"),
        ("EnforcementLifted", "EnforcementLift", "own.yaml:14: records.lift.type: no such input record"),
        ("reason: retracted", "raeson: retracted", "own.yaml:20: records.lift.fields.raeson: EnforcementLifted has no"),
        ("reason: retracted", "raeson: retracted", "own.yaml:15: records.lift.fields: EnforcementLifted also needs re"),
        ("reason: retracted", "reason: regretted", "own.yaml:20: records.lift.fields.reason: Invalid enum value"),
        ("user: who", "user: whom", "own.yaml:23: rules.back[0].for_each.user: no such column 'whom' in `source`; did"),
        ("user: who", "user: tone", "no such column 'tone' in `source`"),
        ('"{when}"', '"{wenn}"', "own.yaml:19: records.lift.fields.occurred_at: nothing is called 'wenn' here; did yo"),
        ('"{when}"', '"{when.at}"', "'when' is text and has no fields"),
        ('"{when}"', '"{when"', "own.yaml:19: records.lift.fields.occurred_at: '{when' is no template"),
        ('"{when}"', '"{when:x}"', "between braces stands a name and nothing else"),
        ("otherwise: at", "otherwise: att", "own.yaml:11: values.when.otherwise: no such column 'att'"),
        ("otherwise: at", "ahead: 1 week", "own.yaml:11: values.when.ahead: '1 week' is no duration"),
        ("time: day", "tiem: day", "own.yaml:10: values.when.tiem: unknown key; did you mean 'time'?"),
        ("    otherwise: at\n", "    otherwise: at\n    map: tone\n", "a value is either a `time` or a `map`"),
        ("emit: [lift]", "emit: [lyft]", "own.yaml:24: rules.back[0].emit[0]: no such record 'lyft'; did you mean 'l"),
        ("emit: [lift]", "emit: []", "own.yaml:23: rules.back[0]: a rule's step either has `emit` or `skip`"),
        ("user: who}", "row: who}", "own.yaml:23: rules.back[0]: 'row' is a column or a value already"),
        ("name: takedowns", "name: takedowns\nname: again", "own.yaml:1: name: is given twice, again in line 2"),
        ("name: takedowns", "name: [takedowns", "own.yaml:2: is not YAML"),
    ],
)
def test_a_fault_is_told_with_line_place_and_nearest_name(old, new, told):
    assert told in faults_of(old, new)


def test_all_faults_are_told_at_once():
    text = faults_of("user: who", "user: whom") + "\n" + faults_of("time: day", "time: dai")
    both = MAPPING.replace("user: who", "user: whom").replace("time: day", "time: dai")
    with pytest.raises(Misconfigured) as caught:
        parse_mapping(both, name="own.yaml")
    assert set(str(caught.value).splitlines()) == set(text.splitlines())


def test_a_join_that_needs_itself_is_refused():
    joined = "join: {rows: about, records: EnforcementLifted, name: hit}\n      set: {user: '{hit.user_id}'}"
    assert "rules.back[0].join: goes in a circle" in faults_of("for_each: {user: who}", joined)


def test_a_join_knows_the_fields_of_what_it_finds():
    joined = "join: {rows: about, records: EnforcementLifted, name: hit}\n      set: {user: '{hit.user}'}"
    text = faults_of("for_each: {user: who}", joined)
    assert "own.yaml:24: rules.back[0].set.user: 'hit' has no field 'user'; did you mean 'user_id'?" in text


def test_a_join_needs_an_id():
    joined = "join: {rows: about, records: EnforcementLifted, name: hit}\n      set: {user: '{hit.user_id}'}"
    with pytest.raises(Misconfigured, match="name its column as `id`"):
        parse_mapping(MAPPING.replace("for_each: {user: who}", joined).replace("  id: row\n", "").replace("{row}", "x"))


def test_a_record_that_no_rule_emits_is_a_fault():
    other = MAPPING.replace("records:\n", "records:\n  idle: {type: EnforcementLifted, fields: {}}\n")
    with pytest.raises(Misconfigured, match=r"records\.idle: no rule emits it"):
        parse_mapping(other)
