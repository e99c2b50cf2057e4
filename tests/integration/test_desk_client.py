"""The desk's client on a real Kafka and engine: queues from nothing, answers, what is aborted, what trouble is told.

And the page of a sealed statement, which is read by who has the key, until that is shredded.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from pydantic import SecretStr
from starlette.testclient import TestClient

from desk.app import build_app
from desk.client import Client
from desk.errors import DeskError, Misconfigured, NoAnswer, NotWritten
from desk.floor import Floor
from desk.following import Follower, Part, partitions
from desk.keyed_log import KeyedLog
from desk.names import KEYS, LINES, WRAPPING, Names
from desk.newest_bytes import NewestBytes
from desk.settings import Settings
from desk.wording import words
from desk.writer import Decision
from schemas.records import CaseEvent
from schemas.sealed import STATEMENT, to_text
from schemas.vocabulary import CaseEventKind, CaseState, EvidenceKind, EvidenceSupplier, Outcome
from schemas.wrapped import new_key
from tests.browser.town import EVERYTHING, Town, a_town
from topology.privacy.opening import open_keys
from topology.privacy.texts import Texts

GUARD_S = 30
PLANTED = "That was my own brand, planted plaintext."
KEK = f"k-1:{to_text(new_key().secret)}"
TOLD = words("en")


@pytest.fixture(scope="module")
def town(kafka, redis_url, tmp_path_factory):
    with a_town(kafka, redis_url, tmp_path_factory.mktemp("town"), with_desk=False) as town:
        yield town


@pytest.fixture(scope="module")
def client(town: Town):
    with a_client(town) as client:
        yield client


def a_client(town: Town, **more) -> Client:
    return Client({"bootstrap.servers": town.settings.kafka}, Names(town.settings.topic_prefix), town.codec, **more)


def arrived(client: Client, case_id: str, version: int = 1):
    """The case, once it is in its pod's queue."""
    deadline = time.monotonic() + GUARD_S
    while (found := client.find(case_id)) is None or found[0].entry(case_id).version < version:
        assert time.monotonic() < deadline, f"{case_id} does not come"
        time.sleep(0.01)
    return found[0].case(case_id)


def test_a_case_is_claimed_decided_and_leaves(town, client):
    case = arrived(client, town.appeal())
    claimed = client.writer.claim(case, "r-1")
    assert claimed.accepted
    assert claimed.line.kind is CaseEventKind.CASE_CLAIMED
    case = arrived(client, case.case_id, claimed.line.case_version)
    assert case.claim.reviewer == "r-1"
    decided = client.writer.propose(case, "r-1", Decision(Outcome.OVERTURNED, reasons_ref="texts/1"))
    assert decided.line.kind is CaseEventKind.CASE_DECIDED
    deadline = time.monotonic() + GUARD_S
    while client.find(case.case_id) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_pod_that_comes_later_has_its_queue_without_a_restart_unless_pods_were_chosen(town):
    desk = Floor(settings_of(town, None), town.texts)
    with a_client(town, pods=["general"]) as chosen, contextlib.closing(desk):
        desk.start()
        before = list(desk.client.queues)
        topic = f"{town.settings.topic_prefix}cases.new-pod"
        admin = AdminClient({"bootstrap.servers": town.settings.kafka})
        admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(GUARD_S)
        deadline = time.monotonic() + GUARD_S
        while "new-pod" not in desk.client.queues:
            assert time.monotonic() < deadline, "the desk does not see the pod"
            time.sleep(0.05)
        assert list(desk.client.queues) == sorted([*before, "new-pod"])
        assert desk.client.queue("new-pod").wait_until_whole(GUARD_S)
        case = msgspec.structs.replace(arrived(chosen, town.appeal()), pod="new-pod", case_id="case-1")
        town.producer.produce(topic, town.codec.encode(case), "case-1")
        assert town.producer.flush(GUARD_S) == 0
        while desk.client.find("case-1") is None:
            assert time.monotonic() < deadline, "its case does not come"
            time.sleep(0.05)
        assert chosen.take_new_pods({topic: 2}) == []
        assert list(chosen.queues) == ["general"]


def test_a_refusal_comes_with_its_reason_and_the_same_click_twice_is_one(town, client):
    case = arrived(client, town.appeal())
    first, again = client.writer.claim(case, "r-1"), client.writer.claim(case, "r-1")
    assert first.accepted
    assert again.line == first.line, "the engine meets the second with silence; the answer is remembered"
    refused = client.writer.claim(case, "r-2")
    assert (refused.accepted, refused.reason) == (False, "stale_version")
    case = arrived(client, case.case_id, first.line.case_version)
    taken = client.writer.claim(case, "r-2")
    assert (taken.reason, taken.detail) == ("already_claimed", "r-1")
    lacking = client.writer.propose(case, "r-1", Decision(Outcome.UPHELD, "texts/1", cited_evidence=["x-9"]))
    assert (lacking.reason, lacking.detail) == ("evidence_unknown", "x-9")


