"""The servers of a campaign: one broker and one Redis for many runs, and a proxy to each for every worker slot."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil
import redis
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from tests.faults.plan import SLOTS
from tests.faults.proxy import HOST, Proxies, Proxy
from tests.faults.slow_disk import SlowDisk
from topology.embedded import KafkaServer, RedisServer, silent
from topology.embedded.kafka import SHORT_LIVED
from topology.embedded.server import free_ports

_SNAPSHOT = "dump.rdb"
_FLUSH = "log.flush.interval.messages"
_ANSWER_S = 10.0


class Rig:
    """A context manager that leaves no process and no file behind.

    The broker has one listener for each slot and gives out the proxy's port as its own there: whatever a client
    learns from it about where to connect leads through the proxy again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = contextlib.ExitStack()
        self.kafka_proxies: list[Proxy] = []
        self.redis_proxies: list[Proxy] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            proxies = running.enter_context(Proxies())
            self.kafka_proxies = [proxies.open(kafka=True) for _ in range(SLOTS)]
            self.redis_proxies = [proxies.open(kafka=False) for _ in range(SLOTS)]
            self._folder.mkdir(parents=True, exist_ok=True)
            self.disk = running.enter_context(SlowDisk(self._folder / "disk"))
            self.broker = running.enter_context(broker_behind(self.kafka_proxies, self._folder / "kafka", self.disk))
            self.store = running.enter_context(RedisServer(self._folder / "redis", keep=False, progress=silent))
            for proxy in self.redis_proxies:
                proxy.upstream = self.store.port
            self.redis = redis.Redis.from_url(self.store.url)
            running.callback(self.redis.close)
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @property
    def bootstrap(self) -> str:
        """The broker without a proxy."""
        return self.broker.bootstrap

    def broker_cpu_s(self) -> float:
        """Seconds of CPU that the broker has used since it was last started."""
        used = psutil.Process(self.broker.pid).cpu_times()
        return used.user + used.system

    def calm(self) -> None:
        """No fault goes on: servers run, proxies only forward."""
        for proxy in (*self.kafka_proxies, *self.redis_proxies):
            proxy.reset()
        self.broker.start()
        self.broker.resume()
        self.quick_disk()
        self.forget_snapshot()
        self.store.start()
        self.store.resume()

    def slow_disk(self, delay_s: float) -> None:
        """The broker flushes whatever it writes from now on, and each flush takes so long."""
        self._flush_each(AlterConfigOpType.SET)
        self.disk.delay_s = delay_s

    def quick_disk(self) -> None:
        """As it was: the broker leaves the flushing to the kernel."""
        slow, self.disk.delay_s = self.disk.delay_s > 0, 0.0
        if slow:
            self._flush_each(AlterConfigOpType.DELETE)

    def _flush_each(self, what: AlterConfigOpType) -> None:
        entry = ConfigEntry(_FLUSH, "1", incremental_operation=what)
        broker = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=[entry])
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        admin.incremental_alter_configs([broker], request_timeout=_ANSWER_S)[broker].result()

    @property
    def snapshot(self) -> Path:
        """Where Redis saves, and what it starts with if it is there."""
        return self.store.data_dir / _SNAPSHOT

    def forget_snapshot(self) -> None:
        """The next start of Redis comes back empty."""
        self.snapshot.unlink(missing_ok=True)


class _Broker(KafkaServer):
    """One whose disk may be slow."""

    disk: SlowDisk

    def _prepare(self, command: Sequence[str]) -> Sequence[str]:
        return self.disk.wrap(super()._prepare(command))


def broker_behind(proxies: list[Proxy], folder: Path, disk: SlowDisk) -> KafkaServer:
    """One that clients reach through these proxies, each by its port, and without one by its own."""
    ports = free_ports(2 + len(proxies))
    client, controller = ports[:2]
    listeners = {"PLAINTEXT": client, "CONTROLLER": controller}
    advertised = {"PLAINTEXT": client}
    for number, (proxy, port) in enumerate(zip(proxies, ports[2:], strict=True)):
        proxy.upstream = port
        listeners[f"SLOT{number}"] = port
        advertised[f"SLOT{number}"] = proxy.port
    settings = {
        "listeners": _list(listeners),
        "advertised.listeners": _list(advertised),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in listeners),
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        # What a killed worker left open must not keep the run waiting (looked at every second otherwise).
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
        # The workload's history is days old, and a broker that comes back forgets a producer whose newest record is
        # older than this (a day): what was in flight would be sent again, and lie in the input twice.
        "producer.id.expiration.ms": str(2**31 - 1),
        # Workers that start together join together, and not one after the other with a rebalance each.
        "group.initial.rebalance.delay.ms": "400",
        # After kill -9 the controller waits for the broker's earlier life.
        "broker.session.timeout.ms": "1500",
        "broker.heartbeat.interval.ms": "300",
    }
    broker = _Broker(
        folder,
        heap_mb=512,
        port=client,
        settings=settings,
        jvm_options=SHORT_LIVED,
        keep=False,
        progress=silent,
    )
    broker.disk = disk
    return broker


def _list(ports: dict[str, int]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items())
