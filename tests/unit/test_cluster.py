"""A cluster that cannot be compared with the register is told as what must change outside, not as a defect of ours."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from topology.cluster import Cluster
from topology.engine.errors import Misconfigured
from topology.topics import load_register


class GoneMeanwhile:
    """A broker that tells its topics, and is gone when asked how they are set."""

    def __init__(self, register):
        self._topics = {
            register.on_cluster(t.name): SimpleNamespace(partitions=range(t.partitions), error=None)
            for t in register.topics
        }

    def list_topics(self, **_asked):
        return SimpleNamespace(topics=self._topics)

    def describe_configs(self, resources, **_asked):
        answers = {resource: Future() for resource in resources}
        for answer in answers.values():
            answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        return answers


def test_broker_that_goes_while_a_worker_starts_is_told_without_a_traceback():
    register = load_register()
    cluster = Cluster({"bootstrap.servers": "nowhere:1"}, register)
    cluster._admin = GoneMeanwhile(register)
    with pytest.raises(Misconfigured, match=r"brokers at nowhere:1 do not tell how .* is set"):
        cluster.check()
