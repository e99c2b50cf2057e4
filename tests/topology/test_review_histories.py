"""Any history of appeals keeps every promise of the domain, whatever happens to the engine meanwhile.

The real engine runs on its in-memory twin; a checker that reads nothing but the topics judges what came out
(`review_checker`). `HISTORIES=5000 make histories` runs as many more as one likes.
"""

from tests.topology.histories import run
from tests.topology.review_tally import Tally

_HISTORIES = 300
_CHUNK = 100
_FURTHER = 12
"""So many chunks more, while something is not reached: what hypothesis draws depends on which modules are loaded."""


def test_random_histories_keep_every_promise_and_go_everywhere():
    tally = Tally()

    run(_HISTORIES, tally, derandomize=True)
    for start in range(_FURTHER):
        if tally.unreached():
            run(_CHUNK, tally, start=start)

    assert tally.unreached() == []
