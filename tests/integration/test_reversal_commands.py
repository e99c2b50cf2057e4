"""Operators and a real worker: a reversal gets stuck, is shown, sent again, vouched for, and its money balances."""

from __future__ import annotations

import json
import re
import uuid

import pytest

from schemas import records as r
from schemas import vocabulary as v
from schemas.codec import Codec
from tests.integration.stuck_reversals import START, STATUS, TAKEN, answered, of, wronged
from tests.integration.worker_process import Installation
from tests.integration.workload import MINUTE, Row, row_of
from tests.unit import builders
from topology.partitioner import partition_of

USERS = ("u-retried", "u-resolved", "u-[bold]asked[/]", "u-lost")
OPERATOR = ("--actor", "ops-1", "--reason", "the system is back", "--wait", "60")


@pytest.fixture(scope="module")
def stuck(kafka, redis_url, tmp_path_factory):
    """One reversal of each user is stalled: its money is applied, its account cannot be freed."""
    name = f"reversal-commands-{uuid.uuid4().hex[:10]}"
    with Installation(kafka, redis_url, name, tmp_path_factory.mktemp("reversals")) as installation:
        for number, user in enumerate(USERS, start=1):
            installation.send(wronged(user, number))
        installation.start()
        installation.until_done()
        for user in USERS:
            applied = answered(user, of(user).money, v.AckStatus.APPLIED, TAKEN)
            failed = answered(
                user, of(user).status, v.AckStatus.FAILED_PERMANENT, STATUS, detail="[red]no such account"
            )
            installation.send([applied, failed])
        installation.until_done()
        yield installation


def test_stalled_reversals_are_listed_with_their_reason(stuck):
    done = stuck.recourse("reversal", "list", "--stalled")

    assert (done.returncode, done.stderr) == (0, "")
    for user in USERS[2:]:
        assert of(user).reversal in done.stdout
        assert f"e-{user}" in done.stdout
    assert re.search(rf"{of('u-lost').reversal} .*decision .*1 of 2 .*failed_permanent", done.stdout)


def test_reversal_is_shown_with_what_must_hold_and_what_systems_said(stuck):
    user = "u-[bold]asked[/]"
    done = stuck.recourse("reversal", "show", of(user).reversal)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"user     {user}" in done.stdout
    assert re.search(rf"{of(user).status} │ .*│ failed_permanent", done.stdout)
    assert f"{of(user).status} afterwards: on account u-1 nothing is restricted" in done.stdout
    assert re.search(rf"{of(user).status} answer: failed_permanent .* \[red\]no such account", done.stdout)
    assert re.search(rf"{of(user).money} │ .*3.10 EUR +│ applied", done.stdout)
    assert f"{of(user).money} afterwards: exactly 3.10 EUR of ef-money_taken is paid back" in done.stdout
    assert f"Reversal {of(user).reversal} stalled since" in done.stdout


def test_reversal_is_sent_again_and_the_answer_is_told(stuck):
    user = "u-retried"

    done = stuck.recourse("reversal", "retry", of(user).reversal, *OPERATOR)

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"written +ReversalRetried [\w-]+ at \S*review.events\[\d\]@\d+: 1 open directives", done.stdout)
    assert re.search(r"done +line \d+ ReversalRetried", done.stdout)
    shown = stuck.recourse("reversal", "show", of(user).reversal).stdout
    assert re.search(rf"{of(user).status} .*sent 2 times", shown)
    assert f"ReversalRetried {of(user).status} by ops-1" in shown
    assert "the system is back" in shown
    assert f"Reversal {of(user).reversal} under way: 1 of 2 directives open" in shown
    assert of(user).reversal not in stuck.recourse("reversal", "list", "--stalled").stdout


