"""The three special functions that intervals need, so that no board waits for SciPy's import.

SciPy's `special` takes as long to import as four hundred records to read. The tests compare with
it.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

NORMAL = 1.959963984540054  # normal quantile at 97.5 %
# Student's 97.5 % quantile as a Chebyshev series in 2/freedom - 1, interpolated at its own nodes;
# right to 2e-14 from one degree of freedom to infinity.
STUDENT = (
    5.766225730132761,
    5.046713677349998,
    1.5144033349810395,
    0.31932614054099295,
    0.05163649746004014,
    0.007001089779692824,
    0.000812422573719914,
    7.880270329116883e-05,
    6.311440769078769e-06,
    6.827695791215069e-07,
    5.775799380586165e-08,
    -1.6418325839675655e-08,
    6.080397091863593e-09,
    -1.0362334909424589e-09,
    -6.238178123015044e-13,
    1.0124707355021547e-10,
    -6.056895249187183e-11,
    2.5600610548605754e-11,
    -8.360895564306632e-12,
    1.8508006338355286e-12,
    -7.90823154399807e-15,
    -2.721855982332125e-13,
    1.8874801745544368e-13,
    -8.98249420246919e-14,
    3.125121506318218e-14,
)
CONVERGED = 1e-15
CLOSE = 1e-7  # the step of Newton after which the next one would be below rounding
# Failures beyond which rates go as one over them, and successes beyond which the first estimate is
# right, both to twelve decimals; the logarithm of gamma loses digits there.
LARGE, MANY = 1e8, 1e4
STEPS = 60  # of Newton; three are usual


def student(freedom: ArrayLike) -> Floats:
    """The 97.5 % quantile of Student's t for one or more degrees of freedom, to 1e-6.

    >>> student(np.array([1.0, 2.0, 7.0, np.inf])).round(4).tolist()
    [12.7062, 4.3027, 2.3646, 1.96]
    """
    places, values = _table()
    return np.interp(1 / np.asarray(freedom, dtype=np.float64), places, values)


@functools.cache
def _table() -> tuple[Floats, Floats]:
    """The quantile over 1/freedom: interpolating in it takes a tenth of the series' time."""
    places = np.sort(np.r_[np.linspace(0, 1, 4001), 1 / np.arange(1, 2001)])
    places = places[np.r_[True, np.diff(places) > 0]]
    # Clenshaw's recurrence; NumPy's would first import six families of polynomials.
    u = 2 * places - 1
    later = values = np.zeros(len(u))
    for coefficient in STUDENT[:0:-1]:
        values, later = coefficient + 2 * u * values - later, values
    return places, STUDENT[0] + u * values - later


def tails(distance: ArrayLike) -> Floats:
    """Two-sided tail probability of a normal deviate.

    >>> float(tails(-1.959963984540054).round(12))
    0.05
    """
    found = _erfc(np.abs(distance) * math.sqrt(0.5))
    return np.asarray(found, dtype=np.float64)


_erfc = np.frompyfunc(math.erfc, 1, 1)


def beta(probability: float, a: float, b: float) -> float:
    """The quantile of a beta distribution: Newton's method on the distribution function.

    NaN where there is no such distribution.

    >>> round(beta(0.025, 8.5, 2.5), 12)
    0.49722550356
    """
    if not min(a, b) > 0 or not math.isfinite(a + b):
        return math.nan
    # Where the mean is above one half the other tail is nearer, and keeps its digits.
    if a > b:
        return 1 - _beta(1 - probability, b, a)
    return _beta(probability, a, b)


def _beta(probability: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    x = _first(probability, a, b)
    if b > LARGE:
        return x if a > MANY else _beta(probability, a, LARGE) * LARGE / b
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    for _ in range(STEPS):
        log_density = scale + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x)
        excess = _distribution(x, a, b, log_density) - probability
        low, high = (low, x) if excess > 0 else (x, high)
        # Newton in log(x), where small quantiles are far apart; halved where it leaves the bounds.
        step = excess / max(math.exp(log_density) * x, 1e-300)
        new = x * math.exp(-step) if abs(step) < 1 else 0.0
        x = new if low < new < high else (low + high) / 2
        if abs(step) < CLOSE:
            break
    return x


def _first(probability: float, a: float, b: float) -> float:
    """Near the quantile (Abramowitz and Stegun 26.5.22), or the mean for less than one success."""
    if a <= 1:
        return a / (a + b)
    y = -math.copysign(NORMAL, probability - 0.5)
    inner = (y * y - 3) / 6
    h = 2 / (1 / (2 * a - 1) + 1 / (2 * b - 1))
    skew = (1 / (2 * b - 1) - 1 / (2 * a - 1)) * (inner + 5 / 6 - 2 / (3 * h))
    w = y * math.sqrt(h + inner) / h - skew
    return a / (a + b * math.exp(2 * w))


def _distribution(x: float, a: float, b: float, log_density: float) -> float:
    """The regularised incomplete beta function by its continued fraction (DLMF 8.17.22).

    Evaluated by Lentz's method, at 1 - x where that converges faster.
    """
    if x > (a + 1) / (a + b + 2):
        return 1 - _distribution(1 - x, b, a, log_density)
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    found = d
    m = 0
    while True:
        m += 1
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + factor * d)
            c = 1 + factor / c
            found *= c * d
        if abs(c * d - 1) < CONVERGED:
            return math.exp(log_density) * x * (1 - x) / a * found
