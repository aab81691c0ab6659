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


def test_neighbours_beside_vesin(
    benchmark: Any, configuration: Configuration, interleaved: Any, told: Any
) -> None:
    """Pairs with vectors and distances below 2.0, sorted; the lists of others in the same run."""
    vesin = pytest.importorskip("vesin", reason="needs the extra [md]")
    neighborlist = pytest.importorskip("ase.neighborlist", reason="needs the extra [md]")
    lists = pytest.importorskip("matscipy.neighbours", reason="needs the extra [md]")
    locality = pytest.importorskip("freud.locality", reason="make bench installs freud")
    cube = pytest.importorskip("freud.box", reason="make bench installs freud").Box.cube
    place, cell = configuration.thermal.astype(float), np.diag(configuration.box)
    peer = vesin.NeighborList(cutoff=CUTOFF, full_list=True, sorted=True)

    def theirs() -> Any:
        return peer.compute(place, cell, True, "ijDd")

    def ours() -> Any:
        return pairs(configuration, "thermal", CUTOFF)

    def ase() -> Any:
        return neighborlist.primitive_neighbor_list("ijDd", [True] * 3, cell, place, CUTOFF)

    def matscipy() -> Any:
        return lists.neighbour_list(
            "ijDd", cell=cell, pbc=[True] * 3, positions=place, cutoff=CUTOFF
        )

    def freud() -> Any:
        box = cube(configuration.box[0])
        points = (place - configuration.box / 2).astype(np.float32)
        query = locality.AABBQuery(box, points)
        found = query.query(points, {"r_max": CUTOFF, "exclude_ii": True}).toNeighborList()
        return found.query_point_indices, found.vectors, found.distances

    # Near the cutoff single precision puts a pair on the other side.
    assert len(theirs()[0]) == len(ours().centre) == len(matscipy()[0])
    assert len(freud()[0]) == pytest.approx(len(ours().centre), rel=1e-4)
    own, best, slow, third, fourth = interleaved(ours, theirs, ase, matscipy, freud, rounds=3)
    benchmark(ours)
    limit = (
        "the query of SciPy's k-d tree takes a half, mirroring and ordering the pairs the rest; "
        "vesin's half list in place of the query is 1.4 times faster, but its import is torch's"
    )
    told(
        best / own,
        least=1,
        limit=limit,
        ase_over_ours=slow / own,
        matscipy_over_ours=third / own,
        freud_over_ours=fourth / own,
    )


def test_descriptors_take_seconds(
    benchmark: Any, configuration: Configuration, interleaved: Any, told: Any
) -> None:
    """Boattini's 1,218 columns of 4,096 particles in 6 s, and the 66 angular functions."""
    recursive = structure.recursive.__wrapped__  # type: ignore[attr-defined]
    angular = structure.angular.__wrapped__  # type: ignore[attr-defined]
    first, second = interleaved(
        lambda: recursive(configuration, "inherent", generations=2),
        lambda: angular(configuration, "inherent", cutoff=2.5),
        rounds=1,
    )
    benchmark.pedantic(angular, (configuration, "inherent"), {"cutoff": 2.5}, rounds=1)
    scaled = first * 4096 / len(configuration)
    told(scaled, most=6, limit="the products of spherical harmonics", angular_seconds=second)
