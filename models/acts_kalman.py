"""Reference: the estimates of the ACTS Kalman filter that are stored with the tracks.

It knows the material and each module's resolution, and its hits were grouped by truth; so it is
shown as the ceiling and not ranked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.common.tracks import Tracks, TrackTruth
from physbench.models import Model


def fit(train: Split, validation: Split, *, seed: int) -> None:
    """Nothing is learned."""


def predict(fitted: Any, inputs: Tracks, targets: TrackTruth) -> dict[str, NDArray[np.float64]]:
    """The stored estimates. Raises ValueError when the dataset holds none."""
    if not np.isfinite(targets.kalman).any():
        raise ValueError(
            "these tracks have no stored Kalman estimate; the test split of generic_tracks has"
        )
    return dict(zip(("qopt", "pz", "d0", "z0"), targets.kalman.T, strict=True))


MODEL = Model(
    tasks=("track_parameters",),
    reference="""@article{Fruhwirth:1987fm,
  author = {Fr{\\"u}hwirth, R.},
  title = {Application of Kalman filtering to track and vertex fitting},
  journal = {Nucl. Instrum. Meth. A},
  volume = {262},
  pages = {444--450},
  year = {1987}
}""",
    fit=fit,
    predict=predict,
    oracle=True,
    deterministic=True,
)
