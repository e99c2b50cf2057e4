"""A small application for sweeps: users with tags, and orders to mark all users with a tag, some at a time.

`plain` is its outcome worked out without the engine, to compare with.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tests.driver import Driver
from topology.engine.definition import FoldApp, FoldContext, Scan
from topology.engine.state import DUE_BYTES, RESERVED

EDITS, ORDERS = INPUTS = ("edits", "orders")
OUT = "told"
PREFIX = b"\0order/"


class User(msgspec.Struct, tag=True):
    """A user's state."""

    name: str
    tags: list[str] = []
    edits: int = 0
    later: list[tuple[int, str]] = []
    """(UTC ms, a tag that is put on by itself then)."""
    marks: dict[str, int] = {}
    """By order, how often."""
    fuse: bool = False
    """Whatever it is told makes it raise."""


class Order(msgspec.Struct, tag=True):
    """The state of one order in one partition."""

    name: str
    tag: str = ""
    limit: int = 1
    step: int = 1
    after: str = ""
    due: int | None = None
    pages: int = 0
    marked: int = 0
    fuse: bool = False
    """Its timer raises, after it has told everybody of its page."""


_decoder = msgspec.msgpack.Decoder(User | Order)


def edit(n: int, **more: Any) -> bytes:
    """An event of a user. `tag=`, `untag=`: lists; `later=(ms, tag)`; `fuse=`; `fault="after"` raises at the end.

    `haunt=` leaves a term of the tag blue about that key, as an application does that takes none out.
    """
    return json.dumps({"id": n} | more).encode()


def order(tag: str, limit: int = 2, **more: Any) -> bytes:
    """Mark all who have the tag. `step=`: ms between pages; `fuse=True`: its timer raises; `fault="after"` too."""
    return json.dumps({"mark": tag, "limit": limit, "step": 1} | more).encode()


def tagging(**changes: Any) -> FoldApp[User | Order]:
    """The application."""
    parts: dict[str, Any] = {
        "name": "tagging",
        "inputs": INPUTS,
        "prefixes": (b"", PREFIX),
        "changelog": "tagging.changelog",
        "dead_letters": lambda topic: f"{topic}.dlq",
        "decode": lambda _topic, _key, value: json.loads(value),
        "new_state": lambda name: Order(name) if name.startswith("\0") else User(name),
        "encode_state": msgspec.msgpack.encode,
        "decode_state": _decoder.decode,
        "handle": _handle,
        "encode": lambda topic, record: (topic, json.dumps(record).encode()),
        "next_due": _next_due,
        "timer": lambda _key, _now: None,
        "indexed": lambda raw: terms_of(_decoder.decode(raw)),
        "scan": _scan,
        "owner": lambda term: term.partition(b"/")[2],
    }  # fmt: skip
    return FoldApp(**(parts | changes))


def _next_due(state: User | Order) -> int | None:
    return state.due if isinstance(state, Order) else min((at for at, _ in state.later), default=None)


def terms_of(state: User | Order) -> list[bytes]:
    """What must be in the index for this state."""
    assert isinstance(state, User), "orders are not asked for terms"
    return [_term(tag, state.name) for tag in state.tags]


def _term(tag: str, name: str) -> bytes:
    return f"{tag}/{name}".encode()


def _scan(state: User | Order) -> Scan | None:
    assert isinstance(state, Order), "users are not asked what they look for"
    return Scan(_term(state.tag, state.after), f"{state.tag}0".encode(), state.limit)


def _handle(state: User | Order, event: dict[str, Any] | None, ctx: FoldContext) -> None:
    if isinstance(state, Order):
        _handle_order(state, event, ctx)
        return
    assert ctx.found == (), "only a sweep's timer finds anybody"
    if event is None:
        for tag in [tag for at, tag in state.later if at <= ctx.now]:
            _put_on(state, tag, ctx)
        state.later = [(at, tag) for at, tag in state.later if at > ctx.now]
    elif "order" in event:
        ctx.count("marks_total", tag=event["tag"])
        state.marks[event["order"]] = state.marks.get(event["order"], 0) + 1
        ctx.emit(OUT, state.name, {"marked": event["order"], "edits": state.edits, "now": ctx.now})
        if state.fuse:
            raise ValueError("the fuse blew")
        if event["tag"] == "once":
            _take_off(state, "once", ctx)
    else:
        _handle_edit(state, event, ctx)


