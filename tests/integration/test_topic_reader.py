"""Reading whole topics: a broker that cannot tell yet where they end is asked again, which is no reason to fail."""

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from topology.cluster import Cluster
from topology.engine.errors import Misconfigured
from topology.topic_reader import TopicReader
from topology.topics import load_register


class Leaderless:
    """The real answers, after so many that the partition has no leader here."""

    def __init__(self, offsets, code, times):
        self._offsets, self._code, self.left = offsets, code, times

    def bounds(self, *asked):
        if self.left:
            self.left -= 1
            raise KafkaException(KafkaError(self._code))
        return self._offsets.bounds(*asked)


@pytest.fixture
def reader(kafka, app_id):
    client = {"bootstrap.servers": kafka}
    register = load_register(f"{app_id}.", partitions=1)
    Cluster(client, register).create_missing()
    producer = Producer(client)
    producer.produce(register.on_cluster("rulebooks"), b"text", b"digest")
    producer.flush(30)
    with TopicReader(client, register, name=app_id) as reader:
        yield reader


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError._TRANSPORT,
    ],
)
def test_partition_that_the_broker_does_not_lead_yet_is_asked_for_again(reader, code):
    reader._offsets = Leaderless(reader._offsets, code, times=2)
    assert [message.value() for message in reader.read("rulebooks")] == [b"text"]
    assert reader.starts("rulebooks")[0] == 0


def test_what_asking_again_cannot_mend_is_told_at_once(reader):
    reader._offsets = Leaderless(reader._offsets, KafkaError.TOPIC_AUTHORIZATION_FAILED, times=1)
    with pytest.raises(KafkaException):
        list(reader.read("rulebooks"))


def test_broker_that_can_never_tell_is_told_within_bounds(reader, monkeypatch):
    monkeypatch.setattr("topology.partition_reader.BROKER_S", 0.2)
    reader._offsets = Leaderless(reader._offsets, KafkaError.UNKNOWN_LEADER_EPOCH, times=1_000)
    with pytest.raises(Misconfigured, match="no broker tells where"):
        list(reader.read("rulebooks"))
