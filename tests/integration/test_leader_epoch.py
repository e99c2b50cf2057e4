"""A question to a broker that was away meanwhile, by a client that remembers who led before."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from topology.embedded import KafkaServer, silent
from topology.engine.clients import BrokerOffsets

pytestmark = pytest.mark.integration
GUARD_S = 60.0


def test_bounds_are_answered_again_after_the_leader_epoch_has_moved(tmp_path: Path):
    """Seen as FENCED_LEADER_EPOCH for minutes: the client keeps the epoch until its metadata are five minutes old."""
    with KafkaServer(tmp_path / "kafka", heap_mb=256, keep=False, progress=silent) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        admin.create_topics([NewTopic("changelog", 2, 1)])["changelog"].result()
        offsets = BrokerOffsets({"bootstrap.servers": broker.bootstrap})
        assert asked(offsets) == {0: (0, 0), 1: (0, 0)}
        broker.kill()
        broker.start()
        assert asked(offsets) == {0: (0, 0), 1: (0, 0)}


def asked(offsets: BrokerOffsets) -> dict[int, tuple[int, int]]:
    """What a restore that tries again in a while gets to know."""
    end = time.monotonic() + GUARD_S
    while True:
        try:
            return offsets.bounds("changelog", [0, 1], 5.0)
        except KafkaException:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
