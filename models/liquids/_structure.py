"""Structural descriptors of particles, vectorised, and remembered by content.

All are invariant under translation, rotation (of the positions and the box), relabelling of
particles, and wrapping across the boundary. Lengths in sigma_AA.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

from physbench.datasets.liquids import A, B, Configuration
from physbench.models.liquids._neighbours import Pairs, pairs
from physbench.models.liquids._remembered import remembered

Array = NDArray[np.float64]

TAIL = 4.0  # widths beyond which a Gaussian counts as zero: it is 3e-4 there
FAR_TAIL = 6.0  # the same where a mean is formed with the Gaussians as weights: 1.5e-8
BLOCK = 256  # particles at a time where a table over neighbours is made

# Widths, sign and exponent of the angular functions: the 22 triples in use for softness.
TRIPLES = (
    *((14.638, sign, zeta) for zeta in (1, 2) for sign in (-1, 1)),
    *((2.554, sign, zeta) for zeta in (1, 2) for sign in (-1, 1)),
    *((1.648, 1, zeta) for zeta in (1, 2)),
    *((xi, 1, zeta) for xi in (1.204, 0.933, 0.695) for zeta in (1, 2, 4, 16)),
)


def species(configuration: Configuration) -> list[int]:
    """The types that descriptors tell apart; raises ValueError for a third one.

    The potentials and published descriptors are those of the binary mixture.
    """
    if configuration.types.max(initial=0) > B:
        raise ValueError(
            f"these descriptors know types 0 (A) and 1 (B); got {np.unique(configuration.types)}"
        )
    return [A, B]


def grid_points(first: float, last: float, step: float) -> Array:
    """first, first + step, ..., last."""
    return np.asarray(first + step * np.arange(round((last - first) / step) + 1), np.float64)


def gaussians(
    near: Pairs, count: int, centres: Array, width: float, weights: Array | None = None
) -> Array:
    """g_i(r) = sum_j w_j exp(-(r_ij - r)^2 / (2 width^2)); (count, len(centres)).

    `centres` are evenly spaced. Terms beyond `TAIL` widths are left out.
    """
    step = centres[1] - centres[0]
    reach = int(np.ceil(TAIL * width / step))
    nearest = np.rint((near.distance - centres[0]) / step).astype(np.int64)
    met = np.flatnonzero((nearest >= -reach) & (nearest < len(centres) + reach))
    nearest, distance, row = nearest[met], near.distance[met], near.centre[met] * len(centres)
    total = np.zeros(count * len(centres))
    for offset in range(-reach, reach + 1):
        place = nearest + offset
        inside = np.flatnonzero((place >= 0) & (place < len(centres)))
        away = distance[inside] - centres[place[inside]]
        value = np.exp(-(away**2) / (2 * width**2)) * (np.abs(away) <= TAIL * width)
        if weights is not None:
            value = value * weights[met[inside]]
        total += np.bincount(row[inside] + place[inside], value, minlength=len(total))
    return total.reshape(count, len(centres))


def _of_type(near: Pairs, types: NDArray[np.int64], kind: int) -> Pairs:
    kept = types[near.other] == kind
    return Pairs(near.centre[kept], near.other[kept], near.vector[kept], near.distance[kept])


@remembered
def radial(
    configuration: Configuration,
    structure: str,
    *,
    grids: Sequence[tuple[float, float, float, float]],
) -> Array:
    """Radial functions by type of neighbour: (n, 2 x points), grid after grid.

    `grids` holds (first, last, step, width) of the centres r of each grid.
    """
    reach = max(last + TAIL * width for _, last, _, width in grids)
    near = pairs(configuration, structure, min(reach, float(configuration.box.min()) / 2))
    columns = []
    for first, last, step, width in grids:
        centres = grid_points(first, last, step)
        for kind in species(configuration):
            part = _of_type(near, configuration.types, kind)
            columns.append(gaussians(part, len(configuration), centres, width))
    return np.concatenate(columns, axis=1)


@remembered
def bond_order(
    configuration: Configuration,
    structure: str,
    *,
    degrees: int,
    first: float,
    last: float,
    step: float,
    width: float,
) -> Array:
    """q_i(l, r) = sqrt(4 pi/(2l + 1) sum_m |q_i(l, m, r)|^2) for l = 1..degrees; (n, l x points).

    q_i(l, m, r) is the mean of Y_lm over the neighbours of any type, weighted with
    exp(-(r_ij - r)^2 / (2 width^2)); 0 where no neighbour has a weight.
    """
    centres = grid_points(first, last, step)
    reach = min(last + FAR_TAIL * width, float(configuration.box.min()) / 2)
    near = pairs(configuration, structure, reach)
    table = np.empty((len(configuration), degrees * len(centres)))
    for start in range(0, len(configuration), BLOCK):
        stop = min(start + BLOCK, len(configuration))
        low, high = np.searchsorted(near.centre, (start, stop))
        block = Pairs(*(part[low:high] for part in vars(near).values()))
        table[start:stop] = _bond_order(block, start, stop - start, centres, width, degrees)
    return table


def _bond_order(
    near: Pairs, start: int, count: int, centres: Array, width: float, degrees: int
) -> Array:
    away = near.distance[:, None] - centres
    weight = np.exp(-(away**2) / (2 * width**2)) * (np.abs(away) <= FAR_TAIL * width)
    degree, rows = harmonics(near.vector / near.distance[:, None], degrees)
    ends = np.searchsorted(near.centre, np.arange(start, start + count + 1))
    first = np.flatnonzero(np.diff(degree, prepend=0))  # where each degree begins
    found = np.empty((count, degrees, len(centres)))
    for number, (low, high) in enumerate(itertools.pairwise(ends)):
        total = weight[low:high].sum(0)
        mean = (rows[:, low:high] @ weight[low:high]) / np.where(total > 0, total, np.inf)
        found[number] = np.sqrt(np.add.reduceat(mean**2, first))
    each = np.arange(1, degrees + 1)
    return (found * np.sqrt(4 * np.pi / (2 * each + 1))[:, None]).reshape(count, -1)


def harmonics(unit: Array, degrees: int) -> tuple[NDArray[np.int64], Array]:
    """Degree of each row, and 2l + 1 rows for each l = 1..degrees whose squares sum as |Y_lm|^2.

    Real and imaginary parts of Y_lm for m >= 0 at unit vectors (e, 3), up to a sign, those of
    m > 0 times sqrt(2) since m < 0 has the same. Recursion over l of the normalised associated
    Legendre functions over sin^m, which (x + iy)^m brings along.
    """
    z, planar, turn = unit[:, 2], unit[:, 0] + 1j * unit[:, 1], np.ones(len(unit), complex)
    found: list[tuple[int, Array]] = []
    size = 1 / (4 * np.pi)
    for m in range(degrees + 1):
        if m:
            turn, size = turn * planar, size * (2 * m + 1) / (2 * m)
        older, old = np.zeros_like(z), np.full_like(z, np.sqrt(size * (2 if m else 1)))
        for degree in range(m, degrees + 1):
            if degree > m:
                up = (4 * degree**2 - 1) / (degree**2 - m**2)
                back = ((degree - 1) ** 2 - m**2) / (4 * (degree - 1) ** 2 - 1)
                older, old = old, np.sqrt(up) * (z * old - np.sqrt(back) * older)
            parts = (turn.real, turn.imag) if m else (turn.real,)
            found += [(degree, old * part) for part in parts if degree]
    found.sort(key=lambda pair: pair[0])
    return np.array([degree for degree, _ in found]), np.array([row for _, row in found])


@remembered
def angular(configuration: Configuration, structure: str, *, cutoff: float) -> Array:
    """Psi_i(xi, lambda, zeta) for pairs of neighbours AA, AB, BB within `cutoff`; (n, 66).

    sum over j != k of exp(-(r_ij^2 + r_ik^2 + r_jk^2)/xi^2) (1 + lambda cos theta_jik)^zeta.
    """
    near = pairs(configuration, structure, cutoff)
    species(configuration)
    count = len(configuration)
    degree = np.bincount(near.centre, minlength=count)
    place = np.arange(len(near.centre)) - np.repeat(np.cumsum(degree) - degree, degree)
    table = np.empty((count, 3 * len(TRIPLES)))
    for start in range(0, count, BLOCK):
        low, high = np.searchsorted(near.centre, (start, start + BLOCK))
        rows, slots = near.centre[low:high] - start, place[low:high]
        shape = (min(BLOCK, count - start), int(degree[start : start + BLOCK].max(initial=0)))
        vector, kind = np.zeros((*shape, 3)), np.full(shape, -1)
        vector[rows, slots] = near.vector[low:high]
        kind[rows, slots] = configuration.types[near.other[low:high]]
        table[start : start + shape[0]] = _angular(vector, kind)
    return table


def _angular(vector: Array, kind: NDArray[np.int64]) -> Array:
    """For a block of particles with padded neighbours: vectors (n, k, 3), types (n, k) or -1."""
    squared = (vector**2).sum(2)
    scalar = vector @ vector.swapaxes(1, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.sqrt(squared)
        cosine = np.clip(scalar / (length[:, :, None] * length[:, None, :]), -1, 1)
    cosine = np.nan_to_num(cosine)
    # r_ij^2 + r_ik^2 + r_jk^2 with r_jk^2 = r_ij^2 + r_ik^2 - 2 r_ij . r_ik
    spread = 2 * (squared[:, :, None] + squared[:, None, :] - scalar)
    other = ~np.eye(vector.shape[1], dtype=bool)
    masks = [(kind == t).astype(float) for t in (A, B)]
    envelopes = {xi: np.exp(-spread / xi**2) * other for xi in {t[0] for t in TRIPLES}}
    columns = []
    for xi, sign, zeta in TRIPLES:
        term = envelopes[xi] * (1 + sign * cosine) ** zeta
        for first, second in ((0, 0), (0, 1), (1, 1)):
            half = np.matmul(masks[first][:, None, :], term)[:, 0]
            columns.append((half * masks[second]).sum(1) * (2 if first != second else 1))
    return np.stack(columns, axis=1)


def averaging(near: Pairs, count: int, length: float, *, itself: bool = True) -> Any:
    """Sparse (count, count) matrix of weights exp(-r_ij/length), rows normalised to 1."""
    weight = csr_array(
        (np.exp(-near.distance / length), (near.centre, near.other)), shape=(count, count)
    )
    if itself:
        weight = weight + eye_array(count, format="csr")
    total = np.asarray(weight.sum(axis=1)).ravel()
    return csr_array(weight.multiply(1 / np.maximum(total, 1e-300)[:, None]))


@remembered
def recursive(
    configuration: Configuration,
    structure: str,
    *,
    radial_last: float = 5.0,
    degrees: int = 12,
    generations: int = 2,
    shell: float = 2.1,
) -> Array:
    """Descriptors of Boattini et al. (Phys. Rev. Lett. 127, 088007, 2021): (n, f).

    Radial functions by type on two grids (0.85 to 2.0 in steps of 0.025, on to `radial_last` in
    steps of 0.05), bond order l = 1..degrees on 1.0 to 2.5, then `generations` times the average
    of all of them over the particles within `shell`, weighted with exp(-r/shell). Grids as
    published descriptors use them; the original's own could not be checked. With the defaults
    406 x 3 = 1218 columns.
    """
    grids = ((0.85, 2.0, 0.025, 0.025), (2.05, radial_last, 0.05, 0.05))
    first = np.concatenate(
        [
            radial(configuration, structure, grids=grids),
            bond_order(
                configuration,
                structure,
                degrees=degrees,
                first=1.0,
                last=2.5,
                step=0.1,
                width=0.1,
            ),
        ],
        axis=1,
    )
    near = pairs(configuration, structure, shell)
    average = averaging(near, len(configuration), shell)
    found = [first]
    for _ in range(generations):
        found.append(np.asarray(average @ found[-1]))
    return np.concatenate(found, axis=1)
