"""A user who is struck again and again: the dossier stays small enough to be read on each event, and knows what counts.

2,000 enforcements; `HOT=10000` for as many as one likes. `pytest -s` shows how large it became.
"""

import os
import random
import time

from processors.fold import decode_dossier, encode_dossier
from processors.growth import MAX_ENFORCEMENTS
from processors.remains import bears_on_account, stands
from schemas.records import EnforcementId, Target
from schemas.vocabulary import Action, Outcome, TargetKind
from tests.unit.builders import (
    DAY,
    HOUR,
    MINUTE,
    T0,
    USER,
    Life,
    a_claim,
    a_decision,
    a_lift,
    an_ack,
    an_appeal,
    an_enforcement,
)

HOT = int(os.environ.get("HOT", "2000"))
MOST_BYTES = 500_000


def _strike(rng, number, at):
    """Mostly a listing; one in fifty the account, for good or for some weeks."""
    key = EnforcementId(f"e-{number}")
    if number % 50:
        target = Target(kind=TargetKind.LISTING, id=f"l-{number}", content_hash=f"h-{number}")
        return an_enforcement(at=at, enforcement_id=key, target=target, action=Action.CONTENT_REMOVAL, strikes=1)
    action = rng.choice([Action.SUSPENSION, Action.PAYOUT_HOLD, Action.FEATURE_RESTRICTION])
    ends_at = at + 30 * DAY if number % 100 else None
    return an_enforcement(
        at=at, enforcement_id=key, target=Target(kind=TargetKind.ACCOUNT, id=USER), action=action, ends_at=ends_at
    )


def test_thousands_of_enforcements_leave_a_bounded_dossier_that_knows_what_counts():
    rng, life = random.Random(1), Life()
    account: dict[str, int | None] = {}
    """What was done to the account and neither lifted nor overturned, with its end: a plain list beside the dossier."""
    appealed = overturned = upheld = 0
    largest, slowest = 0, 0.0
    for number in range(HOT):
        at = T0 + number * 8 * HOUR
        life.wait_until(at)
        strike = _strike(rng, number, at)
        began = time.perf_counter()
        life.send(strike)
        slowest = max(slowest, time.perf_counter() - began)
        if strike.target.kind is TargetKind.ACCOUNT:
            account[strike.enforcement_id] = strike.ends_at
        if number % 10 == 0:
            appeal_id, outcome = f"a-{number}", Outcome.OVERTURNED if number % 20 else Outcome.UPHELD
            life.send(an_appeal(appeal_id=appeal_id, at=at + MINUTE, enforcement_id=strike.enforcement_id))
            appealed += 1
            life.send(a_claim(at + 2 * MINUTE, appeal_id=appeal_id))
            life.send(a_decision(at + 3 * MINUTE, outcome, appeal_id=appeal_id))
            if outcome is Outcome.OVERTURNED:
                overturned += 1
                life.send(an_ack(life.orders()[-1]))
                account.pop(strike.enforcement_id, None)
            else:
                upheld += 1
        elif number % 53 == 0 and account:
            lifted = next(iter(account))
            life.send(a_lift(at=at + HOUR, enforcement_id=lifted))
            del account[lifted]
        life.out.clear()
        if number % 100 == 99 or number == HOT - 1:
            stored = encode_dossier(life.dossier)
            largest = max(largest, len(stored))
            life.dossier = decode_dossier(stored)

    dossier = life.dossier
    print(f"{HOT} enforcements: {largest} bytes at most, {len(dossier.enforcements)} on file, {slowest * 1e3:.1f} ms")  # noqa: T201 - see above
    assert largest < MOST_BYTES
    assert len(dossier.enforcements) < MAX_ENFORCEMENTS + 32
    still = {key for key, ends_at in account.items() if ends_at is None or ends_at > life.now}
    known = {key for key, e in dossier.enforcements.items() if stands(e, life.now) and bears_on_account(e)}
    assert known == still
    counts = dossier.counts
    assert (counts.appeals, counts.overturned, counts.upheld) == (appealed, overturned, upheld)
    assert all(case.enforcement_id in dossier.enforcements for case in dossier.cases.values())
    assert f"e-{HOT - 1}" in dossier.enforcements
