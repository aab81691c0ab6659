"""Showers as numbers that are nearly independent standard normals, and back.

1. Voxels below threshold get fresh noise, threshold e^(-1.5 U), and every other one is spread over
   the step of its code, so that the numbers have densities. The way back cuts and rounds again.
2. Coordinates: `voxels`, ln v of each one; or `shares`: ln E_tot/E, then the logit of each layer's
   share of what the layers from it on hold, then the same for the rings of each layer. The shares
   hold the energy of a shower in one number, which voxels hold in the sum of fifty.
3. Minus a quadratic in ln E - 2, over the residual spread: the trend with energy.
4. Normal scores: in each of 8 bins of energy a residual is replaced by the quantile of the normal
   distribution at its rank. A generator then starts from the right marginal distributions.
"""

from __future__ import annotations

import itertools
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
LOWEST, HIGHEST = -10.0, 11.0  # ln v/MeV that a generator may reach: 45 eV and 60 GeV
COORDINATES = ("voxels", "shares")
CENTRE, WIDTH = 1.956, 1.13  # of ln E/GeV between 1 and 50 GeV


@dataclass(frozen=True, eq=False)
class NormalScores:
    """The fitted transformation.

    Attributes
    ----------
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
    coordinates: str
    curve: Floats
    spread: Floats
    edges: Floats
    quantiles: Floats

    def forward(self, showers: Showers, generator: np.random.Generator) -> Floats:
        """Normal scores of showers, (n, voxels)."""
        logs = _logs(showers)
        x = _coordinates(self.coordinates, showers, generator)
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
        return _voxels(self.coordinates, x, conditions)

    def unranked(self, scores: Floats, log_energy: Floats) -> Floats:
        """The inverse of `ranked`: linear between the quantiles, which are equally spaced."""
        place = (np.clip(scores, KNOTS[0], KNOTS[-1]) - KNOTS[0]) / (KNOTS[1] - KNOTS[0])
        lower = np.minimum(place.astype(np.int64), len(KNOTS) - 2)
        bins = self._bin(log_energy)[:, None]
        columns = np.arange(scores.shape[1])
        below, above = (self.quantiles[bins, lower + k, columns] for k in (0, 1))
        return np.asarray(below + (place - lower) * (above - below))

    def place(self, of: Conditions | Showers) -> NDArray[np.int64]:
        """Bin of energy of each shower, (n,)."""
        return self._bin(_logs(of))

    def _bin(self, log_energy: Floats) -> NDArray[np.int64]:
        return np.searchsorted(self.edges, log_energy, side="right")

    def state(self) -> dict[str, Any]:
        """Plain arrays from which `restored` makes it again."""
        return {
            name: getattr(self, name)
            for name in ("coordinates", "curve", "spread", "edges", "quantiles")
        }


def fitted(
    showers: Showers, generator: np.random.Generator, coordinates: str
) -> tuple[NormalScores, Floats]:
    """The transformation of training showers, and their scores (n, voxels)."""
    if coordinates not in COORDINATES:
        raise ValueError(
            f"coordinates must be one of {', '.join(COORDINATES)}; got '{coordinates}'"
        )
    x, logs = _coordinates(coordinates, showers, generator), _logs(showers)
    curve = np.asarray(np.linalg.lstsq(_powers(logs), x, rcond=None)[0], np.float64)
    residuals = x - _powers(logs) @ curve
    spread = residuals.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    residuals /= spread
    bins = min(BINS, max(1, len(showers) // PER_BIN))
    edges = np.quantile(logs, np.linspace(0, 1, bins + 1)[1:-1])
    place = np.searchsorted(edges, logs, side="right")
    quantiles = np.stack(
        [np.quantile(residuals[place == k], ndtr(KNOTS), axis=0) for k in range(bins)]
    )
    scores = NormalScores(showers.grid, coordinates, curve, spread, edges, quantiles)
    return scores, scores.ranked(residuals, logs)


def restored(state: Mapping[str, Any], grid: Grid) -> NormalScores:
    """The transformation from `NormalScores.state`."""
    arrays = {k: np.asarray(v) for k, v in state.items() if k != "coordinates"}
    return NormalScores(grid, str(state["coordinates"]), **arrays)


def condition(conditions: Conditions | Showers) -> NDArray[np.float32]:
    """(n, 1) what networks see of the incident energy: (ln E/GeV - 1.956)/1.13."""
    return ((_logs(conditions) - CENTRE) / WIDTH).astype(np.float32)[:, None]


def _logs(of: Conditions | Showers) -> Floats:
    return np.log(of.energy.astype(np.float64) / 1e3)


def _powers(log_energy: Floats) -> Floats:
    return np.vander(log_energy - 2, 3)


def _coordinates(name: str, showers: Showers, generator: np.random.Generator) -> Floats:
    filled = _filled(showers, generator)
    return np.log(filled) if name == "voxels" else shares(filled, showers)


def _filled(showers: Showers, generator: np.random.Generator) -> Floats:
    """Voxels with noise below threshold, and spread over the step of their code elsewhere."""
    grid, voxels = showers.grid, showers.voxels.astype(np.float64)
    uniform = generator.random(voxels.shape)
    step = np.log(grid.largest / grid.threshold) / grid.steps
    noise = grid.threshold * np.exp(-NOISE * uniform)
    spread = np.maximum(voxels * np.exp(step * (uniform - 0.5)), grid.threshold)
    return np.where(voxels > 0, spread, noise)


def _voxels(name: str, x: Floats, conditions: Conditions) -> NDArray[np.float32]:
    """Voxels in MeV of coordinates, cut at the threshold."""
    voxels = np.exp(np.clip(x, LOWEST, HIGHEST)) if name == "voxels" else energies(x, conditions)
    return np.where(voxels < conditions.grid.threshold, 0.0, voxels).astype(np.float32)


def shares(voxels: Floats, showers: Showers) -> Floats:
    """ln E_tot/E and the logits of the shares of layers and rings: (n, voxels), all voxels > 0."""
    starts = showers.grid.starts
    layers = showers.grid.by_layer(voxels)
    response = np.log(layers.sum(1) / showers.energy)
    rings = [_logits(voxels[:, a:b]) for a, b in itertools.pairwise(starts)]
    return np.column_stack([response, _logits(layers), *rings])


def energies(x: Floats, conditions: Conditions) -> Floats:
    """The inverse of `shares`."""
    grid = conditions.grid
    total = conditions.energy * np.exp(np.clip(x[:, 0], -5, 1))
    count = len(grid.layers)
    layers = _parts(x[:, 1:count]) * total[:, None]
    ends = count + np.cumsum([0, *(layer.voxels - 1 for layer in grid.layers)])
    rings = [
        _parts(x[:, a:b]) * layers[:, k, None] for k, (a, b) in enumerate(itertools.pairwise(ends))
    ]
    return np.hstack(rings)


def _logits(parts: Floats) -> Floats:
    """ln(part / sum of the later parts) of all but the last: (n, k) -> (n, k - 1).

    >>> _logits(np.array([[2.0, 1.0, 1.0]])).tolist()
    [[0.0, 0.0]]
    """
    later = np.cumsum(parts[:, ::-1], axis=1)[:, ::-1]
    return np.log(parts[:, :-1] / later[:, 1:])


def _parts(logits: Floats) -> Floats:
    """The inverse of `_logits`: parts of 1, (n, k - 1) -> (n, k).

    >>> _parts(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.25, 0.25]]
    """
    share = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    left = np.cumprod(1 - share, axis=1)
    before = np.column_stack([np.ones(len(logits)), left])
    return before * np.column_stack([share, np.ones(len(logits))])
