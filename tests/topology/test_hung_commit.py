"""A call that outlives every time-out ends the worker loudly; it must not stop polling in silence for ever."""

import threading

import pytest

from tests.driver import Driver
from tests.topology.ledger import add, ledger
from topology.engine.errors import Hung
from topology.engine.transaction import Step


def step_until_it_gives_up(worker):
    for _ in range(10_000):
        worker.step()


def test_a_transaction_that_never_ends_is_told_within_bounds_and_closing_does_not_wait_for_it():
    release = threading.Event()
    driver = Driver(ledger(), pipelined=True, commit_s=0.2, broker_s=0.1, revoke_s=0.1)

    def hang(step):
        if step is Step.OFFSETS:
            release.wait(60)

    worker = driver.workers["0"]
    worker._committer._producer._probe = hang
    driver.send("paid", "user-1", add(1))
    try:
        with pytest.raises(Hung, match="has not ended"):
            step_until_it_gives_up(worker)
        worker.close()  # returns, although the thread is still in its call
        assert worker._committer.hung
    finally:
        release.set()