def test_command_reaches_the_partition_of_its_user(stuck):
    user = "u-resolved"

    done = stuck.recourse("reversal", "resolve", of(user).reversal, of(user).status, *OPERATOR)

    assert (done.returncode, done.stderr) == (0, "")
    [where] = re.findall(r"review.events\[(\d+)\]", done.stdout)
    assert int(where) == partition_of(user.encode(), 4)
    assert re.search(r"done +line \d+ DirectiveResolved", done.stdout)
    shown = stuck.recourse("reversal", "show", of(user).reversal).stdout
    assert re.search(rf"{of(user).status} .*resolved by hand: ops-1 .*the system is back", shown)
    assert f"Reversal {of(user).reversal} confirmed" in shown
    again = stuck.recourse("reversal", "resolve", of(user).reversal, of(user).status, *OPERATOR)
    assert again.returncode == 2
    assert "was confirmed" in again.stderr
    assert "Nothing was written" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("retry", "r-0", *OPERATOR), "no reversal r-0 was ever ordered"),
        (("show", "r-0"), "no reversal r-0 was ever ordered"),
        (("resolve", of("u-lost").reversal, "d-0", *OPERATOR), "has no directive d-0; open are: "),
        (("resolve", of("u-lost").reversal, of("u-lost").money, *OPERATOR), "is applied already"),
        (("retry", of("u-lost").reversal, "--actor", "", "--reason", "x"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_clear_message(stuck, arguments, why):
    done = stuck.recourse("reversal", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_ledger_balances_over_all_users(stuck):
    done = stuck.recourse("reversal", "ledger")

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"u-lost +│ EUR +│ 4\.10 +│ 0\.00 +│ 4\.10 +│ 4\.10 +│ 0\.00 +│ 0\.00", done.stdout)
    assert re.search(r"all +│ EUR +│ 10\.40 ", done.stdout)
    assert done.stdout.rstrip().endswith("balanced")
    told = json.loads(stuck.recourse("reversal", "ledger", "--user", "u-lost", "--json").stdout)
    assert told["balanced"]
    assert [(line["user_id"], line["confirmed_back"]) for line in told["lines"]] == [("u-lost", "4.10")]


def test_case_show_tells_the_whole_reversal(stuck):
    done = stuck.recourse("case", "show", f"a-{'u-lost'}")

    assert (done.returncode, done.stderr) == (0, "")
    reversal = of("u-lost").reversal
    assert f"Reversal {reversal} ordered" in done.stdout
    assert "cause    decision of case" in done.stdout
    assert re.search(rf"{of('u-lost').status} │ sys-account_status │ restore .*failed_permanent", done.stdout)
    assert f"Reversal {reversal} stalled since" in done.stdout


def test_money_that_goes_back_twice_is_named_and_fails_the_ledger(stuck):
    """Last in the module: the enforcing side gives back what a directive had already paid."""
    lift = builders.a_lift(
        START + 4 * MINUTE, "e-u-lost", user_id="u-lost", event_id="l-lost", amount_returned=builders.euros("4.10")
    )
    stuck.send([row_of(lift, START + 4 * MINUTE)])

    done = stuck.recourse("reversal", "ledger")

    assert done.returncode == 1
    assert re.search(
        rf"more_than_taken: user u-lost, enforcement e-u-lost, .*{of('u-lost').money}: 4.10 EUR", done.stdout
    )
    assert done.stdout.rstrip().endswith("not balanced: 1 fault")


def test_without_a_worker_nothing_comes_and_the_same_command_is_one(kafka, redis_url, app_id, tmp_path):
    user = "u-alone"
    order = r.ReversalOrdered(
        reversal_id="r-1",
        user_id=r.UserId(user),
        case_id=r.CaseId("c-1"),
        enforcement_id=r.EnforcementId("e-1"),
        enforcement_version=1,
        ordered_at=r.Millis(START),
        attempt=1,
        outcome=v.Outcome.OVERTURNED,
        strikes_expunged=0,
        directives=[],
    )
    with Installation(kafka, redis_url, app_id, tmp_path) as installation:
        installation.send([Row("resolution.events", user.encode(), Codec().encode(order), START, None)])

        first, second = (
            installation.recourse("reversal", "retry", "r-1", *OPERATOR, "--wait", "0.2") for _ in range(2)
        )

        assert (first.returncode, second.returncode) == (3, 3)
        assert "no answer within 0.2 s" in first.stdout
        [one], [other] = (re.findall(r"ReversalRetried ([\w-]+) at", done.stdout) for done in (first, second))
        assert one == other
        assert installation.recourse("reversal", "retry", "r-1", *OPERATOR, "--wait", "0").returncode == 0
