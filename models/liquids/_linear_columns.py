"""The columns of `coarse_grained_ridge`, which `residual_network` shares: base and rich."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.liquids import Configuration
from physbench.models.liquids import _columns, _linear_row, _structure, _vibrations
from physbench.models.liquids._particle_regression import Standard
from physbench.models.liquids._potential import potential_energy

Array = NDArray[np.float64]

COLUMNS = ("base", "rich")
WIDTH = 208  # columns of the base of a mixture of two types
COMPONENTS = 40  # principal components of the local descriptors of a type
RADIAL = ((0.85, 2.0, 0.025, 0.025), (2.05, 5.0, 0.05, 0.05))
BOND_ORDER = {"degrees": 12, "first": 1.0, "last": 2.5, "step": 0.1, "width": 0.1}
CLIP = 6.0  # standard deviations
SCALES = {"base": (1.0, 1.0), "rich": (1.0, 1.0, 0.012, 0.03)}


def base(configuration: Configuration) -> list[Array]:
    """Sums over neighbourhoods and over shells."""
    return [
        _columns.neighbourhood(configuration, "inherent"),
        _columns.shells(configuration, "inherent"),
    ]


def descriptors(configuration: Configuration) -> Array:
    """(n, 406): radial functions by type, and bond order, of the inherent positions."""
    reach = float(np.min(configuration.box)) / 2
    last = min(RADIAL[1][1], RADIAL[1][0] + 0.05 * int((reach - 0.2 - RADIAL[1][0]) / 0.05))
    grids = (RADIAL[0], (RADIAL[1][0], last, *RADIAL[1][2:]))
    return np.concatenate(
        [
            _structure.radial(configuration, "inherent", grids=grids),
            _structure.bond_order(configuration, "inherent", **BOND_ORDER),
        ],
        axis=1,
    )


def local(configuration: Configuration) -> Array:
    """(n, 3): inherent and thermal energy, quench length."""
    energies = [potential_energy(configuration, name) for name in ("inherent", "thermal")]
    length = np.linalg.norm(_columns.quench(configuration), axis=1)
    return np.stack([*energies, length], axis=1)


@dataclass(frozen=True, eq=False)
class Whitened:
    """Principal components of a table of one type, each of unit variance in training."""

    standard: Standard
    axes: Array

    @classmethod
    def of(cls, table: Array, count: int) -> Whitened:
        """From a table (n, f), with at most `count` components."""
        standard = Standard.of(table)
        values, vectors = np.linalg.eigh(np.cov(standard(table).T))
        order = np.argsort(values)[::-1][: min(count, int((values > 1e-9).sum()))]
        return cls(standard, vectors[:, order] / np.sqrt(values[order]))

    def __call__(self, table: Array) -> Array:
        return np.asarray(self.standard(table) @ self.axes)


@dataclass(frozen=True, eq=False)
class Locals:
    """Local numbers of each particle, made comparable over types: what is averaged and learned.

    (n, 47): energies and quench length, 40 components of the descriptors, four vibrations; each
    standardised on the training particles of the type and clipped.
    """

    components: dict[int, Whitened]
    standards: dict[int, Standard]

    @classmethod
    def of(cls, inputs: Sequence[Configuration]) -> Locals:
        """From the training configurations."""
        types = np.concatenate([c.types for c in inputs])
        kinds = np.unique(types).tolist()
        described = np.concatenate([descriptors(c) for c in inputs])
        whitened = {k: Whitened.of(described[types == k], COMPONENTS) for k in kinds}
        raw = np.concatenate([cls(whitened, {}).raw(c) for c in inputs])
        return cls(whitened, {k: Standard.of(raw[types == k]) for k in kinds})

    def raw(self, configuration: Configuration) -> Array:
        """Before standardisation."""
        table = descriptors(configuration)
        found = np.zeros((len(configuration), COMPONENTS))
        for kind, whitened in self.components.items():
            chosen = configuration.types == kind
            parts = whitened(table[chosen])
            found[chosen, : parts.shape[1]] = parts
        vibrations = _vibrations.vibrations(configuration, "inherent")
        return np.concatenate([local(configuration), found, vibrations], axis=1)

    def __call__(self, configuration: Configuration) -> Array:
        """(n, 47) float64, standardised a type."""
        table = self.raw(configuration)
        for kind, standard in self.standards.items():
            chosen = configuration.types == kind
            table[chosen] = np.clip(standard(table[chosen]), -CLIP, CLIP)
        return table


@dataclass(frozen=True, eq=False)
class Rich:
    """The blocks of the rich row: base, averages of local numbers, averages of vibrations."""

    locals: Locals

    def __call__(self, configuration: Configuration) -> list[Array]:
        table = self.locals(configuration)
        split = 3 + COMPONENTS
        return [
            *base(configuration),
            _columns.averages(configuration, "inherent", table[:, :split]),
            _columns.averages(configuration, "inherent", table[:, split:]),
        ]


def fitted(
    train: Split, columns: str, penalties: Sequence[float]
) -> tuple[_linear_row.Row, list[Array]]:
    """The row of the training configurations and its left-out predictions."""
    if columns not in COLUMNS:
        raise ValueError(f"columns must be one of {', '.join(COLUMNS)}; got '{columns}'")
    blocks = base if columns == "base" else Rich(Locals.of(train.inputs))
    return _linear_row.fit(
        train.inputs,
        train.targets,
        blocks,
        SCALES[columns],
        penalties,
        generalised=columns == "rich",
    )
