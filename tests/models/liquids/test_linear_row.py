"""Potential, coarse-grained columns, vibrations, and the linear row on small configurations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from physbench.datasets.liquids import A, Configuration, Mobility, wrapped
from physbench.models.common import prepared
from physbench.models.liquids import (
    _columns,
    _linear_columns,
    _linear_row,
    _potential,
    _vibrations,
)

EDGE = 8.0


def lattice(seed: int = 0, *, noise: float = 0.05, dimension: int = 3) -> Configuration:
    """A jittered lattice of 7^3 (or 7^2) sites, a fifth of them B; no minimum of the energy."""
    random = np.random.default_rng(seed)
    axis = np.arange(7) * EDGE / 7
    sites = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    box = np.full(dimension, EDGE)
    inherent = wrapped(sites + random.normal(0, noise / 5, sites.shape), box)
    thermal = wrapped(inherent + random.normal(0, noise, sites.shape), box)
    types = (random.random(len(sites)) < 0.2).astype(np.int64)
    return Configuration(types, box, 0.44, thermal, inherent)


def mobility(configuration: Configuration, values: NDArray[np.float64]) -> Mobility:
    return Mobility(
        configuration.types, np.array([1.0]), 0, values[None].astype(np.float32), trajectories=4
    )


@pytest.mark.parametrize("dimension", [2, 3])
def test_potential_ends_smoothly_and_its_derivatives_are_those_of_the_energy(
    dimension: int,
) -> None:
    found = _potential.MIXTURES[dimension]
    x, step = np.array([0.95, 1.12, 1.6, 2.3]), 1e-4
    end = np.array([_potential.CUTOFF])
    for order in range(2 if dimension == 3 else 3):
        assert abs(_potential.reduced(end, found, order)[0]) < 1e-8
    for order in range(3):
        upper, lower = (_potential.reduced(x + s, found, order) for s in (step, -step))
        slope = _potential.reduced(x, found, order + 1)
        assert (upper - lower) / (2 * step) == pytest.approx(slope, rel=1e-4)


def test_energy_of_two_particles_by_hand() -> None:
    box = np.full(3, 10.0)
    place = np.array([[1, 1, 1], [2.1, 1, 1]], dtype=np.float32)
    pair = Configuration(np.array([0, 0]), box, 0.44, place, place)
    c0, c1 = 2.5**-12 - 2.5**-6, -12 * 2.5**-13 + 6 * 2.5**-7
    x = float(place[1, 0] - place[0, 0])
    by_hand = 4 * (x**-12 - x**-6 - c0 - (x - 2.5) * c1)
    assert _potential.potential_energy(pair, "thermal") == pytest.approx([by_hand / 2] * 2)


def test_a_third_type_is_known_in_two_dimensions_alone() -> None:
    flat = lattice(dimension=2)
    types = np.where(np.arange(len(flat)) % 9 == 0, 2, flat.types)
    three = Configuration(types, flat.box, 0.3, flat.thermal, flat.inherent)
    assert np.isfinite(_potential.potential_energy(three, "thermal")).all()
    assert _columns.neighbourhood(three, "inherent").shape[1] == 11 * (5 * 3 + 3)
    solid = lattice()
    wrong = Configuration(np.full(len(solid), 2), solid.box, 0.4, solid.thermal, solid.inherent)
    with pytest.raises(ValueError, match=r"knows types 0 to 1; got \[2\]"):
        _potential.potential_energy(wrong, "thermal")


def test_columns_by_an_obvious_loop() -> None:
    configuration = lattice()
    place = np.asarray(configuration.inherent, float)
    step = place[:, None] - place[None]
    step -= EDGE * np.rint(step / EDGE)
    distance = np.linalg.norm(step, axis=2)
    weight = np.where(distance < EDGE / 2, np.exp(-distance / 1.5), 0.0)
    energy = _potential.potential_energy(configuration, "inherent")
    large = configuration.types == A
    number = weight @ large
    block = _columns.LENGTHS.index(1.5) * 13
    found = _columns.neighbourhood(configuration, "inherent")
    assert found.shape == (343, 143)
    assert found[:, block] == pytest.approx(number)
    assert found[:, block + 1] == pytest.approx(weight @ (large * energy) / number)
    length = np.linalg.norm(_columns.quench(configuration), axis=1)
    assert found[:, block + 4] == pytest.approx(weight @ (large * length) / number)
    assert _columns.shells(configuration, "inherent").shape == (343, 65)


def test_columns_do_not_see_how_the_box_lies() -> None:
    first = lattice()
    turn = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    shift = np.array([3.0, 1.0, 5.0])
    thermal, inherent = (
        wrapped(np.asarray(p, float) @ turn.T + shift, first.box)
        for p in (first.thermal, first.inherent)
        if p is not None
    )
    second = Configuration(first.types, first.box, 0.44, thermal, inherent)
    for columns in (_columns.neighbourhood, _columns.shells):
        scale = np.abs(columns(first, "inherent")).max()
        difference = columns(first, "inherent") - columns(second, "inherent")
        assert np.abs(difference).max() < 2e-5 * scale


def test_vibrations_against_a_dense_inverse() -> None:
    """A triangular lattice is a minimum; its Hessian is inverted in double precision."""
    axis = np.arange(6)
    sites = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2).astype(float)
    height = np.sqrt(3) / 2
    places = np.stack([sites[:, 0] + 0.5 * (sites[:, 1] % 2), height * sites[:, 1]], 1) * 1.1
    box = np.array([6.6, 6 * height * 1.1])
    place = wrapped(places, box)
    crystal = Configuration(np.zeros(36, int), box, 0.3, place, place)
    found = _vibrations.vibrations(crystal, "inherent")
    bonds = _potential.bonds(crystal, "inherent")
    stiffness = _vibrations.bond_stiffness(bonds)
    hessian = np.zeros((36, 2, 36, 2))
    for i, j, k in zip(bonds.first, bonds.second, stiffness, strict=True):
        hessian[i, :, i] += k
        hessian[j, :, j] += k
        hessian[i, :, j] -= k
        hessian[j, :, i] -= k.T
    matrix = hessian.reshape(72, 72)
    lifted = matrix + np.tile(np.eye(2), (36, 36)) * _vibrations.LIFT / 36
    inverse = np.linalg.inv(lifted).reshape(36, 2, 36, 2)
    trace = [np.trace(inverse[i, :, i]) for i in range(36)]
    assert found[:, 0] == pytest.approx(np.log(trace), abs=1e-3)
    determinants = [np.linalg.det(hessian[i, :, i]) for i in range(36)]
    assert found[:, 1] == pytest.approx(np.log(determinants), abs=1e-6)
    assert np.ptp(found, axis=0) == pytest.approx(np.zeros(4), abs=1e-3)  # all sites are alike


def test_vibrations_refuse_what_is_no_minimum() -> None:
    box = np.full(2, 8.0)
    place = np.array([[1, 1], [2.4, 1], [3.8, 1]], dtype=np.float32)  # beyond the inflection
    line = Configuration(np.zeros(3, int), box, 0.3, place, place)
    with pytest.raises(ValueError, match="not positive definite"):
        _vibrations.vibrations(line, "inherent")


def linear_world(count: int) -> tuple[list[Configuration], list[Mobility]]:
    """Configurations whose propensity is a column, of another scale in each, plus noise."""
    configurations = [lattice(seed) for seed in range(count)]
    random = np.random.default_rng(1)
    targets = []
    for number, configuration in enumerate(configurations):
        column = _columns.neighbourhood(configuration, "inherent")[:, 40]
        signal = (column - column.mean()) / column.std()
        noise = random.normal(0, 0.3, len(signal))
        targets.append(mobility(configuration, 1 + number + (1 + number) * 0.1 * (signal + noise)))
    return configurations, targets


@pytest.mark.parametrize("generalised", [False, True])
def test_row_finds_a_column_and_left_out_predictions_have_not_seen_their_own(
    generalised: bool,
) -> None:
    configurations, targets = linear_world(5)
    fit = {"blocks": _linear_columns.base, "scales": (1.0, 1.0), "penalties": (10.0, 1000.0)}
    row, left_out = _linear_row.fit(
        configurations[:4],
        targets[:4],
        generalised=generalised,
        **fit,  # type: ignore[arg-type]
    )
    large = configurations[4].types == A
    found = row(configurations[4])[large, 0]
    assert np.corrcoef(found, targets[4].propensity[0][large])[0, 1] > 0.9
    # Without configuration 0 the row gives what was left out for it, up to scale and offset.
    other, _ = _linear_row.fit(
        configurations[1:4],
        targets[1:4],
        generalised=generalised,
        **fit,  # type: ignore[arg-type]
    )
    first = configurations[0].types == A
    again = other(configurations[0])[first, 0]
    assert np.corrcoef(again, left_out[0][:, 0])[0, 1] > 0.99


def test_row_needs_two_configurations_and_the_types_it_saw() -> None:
    configurations, targets = linear_world(2)
    options = {"scales": (1.0, 1.0), "penalties": (10.0,), "generalised": False}
    with pytest.raises(ValueError, match="at least 2 configurations; got 1"):
        _linear_row.fit(configurations[:1], targets[:1], _linear_columns.base, **options)  # type: ignore[arg-type]
    row, _ = _linear_row.fit(configurations, targets, _linear_columns.base, **options)  # type: ignore[arg-type]
    del row.parts[1]
    with pytest.raises(ValueError, match=r"type \[1\], never seen in training"):
        row(configurations[0])


def test_whitening_is_the_inverse_of_the_stated_covariance() -> None:
    configuration = lattice()
    chosen = configuration.types == A
    place = np.asarray(configuration.inherent, float)[chosen]
    step = place[:, None] - place[None]
    step -= EDGE * np.rint(step / EDGE)
    covariance = 0.5 * np.exp(-np.linalg.norm(step, axis=2) / 1.5) + 0.5 * np.eye(len(place))
    inverse = np.linalg.inv(covariance)
    ones = inverse.sum(1)
    inverse -= np.outer(ones, ones) / ones.sum()
    inverse *= len(place) / np.trace(inverse)
    assert _linear_row.whitening(configuration, A) == pytest.approx(inverse, abs=1e-4)


def test_prepared_arrays_are_kept_bounded_and_made_again_when_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "folder", lambda: tmp_path)
    made: list[int] = []

    def make() -> NDArray[np.float64]:
        made.append(1)
        return np.arange(1000.0)

    for _ in range(2):
        assert np.array_equal(prepared.kept("a" * 64, make), np.arange(1000.0))
    assert len(made) == 1
    (path,) = tmp_path.glob("*.npz")
    damaged = bytearray(path.read_bytes())
    damaged[4000] ^= 1
    path.write_bytes(bytes(damaged))
    assert np.array_equal(prepared.kept("a" * 64, make), np.arange(1000.0))
    assert len(made) == 2
    monkeypatch.setattr(prepared, "LARGEST", 10_000)
    prepared.kept("b" * 64, make)
    assert [p.stem[0] for p in tmp_path.glob("*.npz")] == ["b"]
