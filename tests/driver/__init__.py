"""The world of the engine in memory: broker, store, clock and the one driver above them.

The engine itself is the real one. What the twins promise is told by the contract suites in `store_contract` and
`broker_contract`, which run on them and on a real Kafka and Redis alike. Left out: network, replication, disk,
quotas, log retention by time.
"""

import pytest

pytest.register_assert_rewrite("tests.driver.broker_contract", "tests.driver.store_contract", "tests.driver.checks")

from tests.driver.clock import START_MS, ManualClock  # noqa: E402 - the modules below are rewritten first
from tests.driver.driver import Crash, Driver, Stuck  # noqa: E402
from tests.driver.log import Record  # noqa: E402

__all__ = ["START_MS", "Crash", "Driver", "ManualClock", "Record", "Stuck"]
