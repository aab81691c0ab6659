"""Electromagnetic showers in lead by the parametrisation of Grindhammer and Peters.

Formulas and constants of hep-ex/0001020 for a homogeneous medium, as GFlash uses them. E is in
GeV, t in X0, r in R_M, y = E/E_c. Longitudinally a shower is a gamma distribution whose logarithms
of T (maximum) and alpha fluctuate together; transversely it is a core and a tail. Instead of
placing energy spots one by one, the number of them in each cell is drawn: Poisson along the axis,
multinomial across it. The radial profile of a layer is that of its middle.

A photon starts after a conversion depth drawn from an exponential of mean 9/7 X0.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.showers import LAYERS, PARAMETRISED, RINGS, THICKNESS

Floats = NDArray[np.float64]
Particle = Literal["photon", "electron"]

Z = 82  # lead
CRITICAL = 7.36e-3  # GeV
STOCHASTIC = 0.10  # relative width of a deposit of 1 GeV
CONVERSION = 9 / 7  # X0
EDGES = THICKNESS * np.arange(LAYERS + 1)
BLOCK = 2000  # showers drawn at a time, to stay in the processor's cache


def energies(count: int, generator: np.random.Generator, low: float, high: float) -> Floats:
    """(count,) energies in GeV, log-uniform between `low` and `high`."""
    return np.exp(generator.uniform(np.log(low), np.log(high), count))


def showers(energy: Floats, generator: np.random.Generator, particle: Particle) -> Floats:
    """Voxels (n, 50) in MeV of showers with incident energies (n,) in GeV.

    Deposits below the threshold of 0.5 MeV are cut to zero.
    """
    blocks = [
        _block(energy[start : start + BLOCK], generator, particle)
        for start in range(0, len(energy), BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.zeros((0, PARAMETRISED.voxels))


def _block(energy: Floats, generator: np.random.Generator, particle: Particle) -> Floats:
    start = conversion_depth(len(energy), generator, particle)
    depth = np.maximum(EDGES - start[:, None], 0.0)
    maximum, alpha, mean_alpha = longitudinal(energy, generator)
    deposit = layer_energies(energy, depth, maximum, alpha, generator)
    spots = layer_spots(energy, depth, maximum, alpha, generator)
    middle = np.maximum((EDGES[1:] + EDGES[:-1]) / 2 - start[:, None], 0.3)
    # tau of hep-ex/0001020: depth in units of the centre of gravity
    scale = (alpha - 1) / alpha * mean_alpha / (mean_alpha - 1) / maximum
    counts = ring_spots(spots, radial(np.log(energy), middle * scale[:, None]), generator)
    share = deposit * 1e3 / np.maximum(spots, 1)
    voxels = (counts * share[..., None]).reshape(len(energy), -1)
    voxels[voxels < PARAMETRISED.threshold] = 0.0
    return voxels


def conversion_depth(count: int, generator: np.random.Generator, particle: Particle) -> Floats:
    """Depth in X0 at which the shower starts: exponential for photons, 0 for electrons."""
    if particle == "electron":
        return np.zeros(count)
    return generator.exponential(CONVERSION, count)


def longitudinal(energy: Floats, generator: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Maximum T in X0 and shape alpha of each shower, and the mean of alpha; each (n,).

    <ln T> = ln(ln y - 0.812), <ln alpha> = ln(0.81 + (0.458 + 2.26/Z) ln y), their widths
    1/(-1.4 + 1.26 ln y) and 1/(-0.58 + 0.86 ln y), correlation 0.705 - 0.023 ln y.
    """
    y = np.log(energy / CRITICAL)
    mean_alpha = 0.81 + (0.458 + 2.26 / Z) * y
    correlation = 0.705 - 0.023 * y
    a, b = np.sqrt((1 + correlation) / 2), np.sqrt((1 - correlation) / 2)
    first, second = generator.standard_normal((2, len(energy)))
    maximum = np.exp(np.log(y - 0.812) + (a * first + b * second) / (-1.4 + 1.26 * y))
    alpha = mean_alpha * np.exp((a * first - b * second) / (-0.58 + 0.86 * y))
    return maximum, np.maximum(alpha, 1.05), mean_alpha


def gamma_shares(depth: Floats, maximum: Floats, alpha: Floats) -> Floats:
    """Share of a gamma profile between depths: (n, layers + 1) edges -> (n, layers).

    P(alpha, beta t) with beta = (alpha - 1)/T, the regularised incomplete gamma function.
    """
    from scipy.special import gammainc

    beta = (alpha - 1) / maximum
    return np.diff(gammainc(alpha[:, None], beta[:, None] * depth), axis=1)


def layer_energies(
    energy: Floats,
    depth: Floats,
    maximum: Floats,
    alpha: Floats,
    generator: np.random.Generator,
) -> Floats:
    """Energy of each layer in GeV, (n, layers): gamma with mean dE and variance c^2 dE."""
    mean = np.maximum(energy[:, None] * gamma_shares(depth, maximum, alpha), 1e-9)
    return generator.gamma(mean / STOCHASTIC**2, STOCHASTIC**2)


def layer_spots(
    energy: Floats,
    depth: Floats,
    maximum: Floats,
    alpha: Floats,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Number of energy spots in each layer, (n, layers), with the spots' own profile.

    N = Poisson(93 ln Z E^0.876); T_S = T (0.698 + 0.00212 Z), alpha_S = alpha (0.639 + 0.00334 Z).
    """
    number = generator.poisson(93 * np.log(Z) * energy**0.876)
    spots_alpha = np.maximum(alpha * (0.639 + 0.00334 * Z), 1.05)
    shares = gamma_shares(depth, maximum * (0.698 + 0.00212 * Z), spots_alpha)
    return np.asarray(generator.poisson(number[:, None] * shares))


def radial(log_energy: Floats, tau: Floats) -> Floats:
    """Probability of each ring and of the outside, (n, layers, rings + 1), at depths tau.

    F(r) = p r^2/(r^2 + R_C^2) + (1 - p) r^2/(r^2 + R_T^2).
    """
    log_energy = log_energy[:, None]
    core = np.maximum(0.0251 + 0.00319 * log_energy + (0.1162 - 0.000381 * Z) * tau, 1e-3)
    rise = np.exp(-2.59 * (tau - 0.645)) + np.exp((0.3585 + 0.0412 * log_energy) * (tau - 0.645))
    tail = np.maximum((0.659 - 0.00309 * Z) * rise, 1e-3)
    x = (0.401 + 0.00187 * Z - tau) / (1.313 - 0.0686 * log_energy)
    p = np.clip((2.632 - 0.00094 * Z) * np.exp(x - np.exp(x)), 0.0, 1.0)[..., None]
    squared = np.square(RINGS[1:])
    inside = p * squared / (squared + core[..., None] ** 2)
    inside += (1 - p) * squared / (squared + tail[..., None] ** 2)
    return np.diff(inside, axis=2, prepend=0.0, append=1.0)


def ring_spots(
    spots: NDArray[np.int64], shares: Floats, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Spots in each ring, (n, layers, rings): multinomial; those outside are lost."""
    shares = np.maximum(shares, 0.0)
    return generator.multinomial(spots, shares / shares.sum(2, keepdims=True))[..., :-1]