def _handle_edit(user: User, event: dict[str, Any], ctx: FoldContext) -> None:
    user.edits += 1
    ctx.count("edits_total", 0.5)
    for tag in event.get("tag", ()):
        _put_on(user, tag, ctx)
    for tag in event.get("untag", ()):
        _take_off(user, tag, ctx)
    if "later" in event:
        wait, tag = event["later"]
        user.later = [*user.later, (ctx.now + wait, tag)]
    user.fuse = event.get("fuse", user.fuse)
    if "haunt" in event:
        ctx.index(_term("blue", event["haunt"]))
    if "steal" in event:  # a record that behaves as only a sweep may
        ctx.tell(event["steal"], {})
    ctx.emit(OUT, user.name, {"id": event["id"], "edits": user.edits, "now": ctx.now})
    if event.get("fault"):
        raise ValueError("refused after all the work")


def _put_on(user: User, tag: str, ctx: FoldContext) -> None:
    if tag not in user.tags:
        user.tags = [*user.tags, tag]
    ctx.index(_term(tag, user.name))


def _take_off(user: User, tag: str, ctx: FoldContext) -> None:
    user.tags = [one for one in user.tags if one != tag]
    ctx.unindex(_term(tag, user.name))


def _handle_order(state: Order, event: dict[str, Any] | None, ctx: FoldContext) -> None:
    short = state.name.removeprefix(PREFIX.decode())
    if event is not None:
        state.tag, state.limit, state.after = event["mark"], event["limit"], ""
        state.fuse, state.step = event.get("fuse", False), event.get("step", 1)
        state.due = ctx.now + state.step
        assert ctx.found == (), "only a sweep's timer finds anybody"
        if event.get("fault"):
            raise ValueError("refused after all the work")
        return
    state.pages += 1
    for term in ctx.found:
        name = term.decode().partition("/")[2]
        user = ctx.peek(name)
        if user is None or state.tag not in user.tags:
            ctx.unindex(term)
            ctx.emit(OUT, name, {"stale": user is not None, "now": ctx.now})
            continue
        assert isinstance(user, User)
        state.marked += 1
        ctx.emit(OUT, name, {"seen by": short, "edits": user.edits, "marks": user.marks.get(short, 0), "now": ctx.now})
        ctx.tell(name, {"order": short, "tag": state.tag})
    if ctx.found:
        state.after = ctx.found[-1].decode().partition("/")[2]
    state.due = ctx.now + state.step if len(ctx.found) == state.limit else None
    if state.fuse:
        raise ValueError("the order's fuse blew")


# --- the same by hand --------------------------------------------------------------------------------------------

Sent = tuple[int, int, int, str, bytes]
"""(topic index, offset, timestamp, key, value)."""


def plain(records: Iterable[Sent]) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, User], Counter[str]]:
    """Outputs (key, record) in order, users, and dead letters by what raised, of ONE partition by stream time.

    Nothing is undone here, because what will raise is not begun; the index is looked up in the users themselves.
    """
    queues: dict[int, list[Sent]] = defaultdict(list)
    for record in sorted(records, key=lambda r: (r[0], r[1])):
        queues[record[0]].append(record)
    world = _World()
    while heads := [queue[0] for queue in queues.values() if queue]:
        topic, _, time, key, value = min(heads, key=lambda r: (r[2], r[0]))
        queues[topic].pop(0)
        while due := world.due(time):
            world.fire(*due)
        world.now = max(world.now, time)
        event = json.loads(value)
        if event.get("fault") or "steal" in event:
            world.dead["record"] += 1
        elif topic == 0:
            world.edit(key, event)
        else:
            world.orders[key] = {"after": "", "due": world.now + event["step"]} | event
    return world.out, world.users, world.dead


