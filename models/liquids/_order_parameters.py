"""Local order parameters, averaged over the neighbourhood with weights exp(-r/L)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration
from physbench.models.liquids._neighbours import pairs
from physbench.models.liquids._structure import averaging

CUTOFF = 4.5  # within which averages are taken, or half the box


@dataclass(frozen=True)
class OrderParameter:
    """Positions to read, length of the average, and how many target times to fill."""

    positions: str
    length: float
    times: int


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    positions: str = "inherent",
    length: float = 1.0,
) -> OrderParameter:
    """Nothing is learned.

    Parameters
    ----------
    positions:
        `thermal`, `inherent` or `cage`.
    length:
        L of the weights exp(-r/L) of the average; 0 is the particle alone.
    """
    return OrderParameter(positions, length, len(train.targets[0].times) if len(train) else 1)


def coarse_grained(
    configuration: Configuration, values: NDArray[np.float64], how: OrderParameter
) -> NDArray[np.float64]:
    """(n, times): sum_j x_j exp(-r_ij/L) / sum_j exp(-r_ij/L) over j including i, repeated."""
    if how.length > 0:
        reach = min(CUTOFF, float(configuration.box.min()) / 2)
        near = pairs(configuration, how.positions, reach)
        values = np.asarray(averaging(near, len(configuration), how.length) @ values)
    return np.repeat(values[:, None], how.times, axis=1)


def density(configuration: Configuration, how: OrderParameter) -> NDArray[np.float64]:
    """(n,): sum_j exp(-r_ij/L) over the neighbours within the cutoff, L = 1 where it is 0."""
    reach = min(CUTOFF, float(configuration.box.min()) / 2)
    near = pairs(configuration, how.positions, reach)
    weights = np.exp(-near.distance / (how.length or 1.0))
    return np.asarray(np.bincount(near.centre, weights, minlength=len(configuration)), np.float64)
