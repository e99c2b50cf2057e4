"""A worker starts only where its results will be right; where not, it says what is wrong and what to do.

Whatever an operator can mend ends with exit code 2 and a message, never with a traceback.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from confluent_kafka.admin import ConfigResource
from confluent_kafka.cimpl import NewTopic

from tests.integration.checker import faults
from tests.integration.worker_process import PARTITIONS, Installation, Process, free_port
from tests.integration.workload import workload
from topology.exits import Exit
from topology.rulebook_file import PACKAGED
from topology.topics import load_register

TOPICS = len(load_register().topics)
CHANGELOG = "dossiers.changelog"
BROKER_LIMIT_S = 40
"""What a command may take to say that no broker answers, start included, on a busy machine."""


@pytest.fixture
def bare(kafka, redis_url, app_id, tmp_path):
    """An installation whose topics are not there."""
    with Installation(kafka, redis_url, app_id, tmp_path, create=False) as installation:
        yield installation


@pytest.fixture
def installation(bare):
    bare.create_topics()
    return bare


@pytest.fixture
def rulebook(tmp_path):
    """The packaged rulebook with one text replaced: the file, and the number of the first line that differs."""

    def change(old: str, new: str) -> tuple[Path, int]:
        text = PACKAGED.read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "rulebook.yaml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return path, text[: text.index(old)].count("\n") + 1

    return change


def create(installation: Installation, name: str, partitions: int = PARTITIONS, **config: str) -> None:
    """A topic that is not as the register says."""
    settings = {key.replace("_", "."): value for key, value in config.items()}
    topic = NewTopic(installation.register.on_cluster(name), partitions, 1, config=settings)
    installation.admin.create_topics([topic])[topic.topic].result()


def refusal(done: subprocess.CompletedProcess | Process) -> str:
    """Why `recourse run` refused: its one log line."""
    code = done.ended() if isinstance(done, Process) else done.returncode
    output = done.text() if isinstance(done, Process) else done.stdout + done.stderr
    assert code == Exit.MISCONFIGURED, output
    assert "Traceback" not in output
    [line] = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert line["event"] == "worker_refused"
    return line["why"]


# --- rulebook and settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("weights:", "weigths:", "weigths: unknown key; did you mean 'weights'?"),
        ("  lease: 30min", "  leese: 30min", "review.leese: unknown key; did you mean 'lease'?"),
        ("    suspension: 0.85", "    suspensoin: 0.85", "unknown value 'suspensoin'; did you mean 'suspension'?"),
        ("    pod: payments", "    pod: payment", "routing[4].pod: no pod is called 'payment'"),
    ],
)
def test_a_typo_in_the_rulebook_is_told_with_file_line_field_and_the_nearest_key(
    installation, rulebook, old, new, told
):
    path, line = rulebook(old, new)

    why = refusal(installation.recourse("run", rulebook=path))

    [at_line] = [fault for fault in why.splitlines() if fault.strip().startswith(f"{path}:{line}: ")]
    assert told in at_line


def test_a_pod_without_a_topic_is_named_with_what_to_do(installation, rulebook):
    path, _ = rulebook("  - name: legal\n", "  - name: diamonds\n  - name: legal\n")

    why = refusal(installation.recourse("run", rulebook=path))

    assert "pods without a topic: diamonds" in why
    assert "recourse create-topics" in why


def test_every_wrong_setting_is_told_at_once_an_unknown_one_with_the_nearest_known(bare):
    done = bare.recourse("run", topic_prefx="x.", clock="sundial", session_s=-1)

    assert done.returncode == Exit.MISCONFIGURED
    assert "RECOURSE_TOPIC_PREFX: no such setting; did you mean RECOURSE_TOPIC_PREFIX?" in done.stderr
    assert "RECOURSE_CLOCK: " in done.stderr
    assert "RECOURSE_SESSION_S: " in done.stderr
    assert "Traceback" not in done.stderr


# --- topics ----------------------------------------------------------------------------------------------------


def test_missing_topics_are_named_with_the_command_that_makes_them(bare):
    why = refusal(bare.recourse("run"))

    assert f"topics are missing: {bare.prefix}enforcement.events, " in why
    assert f"and {TOPICS - 3} more. Run `recourse create-topics`" in why


def test_one_missing_topic_is_enough_to_refuse(installation):
    name = installation.register.on_cluster("review.events")
    installation.admin.delete_topics([name])[name].result()
    # The broker answers before its own metadata shows it.
    installation.until(lambda: name not in installation.admin.list_topics(timeout=10).topics, f"{name} is gone")

    assert f"topics are missing: {name}. Run `recourse create-topics`" in refusal(installation.recourse("run"))


def test_unequal_partition_counts_are_refused(bare):
    create(bare, "appeal.events", PARTITIONS - 1)
    bare.create_topics()

    why = refusal(bare.recourse("run"))

    assert "must have the same number of partitions" in why
    assert f"enforcement.events {PARTITIONS}, appeal.events {PARTITIONS - 1}" in why
    assert "Create the topics anew with equal counts" in why


@pytest.mark.parametrize(
    ("name", "config", "order"),
    [
        (CHANGELOG, {"cleanup_policy": "delete"}, "cleanup.policy=compact"),
        (CHANGELOG, {"cleanup_policy": "compact", "retention_ms": "604800000"}, "retention.ms=-1"),
        ("appeal.events", {"cleanup_policy": "compact", "retention_ms": "-1"}, "cleanup.policy=delete"),
    ],
)
def test_a_topic_that_would_forget_is_refused_with_the_order_that_mends_it(bare, name, config, order):
    create(bare, name, **config)
    bare.create_topics()

    why = refusal(bare.recourse("run"))

    assert (
        f"kafka-configs.sh --alter --entity-type topics --entity-name {bare.prefix}{name} --add-config {order}" in why
    )


def test_create_topics_makes_what_is_missing_and_changes_nothing_the_second_time(bare):
    first, second = (bare.recourse("create-topics", "--partitions", str(PARTITIONS)) for _ in range(2))

    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout.count("created  ") == TOPICS
    assert f"{TOPICS} created, 0 were there" in first.stdout
    assert second.stdout.strip() == f"0 created, {TOPICS} were there"
    assert (first.stderr, second.stderr) == ("", "")


def test_create_topics_reports_what_differs_and_alters_nothing(bare):
    create(bare, "case.events", 3, retention_ms="1000")
    create(bare, CHANGELOG, cleanup_policy="delete", retention_ms="-1")

    done = bare.recourse("create-topics", "--partitions", str(PARTITIONS))

    assert done.returncode == Exit.MISCONFIGURED
    assert f"differs  case.events: 3 partitions, the register says {PARTITIONS}" in done.stdout
    assert "differs  case.events: retention.ms is 1000, the register says -1" in done.stdout
    assert f"refused  {CHANGELOG}: cleanup.policy is delete, the register says compact" in done.stdout
    assert f"{TOPICS - 2} created, 2 were there" in done.stdout
    topic = bare.register.on_cluster(CHANGELOG)
    [answer] = bare.admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
    assert answer.result()["cleanup.policy"].value == "delete"
    assert len(bare.admin.list_topics(timeout=30).topics[bare.register.on_cluster("case.events")].partitions) == 3


def test_topology_draws_every_topic_with_its_writers_and_readers(bare):
    done = bare.recourse("topology", "--format", "mermaid", topic_prefix="")

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "flowchart LR"
    for topic in bare.register.topics:
        box = re.sub(r"\W", "_", topic.name)
        assert any(line.startswith(f"  {box}[") and topic.name in line for line in lines)
        assert f"  {re.sub(r'[^a-z]', '_', topic.writers[0])} --> {box}" in lines
        assert f"  {box} --> {re.sub(r'[^a-z]', '_', topic.readers[0])}" in lines


def test_topology_in_an_unknown_format_names_the_known_ones(bare):
    done = bare.recourse("topology", "--format", "svg")

    assert (done.returncode, done.stdout) == (Exit.MISCONFIGURED, "")
    assert "choose table, markdown or mermaid" in done.stderr


# --- Redis, broker, slot ---------------------------------------------------------------------------------------


def test_a_redis_that_is_down_is_told_without_its_password(installation):
    port = free_port()

    why = refusal(installation.recourse("run", redis=f"redis://user:secret@127.0.0.1:{port}/0"))

    assert f"Redis does not answer at redis://127.0.0.1:{port}/0" in why
    assert "RECOURSE_REDIS" in why
    assert "secret" not in why


@pytest.mark.long
def test_a_broker_that_does_not_answer_is_told_within_bounds_and_hides_nothing_else(bare, rulebook):
    where, redis = f"127.0.0.1:{free_port()}", f"redis://127.0.0.1:{free_port()}/0"
    path, _ = rulebook("weights:", "weigths:")
    started = time.monotonic()
    worker = bare.start(kafka=where)
    doctor = bare.start("-m", "topology.cli", "doctor", kafka=where, redis=redis, rulebook=path)

    why = refusal(worker)
    assert time.monotonic() - started < BROKER_LIMIT_S
    assert f"no Kafka broker answers at {where}" in why
    assert "point RECOURSE_KAFKA at yours" in why

    assert doctor.ended() == Exit.MISCONFIGURED
    assert "Traceback" not in doctor.text()
    lines = doctor.text().splitlines()
    failed = [line.split()[1] for line in lines if line.startswith("FAIL")]
    assert failed == ["rulebook", "wiring", "broker", "topics", "redis"]
    assert [line.split()[1] for line in lines if line.startswith("ok")] == [
        "versions",
        "registry",
        "privacy",
        "metrics",
    ]


@pytest.mark.rule(1)
@pytest.mark.parametrize("events", [0, 3_000], ids=["idle", "busy"])
def test_of_two_workers_under_one_slot_one_gives_way_and_says_why(installation, events):
    feed = installation.flow(workload(events, seed=31), seconds=5)
    first = installation.start()
    installation.until(lambda: len(installation.owners()) == 1, "the first worker holds the partitions")

    second = installation.start()

    # Most often the newer one fences the older; one that was away for a moment can fence its successor in turn.
    loser, winner = first_to_end(first, second)
    assert loser.ended() == Exit.SLOT_TAKEN, loser.text()
    assert "another process runs as slot '0'" in loser.text()
    assert "Traceback" not in loser.text()
    feed.join()
    installation.processes.remove(loser)
    installation.until_done()
    assert winner.stop() == Exit.OK
    assert faults(installation.sent(), installation.arrived()) == []


def first_to_end(one, other):
    """(the one that ended first, the other)."""
    deadline = time.monotonic() + 180
    while one.poll() is None and other.poll() is None:
        assert time.monotonic() < deadline, f"neither gave way: {one.text()[-1_000:]} {other.text()[-1_000:]}"
        time.sleep(0.1)
    return (one, other) if one.poll() is not None else (other, one)


# --- doctor ----------------------------------------------------------------------------------------------------


def test_doctor_finds_a_healthy_installation_healthy_line_by_line(installation):
    done = installation.recourse("doctor")

    assert (done.returncode, done.stderr) == (0, "")
    found = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert all(line.startswith("ok ") for line in found.values())
    assert f"recourse {version('recourse')}, Python 3." in found["versions"]
    assert "the packaged one: valid, digest " in found["rulebook"]
    assert f"group {installation.name}, {TOPICS} topics registered" in found["wiring"]
    assert f"answers: {installation.kafka}" in found["broker"]
    assert f"differs: inputs have {PARTITIONS} partitions each, the register says 8" in found["topics"]
    assert "answers at redis://" in found["redis"]
    assert "none set" in found["registry"]


def test_doctor_warns_of_a_redis_that_may_evict_dossiers(installation, redis_server):
    server = redis_server(arguments=("--maxmemory-policy", "allkeys-lru"))

    done = installation.recourse("doctor", redis=server.url)

    assert done.returncode == Exit.MISCONFIGURED
    [line] = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert "maxmemory-policy is allkeys-lru" in line
    assert "redis-cli config set maxmemory-policy noeviction" in line


def test_the_command_says_what_each_verb_is_for():
    done = subprocess.run(
        [sys.executable, "-m", "topology.cli", "--help"], capture_output=True, text=True, timeout=60, check=True
    )

    for verb in ("run", "create-topics", "topology", "doctor", "dlq"):
        assert re.search(rf"\b{verb}\b", done.stdout)
