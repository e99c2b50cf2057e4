"""Rights from the register: what the roles get, and in which forms it is printed."""

from __future__ import annotations

import json
import shlex

import pytest
import yaml

from desk.names import READ, WRITTEN
from topology.acls import forms, redis
from topology.acls.rules import INSIGHTS, WORKER, Acl, Operation, Resource, acls
from topology.engine.errors import Misconfigured
from topology.settings import Settings

SETTINGS = Settings(topic_prefix="shop.", group="shop")


def test_worker_writes_and_reads_what_the_register_says_and_nothing_else():
    register = SETTINGS.register_of_topics()
    found = acls(SETTINGS, only=[WORKER])
    for operation, named in ((Operation.WRITE, "writers"), (Operation.READ, "readers")):
        topics = {acl.name for acl in found if acl.resource is Resource.TOPIC and acl.operation is operation}
        expected = {register.on_cluster(topic.name) for topic in register.topics if WORKER in getattr(topic, named)}
        # It reads back whether its rulebook is kept already.
        assert topics - {"shop.rulebooks"} == expected - {"shop.rulebooks"}
    assert [acl for acl in found if acl.resource is Resource.GROUP] == [
        Acl("User:recourse-worker", Resource.GROUP, "shop", Operation.READ)
    ]
    assert [acl for acl in found if acl.resource is Resource.TRANSACTIONAL_ID] == [
        Acl("User:recourse-worker", Resource.TRANSACTIONAL_ID, "shop-", Operation.WRITE, prefixed=True)
    ]


def test_names_are_those_of_the_partitioning_in_force():
    moved = acls(SETTINGS.model_copy(update={"partitioning": "p16"}), only=[WORKER])
    assert {acl.name for acl in moved if acl.resource is not Resource.TOPIC} == {"shop.p16", "shop.p16-"}
    assert "shop.p16.appeal.events" in {acl.name for acl in moved}


def test_reviewer_tools_get_their_queues_the_answers_and_their_input_only():
    found = acls(SETTINGS, only=["reviewer tools"], principals={"reviewer tools": "User:tool"})
    assert {acl.principal for acl in found} == {"User:tool"}
    assert {acl.name for acl in found if acl.operation is Operation.WRITE and not acl.prefixed} == {
        "shop.review.events"
    }
    read = {acl.name for acl in found if acl.operation is Operation.READ and not acl.prefixed}
    queues = {f"shop.cases.{pod}" for pod in SETTINGS.register_of_topics().pods}
    keys = {"shop.subject.keys", "shop.wrapping.keys"}  # or they could not read what is sealed
    assert read == {"shop.case.events", *queues, *keys}


def test_the_desk_gets_what_it_reads_and_writes_and_groups_and_transactions_of_its_own():
    found = acls(SETTINGS, only=["desk"])
    prefix = {(acl.resource, acl.name) for acl in found if acl.prefixed}
    assert prefix == {(Resource.GROUP, "shop.desk"), (Resource.TRANSACTIONAL_ID, "shop.desk")}
    written = {acl.name for acl in found if acl.operation is Operation.WRITE and not acl.prefixed}
    assert written == {f"shop.{name}" for name in WRITTEN}
    read = {acl.name for acl in found if acl.operation is Operation.READ and not acl.prefixed}
    assert read == {f"shop.{name}" for name in READ} | {
        f"shop.cases.{pod}" for pod in SETTINGS.register_of_topics().pods
    }


def test_role_that_is_none_is_told_with_those_that_are():
    with pytest.raises(Misconfigured, match=r"no such role: worker\. Roles: appeals processor, insights, operators"):
        acls(SETTINGS, only=["worker"])


def test_every_form_says_the_same():
    found = acls(SETTINGS, only=[WORKER, INSIGHTS])
    expected = sorted((acl.principal, acl.name, acl.operation.value, acl.prefixed) for acl in found)

    told = json.loads(forms.as_json(found))
    assert expected == sorted(
        (one["principal"], one["resourceName"], one["operation"], one["patternType"] == "prefixed") for one in told
    )
    users = list(yaml.safe_load_all(forms.as_strimzi(found, cluster="kafka")))
    assert expected == sorted(
        (
            f"User:{user['metadata']['name']}",
            rule["resource"]["name"],
            operation,
            rule["resource"]["patternType"] == "prefix",
        )
        for user in users
        for rule in user["spec"]["authorization"]["acls"]
        for operation in rule["operations"]
    )
    commands: list[tuple[str, str, str, bool]] = []
    for line in forms.as_commands(found).splitlines():
        words = shlex.split(line)
        assert words[:6] == [
            "kafka-acls.sh",
            "--bootstrap-server",
            "$BOOTSTRAP",
            "--command-config",
            "$ADMIN_CONFIG",
            "--add",
        ]
        name = next(
            words[i + 1] for i, word in enumerate(words) if word in ("--topic", "--group", "--transactional-id")
        )
        principal = words[words.index("--allow-principal") + 1]
        operations = [words[i + 1] for i, word in enumerate(words) if word == "--operation"]
        commands += [(principal, name, operation, "prefixed" in words) for operation in operations]
    assert sorted(commands) == expected


def test_keys_in_redis_are_matched_literally():
    odd = Settings(group="a*b[c]")
    assert redis.key_patterns(odd) == [r"{a\*b\[c\]:*"]
    assert redis.command(odd).startswith(r"ACL SETUSER recourse-worker reset >PASSWORD on ~{a\*b\[c\]:* +ping")


def test_keys_of_users_are_the_same_for_all_partitionings():
    parted = Settings(group="shop", partitioning="wide")
    assert redis.key_patterns(parted) == ["{shop.wide:*", "{shop:subject-keys:*"]
    assert "~{shop:subject-keys:*" in redis.rules(parted)
