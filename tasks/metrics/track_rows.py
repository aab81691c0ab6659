"""Rows of layers that read tracks: a track, or a hit of a track; and the loss of q/pT."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physbench.datasets import Split
from physbench.datasets.tracks import TrackTruth
from physbench.tasks.metrics.rows import (
    PLANES,
    Array,
    Rows,
    Table,
    of_hits,
    one_of_each,
    with_random,
)


def loss(truth: TrackTruth, predictions: Mapping[str, Array]) -> float:
    """Mean squared error of q/pT in 1/GeV^2."""
    return float(np.mean((predictions["qopt"] - truth.q / truth.pt) ** 2))


def of_tracks(truth: TrackTruth) -> Table:
    """Parameters of tracks."""
    return {
        "q/pT": truth.q / truth.pt,
        "pT": truth.pt,
        "eta": truth.eta,
        "phi": truth.phi,
        "d0": truth.d0,
        "z0": truth.z0,
        "charge": truth.q,
    }


def tracks(split: Split, predictions: object) -> Rows:
    """The tracks themselves."""
    known = of_tracks(split.targets)
    arguments = {name: known[name] for name in ("q/pT", "pT", "eta", "phi")}
    planes = ("q/pT", "eta"), ("phi", "pT")
    n = len(split)
    return Rows(with_random(known), arguments, planes, np.ones(n, dtype=bool), np.arange(n))


def hits_of_tracks(split: Split, predictions: object) -> Rows:
    """The slots of all tracks, empty ones included."""
    mask = split.inputs.mask
    known = {k: np.repeat(v, mask.shape[1]) for k, v in of_tracks(split.targets).items()}
    hits = split.inputs.hits.reshape(-1, 3).astype(np.float64)
    real = mask.ravel()
    track = np.where(real, np.repeat(np.arange(len(mask)), mask.shape[1]), -1)
    return Rows(with_random(known), of_hits(*hits.T), PLANES, real, one_of_each(track))
