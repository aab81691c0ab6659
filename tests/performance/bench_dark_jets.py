"""Speed of the dark-jets parts: ranking metric, views, training step, energy flow, transport.

Run: python -m pytest tests/performance/bench_dark_jets.py --benchmark-enable --benchmark-only
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from physbench.datasets import Splits
from physbench.models.jets import _contrastive as contrastive
from physbench.models.jets import _contrastive_training as contrastive_training
from physbench.models.jets import _energy_flow as energy_flow
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets import _optimal_transport as transport
from physbench.tasks import dark_jets
from physbench.tasks.metrics import anomaly

Benchmark = Callable[..., Any]


@pytest.fixture(scope="module")
def splits() -> Splits:
    return dark_jets.TASK.splits("dark_showers")


def test_ranking_metric(benchmark: Benchmark, splits: Splits) -> None:
    """One of the thousand resamples of a score's interval: some milliseconds."""
    scores = np.random.default_rng(0).normal(size=len(splits.test))
    ranks = dark_jets.prepare(splits.test.inputs, scores)
    value = benchmark(anomaly.log_rejection, splits.test.targets, ranks)
    assert value == pytest.approx(np.log(5), abs=0.2)


def test_rejections_of_resamples_beside_their_curves(
    benchmark: Benchmark, splits: Splits, interleaved: Any
) -> None:
    """The bootstrap at a working point against one ROC a resample, with the same digits."""
    targets = splits.test.targets
    ranks = dark_jets.prepare(
        splits.test.inputs, np.random.default_rng(0).normal(size=len(targets))
    )
    counts = np.random.default_rng(1).poisson(1.0, (20, len(targets)))
    fixed = dict(anomaly.comparisons(targets, ranks))

    table = anomaly.Rejections(True)

    def fast() -> Any:
        return [rejections[:, 0] for rejections in table(targets, ranks, counts).values()]

    def curves() -> Any:
        each = (ordered for ordered in fixed.values() if ordered)
        return [
            [anomaly.Rejection(0.2)(ordered.roc(one, one)) for one in counts] for ordered in each
        ]

    assert np.array_equal(fast(), curves())
    own, slow = interleaved(fast, curves, rounds=3)
    benchmark.extra_info["ratio"] = slow / own  # type: ignore[attr-defined]
    benchmark(fast)
    assert slow >= 1.5 * own


def test_dark_drop(benchmark: Benchmark, splits: Splits) -> None:
    data = contrastive_training.tensor(splits.validation.inputs, 50)[:256]
    generator = torch.Generator().manual_seed(0)
    dropped = benchmark(views.dark_dropped, data, generator)
    assert dropped.shape == data.shape


def test_training_step(benchmark: Benchmark, splits: Splits) -> None:
    """256 jets, three views, 45 k parameters; 540 jets a CPU second was the reference."""
    known = inspect.signature(contrastive.JetEncoder).parameters
    preset: Any = {k: v for k, v in contrastive_training.PRESET.items() if k in known}
    encoder = contrastive.JetEncoder(**preset)
    data = contrastive_training.tensor(splits.train.inputs, 50)[:256]
    generator = torch.Generator().manual_seed(0)

    def step() -> torch.Tensor:
        z = [
            encoder(view)[1]
            for view in views.three_views(data, generator, resolved=True, moved=False)
        ]
        loss = contrastive.anomaly_contrastive_plus(z[0], z[1], z[2], 0.1)
        torch.autograd.backward(loss)
        return loss.detach()

    assert torch.isfinite(benchmark(step))


def test_energy_flow_polynomials(
    benchmark: Benchmark, splits: Splits, interleaved: Any, told: Any
) -> None:
    """All 20 connected graphs of up to four edges, beside EnergyFlow's own batch."""
    if importlib.util.find_spec("energyflow") is None:
        pytest.skip("EnergyFlow is not installed: the Makefile's line does it")
    package = energy_flow.package()  # which imports in spite of its own `wasserstein`
    jets = splits.validation.inputs.take(np.arange(250))
    double = jets.constituents.astype(np.float64)
    events = [jet[filled] for jet, filled in zip(double, jets.mask, strict=True)]
    chosen = ("d>0", "d<=4", "p==1")
    peer = package.EFPSet(*chosen, measure="hadr", beta=1, normed=True, coords="ptyphim")

    def theirs() -> Any:
        return peer.batch_compute(events, n_jobs=1)

    assert energy_flow.polynomials(jets) == pytest.approx(theirs(), rel=1e-6)
    own, best = interleaved(lambda: energy_flow.polynomials(jets), theirs, rounds=3)
    benchmark(energy_flow.polynomials, jets)
    told(best / own, least=5, limit="EnergyFlow itself is used, one jet after another")


def test_energy_movers_distance(benchmark: Benchmark, splits: Splits) -> None:
    first, second = transport.clouds(splits.validation.inputs.take(np.arange(2)), 30)
    assert benchmark(transport.distance, first, second) > 0
