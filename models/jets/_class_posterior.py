"""The posterior of the class in bins of one number: what a trivial tagger knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Edges (bins - 1,) of the bins and ln p of every class in each bin (bins, classes)."""

    edges: Array
    table: Array

    def __call__(self, values: NDArray[Any]) -> Array:
        """ln p (n, classes) of the bins that values (n,) fall into."""
        found: Array = self.table[np.digitize(values, self.edges)]
        return found


def posterior(
    values: NDArray[Any], label: NDArray[Any], classes: int, bins: int = 40
) -> Posterior:
    """Learnt from values (n,) in quantile bins, equal prior of the classes, one count added.

    >>> learnt = posterior(np.arange(8), np.array([0] * 4 + [1] * 4), 2, bins=2)
    >>> np.exp(learnt(np.array([0, 7]))).round(3).tolist()
    [[0.833, 0.167], [0.167, 0.833]]
    """
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.digitize(values, edges)
    size = len(edges) + 1
    counts = [np.bincount(place[label == k], minlength=size) + 1.0 for k in range(classes)]
    likelihood = np.stack([count / count.sum() for count in counts], axis=1)
    return Posterior(edges, np.log(likelihood / likelihood.sum(axis=1, keepdims=True)))
