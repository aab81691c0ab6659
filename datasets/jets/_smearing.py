"""Parametric detector: tracks, electromagnetic cells and hadronic cells. Not Delphes.

It has no pile-up, no double counting between tracks and cells and no flow out of the jet cone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Detector:
    """Settings; sizes in (eta, phi), momenta and energies in GeV, resolutions relative.

    sigma(pT)/pT = track_floor (+) track_slope pT,  sigma(E)/E = stochastic/sqrt(E) (+) constant.
    """

    track_pt: float = 0.5
    track_efficiency: float = 0.95
    track_floor: float = 0.01
    track_slope: float = 1e-4
    photon_cell: float = 0.02
    photon_stochastic: float = 0.10
    photon_constant: float = 0.01
    photon_energy: float = 0.5
    hadron_cell: float = 0.1
    hadron_stochastic: float = 0.8
    hadron_constant: float = 0.05
    hadron_energy: float = 1.0


def smear(
    particles: Array,
    charged: NDArray[np.bool_],
    photon: NDArray[np.bool_],
    detector: Detector,
    generator: np.random.Generator,
) -> Array:
    """Reconstructed constituents (m, 3) from true particles (n, 3), both pT (GeV), eta, phi.

    `charged` and `photon` are (n,) boolean; what is neither is a neutral hadron.
    """
    tracks = _tracks(particles[charged], detector, generator)
    photons = _cells(
        particles[photon & ~charged],
        detector.photon_cell,
        detector.photon_stochastic,
        detector.photon_constant,
        detector.photon_energy,
        generator,
    )
    hadrons = _cells(
        particles[~photon & ~charged],
        detector.hadron_cell,
        detector.hadron_stochastic,
        detector.hadron_constant,
        detector.hadron_energy,
        generator,
    )
    return np.concatenate([tracks, photons, hadrons])


def _tracks(particles: Array, detector: Detector, generator: np.random.Generator) -> Array:
    pt = particles[:, 0]
    sigma = np.hypot(detector.track_floor, detector.track_slope * pt)
    measured = pt * (1 + sigma * generator.standard_normal(len(pt)))
    seen = (measured > detector.track_pt) & (generator.random(len(pt)) < detector.track_efficiency)
    return np.column_stack([measured, particles[:, 1:]])[seen]


def _cells(
    particles: Array,
    size: float,
    stochastic: float,
    constant: float,
    threshold: float,
    generator: np.random.Generator,
) -> Array:
    """Energies merged per cell, smeared, and placed at the centre of the cell."""
    if not len(particles):
        return np.zeros((0, 3))
    energy = particles[:, 0] * np.cosh(particles[:, 1])
    cells, inverse = np.unique(
        np.floor(particles[:, 1:] / size).astype(np.int64), axis=0, return_inverse=True
    )
    deposit = np.bincount(inverse.ravel(), weights=energy, minlength=len(cells))
    sigma = np.hypot(stochastic / np.sqrt(deposit), constant)
    measured = deposit * (1 + sigma * generator.standard_normal(len(deposit)))
    eta, phi = ((cells + 0.5) * size).T
    found = np.column_stack([measured / np.cosh(eta), eta, phi])
    return found[measured > threshold]
