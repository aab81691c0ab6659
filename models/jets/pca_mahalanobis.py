"""Mahalanobis distance in the leading principal components of the aligned constituents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model
from physbench.models.jets import _arrays
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


PCA_ARRAYS = ("components_", "mean_", "explained_variance_")


def save(fitted: Fitted, path: Path) -> None:
    """The principal components, mean and variances."""
    _arrays.write(path, **{name: getattr(fitted.pca, name) for name in PCA_ARRAYS})


def load(path: Path) -> Fitted:
    """What `save` wrote."""
    stored = _arrays.read(path)
    pca = PCA(len(stored["components_"]), whiten=True, svd_solver="full")
    for name, value in stored.items():
        setattr(pca, name, value)
    return Fitted(pca)


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
    save=save,
    load=load,
    deterministic=True,
)
