"""Reference: the ACTS Kalman filter with hits grouped by truth.

By default its estimates that are stored with the tracks; `--set live=true` fits the measured hits
again with ACTS (extra `[acts]`), starting from a circle fit instead of the truth, and agrees with
the stored ones to 1e-4 in q/pT. It knows the material and each module's resolution; so it is shown
as the ceiling and not ranked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.common import acts_chain, linear_fit
from physbench.datasets.common.particle_mix import Particles
from physbench.datasets.tracks import Tracks, TrackTruth
from physbench.models import Model
from physbench.models.tracks import _circles as circles
from physbench.models.tracks import _matrix_tracks as matrix_tracks

Array = NDArray[np.float64]
COLUMNS = ("qopt", "pz", "d0", "z0")


def fit(train: Split, validation: Split, *, seed: int, live: bool = False) -> bool:
    """Nothing is learned; `live` fits the hits instead of looking up stored estimates."""
    return live


def predict(fitted: bool, inputs: Tracks, targets: TrackTruth) -> dict[str, Array]:
    """q/pT, pz, d0, z0; q/pT = 0 (no answer) where the fit failed or hits lie on a line.

    Raises ValueError when estimates are neither stored nor asked for live, and as
    `acts_chain.refit` for a live fit.
    """
    if fitted:
        estimate = acts_chain.refit(
            inputs.hits.astype(np.float64), inputs.mask, starting_points(inputs)
        )
        estimate = np.where(np.isnan(estimate), 0.0, estimate)
    elif np.isfinite(targets.kalman).any():
        estimate = targets.kalman
    else:
        raise ValueError(
            "these tracks have no stored Kalman estimate; the test split of generic_tracks has. "
            "Tracks of the generic detector can be fitted with --set live=true"
        )
    return dict(zip(COLUMNS, estimate.T, strict=True))


def starting_points(tracks: Tracks) -> Particles:
    """Perigee and momentum of Taubin's circle through each track; charge 0 without a circle."""
    found = circles.helix(tracks)
    q = np.sign(found["qopt"])
    x, y, _ = np.moveaxis(tracks.hits.astype(np.float64), 2, 0)
    centre = np.where(q[:, None] != 0, circles.fit(x, y, tracks.mask)[:, :2], [1.0, 0.0])
    forward = linear_fit.forward(linear_fit.outward(centre), q)
    point = found["d0"][:, None] * np.stack([forward[:, 1], -forward[:, 0]], 1)
    pt = 1 / np.where(q != 0, np.abs(found["qopt"]), 1.0)
    return Particles(
        np.column_stack([point, found["z0"]]),
        np.column_stack([forward * pt[:, None], found["pz"]]),
        q,
        np.full(len(q), matrix_tracks.PION),
        (211 * q).astype(np.int64),
        np.arange(len(q)),
    )


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
    role="oracle",
    deterministic=True,
)
