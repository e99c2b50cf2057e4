"""A reviewer tool: reads the queue of a pod, claims the most urgent case and overturns it.

KAFKA=localhost:9092 python reviewer_tool.py POD REVIEWER
"""

import sys
import time
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition
from contract import KAFKA, PREFIX, decode, encode

POD, REVIEWER = sys.argv[1:3]
TOPIC = f"{PREFIX}cases.{POD}"
IN_TURN = {"enable.idempotence": True, "max.in.flight.requests.per.connection": 1}
producer = Producer(KAFKA | IN_TURN | {"partitioner": "murmur2_random"})
consumer = Consumer(KAFKA | {"group.id": f"{REVIEWER}-{POD}", "isolation.level": "read_committed"})
partitions = consumer.list_topics(TOPIC).topics[TOPIC].partitions
consumer.assign([TopicPartition(TOPIC, number, 0) for number in partitions])  # all of it, from its beginning: the queue
queue: dict[bytes, dict] = {}
asked: set[tuple] = set()


def write(name: str, case: dict, **content: object) -> None:
    """A review event; it names the version that was seen, so whoever is late changes nothing."""
    if (name, case["case_id"], case["version"]) in asked:
        return  # the engine has not answered yet
    asked.add((name, case["case_id"], case["version"]))
    event = {"event_id": str(uuid.uuid4()), "user_id": case["user_id"], "case_id": case["case_id"], "actor": REVIEWER}
    event |= {"expected_version": case["version"], "occurred_at": time.time_ns() // 1_000_000} | content
    producer.produce(f"{PREFIX}review.events", encode(name, event), case["user_id"])
    if producer.flush(30):
        raise SystemExit("Kafka did not take the event; run this again")


mine = None
while mine is None or mine in queue:
    message = consumer.poll(1.0)
    if message is not None and not message.error():
        if message.value() is None:
            queue.pop(message.key(), None)  # a tombstone: the case has left this pod
        else:
            queue[message.key()] = decode(message.value())[1]
        continue
    held = [c for c in queue.values() if c["claim"] and c["claim"]["reviewer"] == REVIEWER and c["state"] == "claimed"]
    free = [c for c in queue.values() if c["state"] == "queued" and REVIEWER not in c["excluded_reviewers"]]
    if held:
        mine = held[0]["case_id"].encode()
        write("DecisionProposed", held[0], outcome="overturned", reasons_ref="s3://reasons/1", policy_version="1",
              cited_evidence=[])  # fmt: skip
    elif free:
        write("CaseClaimed", min(free, key=lambda case: case["rank_at"]))  # most urgent first
print(f"{mine.decode()} is decided")
consumer.close()
