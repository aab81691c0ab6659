"""A signal that interferes with its background: three Gaussians, one of them negative.

Amplitudes of background and signal are square roots of Gaussian densities B and S of four latent
variables z, partly coherent. With kappa = 1 + delta theta the strength of the signal amplitude,

    p(z|theta) ~ B(z) + 2 rho kappa sqrt(B(z) S(z)) + kappa^2 S(z),

the form of off-shell Higgs production, where rho < 0. sqrt(B S) is a Gaussian X times the overlap
s = int sqrt(B S) dz, and normal errors of the detector add to the covariance of each, so the ratio
of observables is exact. |rho| < 1 keeps every density positive.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.events import Array, Process

DELTA = 0.7  # kappa in [0.3, 1.7]
RHO = -0.6
SIGMA = np.array([0.6, 0.6, 0.6, 0.6])  # resolution
COPIED, BLUR = 0.7, 0.5  # the fifth observable: weight of the first one, and width


class Gaussian(NamedTuple):
    """Mean (4,) and covariance (4, 4)."""

    mean: Array
    covariance: Array

    def density(self, z: Array) -> Array:
        """(n,) at z (n, 4): exp(-(ln det 2 pi V + (z - m) V^-1 (z - m))/2).

        In the eigenvectors of V, as SciPy does, whose import takes a second.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        scaled = (z - self.mean) @ (vectors / np.sqrt(values))
        constant = len(values) * np.log(2 * np.pi) + np.log(values).sum()
        return np.asarray(np.exp(-0.5 * (constant + np.square(scaled).sum(-1))))


def _correlated(first: float, second: float) -> Array:
    """Unit variances; correlations of variables 0, 1 and of 2, 3."""
    covariance = np.eye(4)
    covariance[0, 1] = covariance[1, 0] = first
    covariance[2, 3] = covariance[3, 2] = second
    return covariance


BACKGROUND = Gaussian(np.zeros(4), _correlated(0.7, -0.6))
SIGNAL = Gaussian(np.array([0.8, 0.4, -0.4, 0.8]), 0.8 * _correlated(-0.6, 0.5))


def crossed(first: Gaussian, second: Gaussian) -> tuple[float, Gaussian]:
    """Overlap s and Gaussian X with sqrt(first second) = s X.

    V = 2 (V1^-1 + V2^-1)^-1, m = V (V1^-1 m1 + V2^-1 m2)/2, s the Bhattacharyya coefficient.
    """
    inverse = [np.linalg.inv(g.covariance) for g in (first, second)]
    covariance = 2 * np.linalg.inv(inverse[0] + inverse[1])
    mean = covariance @ (inverse[0] @ first.mean + inverse[1] @ second.mean) / 2
    shift, middle = second.mean - first.mean, (first.covariance + second.covariance) / 2
    determinants = [np.linalg.det(g.covariance) for g in (first, second)]
    distance = shift @ np.linalg.solve(middle, shift) / 8
    distance += 0.5 * np.log(np.linalg.det(middle) / np.sqrt(np.prod(determinants)))
    return float(np.exp(-distance)), Gaussian(mean, covariance)


OVERLAP, CROSSED = crossed(BACKGROUND, SIGNAL)
# Integrals of the three terms: their morphing gives n1, n2.
TERMS = np.array([1.0, OVERLAP, 1.0])


def _coefficients(background: Array, mixed: Array, signal: Array) -> Array:
    """(n, 2) from the three terms (n,): the powers of theta over the density at theta = 0."""
    reference = background + 2 * RHO * mixed + signal
    first = 2 * DELTA * (RHO * mixed + signal)
    second = DELTA**2 * signal
    return np.stack([first / reference, second / reference], -1)


def _norms() -> tuple[float, float]:
    first, second = _coefficients(*TERMS)
    return float(first), float(second)


def coefficients(z: Array) -> Array:
    """Morphing coefficients of latent variables (n, 4); (n, 2)."""
    background, signal = BACKGROUND.density(z), SIGNAL.density(z)
    return _coefficients(background, np.sqrt(background * signal), signal)


def expected(x: Array) -> Array:
    """E[C1, C2 | x] at theta = 0 for observables (n, >= 4); (n, 2). The last two cancel."""
    terms = [
        Gaussian(g.mean, g.covariance + np.diag(SIGMA**2)).density(x[:, :4])
        for g in (BACKGROUND, CROSSED, SIGNAL)
    ]
    return _coefficients(terms[0], OVERLAP * terms[1], terms[2])


def simulate(theta: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Latent (n, 4) and observed (n, 6) variables, one event for each theta, by accept-reject."""
    z = np.zeros((len(theta), 4))
    open_ = np.arange(len(theta))
    while len(open_):
        drawn, accepted = _propose(theta[open_], generator)
        z[open_[accepted]] = drawn[accepted]
        open_ = open_[~accepted]
    return z, detect(z, generator)


def _propose(theta: Array, generator: np.random.Generator) -> tuple[Array, NDArray[np.bool_]]:
    """Draws of B + kappa^2 S, and which of them interference leaves.

    2 sqrt(B S) kappa <= B + kappa^2 S, so (1 + |rho|) times the proposal is above the density.
    """
    strength = (1 + DELTA * theta) ** 2
    is_signal = generator.random(len(theta)) < strength / (1 + strength)
    noise = generator.standard_normal((len(theta), 4))
    drawn = [g.mean + noise @ np.linalg.cholesky(g.covariance).T for g in (BACKGROUND, SIGNAL)]
    z = np.where(is_signal[:, None], drawn[1], drawn[0])
    background, signal = BACKGROUND.density(z), strength * SIGNAL.density(z)
    density = background + 2 * RHO * np.sqrt(background * signal) + signal
    bound = (1 + max(RHO, 0.0)) * (background + signal)
    return z, generator.random(len(theta)) * bound < density


def detect(z: Array, generator: np.random.Generator) -> Array:
    """(n, 6): z with normal errors, a copy of the first with more noise, and noise alone."""
    x = z + SIGMA * generator.standard_normal(z.shape)
    copy = COPIED * x[:, 0] + BLUR * generator.standard_normal(len(z))
    return np.column_stack([x, copy, generator.standard_normal(len(z))])


PROCESS = Process("interference", simulate, coefficients, expected, _norms())
