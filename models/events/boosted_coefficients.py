"""Gradient-boosted trees that regress the two morphing coefficients on the observables.

E[C1 | x] and E[C2 | x] at the reference give the ratio at every theta, the idea of boosted
information trees without their split criterion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from physbench.datasets import Split
from physbench.datasets.events import Array, Norms, Simulated
from physbench.models import Model
from physbench.models.events import _morphing


@dataclass(frozen=True)
class Fitted:
    """One ensemble of trees a coefficient."""

    trees: tuple[Any, ...]
    norms: Norms


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    trees: int = 200,
    learning_rate: float = 0.05,
    leaves: int = 15,
    smallest_leaf: int = 100,
) -> Fitted:
    """Least squares on the reference events.

    The number of trees of the presets has the smallest error of the coefficients on validation.
    """
    x, coefficients = _morphing.reference_events(train)
    fitted = tuple(
        HistGradientBoostingRegressor(
            max_iter=trees,
            learning_rate=learning_rate,
            max_leaf_nodes=leaves,
            min_samples_leaf=smallest_leaf,
            early_stopping=False,
            random_state=seed,
        ).fit(x, column)
        for column in coefficients.T
    )
    return Fitted(fitted, train.targets.norms)


def predict(fitted: Fitted, inputs: Simulated) -> Array:
    """ln r-hat (n, 21)."""
    if not len(inputs):  # scikit-learn refuses tables without rows
        return _morphing.on_grid(np.zeros((0, 2)), fitted.norms)
    x = inputs.x.astype(np.float64)
    coefficients = np.stack([trees.predict(x) for trees in fitted.trees], 1)
    return _morphing.on_grid(coefficients, fitted.norms)


MODEL = Model(
    tasks=("likelihood_ratio",),
    reference="""@article{Chatterjee:2021nms,
  author = {Chatterjee, Suman and Frohner, Nikolaus and Lechner, Lukas and Sch{\\"o}fbeck, Robert
    and Schwarz, Dennis},
  title = {Tree boosting for learning {EFT} parameters},
  journal = {Computer Physics Communications},
  volume = {277},
  pages = {108385},
  year = {2022},
  eprint = {2107.10859},
  archiveprefix = {arXiv}
}""",
    role="classical",
    fit=fit,
    predict=predict,
    presets={"eft_toy": {"trees": 400}, "interference_toy": {"trees": 400}},
    quick={"trees": 20},
    deterministic=True,
)
