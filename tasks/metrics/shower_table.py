"""What all metrics of generated showers need of them, computed once: one row a pair.

Pair i is one simulated and one generated shower of the same incident energy. A bootstrap over
pairs is arithmetic with the multiplicities of the rows of this table.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.showers import Grid, Showers, decode
from physbench.tasks.metrics import challenge
from physbench.tasks.metrics.challenge import Challenge
from physbench.tasks.metrics.shower_formulas import blocks

Floats = NDArray[np.float64]

JUDGE: dict[str, Any] = {
    "max_iter": 60,
    "learning_rate": 0.1,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 20,
    "early_stopping": False,
    "random_state": 0,
}
SURE = 1e-6  # smallest probability that a judge may give
CLIP = 5.0  # standard deviations of the reference beyond which a column is cut, for FPD and KPD
BINS = 50
OUTSIDE = 0.0005  # share of the reference below the first and above the last edge
SOFT = 0.1  # MeV, added before a logarithm
CHECKED = 5000  # showers that are compared with the training sample
BLOCK = 100  # points whose distances to a sample are in memory at a time
POINTS = 2**26  # voxels of the showers that are compared with the training sample
MOST_COLUMNS = 1000  # low-level columns of a shower; finer grids are judged on their rings
COPY = 0.01  # quantile of the distances that fresh showers have to the training sample


@dataclass(frozen=True, eq=False)
class Table:
    """One row a pair of a simulated and a generated shower of the same energy.

    Attributes
    ----------
    energy:
        (n,) incident energy in MeV.
    joint, high, low:
        (n, 2): log2 of the probability with which a judge that sees these columns recognises the
        simulated and the generated shower for what they are.
    score:
        (n, 2): the joint judge's probability that each of the two is generated.
    reference, generated:
        (n, columns): high-level columns in standard deviations of the reference, cut at +-5.
    bins:
        (n, 2, columns): bin of each high-level column, for the histograms.
    response:
        (n, 2): E_tot/E.
    copied:
        (n,): 1 where the generated shower is nearer to a training shower than 99 % of fresh ones.
    layers:
        Number of layers, which says where each column stands.
    challenge:
        What the CaloChallenge's own metrics need, of all pairs, on its grids.
    """

    energy: Floats
    joint: Floats
    high: Floats
    low: Floats
    score: Floats
    reference: Floats
    generated: Floats
    bins: NDArray[np.uint8]
    response: Floats
    copied: Floats
    layers: int
    challenge: Challenge | None = None

    def __len__(self) -> int:
        return len(self.energy)

    def take(self, index: Any) -> Table:
        """The pairs `index`, in that order."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Table(
            **{k: v[index] if isinstance(v, np.ndarray) else v for k, v in values.items()}
        )


def judged(targets: Showers, codes: NDArray[Any]) -> Table:
    """The table of all metrics, from the simulated showers and the codes of the generated ones."""
    energy = targets.energy.astype(np.float64)
    high, low = _columns(targets, codes)
    joint = _joint(high, low)
    scaled = [clipped(columns, high[0]) for columns in high]
    return Table(
        energy=energy,
        joint=recognised(joint),
        high=recognised(judge(*high)),
        low=recognised(judge(*(np.column_stack([np.log(energy), v]) for v in low))),
        score=joint,
        reference=scaled[0],
        generated=scaled[1],
        bins=np.stack([binned(columns, high[0]) for columns in high], axis=1),
        response=np.column_stack([columns[:, 1] for columns in high]),
        copied=copies(targets, codes),
        layers=len(targets.grid.layers),
        challenge=challenge.judged(targets, codes),
    )


def joint_score(targets: Showers, codes: NDArray[Any]) -> Floats:
    """The joint judge's probability of `generated` alone, (n, 2) as `judge`."""
    return _joint(*_columns(targets, codes))


def _columns(targets: Showers, codes: NDArray[Any]) -> tuple[list[Floats], list[Floats]]:
    """High- and low-level columns of simulated and generated showers, some showers at a time."""
    grid, found = targets.grid, []
    for rows in blocks(len(targets), grid.voxels):
        energy = targets.energy[rows].astype(np.float64)
        pair = [v.astype(np.float64) for v in (targets.voxels[rows], decode(codes[rows], grid))]
        high = [features(voxels, energy, grid) for voxels in pair]
        found.append([*high, *(logarithms(coarse(voxels, grid)) for voxels in pair)])
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return columns[:2], columns[2:]


