"""The appeals application with remedies in the real engine on its in-memory twin, and what must hold at the end."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import msgspec

from processors.dossier import Dossier
from processors.fold import TOPIC_OF
from processors.remedy_state import Remedy
from schemas.codec import Codec
from schemas.records import (
    CaseEvent,
    InputRecord,
    Record,
    RemedyReported,
    ReversalOrdered,
    UserId,
)
from schemas.vocabulary import RemedyState, ReversalCause
from tests.driver import START_MS, Driver
from tests.unit import remedies as make
from tests.unit.builders import RULEBOOK, a_claim, a_decision
from topology.appeals import REMEDIES, REMEDY_PREFIX, State, appeals_app
from topology.audit.lines import Head, Place, Placed
from topology.audit.replay import Input, replay
from topology.audit.verify import verify
from topology.engine.state import DUE_BYTES
from topology.topics import load_register

PARTITIONS = 2
REGISTER = load_register(partitions=PARTITIONS)
TOPICS = {kind: topic for topic in REGISTER.inputs for kind in topic.allowed}
BAD_AT = START_MS - 86_400_000


@cache
def codec() -> Codec:
    return Codec()


class World:
    """One installation of two partitions."""

    def __init__(self, **settings: Any) -> None:
        app = appeals_app(name="appeals", register=REGISTER, codec=codec(), rulebook=RULEBOOK)
        self.driver: Driver[State] = Driver(app, **{"partitions": PARTITIONS, "align_s": 0.0, **settings})

    # --- sending ----------------------------------------------------------------------------------------------

    def send(self, *records: Record) -> None:
        """Write inputs under their users."""
        for record in records:
            topic = TOPICS[type(record)]
            key = getattr(record, topic.key)
            self.driver.send(topic.name, key, codec().encode(record, topic.name))

    def command(self, record: make.Command) -> None:
        """A copy for every partition, as an operator's tool writes it."""
        for partition in range(PARTITIONS):
            copy = msgspec.structs.replace(record, partition=partition, partitions=PARTITIONS)
            self.driver.send(REMEDIES, record.remedy_id, codec().encode(copy, REMEDIES), partition=partition)

    def strike(self, users: int, each: int = 1, prefix: str = "e") -> list[str]:
        """Enforcements of the bad version on so many users; their ids."""
        ids = [(f"u-{n}", f"{prefix}-{n}-{k}") for n in range(users) for k in range(each)]
        self.send(*(make.struck(user, key, BAD_AT) for user, key in ids))
        return [key for _, key in ids]

    def propose(self, **change: Any) -> None:
        self.command(
            make.a_proposal(
                **{"issued_from": BAD_AT - 1, "issued_until": START_MS, "occurred_at": START_MS, "per_second": 100}
                | change
            )
        )

    def approve(self, *actors: str, remedy_id: str = "m-1") -> None:
        for actor in actors:
            self.command(make.an_approval(actor, remedy_id, occurred_at=START_MS))

    def decide(self, user: str, enforcement_id: str, outcome: Any) -> None:
        """Appeal, claim and decide."""
        at = self.driver.clock.now_ms()
        self.send(make.appealed(user, enforcement_id, at))
        for record in (
            a_claim(at, appeal_id=f"a-{enforcement_id}"),
            a_decision(at, outcome, appeal_id=f"a-{enforcement_id}"),
        ):
            self.send(msgspec.structs.replace(record, user_id=UserId(user)))

    # --- running ----------------------------------------------------------------------------------------------

    def go(self, rounds: int = 1, ms: int = 250) -> None:
        """Let time pass in pieces, and all that is due happen."""
        for _ in range(rounds):
            self.driver.run()
            self.driver.advance(ms)
        self.driver.run()

    def settle(self, *, most: int = 600, ms: int = 250) -> None:
        """Until no remedy has anything to do."""
        for _ in range(most):
            self.driver.run()
            if all(remedy.due is None for remedy in self.remedies().values()):
                return
            self.driver.advance(ms)
        raise AssertionError(f"remedies do not come to rest: {self.remedies()}")

    # --- what is there ----------------------------------------------------------------------------------------

    def remedies(self) -> dict[tuple[int, str], Remedy]:
        """By partition and id, from the changelog."""
        found: dict[tuple[int, str], Remedy] = {}
        for (partition, key), value in self.driver.shared().items():
            if key.startswith(REMEDY_PREFIX.encode()) and value is not None:
                state = self.driver.app.decode_state(value[DUE_BYTES:])
                assert isinstance(state, Remedy)
                found[partition, state.remedy_id] = state
        return found

    def records(self, topic: str, kind: type[Any]) -> list[Any]:
        allowed = REGISTER.by_name[topic].allowed
        found = [codec().decode(r.value, allowed) for r in self.driver.read(topic) if r.value is not None]
        return [record for record in found if isinstance(record, kind)]

    def reversed(self, cause: ReversalCause = ReversalCause.REMEDY) -> list[str]:
        orders: list[ReversalOrdered] = self.records("resolution.events", ReversalOrdered)
        return [o.enforcement_id for o in orders if o.cause is cause and o.attempt == 1]

    def reports(self, remedy_id: str = "m-1") -> list[RemedyReported]:
        """The newest of each partition."""
        newest: dict[int, RemedyReported] = {}
        for report in self.records("remedy.events", RemedyReported):
            known = newest.get(report.partition)
            if report.remedy_id == remedy_id and (known is None or report.seq > known.seq):
                newest[report.partition] = report
        return [newest[partition] for partition in sorted(newest)]

    @property
    def ordered(self) -> int:
        """By the reports."""
        return sum(report.done.enforcements for report in self.reports())

    def dossiers(self) -> dict[str, Dossier]:
        return {key: state for key, state in self.driver.states().items() if isinstance(state, Dossier)}

    # --- what must hold ---------------------------------------------------------------------------------------

    def check(self, expected: list[str], *, state: RemedyState = RemedyState.DONE) -> None:
        """Each is reversed exactly once, the reports add up, no number of theirs is missing, and the audit is whole."""
        assert Counter(self.reversed()) == Counter(expected)
        assert [report.state for report in self.reports()] == [state] * PARTITIONS
        assert self.ordered == len(expected)
        seqs: dict[int, list[int]] = {}
        for report in self.records("remedy.events", RemedyReported):
            if report.remedy_id == "m-1":
                seqs.setdefault(report.partition, []).append(report.seq)
        assert all(sorted(seq) == list(range(1, len(seq) + 1)) for seq in seqs.values())
        letters = [(letter.key, letter.headers) for letter in self.driver.dead_letters()]
        assert letters == []
        assert self.driver.stored_shared() == self.driver.shared()
        assert self.driver.stored_states() == self.driver.states()
        self.check_index()
        self.check_audit()

    def check_index(self) -> None:
        """It is what a rebuild would make of the dossiers."""
        app = self.driver.app
        assert app.indexed is not None
        terms = {term for d in self.dossiers().values() for term in app.indexed(app.encode_state(d))}
        there = [self.driver.store.terms(partition) for partition in range(PARTITIONS)]
        assert terms == set().union(*there)
        assert sum(map(len, there)) == len(terms)

    def check_audit(self) -> None:
        """Every chain is whole, and every life comes out the same when it is folded again."""
        placed: list[Placed] = []
        for raw in self.driver.read("case.events"):
            line = codec().decode(raw.value or b"", REGISTER.by_name["case.events"].allowed)
            assert isinstance(line, CaseEvent)
            placed.append(Placed(Place("case.events", raw.partition, raw.offset), (raw.key or b"").decode(), line))
        dossiers = self.dossiers()
        heads = {key: Head(d.seq, d.head.hex() or None) for key, d in dossiers.items()}
        assert verify(placed, heads).faults == []
        inputs: dict[str, list[list[Input]]] = {user: [[], [], [], []] for user in dossiers}
        for topic in REGISTER.user_inputs:
            for raw in self.driver.read(topic.name):
                record: InputRecord = codec().decode(raw.value or b"", topic.allowed)  # type: ignore[assignment]
                place = Place(topic.name, raw.partition, raw.offset)
                inputs[record.user_id][TOPIC_OF[type(record)]].append(Input(place, record, raw.timestamp))
        for user in dossiers:
            lines = [p.line for p in placed if p.user_id == user and p.line is not None]
            assert replay(user, lines, inputs[user], lambda _digest: RULEBOOK).difference is None
