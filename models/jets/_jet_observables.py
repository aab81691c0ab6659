"""Observables of jets that carry no transverse momentum scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.jets import Jets

Array = NDArray[np.float64]

NAMES = ("log_mass_ratio", "multiplicity", "width", "pt_dispersion", "c2")


def fractions(jets: Jets) -> Array:
    """pT of each constituent over the sum of the stored ones, (n, slots)."""
    pt = jets.constituents[..., 0].astype(np.float64)
    return np.asarray(pt / pt.sum(axis=1, keepdims=True))


def width(jets: Jets) -> Array:
    """pT-weighted mean distance from the axis (n,), sum z_i dR_i."""
    angles = jets.constituents[..., 1:].astype(np.float64)
    return np.asarray((fractions(jets) * np.hypot(angles[..., 0], angles[..., 1])).sum(axis=1))


def pt_dispersion(jets: Jets) -> Array:
    """sqrt(sum z_i^2) (n,): 1 for a single constituent, 1/sqrt(m) for m equal ones."""
    return np.asarray(np.sqrt((fractions(jets) ** 2).sum(axis=1)))


def energy_correlation(jets: Jets, beta: float = 0.2, batch: int = 250) -> Array:
    """Two-point correlation sum_{i<j} z_i z_j dR_ij^beta (n,), Larkoski, Salam, Thaler 2013."""
    total = np.empty(len(jets))
    z, angles = fractions(jets), jets.constituents[..., 1:].astype(np.float64)
    for start in range(0, len(jets), batch):
        part = slice(start, start + batch)
        distance = pairwise(angles[part])
        total[part] = 0.5 * np.einsum("ni,nj,nij->n", z[part], z[part], distance**beta)
    return total


def pairwise(angles: Array) -> Array:
    """Distances dR between all constituents, (n, slots, slots), from (n, slots, 2)."""
    squares = [(a[:, :, None] - a[:, None, :]) ** 2 for a in (angles[..., 0], angles[..., 1])]
    return np.asarray(np.sqrt(squares[0] + squares[1]))


def observables(jets: Jets) -> Array:
    """(n, 5): ln(m/pT), multiplicity, width, pT dispersion, C2 with beta 0.2; see `NAMES`."""
    ratio = np.maximum(jets.mass.astype(np.float64) / jets.pt, 1e-3)
    return np.column_stack(
        [
            np.log(ratio),
            jets.multiplicity.astype(np.float64),
            width(jets),
            pt_dispersion(jets),
            energy_correlation(jets),
        ]
    )


def aligned(jets: Jets) -> NDArray[np.float32]:
    """Constituents (n, slots, 3) with pT fractions, rotated and flipped to a standard frame.

    The principal axis of the pT-weighted angles lies along the first angle, and the half-planes
    with more pT are the positive ones.
    """
    z = fractions(jets)
    angles = jets.constituents[..., 1:].astype(np.float64)
    angles = angles - np.einsum("ns,nsk->nk", z, angles)[:, None, :]
    tensor = np.einsum("ns,nsk,nsl->nkl", z, angles, angles)
    turn = 0.5 * np.arctan2(2 * tensor[:, 0, 1], tensor[:, 0, 0] - tensor[:, 1, 1])
    cosine, sine = np.cos(turn)[:, None], np.sin(turn)[:, None]
    first = cosine * angles[..., 0] + sine * angles[..., 1]
    second = cosine * angles[..., 1] - sine * angles[..., 0]
    flipped = [a * _heavier_side(z, a)[:, None] for a in (first, second)]
    return (np.stack([z, *flipped], axis=-1) * jets.mask[..., None]).astype(np.float32)


def _heavier_side(z: Array, angle: Array) -> Array:
    """+1 or -1 (n,): the sign of the half with more pT."""
    return np.where((z * np.sign(angle)).sum(axis=1) < 0, -1.0, 1.0)


def images(jets: Jets, pixels: int = 40, half_width: float = 0.8, blur: float = 1.0) -> Array:
    """Aligned pT images (n, pixels**2), blurred with a Gaussian of `blur` pixels, pixel sum 1."""
    from scipy.ndimage import gaussian_filter

    frame = aligned(jets).astype(np.float64)
    place = np.floor((frame[..., 1:] + half_width) / (2 * half_width) * pixels).astype(np.int64)
    place = np.clip(place, 0, pixels - 1)
    flat = place[..., 0] * pixels + place[..., 1] + pixels**2 * np.arange(len(jets))[:, None]
    filled = np.bincount(flat.ravel(), frame[..., 0].ravel(), minlength=len(jets) * pixels**2)
    image = filled.reshape(len(jets), pixels, pixels).astype(np.float64)
    if blur > 0:
        image = gaussian_filter(image, sigma=(0, blur, blur))
    flat_image = image.reshape(len(jets), -1)
    return np.asarray(flat_image / flat_image.sum(axis=1, keepdims=True))
