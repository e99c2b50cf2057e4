"""Sends a run's rows: some at once, the others bit by bit, and more when there is nothing left to do."""

from __future__ import annotations

import threading
import time

from schemas import records as r
from schemas.codec import Codec
from schemas.vocabulary import SellerTier
from tests.integration.worker_process import Installation
from tests.integration.workload import Row, row_of

_CODEC = Codec()
_FIRST = 0.4
"""Of the rows that flow, so many are there before the others."""
_PIECE_S = 0.05


class Feed:
    """What is sent to the inputs. It can hold the second half back until told to go on."""

    def __init__(self, installation: Installation, rows: list[Row], flow_s: float, *, holds_back: bool) -> None:
        """`flow_s` is over how long they are sent; 0: at once."""
        self._installation = installation
        self._flow_s = flow_s
        self._half = len(rows) // 2 if holds_back else len(rows)
        self._first = int(len(rows) * _FIRST) if flow_s else len(rows)
        self._piece = max(1, int(len(rows) / flow_s * _PIECE_S)) if flow_s else len(rows)
        self._gate = threading.Event()
        self._more = threading.Event()
        self.rows = list(rows)
        """All that is to be sent; it grows."""
        self.holds_back = holds_back
        if not holds_back:
            self._gate.set()
        self.failure: BaseException | None = None
        self.sent = 0
        self._ended = False

    @property
    def done(self) -> bool:
        """Is everything sent, or did it fail?"""
        return self.sent == len(self.rows) or self.failure is not None

    @property
    def stopped(self) -> bool:
        """Is everything sent that is not held back?"""
        return self.done or (self.holds_back and self.sent >= self._half)

    def start(self) -> None:
        """Send the first rows; the others follow by themselves."""
        self._send(self._first)
        threading.Thread(target=self._flow, daemon=True).start()

    def go_on(self) -> None:
        """Hold nothing back any more."""
        self.holds_back = False
        self._gate.set()

    def hurry(self) -> None:
        """Hold nothing back any more, and send it at once."""
        self._piece = len(self.rows)
        self.go_on()

    def end(self) -> None:
        """Send nothing any more."""
        self._ended = True
        self.go_on()
        self._more.set()

    def add_last_words(self) -> None:
        """One more record for somebody in each partition, later than all others: time's order stays."""
        somebody = {d.partition: d.row.key for d in self._installation.delivered if d.row.record is not None}
        at = r.Millis(max(row.at for row in self.rows) + 1)
        about = {"occurred_at": at, "language": "en", "region": "DE", "seller_tier": SellerTier.SELLER}
        self.rows += [
            row_of(
                r.UserProfileUpdated(
                    event_id=f"last-{len(self.rows)}-{number}", user_id=r.UserId((key or b"").decode()), **about
                ),
                at,
                _CODEC,
            )
            for number, key in sorted(somebody.items())
        ]
        self._more.set()

    def _send(self, size: int) -> None:
        some = self.rows[self.sent : self.sent + size]
        self._installation.send(some)
        self.sent += len(some)

    def _flow(self) -> None:
        try:
            while not self._ended:
                self._more.clear()
                while self.sent < len(self.rows) and not self._ended:
                    if self.sent >= self._half:
                        self._gate.wait()
                    self._send(self._piece)
                    time.sleep(_PIECE_S)
                self._more.wait()
        except BaseException as exc:  # noqa: BLE001 - raised by the run's own thread
            self.failure = exc
