"""Curves of the dark-jets figures by hand, and that they are drawn for every signal."""

from __future__ import annotations

import numpy as np
import pytest

from physbench.datasets.jets import JetTruth
from physbench.tasks.metrics import anomaly_figures, ranking
from physbench.tasks.metrics.ranking import roc


def test_rejection_curve_by_hand() -> None:
    """20 background jets with scores 0..19: above a cut at 19 - k, k + 1 of them pass."""
    x, y, error = anomaly_figures.rejection_curve(roc(np.arange(20), [25, 9.5, 4.5, 4.5]))
    assert y[0] == pytest.approx(2.0)  # the first point with 10 passing of 20
    assert x[0] == 0.25
    assert error[0] == pytest.approx(2.0 / np.sqrt(10))
    assert (x[-1], y[-1]) == (1.0, 1.0)


def test_sic_curve_holds_the_maximum_of_the_metric() -> None:
    rng = np.random.default_rng(0)
    background, signal = rng.normal(0, 1, 2000), rng.normal(1.5, 1, 500)
    x, y, error = anomaly_figures.sic_curve(roc(background, signal))
    best, eps_s, _ = ranking.largest_sic(roc(background, signal))
    assert y.max() == best
    assert x[y.argmax()] == eps_s
    assert (error > 0).all()


def test_sic_error_agrees_with_resampling() -> None:
    rng = np.random.default_rng(1)
    background, signal = rng.normal(0, 1, 2000), rng.normal(1.5, 1, 500)
    x, _, error = anomaly_figures.sic_curve(roc(background, signal))
    cut = np.sort(signal)[-250]
    passing = [
        (rng.choice(signal, 500) >= cut, rng.choice(background, 2000) >= cut) for _ in range(2000)
    ]
    values = [np.mean(s) / np.sqrt(np.mean(b)) for s, b in passing]
    assert error[np.abs(x - 0.5).argmin()] == pytest.approx(np.std(values), rel=0.15)


def test_a_panel_for_each_signal_and_a_line_for_each_model() -> None:
    rng = np.random.default_rng(2)
    signal = np.repeat([0, 1, 2], [400, 100, 100]).astype(np.int8)
    ones = np.ones(600)
    truth = JetTruth(
        signal=signal,
        weight=ones,
        event=np.arange(600),
        pt=ones,
        mass=ones,
        multiplicity=ones.astype(int),
        signals=("r_inv_0", "r_inv_3"),
    )
    predictions = {"good": rng.normal(signal > 0, 1.0), "blind": rng.normal(size=600)}
    for draw in (anomaly_figures.roc_figure, anomaly_figures.sic_figure):
        axes = draw(truth, predictions).axes
        assert [a.get_title() for a in axes] == ["r_inv_0 (control)", "r_inv_3"]
        assert [line.get_label() for line in axes[1].lines] == ["good", "blind"]
    oracle = {"oracle": np.stack([signal * 1.0, signal * 2.0], axis=1)}
    assert (
        anomaly_figures.roc_figure(truth, predictions | oracle).axes[0].lines[2].get_linestyle()
        == "-."
    )
    panels = anomaly_figures.score_figure(truth, predictions | oracle).axes
    assert [a.get_title() for a in panels] == ["good", "blind"]


def test_quantiles_of_the_background_are_flat() -> None:
    rng = np.random.default_rng(3)
    ones = np.ones(500)
    truth = JetTruth(
        np.zeros(500, np.int8), ones, np.arange(500), ones, ones, ones.astype(int), ("a",)
    )
    place = anomaly_figures.background_quantile(truth, np.exp(rng.normal(size=500)))
    assert np.sort(place) == pytest.approx((np.arange(500) + 0.5) / 500)
