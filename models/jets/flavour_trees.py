"""Boosted trees on 34 numbers of a jet: what taggers were before networks read tracks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import FlavourJets
from physbench.models import Model
from physbench.models.jets import _flavour_trees
from physbench.models.jets._flavour_features import in_parts, observables


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    trees: int = 150,
    learning_rate: float = 0.08,
    leaves: int = 15,
    smallest_leaf: int = 40,
    regularisation: float = 1.0,
) -> Any:
    """Cross-entropy; the observables are those of `_flavour_features.observable_names`."""
    return _flavour_trees.boosted(
        in_parts(observables, train.inputs),
        train.targets.label,
        seed=seed,
        trees=trees,
        learning_rate=learning_rate,
        leaves=leaves,
        smallest_leaf=smallest_leaf,
        regularisation=regularisation,
    )


def predict(fitted: Any, inputs: FlavourJets) -> NDArray[np.float64]:
    """ln p of every flavour."""
    return _flavour_trees.log_probabilities(fitted, in_parts(observables, inputs))


MODEL = Model(
    tasks=("jet_flavour",),
    role="classical",
    reference="""@article{Hoecker:2007ft,
  author = {Hoecker, A. and Speckmayer, P. and Stelzer, J. and Therhaag, J. and von Toerne, E.
    and Voss, H. and Backes, M. and Carli, T. and Cohen, O. and Christov, A. and Dannheim, D. and
    Danielowski, K. and Henrot-Versill{\\'e}, S. and Jachowski, M. and Kraszewski, K. and
    Krasznahorkay, A. and Kruk, M. and Mahalalel, Y. and Ospanov, R. and Prudent, X. and Robert, A.
    and Schouten, D. and Tegenfeldt, F. and Voigt, A. and Voss, K. and Wolter, M. and Zemla, A.},
  title = {{TMVA} - Toolkit for multivariate data analysis},
  year = {2007},
  eprint = {physics/0703039},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    quick={"trees": 5},
    deterministic=True,
)
