"""The desk beside a demo: a process of its own, where somebody may take cases away from the simulated specialists.

It is another program, which this one only starts: it comes with an extra of the installation, and stands on the topics
alone.
"""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Mapping
from pathlib import Path

from topology.settings import Settings

MODULE = "desk.server"
PREFERRED_PORT = 8_600
_HOST = "127.0.0.1"
_PREFIX = "RECOURSE_DESK_"


def installed() -> bool:
    """Whether there is a desk, and what it needs."""
    return all(importlib.util.find_spec(name) is not None for name in ("desk", "starlette", "uvicorn"))


def free_port() -> int:
    """The desk's usual port, or another one if that is taken."""
    for wanted in (PREFERRED_PORT, 0):
        with socket.socket() as asked:
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                asked.bind((_HOST, wanted))
            except OSError:
                continue
            return asked.getsockname()[1]
    raise AssertionError("the system gives no port at all")


def address(port: int) -> str:
    """Where it is seen."""
    return f"http://{_HOST}:{port}/"


def environment(settings: Settings, folder: Path, port: int) -> Mapping[str, str]:
    """What it is told: the demo's topics, a folder for texts, and that everybody may be anybody."""
    told = {
        "KAFKA": settings.kafka,
        "TOPIC_PREFIX": settings.topic_prefix,
        "PARTITIONING": settings.partitioning,
        "TEXTS": str(folder / "texts"),
        "HOST": _HOST,
        "PORT": str(port),
        "IDENTITY": "demo",
        "LOG_FORMAT": "json",
    }
    more = {name: value for name, value in settings.kafka_config().items() if name != "bootstrap.servers"}
    if more:
        properties = folder / "desk.properties"
        properties.touch(mode=0o600)
        properties.write_text("".join(f"{name}={value}\n" for name, value in more.items()), encoding="utf-8")
        told["KAFKA_PROPERTIES"] = str(properties)
    return {_PREFIX + name: value for name, value in told.items()}
