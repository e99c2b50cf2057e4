"""The audit of a real worker: shown, verified whole and tampered with, and folded again to the same hashes."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.cimpl import NewTopic
from rich.console import Console

from processors import ids
from schemas import records as r
from schemas import vocabulary as v
from schemas.chain import hash_of
from schemas.codec import Codec
from tests.integration.worker_process import Installation
from tests.integration.workload import HOUR, MINUTE, SECOND, Row, row_of, workload
from tests.unit import builders
from topology import rulebooks
from topology.audit import command
from topology.exits import Exit
from topology.rulebook_file import PACKAGED, RulebookFile, load_rulebook, load_rulebook_file
from topology.settings import Settings
from topology.topic_reader import TopicReader
from topology.topics import Role, load_register

CODEC = Codec()
START = time.time_ns() // 1_000_000 - HOUR
USER = r.UserId("user-[bold]known[/]")
APPEAL = "appeal-known"
CASE = ids.case_id(r.AppealId(APPEAL))
REVERSAL = ids.reversal_id(CASE)
DIRECTIVE = ids.directive_id(REVERSAL, "ef-account_status")
REVIEW = {"user_id": USER, "case_id": CASE}


def before_the_change() -> list[Row]:
    """What the first worker judges: a case is opened; what cannot be judged lies between."""
    issued = builders.an_enforcement(START, user_id=USER, enforcement_id="e-known", event_id="ev-issued")
    wrong = msgspec.structs.replace(issued, enforcement_id="e-wrong", amount=builders.euros("-1.00"))
    appeal = builders.an_appeal(
        START, APPEAL, user_id=USER, appellant_id=USER, enforcement_id="e-known", event_id="ev-appeal"
    )
    return [
        row_of(wrong, START),
        row_of(issued, START + SECOND),
        Row("appeal.events", USER.encode(), b"no record", START + SECOND, None),
        row_of(appeal, START + 2 * SECOND),
        row_of(appeal, START + 3 * SECOND),
        row_of(issued, START + 4 * SECOND),
    ]


def after_the_change() -> list[Row]:
    """What the second worker judges: the case is decided and its reversal confirmed."""
    claim = msgspec.structs.replace(builders.a_claim(START + MINUTE), **REVIEW, event_id="ev-claim")
    decision = msgspec.structs.replace(builders.a_decision(START + 2 * MINUTE), **REVIEW, event_id="ev-decision")
    ack = r.DirectiveAcked(
        event_id="ev-ack",
        user_id=USER,
        reversal_id=REVERSAL,
        directive_id=DIRECTIVE,
        system="sys-account_status",
        status=v.AckStatus.APPLIED,
        occurred_at=START + 3 * MINUTE,
    )
    return [
        row_of(claim, START + MINUTE),
        row_of(claim, START + MINUTE + 1),
        row_of(decision, START + 2 * MINUTE),
        row_of(ack, START + 3 * MINUTE),
    ]


class Judged(NamedTuple):
    """Two workers' work, one after the other, under two rulebooks."""

    installation: Installation
    while_open: str
    """What `case show` said before the case was decided."""
    digests: set[str]


@pytest.fixture(scope="module")
def judged(kafka, redis_url, tmp_path_factory):
    name, folder = f"case-audit-{uuid.uuid4().hex[:10]}", tmp_path_factory.mktemp("case-audit")
    other = folder / "rulebook.yaml"
    other.write_text(PACKAGED.read_text(encoding="utf-8").replace("lease: 30min", "lease: 20min"), encoding="utf-8")
    rows = workload(1_600, seed=77)
    with Installation(kafka, redis_url, name, folder, batch_records=100, clock="stream") as installation:
        for part, rulebook in ((0, PACKAGED), (1, other)):
            installation.send(rows[part * 800 : (part + 1) * 800])
            installation.send(after_the_change() if part else before_the_change())
            worker = installation.start(rulebook=rulebook)
            installation.until_done()
            assert worker.stop() == Exit.OK, worker.text()
            if not part:
                while_open = installation.recourse("case", "show", CASE).stdout
        yield Judged(installation, while_open, {load_rulebook(path).digest for path in (PACKAGED, other)})


