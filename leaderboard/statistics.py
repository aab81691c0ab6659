"""Statistics over records: intervals over units and seeds, paired differences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL = 0.95


def crossed(values: Floats, replicates: Floats, *, seed: int = 0) -> Floats:
    """Bootstrap replicates of a row's mean, over units crossed with training seeds.

    Parameters
    ----------
    values:
        Score of each seed, shape (seeds,).
    replicates:
        Score of each seed on each resample of the test units, shape (seeds, resamples).

    Returns
    -------
    Shape (resamples,): replicate b draws seeds with replacement and takes their scores on
    resample b. Drawing n seeds of n shrinks the spread between seeds by sqrt((n - 1) / n), so
    the deviations from the mean are stretched by the inverse (Davison and Hinkley, Bootstrap
    Methods, section 3.2).

    >>> crossed(np.array([0.5]), np.array([[0.4, 0.6]])).tolist()
    [0.4, 0.6]
    """
    n, resamples = replicates.shape
    units: Floats = replicates.mean(axis=0)
    if n == 1:
        return units
    drawn = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    deviation = values - values.mean()
    spread: Floats = deviation[drawn].mean(axis=1) * np.sqrt(n / (n - 1))
    return units + spread


def interval(replicates: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Percentile interval of bootstrap replicates; (nan, nan) without any.

    >>> interval(np.linspace(0.0, 1.0, 1001), 0.9)
    (0.05, 0.95)
    """
    finite = replicates[np.isfinite(replicates)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return round(float(low), 12), round(float(high), 12)
