"""ROC quantities: worked examples, weights as repeated units, published scores."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, spearmanr

from physbench.tasks.metrics import ranking
from physbench.tasks.metrics.ranking import Ordered, roc

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
    curve = roc(background, signal)
    assert ranking.area(curve) == pytest.approx(area, abs=1e-12)
    points = [ranking.working_point(curve, w) for w in (0.2, 0.3, 0.5)]
    assert [p.eps_background for p in points] == pytest.approx(eps)
    assert ranking.largest_sic(curve, floor=1)[0] == pytest.approx(sic, abs=5e-5, nan_ok=True)
    for point, value in zip(points, eps, strict=True):
        assert point.bound is (value == 0)
        assert point.rejection == pytest.approx(1 / value if value else len(background))


def test_weights_by_hand() -> None:
    curve = roc([1, 2, 3], [2, 3, 4], [1, 1, 2], [1, 2, 1])
    assert curve.background.tolist() == [0, 0, 2, 3, 4]
    assert curve.signal.tolist() == [0, 1, 3, 4, 4]
    # P(s > b) + P(s = b) / 2 = [1 x 4 + 1 x (3 + 1/2) + 2 x (1 + 2/2)] / 16
    assert ranking.area(curve) == pytest.approx(11.5 / 16)
    point = ranking.working_point(curve, 0.5)
    assert (point.eps_signal, point.eps_background, point.passing) == (0.75, 0.5, 2)


few = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=25)


@settings(max_examples=150, deadline=None)
@given(few, few)
def test_a_weight_is_that_many_units(background, signal) -> None:  # type: ignore[no-untyped-def]
    (b, wb), (s, ws) = (np.array(list(zip(*c, strict=True))) for c in (background, signal))
    if not wb.sum() or not ws.sum():
        with pytest.raises(ValueError, match="positive sum"):
            roc(b, s, wb, ws)
        return
    weighted, repeated = roc(b, s, wb, ws), roc(np.repeat(b, wb), np.repeat(s, ws))
    assert ranking.area(weighted) == pytest.approx(ranking.area(repeated), abs=1e-12)
    for eps in (0.2, 0.5, 1.0):
        first, second = (ranking.working_point(c, eps) for c in (weighted, repeated))
        assert first == second
    assert ranking.largest_sic(weighted, 1) == pytest.approx(
        ranking.largest_sic(repeated, 1), nan_ok=True
    )
    assert ranking.efficiency_at(weighted, 0.5) == pytest.approx(
        ranking.efficiency_at(repeated, 0.5), nan_ok=True
    )
    assert Ordered.of(b, s).roc(wb, ws).signal.tolist() == weighted.signal.tolist()


def test_auc_equals_mann_whitney() -> None:
    generator = np.random.default_rng(1)
    bkg, sig = generator.integers(0, 40, 500), generator.integers(5, 45, 300)
    expected = mannwhitneyu(sig, bkg).statistic / (500 * 300)
    assert ranking.area_under_curve(bkg, sig) == pytest.approx(expected, abs=1e-12)


def test_largest_sic_tells_where_it_is() -> None:
    assert ranking.largest_sic(roc(BKG, SIG), floor=1)[1:] == pytest.approx((0.6, 0.1))
    assert math.isnan(ranking.largest_sic(roc([1, 2, 2, 3], [2, 3, 3, 4]))[0])  # floor of 10


def test_efficiency_at_a_background_efficiency() -> None:
    bkg = np.arange(1000.0)
    assert ranking.efficiency_at(roc(bkg, [988.5, 989.5, 995.0, 5.0]), 1e-2) == 0.5
    assert ranking.efficiency_at(roc(bkg, [989.0, 989.0]), 1e-2) == 0.0  # tied with the first out
    assert math.isnan(ranking.efficiency_at(roc(bkg, [5000.0]), 1e-3))  # 1,000 < 10 / 1e-3


def test_error_of_a_rejection_is_binomial() -> None:
    point = ranking.WorkingPoint(0.3, 886 / 100_000, 886, 100_000)
    assert point.sigma == pytest.approx(3.79, abs=0.005)
    assert math.isnan(ranking.WorkingPoint(0.3, 0.0, 0, 10).sigma)


def test_spearman_equals_scipy_with_ties() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.integers(0, 9, 300), generator.normal(size=300)
    assert ranking.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert math.isnan(ranking.spearman(np.ones(5), b[:5]))


def test_bad_input_says_what_is_wrong() -> None:
    with pytest.raises(FloatingPointError, match="1 of 2 signal scores"):
        roc([1.0], [1.0, math.nan])
    with pytest.raises(ValueError, match="not empty"):
        roc([], [1.0])
    with pytest.raises(ValueError, match=r"one a unit, shape \(2,\); got \(1,\)"):
        roc([1.0, 2.0], [1.0], [1.0])
    with pytest.raises(ValueError, match="weights must be finite and >= 0"):
        roc([1.0, 2.0], [1.0], [1.0, -1.0])
    with pytest.raises(ValueError, match=r"eps_signal must be in \(0, 1\]; got 0"):
        ranking.working_point(roc([1.0], [2.0]), 0)


def test_published_scores_of_lorentznet() -> None:
    base = Path(os.environ.get("PHYSBENCH_DATA", "absent"))
    found = [p for p in (base, base / "jets") if (p / "lorentznet_qg_test_scores.npy").exists()]
    if not found:
        pytest.skip("the LorentzNet scores are not below $PHYSBENCH_DATA")
    label, _, score = np.load(found[0] / "lorentznet_qg_test_scores.npy").T
    curve = roc(score[label == 0], score[label == 1])
    assert ranking.area(curve) == pytest.approx(0.91613499675, abs=5e-7)
    points = [ranking.working_point(curve, w) for w in (0.2, 0.3, 0.5)]
    assert points[0].rejection == pytest.approx(190.84, abs=0.005)
    assert points[1].rejection == pytest.approx(112.86681715575621, rel=1e-12)
    assert points[2].rejection == pytest.approx(43.15925766076823, rel=1e-12)
    assert points[1].passing == 886
    assert points[2].sigma == pytest.approx(0.90, abs=0.005)
    found_sic = ranking.largest_sic(curve)
    assert found_sic == pytest.approx((3.3112, 0.47846, 0.02088), abs=5e-5)
