"""Generalised least-squares fit with multiple scattering: the best linear fit, no training.

It knows the material and the resolution of each layer of the barrel, as a Kalman filter does.
"""

from __future__ import annotations

from physbench.datasets import Split
from physbench.datasets.tracks import Tracks
from physbench.models import Model
from physbench.models.tracks import _matrix_tracks as matrix_tracks


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    mass: float = matrix_tracks.PION,
    iterations: int = 2,
) -> tuple[float, int]:
    """Nothing is learned; `mass` in GeV is the particle hypothesis of the scattering."""
    if not mass > 0:
        raise ValueError(f"mass must be positive (GeV); got {mass}")
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1; got {iterations}")
    return mass, iterations


def predict(fitted: tuple[float, int], inputs: Tracks) -> dict[str, matrix_tracks.Array]:
    """q/pT, pz, d0, z0; q/pT = 0 (no answer) for hits on a straight line."""
    mass, iterations = fitted
    return dict(matrix_tracks.helix(inputs, mass=mass, iterations=iterations))


MODEL = Model(
    tasks=("track_parameters",),
    role="classical",
    reference="""@article{Lutz:1988,
  author = {Lutz, Gerhard},
  title = {Optimum track fitting in the presence of multiple scattering},
  journal = {Nucl. Instrum. Meth. A},
  volume = {273},
  pages = {349--361},
  year = {1988}
}""",
    fit=fit,
    predict=predict,
    deterministic=True,
)
