"""`recourse simulate` on the input topics of a real Kafka: committed records only, nothing written, nothing joined."""

import json

import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from schemas.codec import Codec
from schemas.records import UserId, event_time
from tests.unit.builders import DAY, HOUR, MINUTE, T0, a_claim, a_decision, an_appeal, an_enforcement
from topology.cli import app
from topology.cluster import Cluster
from topology.engine.clients import BrokerOffsets
from topology.engine.errors import Misconfigured
from topology.rulebook_file import PACKAGED
from topology.settings import Settings
from topology.topics import load_register

CODEC = Codec()


@pytest.fixture
def place(kafka, app_id, monkeypatch):
    """Give settings whose topics are there, with three partitions each, and which the command line reads too."""
    monkeypatch.setenv("RECOURSE_KAFKA", kafka)
    monkeypatch.setenv("RECOURSE_TOPIC_PREFIX", f"{app_id}.")
    monkeypatch.setenv("RECOURSE_GROUP", app_id)
    monkeypatch.delenv("RECOURSE_RULEBOOK", raising=False)
    settings = Settings()
    Cluster(settings.kafka_config(), load_register(settings.topic_prefix, partitions=3)).create_missing()
    return settings


@pytest.fixture
def new_book(tmp_path):
    path = tmp_path / "new.yaml"
    path.write_text(PACKAGED.read_text().replace("deadline: 28d", "deadline: 20d"))
    return path


def a_life(user):
    """An enforcement, its appeal and the decision, of one user."""
    appeal_id = f"{user}-a"
    events = [
        an_enforcement(),
        an_appeal(T0 + HOUR, appeal_id, appellant_id=user),
        a_claim(T0 + 25 * DAY, appeal_id=appeal_id),
        a_decision(T0 + 25 * DAY + MINUTE, appeal_id=appeal_id),
    ]
    return [msgspec.structs.replace(event, user_id=user) for event in events]


def write(producer, settings, events):
    register = load_register(settings.topic_prefix)
    topics = {kind: register.on_cluster(topic.name) for topic in register.inputs for kind in topic.allowed}
    for event in events:
        topic = topics[type(event)]
        producer.produce(topic, CODEC.encode(event, topic), event.user_id, timestamp=event_time(event))


def ends(settings):
    register = load_register(settings.topic_prefix)
    offsets = BrokerOffsets(settings.kafka_config())
    found = Cluster(settings.kafka_config(), register).partitions()
    names = [name for name in found if name.startswith(settings.topic_prefix)]
    while True:
        try:
            return {name: offsets.bounds(name, range(found[name]), 30) for name in names}
        except KafkaException as exc:  # a new topic has no leader for a moment
            if exc.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                raise


def simulate(*args):
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, ["simulate", *map(str, args)])


def test_committed_records_of_the_topics_are_folded_and_nothing_is_written(place, new_book, app_id, tmp_path):
    common = {"bootstrap.servers": place.kafka, "partitioner": "murmur2_random"}
    aborted = Producer({**common, "transactional.id": f"{app_id}-a"})
    aborted.init_transactions(30)
    aborted.begin_transaction()
    write(aborted, place, a_life(UserId("nobody")))
    aborted.flush(30)
    aborted.abort_transaction(30)
    plain = Producer(common)
    for n in range(5):
        write(plain, place, a_life(UserId(f"u-{n}")))
    enforcements = f"{place.topic_prefix}enforcement.events"
    plain.produce(enforcements, b"\x00junk", b"u-0", timestamp=T0)
    plain.produce(enforcements, CODEC.encode(an_enforcement(), enforcements), b"another", timestamp=T0)
    assert plain.flush(30) == 0
    # A transaction that is still open hides what comes behind it: the reading must not wait for it.
    hidden = Producer({**common, "transactional.id": f"{app_id}-b"})
    hidden.init_transactions(30)
    hidden.begin_transaction()
    write(hidden, place, a_life(UserId("u-0")))
    hidden.flush(30)
    before = ends(place)

    result = simulate("--rulebook", new_book, "--json", tmp_path / "out.json", "--examples", 1)

    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out.json").read_text())
    found = written["comparison"]
    assert written["inputs"] == 5 * 4 + 2
    assert {tally["name"]: tally["old"] for tally in found["dead_letters"]} == {"unknown_schema": 1, "key_mismatch": 1}
    assert found["cases"] == {"name": "cases", "old": 5, "new": 5}
    assert found["deadlines"] == [{"name": "met", "old": 5, "new": 0}, {"name": "missed", "old": 0, "new": 5}]
    assert ends(place) == before
    admin = AdminClient({"bootstrap.servers": place.kafka})
    groups = admin.list_consumer_groups(request_timeout=30).result().valid
    assert not {group.group_id for group in groups} & {app_id, "recourse-simulate"}
    hidden.abort_transaction(30)


def test_topics_that_lost_their_beginning_are_noted(place, new_book):
    plain = Producer({"bootstrap.servers": place.kafka, "partitioner": "murmur2_random"})
    write(plain, place, a_life(UserId("u-1")))
    assert plain.flush(30) == 0
    topic = f"{place.topic_prefix}enforcement.events"
    [number] = [p for p, (_, end) in ends(place)[topic].items() if end]
    admin = AdminClient({"bootstrap.servers": place.kafka})  # held until the answers are in: they die with it
    for future in admin.delete_records([TopicPartition(topic, number, 1)]).values():
        future.result(30)
    result = simulate("--rulebook", new_book)
    assert f"{topic}[{number}] begins at offset 1: older records are gone" in result.output


def test_a_prefix_without_topics_is_answered_with_what_to_do(kafka, app_id, new_book, monkeypatch):
    monkeypatch.setenv("RECOURSE_KAFKA", kafka)
    monkeypatch.setenv("RECOURSE_TOPIC_PREFIX", f"{app_id}.")
    result = simulate("--rulebook", new_book)
    assert isinstance(result.exception, Misconfigured)
    assert "input topics are missing" in str(result.exception)
    assert "--file and --mapping" in str(result.exception)