def coarse(voxels: Floats, grid: Grid) -> Floats:
    """What the low-level judges see: voxels, or on grids of over 1,000 of them sums over angles.

    Trees cannot learn tens of thousands of mostly empty columns, nor can they be kept: (n, voxels)
    or (n, rings), the rings of a layer from the inside.
    """
    if grid.voxels <= MOST_COLUMNS:
        return voxels
    starts, layers = grid.starts, grid.layers
    parts = (voxels[:, a:b] for a, b in itertools.pairwise(starts))
    return np.hstack(
        [
            part.reshape(len(part), layer.angles, -1).sum(axis=1)
            for part, layer in zip(parts, layers, strict=True)
        ]
    )


def _joint(high: Sequence[Floats], low: Sequence[Floats]) -> Floats:
    return judge(*(np.hstack(both) for both in zip(high, low, strict=True)))


def features(voxels: Floats, energy: Floats, grid: Grid) -> Floats:
    """High-level columns of showers, (n, 4 layers + 4): voxels (n, voxels), energy (n,), in MeV.

    ln E/GeV; E_tot/E; log10(E_l/MeV + 0.1); radial centre sum(r v)/E_l and width
    sqrt(sum(r^2 v)/E_l - centre^2) of each layer, 0 where it is empty; share of its voxels above
    threshold; centre and width along the axis.
    """
    layers, total = grid.by_layer(voxels), voxels.sum(1)
    centre, width = moments(grid.by_layer, voxels, grid.radius, layers)
    occupied = grid.by_layer((voxels > 0).astype(np.float64)) / np.diff(grid.starts)
    along = moments(lambda v: v.sum(1, keepdims=True), layers, grid.depth, total[:, None])
    return np.column_stack(
        [
            np.log(energy / 1e3),
            total / energy,
            np.log10(layers + SOFT),
            centre,
            width,
            occupied,
            *along,
        ]
    )


def moments(
    add: Callable[[Floats], Floats], weights: Floats, place: Floats, total: Floats
) -> tuple[Floats, Floats]:
    """Weighted mean and width of `place`; 0 where the total is 0.

    `add` sums (n, places) to the shape of `total`.
    """
    safe = np.maximum(total, 1e-6)
    centre = add(weights * place) / safe
    return centre, np.sqrt(np.maximum(add(weights * place**2) / safe - centre**2, 0.0))


def logarithms(voxels: Floats) -> Floats:
    """Low-level columns: ln(v/MeV + 0.1), same shape."""
    return np.log(voxels + SOFT)


