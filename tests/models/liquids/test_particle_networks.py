"""What the particle networks share: columns, ensembles, targets of edges, two dimensions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import registry
from physbench.datasets import Split
from physbench.datasets.liquids import A, Configuration, Mobility, wrapped
from physbench.models.liquids import _particle_networks as networks
from physbench.models.liquids import botan, glass_mlp

SMALL: dict[str, dict[str, Any]] = {
    "schnet": {"width": 8, "layers": 1, "radial": 6, "cutoff": 1.5},
    "painn": {"width": 8, "layers": 1, "radial": 6, "cutoff": 1.5},
    "message_passing": {"width": 8, "layers": 1, "radial": 6},
    "equivariant_gnn": {"width": 4, "layers": 1, "degree": 1, "radial": 4, "cutoff": 1.5},
    "bapst_gnn": {"width": 8, "steps": 1, "cutoff": 1.5},
    "botan": {"width": 8, "steps": 1, "cutoff": 1.5},
    "glass_mlp": {"later_epochs": 1},
}


def liquid(seed: int, *, dimension: int = 3, kinds: int = 2) -> tuple[Configuration, Mobility]:
    """A jittered lattice with mobilities of its own, and pairs whose distance changed."""
    random = np.random.default_rng(seed)
    edge = 12 if dimension == 2 else 6
    sites = np.stack(np.meshgrid(*[np.arange(edge)] * dimension), -1).reshape(-1, dimension)
    box = np.full(dimension, float(edge))
    place = wrapped(sites + random.uniform(-0.12, 0.12, sites.shape), box)
    quenched = wrapped(place + random.normal(0, 0.03, place.shape), box)
    types = random.choice(kinds, len(sites), p=[0.7, *[0.3 / (kinds - 1)] * (kinds - 1)])
    types = types.astype(np.int64)
    temperature = 0.5 if kinds == 2 else 0.3
    configuration = Configuration(types, box, temperature, place, inherent=quenched)
    near = networks.pairs(configuration, "thermal", 1.5)
    bonds = np.stack([near.centre, near.other], 1)
    bonds = bonds[bonds[:, 0] < bonds[:, 1]]
    mobility = Mobility(
        types,
        np.array([10.0]),
        0,
        random.uniform(0.2, 0.9, (1, len(types))).astype(np.float32),
        bonds=bonds,
        bond_change=random.normal(0.1, 0.3, len(bonds)).astype(np.float32),
    )
    return configuration, mobility


def split(*seeds: int, **options: Any) -> Split:
    units = [liquid(seed, **options) for seed in seeds]
    return Split([c for c, _ in units], [m for _, m in units], [str(seed) for seed in seeds])


@pytest.mark.parametrize("name", SMALL)
def test_coarse_grained_columns_are_one_keyword_of_every_network(
    name: str, tmp_path: Path
) -> None:
    model = registry.load("model", name).object
    data = split(0, 1, 2)
    common = {"epochs": 1, **SMALL[name]}
    plain, more = (
        model.fit(data.take([0, 1]), data.take([2]), seed=0, columns=columns, **common)
        for columns in (False, True)
    )
    assert model.parameters(more) > model.parameters(plain)
    model.save(more, tmp_path / "weights")
    again = model.load(tmp_path / "weights")
    expected = model.predict(more, data.inputs[2:])
    np.testing.assert_array_equal(model.predict(again, data.inputs[2:]), expected)
    assert np.ptp(expected[0] - model.predict(plain, data.inputs[2:])[0]) > 1e-6


@pytest.mark.parametrize("name", [name for name in SMALL if name != "glass_mlp"])
def test_two_dimensions_and_three_types(name: str) -> None:
    model = registry.load("model", name).object
    data = split(0, 1, dimension=2, kinds=3)
    settings = {"epochs": 1, "columns": True, **SMALL[name]}
    fitted = model.fit(data.take([0]), data.take([1]), seed=0, **settings)
    (found,) = model.predict(fitted, data.inputs[1:])
    assert found.shape == (144, 1)
    assert np.isfinite(found).all()
    assert np.ptp(found) > 1e-6


def test_an_ensemble_is_the_mean_of_its_members(tmp_path: Path) -> None:
    model = registry.load("model", "message_passing").object
    data = split(0, 1)
    settings = {"epochs": 1, "average": 1, **SMALL["message_passing"]}
    fitted = model.fit(data.take([0]), data.take([1]), seed=0, members=3, **settings)
    sample = networks.graph(data.inputs[1], fitted.view)
    with torch.no_grad():
        each = torch.stack([m(sample, sample.vector) for m in fitted.network.members])
    assert float(each.std(0).mean()) > 0
    (found,) = model.predict(fitted, data.inputs[1:])
    np.testing.assert_allclose(found, (each.mean(0) * fitted.scale + fitted.mean).numpy(), 1e-5)
    model.save(fitted, tmp_path / "weights")
    (again,) = model.predict(model.load(tmp_path / "weights"), data.inputs[1:])
    np.testing.assert_array_equal(again, found)
    with pytest.raises(ValueError, match="members must be at least 1; got 0"):
        model.fit(data.take([0]), data.take([1]), seed=0, members=0, **settings)


def test_an_edge_has_the_change_of_its_pair_in_both_directions() -> None:
    configuration, mobility = liquid(0)
    sample = networks.graph(configuration, networks.View(positions="thermal", cutoff=1.7))
    found = networks.bond_targets(sample, mobility).numpy()
    change = {tuple(pair): c for pair, c in zip(mobility.bonds, mobility.bond_change, strict=True)}  # type: ignore[arg-type]
    mean, spread = np.mean(mobility.bond_change), np.std(mobility.bond_change)  # type: ignore[arg-type]
    ends = zip(sample.sender.tolist(), sample.receiver.tolist(), strict=True)
    plain = [(change.get((min(p), max(p)), np.nan) - mean) / spread for p in ends]
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-5)
    assert 0 < np.isnan(found).sum() < len(found)  # pairs between 1.5 and 1.7 were not measured
    with pytest.raises(ValueError, match="keeps no changes of pair distances"):
        networks.bond_targets(sample, replace(mobility, bonds=None, bond_change=None))


def test_botan_trains_nodes_and_edges_with_one_decoder() -> None:
    data = split(0, 1)
    settings = {"epochs": 40, "learning_rate": 1e-2, "positions": "thermal", **SMALL["botan"]}

    def edges(share: float) -> float:
        fitted = botan.fit(data.take([0]), data.take([1]), seed=0, share=share, **settings)
        view = networks.View(positions="thermal", cutoff=1.5)
        sample = networks.graph(data.inputs[0], view)
        wanted = networks.bond_targets(sample, data.targets[0])
        with torch.no_grad():
            return float(((fitted.network.edges(sample)[:, 0] - wanted) ** 2).mean())

    assert edges(0.1) < edges(1.0)
    with pytest.raises(ValueError, match="share must be above 0 and at most 1; got 0"):
        botan.fit(data.take([0]), data.take([1]), seed=0, share=0.0, **settings)
    with pytest.raises(ValueError, match="the published weights need"):
        botan.fit(data.take([0]), data.take([1]), seed=0, weights="start", **settings)


def test_the_eight_published_networks_are_known() -> None:
    if not botan.published_weights.there(botan.PUBLISHED[8]):
        pytest.skip("needs the published BOTAN networks below $PHYSBENCH_DATA/glass")
    states = [botan.published(number).inner.decode[0].weight for number in botan.PUBLISHED]
    assert len({float(state.detach().sum()) for state in states}) == 8
    with pytest.raises(ValueError, match="number must be 1 to 8, or 0 for the best; got 9"):
        botan.published(9)


def test_spatial_correlations_equal_the_plain_sums() -> None:
    random = np.random.default_rng(0)
    place, box = random.uniform(0, 6, (20, 3)), np.full(3, 6.0)
    fields = random.normal(size=(2, 20, 1))
    fields -= fields.mean(1, keepdims=True)
    weights = glass_mlp.averaging(place, box)
    for u in fields[:, :, 0]:
        own = glass_mlp.spatial_correlations(torch.from_numpy(u[:, None]).float(), weights)
        for k, middle in enumerate((2.0, 4.0, 6.0)):
            total = 0.0
            for i in range(20):
                above = below = 0.0
                for j in range(20):
                    step = place[i] - place[j]
                    step -= box * np.round(step / box)
                    weight = np.exp(-((np.linalg.norm(step) - middle) ** 2) / 2)
                    above, below = above + weight * u[j], below + weight
                total += u[i] * above / below
            assert float(own[k, 0]) == pytest.approx(total / (u**2).sum(), abs=1e-3)


def test_the_second_stage_learns_what_the_first_does_not() -> None:
    configuration, _ = liquid(0)
    place = configuration.thermal[configuration.types == A]
    wanted = torch.linspace(-1, 1, len(place))[:, None]
    batch = glass_mlp.Batch(
        wanted,
        wanted,
        glass_mlp.averaging(place, configuration.box),
        torch.tensor([0.44]),
        torch.tensor([0.2]),
    )
    half = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        half.weight.fill_(0.5)
    first, second = (f(half, batch).detach() for f in (glass_mlp._loss, glass_mlp._fluctuating))
    assert float(second) > float(first) + 0.74  # a quarter of the variance
    with torch.no_grad():
        half.weight.fill_(1.0)
    assert float(glass_mlp._fluctuating(half, batch).detach()) == pytest.approx(0, abs=1e-5)
