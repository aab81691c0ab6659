"""Track parameters: estimators, limit, circle fits, data and the two reference rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm

from physbench.datasets import Splits
from physbench.datasets.common import barrel, helix
from physbench.datasets.common.tracks import Tracks, monotonic, padded, relative_azimuth
from physbench.models import acts_kalman, circle_taubin
from physbench.models.common import circles
from physbench.models.common.track_transformer import Encoder
from physbench.tasks import track_parameters
from physbench.tasks.metrics import resolution


@pytest.fixture(scope="module")
def splits() -> Splits:
    return track_parameters.load("generic_tracks")


def grid(count: int, sigma: float) -> Any:
    return sigma * norm.ppf((np.arange(count) + 0.5) / count)


SAMPLES = {
    "normal": (grid(10001, 1.0), 0.9845764, 0.9985191, 1.00016, 0.9998590),
    "wide tail": (np.r_[grid(9500, 1), grid(500, 10)], 0.9987921, 2.39731, 1.02996, 1.0672203),
    "flat tail": (
        np.r_[grid(9900, 0.01), np.linspace(-1, 1, 100)], 0.0098525, 0.0574484, 0.010166, 0.0101378
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_the_four_estimators(name: str) -> None:
    r, a, b, c, d = SAMPLES[name]
    assert resolution.iterative_rms(r).sigma == pytest.approx(a, rel=2e-5)
    assert resolution.quantile_normal(r).sigma == pytest.approx(b, rel=1e-5)
    assert resolution.gaussian_fit(r).sigma == pytest.approx(c, rel=1e-3)
    assert resolution.core68(r) == pytest.approx(d, rel=1e-5)


def test_iterative_rms_by_hand() -> None:
    first = resolution.iterative_rms(np.array([-2, -1, -1, 0, 0, 0, 0, 1, 1, 2, 30.0]))
    assert first[:2] == pytest.approx((1.0954451, 0.0))
    assert first.removed == pytest.approx(1 / 11)
    assert first.rounds == 2
    second = resolution.iterative_rms(np.r_[np.repeat(np.arange(-2.0, 3), [1, 4, 6, 4, 1]), 40, 9])
    assert second[:2] == pytest.approx((1, 0))
    assert second.rounds == 3


@pytest.mark.parametrize(
    ("pt", "measured", "exact"),
    [(0.5, 0.932, 0.931), (1, 0.906, 0.903), (2, 0.904, 0.896), (10, 0.977, 0.894)],
)
def test_limit_of_pions(pt: float, measured: float, exact: float) -> None:
    arguments = np.array([pt]), np.zeros(1), np.full(1, 0.13957)
    assert 100 * barrel.curvature_resolution(*arguments)[0] == pytest.approx(measured, rel=0.01)
    found = barrel.curvature_resolution(*arguments, exact=True)[0]
    assert 100 * found == pytest.approx(exact, rel=0.01)


def test_perigee_and_helix_by_hand() -> None:
    vertex, momentum = np.array([[0.3, 0.8, 12.0]]), np.array([[1.2, -0.9, 2.0]])
    d0, z0, _ = helix.perigee(vertex, momentum, np.array([-1.0]))
    assert (d0[0], z0[0]) == (pytest.approx(-0.820012, abs=1e-6), pytest.approx(12.319895))
    point = helix.crossing(np.array([[1.0, 0.0, 0.5]]), np.array([1.0]), 1020.0)[0]
    assert point == pytest.approx([971.141519, -311.904073, 518.302376])


def test_azimuth_wraps_and_scattering_cut() -> None:
    found = relative_azimuth(np.array([3.10, 3.14, -3.12, -3.05]))
    assert found == pytest.approx([0, 0.04, 0.0631853, 0.1331853], abs=1e-6)
    for phi, keep in (((0, 0.01, 0.03, 0.06), True), ((0, 0.01, 0.005, 0.02), False)):
        r = np.arange(1, 5)
        hits = np.stack([r * np.cos(phi), r * np.sin(phi), 0 * r], 1).astype(np.float32)[None]
        assert monotonic(Tracks(hits, np.ones((1, 4), dtype=bool)))[0] == keep


@pytest.mark.parametrize(
    ("method", "centre", "radius"),
    [("kasa", -0.0416666667, 0.9592387028), ("taubin", -0.0443887002, 0.9600500995)],
)
def test_circle_fits_by_hand(method: str, centre: float, radius: float) -> None:
    x, y = np.array([[1, 0, -1, 0, 0.5]]), np.array([[0, 1, 0, -1, 0.5]])
    found = circles.fit(x, y, np.ones((1, 5), dtype=bool), method)[0]
    assert found == pytest.approx([centre, centre, radius], abs=1e-9)
    angle = np.array([[0.1, 0.2, 0.3, 0.5, 0.8]])
    exact = circles.fit(
        2 + 5 * np.cos(angle), 5 * np.sin(angle) - 1, np.ones((1, 5), dtype=bool), method
    )
    assert exact[0] == pytest.approx([2, -1, 5], abs=1e-8)


def test_bad_tracks_are_refused_and_a_line_has_no_momentum() -> None:
    line = np.array([[30.0, 0, 0], [70, 0, 0], [110, 0, 0]])
    tracks = padded(line, np.zeros(3, dtype=np.int64), 1)
    assert circles.helix(tracks)["qopt"][0] == 0
    with pytest.raises(ValueError, match="fewer than 3 hits"):
        padded(line[:2], np.zeros(2, dtype=np.int64), 1).check()
    with pytest.raises(ValueError, match="no two different hits"):
        padded(line[[0, 0, 0]], np.zeros(3, dtype=np.int64), 1).check()
    with pytest.raises(ValueError, match="NaN"):
        replace(tracks, hits=tracks.hits * np.float32(np.nan)).check()


def test_split_by_event_and_counts(splits: Splits) -> None:
    events = [{i.split("-")[0] for i in part.ids} for part in vars(splits).values()
              if hasattr(part, "ids")]  # fmt: skip
    assert [len(e) for e in events] == [175, 25, 50]
    assert not events[0] & events[1] | events[1] & events[2] | events[0] & events[2]


def test_kalman_filter_reaches_the_limit(splits: Splits) -> None:
    estimate = acts_kalman.predict(None, splits.test.inputs, splits.test.targets)
    stored = track_parameters.prepare(splits.test.inputs, estimate)
    score = resolution.distance_to_limit(splits.test.targets, stored)
    assert score == pytest.approx(0.99, abs=0.03)
    # What rounding in the store costs.
    assert score == pytest.approx(
        resolution.distance_to_limit(splits.test.targets, estimate), rel=1e-3
    )
    again = track_parameters.prepare(splits.test.inputs, stored)
    assert all(np.array_equal(again[k], stored[k]) for k in stored)
    assert resolution.sign_error_rate(splits.test.targets, stored) < 1e-3


def test_taubin_on_simulated_tracks(splits: Splits) -> None:
    method = circle_taubin.fit(splits.train, splits.validation, seed=0)
    estimate = circle_taubin.predict(method, splits.test.inputs)
    stored = track_parameters.prepare(splits.test.inputs, estimate)
    widths = list(resolution.core68_pt(splits.test.targets, stored).values())[1:]
    expected = [0.0112, 0.0105, 0.0102, 0.0104, 0.0105, 0.0107]
    assert widths == pytest.approx(expected, rel=0.06)  # 1.4 to 2.5 % statistics a bin, twice
    assert resolution.sign_error_rate(splits.test.targets, stored) < 1e-3
    assert resolution.core68_z0(splits.test.targets, stored) < 1.0


def test_failures_are_outliers(splits: Splits) -> None:
    test = splits.test.take(range(1000))
    perfect = np.stack([test.targets.q / test.targets.pt, test.targets.pz], 1)
    perfect[:20, 0] = [0, np.nan] * 10
    stored = track_parameters.prepare(test.inputs, perfect)
    assert resolution.outlier_fraction(test.targets, stored) == pytest.approx(0.02)
    assert "outliers" in str(track_parameters.admit({"outlier_fraction": 0.02}))
    perfect[:, 0] = 0
    none = track_parameters.prepare(test.inputs, perfect)
    assert resolution.distance_to_limit(test.targets, none) == np.inf


@pytest.mark.parametrize("bad", [np.zeros((3, 2)), np.zeros(5), {"qopt": np.zeros(5)}])
def test_wrong_predictions_are_refused(splits: Splits, bad: Any) -> None:
    with pytest.raises(ValueError, match="qopt"):
        track_parameters.prepare(splits.test.inputs, bad)


def test_protocol_is_checked() -> None:
    with pytest.raises(ValueError, match="coordinates must be one of xyz"):
        track_parameters.load("generic_tracks", coordinates="polar")


@pytest.mark.parametrize(
    ("dim", "layers", "count"), [(128, 2, 290_370), (32, 16, 140_130), (32, 2, 20_514)]
)
def test_sizes_of_the_transformers(dim: int, layers: int, count: int) -> None:
    network = Encoder(model_dim=dim, layers=layers)
    assert sum(p.numel() for p in network.parameters()) == count


def test_padding_changes_a_prediction_only_when_it_is_faithful() -> None:
    generator = torch.Generator().manual_seed(0)
    hits = torch.randn(4, 9, 3, generator=generator)
    mask = torch.arange(9) < torch.tensor([[9], [7], [5], [3]])
    hits[~mask] = 0
    longer = torch.cat([hits, torch.zeros(4, 6, 3)], 1)
    longer_mask = torch.cat([mask, torch.zeros(4, 6, dtype=torch.bool)], 1)
    for padding in ("mask", "faithful"):
        torch.manual_seed(1)
        network = Encoder(model_dim=16, heads=4, padding=padding).eval()
        with torch.no_grad():
            change = (network(longer, longer_mask) - network(hits, mask)).abs().max()
        assert (float(change) < 1e-6) == (padding == "mask")
