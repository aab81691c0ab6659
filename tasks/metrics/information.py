"""Entropy, mutual information and proficiency, in nats.

Nearest-neighbour estimators take X of any dimension as a whole: distances are the largest
difference over all of its columns. Sources: Kraskov, Stoegbauer, Grassberger, Phys. Rev. E 69,
066138 (2004); Ross, PLoS ONE 9, e87357 (2014); Kozachenko and Leonenko (1987).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

JITTER = 1e-10  # relative noise that breaks ties; repeated points would make I1 nonsense


def entropy(table: ArrayLike) -> float:
    """H = -sum p ln p of a table of probabilities or counts, of any shape."""
    p = np.asarray(table, dtype=np.float64).ravel()
    p = p[p > 0] / p.sum()
    return float(-(p * np.log(p)).sum())


def conditional_entropy(joint: ArrayLike) -> float:
    """H(Y|X) = H(X, Y) - H(X) of a joint table (x, y) of probabilities or counts."""
    table = np.asarray(joint, dtype=np.float64)
    return entropy(table) - entropy(table.sum(1))


def proficiency(information: float, entropy_y: float) -> float:
    """U(Y|X) = I(X; Y)/H(Y): 1 when Y is a function of X, 0 when they are independent.

    NaN when H(Y) is not positive: a constant, or a differential entropy without meaning.
    """
    return information / entropy_y if entropy_y > 0 else math.nan


def quantile_bins(y: ArrayLike, bins: int = 8) -> NDArray[np.int64]:
    """The bin of equal probability, 0 to bins - 1, of each value."""
    values = np.asarray(y, dtype=np.float64)
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def columns(values: ArrayLike, *, scale: bool = True, seed: int | None = 0) -> Array:
    """(n, m) columns with deviation 1 and a little noise against ties; constant ones dropped.

    Raises ValueError for NaN or infinity.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array.reshape(len(array), -1)
    if not np.isfinite(array).all():
        raise ValueError("x and y must be finite; drop the rows with NaN or infinity before")
    spread = array.std(0)
    array, spread = array[:, spread > 0], spread[spread > 0]
    if scale:
        array, spread = (array - array.mean(0)) / spread, np.ones_like(spread)
    if seed is None:
        return array
    noise = np.random.default_rng(seed).normal(size=array.shape)
    return np.asarray(array + JITTER * spread * noise)


def mutual_information(
    x: ArrayLike,
    y: ArrayLike,
    k: int = 3,
    *,
    variant: int = 1,
    scale: bool = True,
    seed: int | None = 0,
) -> float:
    """I(X; Y) of continuous X and Y, each (n,) or (n, m), by Kraskov's estimator 1 or 2.

    I1 = psi(k) - <psi(n_x + 1) + psi(n_y + 1)> + psi(N), with n_x the number of points closer
    in X than the k-th neighbour in (X, Y). I2 counts within the box of the k neighbours and
    subtracts 1/k. Not clipped at 0. Raises ValueError for N <= k, unequal lengths or NaN.
    """
    from scipy.special import digamma

    if len(np.asarray(x)) != len(np.asarray(y)):
        raise ValueError(
            f"x and y need as many rows; got {len(np.asarray(x))} and {len(np.asarray(y))}"
        )
    first = columns(x, scale=scale, seed=seed)
    second = columns(y, scale=scale, seed=None if seed is None else seed + 1)
    n = len(first)
    _check_neighbours(n, k)
    if not first.shape[1] or not second.shape[1]:
        return 0.0  # a constant tells nothing
    distance, neighbour = nearest(np.hstack([first, second]), k)
    if variant == 1:
        inside = [_within(part, np.nextafter(distance[:, k], 0)) for part in (first, second)]
        mean = np.mean(digamma(inside[0] + 1) + digamma(inside[1] + 1))
        return float(digamma(k) - mean + digamma(n))
    if variant != 2:
        raise ValueError(f"variant must be 1 or 2; got {variant}")
    counts = []
    for part in (first, second):
        width = np.abs(part[neighbour[:, 1:]] - part[:, None]).max((1, 2))
        counts.append(_within(part, np.nextafter(width, np.inf)))
    mean = np.mean(digamma(counts[0]) + digamma(counts[1]))
    return float(digamma(k) - 1 / k - mean + digamma(n))


def nearest(points: Array, k: int) -> tuple[Array, NDArray[np.int64]]:
    """(n, k + 1) max-norm distances and indices of each point and its k nearest neighbours."""
    from scipy.spatial import cKDTree

    distance, index = cKDTree(points).query(points, k + 1, p=np.inf)
    return np.asarray(distance, dtype=np.float64), np.asarray(index, dtype=np.int64)


def _within(points: Array, radius: Array) -> NDArray[np.int64]:
    """Number of other points within a max-norm radius of each point."""
    from scipy.spatial import cKDTree

    found = cKDTree(points).query_ball_point(points, radius, p=np.inf, return_length=True)
    return np.asarray(found, dtype=np.int64) - 1


def _check_neighbours(n: int, k: int) -> None:
    if not 1 <= k < n:
        raise ValueError(f"k must lie between 1 and N - 1 = {n - 1}; got {k}")


def mutual_information_with_labels(
    x: ArrayLike, labels: ArrayLike, k: int = 3, *, scale: bool = True, seed: int | None = 0
) -> float:
    """I(X; Y) of continuous X, (n,) or (n, m), and discrete Y (n,), by Ross's estimator.

    psi(N) + <psi(k_i)> - <psi(N_label)> - <psi(m_i)>; labels with one member are dropped.
    """
    from scipy.special import digamma

    points, names = columns(x, scale=scale, seed=seed), np.asarray(labels)
    label, count = np.unique(names, return_inverse=True, return_counts=True)[1:]
    kept = count[label] > 1
    points, label = points[kept], label[kept]
    if not points.shape[1] or not len(points):
        return 0.0
    radius, neighbours = np.zeros(len(points)), np.zeros(len(points), dtype=np.int64)
    for value in np.unique(label):
        own = np.flatnonzero(label == value)
        near = min(k, len(own) - 1)
        radius[own] = nearest(points[own], near)[0][:, near]
        neighbours[own] = near
    inside = _within(points, np.nextafter(radius, 0)) + 1
    return float(
        digamma(len(points))
        + np.mean(digamma(neighbours))
        - np.mean(digamma(count[label]))
        - np.mean(digamma(inside))
    )


def differential_entropy(x: ArrayLike, k: int = 3) -> float:
    """Kozachenko-Leonenko: psi(N) - psi(k) + d <ln(2 d_k)>, max norm, X as it is."""
    from scipy.special import digamma

    points = np.asarray(x, dtype=np.float64)
    points = points.reshape(len(points), -1)
    _check_neighbours(len(points), k)
    distance = nearest(points, k)[0][:, k]
    log = np.mean(np.log(2 * distance))
    return float(digamma(len(points)) - digamma(k) + points.shape[1] * log)
