"""Density of five jet observables as a mixture of Gaussians; rare jets are anomalous."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model
from physbench.models.jets import _arrays
from physbench.models.jets._jet_observables import NAMES, observables


@dataclass(frozen=True)
class Fitted:
    """Scaler and mixture as one scikit-learn pipeline."""

    pipeline: Any


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    components: int = 5,
    regularisation: float = 1e-4,
    restarts: int = 3,
) -> Fitted:
    """Expectation maximisation with full covariances on standardised observables.

    Parameters
    ----------
    regularisation:
        Added to the diagonal of each covariance, in units of the observables' variances.
    restarts:
        Initialisations, of which the likeliest is kept.
    """
    mixture = GaussianMixture(
        components, reg_covar=regularisation, n_init=restarts, random_state=seed
    )
    return Fitted(make_pipeline(StandardScaler(), mixture).fit(observables(train.inputs)))


def predict(fitted: Fitted, inputs: Jets) -> NDArray[np.float64]:
    """Minus the log-likelihood."""
    return np.asarray(-fitted.pipeline.score_samples(observables(inputs)))


MIXTURE = ("weights_", "means_", "covariances_", "precisions_cholesky_")
SCALER = ("mean_", "scale_")


def save(fitted: Fitted, path: Path) -> None:
    """The fitted arrays of scaler and mixture."""
    scaler, mixture = fitted.pipeline
    found = {name: getattr(scaler, name) for name in SCALER}
    _arrays.write(path, **found, **{name: getattr(mixture, name) for name in MIXTURE})


def load(path: Path) -> Fitted:
    """What `save` wrote."""
    stored = _arrays.read(path)
    scaler, mixture = StandardScaler(), GaussianMixture(len(stored["weights_"]))
    for part, names in ((scaler, SCALER), (mixture, MIXTURE)):
        for name in names:
            setattr(part, name, stored[name])
    return Fitted(make_pipeline(scaler, mixture))


def parameters(fitted: Fitted) -> int:
    """Weights, means and covariances."""
    components, size = fitted.pipeline[-1].n_components, len(NAMES)
    return int(components * (1 + size + size * (size + 1) // 2) - 1)


MODEL = Model(
    tasks=("dark_jets",),
    role="classical",
    reference="Baseline without a paper: density estimation on jet observables.",
    fit=fit,
    predict=predict,
    quick={"restarts": 1, "components": 2},
    save=save,
    load=load,
    parameters=parameters,
)