def settings_of(installation: Installation) -> Settings:
    return Settings(kafka=installation.kafka, topic_prefix=installation.prefix, group=installation.name)


def lines_of(installation: Installation) -> list[r.CaseEvent]:
    return installation.arrived().lines


# --- show ------------------------------------------------------------------------------------------------------


def test_open_case_is_shown_with_where_it_stands_and_why(judged):
    text = judged.while_open
    assert "The case is open" in text
    assert re.search(r"queued, version 1, with \w+", text), text
    assert "severity" in text


@pytest.mark.parametrize("wanted", [CASE, APPEAL])
def test_whole_life_of_a_case_is_shown_by_its_own_id_and_by_its_appeals(judged, wanted):
    done = judged.installation.recourse("case", "show", wanted)

    assert (done.returncode, done.stderr) == (0, "")
    told = re.findall(r"│ (\d+) +│ (Case|Directive|Reversal)(\w+)", done.stdout)
    assert [kind + rest for _, kind, rest in told[:7]] == [
        "CaseOpened",
        "CaseClaimed",
        "CaseDecided",
        "ReversalOrdered",
        "DirectiveApplied",
        "ReversalConfirmed",
        "CaseClosed",
    ]
    assert f"user         {USER}" in done.stdout
    for seen in ("overturned", "policy=counterfeit", "detector=fake-finder", "reviewer=r-1", *judged.digests):
        assert seen in done.stdout
    assert re.search(rf"{DIRECTIVE} │ sys-account_status │ restore .*applied", done.stdout)
    assert f"Reversal {REVERSAL} confirmed" in done.stdout
    assert "The case is open" not in done.stdout


def test_lines_as_json_are_verified_with_nothing_but_json_and_a_hash(judged):
    done = judged.installation.recourse("case", "show", CASE, "--json")

    before = None
    for text in done.stdout.splitlines():
        line = json.loads(text)
        claimed = line.pop("hash")
        form = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert hashlib.sha256(form).hexdigest() == claimed
        assert line.get("prev_hash") == before
        before = claimed
    assert line["kind"] == "CaseClosed"


@pytest.mark.parametrize(
    "verb", [("show", "c-0"), ("verify", "--case", "c-0"), ("verify", "--user", "u-0"), ("replay", "c-0")]
)
def test_unknown_id_is_one_clear_message(judged, verb):
    done = judged.installation.recourse("case", *verb)

    assert (done.returncode, done.stdout) == (Exit.MISCONFIGURED, "")
    assert re.search(r"c-0|u-0", done.stderr)
    assert "Traceback" not in done.stderr


# --- verify ----------------------------------------------------------------------------------------------------


def test_every_chain_that_a_worker_wrote_is_whole(judged):
    lines = lines_of(judged.installation)

    done = judged.installation.recourse("case", "verify")

    assert (done.returncode, done.stderr) == (Exit.OK, "")
    users = len({line.user_id for line in lines})
    assert done.stdout.strip() == f"{users} users, {len(lines)} lines verified: every chain is whole"
    assert users > 50


@pytest.mark.parametrize("chosen", [("--user", USER), ("--case", CASE), ("--case", APPEAL)])
def test_one_users_chain_is_verified_alone(judged, chosen):
    done = judged.installation.recourse("case", "verify", *chosen)

    assert done.stdout.strip() == "1 user, 8 lines verified: every chain is whole"


Kept = tuple[int, bytes, bytes]
"""(partition, key, value)."""


class Copy:
    """The audit and the changelog under another prefix, after something was done to the audit."""

    def __init__(self, installation: Installation, tamper: Callable[[list[Kept]], list[Kept]]) -> None:
        self._installation = installation
        self.prefix = f"{installation.prefix}{uuid.uuid4().hex[:8]}."
        producer = Producer({"bootstrap.servers": installation.kafka, "log_level": 0})
        for role, name in ((Role.OUTPUT, "case.events"), (Role.CHANGELOG, "dossiers.changelog")):
            new = NewTopic(self.prefix + name, installation.register.by_name[name].partitions, 1)
            installation.admin.create_topics([new])[new.topic].result()
            found = [(m.partition(), m.key(), m.value()) for t, m in installation.messages(role) if t.name == name]
            kept = tamper(found) if name == "case.events" else found
            for partition, key, value in kept:
                producer.produce(new.topic, value, key, partition)
        assert not producer.flush(60)

    def verified(self) -> tuple[bool, list[str]]:
        """Whether it is whole, and what was said."""
        console = Console(file=io.StringIO(), record=True, width=400)
        settings = settings_of(self._installation).model_copy(update={"topic_prefix": self.prefix})
        return command.verify(settings, console), console.export_text().splitlines()