def test_of_twenty_who_reach_for_one_case_one_has_it(town, client):
    case = arrived(client, town.appeal())
    answers = {}
    people = [
        threading.Thread(target=lambda who=f"r-{n}": answers.update({who: client.writer.claim(case, who)}))
        for n in range(20)
    ]
    for person in people:
        person.start()
    for person in people:
        person.join(GUARD_S)
    won = [who for who, answer in answers.items() if answer.accepted]
    assert len(answers) == 20
    assert len(won) == 1
    assert arrived(client, case.case_id, 2).claim.reviewer == won[0]


def test_everything_that_reviewers_do_is_written_as_the_engine_wants_it(town, client):
    case = arrived(client, town.appeal())

    def do(call, kind, **more):
        nonlocal case
        answer = call(case, "r-1", **more)
        assert answer.line.kind is kind, answer
        case = arrived(client, case.case_id, answer.line.case_version)

    writer = client.writer
    do(writer.claim, CaseEventKind.CASE_CLAIMED)
    do(writer.claim, CaseEventKind.CLAIM_RENEWED)
    do(writer.release, CaseEventKind.CASE_RELEASED)
    do(writer.claim, CaseEventKind.CASE_CLAIMED)
    kinds = [EvidenceKind.LICENCE]
    do(writer.request_evidence, CaseEventKind.EVIDENCE_REQUESTED, kinds=kinds, supplier=EvidenceSupplier.APPELLANT)
    assert case.state is CaseState.AWAITING_EVIDENCE
    do(writer.resume, CaseEventKind.CASE_RESUMED)
    do(writer.claim, CaseEventKind.CASE_CLAIMED)
    do(writer.hold, CaseEventKind.CASE_HELD, reason="investigation")
    do(writer.resume, CaseEventKind.CASE_RESUMED)
    do(writer.claim, CaseEventKind.CASE_CLAIMED)
    answer = writer.refer(case, "r-1", to_pod="legal", reason="legal")
    assert answer.line.kind is CaseEventKind.CASE_REFERRED
    assert arrived(client, case.case_id, answer.line.case_version).pod == "legal"


def test_a_client_that_starts_from_nothing_has_the_same_queue(town, client):
    case = arrived(client, town.appeal())
    with a_client(town, pods=["general"]) as other:
        queue = other.queue("general")
        assert queue.wait_until_whole(GUARD_S)
        assert queue.case(case.case_id) == case
        ours = {entry.case_id: entry.data for entry in client.queue("general").in_order()}
        assert {entry.case_id: entry.data for entry in queue.in_order()} == ours
        with pytest.raises(Misconfigured, match="no queue of pod legal"):
            other.queue("legal")


def test_what_was_aborted_is_never_seen(town, client):
    case = msgspec.structs.replace(arrived(client, town.appeal()), case_id="never")
    name = town.register.on_cluster("cases.general")
    config = {"bootstrap.servers": town.settings.kafka, "transactional.id": f"{town.settings.group}-aborts"}
    producer = Producer(config)
    producer.init_transactions(GUARD_S)
    producer.begin_transaction()
    producer.produce(name, town.codec.encode(case, name), "never", 0)
    producer.flush(GUARD_S)
    producer.abort_transaction(GUARD_S)
    producer.begin_transaction()
    producer.produce(name, town.codec.encode(msgspec.structs.replace(case, case_id="later"), name), "later", 0)
    producer.commit_transaction(GUARD_S)
    arrived(client, "later")
    assert client.find("never") is None


def test_no_answer_is_told_and_what_was_written_counts_later(town):
    with a_client(town, answer_s=1.0) as client:
        case = arrived(client, town.appeal())
        town.stop_engine()
        try:
            with pytest.raises(NoAnswer, match="is the engine running"):
                client.writer.claim(case, "r-1")
        finally:
            town.go_on()
        assert arrived(client, case.case_id, 2).claim.reviewer == "r-1"
        assert client.writer.claim(case, "r-1").accepted, "the same again: its answer came meanwhile"


def test_records_that_are_in_memory_no_more_are_read_from_kafka(town, client):
    case = arrived(client, town.appeal())
    client.writer.claim(case, "r-1")
    name = town.register.on_cluster(LINES)
    log = KeyedLog(name, client.kafka, f"{town.settings.topic_prefix}desk-test", keep_records=1)
    parts = [Part(name, number) for number in range(client.partitions[name])]
    follower = Follower(client.kafka, f"{town.settings.topic_prefix}desk-test", parts, {name: log})
    follower.start()
    assert log.whole.wait(GUARD_S)
    kept = log.read(case.user_id)
    lines = [town.codec.decode(each.value, frozenset({CaseEvent})) for each in kept]
    assert [line.kind for line in lines] == [CaseEventKind.CASE_OPENED, CaseEventKind.CASE_CLAIMED]
    assert log.read("nobody") == []
    log.close()
    follower.stop()
    assert follower.failure is None


