"""Oracle: boosted trees that see the signal labels, one classifier for each signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from physbench.datasets import Split
from physbench.datasets.jets import Jets, JetTruth
from physbench.models import Model
from physbench.models.jets import _cross_fitting, _features


@dataclass(frozen=True)
class Fitted:
    """Settings, and the features of the training background: labels are seen at prediction."""

    background: NDArray[np.float32]
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
    trees: int = 200,
    learning_rate: float = 0.06,
    leaves: int = 15,
    folds: int = 5,
) -> Fitted:
    """Nothing is learned from background alone; `folds` are those of the cross-fitting."""
    background = _features.table(train.inputs)
    return Fitted(background, trees, learning_rate, leaves, folds, seed)


def predict(fitted: Fitted, inputs: Jets, targets: JetTruth) -> NDArray[np.float64]:
    """Log odds (n, signals) of each signal; every jet by trees that never saw its event."""
    table = _features.table(inputs)
    scores = np.zeros((len(targets), len(targets.signals)))
    for learn, score in _cross_fitting.parts(targets, fitted.folds, fitted.seed):
        for k in range(len(targets.signals)):
            column = _against_background(fitted, table, targets, learn, k + 1)
            wanted = score[np.isin(targets.signal[score], (0, k + 1))]
            if column is not None:
                scores[wanted, k] = column.decision_function(table[wanted])
    return _cross_fitting.own_columns(scores, targets)


def _against_background(
    fitted: Fitted,
    table: NDArray[np.float32],
    targets: JetTruth,
    learn: NDArray[np.int64],
    code: int,
) -> HistGradientBoostingClassifier | None:
    """Trees for one signal, on the jets `learn` and all training background."""
    mine = learn[np.isin(targets.signal[learn], (0, code))]
    label = np.r_[targets.signal[mine] == code, np.zeros(len(fitted.background), dtype=bool)]
    if label.all() or not label.any():
        return None
    weight = np.r_[targets.weight[mine], np.ones(len(fitted.background))]
    return HistGradientBoostingClassifier(
        max_iter=fitted.trees,
        learning_rate=fitted.learning_rate,
        max_leaf_nodes=fitted.leaves,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=fitted.seed,
    ).fit(
        np.concatenate([table[mine], fitted.background]),
        label,
        sample_weight=_cross_fitting.balanced(label.astype(np.int8), weight),
    )


MODEL = Model(
    tasks=("dark_jets",),
    reference="Ceiling without a paper: boosted trees with signal labels.",
    role="oracle",
    fit=fit,
    predict=predict,
    quick={"trees": 5, "folds": 2},
)
