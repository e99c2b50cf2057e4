"""A short campaign with fixed seeds: each kind of fault, and a fault before each step, and everything converges.

The long one is `make faults RUNS=1000`; docs/faults.md has its record.
"""

import pytest

from tests.faults.campaign import campaign
from tests.faults.kinds import CELLS, Fault
from tests.faults.plan import plan_of
from topology.engine.transaction import Step

SEEDS = (883, 2183, 1522, 1827, 1189, 1449, 457, 2938, 1476, 2913, 328)
"""Drawn so that two strikes a run reach every fault and every step; `test_seeds_reach…` says so if a plan changes."""


def test_seeds_reach_every_fault_and_every_step():
    struck = [what for seed in SEEDS for what in plan_of(seed).strikes]
    assert {what.fault for what in struck} == set(Fault)
    assert {what.step for what in struck} == set(Step)


def test_as_many_seeds_in_a_row_as_there_are_cells_reach_each_cell():
    first = [plan_of(seed).strikes[0] for seed in range(1_000, 1_000 + len(CELLS))]
    assert {(what.fault, what.step) for what in first} == set(CELLS)


def test_a_seed_always_means_the_same():
    assert plan_of(7) == plan_of(7)
    assert plan_of(7) != plan_of(8)


@pytest.mark.timeout(400)
def test_nothing_is_lost_doubled_or_stuck_whatever_is_struck_before_whichever_step():
    said: list[str] = []
    runs = campaign(SEEDS, said.append, lanes=2)
    assert {run.seed for run in runs if run.passed} == set(SEEDS), "\n".join(said)
