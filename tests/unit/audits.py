"""Random lives as the audit tells them: the lines, the inputs by topic, and the dossier's word on the end."""

from collections.abc import Callable
from dataclasses import dataclass, field

import yaml
from hypothesis import strategies as st

from processors.fold import TOPIC_OF, handle
from processors.rulebook import Rulebook
from schemas.records import CaseEvent, InputRecord, RemedyOrdered, TimerFired
from tests.unit import test_random_histories as histories
from tests.unit.builders import HOUR, PACKAGED_RULEBOOK, RULEBOOK, T0, USER, Life, a_rulebook
from topology.audit.lines import Head, Place, Placed
from topology.audit.replay import Input
from topology.rulebook_file import PACKAGED

_REVIEW = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))["review"]
OTHER_BOOK = a_rulebook(
    review={**_REVIEW, "lease": "20min", "warn_at": 0.2},
    automation=[
        {
            "name": "small things",
            "when": {"actions": ["warning", "fee", "suspension"]},
            "wrongfulness_at_least": 0.0,
            "do": "grant",
            "daily_cap": 1,
            "audit_share": 0.2,
        }
    ],
)
"""Leases and warnings at other times, second reviews, and a rule that grants one appeal a day."""
BOOKS = {book.digest: book for book in (RULEBOOK, PACKAGED_RULEBOOK, OTHER_BOOK)}
TOPICS = ("enforcement.events", "appeal.events", "review.events", "resolution.acks")

steps = histories._steps


@dataclass
class Audited:
    """A life and its inputs, each topic in its order, with the times of their records."""

    life: Life = field(default_factory=Life)
    inputs: list[list[Input]] = field(default_factory=lambda: [[], [], [], []])

    def fold(self, event: InputRecord | TimerFired | RemedyOrdered, at: int, sent_at: int | None = None) -> None:
        """Fold at a time; the record was sent then too, or earlier."""
        self.life.now = at
        handle(self.life.dossier, event, self.life)
        if not isinstance(event, TimerFired | RemedyOrdered):
            topic = TOPIC_OF[type(event)]
            place = Place(TOPICS[topic], 0, len(self.inputs[topic]))
            self.inputs[topic].append(Input(place, event, at if sent_at is None else sent_at))

    @property
    def head(self) -> Head:
        dossier = self.life.dossier
        return Head(dossier.seq, dossier.head.hex() or None)


def lived(
    taken: list[histories.Step],
    books: list[Rulebook] | None = None,
    audited: Audited | None = None,
    before: Callable[[Life, histories.Step, int], None] | None = None,
) -> Audited:
    """The life of these steps, under one rulebook after the other in equal parts; some records wait hours for it.

    `before` is called with life, step and time before each step.
    """
    audited = audited or Audited()
    at = T0
    for number, step in enumerate(taken):
        at += step.wait
        if books:
            audited.life.rulebook = books[number * len(books) // len(taken)]
        if before is not None:
            before(audited.life, step, at)
        event = histories._MAKERS[step.what](step, audited.life, at)
        for _ in range(1 + step.twice if event is not None else 0):
            audited.fold(event, at, at - step.n * HOUR)
    return audited


def placed(lines: list[CaseEvent], user_id: str = USER) -> list[Placed]:
    """The lines as they lie on the topic, one after the other."""
    return [Placed(Place("case.events", 3, offset), user_id, line) for offset, line in enumerate(lines)]


many_lines = steps.map(lived).filter(lambda audited: len(audited.life.lines()) >= 4)
at_random = st.randoms(use_true_random=False)
