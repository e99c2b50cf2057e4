"""Keeps the view of the users' keys at the end of the topic, so that a key that was shredded is soon gone from Redis.

Each worker has one, in a thread of its own: all of them do the same, and Redis takes each step once. A worker that
cannot do it says so and tries again; nothing waits for it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from topology import logs
from topology.engine.errors import EngineError
from topology.privacy import letters
from topology.privacy.subject_keys import SubjectKeys

EVERY_S = 2.0
"""Between two looks; a shredded key is in Redis as much longer."""
_MONTHS_EVERY_S = 3_600.0


class Follower:
    """Brings the view up again and again, until it is stopped."""

    def __init__(self, keys: SubjectKeys, close: Callable[[], None]) -> None:
        """`keys` are this thread's own; `close` lets go of their connections."""
        self._keys = keys
        self._close = close
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="subject-keys", daemon=True)
        self._log = logs.logger()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it a little."""
        self._stop.set()
        self._thread.join(timeout=EVERY_S)

    def _run(self) -> None:
        looked_at_months = float("-inf")
        told = ""
        # Workers that were started together need not look at the same moments.
        wait_s = random.uniform(0, EVERY_S)
        while not self._stop.wait(wait_s):
            wait_s = EVERY_S
            try:
                self._keys.catch_up()
                if time.monotonic() - looked_at_months > _MONTHS_EVERY_S:
                    looked_at_months = time.monotonic()
                    self._shred_months()
                told = ""
            except EngineError as exc:
                if str(exc) != told:
                    told = str(exc)
                    self._log.warning("subject_keys_behind", why=told)
            except Exception:  # noqa: BLE001 - a thread that ended would leave shredded keys in Redis
                self._log.exception("subject_keys_behind")
        self._close()

    def _shred_months(self) -> None:
        for month in letters.months_gone(time.time_ns() // 1_000_000):
            if self._keys.shred(letters.NOBODY + month):
                self._log.info("unkeyed_letters_expired", month=month)
