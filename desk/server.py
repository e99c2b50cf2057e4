"""`recourse-desk`: reads its settings, connects, and serves until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from typing import NoReturn

import structlog
import uvicorn

from desk.app import build_app
from desk.errors import Misconfigured
from desk.floor import Floor
from desk.settings import Settings, load_settings
from desk.texts import Texts

_GOODBYE_S = 3
"""Pages that listen never end by themselves."""


def main() -> NoReturn:
    """Exit codes: 0 stopped as asked; 2 something outside must be changed first, the message says what."""
    parser = argparse.ArgumentParser(
        prog="recourse-desk",
        description="A reviewer tool in the browser. All settings are RECOURSE_DESK_* variables: docs/desk.md.",
    )
    parser.add_argument("--port", type=int, help="instead of RECOURSE_DESK_PORT; 0: a free one")
    asked = parser.parse_args()
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            # The server raises what stopped it once more when it has ended: to be asked to stop is no failure.
            signal.signal(number, _stopped)
        settings = load_settings(port=asked.port)
        _logs(settings)
        serve(settings)
    except Misconfigured as error:
        print(f"recourse-desk: {error}", file=sys.stderr)  # noqa: T201 - for whoever started it
        sys.exit(2)
    sys.exit(0)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        Misconfigured: something outside must be changed first.
    """
    if settings.texts is None:
        raise Misconfigured(
            "RECOURSE_DESK_TEXTS is missing: name a folder that outlives this process; reasons of decisions lie there"
        )
    listening = _listen(settings.host, settings.port)
    app = build_app(settings, Floor(settings, Texts(settings.texts)))
    host, port = listening.getsockname()[:2]
    structlog.get_logger().info("desk_started", address=f"http://{host}:{port}/", identity=settings.identity)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            # Paths hold ids, and queries hold nothing of anybody: but what is not written cannot leak.
            access_log=False,
            log_config=None,
            # Whose address it is decides who is believed, so no header may say so.
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GOODBYE_S,
            lifespan="on",
        )
    )
    server.run(sockets=[listening])


def _stopped(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        raise Misconfigured(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listening


def _logs(settings: Settings) -> None:
    """An event name and fields on standard error; ids, never texts of people."""
    plain = settings.log_format == "console"
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if plain else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    main()
