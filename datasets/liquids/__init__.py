"""Configurations of particles as tasks and models see them, and their measured mobility.

Reduced Lennard-Jones units: lengths in sigma_AA, energies in epsilon_AA, temperatures in
epsilon_AA / k_B, times in sigma_AA sqrt(m / epsilon_AA). Boxes are rectangular and periodic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Described, described

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

Floats = NDArray[np.float32]

A, B, C = 0, 1, 2  # particle types; A is the large majority species
STRUCTURES = ("thermal", "inherent", "cage")
HALVES = 2


@dataclass(frozen=True, eq=False, repr=False)
class Configuration(Described):
    """One configuration: where the particles are at time zero.

    Raises ValueError for wrong shapes, positions that are not finite and unknown types.
    """

    types: NDArray[np.int64] = described("(n,)", "1", "0 is A (the majority), 1 is B, 2 is C")
    box: NDArray[np.float64] = described("(d,)", "sigma_AA", "edge lengths of the periodic box")
    temperature: float = described("", "epsilon_AA/k_B", "at which it was equilibrated")
    thermal: Floats = described("(n, d)", "sigma_AA", "instantaneous positions, inside the box")
    inherent: Floats | None = described(
        "(n, d)", "sigma_AA", "the same after energy minimisation, or None", default=None
    )
    cage: Floats | None = described(
        "(n, d)", "sigma_AA", "averaged with rearrangements forbidden, or None", default=None
    )
    energy: Floats | None = described(
        "(n,)", "epsilon_AA", "half of the pair energies, thermal, or None", default=None
    )
    inherent_energy: Floats | None = described(
        "(n,)", "epsilon_AA", "the same of the inherent positions, or None", default=None
    )

    def __post_init__(self) -> None:
        count = len(self.types)
        shape = (count, len(self.box))
        for name in STRUCTURES:
            positions = getattr(self, name)
            if positions is None:
                continue
            if positions.shape != shape:
                raise ValueError(f"{name} must have shape {shape}; got {positions.shape}")
            if not np.isfinite(positions).all():
                raise ValueError(f"{name} positions hold NaN or infinity; read the file again")
        for name in ("energy", "inherent_energy"):
            values = getattr(self, name)
            if values is not None and values.shape != (count,):
                raise ValueError(f"{name} must have shape ({count},); got {values.shape}")
        if count and not set(np.unique(self.types)) <= {A, B, C}:
            raise ValueError(f"types must be 0, 1 or 2; got {np.unique(self.types).tolist()}")
        if not (np.asarray(self.box) > 0).all():
            raise ValueError(f"box must have positive edges; got {self.box}")

    def __len__(self) -> int:
        return len(self.types)

    def to_frame(self) -> pd.DataFrame:
        """One row a particle: type, thermal and, where known, inherent positions."""
        import pandas as pd

        columns: dict[str, NDArray[Any]] = {"type": self.types}
        for name in STRUCTURES:
            values = getattr(self, name)
            if values is not None:
                axes = zip("xyz", values.T, strict=False)
                columns |= {f"{name}_{axis}": column for axis, column in axes}
        return pd.DataFrame(columns)

    def to_numpy(self) -> Floats:
        """(n, d): the thermal positions."""
        return self.thermal

    def to_torch(self) -> Tensor:
        """(n, d): the thermal positions."""
        import torch

        return torch.from_numpy(self.thermal.copy())

    def positions(self, structure: str) -> Floats:
        """(n, d): the positions of a `structure`: thermal, inherent or cage.

        Raises ValueError for an unknown word and where the dataset has no such positions.
        """
        if structure not in STRUCTURES:
            raise ValueError(
                f"structure must be one of {', '.join(STRUCTURES)}; got '{structure}'"
            )
        positions: Floats | None = getattr(self, structure)
        if positions is None:
            here = [name for name in STRUCTURES if getattr(self, name) is not None]
            raise ValueError(
                f"these configurations have no {structure} positions; they have {', '.join(here)}"
            )
        return positions


@dataclass(frozen=True, eq=False)
class Mobility:
    """What the isoconfigurational ensemble of one configuration measured.

    Attributes
    ----------
    types:
        (n,) int64, as in `Configuration`.
    times:
        (t,) float64: times of the targets, increasing.
    alpha:
        Index of the relaxation time tau_alpha among `times`.
    propensity:
        (t, n) float32: mean over trajectories of the length of the displacement from the thermal
        positions at time zero.
    halves:
        (2, t, n) float32: the same over the even and over the odd trajectories; None where the
        dataset has means alone.
    spread:
        (t, n) float32: standard deviation of that length over trajectories (n - 1), or None.
    trajectories:
        How many trajectories the mean is over.
    lengths:
        (M, t, n) float32: the length of the displacement in each trajectory, or None.
    bonds, bond_change:
        (m, 2) int64 and (m,) float32: pairs of particles that are close at time zero, and the mean
        change of their distance at tau_alpha; None where the dataset has none.
    broken_bonds:
        (t, n) float32: the bond-breaking propensity, where the dataset has it; else None.
    labels:
        Names of the targets; default `t=` and the time. Data indexed by something else than time
        (Bapst: the scattering function) have names of their own.
    positions, box:
        (n, d) and (d,): the thermal positions at time zero and the periodic box, for spatial
        correlations of the propensity; None where they are not needed.
    """

    types: NDArray[np.int64]
    times: NDArray[np.float64]
    alpha: int
    propensity: Floats
    halves: Floats | None = None
    spread: Floats | None = None
    trajectories: int = 0
    positions: Floats | None = None
    box: NDArray[np.float64] | None = None
    labels: tuple[str, ...] = ()
    lengths: Floats | None = None
    bonds: NDArray[np.int64] | None = None
    bond_change: Floats | None = None
    broken_bonds: Floats | None = None

    def __post_init__(self) -> None:
        if not self.labels:
            object.__setattr__(self, "labels", tuple(f"t={time:g}" for time in self.times))
        shape = (len(self.times), len(self.types))
        if self.propensity.shape != shape:
            raise ValueError(f"propensity must have shape {shape}; got {self.propensity.shape}")
        if self.halves is not None and self.halves.shape != (HALVES, *shape):
            raise ValueError(f"halves must have shape {(HALVES, *shape)}; got {self.halves.shape}")
        if not 0 <= self.alpha < len(self.times):
            raise ValueError(f"alpha must index {len(self.times)} times; got {self.alpha}")

    def __len__(self) -> int:
        return len(self.types)


@dataclass(frozen=True, eq=False)
class Sample:
    """What a dataset of configurations returns.

    `split` (c,) is 0, 1, 2 for train, validation, test; `files` maps file names to sha256.
    """

    configurations: Sequence[Configuration]
    mobilities: Sequence[Mobility]
    split: NDArray[np.int64]
    ids: Sequence[str]
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        sizes = {len(self.configurations), len(self.mobilities), len(self.split), len(self.ids)}
        if len(sizes) != 1:
            raise ValueError(
                f"configurations, mobilities, split and ids differ in length: {sizes}"
            )


def wrapped(positions: NDArray[np.floating], box: NDArray[np.float64]) -> Floats:
    """Positions inside the half-open periodic box, in single precision.

    >>> wrapped(np.array([[-1e-12, 10.5]]), np.array([10.0, 10.0]))
    array([[0. , 0.5]], dtype=float32)
    """
    inside = np.mod(positions.astype(np.float64), box).astype(np.float32)
    # Rounding to single precision may reach the upper face, which is the lower one.
    return np.where(inside >= box, np.float32(0), inside).astype(np.float32)
