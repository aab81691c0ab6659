"""Jets as tasks and models see them, and their truth."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Described, described

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

Floats = NDArray[np.float32]

CONSTITUENTS = 50  # slots a jet
SOFTEST = 1e-9  # GeV; what is softer is a ghost of the jet algorithm, not a particle


class _Columns:
    """Dataclasses whose array fields have one element a unit."""

    def take(self, index: Any) -> Self:
        """The units `index` (integers, a slice or a mask), in that order."""
        values = {
            f.name: getattr(self, f.name)
            for f in fields(self)  # type: ignore[arg-type]
        }
        chosen = {k: v[index] if isinstance(v, np.ndarray) else v for k, v in values.items()}
        return type(self)(**chosen)


@dataclass(frozen=True, eq=False)
class Jets(_Columns, Described):
    """Jets with their constituents, zero padded.

    `pt`, `eta` and `mass` are of the sum of all (massless) constituents, those beyond the last
    slot too.
    """

    constituents: Floats = described(
        "(n, slots, 3)",
        "GeV, 1, rad",
        "pT, eta - eta_jet, phi - phi_jet in (-pi, pi]; falling in pT, empty slots zero",
    )
    pt: Floats = described("(n,)", "GeV", "transverse momentum of the jet")
    eta: Floats = described("(n,)", "1", "pseudorapidity of the jet")
    mass: Floats = described("(n,)", "GeV", "mass of the jet")
    multiplicity: NDArray[np.int64] = described(
        "(n,)", "1", "number of constituents, those beyond the last slot too"
    )

    def __post_init__(self) -> None:
        shape = self.constituents.shape
        if len(shape) != 3 or shape[2] != 3:
            raise ValueError(
                f"constituents must have shape (jets, slots, 3) for pT, eta, phi; got {shape}"
            )
        sizes = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(sizes.values())) != 1:
            raise ValueError(f"all columns of Jets need one element a jet; got {sizes}")

    def __len__(self) -> int:
        return len(self.pt)

    def to_frame(self) -> pd.DataFrame:
        """One row a jet: pt, eta, mass, multiplicity."""
        import pandas as pd

        names = ("pt", "eta", "mass", "multiplicity")
        return pd.DataFrame({name: getattr(self, name) for name in names})

    def to_numpy(self) -> Floats:
        """(n, slots x 3): pT, eta, phi of the constituents in one row."""
        return self.constituents.reshape(len(self), -1)

    def to_torch(self) -> Tensor:
        """(n, slots, 3): the constituents."""
        import torch

        return torch.from_numpy(self.constituents.copy())

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(n, slots): which slots hold a constituent."""
        return self.constituents[..., 0] > 0


@dataclass(frozen=True, eq=False)
class JetTruth(_Columns):
    """What a jet is, and the observables that its score must not merely copy."""

    signal: NDArray[np.int8] = described(
        "(n,)", "1", "0 is background, k > 0 is the k-th of `signals`"
    )
    weight: Floats = described(
        "(n,)", "1", "makes the pT spectrum of each signal that of the background; mean 1 a class"
    )
    event: NDArray[np.int64] = described(
        "(n,)", "1", "generator event; the jets of one event are never in two splits"
    )
    pt: Floats = described("(n,)", "GeV", "transverse momentum of the jet")
    mass: Floats = described("(n,)", "GeV", "mass of the jet")
    multiplicity: NDArray[np.int64] = described("(n,)", "1", "number of constituents")
    signals: tuple[str, ...] = described("(signals,)", "1", "names of the signals")

    def __len__(self) -> int:
        return len(self.signal)


