"""Bayesian fit of a helix: the law of scattering as it is, sampled by Gibbs; no training.

A kick is no Gaussian: its two plane angles have variance 2 theta^2 U with U = cos^2(psi), psi
uniform, so that small kicks are common and large ones less rare. Given all U the model is linear
and Gaussian, and its best estimate is that of generalised least squares; given the kicks each U is
drawn from a grid. The mean of the estimates over the sweeps is the posterior mean under a flat
prior: no unbiased estimator of these hits has a smaller squared error. What it knows is what the
Kalman filter knows (material, resolutions, pions), and the generator's law.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.common import linear_fit
from physbench.datasets.common.linear_fit import Linear
from physbench.datasets.tracks import SLOTS, Tracks
from physbench.models import Model
from physbench.models.tracks import _circles as circles
from physbench.models.tracks import _matrix_tracks as matrix_tracks

Array = NDArray[np.float64]

GRID = np.cos((np.arange(48) + 0.5) / 48 * np.pi / 2) ** 2  # of U
TRACKS = 128  # whose random numbers stay in memory
CYLINDERS = 12  # pipe, tube and supports: kicks before those of the modules


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    mass: float = matrix_tracks.PION,
    sweeps: int = 160,
    burn: int = 30,
) -> tuple[float, int, int]:
    """Nothing is learned; the first `burn` of the `sweeps` are not averaged."""
    if not mass > 0:
        raise ValueError(f"mass must be positive (GeV); got {mass}")
    if not 0 <= burn < sweeps:
        raise ValueError(f"burn must lie between 0 and sweeps - 1 = {sweeps - 1}; got {burn}")
    return mass, sweeps, burn


def predict(fitted: tuple[float, int, int], inputs: Tracks) -> dict[str, Array]:
    """q/pT, pz, d0, z0; q/pT = 0 (no answer) for hits on a straight line."""
    mass, sweeps, burn = fitted
    curved = np.flatnonzero(circles.helix(inputs)["qopt"])
    found = {name: np.zeros(len(inputs)) for name in ("qopt", "pz", "d0", "z0")}
    for index, part in linear_fit.chunks(inputs.take(curved), TRACKS):
        start = matrix_tracks.fitted(part, mass, 2)
        model = linear_fit.linear(part, start, mass)
        shift = posterior_mean(model, part.mask, numbers(part, sweeps), burn)
        best = linear_fit.moved(start, model.normal, shift)
        for name, values in matrix_tracks.parameters(best).items():
            found[name][curved[index]] = values
    return found


def numbers(tracks: Tracks, sweeps: int) -> NDArray[np.float32]:
    """(n, sweeps, 3, 2 (12 + 20)): normal numbers of kicks and of hits, and uniform ones.

    They follow from each track's hits, so that no answer depends on what else is asked.
    """
    size = 2 * (CYLINDERS + SLOTS)
    found = np.zeros((len(tracks), sweeps, 3, size), dtype=np.float32)
    for own, hits, count in zip(found, tracks.hits, tracks.mask.sum(1), strict=True):
        generator = np.random.default_rng(zlib.crc32(hits[:count].tobytes()))
        own[:, :2] = generator.standard_normal((sweeps, 2, size), dtype=np.float32)
        own[:, 2] = generator.random((sweeps, size), dtype=np.float32)
    return found


def posterior_mean(
    model: Linear, mask: NDArray[np.bool_], random: NDArray[np.float32], burn: int
) -> Array:
    """(n, 5): the mean of a, b, c, z0 and tan(lambda) over the sweeps after `burn`."""
    slots, kicks = mask.shape[1], model.theta.shape[1]
    full = np.concatenate([mask, mask], 1)
    noise = np.where(full, model.noise, 0.0)
    # Numbers of kicks lie as (plane, 12 + 20), those of hits as (r or z, 20).
    own_kicks = [k + j for k in (0, CYLINDERS + SLOTS) for j in range(kicks)]
    own_hits = [k + j for k in (0, SLOTS) for j in range(slots)]
    twice = 2 * model.theta**2
    variance = twice / 2
    total = np.zeros((len(mask), 5))
    sweeps = random.shape[1]
    for sweep in range(sweeps):
        normal, error, uniform = np.moveaxis(random[:, sweep].astype(np.float64), 1, 0)
        found, kick = _sweep(
            model, variance, normal[:, own_kicks], noise * error[:, own_hits], error[:, -5:]
        )
        if sweep >= burn:
            total += found
        square = kick[:, :kicks] ** 2 + kick[:, kicks:] ** 2
        variance = twice * _draw(square, twice, uniform[:, :kicks])
    return np.asarray(total / (sweeps - burn))


def _sweep(
    model: Linear, variance: Array, normal: Array, error: Array, free: Array
) -> tuple[Array, Array]:
    """The best estimate (n, 5) at these variances, and a draw of the kicks (n, 2 kicks).

    Kicks are drawn around those of a random track with random hits (Matheron's rule): k0 + V L^T
    C^-1 (residual - A p - L k0 - e0) with p drawn from its posterior.
    """
    both = np.concatenate([variance, variance], 1)
    kick = normal * np.sqrt(both)
    moved = (model.lever @ kick[..., None])[..., 0] + error
    estimate, covariance, inverse = linear_fit.solve(model, variance, moved)
    drawn = estimate + (_root(covariance) @ free[..., None])[..., 0]
    weighted = inverse[..., 5] - inverse[..., 6] - (inverse[..., :5] @ drawn[..., None])[..., 0]
    return estimate, kick + both * (model.lever.swapaxes(1, 2) @ weighted[..., None])[..., 0]


def _root(covariance: Array) -> Array:
    """Lower triangles whose squares are the covariances (n, 5, 5)."""
    scale = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = covariance / scale[:, :, None] / scale[:, None]
    small = 1e-9 * np.eye(covariance.shape[1])  # rounding may leave a tiny negative eigenvalue
    return np.asarray(np.linalg.cholesky(correlation + small) * scale[:, :, None])


def _draw(square: Array, twice: Array, uniform: Array) -> Array:
    """U of each kick (n, kicks), drawn from the grid given its squared size."""
    ratio = square / np.where(twice > 0, twice, 1.0)
    weight = np.exp(-ratio[..., None] / (2 * GRID) + ratio[..., None] / 2) / GRID
    below = np.cumsum(weight, axis=-1)
    index = (below < uniform[..., None] * below[..., -1:]).sum(-1)
    return np.asarray(GRID[np.minimum(index, len(GRID) - 1)])


MODEL = Model(
    tasks=("track_parameters",),
    role="classical",
    reference="""@article{Geman:1984,
  author = {Geman, Stuart and Geman, Donald},
  title = {Stochastic relaxation, {Gibbs} distributions, and the {Bayesian} restoration of images},
  journal = {IEEE Trans. Pattern Anal. Mach. Intell.},
  volume = {6},
  pages = {721--741},
  year = {1984}
}""",
    fit=fit,
    predict=predict,
    deterministic=True,
    quick={"sweeps": 6, "burn": 2},
)
