"""Weighted least-squares fit of a helix to the hits: resolutions are known, the material is not.

What `matrix_fit` loses without multiple scattering in its covariance.
"""

from __future__ import annotations

from physbench.datasets import Split
from physbench.datasets.tracks import Tracks
from physbench.models import Model
from physbench.models.tracks import _matrix_tracks as matrix_tracks


def fit(train: Split, validation: Split, *, seed: int, iterations: int = 3) -> int:
    """Nothing is learned; `iterations` are Gauss-Newton steps from Taubin's circle."""
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1; got {iterations}")
    return iterations


def predict(fitted: int, inputs: Tracks) -> dict[str, matrix_tracks.Array]:
    """q/pT, pz, d0, z0; q/pT = 0 (no answer) for hits on a straight line."""
    return dict(matrix_tracks.helix(inputs, mass=None, iterations=fitted))


MODEL = Model(
    tasks=("track_parameters",),
    role="classical",
    reference="Baseline without a paper: Gauss-Newton with the hit resolutions as weights.",
    fit=fit,
    predict=predict,
    deterministic=True,
)
