"""Distances between two samples of showers: each formula once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.arrays import spans

Floats = NDArray[np.float64]

NUMBERS = 2**22  # voxels that are looked at in double precision at a time


def blocks(showers: int, voxels: int) -> list[slice]:
    """Showers in parts of about `NUMBERS` voxels; one part of none where there are none.

    >>> blocks(3, 2**22)
    [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
    """
    return spans(showers, NUMBERS // voxels)


def jensen_shannon(right: Floats, weights: Floats) -> float:
    """1 + mean of log2 p(right answer) in bits: 1 - BCE/ln 2, which the CaloChallenge calls JSD.

    A lower bound of the divergence of Jensen and Shannon when the judge saw other pairs. Samples
    that cannot be told apart give a little less than 0, since trees over-fit a little.

    >>> round(jensen_shannon(np.log2([[0.5, 0.8]]), np.ones(1)), 5)
    0.33904
    """
    return float(1 + weights @ right.mean(1) / weights.sum())


def frechet(first: Floats, second: Floats, weights: Floats) -> float:
    """|mu1 - mu2|^2 + Tr(S1 + S2 - 2 (S1 S2)^1/2) of the Gaussians of two samples (n, columns).

    The Frechet distance of arXiv:2211.10295. The trace of the root is the sum of the roots of
    the eigenvalues of S1^1/2 S2 S1^1/2.
    """
    (mean, left), (other, right) = (_moments(s, weights) for s in (first, second))
    return float((mean - other) @ (mean - other)) + covariance_distance(left, right)


def _moments(sample: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Mean (columns,) and unbiased covariance (columns, columns) with whole weights.

    As `np.cov`, whose copies take eight times as long as the product.
    """
    total = weights.sum()
    mean = weights @ sample / total
    centred = sample - mean
    return mean, (centred * weights[:, None]).T @ centred / (total - 1)


def covariance_distance(first: Floats, second: Floats) -> float:
    """Tr(A + B - 2 (A B)^1/2) of two covariance matrices.

    >>> round(covariance_distance(np.diag([1.0, 4.0]), np.array([[1, 0.6], [0.6, 1]])), 6)
    1.272872
    """
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    common = np.linalg.eigvalsh(root @ second @ root)
    return float(np.trace(first + second) - 2 * np.sqrt(np.maximum(common, 0.0)).sum())


def kernel_distance(first: Floats, second: Floats) -> float:
    """Unbiased squared MMD of samples (n, d) and (m, d) with the kernel (x.y/d + 1)^4.

    >>> kernel_distance(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]))
    32.5
    """
    within = [_off_diagonal(_kernel(s, s)) for s in (first, second)]
    return float(sum(within) - 2 * _kernel(first, second).mean())


def _kernel(first: Floats, second: Floats) -> Floats:
    return np.asarray(np.square(np.square(first @ second.T / first.shape[1] + 1)))


def _off_diagonal(matrix: Floats) -> float:
    count = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (count * (count - 1)))


def separation(first: Floats, second: Floats) -> Floats:
    """S = 1/2 sum (h - g)^2/(h + g) over the last axis of two normalised histograms, in [0, 1].

    >>> round(float(separation(np.array([0.5, 0.3, 0.2]), np.array([0.4, 0.4, 0.2]))), 6)
    0.012698
    """
    total = first + second
    return np.asarray(
        0.5 * ((first - second) ** 2 / np.where(total > 0, total, 1.0)).sum(-1), np.float64
    )