def wrap(phi: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Angles in rad moved into [-pi, pi).

    >>> float(np.round(wrap(np.array([3 * np.pi / 2]))[0], 4))
    -1.5708
    """
    return (phi + np.pi) % (2 * np.pi) - np.pi


def from_constituents(
    pt: NDArray[np.floating[Any]],
    eta: NDArray[np.floating[Any]],
    phi: NDArray[np.floating[Any]],
    slots: int = CONSTITUENTS,
) -> Jets:
    """Jets from padded constituents (n, any), pT in GeV, absolute eta and phi.

    Slots with pT = 0 are empty. The jet is the sum of its massless constituents; relative angles
    are taken to its axis, so a jet across the seam at phi = pi stays whole. Raises ValueError for
    negative or non-finite values and for a jet without constituents.
    """
    pt, eta, phi = (np.asarray(v, dtype=np.float64) for v in (pt, eta, phi))
    _check(pt, eta, phi)
    order = np.argsort(-pt, axis=1, kind="stable")
    pt, eta, phi = (np.take_along_axis(v, order, axis=1) for v in (pt, eta, phi))
    px, py, pz = (
        np.sum(c, axis=1) for c in (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
    )
    energy = np.sum(pt * np.cosh(eta), axis=1)
    jet_pt = np.hypot(px, py)
    if not np.all(jet_pt > 0):
        raise ValueError(
            f"jet {int(np.argmin(jet_pt > 0))} has no transverse momentum; drop it before"
        )
    jet_eta, jet_phi = np.arcsinh(pz / jet_pt), np.arctan2(py, px)
    mass = np.sqrt(np.maximum(energy**2 - jet_pt**2 - pz**2, 0.0))
    full = pt > 0
    relative = np.stack([pt, eta - jet_eta[:, None], wrap(phi - jet_phi[:, None])], axis=-1)
    relative *= full[..., None]
    padded = np.zeros((len(pt), slots, 3), dtype=np.float32)
    padded[:, : pt.shape[1]] = relative[:, :slots]
    first, second, third = (c.astype(np.float32) for c in (jet_pt, jet_eta, mass))
    return Jets(padded, first, second, third, full.sum(axis=1))


def _check(*columns: NDArray[np.float64]) -> None:
    pt = columns[0]
    if pt.ndim != 2 or len({c.shape for c in columns}) != 1:
        raise ValueError(
            f"pt, eta and phi must have one shape (jets, constituents); got "
            f"{[c.shape for c in columns]}"
        )
    if not all(np.isfinite(c).all() for c in columns):
        raise ValueError("constituents hold NaN or infinity; expected finite pT, eta, phi")
    if (pt < 0).any():
        raise ValueError(f"constituent pT must be >= 0 GeV; got {pt.min():g}")
    if ((pt > 0) & (pt < SOFTEST)).any():
        raise ValueError(
            f"constituents of pT {pt[pt > 0].min():g} GeV are ghosts, no particles; empty slots "
            f"have pT 0, real ones at least {SOFTEST:g} GeV"
        )
    empty = ~(pt > 0).any(axis=1)
    if empty.any():
        raise ValueError(
            f"jet {int(np.argmax(empty))} has no constituents ({int(empty.sum())} such jets of "
            f"{len(pt)}); a jet needs at least one with pT > 0"
        )


TRAIN, VALIDATION, TEST, HELD = 0, 1, 2, 3


@dataclass(frozen=True, eq=False)
class Sample:
    """What the jet datasets load.

    Attributes
    ----------
    jets, truth:
        All jets, of every split.
    split:
        (n,) int8: TRAIN, VALIDATION, TEST, or HELD (signal jets kept for contamination runs).
    ids:
        Stable name of each jet.
    files:
        sha256 of every file read.
    """

    jets: Jets
    truth: JetTruth
    split: NDArray[np.int8]
    ids: tuple[str, ...]
    files: dict[str, str]


def pt_weights(
    pt: NDArray[np.floating[Any]], background: NDArray[np.floating[Any]], bins: int = 50
) -> Floats:
    """Weights (n,) of signal jets, mean 1, that give them the pT spectrum of the background.

    The bins hold equal numbers of background jets; a signal jet weighs the background's share of
    its bin over the signal's. There are at most `bins`, and fewer where one would hold less than
    20 jets of a class on average. pT in GeV; signal outside the background's range counts to the
    outermost bin. Raises ValueError where the ranges of the classes do not overlap.
    """
    if pt.min() > background.max() or pt.max() < background.min():
        raise ValueError(
            f"signal and background share no range of pT: signal {pt.min():.4g} to "
            f"{pt.max():.4g} GeV, background {background.min():.4g} to {background.max():.4g} "
            "GeV; their pT spectra cannot be matched"
        )
    number = max(1, min(bins, len(pt) // 20, len(background) // 20))
    inner = np.quantile(background, np.linspace(0, 1, number + 1)[1:-1])
    place = np.searchsorted(inner, pt, "right")
    wanted = np.bincount(np.searchsorted(inner, background, "right"), minlength=number)
    weight = wanted[place] / np.bincount(place, minlength=number)[place]
    return np.asarray(weight / weight.mean(), dtype=np.float32)


def matching_weights(signal: NDArray[np.int8], test: NDArray[np.bool_], pt: Floats) -> Floats:
    """`JetTruth.weight` of all jets: `pt_weights` for each signal of the test split, else 1."""
    weight = np.ones(len(signal), dtype=np.float32)
    background = pt[test & (signal == 0)]
    for kind in np.unique(signal[test & (signal > 0)]):
        chosen = test & (signal == kind)
        if len(background):
            weight[chosen] = pt_weights(pt[chosen], background)
    return weight
