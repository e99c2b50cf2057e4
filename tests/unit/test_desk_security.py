"""Who is let in, who may do what, and what every answer carries."""

import asyncio

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from desk.app import build_app
from desk.errors import Misconfigured
from desk.identity import Role, Untrusted, meaning, person
from desk.presence import Presence
from desk.security import POLICY
from desk.settings import load_settings
from tests.unit.desk_house import ALL_GROUPS, ANYBODY, House

NOBODY = {"/livez", "/readyz", "/sign-in"}
"""What may be asked for without being anybody."""


@pytest.fixture
def house(tmp_path) -> House:
    return House(tmp_path, rulebook=ANYBODY)


def routes(house: House) -> list[Route]:
    return [route for route in build_app(house.settings, house).routes if isinstance(route, Route)]


def an_address(route: Route, case_id: str) -> str:
    return route.path.format(pod="general", case_id=case_id, remedy_id="r-1")


def test_no_page_is_shown_to_somebody_whom_no_trusted_proxy_names(house, tmp_path):
    case_id = house.appeal(1)
    strict = House(tmp_path / "other", trusted_proxies="10.1.0.0/16")
    with TestClient(build_app(strict.settings, strict), client=("10.2.0.1", 1)) as stranger:
        for route in routes(house):
            if route.path in NOBODY:
                continue
            method = "POST" if "POST" in route.methods else "GET"
            headers = {"x-forwarded-user": "anna", "x-forwarded-groups": ALL_GROUPS}
            answer = stranger.request(method, an_address(route, case_id), headers=headers)
            assert answer.status_code == 403, route.path
            assert case_id not in answer.text


def test_nothing_is_changed_without_the_token_of_a_page_of_ones_own(house):
    case_id = house.appeal(1)
    anna, ben = house.visit("anna"), house.visit("ben")
    ben.get("/")
    for route in routes(house):
        if "POST" not in route.methods or route.path in NOBODY:
            continue
        address = an_address(route, case_id)
        for token in ({}, {"token": ""}, {"token": "x"}, {"token": ben.token}):
            answer = anna.client.post(address, data=token)
            assert answer.status_code == 403, (route.path, token)
    assert house.writer.written == []


ROLES_OF = {
    "recourse-specialist": {"/pods/general", "/cases/{case}"},
    "recourse-second-reviewer": {"/pods/general", "/cases/{case}", "/second"},
    "recourse-lead": {"/pods/general", "/cases/{case}", "/second", "/board", "/remedies", "/audit", "/audit/{case}"},
    "recourse-auditor": {"/cases/{case}", "/audit", "/audit/{case}"},
}
PLACES = set().union(*ROLES_OF.values())


@pytest.mark.parametrize("role", ROLES_OF)
def test_each_role_sees_its_places_and_no_others(house, role):
    case_id = house.appeal(1)
    pods = "recourse-pod-general,recourse-pod-intellectual-property"
    somebody = house.visit("somebody", f"{role},{pods}" if role != "recourse-lead" else role)
    for place in PLACES:
        status = somebody.client.get(place.format(case=case_id)).status_code
        assert (status == 200) == (place in ROLES_OF[role]), (role, place, status)


def test_who_has_no_role_sees_nothing(house):
    stranger = house.visit("stranger", "some-other-group,recourse-pod-general")
    assert "Your groups give you no role" in stranger.get("/pods/general", 403)


def test_cases_of_other_pods_are_not_shown_and_not_touched(house):
    case_id = house.appeal(1)
    pay = house.visit("pay", "recourse-specialist,recourse-pod-payments")
    assert "There is no such case." in pay.get(f"/cases/{case_id}", 404)
    pay.get("/pods/payments")
    pay.post(f"/cases/{case_id}/claim", 404)
    pay.get("/pods/intellectual-property", 404)
    assert house.writer.written == []


@pytest.mark.parametrize("act", ["claim", "decide", "evidence", "refer", "hold", "release", "move", "confirm"])
def test_an_auditor_changes_nothing(house, act):
    case_id = house.appeal(1)
    aud = house.visit("aud", "recourse-auditor,recourse-pod-intellectual-property")
    aud.get("/audit")
    aud.post(f"/cases/{case_id}/{act}", 403)
    assert house.writer.written == []


def test_a_second_reviewer_does_not_take_first_decisions(house):
    case_id = house.appeal(1)
    sec = house.visit("sec", "recourse-second-reviewer,recourse-pod-intellectual-property")
    sec.get(f"/cases/{case_id}")
    sec.post(f"/cases/{case_id}/claim", 403)
    assert house.writer.written == []


def test_every_answer_carries_the_policy_and_is_kept_by_nobody(house):
    anna = house.visit()
    for path in ("/pods/general", "/no-such-page", "/cases/none", "/livez"):
        headers = anna.client.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
    assert "unsafe" not in POLICY


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_change_from_another_site_is_refused_even_with_a_token(house, headers):
    anna = house.visit()
    anna.get("/")
    answer = anna.client.post("/pods/general/next", data={"token": anna.token}, headers=headers)
    assert answer.status_code == 403


def test_cookies_are_hardened_over_tls(tmp_path):
    house = House(tmp_path, secure_cookies=True)
    with TestClient(
        build_app(house.settings, house), base_url="https://desk.example", client=("10.0.0.9", 1)
    ) as client:
        told = {"x-forwarded-user": "anna", "x-forwarded-groups": ALL_GROUPS}
        answer = client.get("/pods/general", headers=told)
        cookie = answer.headers["set-cookie"].lower()
        assert cookie.startswith("__host-desk=")
        for word in ("secure", "httponly", "samesite=strict", "path=/"):
            assert word in cookie
        assert "max-age=31536000" in answer.headers["strict-transport-security"]


