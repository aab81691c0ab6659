"""Showers as numbers that are nearly independent standard normals, and back.

1. Voxels below threshold get fresh noise, threshold e^(-1.5 U), and every other one is spread over
   the step of its code, so that the logarithms have densities. The way back cuts and rounds again.
2. ln v minus a quadratic in ln E - 2, over the residual spread: the trend with energy.
3. Normal scores: in each of 8 bins of energy a residual is replaced by the quantile of the normal
   distribution at its rank. A generator then starts from the right marginal distributions.

Measured on photons, VAE of 20 CPU seconds, validation, judge_jsd: 0.19 with these coordinates;
0.33 with shares of total, layers and rings, 0.35 with layer energies and the voxels of the outer
rings. They hold the energy of a shower in one number, but lose where empty voxels begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from physbench.datasets.showers import Conditions, Grid, Showers

Floats = NDArray[np.float64]

BINS = 8  # of energy
PER_BIN = 50  # showers a bin holds at least, where there are enough for one
KNOTS = np.linspace(-3.75, 3.75, 301)  # normal scores at which the quantiles are kept
NOISE = 1.5  # e-folds below the threshold that noise reaches
LOWEST = -10.0  # ln v/MeV that a generator may reach; the largest is that of the grid


@dataclass(frozen=True, eq=False)
class NormalScores:
    """The fitted transformation.

    Attributes
    ----------
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
    centre: Floats
    curve: Floats
    spread: Floats
    edges: Floats
    quantiles: Floats

    def forward(self, showers: Showers, generator: np.random.Generator) -> Floats:
        """Normal scores of showers, (n, voxels)."""
        logs = _logs(showers)
        x = np.log(filled(showers, generator))
        return self.ranked((x - _powers(logs) @ self.curve) / self.spread, logs)

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
        voxels = np.exp(np.clip(x, LOWEST, np.log(self.grid.largest)))
        return np.where(voxels < self.grid.threshold, 0.0, voxels).astype(np.float32)

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
            for name in ("centre", "curve", "spread", "edges", "quantiles")
        }


def fitted(showers: Showers, generator: np.random.Generator) -> tuple[NormalScores, Floats]:
    """The transformation of training showers, and their scores (n, voxels)."""
    x, logs = np.log(filled(showers, generator)), _logs(showers)
    curve = np.asarray(np.linalg.lstsq(_powers(logs), x, rcond=None)[0], np.float64)
    centre = np.array([logs.mean(), logs.std() or 1.0])
    residuals = x - _powers(logs) @ curve
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
    scores = NormalScores(showers.grid, centre, curve, spread, edges, quantiles)
    return scores, scores.ranked(residuals, logs)


def restored(state: Mapping[str, Any], grid: Grid) -> NormalScores:
    """The transformation from `NormalScores.state`."""
    return NormalScores(grid, **{key: np.asarray(value) for key, value in state.items()})


def _logs(of: Conditions | Showers) -> Floats:
    return np.log(of.energy.astype(np.float64) / 1e3)


def _powers(log_energy: Floats) -> Floats:
    return np.vander(log_energy - 2, 3)


def filled(showers: Showers, generator: np.random.Generator) -> Floats:
    """Voxels with noise below threshold, and spread over the step of their code elsewhere."""
    grid, voxels = showers.grid, showers.voxels.astype(np.float64)
    uniform = generator.random(voxels.shape)
    step = np.log(grid.largest / grid.threshold) / grid.steps
    noise = grid.threshold * np.exp(-NOISE * uniform)
    spread = np.maximum(voxels * np.exp(step * (uniform - 0.5)), grid.threshold)
    return np.where(voxels > 0, spread, noise)