def judge(reference: Floats, generated: Floats) -> Floats:
    """Probability that a shower is generated, (n, 2) for both sides of each pair, out of fold.

    Boosted trees with fixed settings, so that the verdict is the same for ever. Pairs at even
    places are judged by trees grown on those at odd places, and the other way round.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    if len(reference) < 4:
        raise ValueError(f"a judge needs at least 4 pairs of showers; got {len(reference)}")
    found = np.zeros((len(reference), 2))
    for fold in (0, 1):
        grown, judged = slice(1 - fold, None, 2), slice(fold, None, 2)
        columns = np.concatenate([reference[grown], generated[grown]])
        label = np.repeat([0, 1], len(columns) // 2)
        trees = HistGradientBoostingClassifier(**JUDGE).fit(columns, label)
        for side, sample in enumerate((reference, generated)):
            found[judged, side] = trees.predict_proba(sample[judged])[:, 1]
    return found


def recognised(probability: Floats) -> Floats:
    """log2 of the probability of the right answer, (n, 2), from that of `generated`, (n, 2).

    >>> recognised(np.array([[0.5, 0.25]])).tolist()
    [[-1.0, -2.0]]
    """
    right = np.column_stack([1 - probability[:, 0], probability[:, 1]])
    return np.log2(np.clip(right, SURE, 1.0))


def clipped(columns: Floats, reference: Floats) -> Floats:
    """Columns in standard deviations of the reference from its mean, cut at +-5."""
    scale = reference.std(0)
    scaled = (columns - reference.mean(0)) / np.where(scale > 0, scale, 1.0)
    return np.asarray(np.clip(scaled, -CLIP, CLIP))


def binned(columns: Floats, reference: Floats) -> NDArray[np.uint8]:
    """Bin of each value, (n, columns): 50 bins of equal content of the reference.

    Their 49 edges are its quantiles between 0.05 and 99.95 %; the outer bins are open, so that
    overflow counts. Equal edges, from values that many showers share, are one.
    """
    shares = np.linspace(OUTSIDE, 1 - OUTSIDE, BINS + 1)[1:-1]
    edges = np.quantile(reference, shares, axis=0).T
    return np.column_stack(
        [
            np.searchsorted(np.unique(edge), column, side="right")
            for edge, column in zip(edges, columns.T, strict=True)
        ]
    ).astype(np.uint8)


def copies(targets: Showers, codes: NDArray[Any]) -> Floats:
    """1 for each generated shower that is nearer to a training shower than fresh ones are, (n,).

    Distances are Euclidean between ln max(v, threshold), less its quadratic trend in ln E and over
    the spread about it, both from the training showers. `nearer` is below the 1 % quantile of the
    distances of the simulated showers of this split. NaN without training showers, and beyond the
    first 5,000 pairs, or fewer on grids of more than 13,000 voxels.
    """
    training, grid = targets.training, targets.grid
    found = np.full(len(targets), np.nan)
    if training is None:
        return found
    few = min(len(targets), max(min(CHECKED, POINTS // grid.voxels), 1))
    scale, energy = trend(training), targets.energy
    sides: list[list[NDArray[np.float32]]] = [[], []]
    for rows in blocks(few, grid.voxels):
        drawn = decode(codes[rows], grid).astype(np.float64)
        for side, voxels in zip(sides, (targets.voxels[rows], drawn), strict=True):
            side.append(scale(voxels, energy[rows]))
    points = [np.concatenate(side) for side in sides]
    fresh, distance = nearest_training(points, training, scale)
    found[:few] = distance < np.quantile(fresh, COPY)
    return found


Scale = Callable[[Any, Any], NDArray[np.float32]]


def trend(training: Showers) -> Scale:
    """A function of voxels and energies: standardised residuals of the log voxels, (n, voxels).

    Least squares by the orthogonal basis of the three powers of ln E, whose products with the
    voxels are added up over the training showers, and so are the squares of the residuals.
    """
    threshold = training.grid.threshold
    rows = blocks(len(training), training.grid.voxels)

    def powers(energy: Any) -> Floats:
        return np.vander(np.log(np.asarray(energy, np.float64) / 1e3) - 2, 3)

    def logs(voxels: Any) -> Floats:
        return np.asarray(np.log(np.maximum(voxels, threshold)), np.float64)

    def residuals(voxels: Any, energy: Any) -> Floats:
        found = logs(voxels)
        found -= powers(energy) @ curve
        return found

    basis, triangle = np.linalg.qr(powers(training.energy))
    products = sum(basis[part].T @ logs(training.voxels[part]) for part in rows)
    curve = np.linalg.lstsq(triangle, products, rcond=None)[0]
    parts = ((training.voxels[part], training.energy[part]) for part in rows)
    squares = sum(np.square(residuals(*part)).sum(0) for part in parts)
    spread = np.sqrt(squares / len(training))
    spread = np.where(spread > 0, spread, 1.0)
    return lambda voxels, energy: (residuals(voxels, energy) / spread).astype(np.float32)


def nearest_training(
    points: Sequence[NDArray[np.float32]], training: Showers, scale: Scale
) -> list[Floats]:
    """`nearest` of several sets of points to the scaled training showers, each read once."""
    least = [np.full(len(p), np.inf) for p in points]
    for rows in blocks(len(training), training.grid.voxels):
        sample = scale(training.voxels[rows], training.energy[rows])
        least = [np.minimum(a, nearest(p, sample)) for a, p in zip(least, points, strict=True)]
    return least


def nearest(points: NDArray[np.float32], sample: NDArray[np.float32]) -> Floats:
    """Distance of each point (n, d) to the nearest of a sample (m, d)."""
    squares = np.square(sample).sum(1)

    def least(block: NDArray[np.float32]) -> NDArray[np.float32]:
        products = (-2 * block) @ sample.T
        products += squares
        return np.asarray(products.min(1) + np.square(block).sum(1))

    blocks = np.array_split(points, max(1, len(points) // BLOCK))
    found = np.concatenate([least(block) for block in blocks])
    return np.asarray(np.sqrt(np.maximum(found, 0.0)), np.float64)
