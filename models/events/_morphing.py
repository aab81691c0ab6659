"""Ratios from estimated morphing coefficients: binned, or predicted for each event.

For events drawn at the reference, E[r(z|theta) | x] = r(x|theta), and r(z|theta) is linear in the
morphing coefficients: their mean in a bin, or a regression on x, gives the ratio at every theta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.events import GRID, Array, Norms, log_ratio

FEWEST = 5  # events below which a bin takes the mean of all
FLOOR = 0.01  # of 1 + theta c1 + theta^2 c2, which an estimate may make negative


def reference_events(split: Split) -> tuple[Array, Array]:
    """Observables and morphing coefficients of the events drawn at the reference.

    Raises ValueError when the coefficients are withheld (protocol gold=False).
    """
    gold = split.targets
    kept = gold.label == 1
    coefficients = gold.coefficients[kept].astype(np.float64)
    if not np.isfinite(coefficients).all():
        raise ValueError(
            "coefficients are NaN: this model learns from the simulator's morphing coefficients; "
            "use the protocol gold=True, or a model that needs labels alone (carl)"
        )
    return split.inputs.x[kept].astype(np.float64), coefficients


def on_grid(coefficients: Array, norms: Norms) -> Array:
    """ln r-hat (n, 21) of estimated coefficients (n, 2)."""
    return log_ratio(coefficients[:, None], GRID, norms, floor=FLOOR)


@dataclass(frozen=True)
class Binned:
    """Mean morphing coefficients in bins of the values (n, d) of some variables.

    `edges` are the inner edges of each variable, `coefficients` (bins, 2) in C order.
    """

    edges: tuple[Array, ...]
    coefficients: Array
    norms: Norms

    def log_ratio(self, values: Array) -> Array:
        """(n, 21) of values (n, d)."""
        return on_grid(self.coefficients[_bins(self.edges, values)], self.norms)


def binned(values: Array, coefficients: Array, bins: int, norms: Norms) -> Binned:
    """Average coefficients (n, 2) of reference events in `bins` quantile bins of each variable.

    `values` is (n, d). Raises ValueError for fewer than one bin.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1; got {bins}")
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    edges = tuple(np.quantile(column, inner) for column in values.T)
    place, size = _bins(edges, values), bins ** values.shape[1]
    count = np.bincount(place, minlength=size)
    sums = [np.bincount(place, column, minlength=size) for column in coefficients.T]
    means = np.stack(sums, 1) / np.maximum(count, 1)[:, None]
    sparse = (count < FEWEST)[:, None]
    return Binned(edges, np.where(sparse, coefficients.mean(0), means), norms)


def _bins(edges: tuple[Array, ...], values: NDArray[Any]) -> NDArray[np.int64]:
    """Number of the bin of each row of values (n, d), in C order."""
    place = np.zeros(len(values), dtype=np.int64)
    for inner, column in zip(edges, values.T, strict=True):
        place = place * (len(inner) + 1) + np.digitize(column, inner)
    return place


@dataclass(frozen=True)
class Histogram:
    """`Binned` in the observables `columns`."""

    columns: tuple[int, ...]
    binned: Binned


def fit_histogram(train: Split, columns: tuple[int, ...], bins: int) -> Histogram:
    """A histogram of observables in `bins` quantile bins each; raises ValueError for others."""
    x, coefficients = reference_events(train)
    wrong = [k for k in columns if not 0 <= k < x.shape[1]]
    if wrong or not columns:
        raise ValueError(
            f"columns must name some of the {x.shape[1]} observables, 0 to {x.shape[1] - 1}; got "
            f"{list(columns)}"
        )
    chosen = binned(x[:, list(columns)], coefficients, bins, train.targets.norms)
    return Histogram(tuple(columns), chosen)


def predict_histogram(fitted: Histogram, inputs: Any) -> Array:
    """ln r-hat (n, 21)."""
    return fitted.binned.log_ratio(inputs.x[:, list(fitted.columns)].astype(np.float64))
