"""Ridge regression on the hits, or on the residuals of a circle fit as a correction to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from physbench.datasets import Split
from physbench.datasets.tracks import Tracks, predictions_from
from physbench.models import Model
from physbench.models.tracks import _circle_frame as circle_frame
from physbench.models.tracks import _track_tables as track_tables
from physbench.models.tracks._circle_frame import Array


@dataclass(frozen=True)
class Fitted:
    """The pipeline; `target` is None for a correction to the circle fit."""

    pipeline: Any
    target: str | None


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    degree: int = 2,
    alpha: float = 1.0,
    correction: bool = False,
) -> Fitted:
    """Least squares with penalty `alpha` on the polynomial features of `degree`.

    With `correction` the targets are log(pT/pT of the circle) and the change of pz/pT; tracks
    that the fit misses by more than 10 % are left out of the training.
    """
    pipeline = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(degree, include_bias=False),
        StandardScaler(),
        Ridge(alpha),
    )
    if not correction:
        pipeline.fit(track_tables.raw(train.inputs), train.targets.regressed())
        return Fitted(pipeline, train.targets.target)
    start = circle_frame.frame(train.inputs)
    missing = circle_frame.corrections(train.targets, start)
    kept = ~start.straight & (np.abs(missing) < 0.1).all(1)
    pipeline.fit(track_tables.correction(train.inputs, start)[kept], missing[kept])
    return Fitted(pipeline, None)


def predict(fitted: Fitted, inputs: Tracks) -> dict[str, Array]:
    """q/pT and pz; d0 and z0 of the circle with a correction."""
    if not len(inputs):  # scikit-learn refuses tables without rows
        return {"qopt": np.zeros(0), "pz": np.zeros(0)}
    if fitted.target is not None:
        values = fitted.pipeline.predict(track_tables.raw(inputs))
        return dict(predictions_from(values, fitted.target))
    start = circle_frame.frame(inputs)
    table = track_tables.correction(inputs, start)
    return circle_frame.corrected(start, *fitted.pipeline.predict(table).T)


MODEL = Model(
    tasks=("track_parameters",),
    reference="Baseline without a paper: polynomial ridge regression.",
    fit=fit,
    predict=predict,
    deterministic=True,
)
