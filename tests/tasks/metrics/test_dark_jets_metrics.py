"""Anomaly metrics: worked examples, bounds, errors, and published scores."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from physbench.datasets.jets import JetTruth
from physbench.tasks import dark_jets
from physbench.tasks.metrics import anomaly

BKG = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7]
SIG = [0.35, 0.55, 0.65, 0.8, 0.9]

EXAMPLES = [  # background, signal, AUC, eps_B at eps_S 0.2 / 0.3 / 0.5, largest SIC
    (BKG, SIG, 0.86, (0, 0, 0.1), 1.8974),
    ([1, 2, 2, 3], [2, 3, 3, 4], 0.8125, (0, 0.25, 0.25), 1.5),
    ([5, 5, 5], [5, 5], 0.5, (1, 1, 1), 1.0),
    ([1, 2], [3, 4], 1.0, (0, 0, 0), math.nan),
    ([-1, -2], [-3, -4], 0.0, (1, 1, 1), 1.0),
]


@pytest.mark.parametrize(("background", "signal", "area", "eps", "sic"), EXAMPLES)
def test_worked_examples(background, signal, area, eps, sic) -> None:  # type: ignore[no-untyped-def]
    assert anomaly.area_under_curve(background, signal) == pytest.approx(area, abs=1e-12)
    points = [anomaly.working_point(background, signal, w) for w in (0.2, 0.3, 0.5)]
    assert [p.eps_background for p in points] == pytest.approx(eps)
    assert anomaly.largest_sic(background, signal, floor=1)[0] == pytest.approx(
        sic, abs=5e-5, nan_ok=True
    )
    for point, value in zip(points, eps, strict=True):
        assert point.bound is (value == 0)
        assert point.rejection == pytest.approx(1 / value if value else len(background))


def test_largest_sic_tells_where_it_is() -> None:
    assert anomaly.largest_sic(BKG, SIG, floor=1)[1:] == pytest.approx((0.6, 0.1))
    assert math.isnan(anomaly.largest_sic([1, 2, 2, 3], [2, 3, 3, 4])[0])  # floor of 10


def test_auc_is_the_area_under_the_roc_points() -> None:
    generator = np.random.default_rng(1)
    bkg, sig = generator.integers(0, 40, 500), generator.integers(5, 45, 300)
    n_bkg, n_sig = anomaly.roc(bkg, sig)
    area = np.trapezoid(n_sig / 300, n_bkg / 500)
    assert anomaly.area_under_curve(bkg, sig) == pytest.approx(area, abs=1e-12)


def test_efficiency_at_a_background_efficiency() -> None:
    bkg = np.arange(1000.0)
    assert anomaly.efficiency_at(bkg, [988.5, 989.5, 995.0, 5.0], 1e-2) == 0.5
    assert anomaly.efficiency_at(bkg, [989.0, 989.0], 1e-2) == 0.0  # tied with the first one out
    assert math.isnan(anomaly.efficiency_at(bkg, [5000.0], 1e-3))  # 1,000 < 10 / 1e-3


def test_error_of_a_rejection_is_binomial() -> None:
    point = anomaly.WorkingPoint(0.3, 886 / 100_000, 886, 100_000)
    assert point.sigma == pytest.approx(3.79, abs=0.005)
    assert math.isnan(anomaly.WorkingPoint(0.3, 0.0, 0, 10).sigma)


def test_spearman_equals_scipy_with_ties() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.integers(0, 9, 300), generator.normal(size=300)
    assert anomaly.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert math.isnan(anomaly.spearman(np.ones(5), b[:5]))


def truth(signal: list[int], matched: list[bool] | None = None) -> JetTruth:
    n = len(signal)
    return JetTruth(
        signal=np.array(signal, dtype=np.int8),
        matched=np.array(matched if matched else [True] * n),
        event=np.arange(n),
        pt=np.linspace(150, 300, n).astype(np.float32),
        mass=np.ones(n, dtype=np.float32),
        multiplicity=np.arange(n),
        signals=("first", "r_inv_0"),
    )


def test_ranking_is_the_mean_over_signals_of_the_matched_sets() -> None:
    codes = [0] * 10 + [1] * 5 + [2] * 5 + [1]
    scores = np.array([*BKG, *SIG, *([0.0] * 5), 9.0])
    targets = truth(codes, [True] * 20 + [False])
    found = anomaly.log_rejection_slices(targets, scores)
    assert found == pytest.approx({"first": math.log(10), "r_inv_0": 0.0})
    assert anomaly.log_rejection(targets, scores) == pytest.approx(math.log(10) / 2)
    assert anomaly.worst_log_rejection(targets, scores) == 0.0
    assert anomaly.semivisible_log_rejection(targets, scores) == pytest.approx(math.log(10))
    assert anomaly.bounded_points(targets, scores) == 1.0
    assert anomaly.auc(targets, scores) == pytest.approx(0.43)
    assert anomaly.unmatched_auc(targets, scores) > anomaly.auc(targets, scores)


def test_one_class_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="needs both classes; got 4 background and 0 signal"):
        anomaly.log_rejection(truth([0] * 4), np.arange(4.0))
    with pytest.raises(ValueError, match="not empty"):
        anomaly.area_under_curve([], [1.0])


def test_constant_scores_are_worthless_not_an_error() -> None:
    targets = truth([0] * 20 + [1] * 10 + [2] * 10)
    constant = dark_jets.prepare(targets, np.full(40, 3.3))
    assert anomaly.auc(targets, constant) == 0.5
    assert anomaly.rejection_20(targets, constant) == 1.0
    assert math.isnan(anomaly.spearman_pt(targets, constant))


def test_nan_scores_fail() -> None:
    with pytest.raises(FloatingPointError, match="1 of 2 signal scores"):
        anomaly.area_under_curve([1.0], [1.0, math.nan])


def test_metrics_are_fast_enough_for_a_thousand_resamples() -> None:
    generator = np.random.default_rng(3)
    targets = truth(generator.integers(0, 3, 20_000).tolist())
    ranks = dark_jets.prepare(targets, generator.normal(size=20_000))
    started = time.process_time()
    for _ in range(20):
        anomaly.log_rejection(targets, ranks)
    assert (time.process_time() - started) / 20 < 0.02


def test_published_scores_of_lorentznet() -> None:
    base = Path(os.environ.get("PHYSBENCH_DATA", "absent"))
    found = [p for p in (base, base / "jets") if (p / "lorentznet_qg_test_scores.npy").exists()]
    if not found:
        pytest.skip("the LorentzNet scores are not below $PHYSBENCH_DATA")
    label, _, score = np.load(found[0] / "lorentznet_qg_test_scores.npy").T
    bkg, sig = score[label == 0], score[label == 1]
    assert anomaly.area_under_curve(bkg, sig) == pytest.approx(0.91613499675, abs=5e-7)
    points = [anomaly.working_point(bkg, sig, w) for w in (0.2, 0.3, 0.5)]
    assert points[0].rejection == pytest.approx(190.84, abs=0.005)
    assert points[1].rejection == pytest.approx(112.86681715575621, rel=1e-12)
    assert points[2].rejection == pytest.approx(43.15925766076823, rel=1e-12)
    assert points[1].passing == 886
    assert points[2].sigma == pytest.approx(0.90, abs=0.005)
    sic, eps_s, eps_b = anomaly.largest_sic(bkg, sig)
    assert (sic, eps_s, eps_b) == pytest.approx((3.3112, 0.47846, 0.02088), abs=5e-5)
