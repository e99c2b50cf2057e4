"""Settings tell every fault at once and never show a secret."""

import pytest

from topology.engine.definition import ClockKind
from topology.engine.errors import Misconfigured
from topology.settings import load_settings
from topology.worker import without_secret


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("RECOURSE_KAFKA", "RECOURSE_REDIS"):
        monkeypatch.delenv(name, raising=False)


def test_an_unknown_variable_is_answered_with_the_nearest_known(monkeypatch):
    monkeypatch.setenv("RECOURSE_KAFFKA", "x:1")
    with pytest.raises(Misconfigured, match=r"RECOURSE_KAFFKA: no such setting; did you mean RECOURSE_KAFKA\?"):
        load_settings()


def test_all_faults_are_told_at_once(monkeypatch):
    monkeypatch.setenv("RECOURSE_SESSION_S", "-1")
    monkeypatch.setenv("RECOURSE_CLOCK", "moon")
    monkeypatch.setenv("RECOURSE_TYPO", "1")
    with pytest.raises(Misconfigured) as told:
        load_settings()
    assert all(name in str(told.value) for name in ("RECOURSE_SESSION_S", "RECOURSE_CLOCK", "RECOURSE_TYPO"))


def test_the_command_line_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("RECOURSE_SLOT", "7")
    assert load_settings().slot == "7"
    assert load_settings(slot="8").slot == "8"
    assert load_settings(slot=None).slot == "7"


def test_kafka_options_are_passed_on(monkeypatch):
    monkeypatch.setenv("RECOURSE_KAFKA_OPTIONS", '{"security.protocol": "SSL"}')
    assert load_settings().kafka_config() == {"bootstrap.servers": "localhost:9092", "security.protocol": "SSL"}


def test_the_clock_is_chosen_by_name(monkeypatch):
    monkeypatch.setenv("RECOURSE_CLOCK", "stream")
    assert load_settings().engine().clock is ClockKind.STREAM


@pytest.mark.parametrize("url", ["redis://user:hush@host:1/0", "redis://:hush@host:1/0"])
def test_messages_show_no_password(url):
    assert without_secret(url) == "redis://host:1/0"
