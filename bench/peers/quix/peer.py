"""The triage step as a Quix Streams application, exactly once: `peer.py KAFKA REDIS PREFIX FOLDER`."""

from __future__ import annotations

import struct
import sys
from typing import Any

import step
from quixstreams import Application, State
from quixstreams.models.serializers.avro import AvroDeserializer, AvroSerializer

COMMIT_S = 0.1
"""The same as Kafka Streams': what a reader waits for at most, besides the work itself."""
_pair = struct.Struct(">qq")


def handle(appeal: dict[str, Any], state: State) -> dict[str, Any]:
    """An appeal to a case; the history is two numbers in the key's state."""
    history = state.get_bytes("history")
    appeals, cents = _pair.unpack(history) if history is not None else (0, 0)
    state.set_bytes("history", _pair.pack(appeals + 1, cents + appeal["amount_cents"]))
    return step.triage(appeals, appeal)


def main() -> None:
    """Run until told to stop."""
    kafka, _redis, prefix, folder = sys.argv[1:5]
    app = Application(
        broker_address=kafka,
        consumer_group=f"{prefix}quix",
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=float(sys.argv[5]) if len(sys.argv) > 5 else COMMIT_S,
        state_dir=folder,
        loglevel="WARNING",
        # An answer CONCURRENT_TRANSACTIONS otherwise waits 100 ms for its retry.
        producer_extra_config={"retry.backoff.ms": 20, "linger.ms": 5},
    )
    appeals = app.topic(f"{prefix}appeals", key_deserializer="bytes", value_deserializer=AvroDeserializer(step.APPEAL))
    cases = app.topic(f"{prefix}quix-cases", key_serializer="bytes", value_serializer=AvroSerializer(step.TRIAGED))
    app.dataframe(appeals).apply(handle, stateful=True).to_topic(cases)
    app.run()


if __name__ == "__main__":
    main()
