"""The TrackML format: event CSV files, scoring weights, and events made from them.

Columns and units are those of the challenge (arXiv:1904.06778): positions in mm, momenta in
GeV/c, charge in e; `particle_id` is a 64-bit integer with 0 for noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.events import Event, EventTruth, Floats, Integers
from physbench.datasets.common.store import DataError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "hits": {
        "hit_id": "int64",
        "x": "float64",
        "y": "float64",
        "z": "float64",
        "volume_id": "int64",
        "layer_id": "int64",
        "module_id": "int64",
    },
    "truth": {
        "hit_id": "int64",
        "particle_id": "int64",
        "tx": "float64",
        "ty": "float64",
        "tz": "float64",
        "weight": "float64",
    },
    "particles": {
        "particle_id": "int64",
        "vx": "float64",
        "vy": "float64",
        "vz": "float64",
        "px": "float64",
        "py": "float64",
        "pz": "float64",
        "q": "float64",
    },
}

# Importance of a track's hits in their order along it; a track of any other length interpolates.
ORDER_PROPOSAL = np.array([10.0, 8.0, 6.0, 5.0, 3.0, 3.0, 3.0, 5.0, 6.0])
MAX_HITS = 20

PIXEL_VOLUMES = (7, 8, 9)


def order_weights(hits: int) -> Floats:
    """Weights of the hits of one track by their order; they sum to 1, shape (hits,).

    The nine-point proposal of the challenge, interpolated linearly to `hits` points at
    i (hits - 1) / 8; 0 for fewer than 4 hits; hits beyond the 20th get 0.
    Source: trackml-library, `weights.py`; arXiv:1904.06778.

    >>> order_weights(4).round(4).tolist()
    [0.411, 0.2192, 0.1233, 0.2466]
    """
    if hits < 4:
        return np.zeros(hits)
    points = min(hits, MAX_HITS)
    support = np.arange(9) * (points - 1) / 8
    weights = np.interp(np.arange(points), support, ORDER_PROPOSAL)
    return np.concatenate([weights / weights.sum(), np.zeros(hits - points)])


def pt_weight(pt: Floats) -> Floats:
    """Weight of a particle by its transverse momentum in GeV.

    0 below 0.05, 0.2 from 0.05 to 0.5, then linear to 1.0 at 3, 1 above.
    Source: trackml-library, `weights.py`.

    >>> pt_weight(np.array([0.04, 0.3, 1.0, 1.75, 5.0])).round(3).tolist()
    [0.0, 0.2, 0.36, 0.6, 1.0]
    """
    rising = np.interp(pt, [0.5, 3.0], [0.2, 1.0])
    return np.asarray(np.where(np.asarray(pt) < 0.05, 0.0, rising))


def scoring_weights(particle_id: Integers, depth: Floats, pt_of: Mapping[int, float]) -> Floats:
    """TrackML weight of every hit (accuracy phase), normalised to 1 over the event.

    weight = order weight (by rank of `depth` in the particle) x pT weight; noise has 0.

    Parameters
    ----------
    particle_id, depth:
        Particle and distance along the beam from its production vertex, |tz - vz| in mm,
        shape (hits,).
    pt_of:
        Transverse momentum in GeV by particle id.
    """
    weights = np.zeros(len(particle_id))
    order = np.lexsort((depth, particle_id))
    ids, start, count = np.unique(particle_id[order], return_index=True, return_counts=True)
    for particle, first, number in zip(ids, start, count, strict=True):
        if particle != 0 and number >= 4:
            pt = np.array([pt_of[int(particle)]])
            rows = order[first : first + number]
            weights[rows] = order_weights(int(number)) * pt_weight(pt)[0]
    total = weights.sum()
    return weights / total if total > 0 else weights


def read_csv(path: Path, kind: str) -> pd.DataFrame:
    """One CSV file (`hits`, `truth` or `particles`), checked.

    Raises DataError naming the file and what is wrong: a missing column, NaN, a float where an
    identifier belongs, a truncated archive, a duplicate identifier.
    """
    import pandas as pd

    columns = COLUMNS[kind]
    try:
        # Identifiers without a dtype: pandas would round a float id to an integer in silence.
        floats = {name: kind_ for name, kind_ in columns.items() if kind_ == "float64"}
        table = pd.read_csv(path, usecols=list(columns), dtype=floats, na_filter=False)
    except FileNotFoundError:
        raise
    except (ValueError, EOFError, OSError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: {_explain(path, columns, error)}") from error
    for name, kind_ in columns.items():
        if kind_ == "int64" and len(table) and table[name].dtype != np.int64:
            raise DataError(f"{path}: {_explain(path, columns, ValueError(name))}")
    for name in floats:
        # The sum is finite only if every value is: one pass without a temporary.
        if not np.isfinite(table[name].to_numpy().sum()):
            raise DataError(f"{path}: column '{name}' holds NaN or infinity")
    key = "particle_id" if kind == "particles" else "hit_id"
    ascending = (np.diff(table[key].to_numpy()) > 0).all()
    if not ascending and table[key].duplicated().any():
        twice = table.loc[table[key].duplicated(), key].iloc[0]
        raise DataError(f"{path}: {key} {twice} appears twice; identifiers must be unique")
    return table


def _explain(path: Path, columns: Mapping[str, str], error: Exception) -> str:
    """What is wrong with a file that pandas could not read, in the user's words."""
    import pandas as pd

    if isinstance(error, EOFError | OSError):
        return f"file is truncated or damaged ({error})"
    try:
        raw = pd.read_csv(path, dtype=str)
    except (ValueError, EOFError, OSError, pd.errors.ParserError) as again:
        return f"file is truncated or not a CSV file ({again})"
    missing = [name for name in columns if name not in raw.columns]
    if missing:
        return f"column '{missing[0]}' is missing; found {', '.join(map(str, raw.columns))}"
    for name, kind in columns.items():
        if kind == "int64":
            whole = raw[name].str.fullmatch(r"[+-]?\d+", na=False)
            if not whole.all():
                value = raw.loc[~whole, name].iloc[0]
                return f"column '{name}' must hold whole numbers (64-bit); found '{value}'"
    return str(error)


