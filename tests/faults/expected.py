"""What a calm world makes of the same rows: the application in the engine's in-memory twin, by the stream clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from schemas.codec import Codec
from tests.driver import Driver
from tests.integration.worker_process import Delivered
from topology.appeals import appeals_app
from topology.engine.definition import ClockKind
from topology.rulebook_file import PACKAGED, load_rulebook_file
from topology.topics import Register, Role

Published = dict[tuple[str, bytes | None], list[bytes | None]]
Dossiers = list[dict[bytes, bytes]]
"""By partition and key."""


def expected(register: Register, name: str, delivered: Iterable[Delivered]) -> tuple[Published, Dossiers]:
    """Everything published, as `Installation.published` tells it, and the newest dossiers."""
    partitions = register.changelog.partitions
    driver = Driver(
        appeals_app(name=name, register=register, codec=Codec(), rulebook=load_rulebook_file(PACKAGED).book),
        partitions=partitions,
        topics={register.on_cluster(t.name): t.partitions for t in register.topics if t.role is Role.OUTPUT},
        clock=ClockKind.STREAM,
        align_s=1e12,
        dead_letters_in_a_row=100_000,
        dead_letter_share=1.0,
    )
    for row, partition, _offset in sorted(delivered, key=lambda d: (d.partition, d.row.topic, d.offset)):
        driver.send(register.on_cluster(row.topic), row.key, row.value, at=row.at, partition=partition)
    driver.run()
    published: Published = defaultdict(list)
    for topic in register.topics:
        if topic.role is not Role.OUTPUT:
            continue
        for record in driver.read(register.on_cluster(topic.name)):
            where = topic.name, record.key
            if topic.cleanup == "compact":
                published.pop(where, None)
                if record.value is None:
                    continue
            published[where].append(record.value)
    dossiers: Dossiers = [{} for _ in range(partitions)]
    for record in driver.read(register.on_cluster(register.changelog.name)):
        dossiers[record.partition].pop(record.key or b"", None)
        if record.value is not None:
            dossiers[record.partition][record.key or b""] = record.value
    return dict(published), dossiers


def differences(found: Published, wanted: Published) -> list[str]:
    """Where they are not the same, in words."""
    return [
        f"{topic} {key!r}: {len(found.get((topic, key), []))} records, calm: {len(wanted.get((topic, key), []))}"
        for topic, key in sorted(found.keys() | wanted.keys(), key=repr)
        if found.get((topic, key)) != wanted.get((topic, key))
    ]
