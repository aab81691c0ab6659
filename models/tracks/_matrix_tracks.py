"""Classical fits of a helix: generalised least squares with scattering in its covariance.

A circle fit gives the expansion point; `linear_fit` says how residuals depend on the parameters,
on the kicks of the material, and on resolution. A step moves the helix by the best linear
estimate, and the next one starts there. What is left of the Kalman filter's lead (3 % below 0.7
GeV) is this one helix: the filter follows the track from kick to kick.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import linear_fit
from physbench.datasets.common.linear_fit import Helix
from physbench.datasets.tracks import Tracks
from physbench.models.tracks import _circles as circles

Array = NDArray[np.float64]

PION = 0.13957039  # GeV


def helix(
    tracks: Tracks, *, mass: float | None = PION, iterations: int = 2
) -> Mapping[str, Array]:
    """q/pT (1/GeV), pz (GeV), d0 and z0 (mm) of each track; q/pT = 0 for a straight line.

    `mass` in GeV is the hypothesis of the scattering; without one nothing scatters, and only the
    resolutions are known.
    """
    curved = np.flatnonzero(circles.helix(tracks)["qopt"])
    found = {name: np.zeros(len(tracks)) for name in ("qopt", "pz", "d0", "z0")}
    for index, part in linear_fit.chunks(tracks.take(curved)):
        for name, values in parameters(fitted(part, mass, iterations)).items():
            found[name][curved[index]] = values
    return found


def fitted(tracks: Tracks, mass: float | None, iterations: int) -> Helix:
    """The helices of tracks that are no straight lines."""
    now = start(tracks)
    for _ in range(iterations):
        model = linear_fit.linear(tracks, now, mass)
        now = linear_fit.moved(now, model.normal, linear_fit.solve(model)[0])
    return now


def start(tracks: Tracks) -> Helix:
    """Taubin's circle and a line of z against arc length."""
    x, y, _ = np.moveaxis(tracks.hits.astype(np.float64), 2, 0)
    first = circles.helix(tracks)
    circle = circles.fit(x, y, tracks.mask)
    q = np.where(first["qopt"] < 0, -1.0, 1.0)
    slope = first["pz"] * np.abs(first["qopt"])
    return Helix(q, slope, first["z0"], circle[:, 2], circle[:, :2])


def parameters(found: Helix) -> dict[str, Array]:
    """Predictions of the task."""
    d0 = found.q * (np.hypot(found.centre[:, 0], found.centre[:, 1]) - found.radius)
    return {"qopt": found.q / found.pt, "pz": found.slope * found.pt, "d0": d0, "z0": found.z0}
