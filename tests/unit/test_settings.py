"""Settings tell every fault at once and never show a secret."""

import re
import traceback

import pytest

from topology.access.redis import without_secret
from topology.engine.definition import ClockKind
from topology.engine.errors import Misconfigured
from topology.settings import load_settings

SCRAM = {
    "RECOURSE_KAFKA_SECURITY": "SASL_SSL",
    "RECOURSE_KAFKA_MECHANISM": "SCRAM-SHA-512",
    "RECOURSE_KAFKA_USERNAME": "worker",
}


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
    monkeypatch.setenv("RECOURSE_KAFKA_OPTIONS", '{"client.rack": "a"}')
    assert load_settings().kafka_config() == {"bootstrap.servers": "localhost:9092", "client.rack": "a"}


def test_options_that_are_no_json_are_told_without_what_they_are(monkeypatch):
    monkeypatch.setenv("RECOURSE_KAFKA_OPTIONS", '{"sasl.password": hush}')
    with pytest.raises(Misconfigured) as told:
        load_settings()
    assert "kafka_options" in str(told.value)
    assert "hush" not in "".join(traceback.format_exception(told.value))


def test_secret_is_read_from_the_file_that_a_variable_names(monkeypatch, tmp_path):
    file = tmp_path / "password"
    file.write_text("pass word\n")
    for name, value in SCRAM.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RECOURSE_KAFKA_PASSWORD_FILE", str(file))
    assert load_settings().kafka_config()["sasl.password"] == "pass word"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"RECOURSE_KAFKA_OPTIONS": '{"sasl.password": "x"}'}, "sasl.password is set by RECOURSE_KAFKA_PASSWORD"),
        (SCRAM, "RECOURSE_KAFKA_PASSWORD is missing, SCRAM-SHA-512 needs it"),
        ({**SCRAM, "RECOURSE_KAFKA_PASSWORD_FILE": "/nowhere"}, "/nowhere cannot be read"),
        ({**SCRAM, "RECOURSE_KAFKA_PASSWORD_FILE": "/x", "RECOURSE_KAFKA_PASSWORD": "x"}, "are both set"),
        ({"RECOURSE_KAFKA_SECURITY": "SASL_SSL"}, "RECOURSE_KAFKA_MECHANISM says how"),
        ({"RECOURSE_KAFKA_MECHANISM": "PLAIN"}, "make it SASL_SSL"),
        ({"RECOURSE_KAFKA_SECURITY": "TLS"}, "RECOURSE_KAFKA_SECURITY: Input should be"),
        ({"RECOURSE_KAFKA_CA": __file__}, "PLAINTEXT, without TLS"),
        ({"RECOURSE_KAFKA_SECURITY": "SSL", "RECOURSE_KAFKA_CA": "/nowhere"}, "there is no file /nowhere"),
        ({"RECOURSE_KAFKA_SECURITY": "SSL", "RECOURSE_KAFKA_KEY": __file__}, "go together"),
        ({"RECOURSE_REDIS": "redis://:p/w@host:6379"}, "RECOURSE_REDIS is no URL"),
        ({"RECOURSE_REDIS": "redis://u:x@host", "RECOURSE_REDIS_PASSWORD": "y"}, "keep the latter"),
        ({"RECOURSE_REDIS_CA": __file__}, "not with rediss://"),
        ({"RECOURSE_REDIS_USERNAME": "u"}, "RECOURSE_REDIS_PASSWORD is missing"),
        ({"RECOURSE_REGISTRY": "registry:8081"}, "RECOURSE_REGISTRY is no URL"),
        ({"RECOURSE_REGISTRY": "http://u:x@host"}, "RECOURSE_REGISTRY_USERNAME and RECOURSE_REGISTRY_PASSWORD are for"),
        ({"RECOURSE_REGISTRY_USERNAME": "u"}, "go together"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(monkeypatch, environment, told):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=re.escape(told)):
        load_settings()


def test_the_clock_is_chosen_by_name(monkeypatch):
    monkeypatch.setenv("RECOURSE_CLOCK", "stream")
    assert load_settings().engine().clock is ClockKind.STREAM


@pytest.mark.parametrize("url", ["redis://user:hush@host:1/0", "redis://:hush@host:1/0"])
def test_messages_show_no_password(url):
    assert without_secret(url) == "redis://host:1/0"
