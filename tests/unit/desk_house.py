"""A house for the desk without Kafka: the real decision logic folds what the desk writes, and feeds what it reads."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from starlette.testclient import TestClient

from desk import names
from desk.answers import Answer
from desk.app import build_app
from desk.audit import Audit
from desk.errors import NoAnswer
from desk.keyed_log import KeyedLog
from desk.live import Bell
from desk.newest_bytes import NewestBytes
from desk.queue import PodQueue
from desk.sealed_texts import SealedTexts
from desk.settings import Settings
from desk.standing import Standing
from desk.tables import Alerts, Loads, Quality, Rates, Remedies
from desk.texts import Texts
from desk.writer import ReviewWriter, now_ms
from processors.fold import new_dossier
from processors.rulebook import Rulebook
from schemas import Codec, to_json
from schemas.records import CaseEvent, InputRecord, Millis, RemedyProposed, ReversalOrdered, UserId
from schemas.vocabulary import Action, Category, EvidenceKind
from tests.unit.builders import (
    HOUR,
    RULEBOOK,
    Life,
    a_rulebook,
    an_ack,
    an_appeal,
    an_effect,
    an_enforcement,
    case_of,
    euros,
    some_evidence,
)
from topology.topics import load_register

CODEC = Codec()
PODS = load_register().pods
BEGAN = now_ms() - 6 * HOUR
TWO_PEOPLE = a_rulebook(automation=[])
ANYBODY = a_rulebook(automation=[], second_review=None)
ALL_GROUPS = ",".join(
    [
        *(f"recourse-{role}" for role in ("specialist", "second-reviewer", "lead", "auditor")),
        *(f"recourse-pod-{pod}" for pod in PODS),
    ]
)
TAKEDOWN: dict[str, Any] = {
    "policy": "copyright",
    "action": Action.CONTENT_REMOVAL,
    "category": Category.STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS,
}


class Message:
    """A record as a consumer gives it."""

    def __init__(self, key: str, value: bytes | None, offset: int) -> None:
        self._key, self._value, self._offset = key, value, offset

    def key(self) -> bytes:
        return self._key.encode()

    def value(self) -> bytes | None:
        return self._value

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset


class Writer(ReviewWriter):
    """Hands events to the house instead of to Kafka."""

    def __init__(self, house: "House") -> None:
        self.house = house
        self.written: list[Any] = []
        self.stopped = False
        """Is the engine?"""

    def write(self, event: Any) -> Answer:
        self.written.append(event)
        if self.stopped:
            raise NoAnswer("the engine is stopped")
        before = self.house.life_of(event.user_id).send(event, at=now_ms())
        self.house.publish(before)
        return Answer(next(e.record for e in before if isinstance(e.record, CaseEvent)))


class Newest(NewestBytes):
    """Without Kafka behind it."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic, {}, "test")
        self.asked = 0
        """How often it was to read on."""
        self.fault: Exception | None = None
        """What comes of that."""

    def read_on(self) -> None:
        self.asked += 1
        if self.fault is not None:
            raise self.fault


