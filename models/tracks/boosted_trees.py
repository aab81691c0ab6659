"""Gradient-boosted trees on the hits, or on the residuals of a circle fit as a correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from physbench.datasets import Split
from physbench.datasets.tracks import Tracks, predictions_from
from physbench.models import Model
from physbench.models.tracks import _circle_frame as circle_frame
from physbench.models.tracks import _track_tables as track_tables
from physbench.models.tracks._circle_frame import Array


@dataclass(frozen=True)
class Fitted:
    """Trees of both targets; `target` is None for a correction to the circle fit."""

    trees: tuple[Any, Any]
    target: str | None


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    trees: int = 300,
    leaves: int = 63,
    learning_rate: float = 0.1,
    correction: bool = False,
) -> Fitted:
    """Least squares, one ensemble a target.

    With `correction` the targets are log(pT/pT of the circle) and the change of pz/pT; tracks
    that the fit misses by more than 10 % are left out of the training.
    """
    if correction:
        start = circle_frame.frame(train.inputs)
        values = circle_frame.corrections(train.targets, start)
        kept = ~start.straight & (np.abs(values) < 0.1).all(1)
        table, values = track_tables.correction(train.inputs, start)[kept], values[kept]
    else:
        table, values = track_tables.raw(train.inputs), train.targets.regressed()
    first, second = (
        HistGradientBoostingRegressor(
            max_iter=trees,
            max_leaf_nodes=leaves,
            learning_rate=learning_rate,
            early_stopping=False,
            random_state=seed,
        ).fit(table, column)
        for column in values.T
    )
    return Fitted((first, second), None if correction else train.targets.target)


def predict(fitted: Fitted, inputs: Tracks) -> dict[str, Array]:
    """q/pT and pz; d0 and z0 of the circle with a correction."""
    if not len(inputs):  # scikit-learn refuses tables without rows
        return {"qopt": np.zeros(0), "pz": np.zeros(0)}
    start = circle_frame.frame(inputs) if fitted.target is None else None
    table = track_tables.correction(inputs, start) if start else track_tables.raw(inputs)
    values = np.stack([trees.predict(table) for trees in fitted.trees], 1)
    if start:
        return circle_frame.corrected(start, *values.T)
    assert fitted.target is not None
    return dict(predictions_from(values, fitted.target))


MODEL = Model(
    tasks=("track_parameters",),
    reference="""@inproceedings{Ke:2017lightgbm,
  author = {Ke, Guolin and Meng, Qi and Finley, Thomas and Wang, Taifeng and Chen, Wei and Ma,
    Weidong and Ye, Qiwei and Liu, Tie-Yan},
  title = {{LightGBM}: a highly efficient gradient boosting decision tree},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {30},
  year = {2017}
}""",
    fit=fit,
    predict=predict,
    quick={"trees": 5},
    deterministic=True,
)
