"""Classical: a Gaussian copula. Right marginal distributions and pairwise rank correlations.

In each of 8 bins of incident energy the log voxels become normal scores, whose correlation matrix
is all that is learned beside the marginals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.showers import Conditions
from physbench.models import Model
from physbench.models.showers import _normal_scores as normal_scores
from physbench.models.showers._normal_scores import NormalScores


@dataclass(frozen=True, eq=False)
class Fitted:
    """Marginals, and a root of the correlation matrix of each bin, (bins, voxels, voxels)."""

    scores: NormalScores
    roots: NDArray[np.float64]
    seed: int


def fit(train: Split, validation: Split, *, seed: int) -> Fitted:
    """Correlation of the normal scores in each bin of energy."""
    generator = np.random.default_rng([seed, 0])
    scores, values = normal_scores.fitted(train.targets, generator, sums=False)
    place = scores.place(train.inputs)
    roots = [root(np.corrcoef(values[place == k].T)) for k in range(len(scores.quantiles))]
    return Fitted(scores, np.stack(roots), seed)


def root(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """A matrix whose product with its transpose is the correlation; negative values are cut."""
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def predict(fitted: Fitted, inputs: Conditions) -> NDArray[np.float32]:
    """Correlated normal scores, back through the marginals."""
    generator = np.random.default_rng([fitted.seed, 1])
    noise = generator.standard_normal((len(inputs), inputs.grid.voxels))
    place = fitted.scores.place(inputs)
    scores = np.empty_like(noise)
    for number, matrix in enumerate(fitted.roots):
        scores[place == number] = noise[place == number] @ matrix.T
    return fitted.scores.inverse(scores, inputs)


MODEL = Model(
    tasks=("calo_showers",),
    reference="""@book{Nelsen:2006,
  author = {Nelsen, Roger B.},
  title = {An Introduction to Copulas},
  edition = {2},
  publisher = {Springer},
  year = {2006},
  doi = {10.1007/0-387-28678-0}
}""",
    role="classical",
    fit=fit,
    predict=predict,
)
