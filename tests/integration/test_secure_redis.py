"""Redis over TLS, under an ACL user that may do what the store does, and nothing else."""

from __future__ import annotations

import contextlib
import re

import pytest
import redis
from pydantic import SecretStr

from tests.integration.certificates import Authority
from tests.integration.secure_redis import SecureRedis
from tests.unit.privacy_twins import check_view
from topology.access.redis_client import redis_client
from topology.acls import redis as redis_acls
from topology.clock_watch import ClockWatch
from topology.engine.clients import SystemClock
from topology.engine.errors import Misconfigured
from topology.engine.ports import Apply
from topology.engine.redis_store import RedisStore
from topology.privacy.redis_view import RedisView
from topology.settings import Settings

USER, PASSWORD = "recourse-worker", "password-of-redis"
MUCH_WRITES = [(b"%d" % n, b"state", n) for n in range(2_000)]
"""More writes than the script is given at once: they go as a transaction."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority, tmp_path_factory):
    with SecureRedis(tmp_path_factory.mktemp("redis"), authority=authority) as started:
        yield started


@pytest.fixture
def settings(server, authority, app_id):
    return Settings(
        group=app_id,
        redis=server.tls_url,
        redis_username=USER,
        redis_password=PASSWORD,
        redis_ca=authority.certificate,
    )


def let_in(server: SecureRedis, settings: Settings, *more: str) -> None:
    command = redis_acls.command(settings).replace(">PASSWORD", f">{PASSWORD}")
    with contextlib.closing(server.admin()) as admin:
        admin.execute_command(*command.split(), *more)


def work(settings: Settings) -> None:
    """Everything that a worker does with its store, each way of writing, refused and not."""
    with contextlib.closing(redis_client(settings)) as client:
        store = RedisStore(client, namespace=settings.engine_name)
        few = [(b"u", b"state", 5), (b"v", b"state", None)]
        much = MUCH_WRITES
        gone = [(key, None, None) for key, _, _ in much]
        added, removed = [(b"\1term", True)], [(b"\1term", False)]
        for expected, new, writes, terms in (
            (None, 1, few, added),
            (1, 2, [(b"v", None, None)], removed),
            (2, 3, much, added),
            (3, 4, gone, removed),
        ):
            assert store.apply([Apply(0, expected, new, writes, terms)])[0][0], new
        assert not store.apply([Apply(0, 7, 8, few, added)])[0][0]
        assert not store.apply([Apply(0, 7, 8, much, added)])[0][0]
        assert store.read({0: [b"u"]})[0] == (4, [b"state"])
        assert store.checkpoints([0]) == {0: 4}
        assert store.timers(0, -1, 10).checkpoint == 4
        assert store.scan(0, b"\1", b"\2", 10)[0] == 4
        store.reset(0)


def refused(settings: Settings) -> str:
    with pytest.raises(Misconfigured) as told:
        work(settings)
    assert PASSWORD not in str(told.value)
    return str(told.value)


def clocks(client: redis.Redis) -> list[object]:
    """What one look at Redis's clock shows."""
    watch = ClockWatch(client, SystemClock())
    watch.look()
    return [*watch()]


def test_store_works_over_tls_under_exactly_the_rights_that_are_printed(server, settings):
    let_in(server, settings)
    work(settings)
    with contextlib.closing(redis_client(settings)) as client:
        check_view(RedisView(client, namespace=settings.group))
        assert clocks(client), "the metric of the clocks needs TIME, and is left out without"
        let_in(server, settings, "-time")
        assert not clocks(client)


@pytest.mark.parametrize("command", sorted({*redis_acls.COMMANDS} - {"time", "unwatch"}))
def test_right_that_is_missing_is_told(server, settings, command):
    let_in(server, settings, f"-{command}")
    if command == "eval":  # for a script that the server has forgotten, and to look before a transaction
        with contextlib.closing(server.admin()) as admin:
            admin.script_flush()
    told = refused(settings)
    # Redis 7.0 does not name what a script may not do, and of a MULTI only the EXEC is left.
    assert re.search(rf"{command.partition('|')[0]}|script can't run|EXEC without MULTI", told, re.IGNORECASE)
    assert "recourse acls --format redis" in told


def test_transaction_that_fails_half_way_needs_the_right_to_unwatch(server, settings):
    key = f"{{{settings.engine_name}:0}}:dossiers"
    for more, expected in ((), redis.exceptions.ResponseError), (("-unwatch",), Misconfigured):
        let_in(server, settings, *more)
        with contextlib.closing(server.admin()) as admin, contextlib.closing(redis_client(settings)) as client:
            admin.set(key, "no hash")
            with pytest.raises(expected, match=r"WRONGTYPE|unwatch"):
                RedisStore(client, namespace=settings.engine_name).apply([Apply(0, None, 1, MUCH_WRITES)])


def test_keys_of_others_are_out_of_reach(server, settings):
    let_in(server, settings)
    others = settings.model_copy(update={"group": f"{settings.group}x"})
    told = refused(others)
    assert "recourse acls --format redis" in told
    with contextlib.closing(redis_client(settings)) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.keys("*")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"redis_password": SecretStr("wrong-one")}, "Are RECOURSE_REDIS_USERNAME and RECOURSE_REDIS_PASSWORD right?"),
        ({"redis_username": None, "redis_password": None}, "is refused|does not let this process in"),
        ({"redis_ca": None}, "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_whoever_is_not_believed_is_told_so(server, settings, wrong, told, monkeypatch):
    let_in(server, settings)
    with contextlib.closing(server.admin()) as admin:
        admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">nobody")
    try:
        with pytest.raises(Misconfigured, match=told):
            work(settings.model_copy(update=wrong))
    finally:
        with contextlib.closing(redis.Redis.from_url(server.url, password="nobody")) as admin:
            admin.execute_command("ACL", "SETUSER", "default", "nopass")


def test_clear_text_at_a_port_that_speaks_tls_is_told_with_what_to_try(server, settings):
    url = settings.redis.replace("rediss://", "redis://")
    with pytest.raises(Misconfigured, match="or rediss:// if it speaks TLS"):
        redis_client(settings.model_copy(update={"redis": url}))


def test_redis_that_wants_a_certificate_gets_this_clients(server, settings, authority):
    let_in(server, settings)
    pair = authority.issue("recourse-worker")
    with contextlib.closing(server.admin()) as admin:
        admin.config_set("tls-auth-clients", "yes")
        try:
            with pytest.raises(Misconfigured, match="Redis does not answer"):
                work(settings)
            work(settings.model_copy(update={"redis_certificate": pair.certificate, "redis_key": pair.key}))
        finally:
            admin.config_set("tls-auth-clients", "optional")
