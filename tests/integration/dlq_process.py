"""An order of `recourse dlq` that kills itself: `python -m tests.integration.dlq_process replayed COMMIT 2`.

It settles all that is pending, three letters a transaction, and sends itself a SIGKILL right before the n-th of a
moment. That the transaction is left open is the point: nobody tells the broker.
"""

from __future__ import annotations

import os
import signal
import sys

from rich.console import Console

from schemas.vocabulary import DeadLetterAction
from topology.dlq import settling
from topology.dlq.choosing import Wanted
from topology.dlq.command import Desk
from topology.dlq.settling import Moment
from topology.settings import load_settings

LETTERS = 3
"""A transaction."""


def main(action: str, moment: str, count: str) -> int:
    """Settle until the moment comes."""
    settling.MOST_LETTERS = LETTERS
    left = int(count)

    def probe(reached: Moment) -> None:
        nonlocal left
        left -= reached is Moment[moment]
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return Desk(load_settings(), Console()).settle(
        Wanted(), DeadLetterAction(action), topic=None, actor="ann", reason="killed", dry_run=False, probe=probe
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
