"""The metrics port: `/metrics` for Prometheus, `/livez` and `/readyz` for whoever restarts and routes."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector

from topology.engine.errors import Misconfigured
from topology.metrics.prometheus import PrometheusMetrics

Check = Callable[[], str | None]
"""None: all is well; else what is not, in a sentence without personal data."""
_SILENT_S = 10.0
"""A client that says nothing for so long is let go."""
_OPENMETRICS_2 = "application/openmetrics-text; version=2"


def fine() -> str | None:
    """Nothing is checked."""
    return None


class Endpoint:
    """Answers until `close`, from threads of its own.

    Args:
        metrics: what `/metrics` shows.
        port: 0 takes any that is free.
        live: what `/livez` asks: must the process be ended and started again?
        ready: what `/readyz` asks: does it do its work?

    Raises:
        Misconfigured: somebody else uses the port.
    """

    def __init__(self, metrics: PrometheusMetrics, port: int, *, live: Check = fine, ready: Check = fine) -> None:
        handler = type("Handler", (_Handler,), {"metrics": metrics, "checks": {"/livez": live, "/readyz": ready}})
        try:
            self._server = _Server(("", port), handler)
        except OSError as exc:
            raise Misconfigured(
                f"port {port} cannot be used for metrics ({exc.strerror}): give each process of a host its own "
                "RECOURSE_METRICS_PORT"
            ) from exc
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """On IPv6 and IPv4 where the machine has both."""

    daemon_threads = True
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def server_bind(self) -> None:
        """Before the address is taken: take IPv4's too."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's, which asks the name service who we are: a start must not wait for that.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = socket.gethostname(), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    metrics: PrometheusMetrics
    checks: dict[str, Check]
    timeout = _SILENT_S

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        check = self.checks.get(path)
        if check is not None:
            problem = check()
            status = HTTPStatus.OK if problem is None else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, f"{problem or 'ok'}\n".encode())
        elif path == "/metrics":
            self._scrape()
        else:
            self._answer(HTTPStatus.NOT_FOUND, f"nothing here; try /metrics, {', '.join(self.checks)}\n".encode())

    def _scrape(self) -> None:
        started = time.thread_time()
        accepted = self.headers.get("Accept", "")
        encode, content_type = choose_encoder(accepted)
        shown: Collector = self.metrics.registry
        if content_type.startswith(_OPENMETRICS_2):
            shown = self.metrics.with_natives()
        body = encode(shown)
        encoding = None
        if gzip_accepted(self.headers.get("Accept-Encoding", "")):
            # The fastest level: it is a tenth of the size already, and this takes CPU from the worker.
            body, encoding = gzip.compress(body, compresslevel=1), "gzip"
        self._answer(HTTPStatus.OK, body, content_type, encoding)
        self.metrics.count("scrape_cpu_seconds_total", time.thread_time() - started)

    def _answer(
        self,
        status: HTTPStatus,
        body: bytes,
        content_type: str = "text/plain; charset=utf-8",
        encoding: str | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if encoding is not None:
            self.send_header("Content-Encoding", encoding)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """A line each few seconds would tell nobody anything."""
