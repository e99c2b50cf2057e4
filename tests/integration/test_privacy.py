"""What somebody wrote is read by who holds the key, and by nobody, anywhere, once they were erased."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py
from click.testing import Result
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from msgspec import structs
from typer.testing import CliRunner

from schemas import records as r
from schemas.codec import Codec
from schemas.errors import NotGenuineError
from schemas.sealed import DEAD_LETTER, EVIDENCE, FORM, STATEMENT, Key, Purpose, open_, to_text
from schemas.wrapped import new_key, unwrap_subject, unwrap_wrapping
from tests.integration.test_bad_input import SENT_AT, appeal, enforcement
from tests.integration.worker_process import Installation
from tests.integration.workload import MINUTE, Row, row_of
from tests.unit import builders
from tests.unit.privacy_twins import check_view
from topology.cli import app
from topology.exits import Exit
from topology.privacy.errors import Erased
from topology.privacy.opening import open_keys
from topology.privacy.redis_view import RedisView
from topology.privacy.texts import Texts
from topology.settings import Settings
from topology.topics import WRAPPING, Role

CODEC = Codec()
KEK = new_key().secret
PLANTED = "the planted words of Marie Curie, 14 Rue de la Paix"
ERASED, KEPT = r.UserId("user-erased"), r.UserId("user-kept")
WHO = ("--actor", "dpo-1", "--reason", "ticket 8")
PATIENTLY = ("--wait", "60")
QUICK = {
    "segment.ms": "500",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "500",
    "delete.retention.ms": "500",
}
"""For compacted topics, so that their cleaner does in seconds what the register has it do in a day."""


@pytest.fixture
def broker(kafka_server):
    return kafka_server(settings={"log.cleaner.backoff.ms": "200", "log.retention.check.interval.ms": "500"})


@pytest.fixture
def store(redis_server):
    return redis_server()


@pytest.fixture
def installation(broker, store, app_id, tmp_path) -> Iterator[Installation]:
    with Installation(
        broker.bootstrap,
        store.url,
        app_id,
        tmp_path,
        partitions=2,
        output_partitions=2,
        kek=f"k-1:{to_text(KEK)}",
    ) as installation:
        yield installation


def settings_of(installation: Installation) -> Settings:
    return Settings(
        kafka=installation.kafka,
        redis=installation.environment["RECOURSE_REDIS"],
        topic_prefix=installation.prefix,
        group=installation.name,
        kek=installation.environment["RECOURSE_KEK"],
    )


def recourse(installation: Installation, *arguments: str) -> Result:
    """The command line, run here: a process for each would take longer than all the rest."""
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "400"} | installation.environment)


# --- what lies where -------------------------------------------------------------------------------------------


def files_of(installation: Installation, folder: Path) -> dict[str, bytes]:
    """Everything that the broker's files hold, by topic and file: what is deleted and not compacted yet as well.

    Looked at anew if the cleaner takes one away meanwhile: what it puts in its place may have been missed.
    """
    for _ in range(20):
        with contextlib.suppress(FileNotFoundError):
            return _files_of(installation, folder)
    raise AssertionError("the cleaner never stands still")


def _files_of(installation: Installation, folder: Path) -> dict[str, bytes]:
    found = {}
    for path in (folder / "logs").rglob("*"):
        if path.suffix == ".log" and path.parent.name.startswith(installation.prefix):
            found[f"{path.parent.name.removeprefix(installation.prefix)}/{path.name}"] = path.read_bytes()
    return found


def dump_of(redis: redis_py.Redis) -> bytes:
    """Every key and value of Redis."""
    found = []
    for key in redis.scan_iter():
        kind = redis.type(key)
        value = redis.hgetall(key) if kind == b"hash" else redis.zrange(key, 0, -1) if kind == b"zset" else None
        assert value is not None, f"{key!r} is a {kind!r}"
        found.append(repr((key, value)).encode())
        found += [part for pair in (value.items() if isinstance(value, dict) else value) for part in _flat(pair)]
    return b"\n".join(found)


def _flat(pair: object) -> list[bytes]:
    return [part for part in pair if isinstance(part, bytes)] if isinstance(pair, tuple) else [pair]  # type: ignore[list-item]


SUBJECT_KEY = re.compile(rb"@([0-9a-f]{32})@([0-9a-f]{32})\xa0\x01([A-Za-z0-9_-]{80})")
"""What follows the user in the bytes of a `SubjectKey`: two strings of 32 characters, one of 80."""
WORD = re.compile(rb"[A-Za-z0-9_-]{60,4096}")


def thief_reads(installation: Installation, everything: dict[str, bytes], user: str) -> set[str]:
    """What somebody reads who has all bytes of all topics and of Redis, and the key-encryption key."""
    whole = b"\n".join(everything.values())
    keys = [key for found in set(SUBJECT_KEY.findall(whole)) for key in _users_key(installation, *found, user)]
    sealed = {_decoded(word) for word in set(WORD.findall(whole))} | set(_raw_envelopes(whole, keys))
    ids = [f"a-{user}", f"x-{user}", f"y-{user}"]
    purposes = [Purpose(kind, user, each) for kind in (STATEMENT, EVIDENCE) for each in ids]
    purposes.append(Purpose(DEAD_LETTER, user, str(SENT_AT)))
    return {text for raw in sealed for key in keys for p in purposes if (text := _opened(key, p, raw))}


def _users_key(
    installation: Installation, key_id: bytes, wrapped_by: bytes, wrapped: bytes, user: str
) -> Iterator[Key]:
    """A key, if it is this user's."""
    names = {"key_id": key_id.decode(), "wrapped_by": wrapped_by.decode(), "wrapped": wrapped.decode()}
    record = r.SubjectKey(user_id=r.UserId(user), created_at=r.Millis(SENT_AT), **names)
    for topic, message in installation.messages(Role.REFERENCE):
        if topic.name == WRAPPING and message.key() == wrapped_by:
            by = CODEC.decode(message.value() or b"", topic.allowed)
            assert isinstance(by, r.WrappingKey)
            with contextlib.suppress(NotGenuineError):
                yield unwrap_subject(record, unwrap_wrapping(by, {"k-1": KEK}))


