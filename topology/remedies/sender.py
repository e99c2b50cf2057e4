"""Writes a command for the whole installation: a copy to each partition, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.codec import Codec
from topology.cluster import Cluster
from topology.engine.clients import IN_TURN
from topology.engine.errors import Misconfigured
from topology.remedies.commands import Command
from topology.reversals.sender import encoded
from topology.settings import Settings
from topology.topics import Register

COMMANDS = "remedy.commands"
BROKER_S = 30.0


def count_partitions(settings: Settings, register: Register) -> int:
    """Of the commands' topic, as the cluster has it.

    Raises:
        Misconfigured: it is missing.
    """
    if COMMANDS not in register.by_name:
        raise Misconfigured(f"this version's register has no topic {COMMANDS}: it knows no remedies")
    name = register.on_cluster(COMMANDS)
    found = Cluster(settings.kafka_config(), register).partitions()
    if name not in found:
        raise Misconfigured(f"topic {name} is missing. Run `recourse create-topics`.")
    return found[name]


def send(settings: Settings, register: Register, codec: Codec, copies: Sequence[Command]) -> None:
    """Write all copies in one transaction.

    Raises:
        Misconfigured: nothing was written, or it is not known whether it was; the text says which.
    """
    name = register.on_cluster(COMMANDS)
    rows = [(copy.partition, encoded(codec, copy, name)) for copy in copies]
    producer = Producer(
        {
            **settings.kafka_config(),
            **IN_TURN,
            # One id for all commands of an installation: a command that was left half-way is settled by the next.
            "transactional.id": f"{settings.group}-remedy-commands",
            "transaction.timeout.ms": int(BROKER_S * 1_000),
        }
    )
    key = copies[0].remedy_id.encode()
    committing = False
    try:
        producer.init_transactions(BROKER_S)
        producer.begin_transaction()
        for partition, data in rows:
            producer.produce(name, data, key, partition)
        committing = True
        producer.commit_transaction(BROKER_S)
    except KafkaException as exc:
        error: KafkaError = exc.args[0]
        unsure = committing and not error.txn_requires_abort() and not error.fatal()
        if not error.fatal() and not unsure:
            _abort(producer)
        fate = "It may or may not be written" if unsure else "Nothing was written"
        raise Misconfigured(
            f"{name} did not take the command ({error.str()}). {fate}; the same command again is safe."
        ) from exc


def _abort(producer: Producer) -> None:
    try:
        producer.abort_transaction(BROKER_S)
    except KafkaException as exc:
        # The broker ends it by its time-out, and the next command before that.
        raise Misconfigured(
            f"the command could not be taken back ({exc.args[0].str()}). It counts for nothing."
        ) from exc
