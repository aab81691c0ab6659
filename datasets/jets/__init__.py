"""Jets as tasks and models see them, and their truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Described, described
from physbench.datasets.common import on_disk
from physbench.datasets.common.streaming import Columnar
from physbench.datasets.jets._resolution import sigma_d0, sigma_z0

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

Floats = NDArray[np.float32]

CONSTITUENTS = 50  # slots a jet
SOFTEST = 1e-9  # GeV; what is softer is a ghost of the jet algorithm, not a particle


@dataclass(frozen=True, eq=False, repr=False)
class Jets(Columnar, Described):
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
        if self.postpones("constituents"):
            return
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
class JetTruth(Columnar):
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


TRACK = ("pt", "deta", "dphi", "charge", "d0", "z0")  # the columns of `FlavourJets.tracks`


@dataclass(frozen=True, eq=False, repr=False)
class FlavourJets(Columnar, Described):
    """Jets as flavour taggers see them: tracks with impact parameters, zero padded.

    A jet may have no track at all: its slots are then all empty. Raises ValueError for wrong
    shapes and FloatingPointError for NaN or infinity.
    """

    tracks: Floats = described(
        "(n, slots, 6)",
        "GeV, 1, rad, e, mm, mm",
        "pT, eta - eta_jet, phi - phi_jet, charge, d0 with lifetime sign, z0 to the primary "
        "vertex; falling in pT, empty slots zero",
    )
    pt: Floats = described("(n,)", "GeV", "transverse momentum of the jet")
    eta: Floats = described("(n,)", "1", "pseudorapidity of the jet")
    sigma: Floats | None = described(
        "(n, slots, 2)",
        "mm, mm",
        "resolution of d0 and z0 where the data report one; else see `errors`",
        default=None,
    )
    extra: Floats | None = described(
        "(n, slots, any)",
        "1",
        "further inputs of each track that a dataset has, such as particle types",
        default=None,
    )
    classes: tuple[str, ...] = described(
        "(classes,)", "", "what a jet may be", default=("b", "c", "uds", "g")
    )

    def __post_init__(self) -> None:
        if self.postpones("tracks"):
            return
        shape = self.tracks.shape
        if len(shape) != 3 or shape[2] != len(TRACK):
            raise ValueError(
                f"tracks must have shape (jets, slots, 6) for {', '.join(TRACK)}; got {shape}"
            )
        _check_columns(self, ("tracks", "pt", "eta", "sigma", "extra"))
        for name in ("tracks", "pt", "eta"):
            if not _finite(getattr(self, name)):
                bad = ~np.isfinite(getattr(self, name))
                raise FloatingPointError(
                    f"{name} of jet {int(np.argwhere(bad)[0][0])} is NaN or infinite "
                    f"({int(bad.sum())} such values); drop those jets or mend the reader"
                )

    def __len__(self) -> int:
        return len(self.pt)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(n, slots): which slots hold a track."""
        return self.tracks[..., 0] > 0

    def errors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Resolution (n, slots) of d0 and z0 in mm that a track reports; 1 in empty slots."""
        pt = np.where(self.mask, self.tracks[..., 0], 1.0).astype(np.float64)
        if self.sigma is not None:
            d0, z0 = (np.where(self.mask, s, 1.0) for s in np.moveaxis(self.sigma, 2, 0))
            return d0, z0
        eta = np.where(self.mask, self.eta[:, None] + self.tracks[..., 1], 0.0)
        found = (np.where(self.mask, s(pt, eta), 1.0) for s in (sigma_d0, sigma_z0))
        d0, z0 = found
        return d0, z0

    def significance(self, empty: float = 0.0) -> NDArray[np.float64]:
        """Signed d0 over its resolution (n, slots); `empty` in empty slots."""
        return np.where(self.mask, self.tracks[..., 4] / self.errors()[0], empty)

    def to_frame(self) -> pd.DataFrame:
        """One row a track: jet, slot, the columns of `tracks`, and pT and eta of the jet."""
        import pandas as pd

        jet, slot = np.nonzero(self.mask)
        columns = dict(zip(TRACK, self.tracks[jet, slot].T, strict=True))
        of_jet = {"jet_pt": self.pt[jet], "jet_eta": self.eta[jet]}
        return pd.DataFrame({"jet": jet, "slot": slot, **columns, **of_jet})

    def to_numpy(self) -> Floats:
        """(n, slots x 6): the tracks of a jet in one row."""
        return self.tracks.reshape(len(self), -1)

    def to_torch(self) -> Tensor:
        """The padded tracks (n, slots, 6) as a tensor of its own memory."""
        import torch

        return torch.from_numpy(self.tracks.copy())


@dataclass(frozen=True, eq=False, repr=False)
class Flavours(Columnar, Described):
    """What flavour jets are. `classes[0]` is the signal that rejections keep."""

    label: NDArray[np.int8] = described("(n,)", "1", "index into `classes`")
    origin: NDArray[np.int8] = described(
        "(n, slots)",
        "1",
        "of a track: 0 pile-up, 1 primary, 2 from b, 3 from b to c, 4 from c, "
        "5 from a strange hadron; -1 for an empty slot, or where the data do not say",
    )
    hadron: NDArray[np.int8] = described(
        "(n, slots)",
        "1",
        "which decayed hadron of its jet a track comes from, counted from 1; "
        "0 none, -1 for an empty slot, or where the data do not say",
    )
    event: NDArray[np.int64] = described("(n,)", "1", "generator event, unique over flavours")
    pt: Floats = described("(n,)", "GeV", "jet pT, for slices and the leakage diagnostic")
    eta: Floats = described("(n,)", "1", "jet eta, for slices")
    classes: tuple[str, ...] = ("b", "c", "uds", "g")

    def __post_init__(self) -> None:
        _check_columns(self, ("label", "origin", "hadron", "event", "pt", "eta"))
        if len(self.label) and not 0 <= self.label.min() <= self.label.max() < len(self.classes):
            raise ValueError(
                f"label must be an index into the classes {', '.join(self.classes)}; got values "
                f"from {self.label.min()} to {self.label.max()}"
            )

    def __len__(self) -> int:
        return len(self.label)

    def to_frame(self) -> pd.DataFrame:
        """One row a jet: name of its class, event, pT, eta."""
        import pandas as pd

        names = np.array(self.classes)[self.label]
        return pd.DataFrame(
            {"flavour": names, "event": self.event, "pt": self.pt, "eta": self.eta}
        )


def _finite(values: Floats) -> bool:
    """Whether no value is NaN or infinite, without an array of answers as long as a split."""
    return not values.size or bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def _check_columns(table: Any, names: tuple[str, ...]) -> None:
    present = {n: len(getattr(table, n)) for n in names if getattr(table, n) is not None}
    if len(set(present.values())) > 1:
        kind = type(table).__name__
        raise ValueError(f"all columns of {kind} need one element a jet; got {present}")


@dataclass(frozen=True, eq=False)
class FlavourSample:
    """What the datasets of flavour tagging load: jets and truth of every split.

    Attributes
    ----------
    split:
        (n,) int8: TRAIN, VALIDATION or TEST.
    ids:
        Stable name of each jet.
    files:
        sha256 of every file read.
    """

    jets: FlavourJets
    truth: Flavours
    split: NDArray[np.int8]
    ids: tuple[str, ...]
    files: dict[str, str]


def with_classes(sample: Sample) -> FlavourSample:
    """Jets of one signal and background as those of a tagger of two classes, the signal first.

    The tracks have no charge and no impact parameters.
    """
    if len(sample.truth.signals) != 1:
        raise ValueError(
            f"two classes need one signal; got {', '.join(sample.truth.signals) or 'none'}"
        )
    label = (sample.truth.signal == 0).astype(np.int8)
    background = sample.ids[int(label.argmax())].rpartition("-")[0]
    classes = (sample.truth.signals[0], background)
    jets = sample.jets
    tracks = np.pad(jets.constituents, ((0, 0), (0, 0), (0, len(TRACK) - 3)))
    inputs = FlavourJets(tracks, jets.pt, jets.eta, classes=classes)
    unknown = np.full(inputs.mask.shape, -1, dtype=np.int8)
    truth = Flavours(label, unknown, unknown, sample.truth.event, jets.pt, jets.eta, classes)
    return FlavourSample(inputs, truth, sample.split, sample.ids, sample.files)


def joined(parts: Iterable[FlavourSample]) -> FlavourSample:
    """Samples of several files, or of parts of one, as one; events stay distinct.

    They are taken one after the other, and what is more than memory should hold lies on disk.
    Raises ValueError where there is none.
    """
    jets, truth = on_disk.Columns(), on_disk.Columns()
    kinds: tuple[Any, Any] | None = None
    split: list[NDArray[np.int8]] = []
    ids: list[str] = []
    files: dict[str, str] = {}
    for number, part in enumerate(parts):
        kinds = kinds or (part.jets.take(slice(0)), part.truth.take(slice(0)))
        jets.add(**_arrays(part.jets))
        event = part.truth.event + number * 10**9
        truth.add(**_arrays(part.truth) | {"event": event})
        split.append(part.split)
        ids += part.ids
        files |= part.files
    if kinds is None:
        raise ValueError("parts must hold at least one sample of jets; got none")
    return FlavourSample(
        replace(kinds[0], **jets.arrays()),
        replace(kinds[1], **truth.arrays()),
        np.concatenate(split),
        tuple(ids),
        files,
    )


def _arrays(table: Any) -> dict[str, NDArray[Any]]:
    """The fields of a table that are arrays."""
    values = {f.name: getattr(table, f.name) for f in fields(table)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
