"""Events on the generic detector in few bytes: about 4.6 a hit.

Local coordinates lie on a grid of a quarter of the resolution (deviation at most 0.125 sigma).
Hits are stored particle by particle in the order in which they were crossed, noise last, so that
truth needs one count a particle; `events` sorts them by module and position, or the order would
tell the truth.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import reading
from physbench.datasets.common.runs import stable_order
from physbench.datasets.common.streaming import Deferred, later
from physbench.datasets.hits import Event, EventTruth, module_key
from physbench.datasets.hits._trackml_format import scoring_weights

SPLITS = ("train", "validation", "test")
Events = dict[str, Deferred]
Table = dict[str, NDArray[Any]]
Rows = list[NDArray[np.int64]]

GRID = 4  # steps in a resolution
PT_UNIT, PT_STEPS = 0.1, 3000  # pT = 0.1 GeV exp(|k| / 3000), the sign of k is the charge
ETA_STEPS = 8000
PERIGEE_PT = 0.9  # GeV; perigee parameters are kept above, NaN below
PERIGEE = ("d0", "z0", "phi")
HITS = ("module", "u", "v")
PARTICLES = ("hits_of", "pt", "eta", "radius", "generation", "perigee")
DETECTOR = ("elements", "centre", "axes", "sigma")
STORED = (*HITS, *PARTICLES, *DETECTOR, *("hits", "particles", "split"))


def packed(
    parts: Sequence[Table], detector: Table, split: NDArray[np.int64], *, pixels: bool = False
) -> Table:
    """Arrays of the digitised events `parts`; bytes of one weight lie together, see `planes`.

    `detector` holds `elements` (n, 3): volume, layer and module in TrackML numbering, `centre`
    (n, 3) and `axes` (n, 3, 2) in mm, `sigma` (n, 2) in mm. With `pixels` hits of the volumes 7,
    8 and 9 alone stay, and particles that have any.
    """
    if pixels:
        inside = np.isin(detector["elements"][:, 0], (7, 8, 9))
        parts = [_restricted(part, inside[part["module"]]) for part in parts]
    rows = [_columns(part, detector["sigma"]) for part in parts]
    flat = {name: np.concatenate([row[name] for row in rows]) for name in (*HITS, *PARTICLES)}
    sizes = {
        "hits": np.array([len(part["module"]) for part in parts], dtype="i4"),
        "particles": np.array([len(part["pt"]) for part in parts], dtype="i4"),
    }
    kept = {name: planes(values) for name, values in (flat | detector).items()}
    return kept | sizes | {"split": split.astype("u1")}


def _restricted(part: Table, keep: NDArray[np.bool_]) -> Table:
    """The event with the hits `keep` and the particles that own any of them."""
    left = np.bincount(part["particle"][keep], minlength=len(part["pt"]) + 1)[1:] > 0
    number = np.concatenate([[0], np.where(left, np.cumsum(left), 0)])
    hits = {name: part[name][keep] for name in ("module", "local")}
    rest = {n: v[left] for n, v in part.items() if n not in (*hits, "particle")}
    return hits | rest | {"particle": number[part["particle"][keep]]}


def _columns(part: Table, sigma: NDArray[Any]) -> Table:
    """One event in small integers and half precision."""
    steps = np.round(part["local"] / (sigma[part["module"]] / GRID))
    if np.abs(steps).max(initial=0) > np.iinfo(np.int16).max:
        raise ValueError("a local coordinate does not fit into 16 bits: a module is too large")
    owned = np.bincount(part["particle"], minlength=len(part["pt"]) + 1)[1:]
    size = np.clip(np.round(PT_STEPS * np.log(part["pt"] / PT_UNIT)), 1, 32767)
    perigee = np.stack([part[name] for name in PERIGEE], axis=1)
    return {
        "module": part["module"].astype("u2"),
        "u": steps[:, 0].astype("i2"),
        "v": steps[:, 1].astype("i2"),
        "hits_of": owned.astype("u2"),
        "pt": (size * np.where(part["charge"] < 0, -1, 1)).astype("i2"),
        "eta": np.round(part["eta"] * ETA_STEPS).astype("i2"),
        "radius": part["radius"].astype("f2"),
        "generation": part["generation"].astype("u1"),
        "perigee": perigee[_pt(size) > PERIGEE_PT].astype("f2"),
    }


def _pt(steps: NDArray[Any]) -> NDArray[np.float64]:
    """Transverse momentum in GeV."""
    return np.asarray(PT_UNIT * np.exp(np.abs(steps.astype(np.float64)) / PT_STEPS))


def planes(values: NDArray[Any]) -> NDArray[Any]:
    """The bytes of numbers of more than one byte, first all lowest ones and so on: they pack well.

    The last axis but one counts the bytes; `whole` is the inverse.
    """
    flat = np.ascontiguousarray(values)
    if flat.dtype.itemsize == 1:
        return flat
    split = flat.view("u1").reshape(*flat.shape, flat.dtype.itemsize)
    return np.ascontiguousarray(np.moveaxis(split, -1, 0))


def whole(values: NDArray[Any], kind: str) -> NDArray[Any]:
    """Numbers of type `kind` from their byte planes.

    >>> whole(planes(np.array([1, 256, -1], dtype="i2")), "i2").tolist()
    [1, 256, -1]
    """
    if np.dtype(kind).itemsize == 1:
        return values.astype(kind)
    joined = np.ascontiguousarray(np.moveaxis(values, 0, -1))
    return joined.view(kind)[..., 0]


KINDS = {
    **{"module": "u2", "u": "i2", "v": "i2", "hits_of": "u2"},
    **{"pt": "i2", "eta": "i2", "radius": "f2", "generation": "u1", "perigee": "f2"},
    **{"elements": "i2", "centre": "f4", "axes": "f4", "sigma": "f4"},
}


def events(path: Path, wanted: str, *, name: str = "event") -> Events:
    """(event, truth) of each event of a file by split; `wanted` says how it is made.

    An event is unpacked when somebody looks into it; the names are there at once.
    """
    split = reading.arrays(path, "split", alone=True)["split"]
    table = functools.cache(functools.partial(_table, path, wanted))

    def deferred(numbers: list[int]) -> Deferred:
        names = tuple(f"{name}{number:09d}" for number in numbers)
        return Deferred(names, lambda k: _event(names[k], *table(), numbers[k]))

    with reading.reading(path, wanted):
        numbers = [np.flatnonzero(split == k).tolist() for k in range(len(SPLITS))]
        if sum(map(len, numbers)) != len(split):
            raise ValueError(f"'split' must hold 0 to 2; got {set(split.tolist())}")
    return {key: deferred(each) for key, each in zip(SPLITS, numbers, strict=True)}


def _table(path: Path, wanted: str) -> tuple[Table, Rows, Rows, NDArray[np.float64]]:
    """Columns of a file, the rows of hits and of particles of each event, the perigees."""
    arrays = reading.arrays(path, *STORED)
    with reading.reading(path, wanted):
        found = {key: whole(arrays[key], kind) for key, kind in KINDS.items()}
        hits = np.split(np.arange(len(found["module"])), np.cumsum(arrays["hits"]))
        particles = np.split(np.arange(len(found["pt"])), np.cumsum(arrays["particles"]))
        if len(hits.pop()) or len(particles.pop()):
            raise ValueError("more hits or particles are there than announced")
        return found, hits, particles, _perigees(found)


def _perigees(found: Table) -> NDArray[np.float64]:
    """(particles, 3): d0, z0 and phi, NaN for soft particles."""
    table = np.full((len(found["pt"]), 3), np.nan)
    table[_pt(found["pt"]) > PERIGEE_PT] = found["perigee"]
    return table


def _event(
    name: str,
    found: Table,
    hits: Rows,
    particles: Rows,
    perigees: NDArray[np.float64],
    number: int,
) -> tuple[Event, EventTruth]:
    """Hits in the order of module and position, and the truth of them."""
    rows, owners = hits[number], particles[number]
    module = found["module"][rows].astype(np.int64)
    local = np.stack([found["u"][rows], found["v"][rows]], axis=1)
    order = stable_order(_place(module, local))
    owner, rank = _owners(found["hits_of"][owners], len(rows))
    module, local, owner, rank = module[order], local[order], owner[order], rank[order]
    step = found["sigma"][module].astype(np.float64) / GRID
    way = found["axes"][module].astype(np.float64)
    position = found["centre"][module] + np.einsum("kij,kj->ki", way, local * step)
    elements = found["elements"][module].astype(np.int64).T
    event = Event(name, np.arange(1, len(rows) + 1), *position.T, *elements)
    return event, _truth(event, found, owners, owner, rank, perigees[owners])


def _place(module: NDArray[np.int64], local: NDArray[np.int16]) -> NDArray[np.int64]:
    """Module, u and v in one integer that sorts like them."""
    u, v = (local.astype(np.int64) - np.iinfo(np.int16).min).T
    return np.asarray((module << 32) | (u << 16) | v)


def _owners(hits_of: NDArray[Any], hits: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Particle (from 1, 0 for noise) and rank in it of each stored hit."""
    count = hits_of.astype(np.int64)
    owner = np.zeros(hits, dtype=np.int64)
    owner[: count.sum()] = np.repeat(np.arange(1, len(count) + 1), count)
    rank = np.zeros(hits)
    rank[: count.sum()] = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return owner, rank


def _truth(
    event: Event,
    found: Table,
    rows: NDArray[np.int64],
    owner: NDArray[np.int64],
    rank: NDArray[np.float64],
    perigees: NDArray[np.float64],
) -> EventTruth:
    ids, pt = np.arange(1, len(rows) + 1), _pt(found["pt"][rows])
    d0, z0, phi = perigees.T

    def weight() -> NDArray[np.float64]:
        return scoring_weights(owner, rank, dict(zip(ids.tolist(), pt.tolist(), strict=True)))

    return EventTruth(
        owner,
        later(weight),
        rank,
        ids,
        pt,
        found["eta"][rows] / ETA_STEPS,
        event.volume_id * 100 + event.layer_id,
        module_key(event.volume_id, event.layer_id, event.module_id),
        radius=found["radius"][rows].astype(np.float64),
        generation=found["generation"][rows].astype(np.int64),
        charge=np.sign(found["pt"][rows]).astype(np.float64),
        d0=d0,
        z0=z0,
        phi=phi,
    )
