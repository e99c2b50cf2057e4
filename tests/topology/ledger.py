"""A small application for the engine's tests: per key it counts and sums, sets timers, and can be made to raise.

`plain` is its outcome worked out without the engine, to compare with.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from tests.driver import Driver
from tests.driver.checks import assert_each_once
from topology.engine.definition import FoldApp, FoldContext
from topology.engine.errors import Poison

INPUTS = ("paid", "refunded")
OUT = "booked"
CHANGELOG = "ledger.changelog"


class Account(msgspec.Struct):
    """The state of one key."""

    name: str
    count: int = 0
    total: int = 0
    dues: list[int] = []
    fired: int = 0
    fuse: bool = False
    """Its timer raises."""
    later: dict[str, int] = {}
    """What its timer spends: limits by name."""
    granted: int = 0
    """Units that it was given."""


_ids = itertools.count(1)


def add(amount: int = 1, **more: Any) -> bytes:
    """An event. `wait=ms` sets a timer; `fault=` one of "before", "after", "poison", "encode", "fuse".

    `spend={name: limit}` asks for a unit of each allowance at once, `later={…}` when the timer fires.
    """
    return json.dumps({"id": next(_ids), "add": amount} | more).encode()


def id_of(value: bytes | None) -> int:
    """The id that a booked record carries on."""
    return json.loads(value or b"{}").get("id", 0)


def ledger(prefix: str = "", **changes: Any) -> FoldApp[Account]:
    """The application, its topics named with `prefix`."""
    parts: dict[str, Any] = {
        "name": f"{prefix}ledger",
        "inputs": tuple(prefix + topic for topic in INPUTS),
        "changelog": prefix + CHANGELOG,
        "dead_letters": lambda topic: f"{topic}.dlq",
        "decode": lambda _topic, _key, value: json.loads(value),
        "new_state": Account,
        "encode_state": msgspec.msgpack.encode,
        "decode_state": msgspec.msgpack.Decoder(Account).decode,
        "handle": _handle,
        "encode": lambda topic, record: (prefix + topic, _encode(record)),
        "next_due": lambda account: min(account.dues, default=None),
        "timer": lambda key, now: {"timer": now},
    }
    return FoldApp(**(parts | changes))


def _handle(account: Account, event: dict[str, Any], ctx: FoldContext) -> None:
    if "timer" in event:
        account.dues = [due for due in account.dues if due > ctx.now]
        account.fired += 1
        ctx.emit(OUT, account.name, {"timer": ctx.now, "total": account.total} | _spend(account, account.later, ctx))
        if account.fuse:
            raise ValueError("the fuse blew")
        return
    fault = event.get("fault")
    if fault == "before":
        raise ValueError("refused at once")
    account.count += 1
    account.total += event["add"]
    account.fuse = account.fuse or fault == "fuse"
    if "wait" in event:
        account.dues = [*account.dues, ctx.now + event["wait"]]
    account.later = event.get("later", account.later)
    booked = {"id": event["id"], "count": account.count, "total": account.total, "now": ctx.now}
    ctx.emit(OUT, account.name, booked | _spend(account, event.get("spend", {}), ctx))
    if fault == "after":
        raise ValueError("refused after half the work")
    if fault == "poison":
        raise Poison("too_much", f"add: {event['add']} is too much")
    if fault == "encode":
        ctx.emit(OUT, account.name, {"no": object()})


def _spend(account: Account, limits: dict[str, int], ctx: FoldContext) -> dict[str, Any]:
    """What the output tells of it: nothing when nothing was asked for."""
    if not limits:
        return {}
    granted = {name: ctx.spend(name, limit) for name, limit in limits.items()}
    account.granted += sum(granted.values())
    return {"granted": granted}


def _encode(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


def plain(
    records: Iterable[tuple[int, int, int, str, bytes]],
) -> tuple[list[tuple[str, bytes]], dict[str, Account]]:
    """Outputs (key, value) in order and states of ONE partition, folded by stream time without the engine.

    `records` are (topic index, offset, timestamp, key, value). Merged by hand: the earliest head first, ties by
    topic; before each record, all timers due by its time. All records must be good.
    """
    queues: dict[int, list[tuple[int, int, int, str, bytes]]] = defaultdict(list)
    for record in sorted(records, key=lambda r: (r[0], r[1])):
        queues[record[0]].append(record)
    accounts: dict[str, Account] = {}
    outputs: list[tuple[str, bytes]] = []
    clock = 0
    while heads := [queue[0] for queue in queues.values() if queue]:
        topic, _, time, key, value = min(heads, key=lambda r: (r[2], r[0]))
        queues[topic].pop(0)
        while due := sorted((min(a.dues), name) for name, a in accounts.items() if a.dues and min(a.dues) <= time):
            at, name = due[0]
            account = accounts[name]
            now = max(at, clock)
            account.dues = [d for d in account.dues if d > now]
            account.fired += 1
            outputs.append((name, _encode({"timer": now, "total": account.total})))
        clock = max(clock, time)
        account = accounts.setdefault(key, Account(key))
        event = json.loads(value)
        account.count += 1
        account.total += event["add"]
        if "wait" in event:
            account.dues = [*account.dues, clock + event["wait"]]
        booked = {"id": event["id"], "count": account.count, "total": account.total, "now": clock}
        outputs.append((key, _encode(booked)))
    return outputs, accounts


def assert_chains(values: Iterable[tuple[str, bytes]], amounts: dict[int, int]) -> None:
    """Each key's bookings count 1, 2, 3, … and each total is the one before plus the event's own amount."""
    seen: dict[str, tuple[int, int]] = {}
    for key, value in values:
        booked = json.loads(value)
        if "id" not in booked:
            continue
        count, total = seen.get(key, (0, 0))
        expected = (count + 1, total + amounts[booked["id"]])
        assert (booked["count"], booked["total"]) == expected, f"{key}: {booked} after {(count, total)}"
        seen[key] = expected


class Sent(NamedTuple):
    """One good event on its way."""

    key: str
    id: int
    amount: int


def fill(driver: Driver, count: int = 60, *, keys: int = 12, seed: int = 1, start: int = 0, **more: Any) -> list[Sent]:
    """Send good events, one second apart, for `keys` keys over both inputs; ids are repeatable."""
    rng = random.Random(f"{seed}-{start}")
    sent: list[Sent] = []
    for n in range(start, start + count):
        key, amount = f"user-{rng.randrange(keys)}", rng.randint(1, 99)
        at = driver.clock.now_ms() + n * 1_000
        driver.send(rng.choice(INPUTS), key, add(amount, id=1_000_000 + n, **more), at=at)
        sent.append(Sent(key, 1_000_000 + n, amount))
    return sent


def booked_ids(driver: Driver) -> list[int]:
    """The ids of all bookings that a reader sees."""
    return [id_of(record.value) for record in driver.read(OUT) if id_of(record.value)]


def fired(driver: Driver) -> list[tuple[str, int]]:
    """(key, time) of all timers that a reader sees."""
    events = [((record.key or b"").decode(), json.loads(record.value or b"{}")) for record in driver.read(OUT)]
    return [(key, event["timer"]) for key, event in events if "timer" in event]


def assert_exactly_once(driver: Driver, sent: list[Sent]) -> None:
    """Outputs each once and chained, states equal to a fold by hand, the store equal to the changelog."""
    assert_each_once([event.id for event in sent], booked_ids(driver))
    assert_chains(
        [((record.key or b"").decode(), record.value or b"") for record in driver.read(OUT)],
        {event.id: event.amount for event in sent},
    )
    totals: dict[str, tuple[int, int]] = {}
    for event in sent:
        count, total = totals.get(event.key, (0, 0))
        totals[event.key] = (count + 1, total + event.amount)
    states = driver.states()
    assert {key: (state.count, state.total) for key, state in states.items() if state.count} == totals
    assert driver.stored_states() == states
    assert driver.stored_shared() == driver.shared()
