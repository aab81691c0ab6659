"""What each row of a layer stands for: a track, a hit of a track, a hit or an edge of an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.models.hits._edge_pipeline import labels_of

Array = NDArray[np.float64]
Table = dict[str, Array]


@dataclass(frozen=True)
class Rows:
    """Physics of the rows of a layer.

    `known` are quantities that neurons may know, `arguments` those that formulas are written in;
    each has one value a row. `planes` are pairs of names that maps are drawn over. `real` (rows,)
    is False for padding. `apart` are numbers of rows that are statistically independent: one of
    each track or particle.
    """

    known: Table
    arguments: Table
    planes: tuple[tuple[str, str], ...]
    real: NDArray[np.bool_]
    apart: NDArray[np.int64]

    @property
    def columns(self) -> Table:
        """Everything that a map can be drawn over."""
        return {**self.known, **self.arguments}


def rows_of(split: Split, predictions: Any, count: int) -> Rows | None:
    """The rows of a layer that has `count` of them, or None where they are none of these.

    `predictions` are what the model's `predict` returned for the split.
    """
    kinds: tuple[Callable[[Split, Any], Rows | None], ...] = (
        _tracks, _hits_of_tracks, _hits_of_events, _edges_of_events,
    )  # fmt: skip
    for kind in kinds:
        found = kind(split, predictions)
        if found is not None and len(found.real) == count:
            return found
    return None


def _of_tracks(truth: Any) -> Table:
    return {
        "q/pT": truth.q / truth.pt, "pT": truth.pt, "eta": truth.eta, "phi": truth.phi,
        "d0": truth.d0, "z0": truth.z0, "charge": truth.q,
    }  # fmt: skip


def _tracks(split: Split, predictions: Any) -> Rows | None:
    if not hasattr(split.targets, "kalman"):
        return None
    known = _of_tracks(split.targets)
    arguments = {name: known[name] for name in ("q/pT", "pT", "eta", "phi")}
    planes = ("q/pT", "eta"), ("phi", "pT")
    n = len(split)
    return Rows(with_random(known), arguments, planes, np.ones(n, dtype=bool), np.arange(n))


def _hits_of_tracks(split: Split, predictions: Any) -> Rows | None:
    mask = getattr(split.inputs, "mask", None)
    if mask is None:
        return None
    known = {k: np.repeat(v, mask.shape[1]) for k, v in _of_tracks(split.targets).items()}
    hits = split.inputs.hits.reshape(-1, 3).astype(np.float64)
    real = mask.ravel()
    track = np.where(real, np.repeat(np.arange(len(mask)), mask.shape[1]), -1)
    return Rows(with_random(known), of_hits(*hits.T), PLANES, real, one_of_each(track))


def _hits_of_events(split: Split, predictions: Any) -> Rows | None:
    if not (isinstance(split.inputs, Sequence) and hasattr(split.inputs[0], "hit_id")):
        return None
    tables = [
        (of_particles(truth, np.arange(len(event))), of_hits(event.x, event.y, event.z))
        for event, truth in zip(split.inputs, split.targets, strict=True)
    ]
    return _joined(split, tables, [np.arange(len(event)) for event in split.inputs])


def _edges_of_events(split: Split, predictions: Any) -> Rows | None:
    """Edges as seen from their inner hits."""
    if not (isinstance(predictions, Sequence) and "edges" in predictions[0]):
        return None
    tables, inner = [], []
    for event, truth, found in zip(split.inputs, split.targets, predictions, strict=True):
        first, last = np.asarray(found["edges"]).T
        known = of_particles(truth, first)
        known["true edge"] = labels_of(truth, found["edges"]).astype(np.float64)
        turn = np.angle(np.exp(1j * (event.phi[last] - event.phi[first])))
        step = {"dr": event.r[last] - event.r[first], "dphi": turn,
                "dz": event.z[last] - event.z[first]}  # fmt: skip
        tables.append((known, of_hits(event.x[first], event.y[first], event.z[first]) | step))
        inner.append(first)
    return _joined(split, tables, inner)


PLANES = (("z", "r"), ("x", "y"), ("r", "phi"), ("eta", "z"))


def of_hits(x: Array, y: Array, z: Array) -> Table:
    """Coordinates of hits in mm and rad, as in the talk: rho = |(r, z)|, theta = atan2(r, z)."""
    r = np.hypot(x, y)
    theta = np.arctan2(r, z)
    with np.errstate(divide="ignore"):
        eta = -np.log(np.tan(theta / 2))
    return {
        "x": x, "y": y, "r": r, "phi": np.arctan2(y, x), "z": z, "theta": theta,
        "eta": np.clip(np.nan_to_num(eta), -10, 10), "rho": np.hypot(r, z),
    }  # fmt: skip


def of_particles(truth: Any, hits: NDArray[np.int64]) -> Table:
    """pT and eta of the particles of hits; NaN for noise and particles that are not known."""
    found = np.isin(truth.particle_id[hits], truth.particles)
    place = np.searchsorted(truth.particles, truth.particle_id[hits])
    place = np.clip(place, 0, max(len(truth.particles) - 1, 0))
    return {
        "particle pT": np.where(found, truth.pt[place], np.nan),
        "particle eta": np.where(found, truth.eta[place], np.nan),
    }


def _joined(
    split: Split, tables: Sequence[tuple[Table, Table]], hits: Sequence[NDArray[np.int64]]
) -> Rows:
    known, arguments = (
        {name: np.concatenate([table[side][name] for table in tables]) for name in tables[0][side]}
        for side in (0, 1)
    )
    known |= {f"hit {name}": arguments[name] for name in ("r", "phi", "z")}
    # A truth-cut graph knows no momenta.
    known = {name: values for name, values in known.items() if np.isfinite(values).any()}
    finite = np.logical_and.reduce([np.isfinite(values) for values in known.values()])
    owner = [
        np.stack([np.full(len(own), number), truth.particle_id[own]], 1)
        for number, (truth, own) in enumerate(zip(split.targets, hits, strict=True))
    ]
    _, particle = np.unique(np.concatenate(owner), axis=0, return_inverse=True)
    apart = one_of_each(np.where(finite, particle.ravel(), -1))
    real = np.ones(len(finite), dtype=bool)
    return Rows(with_random(known), arguments, PLANES, real, apart)


def one_of_each(owner: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """A random row of each owner, sorted; rows with owner -1 are left out.

    Hits of one particle are not independent, and an estimate that counts them all as if they were
    is too sure.
    """
    order = np.random.default_rng(seed).permutation(len(owner))
    order = order[owner[order] >= 0]
    _, first = np.unique(owner[order], return_index=True)
    return np.sort(order[first])


def with_random(known: Mapping[str, Array]) -> Table:
    """The quantities and three random ones, which no neuron can know: the floor of information."""
    n = len(next(iter(known.values())))
    generator = np.random.default_rng(0)
    return {
        **known,
        "random uniform": generator.uniform(size=n),
        "random normal": generator.normal(size=n),
        "random Poisson": generator.poisson(3.0, n).astype(np.float64),
    }
