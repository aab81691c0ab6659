"""Two helicity amplitudes with a term that grows with mass, behind a Gaussian detector.

Latent variables z = (u, s, c, y): scaled log mass and recoil in [0, 1], cosine of the angle to a
fixed beam and scaled rapidity in [-1, 1]. With helicity h = +-1 and quark direction q = +-1,

    p(z|theta) ~ sum_h A_h(c, y) (1 + theta a_h e^(kappa u + nu s))^2 e^(-lambda u - mu s),
    A_h(c, y) = sum_q (1 + q g y)/4 * 3/8 (1 + h q c)^2.

As in Drell-Yan only the boost tells which beam held the quark. The detector adds normal errors to
z, and two observables d1, d2 without information on theta. All integrals over z are closed, so
the ratio of observables is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.events import Array, Process

LAMBDA, MU = 3.0, 2.0  # fall of mass and recoil
KAPPA, NU = 1.2, 0.8  # growth of the new term with mass and recoil
COUPLING = {+1: 0.8, -1: -0.2}  # a_h
BOOST = 0.8  # g
SIGMA = np.array([0.15, 0.25, 0.25, 0.25])  # resolution of u, s, c, y
TAILED, WIDE = 0.1, 4.0  # d1: share and width of its wide part
COPIED, BLUR = 0.7, 0.3  # d2: weight of the observed mass, and width


def exponential_mean(k: float) -> float:
    """J(k) = int_0^1 e^(-k t) dt = (1 - e^-k)/k.

    >>> round(exponential_mean(3.0), 8)
    0.31673764
    """
    return float(-np.expm1(-k) / k)


def _norms() -> tuple[float, float]:
    """n_k = sum_h binom(2, k) a_h^k J(lambda - k kappa) J(mu - k nu) / (2 J(lambda) J(mu))."""
    mean = [exponential_mean(LAMBDA - j * KAPPA) * exponential_mean(MU - j * NU) for j in range(3)]
    first = sum(2 * a for a in COUPLING.values()) * mean[1] / (2 * mean[0])
    second = sum(a * a for a in COUPLING.values()) * mean[2] / (2 * mean[0])
    return first, second


def _coefficients(growth: Any) -> Array:
    """(n, 2) from `growth[h][j]` (n,): sum_h (2 a_h T_h1, a_h^2 T_h2) over sum_h T_h0."""
    reference = sum(growth[h][0] for h in COUPLING)
    first = sum(2 * a * growth[h][1] for h, a in COUPLING.items())
    second = sum(a * a * growth[h][2] for h, a in COUPLING.items())
    return np.stack([first / reference, second / reference], 1)


def coefficients(z: Array) -> Array:
    """Morphing coefficients of latent variables (n, 4); (n, 2)."""
    u, s, c, y = np.asarray(z, dtype=np.float64).T
    growth = np.exp(KAPPA * u + NU * s)
    angular = {h: _angular(h, 1.0, y, (1.0, c, c * c)) for h in COUPLING}
    return _coefficients({h: [a * growth**j for j in range(3)] for h, a in angular.items()})


def _angular(h: int, y0: Any, y1: Any, c: tuple[Any, Any, Any]) -> Any:
    """A_h from moments 0 and 1 of y and 0 to 2 of c."""
    return sum(
        (y0 + q * BOOST * y1) / 4 * 0.375 * (c[0] + 2 * h * q * c[1] + c[2]) for q in (1, -1)
    )


def expected(x: Array) -> Array:
    """E[C1, C2 | x] at theta = 0 for observables (n, >= 4); (n, 2). The last two cancel."""
    u, s, c, y = np.asarray(x, dtype=np.float64)[:, :4].T
    masses = [smeared_exponential(u, LAMBDA - j * KAPPA, SIGMA[0]) for j in range(3)]
    recoils = [smeared_exponential(s, MU - j * NU, SIGMA[1]) for j in range(3)]
    cosine, rapidity = smeared_moments(c, SIGMA[2]), smeared_moments(y, SIGMA[3])
    angular = {h: _angular(h, rapidity[0], rapidity[1], cosine) for h in COUPLING}
    products = [m * r for m, r in zip(masses, recoils, strict=True)]
    return _coefficients({h: [a * p for p in products] for h, a in angular.items()})


def smeared_exponential(x: Array, k: float, sigma: float) -> Array:
    """int_0^1 e^(-k z) N(x; z, sigma) dz.

    = e^(-k x + k^2 sigma^2/2) [Phi((1 - m)/sigma) - Phi(-m/sigma)] with m = x - k sigma^2.
    """
    mean = x - k * sigma**2
    return np.asarray(
        np.exp(-k * x + 0.5 * (k * sigma) ** 2) * _between(-mean / sigma, (1 - mean) / sigma)
    )


def smeared_moments(x: Array, sigma: float) -> tuple[Array, Array, Array]:
    """int_-1^1 z^n N(x; z, sigma) dz for n = 0, 1, 2."""
    a, b = (-1 - x) / sigma, (1 - x) / sigma
    low, high = _normal(a), _normal(b)
    zeroth = _between(a, b)
    first = x * zeroth - sigma * (high - low)
    second = (x * x + sigma**2) * zeroth - sigma * ((1 + x) * high - (x - 1) * low)
    return zeroth, first, second


def _normal(v: Array) -> Array:
    return np.asarray(np.exp(-0.5 * v * v) / np.sqrt(2 * np.pi))


def _between(a: Array, b: Array) -> Array:
    """Phi(b) - Phi(a), from the side where both are small: tails keep their digits."""
    from scipy.special import ndtr

    upper = a > 0
    return np.asarray(ndtr(np.where(upper, -a, b)) - ndtr(np.where(upper, -b, a)))


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
    """Draws from theta = 0, and which of them the weight at theta accepts."""
    n = len(theta)
    u, s = (_falling(generator.random(n), k) for k in (LAMBDA, MU))
    y = generator.uniform(-1, 1, n)
    quark = np.where(generator.random(n) < (1 + BOOST * y) / 2, 1, -1)
    helicity = np.where(generator.random(n) < 0.5, 1, -1)
    c = helicity * quark * (2 * np.cbrt(generator.random(n)) - 1)  # density 3/8 (1 + h q c)^2
    coupling = np.where(helicity > 0, COUPLING[1], COUPLING[-1])
    weight = (1 + theta * coupling * np.exp(KAPPA * u + NU * s)) ** 2
    largest = max(abs(a) for a in COUPLING.values())
    bound = (1 + np.abs(theta) * largest * np.exp(KAPPA + NU)) ** 2
    return np.stack([u, s, c, y], 1), generator.random(n) * bound < weight


def _falling(uniform: Array, k: float) -> Array:
    """Inverse of the distribution ~ e^(-k t) on [0, 1]."""
    return np.asarray(-np.log1p(uniform * np.expm1(-k)) / k)


def detect(z: Array, generator: np.random.Generator) -> Array:
    """(n, 6): z with normal errors, d1 with a wide tail, d2 = 0.7 x_u + 0.3 noise."""
    n = len(z)
    x = z + SIGMA * generator.standard_normal((n, 4))
    width = np.where(generator.random(n) < TAILED, WIDE, 1.0)
    first = width * generator.standard_normal(n)
    second = COPIED * x[:, 0] + BLUR * generator.standard_normal(n)
    return np.column_stack([x, first, second])


PROCESS = Process("helicity", simulate, coefficients, expected, _norms())
