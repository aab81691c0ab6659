"""Isolation forest on energy flow polynomials of all prime graphs with up to four edges."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model
from physbench.models.jets._energy_flow import polynomials


@dataclass(frozen=True)
class Fitted:
    """A forest and the polynomials it reads."""

    forest: Any
    degree: int
    beta: float


@functools.lru_cache(maxsize=6)  # the seeds of a run share the jets
def features(jets: Jets, degree: int, beta: float) -> NDArray[np.float64]:
    """Logarithms of the polynomials, (n, graphs); a floor keeps single constituents finite."""
    return np.asarray(np.log(polynomials(jets, degree, beta) + 1e-10))


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    degree: int = 4,
    beta: float = 1.0,
    trees: int = 300,
    samples: int = 1024,
) -> Fitted:
    """Grow the forest on QCD jets.

    Parameters
    ----------
    degree, beta:
        Largest number of edges, and the exponent of the angle.
    samples:
        Jets drawn for each tree.
    """
    table = features(train.inputs, degree, beta)
    forest = IsolationForest(
        n_estimators=trees, max_samples=min(samples, len(table)), random_state=seed
    )
    return Fitted(forest.fit(table), degree, beta)


def predict(fitted: Fitted, inputs: Jets) -> NDArray[np.float64]:
    """Isolation: short paths score high."""
    return np.asarray(-fitted.forest.score_samples(features(inputs, fitted.degree, fitted.beta)))


MODEL = Model(
    tasks=("dark_jets",),
    role="classical",
    reference="""@article{Komiske:2017aww,
  author = {Komiske, Patrick T. and Metodiev, Eric M. and Thaler, Jesse},
  title = {Energy flow polynomials: a complete linear basis for jet substructure},
  journal = {JHEP},
  volume = {04},
  pages = {013},
  year = {2018},
  eprint = {1712.07124},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={"dark_showers": {"degree": 3}},
    quick={"trees": 20, "degree": 2},
)
