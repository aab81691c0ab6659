"""Tracks in units of their chord: by hand, symmetries, round trips, and hits without a chord."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from physbench.datasets import Splits
from physbench.datasets.common import barrel, helix, linear_fit
from physbench.datasets.tracks import Tracks, padded
from physbench.models.tracks import _chord_frame as chord_frame
from physbench.models.tracks import _track_views as track_views
from physbench.models.tracks import (
    bayes_fit,
    deep_sets,
    gru,
    helix_least_squares,
    kan,
    matrix_fit,
    mlp,
    trackformer,
    trackformer_circle,
)
from physbench.tasks import track_parameters
from physbench.tasks.metrics import resolution


@pytest.fixture(scope="module")
def splits() -> Splits:
    return track_parameters.TASK.splits("displaced_tracks")


def turned(tracks: Tracks, angle: float, mirror: bool = False) -> Tracks:
    """Rotated about the beam, or mirrored in azimuth and along it."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    if mirror:
        matrix = matrix @ np.diag([1, -1, -1])
    return Tracks((tracks.hits @ matrix.T).astype(np.float32), tracks.mask)


def test_the_chord_of_a_helix_by_hand() -> None:
    momentum, q = np.array([[0.0, 4.0, 2.0], [0.0, 4.0, -2.0]]), np.array([1.0, -1.0])
    hits = np.stack([helix.crossing(momentum, q, s.r, z0=3.0) for s in barrel.LAYERS], 1)
    found = chord_frame.chord(Tracks(hits.astype(np.float32), np.ones((2, 10), dtype=bool)))
    # sin(phi0 - phi) = r/(2R) with R = 4 x 1667.82 mm, from r = 32 to 1020 mm.
    radius = 2 * 4 * 1667.8205
    expected = (np.arcsin(1020 / radius) - np.arcsin(32 / radius)) / (1020 - 32) * 1000
    assert found.b == pytest.approx(expected, rel=1e-5)
    assert found.side.tolist() == [-1.0, 1.0]  # a positive charge turns clockwise
    assert found.up.tolist() == [1.0, -1.0]
    assert found.inner == pytest.approx(0.5, rel=1e-3)
    assert found.z0 == pytest.approx([3, -3], abs=0.01)


def test_three_hits_give_back_the_offset() -> None:
    r = np.array([30.0, 170.0, 1000.0])
    # phi = b r + d (1/r1 - 1/r) with b = 0.2 mrad/mm and d = -0.8 mm.
    phi = 2e-4 * (r - 30) - 0.8 * (1 / 30 - 1 / r)
    hits = np.stack([r * np.cos(phi), r * np.sin(phi), 0.1 * r], 1).astype(np.float32)[None]
    found = chord_frame.chord(Tracks(hits, np.ones((1, 3), dtype=bool)), offset=True)
    assert found.b[0] == pytest.approx(0.2, rel=1e-4)
    assert found.offset[0] == pytest.approx(-0.8, rel=1e-4)
    assert chord_frame.features(Tracks(hits, np.ones((1, 3), bool)), found)[0, :, 2] == (
        pytest.approx([0, 0, 0], abs=1e-3)
    )


@pytest.mark.parametrize("offset", [False, True])
def test_answers_give_back_the_truth(splits: Splits, offset: bool) -> None:
    test = splits.test.take(range(500))
    found = chord_frame.chord(test.inputs, offset=offset)
    again = chord_frame.predictions(found, chord_frame.targets(test.targets, found))
    truth = test.targets
    bent = ~found.straight
    assert bent.mean() > 0.99
    assert np.abs(again["qopt"])[bent] == pytest.approx(1 / truth.pt[bent])
    for name in ("pz", "d0", "z0"):
        assert again[name] == pytest.approx(getattr(truth, name), abs=1e-9)
    wrong = (np.sign(again["qopt"]) != truth.q)[bent].mean()
    assert wrong < 0.003


