"""ColliderML Release 1: hits of the Open Data Detector with full simulation, in parquet tables.

`$PHYSBENCH_DATA/colliderml/tracker_hits/*.parquet` and `particles/*.parquet` (any folders whose
names end so, as in the release: `ttbar_pu200_tracker_hits`). One row an event, columns are lists.
Used of the hits: `event_id`, `x`, `y`, `z` (mm), `particle_id`, `volume_id`, `layer_id`,
`surface_id`; of the particles: `event_id`, `particle_id`, `px`, `py`, `pz` (GeV), `vx`, `vy`, `vz`
(mm), `charge`. Hits whose particle has no row are noise here. Of the first 100 events by number
the last tenth is the test split, the tenth before it validation. Hits are put into the order of
module and position. Needs the extra `[parquet]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from physbench.datasets import Dataset
from physbench.datasets.common import store
from physbench.datasets.common.reading import DataError
from physbench.datasets.hits import Event, EventTruth, module_key
from physbench.datasets.hits._trackml_format import scoring_weights

HITS = ("x", "y", "z", "particle_id", "volume_id", "layer_id", "surface_id")
PARTICLES = ("particle_id", "px", "py", "pz", "vx", "vy", "vz", "charge")
EVENTS = 100

Events = dict[str, list[tuple[Event, EventTruth]]]
Row = Mapping[str, Any]


def load(*, folder: Path | None = None, events: int = EVENTS) -> tuple[Events, dict[str, str]]:
    """Events by split, of the first `events` by number, and the digest of each file."""
    base = folder or store.folder("colliderml", DATASET)
    files = {
        kind: sorted(base.rglob(f"*{kind}/*.parquet")) for kind in ("tracker_hits", "particles")
    }
    missing = [kind for kind, paths in files.items() if not paths]
    if missing:
        raise FileNotFoundError(
            f"{base} has no {' and no '.join(missing)}/*.parquet; "
            + store.advice("colliderml", DATASET)
        )
    hits = _rows(files["tracker_hits"], HITS)
    particles = _rows(files["particles"], PARTICLES)
    chosen = sorted(hits.keys() & particles.keys())[:events]
    pairs = [read(number, hits[number], particles[number]) for number in chosen]
    tenth = max(1, round(len(pairs) / 10))
    bounds = {"train": (0, -2 * tenth), "validation": (-2 * tenth, -tenth), "test": (-tenth, None)}
    every = [path for paths in files.values() for path in paths]
    return (
        {name: pairs[slice(*bound)] for name, bound in bounds.items()},
        {str(path.relative_to(base)): store.digest(path) for path in every},
    )


def _rows(paths: list[Path], wanted: tuple[str, ...]) -> dict[int, Row]:
    """Columns of each event by its number. Raises DataError for missing columns and doubles."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("ColliderML needs pyarrow: pip install 'physbench[parquet]'") from error
    found: dict[int, Row] = {}
    for path in paths:
        file = parquet.ParquetFile(path)
        missing = {"event_id", *wanted} - set(file.schema_arrow.names)
        if missing:
            raise DataError(f"{path} has no column {', '.join(sorted(missing))}")
        table = file.read(columns=["event_id", *wanted])
        for row in range(table.num_rows):
            number = int(table["event_id"][row].as_py())
            columns = {name: np.asarray(table[name][row].values) for name in wanted}
            if len({len(column) for column in columns.values()}) > 1:
                raise DataError(f"{path}: event {number} has columns of different lengths")
            if number in found:
                raise DataError(f"{path}: event {number} is there twice")
            found[number] = columns
    return found


def read(number: int, hits: Row, particles: Row) -> tuple[Event, EventTruth]:
    """One event from its columns."""
    order = np.lexsort([hits[name] for name in ("z", "x", "surface_id", "layer_id", "volume_id")])
    x, y, z = (hits[name][order].astype(np.float64) for name in "xyz")
    places = (
        hits[name][order].astype(np.int64) for name in ("volume_id", "layer_id", "surface_id")
    )
    event = Event(f"event{number:09d}", np.arange(1, len(x) + 1), x, y, z, *places)
    return event, _truth(event, hits["particle_id"][order].astype(np.int64), particles)


def _truth(event: Event, owner: Any, particles: Row) -> EventTruth:
    """Truth with particles numbered from 1, in the order of their ids; only those with hits."""
    known = np.unique(particles["particle_id"].astype(np.int64))
    if len(known) != len(particles["particle_id"]):
        raise DataError(f"{event.name}: a particle is there twice")
    present = np.intersect1d(known, owner)
    row = np.argsort(particles["particle_id"])[np.searchsorted(known, present)]
    px, py, pz, vx, vy, vz, charge = (
        particles[name][row].astype(np.float64) for name in PARTICLES[1:]
    )
    place = np.searchsorted(present, owner)
    own = np.append(present, -1)[place] == owner
    particle = np.where(own, place + 1, 0)
    vertex = np.stack([vx, vy, vz], axis=1)[np.minimum(place, len(present) - 1)]
    flight = np.stack([event.x, event.y, event.z], axis=1) - vertex
    ids, pt = np.arange(1, len(present) + 1), np.hypot(px, py)
    pairs = dict(zip(ids.tolist(), pt.tolist(), strict=True))
    return EventTruth(
        particle,
        scoring_weights(particle, np.abs(flight[:, 2]), pairs),
        np.linalg.norm(flight, axis=1),
        ids,
        pt,
        np.arcsinh(pz / np.maximum(pt, 1e-12)),
        event.volume_id * 1000 + event.layer_id,
        module_key(event.volume_id, event.layer_id, event.module_id),
        radius=np.hypot(vx, vy),
        charge=charge,
        phi=np.arctan2(py, px),
    )


DATASET = Dataset(
    summary="hits of the Open Data Detector with full simulation, from the user's own download",
    version="1",
    licence="CC-BY-4.0",
    citation="""@misc{colliderml2025,
  title = {ColliderML: Dataset Release 1},
  author = {Murnane, Daniel and Gessinger, Paul and {OpenDataDetector community}},
  year = {2025},
  doi = {10.57967/hf/7269}
}""",
    source="doi:10.57967/hf/7269 (CERN/ColliderML-Release-1); put the folders of tracker_hits and "
    "particles below $PHYSBENCH_DATA/colliderml",
    load=load,
)