def _raw_envelopes(whole: bytes, keys: list[Key]) -> Iterator[bytes]:
    """Dead letters are sealed as bytes: they begin with the key's name, and end somewhere."""
    for key in keys:
        mark = bytes([FORM]) + bytes.fromhex(key.key_id)
        for found in re.finditer(re.escape(mark), whole):
            for size in range(60, 1_500):
                yield whole[found.start() : found.start() + size]


def _decoded(word: bytes) -> bytes:
    try:
        return base64.urlsafe_b64decode(word + b"=" * (-len(word) % 4))
    except ValueError:
        return b""


def _opened(key: Key, purpose: Purpose, raw: bytes) -> str | None:
    try:
        return open_(key, purpose, raw).decode(errors="replace")
    except NotGenuineError:
        return None


# --- one life ---------------------------------------------------------------------------------------------------


def written_by(texts: Texts, user: r.UserId) -> list[Row]:
    """An enforcement with a piece of evidence, an appeal with a statement, evidence for it; and what is no record."""
    piece = builders.some_evidence(f"x-{user}")
    more = builders.some_evidence(f"y-{user}")
    issued = enforcement(user, evidence=[texts.in_evidence(user, piece, PLANTED)])
    handed_in = texts.in_appeal(appeal(user), PLANTED)
    supply = builders.a_supply(
        SENT_AT + MINUTE, texts.in_evidence(user, more, PLANTED), actor=user, appeal_id=handed_in.appeal_id
    )
    rows = [row_of(issued, SENT_AT - MINUTE), row_of(handed_in, SENT_AT)]
    rows.append(row_of(structs.replace(supply, user_id=user), SENT_AT + MINUTE))
    # A producer's mistake: words in clear, in bytes that are no record.
    rows.append(Row("appeal.events", user.encode(), PLANTED.encode(), SENT_AT, None))
    return rows


