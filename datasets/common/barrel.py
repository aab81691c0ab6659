"""The barrel of the generic (TrackML) detector and what it allows a track fit to reach.

Radii and half lengths in mm, thickness in radiation lengths at normal incidence, one entry a
slab. Source: ACTS GenericDetectorBuilder and its smearing configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.helix import FIELD

Array = NDArray[np.float64]

SILICON, BERYLLIUM = 95.7, 352.8  # radiation lengths in mm


@dataclass(frozen=True)
class Surface:
    """A cylinder: its slabs in radiation lengths, and resolutions (mm) if it measures."""

    r: float
    half_length: float
    slabs: tuple[float, ...]
    sigma_rphi: float = 0.0
    sigma_z: float = 0.0

    @property
    def measures(self) -> bool:
        """Whether the layer gives hits."""
        return self.sigma_rphi > 0


def _layers(
    radii: tuple[float, ...], half: float, silicon: tuple[float, float], pitch: tuple[float, float]
) -> list[Surface]:
    slabs = tuple(thickness / SILICON for thickness in silicon)
    sigma_rphi, sigma_z = (width / 12**0.5 for width in pitch)
    return [Surface(r, half, slabs, sigma_rphi, sigma_z) for r in radii]


SURFACES: tuple[Surface, ...] = (
    Surface(19.0, 3000.0, (0.8 / BERYLLIUM,)),
    *_layers((32.0, 72.0, 116.0, 172.0), 491.0, (1.5, 0.15), (0.05, 0.05)),
    Surface(200.0, 2800.0, (1.8 / BERYLLIUM,)),
    *_layers((260.0, 360.0, 500.0, 660.0), 1084.0, (2.0, 0.25), (0.08, 1.2)),
    *_layers((820.0, 1020.0), 1084.0, (2.5, 0.35), (0.12, 10.8)),
)
LAYERS = tuple(surface for surface in SURFACES if surface.measures)


def highland(thickness: Array, p: Array, mass: Array) -> Array:
    """Width of the projected scattering angle: 13.6 MeV/(beta p) sqrt(t) (1 + 0.038 ln(t/beta^2)).

    `thickness` in radiation lengths along the path, p and mass in GeV, unit charge.
    """
    energy = np.hypot(p, mass)
    return np.asarray(
        0.0136
        * energy
        / p**2
        * np.sqrt(thickness)
        * (1 + 0.038 * np.log(thickness * (energy / p) ** 2))
    )


def kicks(pt: Array, eta: Array, mass: Array, surfaces: tuple[Surface, ...] = SURFACES) -> Array:
    """(n, surfaces): width of the azimuthal kick at each surface, slabs added in quadrature."""
    stretch = np.cosh(eta)
    widths = [
        sum(highland(slab * stretch, pt * stretch, mass) ** 2 for slab in surface.slabs)
        for surface in surfaces
    ]
    return np.asarray(np.sqrt(np.stack(widths, 1)) * stretch[:, None])


def parameter_covariance(
    pt: Array,
    eta: Array,
    mass: Array,
    *,
    z0: Array | float = 0.0,
    exact: bool = False,
    beam_spot: float | None = None,
    surfaces: tuple[Surface, ...] = SURFACES,
) -> Array:
    """(n, 3, 3): covariance of y0 (mm), phi (rad), kappa (1/mm) of the Gauss-Markov optimal fit.

    The track is y0 + phi r + kappa r^2/2 and C_jk = sigma_j^2 delta_jk + sum_i theta_i^2
    max(0, r_j - r_i) max(0, r_k - r_i) over the scatterers i; layers that the track leaves along
    z do not count. `exact` hits have no resolution of their own; `beam_spot` (mm) adds a
    measurement at r = 0.
    """
    layers = [surface for surface in surfaces if surface.measures]
    r = np.array([0.0] + [layer.r for layer in layers])
    lever = np.maximum(0.0, r[None, :] - np.array([s.r for s in surfaces])[:, None])
    theta = kicks(pt, eta, mass, surfaces)
    covariance = np.einsum("ni,ij,ik->njk", theta**2, lever, lever, optimize=True)
    sigma = np.array([beam_spot or 0.0] + [0.0 if exact else s.sigma_rphi for s in layers])
    # A nanometre keeps the matrix of exact hits regular, far below every other term.
    noise = np.broadcast_to(sigma**2 + 1e-12, (len(pt), len(r))).copy()
    half = np.array([np.inf] + [layer.half_length for layer in layers])
    noise[np.abs(np.sinh(eta)[:, None] * r + np.reshape(z0, (-1, 1))) > half] = 1e12
    if beam_spot is None:
        noise[:, 0] = 1e12
    index = np.arange(len(r))
    covariance[:, index, index] += noise
    scale = np.array([1.0, r[-1], r[-1] ** 2])  # columns of order one
    design = np.stack([np.ones_like(r), r, r**2 / 2], 1) / scale
    weighted = np.linalg.solve(covariance, np.broadcast_to(design, (len(pt), *design.shape)))
    inverse = np.linalg.inv(np.einsum("jp,njq->npq", design, weighted))
    return np.asarray(inverse / np.outer(scale, scale))


def curvature_resolution(
    pt: Array,
    eta: Array,
    mass: Array,
    *,
    z0: Array | float = 0.0,
    exact: bool = False,
    beam_spot: float | None = None,
    surfaces: tuple[Surface, ...] = SURFACES,
    field: float = FIELD,
) -> Array:
    """sigma(pT)/pT (n,) of the optimal fit; parameters as in `parameter_covariance`."""
    covariance = parameter_covariance(
        pt, eta, mass, z0=z0, exact=exact, beam_spot=beam_spot, surfaces=surfaces
    )
    kappa = 0.299792458e-3 * field / pt
    return np.asarray(np.sqrt(covariance[:, 2, 2]) / kappa)


def mixture_core68(sigma: Array) -> float:
    """Half the central 68.27 % width of the mixture of zero-mean Gaussians of widths `sigma`."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    if not len(sigma):
        return float("nan")
    inside = ndtr(1.0) - ndtr(-1.0)
    low, high = float(sigma.min()), float(sigma.max())
    if high - low < 1e-12:
        return low
    return float(brentq(lambda c: np.mean(2 * ndtr(c / sigma) - 1) - inside, low, high))
