"""A partition without a settled leader is asked about again; any other answer is told at once."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from topology.engine.clients import BrokerOffsets


def answering(monkeypatch: pytest.MonkeyPatch, *answers: object) -> list[int]:
    """How often it is asked, by the length of the list; an answer that is an error code is raised."""
    asked: list[int] = []

    def _bounds(_self: BrokerOffsets, _topic: str, partitions: list[int], _timeout: float) -> object:
        answer = answers[len(asked)]
        asked.append(len(partitions))
        if isinstance(answer, int):
            raise KafkaException(KafkaError(answer))
        return answer

    monkeypatch.setattr(BrokerOffsets, "_bounds", _bounds)
    return asked


def test_topic_that_has_just_been_made_is_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    not_leader, fenced = KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.FENCED_LEADER_EPOCH
    asked = answering(monkeypatch, not_leader, fenced, {0: (0, 7)})
    assert BrokerOffsets({"bootstrap.servers": "127.0.0.1:1"}).bounds("t", [0], 5) == {0: (0, 7)}
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("code", "limit_s"), [(KafkaError.TOPIC_AUTHORIZATION_FAILED, 5), (KafkaError.NOT_LEADER_FOR_PARTITION, 0)]
)
def test_refusal_and_time_that_is_over_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, code: int, limit_s: float
) -> None:
    asked = answering(monkeypatch, code)
    with pytest.raises(KafkaException):
        BrokerOffsets({"bootstrap.servers": "127.0.0.1:1"}).bounds("t", [0], limit_s)
    assert len(asked) == 1
