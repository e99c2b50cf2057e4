"""The metrics port: what Prometheus and probes are answered, and what that costs."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families

from topology.engine.errors import Misconfigured
from topology.metrics.prometheus import PrometheusMetrics
from topology.metrics.scrape import Endpoint


@pytest.fixture
def endpoint():
    made: list[Endpoint] = []

    def make(metrics=None, **checks):
        found = Endpoint(metrics or PrometheusMetrics(strict=True), 0, **checks)
        made.append(found)
        return found

    yield make
    for each in made:
        each.close()


def ask(port: int, path: str, host: str = "127.0.0.1", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def test_prometheus_is_answered_in_the_form_that_it_asks_for(endpoint):
    metrics = PrometheusMetrics(strict=True)
    metrics.observe("appeal_to_case_seconds", 0.5)
    port = endpoint(metrics).port
    plain = ask(port, "/metrics")
    body = plain.read().decode()
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "recourse_appeal_to_case_seconds_count 1.0" in body
    assert {family.name for family in text_string_to_metric_families(body)} > {"recourse_batch_step_seconds"}
    packed = ask(port, "/metrics?name=x", **{"Accept-Encoding": "gzip"})
    assert "recourse_appeal_to_case_seconds_count 1.0" in gzip.decompress(packed.read()).decode()
    older = ask(port, "/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5").read().decode()
    newer = ask(port, "/metrics", Accept="application/openmetrics-text;version=2.0.0").read().decode()
    assert older.endswith("# EOF\n")
    assert "\nrecourse_appeal_to_case_seconds {count:1" not in older
    assert "\nrecourse_appeal_to_case_seconds {count:1,sum:0.5" in newer


def test_probes_are_told_what_is_wrong(endpoint):
    problem: list[str | None] = [None]
    port = endpoint(ready=lambda: problem[0]).port
    assert (ask(port, "/livez").status, ask(port, "/readyz").status) == (200, 200)
    problem[0] = "2 of 8 partitions are being restored"
    answer = ask(port, "/readyz")
    assert (answer.status, answer.read()) == (503, b"2 of 8 partitions are being restored\n")
    assert ask(port, "/livez").status == 200
    lost = ask(port, "/nowhere")
    assert (lost.status, lost.read()) == (404, b"nothing here; try /metrics, /livez, /readyz\n")


def test_scrapes_count_their_own_cpu(endpoint):
    metrics = PrometheusMetrics(strict=True)
    port = endpoint(metrics).port
    for _ in range(3):
        ask(port, "/metrics").read()
    shown = ask(port, "/metrics").read().decode()
    [spent] = [line for line in shown.splitlines() if line.startswith("recourse_scrape_cpu_seconds_total")]
    assert 0 < float(spent.split()[-1]) < 3


def test_port_that_is_taken_is_told_by_the_setting(endpoint):
    port = endpoint().port
    with pytest.raises(Misconfigured, match=f"port {port} cannot be used .*RECOURSE_METRICS_PORT"):
        Endpoint(PrometheusMetrics(), port)


def test_client_that_says_nothing_keeps_nobody_waiting(endpoint):
    port = endpoint().port
    silent = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    silent.connect()
    started = time.monotonic()
    assert ask(port, "/livez").status == 200
    assert time.monotonic() - started < 5
    silent.close()


def doctors(port: int) -> tuple[bool, str]:
    from topology.doctor import examine  # noqa: PLC0415
    from topology.settings import Settings  # noqa: PLC0415

    [found] = examine(Settings(metrics_port=port), only="metrics")
    return found.ok, found.text


def test_doctor_says_who_is_on_the_port(endpoint):
    port = endpoint(ready=lambda: "starting").port
    assert doctors(port) == (True, f"a process answers on port {port}; alive: ok, ready: starting")
    assert doctors(0)[0]
    with socket.create_server(("127.0.0.1", 0)) as free:
        unused = free.getsockname()[1]
    assert doctors(unused) == (True, f"port {unused} is free for a process")


def test_doctor_says_that_the_port_is_somebody_elses():
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>" + b"x" * 1_000)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ok, text = doctors(server.server_address[1])
        server.shutdown()
    assert not ok
    assert "belongs to something else" in text
