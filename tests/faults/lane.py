"""A broker, a Redis and worker slots of its own, which play one run after the other: a process of a campaign.

`python -m tests.faults.lane FOLDER`, started by `campaign`: seeds come in on stdin, a line each; what each run showed
goes out on stdout as a line of the record. The lane ends when its stdin does.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from pathlib import Path

import msgspec

from tests.faults.crew import Nursery
from tests.faults.plan import Plan, plan_of
from tests.faults.record import Run, Struck, Wrong, now
from tests.faults.rig import Rig
from tests.faults.run import Hit, Outcome, play
from tests.faults.verdict import is_double, is_loss
from tests.integration.reversal_checker import Fault
from topology.embedded import EmbeddedError

_TRIES = 3


def main(folder: Path) -> None:
    """Until stdin ends."""
    # The engine that tells what a calm world is like runs in here too, and may log: stdout is for answers alone.
    answers, sys.stdout = sys.stdout, sys.stderr
    lane = _Lane(folder)
    with contextlib.closing(lane), Nursery() as nursery:
        for line in sys.stdin:
            run = lane.play(nursery, plan_of(int(line)))
            answers.buffer.write(msgspec.json.encode(run) + b"\n")
            answers.buffer.flush()


class _Lane:
    """The servers, and others in their place when one cannot start: it finds its port taken by somebody else's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = contextlib.ExitStack()
        self._rig: Rig | None = None
        self._rigs = 0

    def close(self) -> None:
        """End the servers."""
        self._rig = None
        self._running.close()

    def play(self, nursery: Nursery, plan: Plan) -> Run:
        """One run, as the record's line."""
        with contextlib.suppress(EmbeddedError):
            self._servers()  # what they cost to start is nobody's
        before = self._cpu(nursery)
        outcome = self._play(nursery, plan)
        # A broker that was killed and started again has used what it used since then, at least.
        used = {who: s if s < before.get(who, 0) else s - before.get(who, 0) for who, s in self._cpu(nursery).items()}
        return told(outcome, used)

    def _cpu(self, nursery: Nursery) -> dict[str, float]:
        used = {"campaign": time.process_time(), "workers": nursery.cpu_s()}
        if self._rig is not None:
            used["broker"] = self._rig.broker_cpu_s()
        return used

    def _play(self, nursery: Nursery, plan: Plan) -> Outcome:
        """Whatever breaks it is told like any other fault, and the next one is played."""
        for _ in range(_TRIES):
            try:
                return play(self._servers(), nursery, plan, self._folder / f"seed-{plan.seed}")
            except Exception:  # noqa: BLE001 - see above
                broke = traceback.format_exc()
            if self._stand():
                break
            sys.stderr.write(f"seed {plan.seed} begins again on other servers, as these do not start:\n{broke}")
        hits = [Hit(happened=False, text="the run broke") for _ in plan.strikes]
        return Outcome(plan, hits, [Fault("run_broke", broke)])

    def _stand(self) -> bool:
        """Whether the servers run, or can be started again; else they are given up."""
        if self._rig is not None:
            with contextlib.suppress(EmbeddedError):
                self._rig.calm()
                return True
        self.close()
        return False

    def _servers(self) -> Rig:
        if self._rig is None:
            self._rigs += 1
            self._rig = self._running.enter_context(Rig(self._folder / f"servers-{self._rigs}"))
        return self._rig


def told(outcome: Outcome, cpu: dict[str, float]) -> Run:
    """The line of the record; `cpu` is what it cost, in seconds."""
    return Run(
        seed=outcome.plan.seed,
        plan=str(outcome.plan),
        at=now(),
        seconds=round(outcome.seconds, 2),
        parts={name: round(seconds, 2) for name, seconds in outcome.parts.items()},
        struck=[
            Struck(str(what), what.fault.name, what.step.name, hit.happened, hit.text)
            for what, hit in zip(outcome.plan.strikes, outcome.hits, strict=True)
        ],
        wrong=[Wrong(one.kind, one.what, is_loss(one), is_double(one)) for one in outcome.wrong],
        restarts=dict(outcome.restarts),
        hung=outcome.hung,
        sent_twice=outcome.sent_twice,
        skipped=outcome.skipped,
        cpu={who: round(seconds, 2) for who, seconds in cpu.items()},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
