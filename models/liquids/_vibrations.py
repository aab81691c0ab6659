"""Vibrations about the inherent structure: how softly a particle is held.

The Hessian H of the potential energy has (d, d) blocks; D_i is that of particle i with itself.
G = H^-1 (uniform translations are lifted out of its way) has the thermal fluctuation of the
particle over k_B T as its block G_ii.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from physbench.datasets.liquids import Configuration
from physbench.models.liquids._potential import Bonds, bonds, per_particle
from physbench.models.liquids._remembered import remembered

Array = NDArray[np.float64]

LIFT = 30.0  # stiffness given to uniform translations, of the order of the others
BLOCK = 1024


@remembered
def vibrations(configuration: Configuration, structure: str) -> Array:
    """(n, 4): log Tr G_ii, log det D_i, log Tr D_i^-1 and the anharmonic energy sum_j V'':g_ij/4.

    g_ij = G_ii + G_jj - G_ij - G_ji is the fluctuation of the distance vector of a bond, and half
    of V'':g_ij its mean energy over k_B T. An inverse of 12,288 x 12,288 takes some 20 CPU s.
    """
    found = bonds(configuration, structure)
    count = len(configuration)
    stiffness = bond_stiffness(found)
    own = np.zeros((count, *stiffness.shape[1:]))
    for ends in (found.first, found.second):
        np.add.at(own, ends, stiffness)
    inverse = inverse_hessian(found, stiffness, own)
    blocks = inverse.reshape(count, own.shape[1], count, own.shape[2])
    here = np.arange(count)
    self_block = blocks[here, :, here].astype(float)
    cross = blocks[found.first, :, found.second].astype(float)
    relative = self_block[found.first] + self_block[found.second] - cross - cross.swapaxes(1, 2)
    energy = per_particle(found, 0.5 * np.einsum("bij,bij->b", stiffness, relative), count)
    values = np.linalg.eigvalsh(own)
    trace = np.trace(self_block, axis1=1, axis2=2)
    return np.stack(
        [np.log(trace), np.log(values).sum(1), np.log((1 / values).sum(1)), energy], axis=1
    )


def bond_stiffness(found: Bonds) -> Array:
    """(m, d, d): V'' n n^T + V'/r (1 - n n^T) of each bond."""
    _, slope, curvature, _ = found.derivatives
    outer = found.direction[:, :, None] * found.direction[:, None, :]
    sideways = (slope / found.distance)[:, None, None]
    return (curvature[:, None, None] - sideways) * outer + sideways * np.eye(outer.shape[1])


def inverse_hessian(found: Bonds, stiffness: Array, own: Array) -> NDArray[np.float32]:
    """(n d, n d) float32, by Cholesky; raises ValueError where the structure is no minimum."""
    count, dimension = own.shape[:2]
    hessian = np.zeros((count * dimension,) * 2, dtype=np.float32, order="F")
    here = np.arange(count)
    for a in range(dimension):
        hessian[a::dimension, a::dimension] += LIFT / count
        for b in range(dimension):
            rows, columns = dimension * found.first + a, dimension * found.second + b
            hessian[rows, columns] -= stiffness[:, a, b]
            hessian[dimension * found.second + b, dimension * found.first + a] -= stiffness[
                :, a, b
            ]
            hessian[dimension * here + a, dimension * here + b] += own[:, a, b]
    factor, bad = lapack.spotrf(hessian, lower=1, overwrite_a=1)
    if bad:
        raise ValueError(
            "the Hessian is not positive definite: positions='inherent' needs energy minima, and "
            "these are not; minimise the configuration again"
        )
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    return _whole(inverse)


def _whole(lower: NDArray[np.float32]) -> NDArray[np.float32]:
    """The symmetric matrix of which the lower triangle is filled, in place, block by block."""
    size = len(lower)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        lower[:start, start:stop] = lower[start:stop, :start].T
        corner = np.tril(lower[start:stop, start:stop])
        lower[start:stop, start:stop] = corner + np.tril(corner, -1).T
    return lower
