"""Reversals that are stuck: a user is wronged, appeals, is right, and a system answers as it likes."""

from __future__ import annotations

import time
import uuid
from typing import NamedTuple

import msgspec

from processors import ids
from schemas import records as r
from schemas import vocabulary as v
from tests.integration.workload import HOUR, MINUTE, SECOND, Row, row_of
from tests.unit import builders

START = time.time_ns() // 1_000_000 - HOUR
TAKEN = v.EffectKind.MONEY_TAKEN
STATUS = v.EffectKind.ACCOUNT_STATUS


class Ids(NamedTuple):
    """What belongs to one user's reversal."""

    reversal: str
    status: str
    money: str


def of(user: str) -> Ids:
    reversal = ids.reversal_id(ids.case_id(r.AppealId(f"a-{user}")))
    return Ids(reversal, *(ids.directive_id(reversal, f"ef-{kind}") for kind in (STATUS, TAKEN)))


def wronged(user: str, number: int) -> list[Row]:
    """An enforcement that takes an account and money, appealed against and overturned."""
    about = {"user_id": r.UserId(user)}
    case = {**about, "case_id": ids.case_id(r.AppealId(f"a-{user}"))}
    effects = [builders.an_effect(STATUS), builders.an_effect(TAKEN, amount=builders.euros(f"{number}.10"))]
    told = [
        (0, builders.an_enforcement(START, **about, enforcement_id=f"e-{user}", event_id=f"i-{user}", effects=effects)),
        (
            SECOND,
            builders.an_appeal(START, f"a-{user}", **about, appellant_id=user, enforcement_id=f"e-{user}"),
        ),
        (MINUTE, msgspec.structs.replace(builders.a_claim(START + MINUTE), **case, event_id=f"c-{user}")),
        (
            2 * MINUTE,
            msgspec.structs.replace(builders.a_decision(START + 2 * MINUTE), **case, event_id=f"d-{user}"),
        ),
    ]
    return [row_of(record, START + at) for at, record in told]


def answered(user: str, directive_id: str, status: v.AckStatus, kind: v.EffectKind, **more: object) -> Row:
    ack = r.DirectiveAcked(
        event_id=f"ack-{uuid.uuid4().hex}",
        user_id=r.UserId(user),
        reversal_id=of(user).reversal,
        directive_id=directive_id,
        system=f"sys-{kind}",
        status=status,
        occurred_at=r.Millis(START + 3 * MINUTE),
        **more,  # type: ignore[arg-type]
    )
    return row_of(ack, START + 3 * MINUTE)
