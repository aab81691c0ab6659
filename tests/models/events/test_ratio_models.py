"""Estimators of a likelihood ratio: losses by hand, derivatives, classical rows, what they see."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from physbench.datasets import Split, Splits
from physbench.datasets.events import GRID, eft_toy, interference_toy, log_ratio, score
from physbench.models.events import (
    _morphing,
    _ratio_networks,
    alice,
    alices_ensemble,
    boosted_coefficients,
    carl,
    carl_calibrated,
    exact_ratio,
    histogram_1d,
    histogram_2d,
    histogram_4d,
    neural_likelihood,
    no_information,
    nre,
    parton_level,
    rascal,
    sally,
)
from physbench.models.events._ratio_networks import Batch, Batches, Estimate, Network
from physbench.tasks import likelihood_ratio
from physbench.tasks.metrics import likelihood


@pytest.fixture(scope="module")
def splits() -> Splits:
    return likelihood_ratio.load(eft_toy.DATASET)


def error(split: Split, log_ratios: Any) -> float:
    values = likelihood.derive(split.targets, {"log_ratio": log_ratios})
    return likelihood.mse_log_ratio(split.targets, values)


def example() -> tuple[Estimate, Batch]:
    """One event at theta with ln r = ln 2, t = 3, and one at the reference with ln r = -ln 2."""
    ln2 = math.log(2)
    estimate = Estimate(torch.tensor([0.0, ln2]), torch.tensor([1.0, 5.0]))
    columns = [torch.zeros(2, 6), torch.zeros(2), torch.tensor([0.0, 1.0])]
    return estimate, Batch(*columns, torch.tensor([ln2, -ln2]), torch.tensor([3.0, 0.0]))


def test_losses_by_hand() -> None:
    estimate, batch = example()
    # s-hat = 1/2 and 1/3; r-hat = 1 and 2; r = 2 and 1/2; s = 1/3 and 2/3.
    assert _ratio_networks.label_entropy(estimate, batch).item() == pytest.approx(
        (math.log(2) + math.log(3)) / 2
    )
    assert _ratio_networks.joint_entropy(estimate, batch).item() == pytest.approx(
        (math.log(2) - 2 / 3 * math.log(1 / 3) - 1 / 3 * math.log(2 / 3)) / 2
    )
    # (1/1 - 1/2)^2 of the first, (2 - 1/2)^2 of the second; the score of the first alone.
    assert _ratio_networks.squared_ratios(estimate, batch).item() == pytest.approx(
        (0.25 + 2.25) / 2
    )
    assert _ratio_networks.score_error(estimate, batch).item() == pytest.approx(4 / 2)


@pytest.mark.parametrize("loss", [_ratio_networks.label_entropy, _ratio_networks.joint_entropy])
def test_entropies_are_least_at_the_true_ratio(loss: Any, splits: Splits) -> None:
    """On average over z and labels: the exact ratio beats itself scaled or turned around."""
    batch = _ratio_networks.columns(splits.train)
    process = eft_toy.PROCESS
    exact = log_ratio(process.expected(splits.train.inputs.x), batch.theta.numpy(), process.norms)
    values = [
        loss(Estimate(torch.tensor(k * exact).float(), batch.theta), batch).item()
        for k in (1.0, 0.7, 1.3, -1.0)
    ]
    assert values[0] == min(values)


def test_rare_ratios_do_not_overflow() -> None:
    _, batch = example()
    value = torch.tensor([200.0, -200.0])
    assert math.isfinite(_ratio_networks.squared_ratios(Estimate(value, value), batch).item())


def test_derivative_carried_forward_is_that_of_autograd() -> None:
    torch.manual_seed(0)
    network = Network(6, 16, 3)
    network.deviation.fill_(2.0)
    x, theta = torch.randn(50, 6), torch.rand(50).requires_grad_(True)
    (slope,) = torch.autograd.grad(network(x, theta).sum(), theta)
    found = network.with_score(x, theta)
    torch.testing.assert_close(found.score, slope)
    torch.testing.assert_close(found.log_ratio, network(x, theta))


def test_the_network_of_the_papers_has_its_size() -> None:
    assert sum(p.numel() for p in Network(6, 100, 3).parameters()) == 21_101


def test_a_batch_holds_the_joint_ratio_and_score(splits: Splits) -> None:
    batch = _ratio_networks.columns(splits.train.take(range(5)))
    gold, theta = splits.train.targets, splits.train.inputs.theta[:5]
    joint = log_ratio(gold.coefficients[:5], theta, gold.norms)
    assert batch.log_ratio.numpy() == pytest.approx(joint, abs=1e-6)
    slope = score(gold.coefficients[:5], theta, gold.norms)
    assert batch.score.numpy() == pytest.approx(slope, abs=1e-5)


def test_batches_pass_over_the_events_in_new_orders() -> None:
    columns = Batch(torch.arange(10.0)[:, None], *[torch.arange(10.0)] * 4)
    batches = Batches(columns, 4, 5, seed=0)
    assert len(batches) == 5
    assert [len(part.x) for part in batches] == [4] * 5
    first = torch.cat([batches[0].theta, batches[1].theta])
    assert len(set(first.tolist())) == 8
    assert batches[0].theta.tolist() != batches[2].theta.tolist()
    large = Batches(columns, 100, 2, seed=0)
    assert len(large[0].x) == 10


def test_morphing_in_one_bin_is_the_mean(splits: Splits) -> None:
    x, c = _morphing.reference_events(splits.train)
    assert len(x) == 50_000
    fitted = _morphing.binned(x[:, :1], c, 1, splits.train.targets.norms)
    expected = log_ratio(c.mean(0), GRID, splits.train.targets.norms)
    assert fitted.log_ratio(x[:3, :1]) == pytest.approx(np.tile(expected, (3, 1)))


def test_sparse_bins_take_the_mean_of_all() -> None:
    values = np.array([[0.0]] * 4 + [[1.0]] * 96)
    c = np.column_stack([np.r_[np.full(4, 9.0), np.zeros(96)], np.zeros(100)])
    fitted = _morphing.binned(values, c, 1, (0.36, 0.0))
    apart = _morphing.Binned((np.array([0.5]),), fitted.coefficients, fitted.norms)
    assert apart.coefficients[0] == pytest.approx([0.36, 0.0])


def test_classical_ladder(splits: Splits) -> None:
    """Each step of the ladder below the one before, with room (measured for this sample)."""
    test = splits.test
    found = {
        module.__name__.rpartition(".")[2]: error(
            test,
            module.MODEL.predict(
                module.MODEL.fit(splits.train, splits.validation, seed=0), test.inputs
            ),
        )
        for module in (no_information, histogram_1d, histogram_2d, parton_level, histogram_4d)
    }
    bounds = {
        "no_information": (0.100, 0.120),
        "histogram_1d": (0.060, 0.080),
        "histogram_2d": (0.050, 0.070),
        "parton_level": (0.011, 0.015),
        "histogram_4d": (0.009, 0.0135),
    }
    for name, (low, high) in bounds.items():
        assert low < found[name] < high, (name, found[name])


def test_oracle_answers_exactly(splits: Splits) -> None:
    answer = exact_ratio.predict(None, splits.test.inputs, splits.test.targets)
    assert error(splits.test, answer) == 0


def test_models_say_when_gold_is_withheld() -> None:
    black_box = likelihood_ratio.load(eft_toy.DATASET, events=1000, gold=False)
    for module in (histogram_4d, boosted_coefficients, alice):
        with pytest.raises(ValueError, match="gold=True"):
            module.fit(black_box.train, black_box.validation, seed=0)
    fitted = carl.fit(black_box.train, black_box.validation, seed=0, **carl.MODEL.quick)
    assert carl.MODEL.predict(fitted, black_box.test.inputs.take(range(5))).shape == (5, 21)


def test_histograms_refuse_observables_that_are_not_there(splits: Splits) -> None:
    with pytest.raises(ValueError, match="0 to 5; got \\[6\\]"):
        histogram_1d.fit(splits.train, splits.validation, seed=0, columns=(6,))
    with pytest.raises(ValueError, match="bins must be at least 1"):
        histogram_1d.fit(splits.train, splits.validation, seed=0, bins=0)


def test_too_few_steps_are_refused(splits: Splits) -> None:
    with pytest.raises(ValueError, match="steps must be at least 10"):
        carl.fit(splits.train, splits.validation, seed=0, steps=5)


def test_parton_level_knows_both_processes_and_no_other(splits: Splits) -> None:
    other = interference_toy.load()
    fitted = parton_level.fit(other.train, other.validation, seed=0)
    assert 0.02 < error(other.test, parton_level.predict(fitted, other.test.inputs)) < 0.06
    import dataclasses

    unknown = dataclasses.replace(splits.train.targets, process="mine")
    with pytest.raises(ValueError, match="helicity, interference; got 'mine'"):
        parton_level.fit(dataclasses.replace(splits.train, targets=unknown), other.test, seed=0)


def test_a_network_answers_alike_in_any_batch() -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 6)
    network = Network(6, 16, 2)

    def module(x: Tensor, theta: Tensor) -> Tensor:
        result: Tensor = network(x, theta)
        return result

    whole = _ratio_networks.asked(module, x)
    parts = np.concatenate([_ratio_networks.asked(module, part) for part in torch.split(x, 7)])
    assert whole == pytest.approx(parts, abs=1e-6)


def test_smoke_alice_learns_in_seconds() -> None:
    small = likelihood_ratio.load(eft_toy.DATASET, events=10_000)
    settings = {"steps": 300, "batch": 128, "learning_rate": 5e-3}
    fitted = alice.fit(small.train, small.validation, seed=0, **settings)
    assert error(small.test, alice.MODEL.predict(fitted, small.test.inputs)) < 0.05


def test_sally_regresses_the_score_of_reference_events(splits: Splits) -> None:
    batch = sally._reference(splits.train.take(range(6)))
    gold = splits.train.targets.take(np.array([1, 3, 5]))
    assert batch.score.numpy() == pytest.approx(
        score(gold.coefficients, 0.0, gold.norms), abs=1e-6
    )
    assert (batch.theta == 0).all()


def test_members_of_an_ensemble_differ_in_seed_and_events(splits: Splits) -> None:
    small = splits.train.take(range(200))
    first, second = (alices_ensemble.resampled(small, seed) for seed in (0, 1))
    assert len(first) == 200
    assert len(set(first.ids)) < 200
    assert first.ids != second.ids
    quick = {**alices_ensemble.MODEL.quick, "networks": 3}
    fitted = alices_ensemble.fit(small, splits.validation.take(range(50)), seed=0, **quick)
    inputs = splits.test.inputs.take(np.arange(5))
    answer = alices_ensemble.predict(fitted, inputs)
    members = np.stack([_ratio_networks.predict(network, inputs) for network in fitted])
    assert answer["log_ratio"] == pytest.approx(members.mean(0))
    assert answer["spread"] == pytest.approx(np.std(members, axis=0, ddof=1))
    assert (answer["spread"] > 0).all()
    with pytest.raises(ValueError, match="networks must be at least 2"):
        alices_ensemble.fit(small, small, seed=0, networks=1)


def test_calibration_undoes_a_monotone_distortion() -> None:
    generator = np.random.default_rng(0)
    true = generator.normal(size=40_000)
    label = generator.random(40_000) < 1 / (1 + np.exp(true))
    before, after = carl_calibrated.calibration(3 * true + 1, label.astype(np.uint8))
    assert (np.diff(before) > 0).all()
    asked = np.linspace(-1.5, 1.5, 31)
    found = np.interp(3 * asked + 1, before, after)
    assert np.abs(found - asked).max() < 0.25
    assert np.sqrt(np.mean((found - asked) ** 2)) < 0.08


def test_a_pure_block_stays_finite() -> None:
    label = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8)
    before, after = carl_calibrated.calibration(np.arange(6.0), label)
    assert before == pytest.approx([1.0, 4.0])
    assert after == pytest.approx([np.log(1 / 4), np.log(4)])


@pytest.mark.parametrize("module", [nre, neural_likelihood])
def test_ratio_to_the_reference_is_zero_there(module: Any, splits: Splits) -> None:
    small = splits.train.take(range(400)), splits.validation.take(range(100))
    fitted = module.fit(*small, seed=0, **module.MODEL.quick)
    answer = module.predict(fitted, splits.test.inputs.take(np.arange(5)))
    assert answer[:, 10] == pytest.approx(0, abs=1e-6)
    assert np.abs(answer).max() > 1e-3


def test_events_know_where_they_were_drawn(splits: Splits) -> None:
    batch = _ratio_networks.drawn_at(splits.train.take(range(4)))
    own = splits.train.inputs.theta
    assert batch.theta.tolist() == pytest.approx([own[0], 0, own[2], 0])


@pytest.mark.slow
def test_order_of_the_learned_ladder(splits: Splits) -> None:
    """One seed at the presets: labels, joint ratio, joint ratio and score; trees between."""
    found = {}
    for module in (carl, boosted_coefficients, alice, rascal):
        fitted = module.fit(
            splits.train, splits.validation, seed=0, **module.MODEL.presets["eft_toy"]
        )
        answer = module.MODEL.predict(fitted, splits.test.inputs)
        found[module.__name__.rpartition(".")[2]] = error(splits.test, answer)
    assert 0.118 > found["carl"] > found["boosted_coefficients"] > found["alice"], found
    assert found["alice"] > 0.8 * found["rascal"], found
