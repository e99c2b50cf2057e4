"""Our settings as Faust's: what cannot be passed on is said, and not left out in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from faust import SASLCredentials, SSLCredentials

from topology.engine.errors import Misconfigured
from topology.insights.settings import credentials, faust_settings
from topology.settings import Settings


def test_who_this_is_is_the_same_for_both_clients():
    assert credentials(Settings()) is None
    assert isinstance(credentials(Settings(kafka_security="SSL")), SSLCredentials)
    settings = Settings(
        kafka_security="SASL_SSL", kafka_mechanism="SCRAM-SHA-512", kafka_username="insights", kafka_password="x"
    )
    found = credentials(settings)
    assert isinstance(found, SASLCredentials)
    assert (found.username, found.mechanism.value, found.protocol.value) == ("insights", "SCRAM-SHA-512", "SASL_SSL")
    assert settings.kafka_config() == {
        "bootstrap.servers": "localhost:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "insights",
        "sasl.password": "x",
    }


def test_option_that_cannot_be_passed_on_is_refused():
    with pytest.raises(Misconfigured, match=r"no linger\.ms"):
        credentials(Settings(kafka_options={"linger.ms": "5"}))


def test_certificate_that_is_none_is_refused(tmp_path: Path):
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(Misconfigured, match="RECOURSE_KAFKA_CA"):
        credentials(Settings(kafka_security="SSL", kafka_ca=file))


def test_group_and_instance_are_named_after_prefix_and_slot(tmp_path: Path):
    settings = Settings(kafka="a:1, b:2", topic_prefix="shop.", slot="3")
    found = faust_settings(settings, 8, tmp_path)
    assert (found["id"], found["consumer_group_instance_id"]) == ("shop.recourse-insights", "insights-3")
    assert found["broker"] == ["aiokafka://a:1", "aiokafka://b:2"]
    assert not found["topic_allow_declare"]