@pytest.mark.parametrize("offset", [False, True])
def test_turning_and_mirroring_a_track_change_no_feature(splits: Splits, offset: bool) -> None:
    few = splits.test.inputs.take(slice(0, 200))
    plain = chord_frame.features(few, chord_frame.chord(few, offset=offset))
    for mirror in (False, True):
        other = turned(few, 2.5, mirror)
        found = chord_frame.features(other, chord_frame.chord(other, offset=offset))
        # Float32 hits: 0.06 um of 14 um of resolution.
        assert np.abs(found - plain).max() < 0.1
        assert np.median(np.abs(found - plain)) < 1e-4


def strange() -> dict[str, Tracks]:
    """Tracks that have an answer, but no usual chord."""
    r = np.array([32.0, 72, 116, 172, 260, 360])
    bent = np.stack([r * np.cos(3.1 + r * 3e-4), r * np.sin(3.1 + r * 3e-4), r / 3], 1)
    near = np.stack([[32.0, 32.5, 33, 31.9], [0.0, 1.0, 2.0, -1], [1.0, 2.0, 3.0, 0]], 1)
    twice = np.concatenate([bent[:1], bent[:1] + [0, 0, 0.5], bent[3:]])
    return {"across pi": one(bent), "one layer": one(near), "two at one radius": one(twice)}


def one(hits: Any) -> Tracks:
    return padded(hits, np.zeros(len(hits), dtype=np.int64), 1)


NETWORKS = {
    mlp: {"widths": (8,)},
    deep_sets: {"width": 8},
    kan: {"widths": (8,)},
    gru: {"width": 8},
    trackformer: {"width": 8, "loss": "quantile", "warmup": 5},
}


@pytest.mark.parametrize("features", ["chord", "offset_chord"])
@pytest.mark.parametrize("model", NETWORKS, ids=lambda model: model.__name__.split(".")[-1])
def test_every_network_reads_chords(
    model: Any, features: str, splits: Splits, tmp_path: Any
) -> None:
    train, rest = splits.train.take(range(2000)), splits.validation.take(range(500))
    given = NETWORKS[model] | {"epochs": 3, "batch": 50, "learning_rate": 1e-2, "seed": 1}
    fitted = model.fit(train, rest, features=features, **given)
    found = model.MODEL.predict(fitted, rest.inputs)
    assert set(found) == {"qopt", "pz", "d0", "z0"}
    if features == "offset_chord":
        assert resolution.pull_pt(rest.targets, found) < 2.5
        assert resolution.pull_d0(rest.targets, found) < 2
    model.MODEL.save(fitted, tmp_path / "weights")
    again = model.MODEL.predict(model.MODEL.load(tmp_path / "weights"), rest.inputs)
    assert all(np.array_equal(again[name], found[name]) for name in found)
    for name, tracks in strange().items():
        answer = model.MODEL.predict(fitted, tracks)
        assert all(np.isfinite(values).all() for values in answer.values()), name
    assert len(model.MODEL.predict(fitted, rest.inputs.take(slice(0, 0)))["qopt"]) == 0


def test_emphasis_scales_the_errors_of_the_first_target_alone(splits: Splits) -> None:
    few = splits.train.take(range(64))
    settings = {"seed": 0, "features": "chord", "width": 8, "epochs": 1}
    plain, first = (trackformer.fit(few, few, emphasis=e, **settings) for e in (1.0, 4.0))
    assert np.divide(plain.spread, first.spread) == pytest.approx([4, 1, 1, 1])
    with pytest.raises(ValueError, match="emphasis must be above 0"):
        trackformer.fit(few, few, emphasis=0.0, **settings)


def test_unknown_features_are_refused(splits: Splits) -> None:
    with pytest.raises(ValueError, match="features must be one of raw, chord, offset_chord"):
        track_views.view("circle", "qopt")


FITS = {
    matrix_fit: (0.13957, 2),
    helix_least_squares: 3,
    bayes_fit: (0.13957, 8, 2),
}


@pytest.mark.parametrize("model", FITS, ids=lambda model: model.__name__.split(".")[-1])
@pytest.mark.parametrize("name", ["across pi", "one layer", "two at one radius"])
def test_fits_of_strange_tracks_are_finite(model: Any, name: str) -> None:
    found = model.predict(FITS[model], strange()[name])
    assert all(np.isfinite(values).all() for values in found.values())
    if name == "across pi":
        assert found["qopt"][0] < 0  # azimuth grows: counter-clockwise


