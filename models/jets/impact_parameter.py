"""A cut on the second largest impact parameter significance: lifetime tagging with one number.

With probabilities from a multinomial logistic regression on the compressed significance, so that
the score of b against any other flavour is strictly monotone in it: its ROC is that of the cut.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from physbench.datasets import Split
from physbench.datasets.jets import FlavourJets
from physbench.models import Model
from physbench.models.jets._flavour_features import compressed, in_parts, largest_significance


def fit(train: Split, validation: Split, *, seed: int, rank: int = 2) -> tuple[Any, int]:
    """`rank` 2 takes the second largest signed d0/sigma(d0) of the jet, 3 the third."""
    if not 1 <= rank <= train.inputs.tracks.shape[1]:
        slots = train.inputs.tracks.shape[1]
        raise ValueError(f"rank must be from 1 to the {slots} slots of a jet; got {rank}")
    model = LogisticRegression(C=np.inf)
    return model.fit(_column(train.inputs, rank), train.targets.label), rank


def _column(jets: FlavourJets, rank: int) -> NDArray[np.float64]:
    found = in_parts(functools.partial(largest_significance, rank=rank), jets)
    return compressed(found)[:, None]


def predict(fitted: tuple[Any, int], inputs: FlavourJets) -> NDArray[np.float64]:
    """ln p of every flavour."""
    model, rank = fitted
    found: NDArray[np.float64] = model.predict_log_proba(_column(inputs, rank))
    return found


MODEL = Model(
    tasks=("jet_flavour",),
    role="classical",
    reference="""@article{CMS:2012feb,
  author = {{CMS Collaboration}},
  title = {Identification of b-quark jets with the {CMS} experiment},
  journal = {JINST},
  volume = {8},
  pages = {P04013},
  year = {2013},
  eprint = {1211.4462},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    deterministic=True,
)
