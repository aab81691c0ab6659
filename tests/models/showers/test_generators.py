"""Generators of showers: the contract of a generative model, and the parts they share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import registry
from physbench.datasets import Split
from physbench.datasets.common import on_disk
from physbench.datasets.showers import PARAMETRISED, Conditions, encode
from physbench.models import Model
from physbench.models.showers import _neighbours, flow_matching, independent_voxels
from physbench.models.showers import _networks as networks
from physbench.models.showers import _normal_scores as normal_scores
from physbench.tasks import calo_showers

NAMES = registry.models_of("calo_showers")


@pytest.fixture(scope="module")
def splits() -> Any:
    return calo_showers.TASK.splits()


@pytest.fixture(scope="module")
def few(splits: Any) -> tuple[Split, Split, Split]:
    return (
        splits.train.take(np.arange(1500)),
        splits.validation.take(np.arange(300)),
        splits.test.take(np.arange(200)),
    )


def drawn(model: Model, fitted: Any, split: Split) -> Any:
    extra = (split.targets,) if model.oracle else ()
    return model.predict(fitted, split.inputs, *extra)


@pytest.mark.parametrize("name", NAMES)
def test_two_calls_agree_and_another_seed_does_not(name: str, few: Any) -> None:
    train, validation, test = few
    model: Model = registry.load("model", name).object
    first = model.fit(train, validation, seed=0, **model.quick)
    once, again = drawn(model, first, test), drawn(model, first, test)
    assert once.tobytes() == again.tobytes()
    assert once.shape == (200, 50)
    calo_showers.prepare(test.inputs, once)
    other = drawn(model, model.fit(train, validation, seed=1, **model.quick), test)
    assert np.array_equal(once, other) == model.deterministic


@pytest.mark.parametrize("sums", [False, True])
def test_normal_scores_are_normal_and_invertible(sums: bool, splits: Any) -> None:
    showers = splits.train.targets.take(np.arange(10_000))
    scores, values = normal_scores.fitted(showers, np.random.default_rng(0), sums=sums)
    assert values.mean(0) == pytest.approx(np.zeros(61 if sums else 50), abs=0.02)
    assert values.std(0) == pytest.approx(np.ones(61 if sums else 50), abs=0.02)
    back = scores.inverse(values, showers.conditions())
    wrong = encode(back, PARAMETRISED) != encode(showers.voxels, PARAMETRISED)
    assert wrong.mean() < 0.002  # only values beyond the outermost quantiles


def test_scores_of_some_showers_at_a_time_are_those_of_all(
    splits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    showers = splits.train.targets.take(np.arange(3000))
    scores, _ = normal_scores.learned(showers, np.random.default_rng(0), sums=False)
    whole = scores.in_parts(showers, np.random.default_rng(1))
    monkeypatch.setattr(normal_scores, "TOGETHER", 400 * 50)
    monkeypatch.setattr(on_disk, "LARGEST", 10_000)
    parts = scores.in_parts(showers, np.random.default_rng(1))
    assert on_disk.place(parts) is not None
    np.testing.assert_array_equal(parts, whole)


def test_a_transformation_is_fitted_on_as_many_showers_as_there_is_room_for(
    splits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    showers = splits.train.targets.take(np.arange(4000))
    monkeypatch.setattr(normal_scores, "FITTED", 2000 * 50)
    _, values = normal_scores.learned(showers, np.random.default_rng(0), sums=True)
    assert values.shape == (4000, 61)
    assert values.mean(0) == pytest.approx(np.zeros(61), abs=0.1)
    assert values.std(0) == pytest.approx(np.ones(61), abs=0.1)


@pytest.mark.parametrize("name", ["flow_matching", "independent_voxels"])
def test_showers_drawn_some_at_a_time_are_the_same(
    name: str, few: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, validation, test = few
    model: Model = registry.load("model", name).object
    fitted = model.fit(train, validation, seed=0, **model.quick)
    whole = drawn(model, fitted, test)
    monkeypatch.setattr(normal_scores, "TOGETHER", 37 * 61)
    monkeypatch.setattr(_neighbours, "TOGETHER", 37 * 50)
    assert drawn(model, fitted, test) == pytest.approx(whole, rel=1e-5)


def test_discrete_energies_leave_no_bin_empty(splits: Any) -> None:
    showers = splits.train.targets.take(np.arange(3000))
    steps = (2 ** np.round(np.log2(showers.energy / 1e3)) * 1e3).astype(np.float32)
    scores, values = normal_scores.fitted(
        replace(showers, energy=steps), np.random.default_rng(0), sums=True
    )
    assert np.isfinite(scores.quantiles).all()
    assert np.isfinite(values).all()


def test_nothing_is_generated_above_the_largest_energy(splits: Any) -> None:
    showers = splits.train.targets.take(np.arange(1000))
    scores, values = normal_scores.fitted(showers, np.random.default_rng(0), sums=True)
    wild = scores.inverse(np.full_like(values, 1e6), showers.conditions())
    assert wild.max() <= np.float32(5e4)


def test_voxels_are_scaled_to_the_sums_by_hand() -> None:
    voxels = np.zeros((1, 50))
    voxels[0, [0, 5, 6]] = 100, 200, 200
    layers = np.zeros((1, 10))
    layers[0, :3] = 150, 4000, 30  # the second is bounded, the third is empty
    conditions = Conditions(np.array([1000.0], dtype=np.float32))
    found = normal_scores.scaled(voxels, layers, np.array([0.76]), conditions)
    # 150 + 2 * 400 = 950 MeV, then times 760/950
    assert found[0, [0, 5, 6]] == pytest.approx([120, 320, 320])
    assert found.sum() == pytest.approx(760)


def test_noise_below_threshold_is_cut_again(few: Any) -> None:
    showers = few[0].targets
    filled = normal_scores.filled(showers, np.random.default_rng(0))
    empty = showers.voxels == 0
    assert filled[empty].max() < 0.5 <= filled[~empty].min()
    assert np.array_equal(encode(filled, PARAMETRISED), encode(showers.voxels, PARAMETRISED))


def test_batching_changes_nothing(few: Any) -> None:
    train, validation, test = few
    fitted = flow_matching.fit(train, validation, seed=0, **flow_matching.MODEL.quick)

    def draw(noise: Any, condition: Any) -> Any:
        return flow_matching.midpoint(lambda x, t: fitted.network(x, condition, t), noise, 2)

    whole = networks.generate(fitted, test.inputs, draw, 61)
    parts = networks.generate(fitted, test.inputs, draw, 61, chunk=7)
    assert parts == pytest.approx(whole, rel=1e-3)
    first = flow_matching.predict(fitted, test.inputs.take(np.arange(50)))
    assert first == pytest.approx(whole[:50], rel=1e-3)


def test_saved_generators_draw_the_same(few: Any, tmp_path: Path) -> None:
    train, validation, test = few
    for name in NAMES:
        model: Model = registry.load("model", name).object
        if model.save is None or model.load is None:
            continue
        fitted = model.fit(train, validation, seed=0, **model.quick)
        model.save(fitted, tmp_path / name)
        again = model.load(tmp_path / name)
        assert drawn(model, fitted, test).tobytes() == drawn(model, again, test).tobytes()


def test_midpoint_rule_is_of_second_order() -> None:
    import torch

    # dx/dt = x from 1: e at t = 1, error falls by 4 when steps double
    x = torch.ones(1, 1, dtype=torch.float64)
    errors = [
        abs(float(flow_matching.midpoint(lambda x, t: x, x, steps)) - np.e) for steps in (20, 40)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    # 20 steps of (1 + h + h^2/2), h = 0.05
    assert errors[0] == pytest.approx(np.e - (1.05125) ** 20, abs=1e-9)


def test_independent_voxels_keep_marginals_and_lose_correlations(splits: Any) -> None:
    model = independent_voxels.MODEL
    found = model.predict(model.fit(splits.train, splits.validation, seed=0), splits.test.inputs)
    truth = splits.test.targets.voxels
    assert found.mean() == pytest.approx(truth.mean(), rel=0.02)
    # a late shower has much in layer 7 and little in layer 1: only the simulation knows
    chosen = np.abs(splits.test.inputs.energy - 7500) < 2500
    theirs, ours = (np.corrcoef(v[chosen][:, [5, 35]].T)[0, 1] for v in (truth, found))
    assert theirs < -0.3
    assert abs(ours) < 0.1
