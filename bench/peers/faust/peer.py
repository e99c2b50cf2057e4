"""The triage step as a Faust application: `peer.py KAFKA REDIS PREFIX FOLDER take|event`."""

from __future__ import annotations

import logging
import sys
from typing import Any

import faust
import step

BATCH = 1_000
WITHIN_S = 0.05


def application(kafka: str, prefix: str, folder: str, way: str) -> faust.App:
    """The application; `way` is how its agent takes events from the stream, in batches or one by one."""
    name = f"{prefix}faust-{way}"
    app = faust.App(
        name,
        broker=f"kafka://{kafka}",
        datadir=folder,
        store="memory://",
        topic_partitions=4,
        topic_disable_leader=True,
        web_enabled=False,
        key_serializer="raw",
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=16_384,
        broker_max_poll_records=4_000,
        broker_commit_interval=1.0,
        broker_commit_every=100_000,
        producer_linger=0.02,
        producer_max_batch_size=262_144,
        stream_wait_empty=False,
        cython_optimizations=True,
    )
    appeals = app.topic(f"{prefix}appeals", key_type=bytes, value_type=bytes, value_serializer="raw")
    cases = app.topic(f"{name}-cases", key_type=bytes, value_type=bytes, value_serializer="raw")
    # The key chooses the changelog's partition: within a batch the current event is another one's.
    histories = app.Table("histories", partitions=4, key_type=bytes, use_partitioner=True)

    async def handle(key: bytes, value: bytes) -> None:
        appeal = step.decode(value)
        before, cents = histories.get(key) or (0, 0)
        histories[key] = [before + 1, cents + appeal["amount_cents"]]
        await cases.send(key=key, value=step.encode(step.triage(before, appeal)))

    async def in_batches(stream: Any) -> None:
        async for events in stream.take_events(BATCH, within=WITHIN_S):
            for event in events:
                await handle(event.key, event.value)

    async def one_by_one(stream: Any) -> None:
        async for event in stream.events():
            await handle(event.key, event.value)

    app.agent(appeals)({"take": in_batches, "event": one_by_one}[way])
    return app


if __name__ == "__main__":
    kafka_, _redis, prefix_, folder_, way_ = sys.argv[1:6]
    # aiokafka otherwise makes a record of each request for nobody.
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    faust.Worker(application(kafka_, prefix_, folder_, way_), loglevel="warning").execute_from_commandline()