def cut_inputs(installation: Installation) -> None:
    """As an input's retention would, once all of it is folded."""
    ends = {}
    for (topic, partition), offset in installation.committed().items():
        name = installation.register.on_cluster(topic)
        ends[TopicPartition(name, partition)] = offset
    futures = installation.admin.delete_records([TopicPartition(tp.topic, tp.partition, at) for tp, at in ends.items()])
    for future in futures.values():
        future.result()


def make_compaction_quick(admin: AdminClient, installation: Installation) -> None:
    compacted = [t for t in installation.register.topics if t.cleanup == "compact"]
    inputs = list(installation.register.inputs)
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            installation.register.on_cluster(topic.name),
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in (QUICK.items() if topic in compacted else [("segment.ms", "500")])
            ],
        )
        for topic in (*compacted, *inputs)
    ]
    for future in admin.incremental_alter_configs(resources).values():
        future.result()


def close_segments(installation: Installation) -> None:
    """Kafka closes a segment only when something comes: a record of nobody for every partition of what is kept."""
    producer = Producer({"bootstrap.servers": installation.kafka})
    for topic in installation.register.topics:
        if topic.cleanup == "compact" or topic.role is Role.INPUT:
            for number in range(topic.partitions):
                producer.produce(installation.register.on_cluster(topic.name), None, b"\0nobody", number)
    assert not producer.flush(30)


def letter_of(installation: Installation, user: str) -> str:
    [place] = [
        f"{topic.name}[{message.partition()}]@{message.offset()}"
        for topic, message in installation.messages(Role.DEAD_LETTERS)
        if message.key() == user.encode()
    ]
    return place


def test_what_an_erased_user_wrote_can_be_read_nowhere(installation, broker, store):
    make_compaction_quick(installation.admin, installation)
    settings = settings_of(installation)
    with open_keys(settings, name="intake", register=installation.register) as keys:
        rows = [row for user in (ERASED, KEPT) for row in written_by(Texts(keys), user)]
    [statement] = [row.record.statement_sealed for row in rows[:4] if isinstance(row.record, r.AppealSubmitted)]
    installation.send(rows)
    worker = installation.start()
    installation.until_done()
    letters = {user: letter_of(installation, user) for user in (ERASED, KEPT)}

    def anywhere() -> dict[str, bytes]:
        return files_of(installation, broker.data_dir) | {"redis": dump_of(installation.redis)}

    def in_clear() -> set[str]:
        found = {name for name, data in anywhere().items() if PLANTED.encode() in data}
        return {name.partition("/")[0].rpartition("-")[0] for name in found}

    # Before: nothing lies in clear but what a producer wrote so, and whoever has the key reads all of it.
    assert in_clear() == {"appeal.events"}
    for user in (ERASED, KEPT):
        assert read_from_pods(installation, user) == [PLANTED] * 3
        assert PLANTED.encode().hex() in recourse(installation, "dlq", "show", letters[user]).stdout
        found = thief_reads(installation, anywhere(), user)
        assert PLANTED in found
        assert any(PLANTED in text and text != PLANTED for text in found), "the dead letter too"

    done = recourse(installation, "privacy", "erase", ERASED, *WHO, *PATIENTLY)
    assert (done.exit_code, "SubjectErased" in done.stdout) == (0, True), done.output
    installation.until(
        lambda: ERASED.encode() not in _keys_in(installation.redis, installation.name), "the key leaves Redis"
    )
    cut_inputs(installation)

    def left() -> set[str]:
        close_segments(installation)
        return in_clear() | thief_reads(installation, anywhere(), ERASED)

    installation.until(lambda: not left(), "the topics are compacted")

    # After: the broker's own files, Redis and the logs have nothing that anybody could read; others are as they were.
    assert PLANTED in thief_reads(installation, anywhere(), KEPT)
    assert PLANTED not in worker.text()
    assert read_from_pods(installation, KEPT) == [PLANTED] * 3
    assert read_from_pods(installation, ERASED) == []
    with open_keys(settings, name="desk", register=installation.register) as keys, pytest.raises(Erased):
        Texts(keys).read(STATEMENT, ERASED, f"a-{ERASED}", statement or "")
    assert PLANTED.encode().hex() in recourse(installation, "dlq", "show", letters[KEPT]).stdout
    shown = recourse(installation, "dlq", "show", letters[ERASED]).stdout
    assert "erased: its user was erased" in shown
    assert PLANTED.encode().hex() not in shown
    refused = recourse(installation, "dlq", "replay", letters[ERASED], *WHO)
    assert (refused.exit_code, "sealed: erased" in refused.stdout) == (1, True)
    assert recourse(installation, "case", "verify", "--user", ERASED).exit_code == Exit.OK
    told = recourse(installation, "privacy", "show", ERASED).stdout
    assert ("erasure  erased" in told, "key      none" in told) == (True, True)
    assert worker.stop() == Exit.OK


