"""Mahalanobis distance in the leading principal components of the aligned constituents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model
from physbench.models.jets._jet_observables import aligned


@dataclass(frozen=True)
class Fitted:
    """A whitening PCA."""

    pca: Any


def fit(train: Split, validation: Split, *, seed: int, components: int = 20) -> Fitted:
    """Principal components of the (slots x 3) constituent table of QCD jets."""
    return Fitted(PCA(components, whiten=True, svd_solver="full").fit(_table(train.inputs)))


def _table(jets: Jets) -> NDArray[np.float32]:
    return aligned(jets).reshape(len(jets), -1)


def predict(fitted: Fitted, inputs: Jets) -> NDArray[np.float64]:
    """Squared length of the whitened components."""
    return np.asarray((fitted.pca.transform(_table(inputs)).astype(np.float64) ** 2).sum(axis=1))


MODEL = Model(
    tasks=("dark_jets",),
    role="classical",
    reference="""@article{Mahalanobis:1936,
  author = {Mahalanobis, Prasanta Chandra},
  title = {On the generalized distance in statistics},
  journal = {Proc. Natl. Inst. Sci. India},
  volume = {2},
  pages = {49--55},
  year = {1936}
}""",
    fit=fit,
    predict=predict,
    deterministic=True,
)
