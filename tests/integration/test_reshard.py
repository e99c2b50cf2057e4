"""An installation that moves to another number of partitions goes on as if nothing had happened."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections import Counter
from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewPartitions, NewTopic
from rich.console import Console

from processors.remedy_state import Cohort, Proposal, Remedy
from schemas.codec import Codec
from schemas.records import Millis, ReviewerId, UserId, UserProfileUpdated
from schemas.vocabulary import SellerTier
from tests.integration.checker import ALLOWANCES, faults
from tests.integration.reshard_world import (
    AFTER,
    BEFORE,
    CHANGELOG,
    NOW,
    TO,
    ByHand,
    Executioner,
    Killed,
    Operator,
    delivered_there,
    people,
    settings_of,
)
from tests.integration.worker_process import Installation
from tests.integration.workload import Row, row_of, workload
from topology.audit import command as audit
from topology.cluster import Cluster
from topology.dlq.choosing import State
from topology.dlq.choosing import Wanted as Letters
from topology.dlq.command import Desk
from topology.engine.errors import Misconfigured
from topology.engine.state import DUE_BYTES
from topology.exits import Exit
from topology.insights.run import same_partitions
from topology.partitioner import partition_of
from topology.reshard import carrying
from topology.reshard.carrier import Moment
from topology.reshard.command import Done
from topology.reshard.seals import GroupOffsets
from topology.topics import Role, load_register

SEVENTH, NINTH = people(10)[7], people(10)[9]


@pytest.fixture
def installed(kafka, redis_url, app_id, tmp_path):
    """Make installations: `installed("name", partitions=…, **settings)`."""
    with contextlib.ExitStack() as stack:

        def make(name="", **settings):
            return stack.enter_context(
                Installation(kafka, redis_url, app_id + name, tmp_path, output_partitions=2, **settings)
            )

        yield make


@pytest.fixture
def by_hand(installed):
    """An installation on two partitions, without workers."""
    return ByHand(installed(partitions=BEFORE))


def moved(installed, place: ByHand) -> Installation:
    """The same installation, where it has moved to."""
    name = place.installation.name
    there = installed(create=False, partitions=AFTER, partitioning=TO)
    assert there.name == name
    return there


def until_folded(there: Installation) -> None:
    """Wait until each partition is folded to its last record."""
    ends = {}
    for each in there.delivered:
        place = each.row.topic, each.partition
        ends[place] = max(ends.get(place, 0), each.offset + 1)
    there.until(lambda: all(there.committed().get(at, 0) >= end for at, end in ends.items()), "all is folded")


def time_everywhere(at: int) -> list[Row]:
    """Records that bring each partition to this time, however many there are: what is due by then has happened."""
    codec, users = Codec(), [UserId(f"clock-{number}") for number in range(30)]
    fields = {"occurred_at": Millis(at), "language": "de", "region": "DE", "seller_tier": SellerTier.SELLER, "reach": 0}
    return [row_of(UserProfileUpdated(event_id=f"{at}-{user}", user_id=user, **fields), at, codec) for user in users]


def test_installation_on_more_partitions_publishes_what_one_that_never_moved_does(installed):
    told = workload(2_000, seed=41)
    first, waiting, last = told[:1_000], told[1_000:1_300], told[1_300:]
    first += time_everywhere(waiting[0].at)
    # A command that not all partitions have taken would be in the way.
    waiting = [row for row in waiting if row.topic != "remedy.commands"]
    last += time_everywhere(last[-1].at)
    rows = [*first, *waiting, *last]
    calm = installed("-calm", partitions=BEFORE, clock="stream")
    calm.send(rows)
    calm.start()
    moves = installed("-moves", partitions=BEFORE, clock="stream")
    moves.send(first)
    worker = moves.start()
    moves.until_done()
    assert worker.stop() == Exit.OK
    moves.send(waiting)  # nobody folds these before the move

    before = moves.arrived()
    assert any(before.pods.values()), "cases are open"
    assert len(before.orders) > len(before.confirmations), "reversals run"
    assert any(len(view.timers) > 1 for view in before.views.values()), "timers are pending"
    assert before.letters

    operator = Operator(moves)
    assert operator() is Done.ALL, operator.said
    assert "lost 0, doubled 0, differs 0" in operator.said
    refused = moves.start()
    there = installed("-moves", create=False, partitions=AFTER, clock="stream", partitioning=TO)
    there.delivered = delivered_there(there, moves.delivered)
    there.send(last)
    worker = there.start()
    until_folded(there)
    calm.until_done()
    assert worker.stop() == Exit.OK
    assert refused.ended() == Exit.MISCONFIGURED
    assert 'everything was moved to the partitioning \\"p3\\"' in refused.text()

    for installation in (calm, there):
        installation.until(lambda i=installation: not i.unsettled(), "every transaction is settled")
    sent, arrived = there.sent(), there.arrived()
    # Where nothing was left to fold, the offset lies behind the marker of the transaction that brought the records.
    sent = replace(sent, ends={at: max(end, arrived.committed.get(at, 0)) for at, end in sent.ends.items()})
    found = faults(sent, arrived)
    assert not found, f"{len(found)} faults, the first: {found[:10]}"
    was, wanted = there.published(), calm.published()
    assert not [key for key in was.keys() | wanted.keys() if was.get(key) != wanted.get(key)][:5]

    # The lives that went on after the move, one of them with a record that was set aside before it.
    lines = [Counter(line.user_id for line in each.lines) for each in (before, arrived)]
    old = {user for user, count in lines[0].items() if lines[1][user] > count}
    cases = {line.user_id: line.case_id for line in arrived.lines if line.case_id and line.user_id in old}
    odd = next(key.decode() for _, key, _ in before.letters if key and key.decode() in cases)
    console, settings = Console(file=io.StringIO()), settings_of(there)
    assert audit.verify(settings, console)
    assert audit.replay(cases[odd], settings, console), console.file.getvalue()


@pytest.mark.long
def test_a_move_killed_before_every_commit_and_given_again_moves_everything_once(by_hand, installed, monkeypatch):
    monkeypatch.setattr(carrying, "MOST_RECORDS", 20)
    by_hand.users(40)
    discarded = by_hand.letter("appeal.events", SEVENTH[0], b"junk", SEVENTH[1])
    by_hand.discard(discarded)
    by_hand.letter("appeal.events", None, b"no key", 1)
    by_hand.letter("review.events", NINTH[0], b"junk", NINTH[1])
    by_hand.spent(1, 5)
    by_hand.fold()
    by_hand.write("appeal.events", *((user, b"late", at) for user, at in people(40)), at=NOW + 1_000)
    operator = Operator(by_hand.installation)
    moments = (
        (Moment.SEAL, 1),
        (Moment.STATES, 3),
        (Moment.FOLDED, 4),
        (Moment.MARK, 1),
        (Moment.REST, 2),
        (Moment.LETTERS, 2),
        (Moment.SHARED, 1),
        (Moment.OPEN, 1),
    )
    for moment, count in moments:
        with pytest.raises(Killed):
            operator(probe=Executioner(moment, count))
    with pytest.raises(Misconfigured, match="there is nothing to verify, the move is under way"):
        operator("verify")
    assert operator() is Done.ALL, operator.said
    assert operator("verify") is Done.ALL, operator.said
    assert re.search(r"compared 40 users, \d+ inputs, 3 dead letters .*: lost 0, doubled 0, differs 0", operator.said)

    there = moved(installed, by_hand)
    newest = {(m.partition(), m.key()): m.value() for _, m in there.messages(Role.CHANGELOG)}
    users = {(partition_of(user, AFTER), user) for user, _ in people(40)}
    assert {key for key in newest if not key[1].startswith(b"\0")} == users
    spent = [json.loads(newest[number, ALLOWANCES][DUE_BYTES:])["spent"] for number in range(AFTER)]
    assert [each.get("grants", 0) for each in spent] == [2, 2, 1]

    folded = there.committed()
    inputs = [(topic.name, m) for topic, m in there.messages(Role.INPUT)]
    late = [m for name, m in inputs if m.offset() >= folded.get((name, m.partition()), 0)]
    assert Counter(m.key() for m in late) == Counter(user for user, _ in people(40))
    assert {m.value() for m in late} == {b"late"}
    assert len(inputs) == 2 * 3 * 40 + 3 + 40

    lie = {(name, m.partition(), m.offset()): (m.key(), m.value()) for name, m in inputs}
    letters = [m for _, m in there.messages(Role.DEAD_LETTERS)]
    assert [lie[there.origin(m)] for m in letters] == [(m.key(), m.value()) for m in letters]
    said = io.StringIO()
    desk = Desk(settings_of(there), Console(file=said, width=300))
    desk.list_(Letters(), topic=None, state=State.DISCARDED, limit=9)
    assert re.search(rf"{TO}\.appeal\.events\.dlq\[\d\]@\d+ .* discarded by ann", said.getvalue())
    assert "2 more in other states" in said.getvalue()


def test_what_differs_is_named_lost_and_doubled_apart_and_nobody_can_work_there(by_hand, installed):
    by_hand.users(12)
    by_hand.fold()
    operator = Operator(by_hand.installation)
    with pytest.raises(Killed):
        operator(probe=Executioner(Moment.OPEN))
    there = moved(installed, by_hand)
    [user, *_] = [user for user, _ in people(12) if partition_of(user, AFTER) == 0]
    hand = ByHand(there)
    stranger = b"stranger", b"\0" * 8, partition_of(b"stranger", AFTER)
    hand.write(CHANGELOG, (user, b"\0" * 8 + b"another", 0), stranger, (user, b"\0" * 8, 1))
    topic = there.register.on_cluster("appeal.events")
    [gone] = there.admin.delete_records([TopicPartition(topic, 1, 2)]).values()
    gone.result()

    assert operator() is Done.DIFFERS
    told = operator.said
    assert f"differs     the state of {user!r}" in told
    assert re.search(r"doubled +the state of b'stranger', which was not there before", told)
    assert f"doubled     the state of {user!r} in partition 1" in told
    assert re.search(r"lost +appeal.events, folded: b'user-\d+': 1 of 3 records", told)
    refused = there.recourse("run")
    assert refused.returncode == Exit.MISCONFIGURED
    assert "this is being filled from the partitioning" in refused.stdout + refused.stderr


def test_a_move_can_be_undone_until_workers_have_gone_on(by_hand, installed):
    by_hand.users(12)
    by_hand.fold()
    before = by_hand.installation.committed()
    operator = Operator(by_hand.installation)
    with pytest.raises(Misconfigured, match="there is nothing to undo"):
        operator("undo")
    assert operator() is Done.ALL

    there = ByHand(moved(installed, by_hand))
    there.write("appeal.events", (b"user-0001", b"sent there already", 0))
    with pytest.raises(Misconfigured, match="producers have written to the new inputs already"):
        operator("undo")
    assert operator("undo", lose=True) is Done.ALL
    assert by_hand.installation.committed() == before
    with pytest.raises(Misconfigured, match="was undone"):
        operator()
    assert Operator(by_hand.installation, to="p4", partitions=4)() is Done.ALL


def test_records_that_came_to_the_old_inputs_meanwhile_are_brought_when_it_is_given_again(by_hand, installed):
    by_hand.users(12)
    by_hand.fold()
    operator = Operator(by_hand.installation)
    assert operator() is Done.ALL
    by_hand.write("appeal.events", *((user, b"straggler", at) for user, at in people(12)))
    for _ in range(2):
        assert operator() is Done.ALL
    there = moved(installed, by_hand)
    folded = there.committed()
    late = [
        m.key()
        for topic, m in there.messages(Role.INPUT)
        if topic.name == "appeal.events" and m.offset() >= folded[topic.name, m.partition()]
    ]
    assert sorted(late) == sorted(user for user, _ in people(12))


def test_a_reader_of_the_audit_goes_on_in_the_new_one_once_it_has_read_all(by_hand, installed):
    by_hand.users(4)
    by_hand.fold()
    by_hand.write("case.events", *((user, b"line %d" % n, at) for n in range(3) for user, at in people(4)))
    ledger = f"{by_hand.installation.name}-ledger"
    operator = Operator(by_hand.installation, readers=(ledger,))
    with pytest.raises(Misconfigured, match=f"the group {ledger} has not read 12 lines"):
        operator()
    by_hand.read(ledger, "case.events")
    assert operator() is Done.ALL, operator.said
    assert "the audit had" in operator.said, "these are no lines, neither there nor here"

    there = ByHand(moved(installed, by_hand))
    new = [m for topic, m in there.installation.messages(Role.OUTPUT) if topic.name == "case.events"]
    assert [m.value() for m in new if m.key() == b"user-0001"] == [b"line 0", b"line 1", b"line 2"]
    places = [(there.register.on_cluster("case.events"), number) for number in range(AFTER)]
    with GroupOffsets(there.client, ledger) as group:
        begin = {number: each.offset for (_, number), each in group.committed(places).items()}
    there.write("case.events", *((user, b"next", partition_of(user, AFTER)) for user, _ in people(4)))
    lines = [m for topic, m in there.installation.messages(Role.OUTPUT) if topic.name == "case.events"]
    unread = [m for m in lines if m.offset() >= begin[m.partition()]]
    assert sorted(m.key() for m in unread) == sorted(user for user, _ in people(4))
    assert {m.value() for m in unread} == {b"next"}
    register = settings_of(there.installation).register_of_topics()
    assert same_partitions(Cluster(there.client, register), register) == AFTER, "the insights can go on there"


def a_remedy(**change) -> Remedy:
    cohort = Cohort("fake-finder", "7", None, Millis(NOW), Millis(NOW + 1))
    proposal = Proposal("p", ReviewerId("olga"), "wrong", cohort, 10, 0, BEFORE)
    return Remedy(remedy_id="m-1", proposal=proposal, **change)


def test_what_is_in_the_way_is_told_all_at_once_and_nothing_is_written(by_hand):
    by_hand.users(4)
    by_hand.remedy(a_remedy(previewed=True))
    by_hand.state(1 - people(1)[0][1], b"user-0000", b"\0" * 8)
    by_hand.write("remedy.commands", (b"m-1", b"a command", 1))
    by_hand.fold(but="remedy.commands")
    before = by_hand.installation.committed()

    for order in ("plan", "run"):
        with pytest.raises(Misconfigured) as caught:
            Operator(by_hand.installation)(order)
        text = str(caught.value)
        assert "remedy m-1 is not over (awaiting_approval in 2 of 2 partitions)" in text
        assert f"1 users' states do not lie where the default (murmur2) partitioner over {BEFORE} partitions" in text
        assert "commands on" in text
        assert "have not been taken by all partitions" in text
    assert by_hand.installation.committed() == before
    topics = by_hand.installation.admin.list_topics(timeout=30).topics
    assert not [name for name in topics if name.startswith(f"{by_hand.installation.prefix}{TO}.")]


def test_a_group_with_members_is_refused_and_not_disturbed(by_hand):
    by_hand.users(4)
    by_hand.fold()
    worker = by_hand.installation.start(static_membership=False)
    by_hand.installation.until(by_hand.installation.owners, "the worker holds partitions")
    members = by_hand.installation.owners()
    with pytest.raises(Misconfigured, match=r"has members: .* Stop all workers"):
        Operator(by_hand.installation, wait_s=0)()
    assert by_hand.installation.owners() == members
    assert worker.stop() == Exit.OK


def added(place: ByHand) -> int:
    """Topics on which everybody knows the new partitions."""
    found = place.installation.admin.list_topics(timeout=30).topics.values()
    mine = [topic for topic in found if topic.topic.startswith(place.installation.prefix)]
    return sum(len(t.partitions) == AFTER and all(p.leader >= 0 for p in t.partitions.values()) for t in mine)


def test_partitions_that_were_added_are_mended_by_a_move(by_hand, installed):
    """The workers refuse them (test_added_partitions_are_refused…), and Kafka cannot take them back."""
    by_hand.users(12)
    by_hand.remedy(a_remedy(finished=True, previewed=True, started=True))
    by_hand.fold()
    names = [by_hand.register.on_cluster(t.name) for t in by_hand.register.topics if t.co_partitioned]
    futures = by_hand.installation.admin.create_partitions([NewPartitions(name, AFTER) for name in names])
    for future in futures.values():
        future.result()
    by_hand.installation.until(lambda: added(by_hand) == len(names), "the partitions are there")
    hand = ByHand(by_hand.installation)
    hand.write("appeal.events", *((user, b"astray", partition_of(user, AFTER)) for user, _ in people(12)))

    operator = Operator(by_hand.installation)
    assert operator("plan") is Done.ALL
    assert "remedy m-1 in 2 partitions" in operator.said
    assert operator() is Done.ALL, operator.said
    there = moved(installed, by_hand)
    remedies = [key for _, m in there.messages(Role.CHANGELOG) if (key := m.key()).startswith(b"\0remedy/")]
    assert remedies == [b"\0remedy/m-1"] * AFTER


def test_names_that_would_do_harm_are_refused(by_hand, installed):
    by_hand.users(2)
    by_hand.fold()
    run = by_hand.installation.recourse
    done = run("reshard", "--partitions", "3", "--to", "P 3")
    assert (done.returncode, "small letters, digits and hyphens" in done.stderr) == (Exit.MISCONFIGURED, True)
    done = run("create-topics", partitioning="p8")
    assert (done.returncode, "would be users without history" in done.stderr) == (Exit.MISCONFIGURED, True)
    empty = installed(partitions=AFTER, partitioning="p9")
    done = empty.recourse("run")
    assert (done.returncode, "has no committed offsets" in done.stdout + done.stderr) == (Exit.MISCONFIGURED, True)
    with pytest.raises(Misconfigured, match="the name of another partitioning"):
        Operator(by_hand.installation, to="")()
    used = ByHand(by_hand.installation)
    for future in used.installation.admin.create_topics(
        [NewTopic(f"{used.installation.prefix}used.appeal.events", 1, 1)]
    ).values():
        future.result()
    used.register = load_register(by_hand.installation.prefix, partitions=BEFORE, partitioning="used")
    used.write("appeal.events", (b"user-0001", b"somebody else's", 0))
    with pytest.raises(Misconfigured, match='the partitioning "used" is not new'):
        Operator(by_hand.installation, to="used", partitions=1)()
    assert Operator(by_hand.installation)() is Done.ALL
    with pytest.raises(Misconfigured, match='everything was moved to the partitioning "p3"'):
        Operator(by_hand.installation, to="p4")()