def test_no_text_of_a_form_is_logged(house, capsys):
    case_id = house.appeal(1, texts="the appellant's own words")
    anna = house.visit()
    anna.get(f"/cases/{case_id}")
    anna.post(f"/cases/{case_id}/claim")
    house.writer.stopped = True
    anna.post(f"/cases/{case_id}/decide", 504, outcome="overturned", reasons="words that nobody may log")
    anna.client.post(f"/cases/{case_id}/decide", data={"reasons": "words that nobody may log"})
    told = "".join(capsys.readouterr())
    assert "no_answer" in told
    assert "words" not in told


# --- persons ------------------------------------------------------------------------------------------------------


def test_groups_mean_what_the_settings_say_and_nothing_else():
    told = {"trust-eu": "specialist", "trust-leads": "lead", "ip": "pod:intellectual-property"}
    assert meaning(["trust-eu", "ip", "recourse-auditor"], told) == (
        frozenset({Role.SPECIALIST}),
        frozenset({"intellectual-property"}),
    )
    assert meaning(["recourse-second-reviewer", "recourse-pod-legal", "recourse-king"], {}) == (
        frozenset({Role.SECOND_REVIEWER}),
        frozenset({"legal"}),
    )


@pytest.mark.parametrize("name", ["", " anna", "an\nna", "x" * 257, "an\x00na"])
def test_an_id_that_could_not_be_an_actor_is_refused(name):
    with pytest.raises(Untrusted):
        person(name, [], {})


def test_two_headers_of_one_name_are_nobody(house):
    with TestClient(build_app(house.settings, house), client=("10.0.0.9", 1)) as client:
        answer = client.get("/", headers=[("x-forwarded-user", "anna"), ("x-forwarded-user", "root")])
        assert answer.status_code == 403


def test_in_the_demo_everybody_is_whom_they_say_and_only_on_loopback(tmp_path):
    house = House(tmp_path, identity="demo")
    with TestClient(build_app(house.settings, house)) as client:
        page = client.get("/pods/general")
        assert "Be whoever you like." in page.text
        token = page.text.split('name="token" value="')[1].split('"')[0]
        form = {"token": token, "name": "zoe", "role": ["specialist"], "pod": ["legal"]}
        assert client.post("/sign-in", data={**form, "token": "x"}).status_code == 403
        assert "zoe" in client.post("/sign-in", data=form).text
        assert client.get("/pods/legal").status_code == 200
        assert client.get("/board").status_code == 403
    with pytest.raises(ValueError, match="everybody may be anybody"):
        House(tmp_path, identity="demo", host="0.0.0.0")  # noqa: S104


# --- settings -----------------------------------------------------------------------------------------------------


def test_settings_tell_all_faults_at_once(monkeypatch):
    monkeypatch.setenv("RECOURSE_DESK_KAFKAA", "x")
    monkeypatch.setenv("RECOURSE_DESK_IDENTITY", "oidc")
    monkeypatch.setenv("RECOURSE_DESK_GROUPS", '{"a": "king"}')
    monkeypatch.setenv("RECOURSE_DESK_TRUSTED_PROXIES", "somewhere")
    with pytest.raises(Misconfigured) as told:
        load_settings()
    for words in ("did you mean RECOURSE_DESK_KAFKA", "OIDC_ISSUER is missing", "a means king", "somewhere"):
        assert words in str(told.value)


def test_secrets_are_read_from_files_and_never_shown(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("s3cret" * 8 + "\n")
    monkeypatch.setenv("RECOURSE_DESK_SECRET_FILE", str(tmp_path / "secret"))
    settings = load_settings()
    assert settings.signing_secret() == "s3cret" * 8
    assert "s3cret" not in repr(settings)
    monkeypatch.setenv("RECOURSE_DESK_SECRET", "tiny")
    with pytest.raises(Misconfigured, match="both set"):
        load_settings()
    monkeypatch.delenv("RECOURSE_DESK_SECRET_FILE")
    with pytest.raises(Misconfigured, match="RECOURSE_DESK_SECRET") as told:
        load_settings()
    assert "tiny" not in str(told.value)


def test_more_of_librdkafkas_options_come_from_a_file(tmp_path):
    file = tmp_path / "client.properties"
    file.write_text("# who we are\nsecurity.protocol=SASL_SSL\nsasl.password=a=b\n\n")
    config = load_settings(kafka="broker:1", kafka_properties=file).kafka_config()
    assert config == {"security.protocol": "SASL_SSL", "sasl.password": "a=b", "bootstrap.servers": "broker:1"}
    file.write_text("nonsense\n")
    with pytest.raises(Misconfigured, match="1: no name=value"):
        load_settings(kafka_properties=file).kafka_config()


# --- presence -----------------------------------------------------------------------------------------------------


def test_a_case_goes_back_once_its_last_page_is_closed_and_not_when_it_is_loaded_anew():
    gone: list[tuple[str, str]] = []

    async def heard(*who: str) -> None:
        gone.append(who)

    async def play() -> None:
        presence = Presence(0.02, heard)
        presence.came("anna", "c-1")
        presence.came("anna", "c-1")
        presence.left("anna", "c-1")
        await asyncio.sleep(0.06)
        assert gone == []
        presence.left("anna", "c-1")
        presence.came("anna", "c-1")
        await asyncio.sleep(0.06)
        assert gone == []
        presence.left("anna", "c-1")
        for _ in range(200):
            await asyncio.sleep(0.01)
            if gone:
                break
        assert gone == [("anna", "c-1")]

    asyncio.run(play())
