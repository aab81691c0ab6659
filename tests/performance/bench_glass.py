"""Speed of glass_mobility against peers on the same work, as ratios within one run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import benchmarks
from physbench.datasets.common import store
from physbench.datasets.liquids import Configuration
from physbench.models.liquids import _structure as structure
from physbench.models.liquids._neighbours import pairs

CUTOFF = 2.0


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    """4,096 particles of the real slice, or 8 copies of the embedded box."""
    if list(store.root().glob("glass/original/botan_ka3d/*_401_tc07.npz")):
        found = benchmarks.task("glass_mobility").splits("botan_ka3d").test.inputs[0]
        assert isinstance(found, Configuration)
        return found
    small = benchmarks.task("glass_mobility").splits("kob_andersen").test.inputs[0]
    shifts = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * small.box
    place = np.concatenate([small.thermal + shift for shift in shifts]).astype(np.float32)
    return Configuration(np.tile(small.types, 8), 2 * small.box, small.temperature, place, place)


def test_neighbours_against_ase(
    benchmark: Any, configuration: Configuration, interleaved: Any
) -> None:
    """Pairs with vectors and distances below 2.0: at least five times as fast as ASE."""
    neighborlist = pytest.importorskip("ase.neighborlist", reason="needs the extra [md]")
    place = configuration.thermal.astype(float)
    cell = np.diag(configuration.box)

    def ase() -> Any:
        return neighborlist.primitive_neighbor_list("ijDd", [True] * 3, cell, place, CUTOFF)

    def ours() -> Any:
        return pairs(configuration, "thermal", CUTOFF)

    assert len(ase()[0]) == len(ours().centre)
    theirs, own = interleaved(ase, ours)
    print(f"neighbours of {len(place)} particles: {theirs / own:.1f} times as fast as ASE")
    benchmark(ours)
    assert theirs / own >= 5


def test_descriptors_take_seconds(
    benchmark: Any, configuration: Configuration, interleaved: Any
) -> None:
    """Boattini's 1218 columns and the 66 angular functions, beside ASE's neighbour list."""
    neighborlist = pytest.importorskip("ase.neighborlist", reason="needs the extra [md]")
    place, cell = configuration.thermal.astype(float), np.diag(configuration.box)
    recursive = structure.recursive.__wrapped__  # type: ignore[attr-defined]
    angular = structure.angular.__wrapped__  # type: ignore[attr-defined]
    plain, first, second = interleaved(
        lambda: neighborlist.primitive_neighbor_list("ijDd", [True] * 3, cell, place, CUTOFF),
        lambda: recursive(configuration, "inherent", generations=2),
        lambda: angular(configuration, "inherent", cutoff=2.5),
        rounds=1,
    )
    print(f"ASE pairs {plain:.2f} s, recursive {first:.1f} s, angular {second:.1f} s")
    benchmark.pedantic(angular, (configuration, "inherent"), {"cutoff": 2.5}, rounds=1)
