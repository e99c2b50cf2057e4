"""Everything that the pages look at, connected: queues, audit, what stands against users, insights, remedies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaException, Message
from confluent_kafka.admin import AdminClient

from desk import names
from desk.audit import Audit
from desk.client import CLIENT, Client
from desk.errors import Misconfigured
from desk.following import OFFSET_BEGINNING, Follower, Part, View
from desk.keyed_log import KeyedLog
from desk.live import Bell
from desk.newest_bytes import NewestBytes
from desk.remedies import RemedyWriter
from desk.sealed_texts import UNHEARD_S, SealedTexts
from desk.settings import Settings
from desk.standing import Standing
from desk.tables import Alerts, Loads, Quality, Rates, Remedies
from desk.texts import Texts
from schemas import Codec, ConfluentRegistry
from schemas.records import CaseEvent, CaseId

_PULSE_S: Final = 2.0
_PATIENCE_S: Final = 3.0
BROKER, BOARD = "broker", "board"
"""What the bell rings for, beside `pod:NAME`, `case:ID` and `remedy:ID`."""


class Pulse(threading.Thread):
    """Whether the broker answers: asked every two seconds, as clients tell that it does not, but not that it does.

    Args:
        kafka: How to reach the cluster, in librdkafka's words.
        bell: Rung when it ceases to answer, and when it does again.
        on_topics: Told of every topic that this client may see, with its number of partitions, each time.
    """

    def __init__(self, kafka: Mapping[str, Any], bell: Bell, on_topics: Callable[[dict[str, int]], None]) -> None:
        super().__init__(name="desk-pulse", daemon=True)
        self._admin = AdminClient({**kafka, "log_level": 2})
        self._bell = bell
        self._on_topics = on_topics
        self._stop_asked = threading.Event()
        self.lost_at: float | None = None
        """Unix seconds since which it does not answer; None: it does."""

    def run(self) -> None:
        """Until `end`."""
        while not self._stop_asked.wait(_PULSE_S):
            asked_at = time.time()
            try:
                found = self._admin.list_topics(timeout=_PATIENCE_S).topics
                answers = True
            except KafkaException:
                found, answers = {}, False
            if answers != (self.lost_at is None):
                self.lost_at = None if answers else asked_at
                self._bell.ring(BROKER)
            self._on_topics({name: len(about.partitions) for name, about in found.items() if about.error is None})

    def end(self) -> None:
        """End the thread; it may take as long as a question may."""
        self._stop_asked.set()
        self.join(_PATIENCE_S + 1)


class Floor:
    """What the desk of one process knows; fed by a few threads, read by the pages.

    Args:
        settings: Where and how.
        texts: Where texts lie.

    Raises:
        Misconfigured: the brokers do not answer, or a topic is missing.
    """

    def __init__(self, settings: Settings, texts: Texts) -> None:
        self.settings = settings
        self.texts = texts
        self.bell = Bell()
        self.codec = Codec(None if settings.registry is None else ConfluentRegistry({"url": settings.registry}))
        self.codec.prepare()
        kafka = settings.kafka_config()
        self.audit = Audit(self.codec, lambda case_id: self.bell.ring(f"case:{case_id}"))
        self.client = Client(
            kafka,
            settings.names,
            self.codec,
            answer_s=settings.answer_s,
            on_case=self._case_changed,
            on_line=self._line_came,
        )
        self.lines = self._log(names.LINES, self.audit.take)
        self.audit.log = self.lines
        self.enforcements = self._log(names.ENFORCEMENTS)
        self.resolutions = self._log(names.RESOLUTIONS)
        self.loads: Loads = Loads(self.codec, names.READ[names.LOADS], self._board_changed)
        self.rates: Rates = Rates(self.codec, names.READ[names.RATES], self._board_changed)
        self.quality: Quality = Quality(self.codec, names.READ[names.QUALITY], self._board_changed)
        self.alerts: Alerts = Alerts(
            self.codec, names.READ[names.ALERTS], self._board_changed, key=lambda alert: alert.alert_id
        )
        self.remedies = Remedies(self.codec, names.READ[names.REMEDIES], self._remedy_changed)
        self.keys = self._newest(names.KEYS)
        self.wrapping_keys = self._newest(names.WRAPPING)
        keks = settings.key_encryption_keys()
        self.sealed = SealedTexts(self.codec, keks, self.keys, self.wrapping_keys, self._hears)
        commands = settings.names.on_cluster(names.COMMANDS)
        self.remedy_writer = RemedyWriter(kafka, settings.names, self.codec, self.client.partitions.get(commands, 0))
        self.pulse = Pulse(kafka, self.bell, self._topics_seen)
        self._followers = [*self._tails(), self._past(), *(self._keys() if keks else ())]

    def standing_of(self, user_id: str) -> Standing:
        """What is known of a user's enforcements and reversals.

        Raises:
            DeskError: Kafka does not give records that are not in memory.
        """
        standing = Standing(self.codec, (names.READ[names.ENFORCEMENTS], names.READ[names.RESOLUTIONS]))
        standing.fold(self.enforcements.read(user_id), self.resolutions.read(user_id))
        return standing

    @property
    def failure(self) -> Exception | None:
        """Why a thread ended by itself, if one has."""
        return self.client.failure or next((each.failure for each in self._followers if each.failure), None)

    def start(self) -> None:
        """Begin to read."""
        self.client.start()
        for follower in self._followers:
            follower.start()
        self.pulse.start()

    def close(self) -> None:
        """End all threads."""
        self.pulse.end()
        for follower in self._followers:
            follower.stop()
        for log in (self.lines, self.enforcements, self.resolutions):
            log.close()
        self.client.close()

    # --- what is fed ---------------------------------------------------------------------------------------------

    def _case_changed(self, pod: str, case_id: CaseId) -> None:
        self.bell.ring(f"pod:{pod}")
        self.bell.ring(f"case:{case_id}")
        self.bell.ring(BOARD)

    def _line_came(self, _line: CaseEvent, message: Message) -> None:
        self.lines.take(message)

    def _topics_seen(self, found: dict[str, int]) -> None:
        """A rulebook may name a pod that this process has not known: its cases must not wait for a restart."""
        if self.client.take_new_pods(found):
            self._board_changed()

    def _board_changed(self) -> None:
        self.bell.ring(BOARD)

    def _hears(self) -> bool:
        """Whether a key that was shredded would be known to be: else its texts must not be opened."""
        lost_at = self.pulse.lost_at
        return self.failure is None and (lost_at is None or time.time() - lost_at < UNHEARD_S)

    def _remedy_changed(self, remedy_id: str) -> None:
        self.bell.ring(f"remedy:{remedy_id}")
        self.bell.ring(BOARD)

    # --- how it is wired -----------------------------------------------------------------------------------------

    def _log(self, topic: str, each: Any = None) -> KeyedLog:  # noqa: ANN401
        settings = self.settings
        return KeyedLog(
            settings.names.on_cluster(topic),
            settings.kafka_config(),
            f"{settings.topic_prefix}{CLIENT}-fetch",
            keep_records=settings.history_records,
            each=each,
        )

    def _newest(self, topic: str) -> NewestBytes:
        settings = self.settings
        # Pages that had to say that the keys are being read look again.
        return NewestBytes(
            settings.names.on_cluster(topic),
            settings.kafka_config(),
            f"{settings.topic_prefix}{CLIENT}-fetch",
            lambda: self.bell.ring(BROKER),
        )

    def _keys(self) -> list[Follower]:
        """The keys of sealed texts, apart from all else: they are as many as users, and nothing else waits for them."""
        views: dict[str, View] = {log.topic: log for log in (self.keys, self.wrapping_keys)}
        missing = [topic for topic in views if topic not in self.client.partitions]
        if missing:
            raise Misconfigured(
                f"RECOURSE_DESK_KEK is set, and there is no topic {', '.join(missing)}, or no right to see it. Run "
                "`recourse create-topics`, and grant what `recourse acls --only desk` prints"
            )
        return [self.client.follower("keys", views)]

    def _tails(self) -> list[Follower]:
        """What comes now, apart from what was there before, so that nobody waits for history."""
        on_cluster, there = self.settings.names.on_cluster, self.client.partitions
        small: dict[str, View] = {
            names.LOADS: self.loads,
            names.RATES: self.rates,
            names.QUALITY: self.quality,
            names.ALERTS: self.alerts,
            names.REMEDIES: self.remedies,
        }
        # An installation without insights has these topics all the same, and nothing in them.
        views = {on_cluster(name): view for name, view in small.items() if on_cluster(name) in there}
        return [self.client.follower("tables", views)]

    def _past(self) -> Follower:
        """The audit up to where the client has begun to hear it; the others from their beginning on, and then live."""
        there = self.client.partitions
        parts = [
            Part(self.lines.topic, number, OFFSET_BEGINNING, until) for number, until in self.client.line_ends.items()
        ]
        logs = [log for log in (self.enforcements, self.resolutions) if log.topic in there]
        parts += [Part(log.topic, number) for log in logs for number in range(there[log.topic])]
        views: dict[str, View] = {log.topic: log for log in (self.lines, *logs)}
        return Follower(self.settings.kafka_config(), f"{self.settings.topic_prefix}{CLIENT}-past", parts, views)
