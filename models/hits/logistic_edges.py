"""Logistic regression on 14 numbers an edge, then the shared track building."""

from __future__ import annotations

import numpy as np

from physbench.datasets import Split
from physbench.models import Model
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _graphs as graphs


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    c: float = 1.0,
    edges: int = 200_000,
    builder: str = "best_in_out",
) -> edge_pipeline.Pipeline:
    """Fit on `edges` random edges of the training graphs; threshold chosen on validation.

    The 14 numbers enter with their squares and products. `c` is the inverse strength of the
    quadratic penalty.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    windows = graphs.windows_for(train.inputs, train.targets)
    x, y = edge_pipeline.features(train, windows)
    chosen = np.random.default_rng(seed).permutation(len(y))[:edges]
    classifier = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        LogisticRegression(C=c, max_iter=2000, tol=1e-3),
    )
    classifier.fit(x[chosen], y[chosen])
    return edge_pipeline.choose(validation, windows, edge_pipeline.classified(classifier), builder)


MODEL = Model(
    tasks=("tracking",),
    reference="logistic regression on geometric edge features (scikit-learn)",
    fit=fit,
    predict=edge_pipeline.predict,
    quick={"edges": 2000},
)
