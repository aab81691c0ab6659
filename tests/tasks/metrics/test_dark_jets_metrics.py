"""Anomaly metrics: means over signals with weights, the fast bootstrap, errors in words."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from physbench.datasets.jets import JetTruth
from physbench.tasks import dark_jets
from physbench.tasks.metrics import anomaly, ranking

BKG = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7]
SIG = [0.35, 0.55, 0.65, 0.8, 0.9]


def truth(
    signal: list[int],
    weight: list[float] | None = None,
    signals: tuple[str, ...] = ("first", "r_inv_0"),
) -> JetTruth:
    n = len(signal)
    return JetTruth(
        signal=np.array(signal, dtype=np.int8),
        weight=np.array(weight if weight else [1.0] * n, dtype=np.float32),
        event=np.arange(n),
        pt=np.linspace(150, 300, n).astype(np.float32),
        mass=np.ones(n, dtype=np.float32),
        multiplicity=np.arange(n),
        signals=signals,
    )


CODES = [0] * 10 + [1] * 5 + [2] * 5 + [1]
SCORES = np.array([*BKG, *SIG, *([0.0] * 5), 9.0])


def test_ranking_is_the_weighted_mean_without_the_control() -> None:
    targets = truth(CODES, [1.0] * 20 + [0.0])
    found = anomaly.log_rejection_slices(targets, SCORES)
    assert found == pytest.approx({"first": math.log(10), "r_inv_0": 0.0})
    assert anomaly.log_rejection(targets, SCORES) == pytest.approx(math.log(10))
    assert anomaly.main_log_rejection(targets, SCORES) == pytest.approx(math.log(10))
    assert anomaly.worst_log_rejection(targets, SCORES) == pytest.approx(math.log(10))
    assert anomaly.control_log_rejection(targets, SCORES) == 0.0
    assert anomaly.bounded_points(targets, SCORES) == 1.0
    assert anomaly.auc(targets, SCORES) == pytest.approx(0.86)
    assert anomaly.unmatched_auc(targets, SCORES) == pytest.approx((0.86 * 5 + 1) / 6)
    assert anomaly.columns(targets, SCORES) == 1


def test_worst_and_mean_of_two_ranked_signals() -> None:
    targets = truth([0] * 10 + [1] * 5 + [2] * 5, signals=("first", "third"))
    scores = np.array([*BKG, *SIG, *([0.0] * 5)])
    assert anomaly.log_rejection(targets, scores) == pytest.approx(math.log(10) / 2)
    assert anomaly.worst_log_rejection(targets, scores) == 0.0
    assert math.isnan(anomaly.control_log_rejection(targets, scores))


def test_a_signal_without_a_jet_is_never_left_out_of_a_mean() -> None:
    targets = truth([0] * 10 + [1] * 5, signals=("first", "second"))
    scores = np.array([*BKG, *SIG])
    assert anomaly.log_rejection_slices(targets, scores)["first"] == pytest.approx(math.log(10))
    for metric in (anomaly.log_rejection, anomaly.worst_log_rejection, anomaly.auc):
        assert math.isnan(metric(targets, scores))


def test_an_oracle_has_a_column_for_each_signal() -> None:
    targets = truth(CODES, [1.0] * 20 + [0.0])
    table = np.stack([SCORES, -SCORES], axis=1)
    found = anomaly.auc_slices(targets, table)
    assert found == pytest.approx({"first": 0.86, "r_inv_0": 1.0})
    ranks = dark_jets.prepare(targets, table)
    assert ranks.shape == table.shape
    assert anomaly.auc_slices(targets, ranks) == pytest.approx(found)
    assert (dark_jets.prepare(targets, ranks) == ranks).all()
    assert anomaly.columns(targets, ranks) == 2
    assert "only an oracle" in str(dark_jets.admit({"columns": 3.0}))
    with pytest.raises(ValueError, match=r"shape \(21,\); got \(21, 1\)"):
        anomaly.auc(targets, table[:, :1])


@pytest.mark.parametrize(
    "metric", [m for m in dark_jets.TASK.metrics if m.replicates], ids=lambda m: m.name
)
def test_the_fast_bootstrap_gives_the_digits_of_the_slow_one(metric) -> None:  # type: ignore[no-untyped-def]
    generator = np.random.default_rng(4)
    codes = generator.choice(4, 16_000, p=[0.7, 0.1, 0.1, 0.1])
    weight = generator.uniform(0.1, 2.0, len(codes)).tolist()
    targets = truth(codes.tolist(), weight, ("first", "r_inv_0", "third"))
    scores = np.round(generator.normal(codes > 0, 1.0), 1)
    units = [generator.integers(0, len(codes), len(codes)) for _ in range(3)]
    counts = np.array([np.bincount(u, minlength=len(codes)) for u in units])
    slow = [metric.function(targets.take(u), scores[u]) for u in units]
    assert np.isfinite(slow).all()
    assert metric.replicates(targets, scores, counts) == pytest.approx(slow, abs=1e-12)


def test_the_interval_of_a_correlation_covers_it() -> None:
    generator = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        x = generator.normal(size=200)
        targets = truth([0] * 200)
        object.__setattr__(targets, "pt", x)
        score = 0.5 * x + generator.normal(size=200) * math.sqrt(0.75)
        low, high = anomaly.correlation_interval(anomaly.spearman_pt)(targets, score)
        hits += low < 6 / math.pi * math.asin(0.25) < high
    assert 0.92 < hits / 400 < 0.98


def test_one_class_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="needs both classes; got 4 background and 0 signal"):
        anomaly.log_rejection(truth([0] * 4), np.arange(4.0))


def test_constant_scores_are_worthless_not_an_error() -> None:
    targets = truth([0] * 20 + [1] * 10 + [2] * 10)
    constant = dark_jets.prepare(targets, np.full(40, 3.3))
    assert anomaly.auc(targets, constant) == 0.5
    assert anomaly.rejection_20(targets, constant) == 1.0
    assert math.isnan(anomaly.spearman_pt(targets, constant))


def test_a_thousand_resamples_take_seconds() -> None:
    generator = np.random.default_rng(3)
    targets = truth(generator.integers(0, 3, 20_000).tolist())
    ranks = dark_jets.prepare(targets, generator.normal(size=20_000))
    counts = generator.poisson(1.0, (20, 20_000))
    started = time.process_time()
    fast = anomaly.resampled(anomaly.log_rejection_of, anomaly.mean)(targets, ranks, counts)
    assert (time.process_time() - started) / 20 < 0.01
    assert fast == pytest.approx(
        [anomaly.mean({"a": np.log(5)})] * 20, abs=0.2
    )  # blind scores: 1/eps_B = 1/eps_S
    assert ranking.FEW == 10
