"""Boosted trees with many classes that return log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from physbench.models.jets._flavour_features import log_of


def boosted(
    table: NDArray[np.float64],
    label: NDArray[Any],
    *,
    seed: int,
    trees: int,
    learning_rate: float,
    leaves: int,
    smallest_leaf: int,
    regularisation: float,
) -> Any:
    """Fitted trees; every round adds one tree a class."""
    return HistGradientBoostingClassifier(
        max_iter=trees,
        learning_rate=learning_rate,
        max_leaf_nodes=leaves,
        min_samples_leaf=smallest_leaf,
        l2_regularization=regularisation,
        early_stopping=False,
        random_state=seed,
    ).fit(table, label)


def log_probabilities(model: Any, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln p (n, classes)."""
    return log_of(model.predict_proba(table))
