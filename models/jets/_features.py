"""Thirty-nine features of jets that know neither direction nor pT scale.

All depend on the constituents (n, slots, 3) through the fractions z_i = pT_i / sum pT
and the distances r_i from the pT-weighted centroid and d_ij between constituents, so that they are
the same for a turned, a moved and a rescaled jet.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physbench.datasets.jets import Jets

SHARES = (0.003, 0.006, 0.012, 0.025, 0.05, 0.1, 0.2)  # borders of z
RINGS = (0.02, 0.05, 0.1, 0.17, 0.25, 0.35, 0.5, 0.65)  # borders of r
ZONES = (0.1, 0.25, 0.45)  # coarser borders of r
PAIRS = (0.02, 0.05, 0.1, 0.17, 0.25, 0.35, 0.5, 0.7, 0.9)  # borders of d
LEADING = 4
SIZE = len(SHARES) + len(RINGS) + len(ZONES) + len(PAIRS) + 4 + 4 + LEADING
BATCH = 1000


def table(jets: Jets | Tensor) -> NDArray[np.float32]:
    """(n, 39) float32 of jets, or of a tensor of constituents (n, slots, 3), pT in GeV."""
    data = jets if isinstance(jets, Tensor) else torch.from_numpy(np.array(jets.constituents))
    found = np.empty((len(data), SIZE), dtype=np.float32)
    for index, part in _alike(data):
        found[index] = torch.cat(list(_columns(part)), dim=1).numpy()
    return found


def _alike(data: Tensor) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Batches of jets with about as many constituents, cut to the widest: less to compute."""
    count = (data[..., 0] > 0).sum(1)
    for index in torch.split(count.argsort(stable=True), BATCH):
        yield index.numpy(), _hardest_first(data[index])[:, : int(count[index].max())]


def _hardest_first(jets: Tensor) -> Tensor:
    order = jets[..., 0].argsort(dim=1, descending=True, stable=True)
    return torch.gather(jets, 1, order[..., None].expand_as(jets))


def _columns(jets: Tensor) -> Iterator[Tensor]:
    """Groups of columns: spectrum, profile, counts by zone, correlator, shape."""
    pt, filled = jets[..., 0], (jets[..., 0] > 0).float()
    z = pt / pt.sum(1, keepdim=True)
    angles = jets[..., 1:] - (z[..., None] * jets[..., 1:]).sum(1, keepdim=True)
    r = angles.norm(dim=-1)
    yield binned(z, filled, SHARES).sqrt()
    yield binned(r, z, RINGS).sqrt()
    yield binned(r, filled, ZONES).sqrt()
    first, second = torch.triu_indices(z.shape[1], z.shape[1], offset=1)
    weight = z[:, first] * z[:, second]
    distance = (angles[:, first] - angles[:, second]).norm(dim=-1)
    yield binned(distance, weight, PAIRS).sqrt()
    yield torch.stack(list(_shape(z, r, weight, distance)), dim=1)
    yield torch.nn.functional.pad(z[:, :LEADING], (0, max(0, LEADING - z.shape[1])))


def _shape(z: Tensor, r: Tensor, weight: Tensor, distance: Tensor) -> Iterator[Tensor]:
    """ln of sum_{i<j} z_i z_j d_ij^2 (mass), the sum with d^0.2 (C2), sqrt(sum z^2), width."""
    yield torch.log((weight * distance**2).sum(1) + 1e-5)
    yield (weight * distance.clamp(min=1e-9) ** 0.2).sum(1)
    yield (z**2).sum(1).sqrt()
    yield (z * r).sum(1)


def binned(values: Tensor, weights: Tensor, borders: tuple[float, ...]) -> Tensor:
    """Sum of `weights` (n, k) in the bins of `values` between `borders`: (n, len(borders) + 1).

    A value on a border belongs to the bin above; the outer bins are open.
    """
    place = torch.bucketize(values, values.new_tensor(borders), right=True)
    empty = values.new_zeros(len(values), len(borders) + 1)
    return empty.scatter_add(1, place, weights)
