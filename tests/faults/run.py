"""One run of the campaign: a workload, the strikes of its plan, then calm, in which everything must converge."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException

from tests.faults.crew import Crew, Member, Nursery, Reached
from tests.faults.feed import Feed
from tests.faults.plan import Plan
from tests.faults.points import Point
from tests.faults.record import FIRST_STRIKE
from tests.faults.rig import Rig
from tests.faults.strikes import COMMIT_S, SESSION_S, Missed, Scene, Waiting, ready, strike
from tests.faults.verdict import OVERDUE_MS, all_faults
from tests.integration.checker import view_faults
from tests.integration.reversal_checker import Fault as Wrong
from tests.integration.worker_process import Installation
from tests.integration.workload import workload
from topology.embedded import EmbeddedError
from topology.engine.definition import ClockKind
from topology.exits import Exit

PARTITIONS = 4
_STORM_S = 60.0
"""The strikes may take so long; what was not reached by then is not hit."""
_CALM_S = 60.0
"""Everything must have converged by then."""
_WHOLE_S = 10.0
"""What is folded is applied by then, partitions that were lost being rebuilt."""
_TICK_S = 0.01
_LOOK_S = 0.05
"""Between two looks at what the broker or Redis tells: each is work for them."""
_NUDGE_S = 0.3
"""Between two records more for everybody, when there is nothing left to do."""
_AGAIN_S = 0.3
IN_CLIENT = re.compile(
    r"most recent call first\):\n"
    r"(?:.*/tests/faults/trace\.py.*\n)*"
    r"(?:.*/transaction\.py.* in <lambda>\n)?"
    r".*/transaction\.py.* in _call\n"
)
"""In the stacks of a worker that hangs: the thread that commits is in a call of the client library."""
_ENDS_AGAIN = 6
"""A worker that ends by itself so often in one run is no use."""


@dataclass
class Hit:
    """What became of one strike."""

    happened: bool
    text: str


@dataclass
class Outcome:
    """What a run showed."""

    plan: Plan
    hits: list[Hit]
    wrong: list[Wrong] = field(default_factory=list)
    restarts: Counter[int] = field(default_factory=Counter)
    """Workers that ended by themselves, by exit code; an orchestrator starts them again, and so does the run."""
    hung: int = 0
    """Of them, those in which a call of the client library did not end within its time-out."""
    sent_twice: int = 0
    """Records that the campaign's own producer left twice in an input."""
    skipped: list[str] = field(default_factory=list)
    """Records that a worker's client had passed over and that were read again, as the logs tell."""
    seconds: float = 0.0
    parts: Counter[str] = field(default_factory=Counter)
    """Where they went."""

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What is done meanwhile counts as this part of the run."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.parts[name] += time.monotonic() - began  # type: ignore[assignment]

    @property
    def passed(self) -> bool:
        """Nothing is wrong, and every fault really happened."""
        return not self.wrong and all(hit.happened for hit in self.hits)


def play(rig: Rig, nursery: Nursery, plan: Plan, folder: Path) -> Outcome:
    """Do what the plan says. `folder` gets the workers' logs; it is left behind only if something is wrong."""
    began = time.monotonic()
    rig.calm()
    rig.redis.flushall()
    folder.mkdir(parents=True, exist_ok=True)
    name = f"f{plan.seed}-{uuid.uuid4().hex[:6]}"
    outcome = Outcome(plan, [Hit(False, "its step was not reached") for _ in plan.strikes])
    with contextlib.ExitStack() as made:
        installation = Installation(
            rig.bootstrap, rig.store.url, name, folder, partitions=PARTITIONS, output_partitions=1
        )
        with outcome.part("make topics"):
            made.enter_context(installation)
        with Crew(nursery, lambda slot: _environment(rig, installation, plan, slot), folder) as crew:
            run = _Run(rig, crew, plan, installation, outcome)
            try:
                with outcome.part("storm"):
                    run.storm()
                run.calm()
            except Missed as exc:
                outcome.wrong.append(Wrong("never_converged", str(exc)))
            except EmbeddedError:
                raise
            except Exception:  # noqa: BLE001 - told with its seed, and the next run is played
                outcome.wrong.append(Wrong("run_broke", traceback.format_exc()))
            finally:
                rig.calm()
        if not outcome.wrong:
            with outcome.part("verdict"):
                twice = installation.sent_twice()
                outcome.sent_twice = len(twice)
                installation.delivered += twice  # an input like any other
                outcome.wrong += all_faults(installation, plan)
        with outcome.part("remove topics"):
            made.close()
    outcome.skipped = _skipped(folder)
    if not outcome.wrong:
        shutil.rmtree(folder, ignore_errors=True)
    outcome.seconds = time.monotonic() - began
    return outcome


