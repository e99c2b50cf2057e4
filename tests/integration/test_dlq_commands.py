"""Dead letters are settled once, on a real Kafka: replayed as they were and in the order of their key, or discarded."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections import Counter, defaultdict

import pytest
from confluent_kafka import Message
from rich.console import Console

from schemas import records as r
from schemas import vocabulary as v
from schemas.codec import Codec
from tests.integration.checker import faults
from tests.integration.test_bad_input import ACKS, APPEALS, NOW, SENT_AT, appeal, enforcement, the_app
from tests.integration.worker_process import Delivered, Installation
from tests.integration.workload import SECOND, Row, row_of
from topology.dlq.choosing import Wanted
from topology.dlq.command import Desk, Done
from topology.dlq.letters import place
from topology.dlq.settling import Moment, Overtaken
from topology.engine import deadletter
from topology.engine.clients import NoMetrics
from topology.exits import Exit
from topology.settings import Settings
from topology.topics import Role
from topology.worker import build

CODEC = Codec()
WHO = ("--actor", "ann", "--reason", "ticket 7")
USERS, APPEALS_EACH = 4, 3


@pytest.fixture
def installation(kafka, redis_url, app_id, tmp_path):
    with Installation(kafka, redis_url, app_id, tmp_path) as installation:
        yield installation


def settings_of(installation: Installation) -> Settings:
    return Settings(
        kafka=installation.kafka,
        redis=installation.environment["RECOURSE_REDIS"],
        topic_prefix=installation.prefix,
        group=installation.name,
    )


def judge(installation: Installation, doomed: set[str]) -> None:
    """Process all that was sent within this process, by a version that cannot judge the events of these ids."""
    app = the_app(installation, CODEC)
    real = app.handle

    def handle(dossier, event, ctx):
        real(dossier, event, ctx)
        if getattr(event, "event_id", None) in doomed:
            raise LookupError("this version cannot judge it")

    settings = settings_of(installation)
    app = dataclasses.replace(app, handle=handle)
    worker = build(app, settings, settings.engine(), redis=installation.redis, metrics=NoMetrics())
    deadline = time.monotonic() + 60
    worker.run(lambda: installation.done() == len(installation.delivered) or time.monotonic() > deadline)
    assert installation.done() == len(installation.delivered)


def wreck(installation: Installation, users: int = USERS, each: int = APPEALS_EACH) -> list[Delivered]:
    """Appeals that a version of ours could not judge, each against an enforcement that it could."""
    names = [r.UserId(f"user-{n}") for n in range(users)]
    wanted = [(name, n) for n in range(1, each + 1) for name in names]
    installation.send(row_of(enforcement(name, n), SENT_AT - SECOND) for name, n in wanted)
    appeals = [appeal(name, f"a{n}", n) for name, n in wanted]
    rows = [row_of(record, SENT_AT + n)._replace(record=None) for n, record in enumerate(appeals)]
    bad = installation.send(rows, headers=[("trace-id", b"7"), ("empty", None)])
    judge(installation, {record.event_id for record in appeals})
    return bad


def letters(installation: Installation) -> list[Message]:
    return [message for _, message in installation.messages(Role.DEAD_LETTERS)]


def actions(installation: Installation) -> list[r.DeadLetterSettled]:
    """All audit records, in their order."""
    found = [
        CODEC.decode(message.value(), topic.allowed)
        for topic, message in installation.messages(Role.OUTPUT)
        if topic.name == "dlq.actions"
    ]
    assert all(isinstance(record, r.DeadLetterSettled) for record in found)
    return found


def inputs(installation: Installation) -> dict[tuple[str, int, int], Message]:
    found = {}
    for topic, message in installation.messages(Role.INPUT):
        found[topic.name, message.partition(), message.offset()] = message
    return found


def replayed(installation: Installation, bad: list[Delivered]) -> list[Delivered]:
    """What the replays have put on the inputs, checked to be what was set aside, exactly once and in its order."""
    before = {(d.row.topic, d.partition, d.offset) for d in installation.delivered}
    new = {where: message for where, message in inputs(installation).items() if where not in before}
    by_bytes = {d.row.value: d for d in bad}
    assert len(by_bytes) == len(bad)
    found = []
    for (topic, partition, offset), message in sorted(new.items()):
        was = by_bytes[message.value()]
        assert (topic, partition, message.key()) == (was.row.topic, was.partition, was.row.key)
        assert message.timestamp()[1] == was.row.at
        assert message.headers() == [("trace-id", b"7"), ("empty", None)]
        found.append(Delivered(was.row, partition, offset))
    assert max(Counter(d.row.value for d in found).values(), default=0) <= 1
    order = defaultdict(list)
    for d in found:
        order[d.row.key].append(by_bytes[d.row.value].offset)
    assert all(offsets == sorted(offsets) for offsets in order.values())
    told = {record.replayed_to for record in actions(installation) if record.action is v.DeadLetterAction.REPLAYED}
    assert told == {place(installation.prefix + d.row.topic, d.partition, d.offset) for d in found}
    return found


def finish(installation: Installation, found: list[Delivered]) -> None:
    """A mended version judges what was replayed, and nothing is lost or doubled by it."""
    records = {d.row.value: CODEC.decode(d.row.value, frozenset({r.AppealSubmitted})) for d in found}
    installation.delivered += [d._replace(row=d.row._replace(record=records[d.row.value])) for d in found]
    worker = installation.start()
    installation.until_done()
    assert worker.stop() == Exit.OK
    arrived = installation.arrived()
    assert faults(installation.sent(), arrived) == []
    opened = [line for line in arrived.lines if line.kind is v.CaseEventKind.CASE_OPENED]
    assert sorted(line.appeal_id for line in opened) == sorted(record.appeal_id for record in records.values())
    by_user = defaultdict(list)
    for line in opened:
        by_user[line.user_id].append(line.appeal_id)
    assert all(ids == sorted(ids) for ids in by_user.values())


@pytest.mark.rule(7)
def test_orders_that_are_killed_and_given_again_replay_each_letter_once_in_the_order_of_its_key(installation):
    bad = wreck(installation)
    total = len(bad)

    for moment, count, so_far in (("AUDIT", 1, 0), ("COMMIT", 2, 3), ("TELL", 1, 6), ("BEGIN", 2, 9)):
        killed = installation.start("-m", "tests.integration.dlq_process", "replayed", moment, str(count))
        assert killed.ended() == -signal.SIGKILL, killed.text()
        # What it left half-way is settled by the next order; what it committed stands, told or not.
        assert len(actions(installation)) == so_far
    last = installation.recourse("dlq", "replay", "--all", *WHO)
    assert (last.returncode, last.stdout.splitlines()[-1]) == (Done.ALL, f"{total - 9} replayed")

    found = replayed(installation, bad)
    assert len(found) == total
    told = actions(installation)
    assert len({record.letter for record in told}) == len(told) == total
    again = installation.recourse("dlq", "replay", "--all", *WHO)
    assert (again.returncode, again.stdout) == (Done.ALL, "0 replayed\n")
    finish(installation, found)


@pytest.mark.rule(7)
def test_a_filter_replays_only_what_it_names_and_what_must_not_overtake_is_held_back(installation):
    bad = wreck(installation, users=2)
    of_one = [d for d in bad if d.row.key == b"user-1"]
    lie = {installation.origin(letter): letter for letter in letters(installation)}
    places = [
        place(m.topic(), m.partition(), m.offset()) for m in (lie[d.row.topic, d.partition, d.offset] for d in of_one)
    ]

    dry = installation.recourse("dlq", "replay", "--key", "user-1", "--dry-run", *WHO)
    assert dry.returncode == Done.ALL
    bare = [each.removeprefix(installation.prefix) for each in places]
    assert dry.stdout.splitlines() == [*(f"would be replayed: {each}" for each in bare), "3 would be replayed"]
    assert (replayed(installation, bad), actions(installation)) == ([], [])

    held = installation.recourse("dlq", "replay", places[1], *WHO)
    assert held.returncode == Done.NOT_ALL
    assert f"held back: an older letter of its key is pending: replay {bare[0]}" in held.stdout
    assert replayed(installation, bad) == []

    one = installation.recourse("dlq", "replay", places[0], *WHO)
    assert (one.returncode, one.stdout) == (Done.ALL, "1 replayed\n")
    [audit] = actions(installation)
    assert (audit.actor, audit.reason, audit.code, audit.letter) == ("ann", "ticket 7", "handler_raised", bare[0])
    assert audit.origin == place(installation.prefix + APPEALS, of_one[0].partition, of_one[0].offset)
    rest = installation.recourse("dlq", "replay", "--key", "user-1", "--code", "handler_raised", *WHO)
    assert (rest.returncode, rest.stdout) == (Done.ALL, "2 replayed\n")

    found = replayed(installation, bad)
    assert {d.row.key for d in found} == {b"user-1"}
    assert len(found) == APPEALS_EACH
    listed = installation.recourse("dlq", "list")
    assert "3 more in other states; --state all shows them" in listed.stdout
    assert listed.stdout.splitlines()[-1] == "handler_raised 3"
    shown = installation.recourse("dlq", "show", places[0])
    assert "by ann: ticket 7, now at" in shown.stdout
    finish(installation, found)


def test_what_is_discarded_is_told_by_whom_and_why_and_cannot_be_replayed(installation):
    [bad] = wreck(installation, users=1, each=1)
    [letter] = letters(installation)
    where = place(letter.topic(), letter.partition(), letter.offset())

    gone = installation.recourse("dlq", "discard", where, *WHO)
    assert (gone.returncode, gone.stdout) == (Done.ALL, "1 discarded\n")
    again = installation.recourse("dlq", "discard", where, *WHO)
    assert again.returncode == Done.ALL
    assert "done already: discarded already by ann" in again.stdout
    refused = installation.recourse("dlq", "replay", where, *WHO)
    assert refused.returncode == Done.NOT_ALL
    assert "settled otherwise: discarded already by ann" in refused.stdout
    assert installation.recourse("dlq", "replay", "--all", *WHO).stdout == "0 replayed\n"

    assert replayed(installation, [bad]) == []
    [audit] = actions(installation)
    assert (audit.action, audit.actor, audit.replayed_to) == (v.DeadLetterAction.DISCARDED, "ann", None)
    listed = installation.recourse("dlq", "list", "--state", "all")
    assert "discarded by ann" in listed.stdout


def test_two_orders_at_once_never_settle_a_letter_twice(installation):
    bad = wreck(installation, users=2)
    settings = settings_of(installation)

    def order(probe):
        desk = Desk(settings, Console(quiet=True))
        return desk.settle(
            Wanted(), v.DeadLetterAction.REPLAYED, topic=None, actor="ann", reason="r", dry_run=False, probe=probe
        )

    def in_between(moment):
        """The first order has its records on the broker; now comes another one."""
        if moment is Moment.COMMIT:
            assert order(lambda _moment: None) is Done.ALL

    with pytest.raises(Overtaken, match="another `recourse dlq` took over"):
        order(in_between)
    assert len(replayed(installation, bad)) == len(actions(installation)) == len(bad)


def test_letters_without_a_record_are_refused_by_name_and_may_be_discarded(installation):
    origin = {"topic": installation.prefix + ACKS, "partition": 1, "offset": NOW}
    timer = deadletter.about(LookupError("x"), deadletter.TIMER_RAISED, **origin)
    told = deadletter.about(LookupError("x"), deadletter.TELL_RAISED, **origin)
    for key, headers in ((b"u", timer), (b"v", [*told, (deadletter.TOLD, b"v"), (deadletter.TELLER, b"\0remedy/r")])):
        rows = [Row("enforcement.events.dlq", key, None, SENT_AT, None)]
        installation.send(rows, partition=1, headers=headers)

    refused = installation.recourse("dlq", "replay", "--all", *WHO)
    assert refused.returncode == Done.NOT_ALL
    assert "no record: a timer raised" in refused.stdout
    assert "no record: a sweep could not tell" in refused.stdout
    assert refused.stdout.splitlines()[-1] == "0 replayed, 2 not"
    shown = installation.recourse("dlq", "show", "enforcement.events.dlq[1]@0")
    assert "no record: a timer raised" in shown.stdout
    gone = installation.recourse("dlq", "discard", "--code", "timer_raised", *WHO)
    assert gone.stdout == "1 discarded\n"
    assert inputs(installation) == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which letters?"),
        (("appeal.events.dlq[0]@7",), "no dead letter at appeal.events.dlq[0]@7"),
        (("appeal.events.dlq[0]@7", "--all"), "not both"),
        (("--topic", "appeals"), "appeals is no input with dead letters"),
        (("--since", "yesterday"), "no time"),
    ],
)
def test_an_order_that_is_not_clear_is_refused_and_nothing_is_done(installation, arguments, said):
    refused = installation.recourse("dlq", "discard", *arguments, *WHO)
    assert refused.returncode == Exit.MISCONFIGURED
    assert said in refused.stderr
    assert actions(installation) == []
