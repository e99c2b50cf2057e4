"""Runs random histories of reviews and says what they reached: `HISTORIES=5000 python -m tests.topology.histories`."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.topology.review_machine import Histories
from tests.topology.review_tally import Tally

STEPS = 40
"""Of one history; each can be several events."""
CHUNK = 250
"""Histories under one seed: hypothesis remembers all that it has drawn, and that grows."""


def run(histories: int, tally: Tally, *, derandomize: bool = False, start: int | None = None) -> None:
    """Run so many histories and add up what they reached. With `start`, a seed, they are drawn from there.

    Raises:
        Broken: a promise was not kept; hypothesis has cut the history down and tells how to run it again.
    """
    machine = type("Histories", (Histories,), {"tally": tally})
    if start is not None:
        machine = seed(start)(machine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=STEPS,
            derandomize=derandomize,
            database=None,
            deadline=None,
            print_blob=True,
            # No phase that aims at a target: tried, it goes round and round the longest history that it has found.
            phases=[Phase.generate, Phase.shrink],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def _chunk(histories: int, start: int) -> Tally:
    tally = Tally()
    run(histories, tally, start=start)
    return tally


def main() -> None:
    """As many as `HISTORIES` says, in `JOBS` processes, from the seed `SEED`, else from the clock."""
    histories = int(os.environ.get("HISTORIES", "500"))
    jobs = int(os.environ.get("JOBS", str(os.cpu_count() or 1)))
    first = int(os.environ.get("SEED", str(time.time_ns() // 1_000_000)))
    began = time.monotonic()
    whole = Tally()
    chunks = [min(CHUNK, histories - done) for done in range(0, histories, CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:
        for tally in pool.map(_chunk, chunks, range(first, first + len(chunks))):
            whole.histories += tally.histories
            whole.counts += tally.counts
            print(f"{whole.histories:,} histories, {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(whole.told())
    print(f"not reached: {', '.join(whole.unreached()) or 'nothing'}")
    print(f"all promises held; seed {first}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