def _skipped(folder: Path) -> list[str]:
    lines = [line for log in sorted(folder.glob("*.log")) for line in log.read_text(errors="replace").splitlines()]
    told = [json.loads(line) for line in lines if '"client_skipped_records"' in line]
    return [f"{one['topic']}[{one['partition']}]@{one['offset']}" for one in told]


def _environment(rig: Rig, installation: Installation, plan: Plan, slot: int) -> dict[str, str]:
    return installation.environment | {
        "RECOURSE_KAFKA": f"127.0.0.1:{rig.kafka_proxies[slot].port}",
        "RECOURSE_REDIS": f"redis://127.0.0.1:{rig.redis_proxies[slot].port}/0",
        "RECOURSE_SLOT": str(slot),
        "RECOURSE_CLOCK": plan.clock.value,
        "RECOURSE_STATIC_MEMBERSHIP": str(plan.static),
        "RECOURSE_BATCH_RECORDS": str(plan.batch_records),
        "RECOURSE_CACHED_STATES": str(plan.cached_states),
        "RECOURSE_SESSION_S": str(SESSION_S),
        "RECOURSE_COMMIT_S": str(COMMIT_S),
        "RECOURSE_REVOKE_S": "3",
        # A run lasts seconds: what is gone is looked for sooner than the defaults do.
        "RECOURSE_KAFKA_OPTIONS": '{"reconnect.backoff.ms": "50", "reconnect.backoff.max.ms": "400",'
        ' "socket.timeout.ms": "1500", "socket.connection.setup.timeout.ms": "1500"}',
    }


