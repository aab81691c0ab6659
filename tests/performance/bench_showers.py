"""Speed of calo_showers: the generator and its metrics against peers, as ratios within one run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

from physbench.datasets.showers import LAYERS, RINGS, THICKNESS
from physbench.datasets.showers import _parametrisation as parametrisation
from physbench.tasks.metrics import shower_formulas, shower_table

SHOWERS = 1000


def spot_by_spot(energy: Any, generator: np.random.Generator) -> Any:
    """Electron showers (n, layers, rings) as GFlash makes them: every spot drawn on its own."""
    found = np.zeros((len(energy), LAYERS, len(RINGS) - 1))
    maximum, alpha, mean_alpha = parametrisation.longitudinal(energy, generator)
    depth = np.tile(parametrisation.EDGES, (len(energy), 1))
    deposit = parametrisation.layer_energies(energy, depth, maximum, alpha, generator)
    for k, e in enumerate(energy):
        number = generator.poisson(93 * np.log(parametrisation.Z) * e**0.876)
        shape = max(alpha[k] * (0.639 + 0.00334 * parametrisation.Z), 1.05)
        longest = maximum[k] * (0.698 + 0.00212 * parametrisation.Z)
        t = generator.gamma(shape, longest / (shape - 1), number)
        t = t[t < parametrisation.EDGES[-1]]
        tau = t / maximum[k] * (alpha[k] - 1) / alpha[k] * mean_alpha[k] / (mean_alpha[k] - 1)
        shares = parametrisation.radial(np.log(np.full(len(t), e)), tau[:, None])[:, 0]
        ring = (generator.random((len(t), 1)) > np.cumsum(shares, axis=1)[:, :-1]).sum(1)
        layer = (t / THICKNESS).astype(int)
        each = 1e3 * deposit[k] / np.maximum(np.bincount(layer, minlength=LAYERS), 1)
        inside = ring < len(RINGS) - 1
        np.add.at(found[k], (layer[inside], ring[inside]), each[layer[inside]])
    return found


def test_generator_against_spots_one_by_one(benchmark: Any, interleaved: Any) -> None:
    """Counts a cell instead of spots: at least five times as fast, and the same profile."""
    energy = parametrisation.energies(SHOWERS, np.random.default_rng(0), 1, 50)

    def theirs() -> Any:
        return spot_by_spot(energy, np.random.default_rng(1))

    def ours() -> Any:
        return parametrisation.showers(energy, np.random.default_rng(1), "electron")

    slow, fast = theirs().sum(0), ours().reshape(SHOWERS, LAYERS, -1).sum(0)
    assert fast.sum(1) / fast.sum() == pytest.approx(slow.sum(1) / slow.sum(), abs=0.01)
    # Rings differ a little: one profile a layer here, one a spot there.
    assert fast.sum(0) / fast.sum() == pytest.approx(slow.sum(0) / slow.sum(), abs=0.015)
    spots, cells = interleaved(theirs, ours, rounds=3)
    print(f"{SHOWERS / cells:,.0f} showers a CPU second, {spots / cells:.0f} times spot by spot")
    benchmark.pedantic(ours, rounds=1)
    assert spots / cells >= 5


def test_covariance_distance_against_a_matrix_root(benchmark: Any, interleaved: Any) -> None:
    """Two symmetric eigenvalue problems against the general root of SciPy, 44 columns."""
    first, second = (np.cov(s.T) for s in np.random.default_rng(0).normal(size=(2, 500, 44)))

    def root() -> float:
        return float(np.trace(first + second - 2 * np.real(scipy.linalg.sqrtm(first @ second))))

    def ours() -> float:
        return shower_formulas.covariance_distance(first, second)

    assert ours() == pytest.approx(root(), rel=1e-6)
    theirs, own = interleaved(root, ours, rounds=15)
    print(f"trace of the root of 44 x 44 matrices: {theirs / own:.1f} times SciPy's sqrtm")
    benchmark(ours)
    assert theirs / own >= 1


def test_nearest_training_shower_against_scikit_learn(benchmark: Any, interleaved: Any) -> None:
    """1,000 showers against 20,000 in 50 dimensions, beside brute-force neighbours."""
    neighbors = pytest.importorskip("sklearn.neighbors")
    generator = np.random.default_rng(0)
    points, sample = (generator.normal(size=(n, 50)).astype(np.float32) for n in (1000, 20_000))
    peer = neighbors.NearestNeighbors(n_neighbors=1, algorithm="brute").fit(sample)

    def ours() -> Any:
        return shower_table.nearest(points, sample)

    assert ours() == pytest.approx(peer.kneighbors(points)[0][:, 0], rel=1e-3)
    theirs, own = interleaved(lambda: peer.kneighbors(points), ours, rounds=3)
    print(f"nearest of 20,000 showers: {theirs / own:.2f} times scikit-learn's brute force")
    benchmark.pedantic(ours, rounds=1)
    assert theirs / own >= 0.5
