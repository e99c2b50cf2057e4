"""Intervals of a rate: scipy's values, to ten digits, without scipy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.insights.beta import below, quantile, rate

# scipy 1.16: betaincinv(a, b, 0.025), betaincinv(a, b, 0.975), betainc(a, b, 0.3)
SCIPY = [
    (4, 6, 0.1369956622651665, 0.7007049437914596, 0.27034090199999994),
    (16, 34, 0.19948533804610197, 0.4541524365052458, 0.3941175053559344),
    (0.5, 0.5, 0.001541333133436012, 0.9984586668665639, 0.36901011956554536),
    (1004, 9006, 0.09449134527308241, 0.10625932815899133, 1.0),
    (1.2, 3000, 1.7099652019801737e-05, 0.0013648116850169582, 1.0),
    (200000.0, 300000.0, 0.39864247794924534, 0.4013582797731777, 0.0),
]


@pytest.mark.parametrize(("a", "b", "low", "high", "below_03"), SCIPY)
def test_quantiles_and_distribution_are_those_of_scipy(a: float, b: float, low: float, high: float, below_03: float):
    assert quantile(0.025, a, b) == pytest.approx(low, rel=1e-9)
    assert quantile(0.975, a, b) == pytest.approx(high, rel=1e-9)
    assert below(0.3, a, b) == pytest.approx(below_03, abs=1e-11)


@given(st.integers(0, 3_000), st.integers(0, 3_000))
def test_interval_holds_the_mean_and_half_of_it_shrinks_with_more_cases(hits: int, misses: int):
    found = rate(hits, hits + misses, 4.0, 6.0)
    assert 0 < found.low < found.mean < found.high < 1
    more = rate(10 * hits, 10 * (hits + misses), 0.5, 0.5)
    fewer = rate(hits, hits + misses, 0.5, 0.5)
    if hits + misses:
        assert more.high - more.low < fewer.high - fewer.low


def test_few_cases_do_not_shout():
    assert rate(1, 1, 4.0, 6.0).mean == pytest.approx(5 / 11)
    assert rate(0, 0, 4.0, 6.0).mean == 0.4
    assert rate(900, 1_000, 4.0, 6.0).mean == pytest.approx(904 / 1_010)
