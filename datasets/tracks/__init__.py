"""Single tracks as tasks and models see them, and their truth.

Units: mm, GeV, tesla, rad. Padded arrays with a mask. The field is 2 T along +z unless stated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Described, Spectrum, described
from physbench.datasets.common.streaming import Columnar

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

from physbench.datasets.common.helix import MINIMUM

Array = NDArray[np.float64]

OVERLAP = 15.0  # mm in radius: hits that are closer lie on one layer
TURNED = 0.01  # mm in radius: rounding may turn the order of hits by less
SLOTS = 20  # hits a track; measured maximum on the generic detector
COORDINATES = ("xyz", "rphiz", "rdphiz")
TARGETS = ("pt", "qopt", "qpt")
TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True, eq=False, repr=False)
class Tracks(Columnar, Described):
    """Hits of single tracks, sorted by radius, zero padded. The hits may be made later.

    Raises ValueError for wrong shapes, fewer than 3 hits, hits that are not finite, and tracks
    whose hits are all the same point: no track model has an answer for these.
    """

    hits: NDArray[np.float32] = described("(n, slots, 3)", "mm", "x, y, z of each hit")
    mask: NDArray[np.bool_] = described("(n, slots)", "1", "slot holds a hit; hits come first")
    coordinates: str = described(
        "", "", "what `features()` returns: xyz, rphiz or rdphiz", default="rdphiz"
    )

    def __post_init__(self) -> None:
        if self.postpones("hits"):
            return
        if self.hits.ndim != 3 or self.hits.shape[2] != 3:
            raise ValueError(f"hits must have shape (tracks, slots, 3); got {self.hits.shape}")
        if self.mask.shape != self.hits.shape[:2]:
            raise ValueError(
                f"mask must have shape {self.hits.shape[:2]}, as hits; got {self.mask.shape}"
            )
        if self.coordinates not in COORDINATES:
            raise ValueError(
                f"coordinates must be one of {', '.join(COORDINATES)}; got '{self.coordinates}'"
            )

    def __len__(self) -> int:
        return len(self.mask)

    def check(self) -> Tracks:
        """The tracks themselves, when each has an answer.

        Raises ValueError naming the first track that has fewer than 3 hits, a hit that is NaN or
        infinite, only identical hits, an empty slot before a hit, or hits that do not go outward.
        Drop such tracks before; `padded` sorts hits.
        """
        radius = np.hypot(self.hits[..., 0], self.hits[..., 1], dtype=np.float64)
        back = np.diff(radius, axis=1) < -TURNED
        rules = {
            f"fewer than {MINIMUM} hits": self.mask.sum(1) < MINIMUM,
            "a hit that is NaN or infinite": ~np.isfinite(self.hits).all((1, 2)),
            "no two different hits": ~(self.mask & (self.hits != self.hits[:, :1]).any(2)).any(1),
            "an empty slot before a hit": (self.mask[:, 1:] & ~self.mask[:, :-1]).any(1),
            "hits that are not sorted by radius": (back & self.mask[:, 1:]).any(1),
        }
        for rule, broken in rules.items():
            if broken.any():
                raise ValueError(
                    f"{int(broken.sum())} of {len(self)} tracks have {rule}, the first is track "
                    f"{int(np.flatnonzero(broken)[0])}; drop them with take()"
                )
        return self

    def to_frame(self) -> pd.DataFrame:
        """One row a hit: number of the track, place along it, x, y, z in mm."""
        import pandas as pd

        track, place = np.nonzero(self.mask)
        x, y, z = self.hits[track, place].T
        return pd.DataFrame({"track": track, "place": place, "x": x, "y": y, "z": z})

    def to_numpy(self) -> Array:
        """(n, slots x 3): `features()` of each track in one row, empty slots zero."""
        return self.features().reshape(len(self), -1)

    def to_torch(self) -> Tensor:
        """(n, slots, 3): `features()` in single precision."""
        import torch

        return torch.from_numpy(self.features().astype(np.float32))

    def features(self) -> Array:
        """(n, slots, 3) in the coordinates of the protocol; empty slots are zero."""
        x, y, z = np.moveaxis(self.hits.astype(np.float64), 2, 0)
        if self.coordinates == "xyz":
            return np.stack([x, y, z], 2)
        phi = np.arctan2(y, x)
        if self.coordinates == "rdphiz":
            phi = relative_azimuth(phi)
        return np.where(self.mask[..., None], np.stack([np.hypot(x, y), phi, z], 2), 0.0)


def relative_azimuth(phi: Array) -> Array:
    """phi_i - phi_0 wrapped into (-pi, pi]; the first hit is the one of smallest radius."""
    difference = phi - phi[..., :1]
    return difference - 2 * np.pi * np.ceil((difference - np.pi) / (2 * np.pi))


def monotonic(tracks: Tracks) -> NDArray[np.bool_]:
    """The scattering cut: no change of sign between successive steps in azimuth; (n,).

    Where modules overlap, a layer has two hits a few mm apart, whose order in azimuth resolution
    decides: only the first of a layer counts.
    """
    x, y = tracks.hits[..., 0].astype(np.float64), tracks.hits[..., 1].astype(np.float64)
    first = tracks.mask.copy()
    first[:, 1:] &= np.diff(np.hypot(x, y), axis=1) > OVERLAP
    order = np.argsort(~first, axis=1, kind="stable")
    phi = np.take_along_axis(relative_azimuth(np.arctan2(y, x)), order, 1)
    step = np.diff(phi, axis=1)
    step = np.where(np.arange(step.shape[1]) < first.sum(1, keepdims=True) - 1, step, 0.0)
    return np.asarray((step[:, 1:] * step[:, :-1] >= 0).all(1))


@dataclass(frozen=True, eq=False, repr=False)
class TrackTruth(Columnar, Described):
    """True parameters of tracks at their point of closest approach to the beam line."""

    pt: Array = described("(n,)", "GeV", "transverse momentum")
    pz: Array = described("(n,)", "GeV", "momentum along the beam")
    q: Array = described("(n,)", "e", "charge")
    d0: Array = described("(n,)", "mm", "signed as (P x p)_z, opposite to ACTS")
    z0: Array = described("(n,)", "mm", "z of the point of closest approach")
    phi: Array = described("(n,)", "rad", "azimuth of the momentum there")
    eta: Array = described("(n,)", "1", "pseudorapidity")
    mass: Array = described("(n,)", "GeV", "mass of the particle")
    kalman: Array = described(
        "(n, 4)",
        "",
        "q/pT, pz, d0, z0 of the ACTS Kalman filter, NaN where it has no answer; another "
        "algorithm's answer: models must not learn from it",
    )
    hits: NDArray[np.int64] = described("(n,)", "1", "number of hits")
    sigma: Array = described(
        "(n, 3)",
        "1, mm, mm",
        "standard deviations of ln pT, d0 and z0 in the ideal linear fit of the track's own hits",
    )
    core: tuple[float, ...] = described(
        "(3,)", "1", "core68 of that fit's pulls, by the law of its scattering", default=()
    )
    target: str = described(
        "", "", "what a learned model regresses beside pz: pt, qopt or qpt", default="qopt"
    )

    def __len__(self) -> int:
        return len(self.pt)

    def regressed(self) -> Array:
        """(n, 2): the transverse target of the protocol, and pz."""
        if self.target not in TARGETS:
            raise ValueError(f"target must be one of {', '.join(TARGETS)}; got '{self.target}'")
        first = {"pt": self.pt, "qopt": self.q / self.pt, "qpt": self.q * self.pt}[self.target]
        return np.stack([first, self.pz], 1)


def predictions_from(values: Array, target: str) -> Mapping[str, Array]:
    """Predictions of the task from regressed values (n, 2); the inverse of `regressed`.

    A pT without charge becomes a positive q/pT; zero becomes 1 / (smallest number): no failure
    is hidden, it is an outlier.
    """
    first = np.asarray(values[:, 0], dtype=np.float64)
    if target != "qopt":
        first = 1 / np.where(np.abs(first) < 1e-6, 1e-6, first)
    return {"qopt": first, "pz": np.asarray(values[:, 1], dtype=np.float64)}


@dataclass(frozen=True, eq=False)
class Sample:
    """What a dataset of tracks returns.

    `true` holds the crossings (None where not kept), `measured` the smeared ones; `crossings` are
    the true ones, or what makes them when they are asked for; `split` (n,) is 0, 1, 2 for train,
    validation, test; `files` maps file names to sha256; `counts` how many particles each cut left,
    `spectra` how they are spread.
    """

    crossings: Tracks | Callable[[], Tracks] | None
    measured: Tracks
    truth: TrackTruth
    split: NDArray[np.int64]
    ids: list[str]
    files: Mapping[str, str]
    counts: Mapping[str, int]
    spectra: Mapping[str, Spectrum] = field(default_factory=dict)

    @cached_property
    def true(self) -> Tracks | None:
        """The crossings themselves."""
        return self.crossings() if callable(self.crossings) else self.crossings


def padded(hits: Array, owner: NDArray[np.int64], tracks: int, slots: int = SLOTS) -> Tracks:
    """Tracks from flat hits (m, 3) with the number of their track; negative owners are dropped.

    Hits are sorted by radius; beyond `slots` the outer ones are cut off.
    """
    order = np.lexsort([np.hypot(hits[:, 0], hits[:, 1]), owner])
    order = order[owner[order] >= 0]
    sorted_owner = owner[order]
    place = np.arange(len(order)) - np.searchsorted(sorted_owner, sorted_owner)
    kept = place < slots
    array = np.zeros((tracks, slots, 3), dtype=np.float32)
    mask = np.zeros((tracks, slots), dtype=bool)
    array[sorted_owner[kept], place[kept]] = hits[order[kept]]
    mask[sorted_owner[kept], place[kept]] = True
    return Tracks(array, mask)