def where(kept: list[Kept], seq: int) -> int:
    """Position of a line of the known user."""
    [found] = [n for n, (_, key, value) in enumerate(kept) if key == USER.encode() and line_in(value).seq == seq]
    return found


def line_in(value: bytes) -> r.CaseEvent:
    line = CODEC.decode(value, frozenset({r.CaseEvent}))
    assert isinstance(line, r.CaseEvent)
    return line


def place(kept: list[Kept], position: int, prefix: str) -> str:
    """`topic[partition]@offset` of a record in the copy."""
    partition = kept[position][0]
    return f"{prefix}case.events[{partition}]@{sum(p == partition for p, _, _ in kept[:position])}"


def rewritten(kept: list[Kept], seq: int, *, own_hash: bool) -> list[Kept]:
    at = where(kept, seq)
    line = msgspec.structs.replace(line_in(kept[at][2]), actor=r.ReviewerId("somebody-else"))
    if own_hash:
        line = msgspec.structs.replace(line, hash=hash_of(line))
    return [*kept[:at], (*kept[at][:2], CODEC.encode(line)), *kept[at + 1 :]]


def swapped(kept: list[Kept], one: int, other: int) -> list[Kept]:
    kept, a, b = list(kept), where(kept, one), where(kept, other)
    kept[a], kept[b] = kept[b], kept[a]
    return kept


def without(kept: list[Kept], *seqs: int) -> list[Kept]:
    gone = {where(kept, seq) for seq in seqs}
    return [one for n, one in enumerate(kept) if n not in gone]


def repeated(kept: list[Kept], seq: int) -> list[Kept]:
    return [*kept, kept[where(kept, seq)]]


@pytest.mark.parametrize(
    ("tamper", "kind", "seq", "at"),
    [
        (lambda kept: rewritten(kept, 3, own_hash=False), "altered", 3, lambda kept: where(kept, 3)),
        (lambda kept: rewritten(kept, 3, own_hash=True), "altered", 3, lambda kept: where(kept, 3)),
        (lambda kept: rewritten(kept, 8, own_hash=True), "altered", 8, lambda kept: where(kept, 8)),
        (lambda kept: without(kept, 2), "missing", 2, lambda kept: where(kept, 3)),
        (lambda kept: swapped(kept, 2, 3), "reordered", 3, lambda kept: where(kept, 3)),
        (lambda kept: without(kept, 5, 6, 7, 8), "truncated", 5, lambda kept: where(kept, 4)),
        (lambda kept: repeated(kept, 4), "duplicated", 4, lambda kept: len(kept) - 1),
    ],
    ids=["altered", "altered and hashed", "last altered and hashed", "removed", "swapped", "tail cut", "repeated"],
)
def test_line_that_was_tampered_with_on_the_topic_is_named_with_its_place(judged, tamper, kind, seq, at):
    seen: list[list[Kept]] = []

    def kept(found: list[Kept]) -> list[Kept]:
        seen.append(tamper(found))
        return seen[0]

    copy = Copy(judged.installation, kept)
    whole, said = copy.verified()

    assert not whole
    faults = [line for line in said if "  user " in line]
    assert len(faults) == 1, said
    assert faults[0].startswith(f"{kind:<11} {place(seen[0], at(seen[0]), copy.prefix)}  user {USER}  line {seq}  ")
    assert any("lines verified: 1 fault" in line for line in said)


def test_verify_ends_with_the_exit_code_of_what_it_found(judged):
    copy = Copy(judged.installation, lambda kept: without(kept, 2))
    done = judged.installation.recourse("case", "verify", topic_prefix=copy.prefix)
    assert done.returncode == Exit.DEFECT
    assert f"user {USER}  line 2  line 2 is not there before line 3" in done.stdout


