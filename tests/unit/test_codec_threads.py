"""Threads that share a codec survive meeting a record type together for the first time."""

import subprocess
import sys

import pytest

from schemas import Codec
from schemas.records import Case
from tests.unit.test_demo_screen import some_emissions

RACE = """
import sys, threading
sys.setswitchinterval(1e-6)
from schemas import ALL_RECORDS, Codec
codec, data, allowed = Codec(), bytes.fromhex(sys.argv[1]), frozenset(ALL_RECORDS)
start, decoded = threading.Barrier(4), []
def work():
    start.wait()
    decoded.extend(codec.decode(data, allowed) for _ in range(50))
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit(0 if len(decoded) == 200 else 1)
"""


@pytest.mark.parametrize("attempt", range(4))
def test_threads_that_decode_the_first_record_together_do_not_crash(attempt):
    case = next(record for _, _, record in some_emissions() if isinstance(record, Case))
    done = subprocess.run(
        [sys.executable, "-c", RACE, Codec().encode(case).hex()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
