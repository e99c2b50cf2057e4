"""States as a marketplace's users have them, in any number: lives folded by the application, then given to many users.

Folding a million lives would take longer than what is to be measured. A few thousand different ones are folded, and
each is written for many users, whose number stands in its ids in place of the first one's; ids have a fixed width, so
the bytes stay a valid state. Sizes, timers and terms are those of the lives.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from bench import workload
from bench.contenders import History
from processors import fold, ids
from processors.codec import encode_dossier
from schemas import records as r
from schemas.records import Millis, UserId
from topology.appeals import AppealsContext
from topology.engine.state import wrap
from topology.rulebook_file import load_rulebook

MARK = "7777777"
"""The number of the user whose lives are folded."""
Filled = Callable[[int], tuple[bytes, bytes]]
"""The number of a user to (key, state as the changelog holds it)."""


def key_of(user: int) -> bytes:
    """A user's key."""
    return b"user-%07d" % user


def appeals_states(lives: int, seed: int = 1, *, now: int | None = None) -> Filled:
    """Dossiers of some 1 to 2 kB with open cases, each with a timer and terms in the index.

    Args:
        lives: how many different ones.
        seed: of their differences.
        now: when they end (UTC ms); the machine's time by default.
    """
    rng = random.Random(seed)
    ctx = AppealsContext(load_rulebook(), None)
    until = workload.START_MS if now is None else now
    found = [_life(rng, ctx, until) for _ in range(lives)]

    def fill(user: int) -> tuple[bytes, bytes]:
        state, cases = found[user % lives]
        number = f"{user:07d}"
        for case_id, appeal_id in cases.items():
            state = state.replace(case_id, ids.case_id(appeal_id.replace(MARK, number)).encode())
        return key_of(user), state.replace(MARK.encode(), number.encode())

    return fill


def triage_states() -> Filled:
    """The few bytes of the small step's history."""
    encode = msgspec.msgpack.Encoder().encode
    return lambda user: (key_of(user), wrap(None, encode(History(user % 7, user * 37 % 500_000))))


def _life(rng: random.Random, ctx: AppealsContext, until: int) -> tuple[bytes, dict[bytes, str]]:
    """One to three enforcements in the last ten days, most of them appealed, some of the cases claimed.

    Returns:
        The state, and by the ids of cases that may be in it the ids of their appeals, from which they are derived.
    """
    user = UserId(f"user-{MARK}")
    dossier = fold.new_dossier(user)
    at = until - 10 * 86_400_000
    for n in range(rng.choice((1, 1, 2, 2, 3))):
        at += rng.randrange(3_600_000, 2 * 86_400_000)
        issued = workload.enforcement(rng, n, at, user, f"{MARK}-{n}")
        _fold(dossier, issued, ctx, at)
        if rng.random() < 0.6:
            at += rng.randrange(60_000, 3_600_000)
            _fold(dossier, workload.appeal_against(rng, n, at, issued, f"{MARK}-{n}"), ctx, at)
            if rng.random() < 0.3:
                at += 60_000
                case_id = next(reversed(dossier.cases))
                claim = r.CaseClaimed(
                    event_id=f"ev-claim-{MARK}-{n}", user_id=user, case_id=case_id, occurred_at=Millis(at),
                    actor=r.ReviewerId(f"reviewer-{rng.randrange(50)}"), expected_version=1,
                )  # fmt: skip
                _fold(dossier, claim, ctx, at)
    while dossier.due is not None and dossier.due <= until:
        _fold(dossier, r.TimerFired(user, Millis(dossier.due)), ctx, dossier.due)
    return wrap(dossier.due, encode_dossier(dossier)), {
        ids.case_id(name).encode(): name for name in (f"appeal-{MARK}-{n}" for n in range(3))
    }


def _fold(dossier: Any, record: Any, ctx: AppealsContext, at: int) -> None:
    ctx.now = at
    ctx.emitted.clear()
    ctx.effects = None
    fold.handle(dossier, record, ctx)


def enforcements(topic: str, encode: Callable[[Any], bytes], users: int, seed: int) -> Iterator[workload.Row]:
    """One more enforcement for one user after the other, without end, at the machine's time."""
    rng = random.Random(seed)
    n = 0
    while True:
        at = workload.now_ms()
        name = f"live-{seed:03d}-{n:09d}"
        record = workload.enforcement(rng, n, at, UserId(key_of(rng.randrange(users)).decode()), name)
        yield topic, record.user_id.encode(), encode(record), at
        n += 1