def test_hits_from_outside_in_and_gaps_are_refused(splits: Splits) -> None:
    good = splits.test.inputs.take(slice(0, 1))
    count = int(good.mask.sum())
    back = good.hits.copy()
    back[0, :count] = back[0, :count][::-1]
    with pytest.raises(ValueError, match="not sorted by radius"):
        matrix_fit.predict((0.13957, 2), Tracks(back, good.mask))
    gap = good.mask.copy()
    gap[0, 1] = False
    with pytest.raises(ValueError, match="an empty slot before a hit"):
        chord_frame.chord(Tracks(good.hits, gap))
    assert len(trackformer_circle.MODEL.tasks) == 1


def test_the_sampler_is_the_linear_fit_where_kicks_are_gaussian(
    splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = splits.test.inputs.take(slice(0, 30))
    monkeypatch.setattr(bayes_fit, "GRID", np.array([0.5]))
    sampled = bayes_fit.predict((0.13957, 3, 0), few)
    linear = matrix_fit.predict((0.13957, 3), few)
    for name in linear:
        assert sampled[name] == pytest.approx(linear[name], rel=1e-9, abs=1e-9)


def test_the_draw_of_widths_keeps_their_law() -> None:
    """Kicks of the law in, one Gibbs step: U must be cos^2 of a uniform angle again."""
    generator = np.random.default_rng(0)
    first = np.cos(generator.uniform(0, np.pi / 2, (40_000, 1))) ** 2
    square = 2 * first * generator.chisquare(2, (40_000, 1))
    drawn = bayes_fit._draw(square, np.full_like(square, 2.0), generator.random((40_000, 1)))
    angle = np.arccos(np.sqrt(drawn)) / (np.pi / 2)
    assert np.quantile(angle, [0.1, 0.25, 0.5, 0.75, 0.9]) == pytest.approx(
        [0.1, 0.25, 0.5, 0.75, 0.9], abs=0.015
    )
    assert np.corrcoef(first[:, 0], drawn[:, 0])[0, 1] > 0.2


def test_the_sampler_beats_the_linear_fit_under_the_law_of_scattering(splits: Splits) -> None:
    generator = np.random.default_rng(3)
    pions = np.abs(splits.train.targets.mass - 0.13957) < 1e-3
    soft = np.flatnonzero(pions & (splits.train.targets.pt < 1))[:1200]
    few = splits.train.take(soft.tolist())
    errors: dict[str, list[Any]] = {"linear": [], "sampled": []}
    for index, tracks in linear_fit.chunks(few.inputs, 500):
        truth = few.targets.take(index)
        model = linear_fit.linear(tracks, linear_fit.helix_of(truth), truth.mass)
        size = np.sqrt(2) * model.theta * generator.normal(size=model.theta.shape)
        azimuth = generator.uniform(0, 2 * np.pi, size.shape)
        kick = np.concatenate([size * np.cos(azimuth), size * np.sin(azimuth)], 1)
        full = np.concatenate([tracks.mask, tracks.mask], 1)
        hits = (model.lever @ kick[..., None])[..., 0]
        hits = np.where(full, hits + model.noise * generator.normal(size=hits.shape), 0.0)
        model = model._replace(residual=hits)
        found, covariance, _ = linear_fit.solve(model)
        sigma = np.sqrt(covariance[:, 2, 2])
        random = bayes_fit.numbers(tracks, 50)
        errors["linear"].append(found[:, 2] / sigma)
        sampled = bayes_fit.posterior_mean(model, tracks.mask, random, 10)
        errors["sampled"].append(sampled[:, 2] / sigma)
    linear, sampled = (np.concatenate(errors[name]) for name in ("linear", "sampled"))
    # 0.92 with more sweeps and tracks.
    assert resolution.core68(sampled) < 0.97 * resolution.core68(linear)
    assert (linear**2 - sampled**2).mean() > 0
