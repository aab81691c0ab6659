"""Pulls against the ideal linear fit: by hand, against a slow twin, and what does not count."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from physbench.datasets.common.particle_mix import SPECIES
from physbench.datasets.tracks import TrackTruth
from physbench.tasks import track_parameters
from physbench.tasks.metrics import resolution, resolution_replicates


def truth(pt: Any, **others: Any) -> TrackTruth:
    """Pions of charge +1 at eta = 0.1 with 12 hits and widths 0.01, 0.02 mm, 0.05 mm."""
    pt = np.asarray(pt, dtype=np.float64)
    n = len(pt)
    columns = {
        "pt": pt,
        "pz": 0.1 * pt,
        "q": np.ones(n),
        "d0": np.zeros(n),
        "z0": np.zeros(n),
        "phi": np.zeros(n),
        "eta": np.full(n, 0.1),
        "mass": np.full(n, SPECIES[0][1]),
        "kalman": np.full((n, 4), np.nan),
        "hits": np.full(n, 12),
        "sigma": np.tile([0.01, 0.02, 0.05], (n, 1)),
        "core": (0.5, 0.8, 0.9),
    }
    return TrackTruth(**(columns | others))


def test_pulls_by_hand() -> None:
    one = truth([2.0, 2.0, 2.0])
    pulls = resolution.pt_pulls(one, {"qopt": np.array([0.5, -np.exp(-0.03) / 2, np.nan])})
    assert pulls[:2] == pytest.approx([0, 3])
    assert np.isinf(pulls[2])


def test_the_score_is_the_mean_over_bins_of_the_core_over_c() -> None:
    # Bin 1-2: pulls -2..2 in five steps; core68 = (4 x (0.84134 - 0.15866))/2. Bin 2-4: twice it.
    pulls = np.r_[-2.0, -1, 0, 1, 2, -4, -2, 0, 2, 4]
    one = truth([1.5] * 5 + [3.0] * 5)
    found = {"qopt": np.exp(-0.01 * pulls) / one.pt}
    core = 2 * 0.6826895
    slices = resolution.pull_pt_slices(one, found)
    assert slices["pt 1-2"] == pytest.approx(core / 0.5, rel=1e-6)
    assert slices["pt 2-4"] == pytest.approx(2 * core / 0.5, rel=1e-6)
    assert np.isnan(slices["pt 4-6"])
    assert resolution.pull_pt(one, found) == pytest.approx(1.5 * core / 0.5, rel=1e-6)
    assert "pion" not in slices  # too few for a width


def test_the_score_and_its_slices_against_a_slow_twin() -> None:
    generator = np.random.default_rng(0)
    n = 4000
    mass = np.array([s[1] for s in SPECIES])[generator.integers(2, size=n)]
    one = truth(
        generator.uniform(0.5, 10, n),
        mass=mass,
        eta=generator.uniform(-1, 1, n),
        hits=generator.integers(9, 16, n),
        sigma=generator.uniform(0.01, 0.02, (n, 3)),
    )
    qopt = np.exp(-one.sigma[:, 0] * generator.normal(size=n)) / one.pt
    found = {"qopt": qopt}

    def core(chosen: list[int]) -> float:
        pulls = sorted(np.log(1 / qopt[i] / one.pt[i]) / one.sigma[i, 0] for i in chosen)
        return float(np.diff(np.quantile(pulls, [0.158655254, 0.841344746]))[0] / 2 / 0.5)

    inside = [i for i in range(n) if 0.52 < one.pt[i] <= 9.6]
    edges = [0.52, 1, 2, 4, 6, 8, 9.6]
    bins = [
        core([i for i in inside if lo < one.pt[i] <= hi]) for lo, hi in itertools.pairwise(edges)
    ]
    slices = resolution.pull_pt_slices(one, found)
    assert slices["all"] == pytest.approx(np.mean(bins))
    assert slices["pt 8-9.6"] == pytest.approx(bins[-1])
    assert slices["kaon"] == pytest.approx(core([i for i in inside if mass[i] > 0.4]))
    outer = [i for i in inside if 0.6 < abs(one.eta[i]) <= 1]
    assert slices["|eta| 0.6-1"] == pytest.approx(core(outer))
    assert slices["hits 3-10"] == pytest.approx(core([i for i in inside if one.hits[i] <= 10]))
    assert slices["hits 11"] == pytest.approx(core([i for i in inside if one.hits[i] == 11]))


def test_a_wrong_charge_is_counted_apart_and_only_where_there_is_a_sign() -> None:
    one = truth([2.0, 2.0, 4.0, 4.0])
    flipped = {"qopt": -1 / one.pt}
    assert resolution.sign_error_rate(one, flipped) == 1
    assert resolution.qopt_errors(one, flipped) == pytest.approx(-2)
    assert resolution.pull_pt(one, flipped) == 0
    unsigned = replace(one, target="pt")
    assert np.isnan(resolution.sign_error_rate(unsigned, flipped))
    assert resolution.qopt_errors(unsigned, flipped) == pytest.approx(0)


def test_a_constant_impact_parameter_scores_nothing_in_a_beam_spot() -> None:
    generator = np.random.default_rng(1)
    pt = np.full(1000, 2.0)
    zero = {"qopt": 1 / pt, "d0": np.zeros(1000), "z0": np.zeros(1000)}
    spot = truth(pt, d0=generator.normal(0, 0.0125, 1000), z0=generator.normal(0, 5.5, 1000))
    assert np.isnan(resolution.pull_d0(spot, zero))
    assert resolution.pull_z0(spot, zero) > 50
    away = truth(pt, d0=np.linspace(-1, 1, 1000))
    # core68 of a flat distribution of half width 1 is 0.68269; sigma 0.02 mm, c = 0.8.
    assert resolution.pull_d0(away, zero) == pytest.approx(0.6826895 / 0.02 / 0.8, rel=1e-5)
    good = zero | {"d0": away.d0 + 0.02 * generator.normal(size=1000)}
    assert resolution.pull_d0(away, good) == pytest.approx(1 / 0.8, rel=0.1)
    assert np.isnan(resolution.pull_d0(away, {"qopt": 1 / pt}))


def test_each_parameter_fails_on_its_own() -> None:
    from physbench.datasets.tracks import Tracks

    one = truth(np.linspace(1, 5, 100), d0=np.linspace(-1, 1, 100))
    bad = np.where(np.arange(100) < 30, np.nan, 0.0)
    inputs = Tracks(np.zeros((100, 4, 3), np.float32), np.ones((100, 4), bool))
    raw = {"qopt": 1 / one.pt, "pz": one.pz + bad, "d0": one.d0 + bad}
    found = track_parameters.prepare(inputs, raw)
    assert resolution.outlier_fraction(one, found) == 0
    assert np.isinf(resolution.pz_errors(one, found)).sum() == 30
    assert np.isinf(resolution.pull_d0(one, found))
    again = track_parameters.prepare(inputs, found)
    assert all(np.array_equal(again[k], found[k], equal_nan=True) for k in found)
    with pytest.raises(FloatingPointError, match="q/pT"):
        track_parameters.prepare(inputs, raw | {"qopt": np.full(100, np.nan)})


def test_fast_bootstraps_give_the_digits_of_the_slow_ones() -> None:
    generator = np.random.default_rng(2)
    n = 3000
    one = truth(
        generator.uniform(0.5, 10, n),
        sigma=generator.uniform(0.01, 0.02, (n, 3)),
        d0=generator.uniform(-1, 1, n),
        z0=generator.normal(0, 5, n),
    )
    qopt = np.exp(-one.sigma[:, 0] * generator.standard_t(2, n)) / one.pt
    qopt[::97] = 0  # no answer
    found = {
        "qopt": qopt,
        "pz": one.pz * generator.normal(1, 0.01, n),
        "d0": one.d0 + generator.normal(0, 0.02, n),
        "z0": one.z0 + generator.normal(0, 0.05, n),
    }
    found["z0"][::1000] = np.nan
    draws = [generator.integers(0, n, n) for _ in range(8)]
    counts = np.array([np.bincount(d, minlength=n) for d in draws]).astype(np.int32)
    for metric in track_parameters.TASK.metrics:
        if metric.replicates is None:
            continue
        slow = [
            scalar(metric.function(one.take(d), {k: v[d] for k, v in found.items()}))
            for d in draws
        ]
        fast = metric.replicates(one, found, counts)
        assert fast == pytest.approx(slow, rel=1e-9), metric.name
        assert np.ptp(slow) > 0, metric.name


def scalar(result: Any) -> float:
    return float(result["all"] if isinstance(result, dict) else result)


def test_quantiles_of_resamples_with_failures_and_few_values() -> None:
    values = np.array([3.0, 1.0, np.inf, 2.0])
    counts = np.array([[1, 1, 0, 1], [0, 1, 3, 0], [0, 0, 1, 0], [0, 2, 0, 0]], dtype=np.int32)
    found = resolution_replicates.quantiles(values, counts, (0.5,))[0]
    assert found[[0, 1, 3]].tolist() == [2.0, np.inf, 1.0]
    assert np.isnan(found[2])
    for row, drawn in zip(counts, ([3, 1, 2], [1, np.inf, np.inf, np.inf]), strict=False):
        expected = resolution.core68(np.array(drawn, dtype=float))
        one = resolution_replicates.core68(values, row[None])[0]
        assert one == expected or (np.isnan(one) and np.isnan(expected))
    assert np.isnan(resolution_replicates.core68(np.zeros(0), counts[:, :0])).all()
