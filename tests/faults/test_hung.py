"""A worker that ended since a call of the client library hangs is told from one that ended by a defect of ours."""

import faulthandler
import tempfile
import threading
import time
from functools import partial

import pytest

from tests.faults.run import IN_CLIENT
from tests.faults.trace import TracedProducer
from topology.engine.clients import NoMetrics, SystemClock
from topology.engine.definition import EngineConfig
from topology.engine.transaction import Budget, TransactionalProducer, no_probe

_HANGS_S = 0.5


def _unused():
    raise AssertionError


def _stacks_while(call) -> str:
    """All threads' stacks while a thread is in the call, given its time limit, as the committer's is."""
    parts = {"config": EngineConfig(slot="0"), "clock": SystemClock(), "metrics": NoMetrics(), "probe": no_probe}
    producer = TransactionalProducer(_unused, **parts)
    limit = Budget(SystemClock(), _HANGS_S)
    thread = threading.Thread(target=producer._call, args=(call, limit, "commit_transaction"))
    thread.start()
    with tempfile.TemporaryFile("w+") as file:
        time.sleep(_HANGS_S / 2)
        faulthandler.dump_traceback(file, all_threads=True)
        thread.join()
        file.seek(0)
        return file.read()


@pytest.mark.parametrize(
    "call", [time.sleep, partial(TracedProducer._told, "commit", "", time.sleep)], ids=["plain", "traced"]
)
def test_a_thread_in_a_call_of_the_client_is_found_with_and_without_the_trace(call):
    assert IN_CLIENT.search(_stacks_while(call))


def test_a_thread_that_hangs_in_our_own_code_is_no_fault_of_the_client():
    assert not IN_CLIENT.search(_stacks_while(SystemClock().sleep))