def _keys_in(redis: redis_py.Redis, group: str) -> set[bytes]:
    """Whose keys the view has."""
    return {name for key in redis.scan_iter(f"{{{group}:subject-keys:*") for name in redis.hkeys(key)}


def read_from_pods(installation: Installation, user: str) -> list[str]:
    """What a reviewer tool reads of this user's cases: statements, then evidence."""
    newest: dict[bytes | None, r.Record | None] = {}
    for topic, message in installation.messages(Role.OUTPUT):
        if topic.name.startswith("cases."):
            value = message.value()
            newest[message.key()] = None if value is None else CODEC.decode(value, topic.allowed)
    found: list[str | None] = []
    with open_keys(settings_of(installation), name="desk", register=installation.register) as keys:
        for case in newest.values():
            if isinstance(case, r.Case) and case.user_id == user:
                found += [Texts(keys).of_statement(user, each) for each in case.statements]
                found += [Texts(keys).of_evidence(user, each) for each in case.evidence]
    return [text for text in found if text is not None]


def test_view_in_redis_keeps_its_promises(redis_url, app_id):
    client = redis_py.Redis.from_url(redis_url)
    check_view(RedisView(client, namespace=app_id))
    client.close()


def test_holds_and_requests_are_answered_on_the_command_line(kafka, redis_url, app_id, tmp_path):
    with Installation(kafka, redis_url, app_id, tmp_path, partitions=1, output_partitions=1) as installation:
        installation.start()
        about = ("--hold", "lh-1", *WHO, *PATIENTLY)
        held = recourse(installation, "privacy", "hold", "u-1", *about)
        assert (held.exit_code, "LegalHoldPlaced" in held.stdout) == (0, True), held.output
        waits = recourse(installation, "privacy", "erase", "u-1", *WHO, *PATIENTLY)
        assert (waits.exit_code, "ErasureHeld" in waits.stdout) == (0, True)
        told = recourse(installation, "privacy", "show", "u-1").stdout
        assert "waits for legal holds" in told
        assert "hold     lh-1" in told
        assert "RECOURSE_KEK is not set here" in told
        done = recourse(installation, "privacy", "release", "u-1", *about)
        assert done.exit_code == 0
        again = recourse(installation, "privacy", "erase", "u-1", "--actor", "dpo-2", "--reason", "again", *PATIENTLY)
        assert (again.exit_code, "erased_already" in again.stdout) == (1, True)
        lone = recourse(installation, "privacy", "release", "u-2", *about)
        assert (lone.exit_code, "unknown_hold" in lone.stdout) == (1, True)
        doctor = recourse(installation, "doctor").stdout
        assert "nothing is sealed, dead letters lie as they came" in doctor