def test_copy_that_nobody_touched_verifies(judged):
    assert Copy(judged.installation, lambda kept: kept).verified()[0]


# --- replay ----------------------------------------------------------------------------------------------------


def test_case_is_folded_again_under_the_rulebooks_of_then_past_its_dead_letters(judged):
    done = judged.installation.recourse("case", "replay", CASE)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"{USER}: 8 of 8 lines came out identical, from 8 inputs under 2 rulebooks" in done.stdout


def test_lives_that_the_worker_folded_with_timers_and_late_records_come_out_identical(judged):
    installation = judged.installation
    lines = lines_of(installation)
    longest = [user for user, _ in Counter(line.user_id for line in lines).most_common(4)]
    timed = [line.user_id for line in lines if line.cause_id.startswith("timer:")]
    assert timed
    for user in {*longest, *timed[:4]}:
        appeal = next(line.appeal_id for line in lines if line.user_id == user and line.appeal_id)
        console = Console(file=io.StringIO(), record=True, width=400)
        assert command.replay(appeal, settings_of(installation), console), console.export_text()


def test_rulebooks_are_kept_by_digest_once_each(judged):
    kept = [(message.key().decode(), message.value()) for _, message in judged.installation.messages(Role.REFERENCE)]
    assert Counter(digest for digest, _ in kept) == dict.fromkeys(judged.digests, 1)
    assert dict(kept)[load_rulebook(PACKAGED).digest] == PACKAGED.read_bytes()


def test_rulebook_is_written_only_when_what_is_kept_does_not_tell_it(judged):
    installation, file = judged.installation, load_rulebook_file(PACKAGED)
    register = load_register(f"{installation.prefix}books.")
    client = {"bootstrap.servers": installation.kafka, "log_level": 0}
    new = NewTopic(register.on_cluster("rulebooks"), 1, 1)
    installation.admin.create_topics([new])[new.topic].result()

    assert rulebooks.publish(client, register, file)
    assert not rulebooks.publish(client, register, file)
    commented = RulebookFile(file.book, f"# the same\n{file.text}")
    assert not rulebooks.publish(client, register, commented)

    producer = Producer(client)
    producer.produce(new.topic, b"name: something else", file.book.digest.encode())
    assert not producer.flush(60)
    assert rulebooks.publish(client, register, file)
    with TopicReader(client, register, name="test") as reader:
        assert rulebooks.read_kept(reader) == {file.book.digest: file.text.encode()}


def test_audit_that_was_changed_does_not_come_out_of_its_inputs(judged, kafka):
    """A whole copy, inputs too, in which one line has another actor and even its own hash."""
    installation = judged.installation
    prefix = f"{installation.prefix}changed."
    producer = Producer({"bootstrap.servers": kafka, "log_level": 0})
    topics = {t.name: t for t in installation.register.topics if not t.name.startswith("cases.")}
    new = [NewTopic(prefix + name, topic.partitions, 1) for name, topic in topics.items()]
    for future in installation.admin.create_topics(new).values():
        future.result()
    for topic, message in installation.messages(*Role):
        value = message.value()
        if topic.name not in topics:
            continue
        if topic.name == "case.events" and message.key() == USER.encode() and line_in(value).seq == 3:
            line = msgspec.structs.replace(line_in(value), actor=r.ReviewerId("somebody-else"))
            value = CODEC.encode(msgspec.structs.replace(line, hash=hash_of(line)))
        ours = installation.prefix.encode()
        headers = [(name, told.replace(ours, prefix.encode(), 1)) for name, told in message.headers() or []]
        where_and_when = {"partition": message.partition(), "timestamp": message.timestamp()[1]}
        producer.produce(prefix + topic.name, value, message.key(), headers=headers, **where_and_when)
    assert not producer.flush(60)

    done = installation.recourse("case", "replay", CASE, topic_prefix=prefix)

    assert done.returncode == Exit.DEFECT
    assert "line 3 differs" in done.stdout
    assert re.search(r"actor +│ somebody-else +│ r-1", done.stdout)
