"""The linear row: ridge or generalised least squares on blocks of columns, a type at a time.

Columns are standardised on the training particles and centred within each configuration, targets
standardised within each configuration: a score per configuration asks for nothing else. Residuals
of neighbours are correlated (their mobilities are, and the columns do not know all of it), so
e^T K^-1 e is minimised with K_ij = (delta_ij + exp(-r_ij/1.5))/2 between the particles of a type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from physbench.datasets.liquids import A, Configuration, Mobility
from physbench.models.liquids._particle_regression import Standard

Array = NDArray[np.float64]
Blocks = Callable[[Configuration], Sequence[Array]]

CORRELATION_LENGTH = 1.5


@dataclass(frozen=True, eq=False)
class Sums:
    """What one configuration adds to the normal equations: Z^T Q Z and Z^T Q y."""

    gram: Array
    moment: Array


@dataclass(frozen=True, eq=False)
class Part:
    """The row of one type: standardisation, weights (f, t), mean and deviation (t,) of targets."""

    standard: Standard
    weights: Array
    mean: Array
    deviation: Array

    def __call__(self, table: Array) -> Array:
        """(n, t) in the units of the targets, up to the configuration's own mobility."""
        return (self.standardised(table) @ self.weights) * self.deviation + self.mean

    def standardised(self, table: Array) -> Array:
        """Columns standardised, then centred over the configuration."""
        values = self.standard(table)
        return np.asarray(values - values.mean(0))


@dataclass(frozen=True, eq=False)
class Row:
    """A fitted row: a part for each type, and the columns of a configuration."""

    parts: dict[int, Part]
    blocks: Blocks
    scales: tuple[float, ...]

    def __call__(self, configuration: Configuration) -> Array:
        """(n, t). Raises ValueError for a type that training did not have."""
        unknown = set(np.unique(configuration.types).tolist()) - set(self.parts)
        if unknown:
            raise ValueError(
                f"the configuration has particles of type {sorted(unknown)}, never seen in "
                f"training (types {sorted(self.parts)})"
            )
        table = np.concatenate(self.blocks(configuration), axis=1)
        times = next(iter(self.parts.values())).weights.shape[1]
        found = np.empty((len(configuration), times))
        for kind, part in self.parts.items():
            chosen = configuration.types == kind
            found[chosen] = part(table[chosen])
        return found


def fit(
    inputs: Sequence[Configuration],
    targets: Sequence[Mobility],
    blocks: Blocks,
    scales: Sequence[float],
    penalties: Sequence[float],
    *,
    generalised: bool,
) -> tuple[Row, list[Array]]:
    """The row of all configurations, and its predictions with each of them left out.

    `scales` shrinks each block of columns: a block of scale s has its penalty divided by s^2. The
    penalty with the best mean correlation of left-out configurations (type A, tau_alpha) is taken.
    The left-out predictions, (n_A, t) of type A in units of the standardised targets, are what a
    network on the residual is trained against.
    """
    if len(inputs) < 2:
        raise ValueError(f"leaving one out needs at least 2 configurations; got {len(inputs)}")
    tables = [blocks(configuration) for configuration in inputs]
    widths = [block.shape[1] for block in tables[0]]
    scale = np.repeat(np.asarray(scales, float), widths)
    joined = [np.concatenate(table, axis=1) for table in tables]
    parts: dict[int, Part] = {}
    left_out: list[Array] = []
    for kind in sorted(np.unique(np.concatenate([c.types for c in inputs])).tolist()):
        part, without = _part(inputs, targets, joined, scale, kind, penalties, generalised)
        parts[kind] = part
        left_out = without if kind == A else left_out
    return Row(parts, blocks, tuple(scales)), left_out


def _part(
    inputs: Sequence[Configuration],
    targets: Sequence[Mobility],
    tables: Sequence[Array],
    scale: Array,
    kind: int,
    penalties: Sequence[float],
    generalised: bool,
) -> tuple[Part, list[Array]]:
    rows = [table[c.types == kind] for table, c in zip(tables, inputs, strict=True)]
    values = [m.propensity[:, m.types == kind].T.astype(float) for m in targets]
    standard = Standard.of(np.concatenate(rows))
    means = np.mean([v.mean(0) for v in values], axis=0)
    deviations = np.mean([v.std(0) for v in values], axis=0)
    part = Part(standard, np.zeros((len(scale), values[0].shape[1])), means, deviations)
    columns = [part.standardised(table) * scale for table in rows]
    y = [(v - v.mean(0)) / np.where(v.std(0) > 0, v.std(0), 1.0) for v in values]
    sums = [_sums(z, t, c, kind, generalised) for z, t, c in zip(columns, y, inputs, strict=True)]
    alpha = targets[0].alpha
    tried = [_left_out(columns, sums, penalty) for penalty in penalties]
    scores = [_score(found, y, alpha) for found in tried]
    best = int(np.argmax(scores))
    weights = _solve(sums, penalties[best]) * scale[:, None]
    return Part(standard, weights, means, deviations), tried[best]


def _sums(z: Array, y: Array, configuration: Configuration, kind: int, generalised: bool) -> Sums:
    if not generalised:
        return Sums(z.T @ z, z.T @ y)
    weight = whitening(configuration, kind)
    weighted = (weight @ z.astype(np.float32)).astype(np.float64)
    return Sums(z.T @ weighted, weighted.T @ y)


def whitening(configuration: Configuration, kind: int) -> NDArray[np.float32]:
    """(n, n) K^-1 of the particles of a type, the mean projected out, of trace n.

    K_ij = (delta_ij + exp(-r_ij/1.5))/2 at the inherent positions.
    """
    box = np.asarray(configuration.box, np.float32)
    place = configuration.positions("inherent")[configuration.types == kind].astype(np.float32)
    squared = np.zeros((len(place),) * 2, dtype=np.float32)
    for axis, edge in enumerate(box):
        step = np.abs(place[:, axis, None] - place[None, :, axis])
        squared += np.minimum(step, edge - step) ** 2
    covariance = np.asfortranarray(0.5 * np.exp(-np.sqrt(squared) / CORRELATION_LENGTH))
    np.fill_diagonal(covariance, 1.0)
    factor, _ = lapack.spotrf(covariance, lower=1, overwrite_a=1)
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    ones = inverse.sum(1)
    inverse -= np.outer(ones, ones) / ones.sum()
    return np.asarray(inverse / (np.trace(inverse) / len(place)), np.float32)


def _solve(sums: Sequence[Sums], penalty: float) -> Array:
    gram = np.sum([s.gram for s in sums], axis=0)
    moment = np.sum([s.moment for s in sums], axis=0)
    return np.asarray(np.linalg.solve(gram + penalty * np.eye(len(gram)), moment))


def _left_out(columns: Sequence[Array], sums: Sequence[Sums], penalty: float) -> list[Array]:
    """Predictions of each configuration by the row of the others."""
    return [
        z @ _solve([s for other, s in enumerate(sums) if other != number], penalty)
        for number, z in enumerate(columns)
    ]


def _score(found: Sequence[Array], y: Sequence[Array], alpha: int) -> float:
    pairs = zip(found, y, strict=True)
    return float(np.mean([np.corrcoef(p[:, alpha], t[:, alpha])[0, 1] for p, t in pairs]))