def test_a_broker_that_is_not_there_is_told_at_start(town, monkeypatch):
    monkeypatch.setattr("desk.following._ASK_S", 1.0)
    with pytest.raises(Misconfigured, match="Kafka does not answer"):
        Client({"bootstrap.servers": "127.0.0.1:1", "socket.timeout.ms": 1_000})


def test_a_topic_that_is_missing_is_named(town):
    with pytest.raises(Misconfigured, match=r"elsewhere\.case\.events"):
        Client({"bootstrap.servers": town.settings.kafka}, Names("elsewhere."))


def test_what_kafka_does_not_take_has_not_happened(town, client):
    huge = msgspec.structs.replace(arrived(client, town.appeal()), user_id="u" * 256)
    evil = msgspec.structs.replace(huge, case_id="")
    with pytest.raises(NotWritten, match="was not written"):
        client.writer.claim(evil, "r-1")


# --- sealed texts ----------------------------------------------------------------------------------------------


def settings_of(town: Town, kek: str | None) -> Settings:
    return Settings(
        kafka=town.settings.kafka,
        topic_prefix=town.settings.topic_prefix,
        texts=town.folder / "texts",
        trusted_proxies="0.0.0.0/0",
        secure_cookies=False,
        kek=kek,
    )


@contextlib.contextmanager
def a_desk(town: Town, kek: str | None) -> Generator[TestClient]:
    settings = settings_of(town, kek)
    headers = {"x-forwarded-user": "anna", "x-forwarded-groups": EVERYTHING}
    app = build_app(settings, Floor(settings, town.texts))
    with TestClient(app, headers=headers, client=("10.0.0.9", 1)) as client:
        yield client


def page_with(desk: TestClient, case_id: str, wanted: str) -> str:
    """The case's page, once it has these words."""
    deadline = time.monotonic() + GUARD_S
    while wanted not in (text := desk.get(f"/cases/{case_id}").text):
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
    return text


def a_sealed_appeal(town: Town) -> tuple[str, str]:
    """The user and their case; sealed as intake does it, with Redis, which the desk does without."""
    issued = town.strike()
    settings = town.settings.model_copy(update={"kek": SecretStr(KEK)})
    with open_keys(settings, name="intake", register=town.register) as keys:
        sealed = Texts(keys).seal(STATEMENT, issued.user_id, f"a-{issued.enforcement_id}", PLANTED)
    return issued.user_id, town.appeal_against(issued, "", statement_ref=None, statement_sealed=sealed)


def shred(town: Town, user: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    """As the engine does it: in a transaction, whose marker lies behind the tombstone."""
    config = {"bootstrap.servers": town.settings.kafka, "partitioner": "murmur2_random"}
    producer = Producer({**config, "transactional.id": f"{town.settings.group}-shreds"})
    producer.init_transactions(GUARD_S)
    producer.begin_transaction()
    producer.produce(town.register.on_cluster(KEYS), None, user)
    producer.flush(GUARD_S)
    meanwhile()
    producer.commit_transaction(GUARD_S)


def test_a_sealed_statement_is_shown_with_the_key_alone_and_is_erased_with_its_key(town):
    user, case_id = a_sealed_appeal(town)
    with a_desk(town, KEK) as desk, a_desk(town, None) as without:
        assert TOLD("text.sealed") not in page_with(desk, case_id, PLANTED)
        assert PLANTED not in page_with(without, case_id, TOLD("text.sealed"))
        shred(town, user)
        assert PLANTED not in page_with(desk, case_id, TOLD("text.erased"))


def test_keys_are_read_to_their_end_and_what_a_transaction_holds_back_is_waited_for(town, monkeypatch):
    user, _ = a_sealed_appeal(town)
    kafka, name = {"bootstrap.servers": town.settings.kafka}, f"{town.settings.topic_prefix}desk-fetch"
    view, wrapping = (NewestBytes(town.register.on_cluster(topic), kafka, name) for topic in (KEYS, WRAPPING))
    for each in (view, wrapping):
        each.read_on()
    assert view.get(user) is not None
    assert len(wrapping) == 1

    def held_back() -> None:
        monkeypatch.setattr("desk.newest_bytes._ASK_S", 1.0)
        with pytest.raises(DeskError, match="what was written last"):
            view.read_on()
        monkeypatch.undo()
        assert view.get(user) is not None

    shred(town, user, held_back)
    view.read_on()
    assert view.get(user) is None


def test_a_desk_with_a_key_that_may_not_see_the_topics_of_keys_refuses_to_start(town, monkeypatch):
    real = partitions

    def without_keys(consumer):
        return {name: count for name, count in real(consumer).items() if not name.endswith(KEYS)}

    monkeypatch.setattr("desk.client.partitions", without_keys)
    settings = settings_of(town, KEK)
    with pytest.raises(Misconfigured, match=r"there is no topic .*subject\.keys, or no right"):
        Floor(settings, town.texts)
    Floor(settings_of(town, None), town.texts)
