"""Verifies a move as a whole: states, inputs, dead letters, and that the audit ends where the moved states say."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.codec import Codec
from schemas.records import DeadLetterSettled
from topology.audit.reader import AuditReader
from topology.audit.verify import Report as Walked
from topology.audit.verify import verify as walk
from topology.dlq import reading
from topology.reshard import shared
from topology.reshard.merging import Reader
from topology.reshard.seals import GroupOffsets
from topology.reshard.sides import Move
from topology.reshard.stage import Standing
from topology.reshard.verifying import Report, Verifier
from topology.settings import Settings
from topology.topic_reader import TopicReader

Carried = Mapping[str, Mapping[int, int]]
"""How far each input of before has been carried, by its name on the cluster and partition."""


def compare(move: Move, reader: Reader, standing: Standing, codec: Codec) -> Report:
    """All that was moved, both ways.

    Raises:
        Misconfigured: something cannot be read.
    """
    report = Report()
    verifier = Verifier(move, reader, report)
    found = shared.examined(move, reader)
    verifier.states(shared.shared_out(move, found))
    settled, reached = settled_letters(move, codec), carried(move)
    for topic in move.old.inputs:
        old, new = move.old.on_cluster(topic), move.new.on_cluster(topic)
        before, after = reader.bounds(old, move.old.partitions), reader.bounds(new, move.new.partitions)
        folded = {number: (start, standing.old[old, number].offset) for number, (start, _) in before.items()}
        marked = {number: (start, standing.marks[new, number]) for number, (start, _) in after.items()}
        verifier.inputs(topic, "folded", folded, marked)
        ends = reached.get(old, {})
        rest = {number: (at, ends.get(number, at)) for number, (_, at) in folded.items()}
        verifier.inputs(topic, "not folded", rest, {n: (at, after[n][1]) for n, (_, at) in marked.items()})
        verifier.letters(topic, move.old.register.by_name[f"{topic.name}.dlq"], settled)
    old, new = move.old.on_cluster(move.audit), move.new.on_cluster(move.audit)
    before, after = reader.bounds(old, move.old.count(move.audit)), reader.bounds(new, move.new.partitions)
    verifier.lines(move.audit, before, after)
    _chains(move, report)
    return report


def strangers(move: Move, reader: Reader) -> Report:
    """What lies on the inputs of then and was not brought there."""
    report, reached = Report(), carried(move)
    verifier = Verifier(move, reader, report)
    for topic in move.old.inputs:
        old, new = move.old.on_cluster(topic), move.new.on_cluster(topic)
        before, after = reader.bounds(old, move.old.partitions), reader.bounds(new, move.new.partitions)
        ends = reached.get(old, {})
        brought = {number: (start, ends.get(number, start)) for number, (start, _) in before.items()}
        verifier.inputs(topic, "all", brought, after)
    return report


def carried(move: Move) -> dict[str, dict[int, int]]:
    """See `Carried`."""
    ends: dict[str, dict[int, int]] = {}
    with GroupOffsets(move.old.settings.kafka_config(), move.progress) as progress:
        for (name, number), each in progress.committed(move.old.places()).items():
            ends.setdefault(name, {})[number] = each.offset
    return ends


def settled_letters(move: Move, codec: Codec) -> dict[str, DeadLetterSettled]:
    """What was done with dead letters, by place; of both sides, as they share the topic."""
    old = move.old
    with TopicReader(old.settings.kafka_config(), old.register, name=move.progress) as reader:
        return reading.settled(reader, codec, old.register)


def _chains(move: Move, report: Report) -> None:
    """Faults that the audit had before are told, and are not ours."""
    now = _walked(move.new.settings)
    report.lines = now.lines
    before = _walked(move.old.settings).faults if now.faults else []
    known = {(fault.kind, fault.user_id, fault.seq) for fault in before}
    report.chains_before = len(known)
    for fault in now.faults:
        if (fault.kind, fault.user_id, fault.seq) not in known:
            report.fault("chain", f"{fault.kind}, line {fault.seq} of {fault.user_id}: {fault.text}")


def _walked(settings: Settings) -> Walked:
    with AuditReader(settings) as reader:
        heads = reader.heads()  # before the lines: see `audit.verify`
        return walk(reader.lines(), heads)
