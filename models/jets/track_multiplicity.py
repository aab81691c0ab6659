"""Posterior of the flavour from the number of tracks alone: the second floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import FlavourJets
from physbench.models import Model
from physbench.models.jets._class_posterior import Posterior, posterior


def fit(train: Split, validation: Split, *, seed: int, bins: int = 40) -> Posterior:
    """`bins` quantile bins of the number of tracks, or as many as there are numbers."""
    targets = train.targets
    return posterior(_tracks(train.inputs), targets.label, len(targets.classes), bins)


def _tracks(jets: FlavourJets) -> NDArray[np.int64]:
    return np.asarray(jets.mask.sum(axis=1))


def predict(fitted: Posterior, inputs: FlavourJets) -> NDArray[np.float64]:
    """ln p of every flavour."""
    return fitted(_tracks(inputs))


MODEL = Model(
    tasks=("jet_flavour",),
    role="floor",
    reference="Baseline without a paper: the number of tracks.",
    fit=fit,
    predict=predict,
    deterministic=True,
)
