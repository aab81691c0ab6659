"""What a network reads of a track and what it answers: the protocol's coordinates, or a chord's.

A view turns tracks into inputs (n, slots, features) float32, truth into targets (n, outputs), and
answers back into predictions of the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physbench.datasets.tracks import Tracks, TrackTruth, predictions_from
from physbench.models.tracks import _chord_frame as chord_frame
from physbench.models.tracks import _track_tables as track_tables

Array = NDArray[np.float64]

NAMES = ("raw", "chord", "offset_chord")
LARGEST = 30.0  # of a standardised target in a track's own scale: one wild track must not decide


class View(Protocol):
    """How many features and outputs a network has, and what they mean."""

    @property
    def features(self) -> int:
        """Numbers a hit."""

    @property
    def outputs(self) -> int:
        """Numbers a track."""

    def inputs(self, tracks: Tracks) -> Tensor:
        """(n, slots, features). Raises ValueError as `Tracks.check`."""

    def targets(self, tracks: Tracks, truth: TrackTruth) -> Array:
        """(n, outputs)."""

    def scale(self, targets: Array) -> tuple[Array, Array]:
        """Centre and spread (outputs,) that make the targets of a training of order one."""

    def predictions(self, tracks: Tracks, values: Array) -> Mapping[str, Array]:
        """What the task asks for, from answers (n, outputs)."""


@dataclass(frozen=True)
class Raw:
    """The protocol's three coordinates in, its transverse target and pz out.

    With `scaled` inputs are of order one and targets standardised; without it mm and GeV.
    """

    target: str
    scaled: bool = True
    features: int = 3
    outputs: int = 2

    def inputs(self, tracks: Tracks) -> Tensor:
        """(n, slots, 3)."""
        scaled = track_tables.scaled_features
        values = scaled(tracks) if self.scaled else tracks.check().features()
        return torch.from_numpy(values.astype(np.float32))

    def targets(self, tracks: Tracks, truth: TrackTruth) -> Array:
        """(n, 2): the target of the protocol, and pz."""
        return truth.regressed()

    def scale(self, targets: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, or 0 and 1."""
        if not self.scaled:
            return np.zeros(2), np.ones(2)
        return targets.mean(0), np.maximum(targets.std(0), 1e-12)

    def predictions(self, tracks: Tracks, values: Array) -> Mapping[str, Array]:
        """q/pT and pz."""
        return predictions_from(values, self.target)


@dataclass(frozen=True)
class Chord:
    """Hits and all four parameters relative to the chord, whatever the protocol's target."""

    offset: bool = False
    features: int = chord_frame.FEATURES
    outputs: int = chord_frame.OUTPUTS

    def inputs(self, tracks: Tracks) -> Tensor:
        """(n, slots, 13)."""
        chord = chord_frame.chord(tracks, offset=self.offset)
        return torch.from_numpy(chord_frame.features(tracks, chord))

    def targets(self, tracks: Tracks, truth: TrackTruth) -> Array:
        """(n, 4)."""
        return chord_frame.targets(truth, chord_frame.chord(tracks, offset=self.offset))

    def scale(self, targets: Array) -> tuple[Array, Array]:
        """Median, and the half width that holds 68 %."""
        centre = np.median(targets, axis=0)
        return centre, np.maximum(np.quantile(np.abs(targets - centre), 0.683, axis=0), 1e-12)

    def predictions(self, tracks: Tracks, values: Array) -> Mapping[str, Array]:
        """q/pT, pz, d0, z0; q/pT = 0 for a straight line."""
        return chord_frame.predictions(chord_frame.chord(tracks, offset=self.offset), values)


def view(name: str, target: str, scaled: bool = True) -> View:
    """The view of that name; raises ValueError for another one."""
    if name not in NAMES:
        raise ValueError(f"features must be one of {', '.join(NAMES)}; got '{name}'")
    return Raw(target, scaled) if name == "raw" else Chord(name == "offset_chord")
