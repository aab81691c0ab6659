"""Speed of flavour tagging: steps beside a bare loop, pairs, the bootstrap, inference.

Run: python -m pytest tests/performance/bench_jet_flavour.py --benchmark-enable --benchmark-only
"""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from physbench.datasets import Splits
from physbench.models import Context
from physbench.models.common import training
from physbench.models.jets import _tagging, particle_transformer
from physbench.models.jets.particle_transformer import ParticleTransformer
from physbench.tasks import jet_flavour
from physbench.tasks.metrics import flavour

QUIET = Context(device="cpu", progress=False)
JETS = 3072
SHAPE = ("embedding", "pairs", "heads", "layers", "class_layers", "dropout", "pair_norm", "joined")


@pytest.fixture(scope="module")
def splits() -> Splits:
    return jet_flavour.TASK.splits("flavour_jets")


def network() -> ParticleTransformer:
    torch.manual_seed(0)
    settings: dict[str, Any] = {name: particle_transformer.TINY[name] for name in SHAPE}
    return ParticleTransformer(12, 4, **settings)


def batches(splits: Splits) -> list[_tagging.Batch]:
    few = splits.train.take(range(JETS))
    return list(_tagging.batches(few.inputs, few.targets, 256))


def bare(module: Any, parts: Any) -> None:
    """AdamW with clipping, as a reader would write it."""
    optimiser = torch.optim.AdamW(module.parameters(), 2e-3, fused=True)
    for part in parts:
        optimiser.zero_grad()
        loss = _tagging.cross_entropy(module, part)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        loss.item()


def ours(module: Any, parts: Any) -> None:
    training.train(
        module,
        _tagging.cross_entropy,
        parts,
        (),
        seed=0,
        epochs=1,
        learning_rate=2e-3,
        optimiser="adamw",
        clip=1.0,
        context=QUIET,
    )


def test_training_beside_a_bare_loop(benchmark: Any, interleaved: Any, splits: Splits) -> None:
    """The loop that all networks share costs at most a fifth more than none."""
    sides = [partial(side, network(), batches(splits)) for side in (ours, bare)]
    ratio = benchmark.pedantic(lambda: operator.truediv(*interleaved(*sides, rounds=3)), rounds=1)
    benchmark.extra_info["ratio"] = ratio
    assert ratio < 1.2


def test_filled_pairs_beside_all_pairs(benchmark: Any, interleaved: Any, splits: Splits) -> None:
    """What it saves to embed the pairs of tracks that are there, of 24 slots."""
    one = _tagging.collated(splits.test.inputs.take(slice(0, 512)))
    embed = network().pairs
    assert embed is not None
    everywhere = torch.ones_like(one.mask)
    kinematics = one.kinematics + torch.where(one.mask, 0.0, 1.0)[..., None]

    def filled() -> None:
        embed(one.kinematics, one.mask)

    def dense() -> None:
        embed(kinematics, everywhere)

    ratio = benchmark.pedantic(
        lambda: operator.truediv(*interleaved(filled, dense, rounds=5)), rounds=1
    )
    benchmark.extra_info["ratio"] = ratio
    assert ratio < 0.7


def test_bootstrap_beside_resampling(benchmark: Any, interleaved: Any, splits: Splits) -> None:
    """Sorted once against drawn and sorted for every resample."""
    targets = splits.test.targets
    L = np.random.default_rng(0).normal(size=(len(targets), 4))
    draws = np.random.default_rng(1).integers(0, len(L), (20, len(L)))
    counts = np.array([np.bincount(draw, minlength=len(L)) for draw in draws])

    def fast() -> None:
        flavour.log_rejection_replicates(targets, L, counts)

    def slow() -> None:
        for draw in draws:
            flavour.log_rejection(targets.take(draw), L[draw])

    ratio = benchmark.pedantic(
        lambda: operator.truediv(*interleaved(fast, slow, rounds=3)), rounds=1
    )
    benchmark.extra_info["ratio"] = ratio
    assert ratio < 0.8
