"""The generic detector's sample: its shares, its packing, and the physics that makes it."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physbench.datasets.common import store
from physbench.datasets.hits import (
    Event,
    EventTruth,
    generic_detector,
    generic_detector_v1,
    generic_pixels,
    restrict,
    selected,
)
from physbench.datasets.hits import _generic_chain as chain
from physbench.datasets.hits import _generic_format as form
from physbench.datasets.hits import _generic_sample as sample
from physbench.tasks import tracking


@functools.cache
def embedded() -> form.Events:
    return generic_detector.load()[0]


def shares(pairs: list[tuple[Event, EventTruth]]) -> dict[str, float]:
    """The shares of the card, mean over events."""
    rows = []
    for _, truth in pairs:
        hits = np.bincount(truth.particle_id, minlength=len(truth.pt) + 1)[1:]
        signal = truth.particle_id > 0
        crossed = np.unique(np.stack([truth.particle_id, truth.layer])[:, signal], axis=1)
        assert truth.radius is not None
        assert truth.generation is not None
        rows.append(
            {
                "hits": hits.mean(),
                "below 3": np.mean(hits < 3),
                "below 7": np.mean(hits < 7),
                "from 1 mm": np.mean(truth.radius > 1),
                "from 10 mm": np.mean(truth.radius > 10),
                "from 100 mm": np.mean(truth.radius > 100),
                "hard below 7": np.mean(hits[truth.pt > 0.9] < 7),
                "secondaries": np.mean(truth.generation > 0),
                "pt 10 %": np.quantile(truth.pt, 0.1),
                "pt 50 %": np.median(truth.pt),
                "pt 90 %": np.quantile(truth.pt, 0.9),
                "a layer": signal.sum() / crossed.shape[1],
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


REAL = {
    **{"hits": 10.04, "below 3": 0.079, "below 7": 0.197},
    **{"from 1 mm": 0.237, "from 10 mm": 0.220, "from 100 mm": 0.113},
    **{"hard below 7": 0.071, "secondaries": 0.160, "a layer": 1.312},
    **{"pt 10 %": 0.19, "pt 50 %": 0.43, "pt 90 %": 1.12},
}


def test_shares_are_those_of_a_real_event_within_a_third() -> None:
    found = shares(embedded()["train"][:10])
    assert found == pytest.approx(REAL, rel=1 / 3)


def test_the_card_states_the_measured_shares() -> None:
    every = [pair for name in form.SPLITS for pair in embedded()[name]]
    found = shares(every)
    card = str(generic_detector.__doc__)
    for name, line in CARD.items():
        assert f"{line} {REAL[name]:<8g}{found[name]:.3g}" in card, (name, found[name])


CARD = {
    "hits": "hits a particle                     ",
    "below 3": "particles with fewer than 3 hits    ",
    "below 7": "... than 7 hits                     ",
    "hard below 7": "... of those with pT > 0.9 GeV      ",
    "from 1 mm": "made more than 1 mm from the axis   ",
    "from 10 mm": "... than 10 mm                      ",
    "from 100 mm": "... than 100 mm                     ",
    "secondaries": "secondaries                         ",
    "a layer": "hits a particle and layer           ",
    "pt 10 %": "pT in GeV, 10 % quantile            ",
    "pt 50 %": "... median                          ",
    "pt 90 %": "... 90 % quantile                   ",
}


def test_hits_lie_on_their_modules_in_an_order_that_tells_nothing() -> None:
    event, truth = embedded()["test"][0]
    radii = {(8, 2): 32, (8, 8): 172, (13, 2): 260, (13, 8): 660, (17, 4): 1020}
    for (volume, layer), radius in radii.items():
        inside = (event.volume_id == volume) & (event.layer_id == layer)
        assert np.median(event.r[inside]) == pytest.approx(radius, abs=3)
    place = (event.volume_id * 100 + event.layer_id) * 100_000 + event.module_id
    assert (np.diff(place) >= 0).all()
    same = np.diff(place) == 0  # neighbours on a module: mostly of two particles, in either order
    owner = truth.particle_id
    step = np.diff(owner)[same & (owner[1:] > 0) & (owner[:-1] > 0)]
    assert abs(np.mean(step > 0) - np.mean(step < 0)) < 0.05


def test_noise_is_alike_on_all_modules() -> None:
    """Noise a volume follows the number of modules, within four standard deviations."""
    pairs = embedded()["train"][:5]
    volume = np.concatenate([e.volume_id[t.particle_id == 0] for e, t in pairs])
    arrays = store.load_arrays(
        store.checked("generic_detector", generic_detector.DATASET)["generic_detector.npz"]
    )
    modules = form.whole(arrays["elements"], "i2")[:, 0]
    for number in np.unique(modules):
        expected = len(volume) * np.mean(modules == number)
        assert abs(np.sum(volume == number) - expected) < 4 * np.sqrt(expected)


def test_pixel_events_are_those_of_the_sample_and_dense_ones() -> None:
    events = generic_pixels.load()[0]
    assert [len(events[name]) for name in (*form.SPLITS, "dense")] == [40, 4, 8, 4]
    event, truth = embedded()["test"][0]
    (first, _), *_ = events["test"]
    inside = np.isin(event.volume_id, (7, 8, 9))
    np.testing.assert_array_equal(first.x, event.x[inside])
    assert truth.weight.sum() == pytest.approx(1.0)
    for event, truth in events["dense"]:
        assert set(np.unique(event.volume_id)) == {7, 8, 9}
        assert event.r.max() < 200
        assert selected(truth).sum() > 1000


def test_version_1_stays_readable() -> None:
    events, files = generic_detector_v1.load()
    assert [len(events[name]) for name in form.SPLITS] == [24, 4, 8]
    assert len(files) == 1
    for _, truth in events["test"]:  # its fault
        assert np.min(truth.pt * np.cosh(truth.eta)) > 0.49


# --- format ------------------------------------------------------------------------------------


def invented(generator: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    """One digitised event of three particles and two noise hits on four modules."""
    turn = np.eye(3)[None].repeat(4, 0)
    detector = {
        "elements": np.array([[7, 2, 1], [8, 2, 1], [8, 4, 1], [13, 2, 1]], dtype="i2"),
        "centre": generator.normal(size=(4, 3)).astype("f4") * 100,
        "axes": turn[:, :, :2].astype("f4"),
        "sigma": np.array([[0.014, 0.014]] * 3 + [[0.023, 0.35]], dtype="f4"),
    }
    particle = np.array([1, 1, 1, 2, 2, 3, 0, 0])
    part = {
        "module": np.array([3, 2, 1, 3, 0, 3, 1, 3]),
        "local": generator.uniform(-5, 5, (8, 2)),
        "particle": particle,
        "pt": np.array([0.5, 1.5, 40.0]),
        "charge": np.array([1.0, -1.0, 1.0]),
        "eta": np.array([-3.9, 0.0, 1.25]),
        "radius": np.array([0.01, 30.0, 600.0]),
        "generation": np.array([0, 1, 2]),
        **{name: np.array([0.5, 0.25, -2.0]) for name in form.PERIGEE},
    }
    return part, detector


def written(folder: Path, pixels: bool = False) -> tuple[dict[str, Any], Any, Any]:
    part, detector = invented(np.random.default_rng(4))
    path = folder / "sample.npz"
    store.save_arrays(path, form.packed([part], detector, np.array([2]), pixels=pixels))
    found = form.events(path, "a sample")
    assert [len(pairs) for pairs in found.values()] == [0, 0, 1]
    ((event, truth),) = found["test"]
    assert found["test"].names == (event.name,)
    return part | detector, event, truth


def test_packing_keeps_hits_within_an_eighth_of_the_resolution(tmp_path: Path) -> None:
    made, event, truth = written(tmp_path)
    order = np.lexsort((made["local"][:, 0], made["module"]))
    position = made["centre"][made["module"]].astype(float)
    position[:, :2] += made["local"]
    found = np.stack([event.x, event.y, event.z], axis=1)
    error = np.abs(found - position[order])[:, :2] / made["sigma"][made["module"]][order]
    assert error.max() < 0.126
    np.testing.assert_array_equal(truth.particle_id, made["particle"][order])
    rank = np.array([0, 1, 2, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(truth.path, rank[order])
    assert truth.pt == pytest.approx(made["pt"], rel=2e-4)
    assert truth.eta == pytest.approx(made["eta"], abs=1e-4)
    assert truth.radius == pytest.approx(made["radius"], rel=1e-3)
    assert truth.charge.tolist() == [1, -1, 1]
    assert np.isnan(truth.d0).tolist() == [True, False, False]


def test_pixel_hits_alone_keep_their_particles(tmp_path: Path) -> None:
    _, event, truth = written(tmp_path, pixels=True)
    assert sorted(truth.particle_id.tolist()) == [0, 1, 1, 2]
    assert truth.pt == pytest.approx([0.5, 1.5], rel=2e-4)
    assert set(event.volume_id) == {7, 8}


def test_a_file_with_more_hits_than_it_announces_is_refused(tmp_path: Path) -> None:
    part, detector = invented(np.random.default_rng(4))
    arrays = form.packed([part], detector, np.array([0]))
    store.save_arrays(tmp_path / "a.npz", arrays | {"hits": arrays["hits"] - 1})
    with pytest.raises(store.DataError, match="a sample"):
        form.events(tmp_path / "a.npz", "a sample")["train"][0]


def test_cuts_of_an_event_keep_what_is_known_of_particles() -> None:
    event, truth = embedded()["test"][0]
    _, part = restrict(event, truth, event.phi > 0)
    place = np.searchsorted(truth.particles, part.particles)
    assert truth.radius is not None
    np.testing.assert_array_equal(part.radius, truth.radius[place])
    np.testing.assert_array_equal(part.z0, truth.z0[place])  # type: ignore[index]


# --- physics -----------------------------------------------------------------------------------


class Fixed:
    """A generator whose exponential draws are given."""

    def __init__(self, draws: list[float]) -> None:
        self.draws = draws

    def exponential(self, size: int) -> np.ndarray:
        return np.array(self.draws[:size])


def test_a_hadron_stops_where_its_lengths_exceed_the_draw() -> None:
    """Particle 0: sums .2 .5 .9 against .45: it stops at its second crossing, the third goes.
    Particle 1 crosses .3 .3 against 5: it lives. Particle 2 stops at its first crossing."""
    particle = np.array([0, 0, 0, 1, 1, 2, 2])
    lengths = np.array([0.2, 0.3, 0.4, 0.3, 0.3, 0.5, 0.1])
    dead, here = chain.stopped(particle, lengths, Fixed([0.45, 5.0, 0.1]))  # type: ignore[arg-type]
    assert dead.tolist() == [False, False, True, False, False, False, True]
    assert here.tolist() == [False, True, False, False, False, True, False]


def test_slanted_crossings_see_more_material() -> None:
    """A plane with normal z at 60 degrees: twice its thickness; a cylinder head on; no surface."""
    axes = np.eye(3)[None]
    modules = chain.acts_chain.Modules(
        np.array([5], np.uint64), np.zeros((1, 3)), axes, np.ones((1, 2)), np.ones((1, 2))
    )
    found = chain.Detector(
        None,
        None,
        modules,
        np.ones((1, 2)),
        np.ones((1, 3)),
        np.array([5, 9], np.uint64),
        np.array([0.01, 0.002]),
        np.array([0, 1]),
    )
    direction = np.array([[np.sqrt(0.75), 0, 0.5], [1.0, 0, 0], [1.0, 0, 0], [0, 0, 1.0]])
    position = np.array([[0, 0, 0], [30.0, 0, 0], [30.0, 0, 0], [30.0, 0, 5.0]])
    code = np.array([5, 9, 7, 9], np.uint64)
    lengths = chain.crossed(found, code, position, direction)
    assert lengths == pytest.approx([0.02, 0.002, 0.0, 0.002 / 0.05])


def test_generation_is_reproducible_and_extends(tmp_path: Path) -> None:
    pytest.importorskip("acts", reason="the extra [acts] is not installed")
    pytest.importorskip("pythia8mc", reason="the extra [pythia] is not installed")
    made = []
    for events in (1, 2):
        sizes = {"train": 1, "validation": 0, "test": events - 1}
        path = generic_detector.make(tmp_path, seed=5, pileup=0.0, noise=0.02, **sizes)
        made.append((generic_detector.load(file=path)[0], path.read_bytes()))
    assert len(made[1][0]["test"]) == 1
    for first, second in zip(made[0][0]["train"][0], made[1][0]["train"][0], strict=True):
        for name in (field.name for field in dataclasses.fields(first)):
            one, other = getattr(first, name), getattr(second, name)
            np.testing.assert_array_equal(one, other, err_msg=name)
    again = generic_detector.make(
        tmp_path, seed=5, pileup=0.0, noise=0.02, train=1, test=1, validation=0
    )
    assert again.read_bytes() == made[1][1]


@pytest.mark.parametrize(("pileup", "events", "hits"), [(20, 8, 14_000), (200, 3, 110_000)])
def test_other_pile_up_is_for_testing_alone(pileup: int, events: int, hits: int) -> None:
    usual, (other, files) = embedded(), generic_detector.load(pileup=pileup)
    assert other["train"].names == usual["train"].names
    assert len(other["test"]) == events
    assert not set(other["test"].names) & {n for split in usual.values() for n in split.names}
    assert set(files) == {"generic_detector.npz", f"generic_detector_{pileup}.npz"}
    assert len(other["test"][0][0]) > hits


def test_unknown_pile_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pileup must be one of \[0, 20, 200\]; got 40"):
        generic_detector.load(pileup=40)
    with pytest.raises(ValueError, match=r"with a file of your own must be one of \[0\]; got 20"):
        generic_detector.load(file=tmp_path / "a.npz", pileup=20)
    with pytest.raises(ValueError, match="pileup=200 applies to generic_detector alone"):
        tracking.TASK.splits("trackml_graphs", pileup=200)


def test_a_sample_without_events_is_refused(tmp_path: Path) -> None:
    recipe = sample.Recipe(1, 0.0, 0.15, "Top:all = on", photons=False)
    with pytest.raises(ValueError, match="must hold an event together"):
        sample.make(tmp_path / "a.npz", recipe, [0, 0, 0], 1, pixels=False)
