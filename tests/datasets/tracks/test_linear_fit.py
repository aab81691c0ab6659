"""The ideal linear fit of a track: what it leaves open, and that simulated hits obey it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from physbench.datasets.common import barrel, linear_fit
from physbench.datasets.common.particle_mix import SPECIES
from physbench.datasets.tracks import Sample, generic_tracks, toy_barrel, trackml_tracks
from physbench.datasets.tracks._generated import FATRAS
from physbench.tasks.metrics import resolution


@pytest.fixture(scope="module")
def sample() -> Sample:
    return generic_tracks.load()


def test_the_worked_example_of_a_kaon(sample: Sample) -> None:
    first = np.flatnonzero(sample.split == 2)[:1]
    truth = sample.truth.take(first)
    assert truth.mass[0] == pytest.approx(SPECIES[1][1])
    assert truth.pt[0] == pytest.approx(0.92841, abs=1e-5)
    sigma = linear_fit.widths(sample.measured.take(first), truth)[0, 0]
    assert sigma == pytest.approx(0.011533, abs=2e-6)
    pull = resolution.pt_pulls(truth, {"qopt": truth.kalman[:, 0]})
    assert pull[0] == pytest.approx(-0.677, abs=1e-3)


def test_stored_widths_are_those_of_the_fit(sample: Sample) -> None:
    few = np.arange(0, len(sample.ids), 97)
    found = linear_fit.widths(sample.measured.take(few), sample.truth.take(few))
    assert sample.truth.sigma[few] == pytest.approx(found, rel=1e-3)  # half precision


def test_widths_in_ten_layers_are_those_of_the_planar_formula(sample: Sample) -> None:
    """`barrel` adds both slabs at the layer; stiff pions at eta = 0 hit ten modules once."""
    truth = sample.truth
    chosen = (np.abs(truth.mass - SPECIES[0][1]) < 1e-3) & (np.abs(truth.eta) < 0.3)
    few = np.flatnonzero(chosen & (truth.hits == 10) & (truth.pt > 1) & (truth.pt < 3))[:200]
    own = truth.take(few)
    expected = barrel.curvature_resolution(own.pt, own.eta, own.mass)
    assert own.sigma[:, 0] == pytest.approx(expected, rel=0.05)
    assert np.median(own.sigma[:, 0] / expected) == pytest.approx(1, abs=0.03)


def simulated(sample: Sample, count: int, draw: Any) -> Any:
    """Pulls (n, 3) of the fit on residuals drawn from its own model."""
    test = np.flatnonzero(sample.split == 2)[:count]
    pulls = np.zeros((count, 3))
    for index, tracks in linear_fit.chunks(sample.measured.take(test)):
        truth = sample.truth.take(test[index])
        helix = linear_fit.helix_of(truth)
        model = linear_fit.linear(tracks, helix, truth.mass)
        kick = draw(model.theta)
        noise = np.random.default_rng(len(index)).normal(size=model.noise.shape) * model.noise
        full = np.concatenate([tracks.mask, tracks.mask], 1)
        residual = np.where(full, (model.lever @ kick[..., None])[..., 0] + noise, 0.0)
        found, covariance, _ = linear_fit.solve(model._replace(residual=residual))
        sigma = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        pulls[index] = (found / sigma)[:, [2, 0, 3]]
    return pulls


def test_the_core_of_its_pulls_by_the_law_of_scattering(sample: Sample) -> None:
    generator = np.random.default_rng(0)

    def fatras(theta: Any) -> Any:
        size = np.sqrt(2) * theta * generator.normal(size=theta.shape)
        azimuth = generator.uniform(0, 2 * np.pi, theta.shape)
        return np.concatenate([size * np.cos(azimuth), size * np.sin(azimuth)], 1)

    def gaussian(theta: Any) -> Any:
        both = np.concatenate([theta, theta], 1)
        return both * generator.normal(size=both.shape)

    for law, core in ((fatras, FATRAS), (gaussian, (1, 1, 1))):
        pulls = simulated(sample, 10_000, law)
        assert pulls.std(0) == pytest.approx(1, abs=0.03)
        # One standard error of 10,000 tracks is 1 %.
        assert [resolution.core68(p) for p in pulls.T] == pytest.approx(core, abs=0.03)


def test_the_fit_about_the_truth_is_ideal_on_hits_of_another_generator() -> None:
    made = toy_barrel.load(tracks=8000, seed=3)
    pulls = np.zeros((len(made.ids), 3))
    for index, tracks in linear_fit.chunks(made.measured):
        truth = made.truth.take(index)
        model = linear_fit.linear(tracks, linear_fit.helix_of(truth), truth.mass)
        found, covariance, _ = linear_fit.solve(model)
        sigma = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        pulls[index] = (found / sigma)[:, [2, 0, 3]]
    widths = [resolution.core68(p) for p in pulls.T]
    assert widths == pytest.approx([1, 1, 1], abs=0.04)


def test_masses_follow_the_particle_types_where_files_have_them() -> None:
    particles = pd.DataFrame({"particle_type": [211, -321, 2212, 11, 3112]})
    found = trackml_tracks.masses(particles)
    assert found == pytest.approx([0.13957, 0.493677, 0.938272, 0.000511, 0.13957], rel=1e-4)
    assert trackml_tracks.masses(particles[[]]) == pytest.approx(0.13957, rel=1e-4)
