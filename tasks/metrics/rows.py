"""What each row of a network's layer stands for: what a look at neurons asks of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Table = dict[str, Array]


@dataclass(frozen=True)
class Rows:
    """Physics of the rows of a layer.

    `known` are quantities that neurons may know, `arguments` those that formulas are written in;
    each has one value a row. `planes` are pairs of names that maps are drawn over. `real` (rows,)
    is False for padding. `apart` are numbers of rows that are statistically independent: one of
    each track or particle.
    """

    known: Table
    arguments: Table
    planes: tuple[tuple[str, str], ...]
    real: NDArray[np.bool_]
    apart: NDArray[np.int64]

    @property
    def columns(self) -> Table:
        """Everything that a map can be drawn over."""
        return {**self.known, **self.arguments}


PLANES = (("z", "r"), ("x", "y"), ("r", "phi"), ("eta", "z"))


def of_hits(x: Array, y: Array, z: Array) -> Table:
    """Coordinates of hits in mm and rad, as in the talk: rho = |(r, z)|, theta = atan2(r, z)."""
    r = np.hypot(x, y)
    theta = np.arctan2(r, z)
    with np.errstate(divide="ignore"):
        eta = -np.log(np.tan(theta / 2))
    return {
        "x": x,
        "y": y,
        "r": r,
        "phi": np.arctan2(y, x),
        "z": z,
        "theta": theta,
        "eta": np.clip(np.nan_to_num(eta), -10, 10),
        "rho": np.hypot(r, z),
    }


def one_of_each(owner: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """A random row of each owner, sorted; rows with owner -1 are left out.

    Hits of one particle are not independent, and an estimate that counts them all as if they were
    is too sure.
    """
    order = np.random.default_rng(seed).permutation(len(owner))
    order = order[owner[order] >= 0]
    _, first = np.unique(owner[order], return_index=True)
    return np.sort(order[first])


def with_random(known: Mapping[str, Array]) -> Table:
    """The quantities and three random ones, which no neuron can know: the floor of information."""
    n = len(next(iter(known.values())))
    generator = np.random.default_rng(0)
    return {
        **known,
        "random uniform": generator.uniform(size=n),
        "random normal": generator.normal(size=n),
        "random Poisson": generator.poisson(3.0, n).astype(np.float64),
    }