def event_from_tables(
    name: str, hits: pd.DataFrame, truth: pd.DataFrame, particles: pd.DataFrame
) -> tuple[Event, EventTruth]:
    """An event and its truth from the three tables of the format.

    Weights are those of the files, normalised to 1 over the event (sub-events hold less).
    Raises DataError when the hits of the tables differ.
    """
    if len(hits) != len(truth) or not np.array_equal(
        np.sort(hits["hit_id"].to_numpy()), np.sort(truth["hit_id"].to_numpy())
    ):
        raise DataError(
            f"{name}: hits and truth must hold the same hit_id; found {len(hits)} hits and "
            f"{len(truth)} truth rows"
        )
    truth = truth.set_index("hit_id").loc[hits["hit_id"]].reset_index()
    particle_id = truth["particle_id"].to_numpy()
    table = particles.set_index("particle_id")
    present = np.unique(particle_id[particle_id != 0])
    unknown = present[~np.isin(present, table.index.to_numpy())]
    if len(unknown):
        raise DataError(f"{name}: particle {unknown[0]} has hits but no row in the particles file")
    rows = table.reindex(particle_id)
    vertex = rows[["vx", "vy", "vz"]].fillna(0.0).to_numpy()
    path = np.linalg.norm(truth[["tx", "ty", "tz"]].to_numpy() - vertex, axis=1)
    momentum = table.loc[present, ["px", "py", "pz"]].to_numpy()
    pt = np.hypot(momentum[:, 0], momentum[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = np.arcsinh(momentum[:, 2] / pt)
    weight = truth["weight"].to_numpy()
    total = weight.sum()
    event = Event(name, *(hits[column].to_numpy() for column in COLUMNS["hits"]))
    layer = event.volume_id * 100 + event.layer_id
    return event, EventTruth(
        particle_id, weight / total if total > 0 else weight, path, present, pt, eta, layer
    )


def restrict(event: Event, truth: EventTruth, keep: NDArray[np.bool_]) -> tuple[Event, EventTruth]:
    """The event with the hits `keep` alone; weights are normalised to 1 again."""
    columns: dict[str, Any] = {
        key: getattr(event, key)[keep]
        for key in ("hit_id", "x", "y", "z", "volume_id", "layer_id", "module_id")
    }
    particle_id = truth.particle_id[keep]
    weight = truth.weight[keep]
    total = weight.sum()
    present = np.isin(truth.particles, particle_id)
    return Event(event.name, **columns), EventTruth(
        particle_id,
        weight / total if total > 0 else weight,
        truth.path[keep],
        truth.particles[present],
        truth.pt[present],
        truth.eta[present],
        truth.layer[keep],
    )
