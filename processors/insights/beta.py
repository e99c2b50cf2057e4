"""The Beta distribution: the posterior of a rate, its interval, and nothing else.

After `hits` of `n` with the prior Beta(a, b), the rate is distributed as Beta(a + hits, b + n - hits). The regularised
incomplete beta function is computed by its continued fraction (DLMF 8.17.22, evaluated by Lentz's method), its inverse
by Halley's method within a bracket. Tests compare with scipy's values.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, inf, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95
_TINY = 1e-300
_PRECISE = 1e-13
_MOST_TERMS = 10_000
_MOST_STEPS = 200
_CLOSE = 1e-6
"""A step of Halley's that is shorter than this share of x ends nearer than `_PRECISE`: its error is of third order."""


class Rate(NamedTuple):
    """A posterior: its mean, and the ends of its interval with equal tails."""

    mean: float
    low: float
    high: float


@lru_cache(maxsize=20_000)
def rate(hits: int, n: int, a: float, b: float) -> Rate:
    """The posterior of a rate that was met `hits` times of `n`, with the prior Beta(a, b)."""
    a, b = a + hits, b + n - hits
    tail = (1 - CONFIDENCE) / 2
    return Rate(a / (a + b), quantile(tail, a, b), quantile(1 - tail, a, b))


@lru_cache(maxsize=200_000)
def upper(hits: int, n: int) -> float:
    """The upper end of the interval of the same rate, with the prior Beta(1/2, 1/2)."""
    return quantile((1 + CONFIDENCE) / 2, 0.5 + hits, 0.5 + n - hits)


def quantile(p: float, a: float, b: float) -> float:
    """Where Beta(a, b) has `p` of its weight below: Halley's steps, halving the bracket where one would leave it."""
    low, high, x = 0.0, 1.0, _guess(p, a, b)
    scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    for _ in range(_MOST_STEPS):
        too_much = below(x, a, b) - p
        if too_much < 0:
            low = x
        else:
            high = x
        density = exp(scale + (a - 1) * log(x) + (b - 1) * log1p(-x))
        newton = too_much / density if density > _TINY else inf
        bend = newton * ((a - 1) / x - (b - 1) / (1 - x)) / 2
        nearer = x - newton / (1 - bend) if abs(bend) < 1 / 2 else x - newton
        halved = not low < nearer < high
        if halved:
            nearer = (low + high) / 2
        step = abs(nearer - x)
        if step <= _PRECISE * x or (step <= _CLOSE * x and not halved):
            return nearer
        x = nearer
    return x


def _guess(p: float, a: float, b: float) -> float:
    """The quantile of the normal distribution that the logarithm of the odds nearly has."""
    if min(a, b) < 1:
        return a / (a + b)
    spread = sqrt(1 / (a - 0.5) + 1 / (b - 0.5))
    return 1 / (1 + exp(-log((a - 0.5) / (b - 0.5)) - NormalDist().inv_cdf(p) * spread))


def below(x: float, a: float, b: float) -> float:
    """How much of Beta(a, b) is below `x`: the regularised incomplete beta function I_x(a, b)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):  # where the fraction converges fast
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    # Written out: the test for misfires spends most of its time here. What is divided by is kept away from zero.
    d = 1 - (a + b) * x / (a + 1)
    value = d = 1 / (d if d > _TINY or d < -_TINY else _TINY)
    c = 1.0
    for m in range(1, _MOST_TERMS):
        twice = a + 2 * m
        even = m * (b - m) * x / ((twice - 1) * twice)
        d, c = 1 + even * d, 1 + even / c
        d = 1 / (d if d > _TINY or d < -_TINY else _TINY)
        c = c if c > _TINY or c < -_TINY else _TINY
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / (twice * (twice + 1))
        d, c = 1 + odd * d, 1 + odd / c
        d = 1 / (d if d > _TINY or d < -_TINY else _TINY)
        c = c if c > _TINY or c < -_TINY else _TINY
        by = d * c
        value *= by
        if -_PRECISE < by - 1 < _PRECISE:
            return value
    return value


def log_sum(terms: list[float]) -> float:
    """The logarithm of the sum of what these are the logarithms of."""
    most = max(terms, default=-inf)
    return most if most == -inf else most + log(sum(exp(term - most) for term in terms))
