"""How each fault is done to a worker that is held at its point, how long it lasts, and whether it really happened.

A strike is a generator: it does something, yields the seconds to wait, goes on, and returns how it knows that it hit.
One that finds that nothing came of it says so by `Missed`: such a run is counted as not hit, never as passed.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from tests.faults.crew import Crew, Member
from tests.faults.kinds import Fault
from tests.faults.plan import SLOTS, Plan, Strike
from tests.faults.points import Point
from tests.faults.proxy import Proxy
from tests.faults.rig import Rig
from tests.faults.wire import Api
from topology.embedded import EmbeddedError
from topology.embedded.server import Server
from topology.exits import Exit

SESSION_S = 2.0
COMMIT_S = 4.0
"""Of the workers. Past the second one, the fate of a transaction is unknown."""
_TICK_S = 0.02
_ENDS_S = 40.0
"""Longer than a worker takes to end in good order."""
_PASSES_S = 15.0
"""So long may an armed proxy wait for something to come by."""

Waiting = Generator[float, None, str]


class Missed(Exception):  # noqa: N818 - what was seen, not an error of ours
    """The fault did not happen after all; the text says why."""


@dataclass
class Scene:
    """What a strike acts upon."""

    rig: Rig
    crew: Crew
    plan: Plan
    wanted: set[int] = field(default_factory=set)
    """Slots whose worker is started again when it ends."""
    pending: dict[int, list[Point]] = field(default_factory=dict)
    """Points not reached yet, by slot."""
    snapshot: dict[bytes, int] = field(default_factory=dict)
    """The checkpoints that Redis saved last."""
    nudge: Callable[[], None] = lambda: None
    """Sends something more for everybody to do, now and then: a strike that waits for something to come by calls it."""

    def start(self, slot: int) -> Member:
        """A worker in this slot, which looks out for what is still to be reached there."""
        self.wanted.add(slot)
        return self.crew.start(slot, self.pending.get(slot, ()))


def strike(scene: Scene, what: Strike, member: Member) -> Waiting:
    """Do it, with the worker held at the point; its return says what was seen of it.

    Raises:
        Missed: nothing came of it.
    """
    return _STRIKES[what.fault](scene, what, member)


# --- workers --------------------------------------------------------------------------------------------------


def _stopped(scene: Scene, what: Strike, member: Member) -> Waiting:
    yield from _ended(scene, member)
    yield _away(what)
    scene.start(member.slot)
    return "ended with 0"


def _killed(scene: Scene, what: Strike, member: Member) -> Waiting:
    scene.wanted.discard(member.slot)
    member.asked = True
    member.signal(signal.SIGKILL)
    yield from _until(lambda: member.code is not None, "the killed worker to end")
    if member.code != -signal.SIGKILL:
        raise Missed(f"it ended with {member.code}")
    yield _away(what)
    scene.start(member.slot)
    return "ended by SIGKILL"


def _zombie(_scene: Scene, what: Strike, member: Member) -> Waiting:
    member.signal(signal.SIGSTOP)
    yield from _until(lambda: member.sleeps or member.code is not None, "the worker to fall asleep")
    member.go()  # it finds that when it wakes
    seconds = SESSION_S + 0.7 + 2 * what.length
    yield seconds
    if member.code is not None or not member.sleeps:
        raise Missed("it did not sleep through")
    member.signal(signal.SIGCONT)
    yield from _until(lambda: not member.sleeps, "the worker to wake")
    return f"slept for {seconds:.1f} s"


def _added(scene: Scene, _what: Strike, member: Member) -> Waiting:
    free = [slot for slot in range(SLOTS) if slot not in scene.wanted and slot not in scene.crew.members]
    if not free:
        member.go()
        raise Missed("no slot is free")
    new = scene.start(free[0])
    member.go()
    yield from _until(lambda: "worker_started" in new.said() or new.code is not None, "the new worker to start")
    if new.code is not None:
        raise Missed(f"it ended with {new.code}")
    return f"slot {new.slot} started"


def _removed(scene: Scene, _what: Strike, member: Member) -> Waiting:
    others = sorted(slot for slot in scene.wanted if slot != member.slot)
    if not others:
        member.go()
        raise Missed("there is no other worker")
    other = scene.crew.members[others[-1]]
    member.go()
    yield from _ended(scene, other)
    return f"slot {other.slot} ended with 0"


def _ended(scene: Scene, member: Member) -> Iterator[float]:
    """Stop it in good order."""
    scene.wanted.discard(member.slot)
    member.asked = True
    member.signal(signal.SIGTERM)
    member.go()
    yield from _until(lambda: member.code is not None, "the worker to end in good order")
    if member.code != Exit.OK:
        raise Missed(f"it ended with {member.code}")


# --- the broker and the way to it -----------------------------------------------------------------------------


def _broker_killed(scene: Scene, what: Strike, member: Member) -> Waiting:
    scene.rig.broker.kill()
    member.go()
    yield _away(what)
    yield from _in_background(scene.rig.broker.start)
    return "killed and started"


def _broker_frozen(scene: Scene, what: Strike, member: Member) -> Waiting:
    scene.rig.broker.pause()
    member.go()
    seconds = 0.3 + 2.7 * what.length
    yield seconds
    scene.rig.broker.resume()
    return f"frozen for {seconds:.1f} s"


def _broker_disk_slow(scene: Scene, what: Strike, member: Member) -> Waiting:
    delay_s = 0.02 + (0.3 if what.hard else 0.1) * what.length
    scene.rig.slow_disk(delay_s)
    member.go()
    yield 1 + what.length
    yield from _passing(scene, lambda: scene.rig.disk.held > 0, member)
    held = scene.rig.disk.held
    yield from _in_background(scene.rig.quick_disk)
    return f"{held} flushes of {delay_s:.2f} s each"


def _kafka_cut(scene: Scene, what: Strike, member: Member) -> Waiting:
    return (yield from _cut(scene, scene.rig.kafka_proxies[member.slot], what, member))


def _redis_cut(scene: Scene, what: Strike, member: Member) -> Waiting:
    return (yield from _cut(scene, scene.rig.redis_proxies[member.slot], what, member))


def _cut(scene: Scene, proxy: Proxy, what: Strike, member: Member) -> Waiting:
    if what.hard:  # what is asked next is done, and nobody hears of it
        proxy.cut_answer = True
    else:
        proxy.cut(what.length)
    member.go()
    yield from _passing(scene, lambda: proxy.cuts > 0, member)
    proxy.cut_answer = False
    return f"{proxy.cuts} connections cut{' in place of an answer' if what.hard else ''}"


def _kafka_delayed(scene: Scene, what: Strike, member: Member) -> Waiting:
    return (yield from _delayed(scene, scene.rig.kafka_proxies[member.slot], what, member))


def _redis_delayed(scene: Scene, what: Strike, member: Member) -> Waiting:
    return (yield from _delayed(scene, scene.rig.redis_proxies[member.slot], what, member))


def _delayed(scene: Scene, proxy: Proxy, what: Strike, member: Member) -> Waiting:
    proxy.delay_s = 0.1 + (0.9 if what.hard else 0.2) * what.length
    member.go()
    yield 0.5 + 2 * what.length
    yield from _passing(scene, lambda: proxy.held > 0, member)
    delay_s, proxy.delay_s = proxy.delay_s, 0.0
    return f"{proxy.held} pieces held for {delay_s:.2f} s each"


def _lost(api: Api) -> Callable[[Scene, Strike, Member], Waiting]:
    def act(scene: Scene, what: Strike, member: Member) -> Waiting:
        proxy = scene.rig.kafka_proxies[member.slot]
        # One answer: the client library asks again. All of them, for longer than a transaction may take: it gives up.
        proxy.swallow[api] = 1_000 if what.hard else 1
        member.go()
        yield from _passing(scene, lambda: proxy.swallowed[api] > 0, member)
        if what.hard:
            yield COMMIT_S + what.length
        proxy.swallow[api] = 0
        return f"{proxy.swallowed[api]} answers swallowed"

    return act


# --- Redis ----------------------------------------------------------------------------------------------------


def _redis_killed(scene: Scene, what: Strike, member: Member) -> Waiting:
    scene.rig.forget_snapshot()
    held = scene.rig.redis.dbsize()
    scene.rig.store.kill()
    member.go()
    yield _away(what)
    scene.rig.store.start()
    if not held:
        raise Missed("it held nothing")
    return f"{held} keys lost"


def _redis_restarted(scene: Scene, what: Strike, member: Member) -> Waiting:
    """What is committed meanwhile is applied afterwards, or rebuilt; what it held is there again."""
    rig = scene.rig
    held = rig.redis.dbsize()
    rig.redis.shutdown(save=True)
    yield from _until(lambda: _has_ended(rig.store), "Redis to end")
    member.go()
    yield _away(what)
    rig.store.start()
    rig.forget_snapshot()
    found = rig.redis.dbsize()
    if not held or found < held:
        raise Missed(f"it held {held} keys and came back with {found}")
    return f"back with {found} keys"


def _has_ended(server: Server) -> bool:
    try:
        server.check()
    except EmbeddedError:
        return True
    return False


def _redis_flushed(scene: Scene, _what: Strike, member: Member) -> Waiting:
    held = scene.rig.redis.dbsize()
    scene.rig.redis.flushall()
    member.go()
    yield 0.0
    if not held:
        raise Missed("it held nothing")
    return f"{held} keys flushed"


def _redis_older(scene: Scene, what: Strike, member: Member) -> Waiting:
    """The snapshot was taken when a worker came to this point before (`ready`)."""
    rig = scene.rig
    before, now = scene.snapshot, checkpoints(rig)
    rig.store.kill()
    yield 0.3 * what.length
    rig.store.start()
    rig.forget_snapshot()
    member.go()
    return f"back from {sum(now.values())} to {sum(before.values())}"


def ready(scene: Scene, what: Strike) -> bool:
    """Whether the strike can be done as things are; else it is prepared for a later batch.

    An older snapshot of Redis must be there first, and Redis hold something newer.
    """
    if what.fault is not Fault.REDIS_OLDER:
        return True
    if scene.rig.snapshot.exists():
        now = checkpoints(scene.rig)
        return any(now.get(key, -1) > at for key, at in scene.snapshot.items())
    scene.rig.redis.save()
    scene.snapshot = checkpoints(scene.rig)
    return False


def checkpoints(rig: Rig) -> dict[bytes, int]:
    """What Redis says that it holds, by key of the dossiers."""
    found = {}
    for key in rig.redis.scan_iter(match="*:dossiers"):
        raw = rig.redis.hget(key, b"\0checkpoint")
        found[key] = int(raw or b"-1")
    return found


# --- waiting --------------------------------------------------------------------------------------------------


def _away(what: Strike) -> float:
    """How long something is gone: hardly, or for longer than a session."""
    return SESSION_S + 1 + what.length if what.hard else 0.6 * what.length


def _until(reached: Callable[[], bool], what: str, limit_s: float = _ENDS_S) -> Iterator[float]:
    deadline = time.monotonic() + limit_s
    while not reached():
        if time.monotonic() > deadline:
            raise Missed(f"waited in vain for {what}")
        yield _TICK_S


def _passing(scene: Scene, reached: Callable[[], bool], member: Member) -> Iterator[float]:
    def passed() -> bool:
        if reached() or member.code is not None:
            return True
        scene.nudge()
        return False

    yield from _until(passed, "something to come by", _PASSES_S)
    if not reached():
        raise Missed(f"the worker ended with {member.code} before")


def _in_background(work: Callable[[], object]) -> Iterator[float]:
    """Have it done in a thread, so that the others are looked after meanwhile."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as exc:  # noqa: BLE001 - raised below, in the campaign's own thread
            failed.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        yield _TICK_S
    if failed:
        raise failed[0]


