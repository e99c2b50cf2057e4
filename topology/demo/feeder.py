"""Plays the timeline to the broker in real time."""

from __future__ import annotations

import threading
import time

from topology.demo.odds import BROKEN
from topology.demo.outbox import Outbox
from topology.demo.traffic import Plan, traffic

_TICK_S = 0.01
"""Records of one tick go out together: a sleep for each would cost more than the record."""


class Feeder(threading.Thread):
    """Sends each record when its moment has come; a late one at once."""

    def __init__(self, plan: Plan, outbox: Outbox) -> None:
        super().__init__(name="demo-feeder", daemon=True)
        self._plan = plan
        self._outbox = outbox
        self._stop_asked = threading.Event()
        self.failure: Exception | None = None

    def stop(self) -> None:
        """Send no more."""
        self._stop_asked.set()

    def run(self) -> None:
        """Until the timeline is over or `stop` is called."""
        began = time.monotonic()
        try:
            for sending in traffic(self._plan):
                wait_s = began + sending.at_s - time.monotonic()
                if wait_s > _TICK_S and self._stop_asked.wait(wait_s):
                    return
                if self._stop_asked.is_set():
                    return
                self._outbox.send(sending.topic, sending.key, sending.record, broken=sending.kind in BROKEN)
            self._stop_asked.wait(began + self._plan.seconds - time.monotonic())
        except Exception as exc:  # noqa: BLE001 - told by the main thread
            self.failure = exc
