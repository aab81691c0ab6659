"""Oracle: boosted trees that see the signal labels, on observables and energy flow polynomials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from physbench.datasets import Split
from physbench.datasets.jets import Jets, JetTruth
from physbench.models import Model
from physbench.models.jets._cross_fitting import out_of_fold
from physbench.models.jets._energy_flow import polynomials
from physbench.models.jets._jet_observables import fractions, observables


@dataclass(frozen=True)
class Fitted:
    """Settings: an oracle learns where the labels are, when it predicts."""

    trees: int
    learning_rate: float
    leaves: int
    folds: int
    seed: int


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    trees: int = 150,
    learning_rate: float = 0.05,
    leaves: int = 15,
    folds: int = 5,
) -> Fitted:
    """Nothing is learned from background alone; `folds` are those of the cross-fitting."""
    return Fitted(trees, learning_rate, leaves, folds, seed)


def _table(jets: Jets) -> NDArray[np.float64]:
    leading = fractions(jets)[:, :5]
    return np.column_stack([observables(jets), np.log(polynomials(jets) + 1e-10), leading])


def predict(fitted: Fitted, inputs: Jets, targets: JetTruth) -> NDArray[np.float64]:
    """Probability of signal, all signals together; each jet by trees that never saw its event."""

    def train(
        table: NDArray[np.float64],
        label: NDArray[np.bool_],
        weights: NDArray[np.float64],
        seed: int,
    ) -> Callable[[NDArray[np.float64]], Any]:
        model = HistGradientBoostingClassifier(
            max_iter=fitted.trees,
            learning_rate=fitted.learning_rate,
            max_leaf_nodes=fitted.leaves,
            early_stopping=False,
            random_state=seed,
        ).fit(table, label, sample_weight=weights)
        return lambda rest: model.predict_proba(rest)[:, 1]

    return out_of_fold(_table(inputs), targets, train, number=fitted.folds, seed=fitted.seed)


MODEL = Model(
    tasks=("dark_jets",),
    reference="Ceiling without a paper: boosted trees with signal labels.",
    fit=fit,
    predict=predict,
    role="oracle",
)