_STRIKES: dict[Fault, Callable[[Scene, Strike, Member], Waiting]] = {
    Fault.WORKER_STOPPED: _stopped,
    Fault.WORKER_KILLED: _killed,
    Fault.WORKER_ZOMBIE: _zombie,
    Fault.WORKER_ADDED: _added,
    Fault.WORKER_REMOVED: _removed,
    Fault.BROKER_KILLED: _broker_killed,
    Fault.BROKER_FROZEN: _broker_frozen,
    Fault.BROKER_DISK_SLOW: _broker_disk_slow,
    Fault.KAFKA_CUT: _kafka_cut,
    Fault.KAFKA_DELAYED: _kafka_delayed,
    Fault.LOST_ADD_OFFSETS: _lost(Api.ADD_OFFSETS_TO_TXN),
    Fault.LOST_OFFSET_COMMIT: _lost(Api.TXN_OFFSET_COMMIT),
    Fault.LOST_END_TXN: _lost(Api.END_TXN),
    Fault.REDIS_KILLED: _redis_killed,
    Fault.REDIS_RESTARTED: _redis_restarted,
    Fault.REDIS_FLUSHED: _redis_flushed,
    Fault.REDIS_OLDER: _redis_older,
    Fault.REDIS_CUT: _redis_cut,
    Fault.REDIS_DELAYED: _redis_delayed,
}
