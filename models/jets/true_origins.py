"""Oracle: trees on where the reconstructed tracks truly come from, as by perfect vertexing.

No exact ceiling exists, p(tracks | flavour) has no closed form. This one knows which tracks stem
from heavy hadrons and from how many, but of their impact parameters only the largest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import FlavourJets, Flavours
from physbench.models import Model
from physbench.models.jets import _flavour_trees
from physbench.models.jets._flavour_features import mass

PILE_UP, PRIMARY, HEAVY, STRANGE = 0, 1, (2, 3, 4), 5


def truth_table(jets: FlavourJets, truth: Flavours) -> NDArray[np.float64]:
    """(n, 13) numbers of the tracks whose origin is known.

    Jet pT, eta, tracks; heavy tracks, decayed heavy hadrons, mass and pT share of the heavy
    tracks; primary, strange and pile-up tracks; largest |S| of a heavy track; pT share of the
    primary tracks and of the hardest of them.
    """
    heavy, primary = np.isin(truth.origin, HEAVY), truth.origin == PRIMARY
    share = jets.tracks[..., 0] / jets.pt[:, None]
    hadrons = np.arange(1, max(int(truth.hadron.max(initial=0)), 1) + 1)
    decayed = ((truth.hadron[..., None] == hadrons) & heavy[..., None]).any(axis=1).sum(axis=1)
    return np.column_stack(
        [
            jets.pt,
            jets.eta,
            jets.mask.sum(axis=1),
            heavy.sum(axis=1),
            decayed,
            mass(jets, heavy),
            (share * heavy).sum(axis=1),
            primary.sum(axis=1),
            (truth.origin == STRANGE).sum(axis=1),
            (truth.origin == PILE_UP).sum(axis=1),
            np.where(heavy, np.abs(jets.significance()), 0.0).max(axis=1),
            (share * primary).sum(axis=1),
            (share * primary).max(axis=1),
        ]
    )


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
    """Settings of the trees as in `flavour_trees`; raises ValueError where origins are unknown."""
    if (train.targets.origin < 0).all():
        raise ValueError("true_origins needs a dataset with true origins of tracks: flavour_jets")
    return _flavour_trees.boosted(
        truth_table(train.inputs, train.targets),
        train.targets.label,
        seed=seed,
        trees=trees,
        learning_rate=learning_rate,
        leaves=leaves,
        smallest_leaf=smallest_leaf,
        regularisation=regularisation,
    )


def predict(fitted: Any, inputs: FlavourJets, targets: Flavours) -> NDArray[np.float64]:
    """ln p of every flavour, given the true origins of the tracks."""
    return _flavour_trees.log_probabilities(fitted, truth_table(inputs, targets))


MODEL = Model(
    tasks=("jet_flavour",),
    role="oracle",
    reference="Ceiling without a paper: boosted trees that see the true origins of the tracks.",
    fit=fit,
    predict=predict,
    quick={"trees": 5},
    deterministic=True,
)
