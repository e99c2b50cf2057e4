"""The engine with systems that have their own idea of what is right: in the end, both agree on every user.

Each world is drawn from its seed: overlapping enforcements, appeals, decisions of all kinds, lifts and new versions
while reversals run, systems with bad manners, crashes. More of them: `make reference SEEDS=2000`.
"""

from collections import Counter

import pytest

from schemas.vocabulary import AckStatus
from tests.topology.reference_runs import Wrong, run
from topology.demo.systems import Answer, SystemsState

SEEDS = range(1, 26)


def test_every_user_ends_as_if_what_was_overturned_had_never_been():
    reached: Counter[str] = Counter()
    for seed in SEEDS:
        reached += run(seed).reached
    rare = {"superseded", "cascade overturned", "decision modified", "remanded", "resolved", "crash", "undone again"}
    rare |= {"lifted while it runs", "amended while it runs", "LOSE_ANSWER", "SAY_NOTHING", "stalled: failed_permanent"}
    rare |= {"remedy overturned"}
    assert not rare - reached.keys()


def test_world_repeats_from_its_seed():
    first, second = run(3), run(3)
    assert first.lines == second.lines
    assert first.reached == second.reached


def test_system_that_does_not_do_what_it_says_is_found_with_its_seed(monkeypatch):
    def lie(self, directive, order, at):
        return obey(self, directive, order, at) if directive.operation == "expunge" else answer

    obey = SystemsState.obey
    answer = Answer(AckStatus.APPLIED)
    monkeypatch.setattr(SystemsState, "obey", lie)
    with pytest.raises(Wrong, match=r"seed \d+: u-.*restricts"):
        list(map(run, SEEDS))
