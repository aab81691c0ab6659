"""Showers as numbers that are nearly independent standard normals, and back.

1. Voxels below threshold get fresh noise, threshold e^(-1.5 U), and every other one is spread over
   the step of its code, so that the logarithms have densities. The way back cuts and rounds again.
2. With `sums` the energies of the layers and of the whole shower are numbers of their own, and on
   the way back voxels are scaled to them: the sum of fifty voxels is a hard thing to learn.
3. Logarithms, minus a quadratic in ln E - 2, over the residual spread: the trend with energy.
4. Normal scores: in each of 8 bins of energy a residual is replaced by the quantile of the normal
   distribution at its rank. A generator then starts from the right marginal distributions.

Measured on photons, validation, judge_jsd, CPU seconds in brackets: flow matching (25) 0.182
without the sums and 0.151 with them, normalizing flow 0.169 (30) and 0.121 (41), autoencoder (20)
0.183 and 0.186. Shares of total, layers and rings in place of voxels gave 0.33 (autoencoder) and
0.38 (flow matching): they lose the edge where voxels become empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from physbench.datasets.common.arrays import spans
from physbench.datasets.common.on_disk import Columns
from physbench.datasets.showers import Conditions, Grid, Showers

Floats = NDArray[np.float64]

FITTED = 2**25  # numbers of the training showers that a transformation is fitted on
TOGETHER = 2**24  # numbers that are transformed at a time
BINS = 8  # of energy
PER_BIN = 50  # showers a bin holds at least, where there are enough for one
KNOTS = np.linspace(-3.75, 3.75, 301)  # normal scores at which the quantiles are kept
NOISE = 1.5  # e-folds below the threshold that noise reaches
SCALED = 2.0  # largest factor, and inverse of the least, by which voxels are scaled to a sum
LOWEST = -10.0  # ln v/MeV that a generator may reach; the largest is that of the grid


@dataclass(frozen=True, eq=False)
class NormalScores:
    """The fitted transformation.

    Attributes
    ----------
    sums:
        Whether layers and total are numbers of their own: voxels + layers + 1 columns.
    centre:
        (2,): mean and standard deviation of ln E/GeV of the training showers.
    curve:
        (3, columns): quadratic in ln E - 2 of each coordinate.
    spread:
        (columns,): standard deviation about it.
    edges:
        (bins - 1,): ln E between the bins.
    quantiles:
        (bins, 301, columns): residuals at the normal scores `KNOTS`.
    """

    grid: Grid
    sums: bool
    centre: Floats
    curve: Floats
    spread: Floats
    edges: Floats
    quantiles: Floats

    def forward(self, showers: Showers, generator: np.random.Generator) -> Floats:
        """Normal scores of showers, (n, columns)."""
        logs = _logs(showers)
        x = logarithms(showers, generator, self.sums)
        return self.ranked((x - _powers(logs) @ self.curve) / self.spread, logs)

    def in_parts(self, showers: Showers, generator: np.random.Generator) -> NDArray[np.float32]:
        """`forward` of some showers at a time; on disk where they are more than memory holds."""
        found = Columns()
        for rows in spans(len(showers), TOGETHER // len(self.spread)):
            scores = self.forward(showers.take(rows), generator)
            found.add(scores=scores.astype(np.float32))
        return found.arrays()["scores"]

    def ranked(self, residuals: Floats, log_energy: Floats) -> Floats:
        """Residuals (n, columns) to normal scores, between the kept quantiles."""
        place = self._bin(log_energy)
        found = np.empty_like(residuals)
        for number, table in enumerate(self.quantiles):
            chosen = place == number
            for column in range(residuals.shape[1]):
                found[chosen, column] = np.interp(
                    residuals[chosen, column], table[:, column], KNOTS
                )
        return found

    def inverse(self, scores: Any, conditions: Conditions) -> NDArray[np.float32]:
        """Showers in MeV, (n, voxels), of normal scores at given conditions."""
        logs = _logs(conditions)
        residuals = self.unranked(np.asarray(scores, dtype=np.float64), logs)
        x = residuals * self.spread + _powers(logs) @ self.curve
        energies = np.exp(np.clip(x, LOWEST, np.log(self.grid.largest)))
        voxels, grid = energies[:, : self.grid.voxels], self.grid
        voxels = np.where(voxels < grid.threshold, 0.0, voxels)
        if self.sums:
            response = np.exp(np.clip(x[:, -1], -5.0, 5.0))
            voxels = scaled(voxels, energies[:, grid.voxels : -1], response, conditions)
        return np.minimum(voxels, grid.largest).astype(np.float32)

    def unranked(self, scores: Floats, log_energy: Floats) -> Floats:
        """The inverse of `ranked`: linear between the quantiles, which are equally spaced."""
        place = (np.clip(scores, KNOTS[0], KNOTS[-1]) - KNOTS[0]) / (KNOTS[1] - KNOTS[0])
        lower = np.minimum(place.astype(np.int64), len(KNOTS) - 2)
        bins = self._bin(log_energy)[:, None]
        columns = np.arange(scores.shape[1])
        below, above = (self.quantiles[bins, lower + k, columns] for k in (0, 1))
        return np.asarray(below + (place - lower) * (above - below))

    def condition(self, of: Conditions | Showers) -> NDArray[np.float32]:
        """(n, 1) what networks see of the incident energy: ln E, standardised."""
        centre, width = self.centre
        return np.asarray((_logs(of) - centre)[:, None] / width, dtype=np.float32)

    def place(self, of: Conditions | Showers) -> NDArray[np.int64]:
        """Bin of energy of each shower, (n,)."""
        return self._bin(_logs(of))

    def _bin(self, log_energy: Floats) -> NDArray[np.int64]:
        return np.searchsorted(self.edges, log_energy, side="right")

    def state(self) -> dict[str, Any]:
        """Plain arrays from which `restored` makes it again."""
        return {
            name: getattr(self, name)
            for name in ("sums", "centre", "curve", "spread", "edges", "quantiles")
        }


def learned(
    showers: Showers, generator: np.random.Generator, *, sums: bool
) -> tuple[NormalScores, NDArray[np.float32]]:
    """The transformation of training showers, and the scores (n, columns) of all of them.

    It is fitted on all of them, or on showers at equal distances that memory has room for.
    """
    room = max(FITTED // showers.grid.voxels, 1)
    if len(showers) <= room:
        scores, values = fitted(showers, generator, sums=sums)
        return scores, values.astype(np.float32)
    few = np.linspace(0, len(showers) - 1, room).astype(np.int64)
    scores, _ = fitted(showers.take(few), generator, sums=sums)
    return scores, scores.in_parts(showers, generator)


def fitted(
    showers: Showers, generator: np.random.Generator, *, sums: bool
) -> tuple[NormalScores, Floats]:
    """The transformation of training showers, and their scores (n, columns)."""
    x, logs = logarithms(showers, generator, sums), _logs(showers)
    curve = np.asarray(np.linalg.lstsq(_powers(logs), x, rcond=None)[0], np.float64)
    centre = np.array([logs.mean(), logs.std() or 1.0])
    residuals = np.subtract(x, _powers(logs) @ curve, out=x)
    spread = residuals.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    residuals /= spread
    bins = min(BINS, max(1, len(showers) // PER_BIN))
    # Edges are energies of showers, so that no bin is empty where energies are discrete.
    edges = np.unique(np.quantile(logs, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    edges = edges[edges > logs.min()]
    place = np.searchsorted(edges, logs, side="right")
    quantiles = np.stack(
        [np.quantile(residuals[place == k], ndtr(KNOTS), axis=0) for k in range(len(edges) + 1)]
    )
    scores = NormalScores(showers.grid, sums, centre, curve, spread, edges, quantiles)
    return scores, scores.ranked(residuals, logs)


def restored(state: Mapping[str, Any], grid: Grid) -> NormalScores:
    """The transformation from `NormalScores.state`."""
    arrays = {key: np.asarray(value) for key, value in state.items() if key != "sums"}
    return NormalScores(grid, bool(state["sums"]), **arrays)


def _logs(of: Conditions | Showers) -> Floats:
    return np.log(of.energy.astype(np.float64) / 1e3)


def _powers(log_energy: Floats) -> Floats:
    return np.vander(log_energy - 2, 3)


def filled(showers: Showers, generator: np.random.Generator) -> Floats:
    """Voxels with noise below threshold, and spread over the step of their code elsewhere."""
    grid, hit = showers.grid, showers.voxels > 0
    uniform = generator.random(showers.voxels.shape)
    step = np.log(grid.largest / grid.threshold) / grid.steps
    found = np.exp(np.where(hit, step * (uniform - 0.5), -NOISE * uniform))
    found *= np.where(hit, showers.voxels.astype(np.float64), grid.threshold)
    np.maximum(found, grid.threshold, out=found, where=hit)
    return found


def logarithms(showers: Showers, generator: np.random.Generator, sums: bool) -> Floats:
    """ln of the voxels and, with `sums`, ln of each layer in MeV and of E_tot/E: (n, columns)."""
    grid, voxels = showers.grid, filled(showers, generator)
    if not sums:
        return np.asarray(np.log(voxels))
    kept = np.where(showers.voxels > 0, voxels, 0.0)
    layers = grid.by_layer(kept)
    noise = grid.threshold * np.exp(-NOISE * generator.random(layers.shape))
    response = np.maximum(kept.sum(1), grid.threshold) / showers.energy
    columns = [voxels, np.where(layers > 0, layers, noise), response]
    return np.asarray(np.log(np.column_stack(columns)))


def scaled(voxels: Floats, layers: Floats, response: Floats, conditions: Conditions) -> Floats:
    """Voxels scaled to the energies of their layers, then to the total; by a factor 2 at most.

    An empty layer stays empty, and one whose energy is below threshold stays as it is.
    """
    grid = conditions.grid
    found = grid.by_layer(voxels)
    usable = (found > 0) & (layers >= grid.threshold)
    factor = np.where(usable, layers / np.where(usable, found, 1.0), 1.0)
    voxels = voxels * np.repeat(_bounded(factor), np.diff(grid.starts), axis=1)
    total = np.maximum(voxels.sum(1), grid.threshold)
    return np.asarray(voxels * _bounded(conditions.energy * response / total)[:, None])


def _bounded(factor: Floats) -> Floats:
    return np.asarray(np.clip(factor, 1 / SCALED, SCALED))
