"""An installation whose content is written by hand, as workers would have, and an operator who moves it."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from typing import Any

from confluent_kafka import Producer, TopicPartition
from rich.console import Console

from processors.codec import encode_dossier, encode_remedy
from processors.fold import new_dossier
from processors.remedy_state import Remedy
from schemas.records import UserId
from schemas.vocabulary import DeadLetterAction
from tests.integration.worker_process import Delivered, Installation
from topology.dlq.choosing import Wanted as Letters
from topology.dlq.command import Desk
from topology.engine import allowance, deadletter
from topology.engine.position import Known, encode_known
from topology.engine.state import wrap
from topology.partition_reader import PartitionReader
from topology.partitioner import partition_of
from topology.reshard.carrier import Moment, no_probe
from topology.reshard.command import Done, Resharding, Wanted
from topology.reshard.seals import GroupOffsets, positions
from topology.settings import Settings
from topology.topics import Role

BEFORE, AFTER = 2, 3
TO = "p3"
NOW = 1_760_000_000_000
CHANGELOG = "dossiers.changelog"


class Killed(BaseException):
    """As a SIGKILL: nothing is taken back, nobody is told."""


class Executioner:
    """Kills a move right before its n-th commit of one moment."""

    def __init__(self, moment: Moment, count: int = 1) -> None:
        self._moment = moment
        self._left = count

    def __call__(self, reached: Moment) -> None:
        self._left -= reached is self._moment
        if self._left == 0:
            raise Killed(reached)


class Operator:
    """Gives `recourse reshard` for one installation, and remembers what was said."""

    def __init__(
        self,
        installation: Installation,
        *,
        to: str = TO,
        partitions: int = AFTER,
        wait_s: float = 20,
        readers: tuple[str, ...] = (),
    ) -> None:
        self._settings = settings_of(installation)
        self._wanted = Wanted(partitions=partitions, to=to, wait_s=wait_s, readers=readers)
        self._said = io.StringIO()

    def __call__(self, order: str = "run", **more: Any) -> Done:
        self._said = io.StringIO()
        console = Console(file=self._said, width=1_000)
        probe = more.pop("probe", no_probe)
        return getattr(Resharding(self._settings, self._wanted, console, probe), order)(**more)

    @property
    def said(self) -> str:
        return self._said.getvalue()


def settings_of(installation: Installation, partitioning: str | None = None) -> Settings:
    own = installation.environment.get("RECOURSE_PARTITIONING", "")
    return Settings(
        kafka=installation.kafka,
        topic_prefix=installation.prefix,
        group=installation.name,
        partitioning=own if partitioning is None else partitioning,
    )


class ByHand:
    """Writes what producers, workers and operators would have written."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.register = installation.register
        self.client = {"bootstrap.servers": installation.kafka, "log_level": 0}
        self._producer = Producer(
            self.client | {"transactional.id": installation.name, "partitioner": "murmur2_random"}
        )
        self._producer.init_transactions(30)
        self._reader = PartitionReader(self.client, name=installation.name)

    def write(self, topic: str, *records: tuple[bytes | None, bytes | None, int], **options: Any) -> list[int]:
        """(key, value, partition) in one transaction; their offsets."""
        offsets: dict[int, int] = {}
        self._producer.begin_transaction()
        for number, (key, value, partition) in enumerate(records):
            self._producer.produce(
                self.register.on_cluster(topic),
                value,
                key,
                partition,
                timestamp=options.get("at", NOW) + number,
                headers=options.get("headers", [("trace", b"1")]),
                on_delivery=lambda _error, message, number=number: offsets.update({number: message.offset()}),
            )
        self._producer.commit_transaction(30)
        return [offsets[number] for number in range(len(records))]

    def users(self, count: int) -> None:
        """Each with a state in two versions and three records on two inputs."""
        for version in range(2):
            self.write(
                CHANGELOG,
                *(
                    (user, wrap(NOW + version, encode_dossier(new_dossier(UserId(user.decode())))), at)
                    for user, at in people(count)
                ),
            )
        for name in ("enforcement.events", "appeal.events"):
            self.write(name, *((user, b"%d" % n, at) for n in range(3) for user, at in people(count)))

    def state(self, partition: int, key: bytes, value: bytes | None) -> None:
        self.write(CHANGELOG, (key, value, partition))

    def spent(self, partition: int, units: int) -> None:
        record = json.dumps({"day": 20_000, "spent": {"grants": units}}).encode()
        self.state(partition, allowance.KEY, wrap(None, record))

    def remedy(self, remedy: Remedy) -> None:
        for partition in range(BEFORE):
            self.state(partition, b"\0remedy/" + remedy.remedy_id.encode(), wrap(remedy.due, encode_remedy(remedy)))

    def letter(self, topic: str, key: bytes | None, value: bytes, partition: int) -> str:
        """A record that was set aside; the place of its letter."""
        [offset] = self.write(topic, (key, value, partition))
        why = deadletter.about(
            ValueError("odd"), "odd", topic=self.register.on_cluster(topic), partition=partition, offset=offset
        )
        headers = [("trace", b"1"), *why, (deadletter.TIMESTAMP, str(NOW).encode())]
        [lies] = self.write(f"{topic}.dlq", (key, value, partition), headers=headers)
        return f"{topic}.dlq[{partition}]@{lies}"

    def discard(self, place: str) -> None:
        desk = Desk(settings_of(self.installation), Console(file=io.StringIO()))
        wanted = Letters(places=frozenset({place}))
        assert not desk.settle(wanted, DeadLetterAction.DISCARDED, topic=None, actor="ann", reason="odd", dry_run=False)

    def fold(self, *, but: str = "", partitions: int | None = BEFORE) -> None:
        """Commit offsets behind all that is on the inputs; before all of it on one of them."""
        folded = [
            TopicPartition(
                self.register.on_cluster(topic.name),
                number,
                0 if topic.name == but else self.end(topic.name, number),
                encode_known(Known(NOW + number, partitions)),
            )
            for topic in self.register.inputs
            for number in range(BEFORE)
        ]
        with GroupOffsets(self.client, self.installation.group) as group:
            self._producer.begin_transaction()
            self._producer.send_offsets_to_transaction(folded, group.proof(), 30)
            self._producer.commit_transaction(30)

    def read(self, group: str, topic: str) -> None:
        """Commit offsets of another group behind all that is there."""
        name = self.register.on_cluster(topic)
        with GroupOffsets(self.client, group) as offsets:
            self._producer.begin_transaction()
            ends = {(name, number): self.end(topic, number) for number in range(BEFORE)}
            self._producer.send_offsets_to_transaction(positions(ends), offsets.proof(), 30)
            self._producer.commit_transaction(30)

    def end(self, topic: str, number: int) -> int:
        return self._reader.bounds(self.register.on_cluster(topic), [number])[number][1]


def people(count: int) -> list[tuple[bytes, int]]:
    """Users and their partitions."""
    users = [b"user-%04d" % number for number in range(count)]
    return [(user, partition_of(user, BEFORE)) for user in users]


def delivered_there(there: Installation, rows: list[Delivered]) -> list[Delivered]:
    """Where these rows lie now; each must, once, and nothing else."""
    left = defaultdict(list)
    for each in rows:
        left[each.row.topic, each.row.key, each.row.value, each.row.at].append(each.row)
    found = [
        Delivered(left[topic.name, m.key(), m.value(), m.timestamp()[1]].pop(0), m.partition(), m.offset())
        for topic, m in there.messages(Role.INPUT)
    ]
    assert not any(left.values()), "rows were lost on the way"
    return found
