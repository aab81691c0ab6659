"""Energy mover's distance between jets (Komiske, Metodiev, Thaler, arXiv:1902.02346), by POT."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.jets import Jets
from physbench.models.jets._jet_observables import aligned

RADIUS = 0.8


@functools.cache
def _solver() -> Callable[..., Any]:
    """POT's exact solver; compiling some of its files for the first time warns of escapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ot  # codespell:ignore
    solver: Callable[..., Any] = ot.lp.emd2  # codespell:ignore
    return solver


Cloud = tuple[NDArray[np.float64], NDArray[np.float64]]  # weights (m,), angles (m, 2)


def clouds(jets: Jets, hardest: int) -> list[Cloud]:
    """The `hardest` constituents of each aligned jet, with weights that sum to 1."""
    frame = aligned(jets)[:, :hardest].astype(np.float64)
    found = []
    for jet in frame:
        kept = jet[jet[:, 0] > 0]
        found.append((kept[:, 0] / kept[:, 0].sum(), np.ascontiguousarray(kept[:, 1:])))
    return found


def distance(first: Cloud, second: Cloud) -> float:
    """Least sum of moved pT fraction times dR / R; exact, by network simplex."""
    (a, x), (b, y) = first, second
    difference = x[:, None, :] - y[None, :, :]
    cost = np.sqrt((difference**2).sum(axis=-1)) / RADIUS
    return float(_solver()(a, b, cost, check_marginals=False))


def distances(first: list[Cloud], second: list[Cloud]) -> NDArray[np.float64]:
    """All pairs, (len(first), len(second))."""
    return np.array([[distance(a, b) for b in second] for a in first])
