"""Unsupervised baseline: hits vote for helices from the beam line, the largest clusters win.

The way of the first TrackML baselines: for each trial of curvature and vertex position the
helix is unrolled, so that hits of one track fall on one azimuth and one polar angle; hits in one
bin of (azimuth, cot theta) are a cluster, and each hit joins the cluster with hits on the
most layers that it ever was in. No training; the sizes of the bins, and the shortest and softest
track, are chosen on validation.

For a helix through the beam line at z0 with signed curvature k = 1 / (2 R):
phi0 = phi - asin(k r), and the path in the bending plane is s = asin(k r) / k, so that
cot theta = (z - z0) / s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.common.arrays import distinct
from physbench.datasets.hits import Event, Floats, Integers
from physbench.models import Model
from physbench.models.hits import _edge_pipeline as edge_pipeline
from physbench.models.hits import _track_building as track_building

HITS_MIN = 3
# Trial sizes of the bins: azimuth in rad, relative size in cot theta, smallest number of layers.
TRIALS = ((0.005, 0.02, 5), (0.01, 0.03, 5), (0.01, 0.03, 6), (0.02, 0.05, 6), (0.01, 0.03, 7))


@dataclass(frozen=True)
class Setting:
    """The grid of helices and the bins of a fitted baseline, and which clusters are tracks."""

    curvatures: Floats
    vertices: Floats
    azimuth: float
    slope: float
    layers: int
    choice: edge_pipeline.Choice


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    pt_min: float = 0.5,
    curvatures: int = 61,
    vertices: int = 15,
    z_max: float = 14.0,
    field: float = 2.0,
) -> Setting:
    """Choose the bins on validation.

    Parameters
    ----------
    pt_min:
        Softest track in GeV; it bounds the grid of `curvatures` (odd, so that it holds 0).
    vertices, z_max:
        Trial positions along the beam between -z_max and z_max in mm.
    field:
        Solenoid field in T: R = pT / (0.3 B) in m for pT in GeV.
    """
    largest = 0.3 * field / (2 * pt_min) / 1000.0
    grid = np.linspace(-largest, largest, curvatures), np.linspace(-z_max, z_max, vertices)
    start = edge_pipeline.Choice("helices", 0.0)
    settings = [Setting(*grid, phi, slope, layers, start) for phi, slope, layers in TRIALS]
    rated = [_rated(validation, setting) for setting in settings]
    return max(rated, key=lambda pair: pair[0])[1]


def _rated(validation: Split, setting: Setting) -> tuple[edge_pipeline.Rating, Setting]:
    """The setting with its best choice of tracks."""
    found = [track_building.numbered(cluster(event, setting)) for event in validation.inputs]
    rating, choice = edge_pipeline.selection(validation, found, setting.choice)
    return rating, replace(setting, choice=choice)


def predict(setting: Setting, events: Sequence[Event]) -> list[Integers]:
    """Labels of the hits of each event."""
    found = [track_building.numbered(cluster(event, setting)) for event in events]
    return [
        edge_pipeline.kept(labels, *edge_pipeline.fitted(event, labels), setting.choice)
        for event, labels in zip(events, found, strict=True)
    ]


def cluster(event: Event, setting: Setting) -> Integers:
    """Best cluster of each hit over all trial helices; clusters of fewer layers are dropped."""
    if not len(event):
        return np.zeros(0, dtype=np.int64)
    _, layer = np.unique(event.volume_id * 100 + event.layer_id, return_inverse=True)
    label = np.full(len(event), -1, dtype=np.int64)
    votes = np.zeros(len(event), dtype=np.int64)
    first = 0
    for trial, curvature in enumerate(_from_hard_to_soft(setting.curvatures)):
        phi0, path = _unrolled(event, curvature)
        for number, z0 in enumerate(setting.vertices):
            shift = 0.5 * ((trial + number) % 2)
            bins = _bins(event, phi0, path, z0, shift, setting)
            count = _layers(bins, layer)
            better = count > votes
            label[better] = first + bins[better]
            votes[better] = count[better]
            first += len(event)
    label[votes < setting.layers] = -1
    return _long_enough(label)


def _from_hard_to_soft(curvatures: Floats) -> Floats:
    return curvatures[np.argsort(np.abs(curvatures), kind="stable")]


def _unrolled(event: Event, curvature: float) -> tuple[Floats, Floats]:
    """Azimuth at the beam line (rad) and path in the bending plane (mm) of each hit."""
    turn = np.arcsin(np.clip(curvature * event.r, -1.0, 1.0))
    path = event.r if curvature == 0 else turn / curvature
    return event.phi - turn, path


def _bins(
    event: Event, phi0: Floats, path: Floats, z0: float, shift: float, setting: Setting
) -> Integers:
    """A small integer a hit: its bin of azimuth and asinh(cot theta) = eta."""
    azimuths = int(2 * np.pi / setting.azimuth)
    phi_bin = np.floor((phi0 + np.pi) / (2 * np.pi) * azimuths + shift).astype(np.int64) % azimuths
    eta = np.arcsinh((event.z - z0) / path)
    eta_bin = np.floor(eta / setting.slope + shift).astype(np.int64)
    _, bins = np.unique((eta_bin - eta_bin.min()) * azimuths + phi_bin, return_inverse=True)
    return np.asarray(bins)


def _layers(bins: Integers, layer: NDArray[np.intp]) -> Integers:
    """Number of layers that the bin of each hit has hits on."""
    width = int(layer.max()) + 1
    pairs = distinct(bins * width + layer)
    return np.bincount(pairs // width, minlength=int(bins.max()) + 1)[bins]


def _long_enough(label: Integers) -> Integers:
    _, where, count = np.unique(label, return_inverse=True, return_counts=True)
    return np.where(count[where] >= HITS_MIN, label, -1)


MODEL = Model(
    tasks=("tracking",),
    role="classical",
    reference="""@article{trackml2019,
  title = {The Tracking Machine Learning challenge: Accuracy phase},
  author = {Amrouche, S. and Basara, L. and Calafiura, P. and Estrade, V. and Farrell, S. and
    Ferreira, D. R. and Finnie, L. and Finnie, N. and Germain, C. and Gligorov, V. V. and Golling,
    T. and Gorbunov, S. and Gray, H. and Guyon, I. and Hushchyn, M. and Innocente, V. and Kiehn, M.
    and Moyse, E. and Puget, J.-F. and Reina, Y. and Rousseau, D. and Salzburger, A. and
    Ustyuzhanin, A. and Vlimant, J.-R. and Wind, J. S. and Xylouris, T. and Yilmaz, Y.},
  year = {2019},
  eprint = {1904.06778},
  archivePrefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    quick={"curvatures": 5, "vertices": 3},
    deterministic=True,
)
