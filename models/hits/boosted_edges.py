"""Histogram gradient boosting on 14 numbers an edge, then the shared track building."""

from __future__ import annotations

from physbench.datasets import Split
from physbench.models import Model
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _graphs as graphs


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    trees: int = 300,
    learning_rate: float = 0.1,
    leaves: int = 31,
    builder: str = "best_in_out",
) -> edge_pipeline.Pipeline:
    """Fit on all edges of the training graphs; the threshold is chosen on validation."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    windows = graphs.windows_for(train.inputs, train.targets)
    x, y = edge_pipeline.features(train, windows)
    classifier = HistGradientBoostingClassifier(
        max_iter=trees,
        learning_rate=learning_rate,
        max_leaf_nodes=leaves,
        early_stopping=False,
        random_state=seed,
    )
    classifier.fit(x, y)
    return edge_pipeline.choose(validation, windows, edge_pipeline.classified(classifier), builder)


MODEL = Model(
    tasks=("tracking",),
    reference="histogram gradient boosting on geometric edge features (scikit-learn)",
    fit=fit,
    predict=edge_pipeline.predict,
    quick={"trees": 5},
)
