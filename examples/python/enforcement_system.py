"""An enforcement system: takes a listing down, publishes that, and puts it back when a reversal says so.

KAFKA=localhost:9092 python enforcement_system.py USER LISTING
"""

import sys
import time
import uuid

from confluent_kafka import Consumer, Producer
from contract import KAFKA, PREFIX, decode, encode

SYSTEM, (USER, LISTING) = "catalogue", sys.argv[1:3]
ENFORCEMENT = f"{SYSTEM}-{USER}-{LISTING}"
IN_TURN = {"enable.idempotence": True, "max.in.flight.requests.per.connection": 1}
producer = Producer(KAFKA | IN_TURN | {"partitioner": "murmur2_random"})
consumer = Consumer(
    KAFKA | {"group.id": SYSTEM, "isolation.level": "read_committed", "auto.offset.reset": "earliest"}
    | {"enable.auto.commit": False}
)  # fmt: skip


def publish(topic: str, name: str, record: dict) -> None:
    record["event_id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, repr(sorted(record.items()))))
    producer.produce(PREFIX + topic, encode(name, record), record["user_id"])
    if producer.flush(30):
        raise SystemExit(f"{topic}: Kafka did not take the record; run this again")


restrictions = {LISTING: ["content_removal"]}  # a real system keeps these three in its database,
revisions, obeyed = {}, set()  # and changes them in one transaction


def obey(directive: dict) -> str:
    target, key = directive["target"]["id"], directive["idempotency_key"]
    if key in obeyed or revisions.get(target, -1) > directive["revision"]:
        return "already_applied"
    restrictions[target] = [each["action"] for each in directive["state"]]  # the state that must hold, not a step back
    revisions[target] = directive["revision"]
    obeyed.add(key)
    return "applied"


publish("enforcement.events", "EnforcementIssued", {
    "user_id": USER, "enforcement_id": ENFORCEMENT, "version": 1, "issued_at": time.time_ns() // 1_000_000,
    "policy": "spam", "policy_version": "1", "action": "content_removal", "target": {"kind": "listing", "id": LISTING},
    "ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT", "category": "STATEMENT_CATEGORY_SCAMS_AND_FRAUD",
    "source": "SOURCE_VOLUNTARY", "automation": "AUTOMATED_DECISION_PARTIALLY", "statement_of_reasons_id": ENFORCEMENT,
    "effects": [{"effect_id": f"{ENFORCEMENT}-1", "system": SYSTEM, "kind": "content_status"}],
})  # fmt: skip
consumer.subscribe([f"{PREFIX}resolution.events"])
while True:
    message = consumer.poll(1.0)
    if message is None or message.error():
        continue
    name, record = decode(message.value())
    for directive in record.get("directives", []) if name == "ReversalOrdered" else []:
        if directive["system"] == SYSTEM:
            ack = {key: record[key] for key in ("user_id", "reversal_id")} | {"directive_id": directive["directive_id"]}
            ack |= {"system": SYSTEM, "status": obey(directive), "occurred_at": time.time_ns() // 1_000_000}
            publish("resolution.acks", "DirectiveAcked", ack)
    consumer.commit(message)  # only now: after a crash the directive comes again, and its key is known
    if name == "ReversalConfirmed" and record["user_id"] == USER:
        print(f"{LISTING} is restricted by {restrictions[LISTING] or 'nothing'}")
        break
consumer.close()