class House:
    """Users' lives, and a desk's floor that sees them."""

    def __init__(self, folder: Path, *, rulebook: Rulebook = RULEBOOK, **settings: Any) -> None:
        self.rulebook = rulebook
        self.lives: dict[str, Life] = {}
        self._offsets = itertools.count()
        self.settings = Settings(**{"secure_cookies": False, "trusted_proxies": "0.0.0.0/0", **settings})
        self.texts = Texts(folder / "texts")
        self.bell = Bell()
        self.codec = CODEC
        self.audit = Audit(CODEC, lambda case_id: self.bell.ring(f"case:{case_id}"))
        self.lines = KeyedLog(names.LINES, {}, "test", keep_records=10_000, each=self.audit.take)
        self.audit.log = self.lines
        self.enforcements = KeyedLog(names.ENFORCEMENTS, {}, "test", keep_records=10_000)
        self.resolutions = KeyedLog(names.RESOLUTIONS, {}, "test", keep_records=10_000)
        self.queues = {pod: PodQueue(pod, CODEC, self._changed(pod)) for pod in PODS}
        self.loads = Loads(CODEC, names.READ[names.LOADS])
        self.rates = Rates(CODEC, names.READ[names.RATES])
        self.quality = Quality(CODEC, names.READ[names.QUALITY])
        self.alerts = Alerts(CODEC, names.READ[names.ALERTS], key=lambda alert: alert.alert_id)
        self.remedies = Remedies(CODEC, names.READ[names.REMEDIES], lambda remedy_id: None)
        self.keys, self.wrapping_keys = Newest(names.KEYS), Newest(names.WRAPPING)
        self.hears = True
        keks = self.settings.key_encryption_keys()
        self.sealed = SealedTexts(CODEC, keks, self.keys, self.wrapping_keys, lambda: self.hears)
        self.writer = Writer(self)
        self.client = SimpleNamespace(queues=self.queues, writer=self.writer, find=self._find)
        self.remedy_writer = SimpleNamespace(propose=self._propose)
        self.pulse = SimpleNamespace(lost_at=None)
        self.failure = None
        self.proposed: list[RemedyProposed] = []
        views = (self.lines, self.enforcements, self.resolutions, self.keys, self.wrapping_keys)
        for view in (*self.queues.values(), *views):
            view.caught_up()

    def life_of(self, user_id: str) -> Life:
        if user_id not in self.lives:
            self.lives[user_id] = Life(rulebook=self.rulebook, now=BEGAN, dossier=new_dossier(UserId(user_id)))
        return self.lives[user_id]

    def send(self, event: InputRecord, at: int | None = None) -> None:
        """An input of somebody else than the desk."""
        if type(event).__name__.startswith("Enforcement"):
            self.enforcements.take(Message(event.user_id, CODEC.encode(event), next(self._offsets)))
        self.publish(self.life_of(event.user_id).send(event, at=at))

    def publish(self, emissions: list[Any]) -> None:
        for emission in emissions:
            value = None if emission.record is None else CODEC.encode(emission.record)
            message = Message(emission.key, value, next(self._offsets))
            if emission.topic.startswith(names.CASES):
                self.queues[emission.topic.removeprefix(names.CASES)].take(message)
            elif emission.topic == names.LINES:
                self.lines.take(message)
            elif emission.topic == names.RESOLUTIONS:
                self.resolutions.take(message)

    def appeal(
        self,
        number: int = 1,
        *,
        texts: str | None = None,
        sealed: str | None = None,
        shown: Any = (),
        **enforcement: Any,
    ) -> str:
        """Somebody is struck and appeals; the id of their case."""
        user = UserId(f"u-{number}")
        struck = {
            "user_id": user,
            "enforcement_id": f"e-{number}",
            "effects": [an_effect()],
            "statement_of_reasons_id": f"sor-{number}",
            "evidence": list(shown),
            **enforcement,
        }
        self.send(an_enforcement(BEGAN + number, **struck))
        about: dict[str, Any] = {} if texts is None else {"statement_ref": self.texts.keep(texts)}
        if sealed is not None:
            about = {"statement_ref": None, "statement_sealed": sealed}
        self.send(
            an_appeal(
                BEGAN + HOUR + number,
                appeal_id=f"a-{number}",
                user_id=user,
                appellant_id=user,
                enforcement_id=struck["enforcement_id"],
                **about,
            )
        )
        return case_of(f"a-{number}")

    def takedown(self, number: int = 1, **more: Any) -> str:
        """A case with a standard of evidence: to uphold it a decision must cite the notice, which is ``x-<number>``."""
        notice = some_evidence(f"x-{number}", EvidenceKind.NOTICE)
        return self.appeal(number, **{"shown": [notice], **TAKEDOWN, **more})

    def confirm_reversals(self, user_id: str) -> None:
        """The systems obey."""
        for order in [each for each in self.life_of(user_id).orders() if isinstance(each, ReversalOrdered)]:
            for position in range(len(order.directives)):
                self.send(an_ack(order, position, user_id=UserId(user_id), occurred_at=Millis(now_ms())))

    def case(self, case_id: str) -> Any:
        found = self._find(case_id)
        return None if found is None else found[0].case(case_id)

    def visit(self, name: str = "anna", groups: str = ALL_GROUPS, **headers: str) -> "Browser":
        """A browser of somebody."""
        return Browser(self, name, groups, headers)

    # --- what a floor has ----------------------------------------------------------------------------------------

    def standing_of(self, user_id: str) -> Standing:
        standing = Standing(CODEC, (names.READ[names.ENFORCEMENTS], names.READ[names.RESOLUTIONS]))
        standing.fold(self.enforcements.read(user_id), self.resolutions.read(user_id))
        return standing

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _find(self, case_id: str) -> Any:
        return next(((queue, case_id) for queue in self.queues.values() if case_id in queue), None)

    def _changed(self, pod: str) -> Any:
        def changed(case_id: str) -> None:
            self.bell.ring(f"pod:{pod}")
            self.bell.ring(f"case:{case_id}")

        return changed

    def _propose(self, alert: Any, actor: str, reason: str, per_second: int) -> Any:
        raise NotImplementedError


class Browser:
    """One person's: the headers of their proxy, cookies, and forms with the token of the page before."""

    def __init__(self, house: House, name: str, groups: str, headers: dict[str, str]) -> None:
        self.house = house
        told = {"x-forwarded-user": name, "x-forwarded-groups": groups, **headers}
        # A real peer has an address; the test client's own is a name.
        self.client = TestClient(
            build_app(house.settings, house), headers=told, client=("10.0.0.9", 5000), follow_redirects=True
        )
        self.client.__enter__()
        self.page = ""

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, (answer.status_code, answer.text[:500])
        self.page = answer.text
        return self.page

    def post(self, path: str, status: int = 200, **form: Any) -> str:
        answer = self.client.post(path, data={"token": self.token, **self.seen(), **form})
        assert answer.status_code == status, (answer.status_code, answer.text[:800])
        self.page = answer.text
        return self.page

    @property
    def token(self) -> str:
        if "data-token=" not in self.page:
            self.page = self.client.get("/").text
        return self.page.split('data-token="')[1].split('"')[0]

    def seen(self) -> dict[str, str]:
        """What the forms of a case's page say of what was seen."""
        if 'name="seen"' not in self.page:
            return {}
        return {name: self.page.split(f'name="{name}" value="')[1].split('"')[0] for name in ("version", "seen")}


__all__ = ["ANYBODY", "BEGAN", "CODEC", "TWO_PEOPLE", "Browser", "House", "Message", "euros", "to_json"]
