"""The register of topics refuses what would corrupt results, and is the only place that names topics."""

from importlib import resources
from pathlib import Path

import pytest
import yaml

from schemas.records import INPUT_RECORDS, OUTPUT_RECORDS
from topology import diagram
from topology.engine.errors import Misconfigured
from topology.settings import Settings
from topology.topics import Role, load_register
from topology.worker import open_rulebook

ROOT = Path(__file__).parents[2]


def a_register(change):
    raw = yaml.safe_load(resources.files("topology").joinpath("topics.yaml").read_text())
    change({topic["name"]: topic for topic in raw["topics"]}, raw)
    return yaml.safe_dump(raw)


def test_every_record_flows_on_some_topic():
    allowed = {record for topic in load_register().topics for record in topic.allowed}
    assert allowed == {*INPUT_RECORDS, *OUTPUT_RECORDS}


def test_every_pod_of_the_rulebook_has_a_topic():
    assert {pod.name for pod in open_rulebook(Settings()).pods} == set(load_register().pods)


def test_prefix_comes_before_every_name_on_the_cluster():
    assert load_register("blue.").on_cluster("case.events") == "blue.case.events"


def test_partitions_given_on_the_command_line_change_the_co_partitioned_topics_together():
    register = load_register(partitions=3)
    assert {t.partitions for t in register.topics if t.co_partitioned} == {3}
    assert {t.partitions for t in register.topics if t.role is Role.OUTPUT} != {3}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda by, raw: by["appeal.events"].update(partitions=3), "same number of partitions"),
        (lambda by, raw: by["dossiers.changelog"].update(cleanup="delete"), "must be compacted"),
        (lambda by, raw: by["rulebooks"].update(cleanup="delete"), "must be compacted"),
        (lambda by, raw: by["appeal.events"].update(records=["AppealSubmited"]), "AppealSubmited"),
        (lambda by, raw: by["appeal.events"].update(records=[]), "must name its record types"),
        (lambda by, raw: by["appeal.events"].update(ownr="x"), "ownr"),
        (lambda by, raw: by["cases.legal"].pop("compacted_within"), "`compacted_within` belongs to compacted topics"),
        (
            lambda by, raw: by["case.events"].update(compacted_within=24),
            "`compacted_within` belongs to compacted topics",
        ),
        (lambda by, raw: by["case.events"].pop("erasure"), "`erasure` belongs to topics with personal data"),
        (lambda by, raw: by["rulebooks"].update(erasure="stays"), "`erasure` belongs to topics with personal data"),
        (lambda by, raw: raw["topics"].remove(by["appeal.events.dlq"]), "no dead-letter topic for: appeal.events"),
        (lambda by, raw: raw["topics"].append(by["case.events"]), "named twice: case.events"),
        (lambda by, raw: raw["topics"].remove(by["dossiers.changelog"]), "exactly one topic must be the changelog"),
    ],
)
def test_a_register_that_would_corrupt_results_is_refused_with_the_reason(change, told):
    with pytest.raises(Misconfigured, match=told):
        load_register(text=a_register(change))


def test_what_was_replaced_in_a_compacted_topic_is_gone_in_time():
    by = load_register().by_name
    assert by["subject.keys"].config["max.compaction.lag.ms"] == "3600000"
    assert by["subject.keys"].config["delete.retention.ms"] == by["dossiers.changelog"].config["delete.retention.ms"]
    assert by["cases.legal"].config["max.compaction.lag.ms"] == "86400000"
    assert "max.compaction.lag.ms" not in by["rulebooks"].config


def test_a_register_that_is_no_yaml_is_refused_in_one_message():
    with pytest.raises(Misconfigured, match="not readable"):
        load_register(text="topics: [")


def test_diagram_shows_every_topic_and_every_actor():
    register = load_register()
    text = diagram.mermaid(register)
    for topic in register.topics:
        assert topic.name in text
        assert all(actor in text for actor in (*topic.writers, *topic.readers))


def test_no_other_file_lists_topics():
    names = [t.name for t in load_register().topics if t.role is Role.DEAD_LETTERS]
    listed = [p for p in (ROOT / "topology").rglob("*.py") if any(n in p.read_text() for n in names)]
    assert listed == []
