"""Every secret is planted, in variables and in files, and looked for in everything that a process says."""

from __future__ import annotations

import json
import traceback

import pytest

from topology import doctor
from topology.access.files import secret_names
from topology.acls import forms, redis, rules
from topology.engine.errors import Misconfigured
from topology.settings import PREFIX, Settings, load_settings

NOBODY = "127.0.0.1:9"
PLANTED = {name: f"planted {name}" for name in secret_names(Settings)}
PLANTED["kek"] = f"k-1:planted{'A' * 36}"  # 32 bytes in base64url
PUBLIC = {
    "kafka": NOBODY,
    "kafka_security": "SASL_SSL",
    "kafka_mechanism": "SCRAM-SHA-512",
    "kafka_username": "worker",
    "kafka_options": json.dumps({"debug": "security,broker"}),
    "redis": f"rediss://{NOBODY}/0",
    "redis_username": "worker",
    "registry": f"http://{NOBODY}/",
    "registry_username": "worker",
}


@pytest.fixture(params=["variables", "files"])
def settings(request, monkeypatch, tmp_path):
    for name, value in PUBLIC.items():
        monkeypatch.setenv(PREFIX + name.upper(), value)
    for name, secret in PLANTED.items():
        if request.param == "variables":
            monkeypatch.setenv(PREFIX + name.upper(), secret)
        else:
            (tmp_path / name).write_text(f"{secret}\n", encoding="utf-8")
            monkeypatch.setenv(f"{PREFIX}{name.upper()}_FILE", str(tmp_path / name))
    return load_settings()


def no_secret_in(*texts: str) -> None:
    for text in texts:
        assert "planted" not in text, text[max(0, text.index("planted") - 200) :][:400]


def test_secrets_reach_the_clients_and_nothing_else(settings, monkeypatch, capfd):
    assert settings.kafka_config()["sasl.password"] == PLANTED["kafka_password"]
    assert settings.redis_options()["password"] == PLANTED["redis_password"]
    assert settings.sentinel_options()["password"] == PLANTED["redis_sentinel_password"]
    assert settings.registry_config()["basic.auth.user.info"] == f"worker:{PLANTED['registry_password']}"

    no_secret_in(repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump()))
    found = rules.acls(settings)
    no_secret_in(forms.as_commands(found), forms.as_json(found), forms.as_strimzi(found, cluster="kafka"))
    no_secret_in(redis.command(settings))
    monkeypatch.setattr("topology.cluster.TIMEOUT_S", 0.1)
    monkeypatch.setattr("topology.acls.check.TIMEOUT_S", 0.1)
    told = list(doctor.examine(settings))
    assert {finding.what for finding in told if not finding.ok} == {"broker", "topics", "redis", "registry", "privacy"}
    no_secret_in(*(finding.text for finding in told), *capfd.readouterr())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "/planted/twice") for name in PLANTED),
        ("redis", "redis://:planted/x@host:6379"),
        ("redis", "redis://:planted@host:planted"),
        ("registry", "http://u:planted@host"),
        ("kafka_options", '{"sasl.password": "planted"'),
        ("kafka_options", '{"sasl.password": "planted"}'),
        ("kafka_options", '{"sasl.password": ["planted"]}'),
    ],
)
def test_fault_is_told_without_what_was_given(monkeypatch, name, value):
    monkeypatch.setenv(PREFIX + name.upper(), value)
    if name in PLANTED:
        monkeypatch.setenv(f"{PREFIX}{name.upper()}_FILE", "/nowhere")
    with pytest.raises(Misconfigured, match=r"(?i)recourse_|kafka_options") as told:
        load_settings()
    no_secret_in("".join(traceback.format_exception(told.value)))
