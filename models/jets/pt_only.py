"""Jet pT alone: what a leak looks like. On spectra that are matched it must fail.

As anomaly score the pT itself; as flavour tagger the posterior of the class in bins of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import FlavourJets, Flavours, Jets
from physbench.models import Model
from physbench.models.jets._class_posterior import Posterior, posterior


def fit(train: Split, validation: Split, *, seed: int, bins: int = 40) -> Posterior | None:
    """Nothing is learnt for anomaly scores; `bins` quantile bins for classes."""
    if not isinstance(train.targets, Flavours):
        return None
    return posterior(train.inputs.pt, train.targets.label, len(train.targets.classes), bins)


def predict(fitted: Posterior | None, inputs: Jets | FlavourJets) -> NDArray[np.floating[Any]]:
    """Jet pT in GeV, or ln p of every class."""
    return inputs.pt if fitted is None else fitted(inputs.pt)


MODEL = Model(
    tasks=("dark_jets", "jet_flavour"),
    role="floor",
    reference="Baseline without a paper: the transverse momentum itself.",
    fit=fit,
    predict=predict,
    deterministic=True,
)