class _World:
    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.silent: set[str] = set()
        self.out: list[tuple[str, dict[str, Any]]] = []
        self.dead: Counter[str] = Counter()
        self.now = 0

    def due(self, time: int) -> tuple[int, str] | None:
        users = [(min(at for at, _ in u.later), name) for name, u in self.users.items() if u.later]
        orders = [(o["due"], PREFIX.decode() + n) for n, o in self.orders.items() if o["due"] and not o.get("silent")]
        return min((pair for pair in users + orders if pair[0] <= time), default=None)

    def fire(self, at: int, name: str) -> None:
        now = max(at, self.now)
        if not name.startswith("\0"):
            user = self.users[name]
            for tag in [tag for at, tag in user.later if at <= now]:
                user.tags = user.tags if tag in user.tags else [*user.tags, tag]
            user.later = [(at, tag) for at, tag in user.later if at > now]
            return
        short = name.removeprefix(PREFIX.decode())
        mine = self.orders[short]
        if mine.get("fuse"):
            self.dead["timer"] += 1
            mine["silent"] = True
            return
        named = sorted(n for n, u in self.users.items() if mine["mark"] in u.tags)
        page = [n for n in named if n > mine["after"]][: mine["limit"]]
        for n in page:
            user = self.users[n]
            seen = {"seen by": short, "edits": user.edits, "marks": user.marks.get(short, 0), "now": now}
            self.out.append((n, seen))
        for n in page:
            user = self.users[n]
            if user.fuse:
                self.dead["told"] += 1
                continue
            user.marks[short] = user.marks.get(short, 0) + 1
            self.out.append((n, {"marked": short, "edits": user.edits, "now": now}))
            if mine["mark"] == "once":
                user.tags = [tag for tag in user.tags if tag != "once"]
        mine["after"] = page[-1] if page else mine["after"]
        mine["due"] = now + mine["step"] if len(page) == mine["limit"] else None

    def edit(self, name: str, event: dict[str, Any]) -> None:
        user = self.users.setdefault(name, User(name))
        user.edits += 1
        for tag in event.get("tag", ()):
            user.tags = user.tags if tag in user.tags else [*user.tags, tag]
        user.tags = [tag for tag in user.tags if tag not in event.get("untag", ())]
        if "later" in event:
            user.later = [*user.later, (self.now + event["later"][0], event["later"][1])]
        user.fuse = event.get("fuse", user.fuse)
        self.out.append((name, {"id": event["id"], "edits": user.edits, "now": self.now}))


# --- a driver of it ----------------------------------------------------------------------------------------------


def broadcast(driver: Driver[Any], key: str, value: bytes, *, at: int | None = None) -> None:
    """Tell every partition."""
    for partition in range(driver.partitions):
        driver.send(ORDERS, key, value, at=at, partition=partition)


def settle(driver: Driver[Any], *, ms: int = 200) -> None:
    """Run until sweeps are done: each page asks for the next a millisecond later."""
    for _ in range(ms):
        driver.run()
        driver.advance(1)
    driver.run()


def marks(driver: Driver[Any], name: str) -> dict[str, int]:
    """By user, how often an order was told, of all whom it was."""
    return {key: user.marks[name] for key, user in driver.states().items() if name in user.marks}


def told(driver: Driver[Any], name: str) -> Counter[str]:
    """The same from the outputs."""
    found = [((r.key or b"").decode(), json.loads(r.value or b"{}")) for r in driver.read(OUT)]
    return Counter(key for key, record in found if record.get("marked") == name)


def assert_index_is_right(driver: Driver[Any]) -> None:
    """The index has exactly the terms of the users, and the store is what the changelog says."""
    newest: dict[tuple[int, bytes], bytes] = {
        (r.partition, r.key): r.value for r in driver.read(driver.app.changelog) if not r.key.startswith(RESERVED)
    }
    for partition in range(driver.partitions):
        raws = [raw for (p, _), raw in newest.items() if p == partition]
        assert driver.store.terms(partition) == set(_terms(raws)), f"partition {partition}"
    assert driver.stored_states() == driver.states()
    assert driver.stored_shared() == driver.shared()


def _terms(raws: Iterable[bytes]) -> Iterator[bytes]:
    for raw in raws:
        yield from terms_of(_decoder.decode(raw[DUE_BYTES:]))


def assert_marked_once(driver: Driver[Any], name: str, users: Iterable[str]) -> None:
    """All of these and nobody else, each once, in the states and for a reader; index and store as they must be."""
    expected = dict.fromkeys(users, 1)
    assert marks(driver, name) == expected
    assert told(driver, name) == expected
    assert_index_is_right(driver)