class _Run:
    def __init__(self, rig: Rig, crew: Crew, plan: Plan, installation: Installation, outcome: Outcome) -> None:
        self._crew = crew
        self._plan = plan
        self._installation = installation
        self._outcome = outcome
        self._scene = Scene(rig, crew, plan)
        self._running: dict[int, tuple[Waiting, float]] = {}
        """By number of the strike: it, and when it goes on."""
        self._ended: set[int] = set()
        self._again: dict[int, float] = {}
        """By slot: when a worker that ended by itself is started again; later each time, as orchestrators do."""
        for number, what in enumerate(plan.strikes):
            points = self._scene.pending.setdefault(what.slot, [])
            points.append(Point(number, what.step, what.batch))
        rows = workload(plan.rows, plan.seed)
        self._feed = Feed(installation, rows, plan.flow_s, holds_back=len(plan.strikes) > 1)
        self._scene.nudge = self._nudge
        self._nudged = 0.0
        self._calm = False
        self._began = 0.0
        self._looked = 0.0

    def storm(self) -> None:
        """Until every strike is over, or cannot come any more."""
        self._feed.start()
        for slot in range(self._plan.workers):
            self._scene.start(slot)
        self._began = time.monotonic()
        deadline = time.monotonic() + _STORM_S
        while time.monotonic() < deadline:
            self._round()
            if self._running:
                continue
            waiting = {point.name for points in self._scene.pending.values() for point in points}
            if 0 not in waiting:
                self._feed.go_on()
            if not waiting:
                return
            if self._feed.stopped and self._looks(lambda: not self._installation.behind()):
                self._nudge()  # the batch that is waited for needs something to fold

    def calm(self) -> None:
        """No fault goes on: everything is folded, applied and settled, and everybody who should work works."""
        self._calm = True
        self._scene.rig.calm()
        self._scene.pending.clear()
        self._feed.hurry()
        self._wait(lambda: self._feed.done, "all rows to be sent")
        self._wait(self._all_committed, "all records to be committed")
        # A partition to which nothing happens does not look at Redis, so does not notice what it lost there (rule 3).
        self._feed.add_last_words()
        self._wait(self._all_committed, "the last records to be committed")
        self._wait(self._all_work, "every worker to hold partitions")
        self._wait(lambda: not self._installation.unsettled(), "every transaction to be settled")
        if self._plan.clock is ClockKind.WALL:
            self._wait(self._nothing_due, "every due timer to fire")
        with contextlib.suppress(Missed):  # the verdict says what is wrong there
            self._wait(self._whole, "Redis to hold what the changelog says", limit_s=_WHOLE_S)
        for member in self._working():
            member.asked = True
            member.signal(signal.SIGTERM)
            member.go()
        self._scene.wanted.clear()
        self._wait(lambda: all(m.code is not None for m in self._crew.members.values()), "the workers to end")
        for member in self._crew.members.values():
            if member.asked and member.code not in (Exit.OK, -9):
                self._wrong_end(member)
        self._feed.end()
        if self._feed.failure is not None:
            raise self._feed.failure

    # --- rounds -----------------------------------------------------------------------------------------------

    def _round(self) -> None:
        for reached in self._crew.poll():
            if self._calm:
                reached.member.go()
            elif self._running:  # one fault at a time
                reached.member.later()
            else:
                self._begin(reached)
        self._keep()
        now = time.monotonic()
        for number, (waiting, at) in list(self._running.items()):
            if now >= at:
                self._go_on(number, waiting)
        time.sleep(_TICK_S)

    def _begin(self, reached: Reached) -> None:
        member, what = reached.member, self._plan.strikes[reached.point]
        if member.code is not None:
            return
        if not ready(self._scene, what):
            member.later()
            return
        self._scene.pending[member.slot] = [p for p in self._scene.pending[member.slot] if p.name != reached.point]
        self._outcome.parts.setdefault(FIRST_STRIKE, time.monotonic() - self._began)  # type: ignore[arg-type]
        self._go_on(reached.point, strike(self._scene, what, member))

    def _go_on(self, number: int, waiting: Waiting) -> None:
        hit = self._outcome.hits[number]
        try:
            seconds = next(waiting)
        except StopIteration as end:
            hit.happened, hit.text = True, str(end.value)
        except Missed as exc:
            hit.text = str(exc)
        else:
            self._running[number] = waiting, time.monotonic() + seconds
            return
        self._running.pop(number, None)

    def _keep(self) -> None:
        """Start again who ended without being asked, as an orchestrator does."""
        for slot, member in list(self._crew.members.items()):
            if member.code is None or member.asked or member.pid in self._ended:
                continue
            self._ended.add(member.pid)
            self._outcome.restarts[member.code] += 1
            if member.code not in (Exit.MISCONFIGURED, Exit.SLOT_TAKEN, Exit.OK):
                self._wrong_end(member)
            if slot in self._scene.wanted and self._outcome.restarts.total() < _ENDS_AGAIN:
                self._again[slot] = time.monotonic() + _AGAIN_S * 2 ** self._outcome.restarts.total()
        for slot, at in list(self._again.items()):
            if time.monotonic() >= at:
                del self._again[slot]
                self._scene.start(slot)

    def _wrong_end(self, member: Member) -> None:
        said = member.said()
        if '"hung"' in said and IN_CLIENT.search(said):
            # What librdkafka #5511 asks for: the worker noticed, ended itself, and is started again.
            self._outcome.hung += 1
            return
        self._outcome.wrong.append(
            Wrong("worker_crashed", f"slot {member.slot} ended with {member.code}: {said[-1_500:]}")
        )

    # --- what has been reached --------------------------------------------------------------------------------

    def _wait(self, reached: Callable[[], bool], what: str, *, limit_s: float = _CALM_S) -> None:
        deadline = time.monotonic() + limit_s
        with self._outcome.part(f"waiting for {what}"):
            while True:
                self._round()
                if self._looks(reached):
                    return
                if time.monotonic() > deadline:
                    raise Missed(f"waited in vain for {what}; {self._standing()}")

    def _looks(self, reached: Callable[[], bool]) -> bool:
        """Whether it is so, as far as one has looked: not at every call."""
        if time.monotonic() < self._looked + _LOOK_S:
            return False
        found = False
        with contextlib.suppress(KafkaException):
            found = reached()
        self._looked = time.monotonic()
        return found

    def _nudge(self) -> None:
        """Give everybody something to fold, now and then."""
        self._feed.go_on()
        if self._feed.done and time.monotonic() >= self._nudged + _NUDGE_S:
            self._feed.add_last_words()
            self._nudged = time.monotonic()

    def _standing(self) -> str:
        for member in self._working():
            member.signal(signal.SIGUSR1)  # each thread's stack, into the log
        time.sleep(_AGAIN_S)
        ends = [f"slot {m.slot}: {m.code}" for m in self._crew.members.values()]
        said = "\n".join(f"{m.log.name}: {m.said()[-600:]}" for m in self._crew.members.values())
        committed = sum(self._installation.committed().values())
        group = self._installation.membership()
        return f"{committed} of {len(self._feed.rows)} committed; {group}; exit codes {', '.join(ends)}\n{said}"

    def _all_committed(self) -> bool:
        return self._feed.done and not self._installation.behind()

    def _working(self) -> list[Member]:
        return [member for member in self._crew.members.values() if member.code is None]

    def _all_work(self) -> bool:
        return len(self._installation.owners()) == len(self._scene.wanted)

    def _whole(self) -> bool:
        views = self._installation.views()
        return not any(fault for number, view in views.items() for fault in view_faults(number, view))

    def _nothing_due(self) -> bool:
        """By Redis' own index of timers."""
        now = time.time_ns() // 1_000_000
        timers = (self._installation.keys(number)[1] for number in range(PARTITIONS))
        return not any(self._scene.rig.redis.zcount(key, 0, now - OVERDUE_MS // 10) for key in timers)
