"""Object condensation: hits of a particle gather around the one that is surest of itself.

Each hit has a confidence beta in (0, 1), which makes its charge q = atanh(beta)^2 + Q_MIN, and a
point x. With alpha(k) the hit of the largest charge of particle k and M_ik = 1 for its hits,

    V = 1/N sum_i q_i sum_k q_alpha(k) [ M_ik |x_i - x_alpha|^2 + (1 - M_ik) max(0, 1 - |...|) ],
    B = 1/K sum_k (1 - beta_alpha(k)) + S_B mean of beta over hits of no particle.

Source: Kieseler, Eur. Phys. J. C 80 (2020) 886 (arXiv:2002.03605), equations 4 to 8.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from physbench.datasets.hits import Floats, Integers
from physbench.models.hits import _track_building as track_building

Q_MIN, S_B = 0.1, 0.1
LARGEST = 0.999  # of a confidence: its charge is finite


def loss(beta: Tensor, points: Tensor, particle: Tensor) -> Tensor:
    """V + B of confidences (n,), points (n, d) and numbers (n,) of the particles, -1 for none."""
    noise = particle < 0
    count = int(particle.max()) + 1 if len(particle) else 0
    penalty = S_B * beta[noise].mean() if noise.any() else beta.sum() * 0
    if count == 0:
        return penalty
    charge = torch.atanh(beta.clamp(max=LARGEST)) ** 2 + Q_MIN
    alpha = condensed(charge.detach(), particle, count)
    distance = torch.cdist(points, points[alpha])
    own = particle[:, None] == torch.arange(count)
    potential = torch.where(own, distance**2, torch.relu(1 - distance))
    pulled = charge @ (potential @ charge[alpha]) / len(beta)
    found: Tensor = pulled + (1 - beta[alpha]).mean() + penalty
    return found


def condensed(charge: Tensor, particle: Tensor, count: int) -> Tensor:
    """(count,) the hit of the largest charge of each particle.

    >>> condensed(torch.tensor([0.2, 0.5, 0.9]), torch.tensor([0, 0, -1]), 1).tolist()
    [1]
    """
    order = torch.argsort(charge, stable=True)
    order = order[particle[order] >= 0]
    found = torch.zeros(count, dtype=torch.long)
    for_each = particle[order].numpy()
    last = len(for_each) - 1 - np.unique(for_each[::-1], return_index=True)[1]
    found[np.unique(for_each)] = order[last]
    return found


def clusters(beta: Floats, points: NDArray[np.float32], least: float, reach: float) -> Integers:
    """Labels (n,): the surest free hit takes all free hits within `reach`, while beta > `least`.

    Hits of no cluster, and clusters of fewer than three hits, are -1.
    """
    seeds = np.flatnonzero(beta > least)
    seeds = seeds[np.argsort(-beta[seeds], kind="stable")]
    labels = np.full(len(beta), -1, dtype=np.int64)
    if len(seeds):
        near = cKDTree(points).query_ball_point(points[seeds], reach)
        for number, (seed, hits) in enumerate(zip(seeds.tolist(), near, strict=True)):
            if labels[seed] < 0:
                mine = np.asarray(hits)
                labels[mine[labels[mine] < 0]] = number
    return track_building.longer(labels, track_building.HITS_MIN)
