"""Programs out of Debian packages, and the Prometheus that is one of them."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from topology.embedded import EmbeddedError, silent
from topology.embedded.debian import find_program
from topology.embedded.prometheus import PrometheusServer


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """Give a function that puts an apt-get of our own first on the PATH; the cache is empty."""
    monkeypatch.setenv("RECOURSE_CACHE", str(tmp_path / "cache"))
    tools = tmp_path / "tools"
    tools.mkdir()

    def put(script: str) -> None:
        program = tools / "apt-get"
        program.write_text(f'#!/bin/sh\necho "$@" >>{tools}/asked\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")

    put.asked = tools / "asked"  # type: ignore[attr-defined]
    return put


def package(folder: Path) -> Path:
    """A Debian package that holds a program."""
    root = folder / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: greeter\nVersion: 1\nArchitecture: all\nMaintainer: none\nDescription: greets\n"
    )
    program = root / "usr" / "bin" / "greet"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    made = folder / "greeter_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", str(root), str(made)], check=True, capture_output=True)
    return made


def test_program_is_fetched_once_and_kept(apt, tmp_path):
    deb = package(tmp_path)
    apt(f'case "$*" in *download*) cp {deb} . ;; esac')
    found = find_program("greet", package="greeter", progress=silent)
    assert subprocess.run([found], capture_output=True, text=True, check=True).stdout == "hello\n"
    assert find_program("greet", package="greeter", progress=silent) == found
    assert len(apt.asked.read_text().splitlines()) == 2, "update and download, once"
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_package_that_cannot_be_fetched_is_told_with_what_apt_said(apt, tmp_path):
    apt('echo "E: Unable to locate package greeter" >&2; exit 100')
    with pytest.raises(EmbeddedError, match=r"(?s)cannot fetch .*greeter.* ended with 100.*Unable to locate"):
        find_program("greet", package="greeter", progress=silent)
    assert not (tmp_path / "cache" / "debian-greeter").exists()


def test_without_apt_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("RECOURSE_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedError, match=r"no greet on the PATH, and no apt-get .* install greeter"):
        find_program("greet", package="greeter", progress=silent)


class _Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"things 3\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def test_prometheus_scrapes_judges_and_is_asked(tmp_path):
    server = HTTPServer(("127.0.0.1", 0), _Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rules = tmp_path / "rules.yaml"
    rules.write_text("groups: [{name: g, rules: [{record: 'many:things', expr: things * 2}]}]\n")
    try:
        with PrometheusServer(
            tmp_path / "prometheus",
            jobs={"test": [server.server_address[1]]},
            rules=rules,
            interval_s=1,
            keep=False,
            progress=silent,
        ) as prometheus:
            waited = threading.Event()
            for _ in range(300):
                found = prometheus.query("many:things")
                if found:
                    break
                waited.wait(0.1)
            [(_, value)] = found[0].points
            assert (value, found[0].labels["job"]) == (6.0, "test")
            [rule] = prometheus.rules()
            assert (rule["name"], rule["health"]) == ("many:things", "ok")
            with pytest.raises(EmbeddedError, match="parse error"):
                prometheus.query("many things")
    finally:
        server.shutdown()
        server.server_close()
    assert not (tmp_path / "prometheus").exists()
