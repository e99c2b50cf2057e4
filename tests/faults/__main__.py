"""`python -m tests.faults --seed 1 --runs 1000 --lanes 2`, which `make faults` calls.

With `--record` each run is added to a file when it is over, and seeds that are there already are not run again: a long
campaign can be done in pieces. `--report` makes the page of all that the record holds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.campaign import campaign
from tests.faults.record import Record
from tests.faults.report import report


def main() -> int:
    """1 if something was wrong in a run, 3 if a fault did not happen, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others follow")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--lanes", type=int, default=2, help="runs beside each other, each on servers of its own")
    parser.add_argument("--minutes", type=float, help="begin no run after so many")
    parser.add_argument("--record", type=Path, help="add each run to this file, and do none again that is in it")
    parser.add_argument("--again", action="store_true", help="do those again that are in the record")
    parser.add_argument("--report", type=Path, help="write the page here")
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes if asked.minutes else float("inf")

    def say(text: str) -> None:
        print(text, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        record = Record(asked.record or Path(folder, "record"))
        done = set() if asked.again else record.seeds()
        seeds = [seed for seed in range(asked.seed, asked.seed + asked.runs) if seed not in done]
        lanes = min(asked.lanes, len(seeds))
        runs = campaign(seeds, say, lanes=lanes, record=record, until=lambda: time.monotonic() > end) if seeds else []
        failed, not_hit = [run for run in runs if run.wrong], [run for run in runs if not run.passed and not run.wrong]
        say(f"{len(runs)} runs: {len(runs) - len(failed) - len(not_hit)} passed, {len(failed)} failed,")
        say(f"{len(not_hit)} with a fault that did not happen")
        if asked.report is not None:
            before = asked.report.read_text() if asked.report.exists() else ""
            asked.report.write_text(report(record.read(), before))
    return 1 if failed else 3 if not_hit else 0


if __name__ == "__main__":
    sys.exit(main())
