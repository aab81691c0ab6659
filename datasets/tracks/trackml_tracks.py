"""Truth tracks of official TrackML events with the talk's cuts.

At least 3 hits, 0.5 <= pT <= 10 GeV, |vx| and |vy| below 1 mm, |eta| <= 1. Split 80/10/10 by
sorted event number; what integer division leaves goes to test. Events are found as those of
`trackml` are. The field is taken as 2 T. Masses follow the files' `particle_type`, which the
throughput phase has; without it all are pions. Only the width of the ideal fit uses them. There is
no Kalman estimate.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, Spectrum
from physbench.datasets.common import store, trackml_events
from physbench.datasets.common.helix import MINIMUM
from physbench.datasets.common.particle_mix import SPECIES
from physbench.datasets.common.trackml_csv import read_event
from physbench.datasets.tracks import TEST, TRAIN, VALIDATION, Sample, Tracks, TrackTruth, padded
from physbench.datasets.tracks._generated import FATRAS, truth_of

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

PT_RANGE = (0.5, 10.0)  # GeV
VERTEX = 1.0  # mm
ETA = 1.0
EDGES = {
    "$p_T$ [GeV]": 0.5 * 10.0 ** (np.arange(-10, 17) / 10),
    "$\\eta$": np.linspace(-4, 4, 33),
    "hits": np.arange(-0.5, 21),
    "|vx| or |vy| [mm]": np.geomspace(1e-3, 1e3, 25),
}


def load(*, folder: str = "", events: int = 10_000) -> Sample:
    """Tracks of at most `events` events below `folder` or `$PHYSBENCH_DATA/trackml`.

    Counts before and after each cut are printed and stored in the sample. Raises
    FileNotFoundError without a complete event, and DataError when a file is wrong.
    """
    base = Path(folder) if folder else store.folder("trackml", DATASET)
    found = trackml_events.find(base, DATASET)
    numbers = sorted(found)[:events]
    with store.pinned(base, [path for n in numbers for path in found[n].values()]) as files:
        parts = [_event(number, found[number]) for number in numbers]
    counts = {name: sum(part[-1][name] for part in parts) for name in parts[0][-1]}
    print("  ".join(f"{name}: {count}" for name, count in counts.items()), file=sys.stderr)
    split = [
        np.full(len(part[2]), where)
        for part, where in zip(parts, splits_by_number(len(numbers)), strict=True)
    ]
    return Sample(
        _joined([part[0] for part in parts]),
        _joined([part[1] for part in parts]),
        _joined([part[2] for part in parts]),
        np.concatenate(split),
        [name for part in parts for name in part[3]],
        files,
        counts,
        {name: _added([part[-2][name] for part in parts]) for name in EDGES},
    )


def splits_by_number(events: int) -> NDArray[np.int64]:
    """Split of each of the sorted events: 80/10/10, the remainder is test.

    Each part has one event at least; fewer than three events are all for testing.

    >>> splits_by_number(13).tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2]
    """
    if events < 3:
        return np.full(events, TEST)
    validation = max(1, events // 10)
    train = min(events * 8 // 10, events - validation - 1)
    sizes = [train, validation, events - train - validation]
    return np.repeat([TRAIN, VALIDATION, TEST], sizes)


def select(particles: pd.DataFrame) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """The particles that pass the talk's cuts, and how many are left after each cut.

    The table has the columns of a TrackML particle file, `nhits` included.
    """
    pt, eta, hits, vertex = quantities(particles).values()
    cuts = {
        f"hits >= {MINIMUM}": hits >= MINIMUM,
        "0.5 <= pT <= 10 GeV": (pt >= PT_RANGE[0]) & (pt <= PT_RANGE[1]),
        "|vx|, |vy| < 1 mm": vertex < VERTEX,
        "|eta| <= 1": np.abs(eta) <= ETA,
    }
    kept = np.ones(len(particles), dtype=bool)
    counts = {"particles": len(particles)}
    for name, cut in cuts.items():
        kept &= cut
        counts[name] = int(kept.sum())
    return kept, counts


def quantities(particles: pd.DataFrame) -> dict[str, Array]:
    """What the cuts look at, as `EDGES` names it, (n,) each; eta is NaN for a particle at rest."""
    pt = np.hypot(particles["px"].to_numpy(), particles["py"].to_numpy())
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = np.arcsinh(particles["pz"].to_numpy() / pt)
    hits = particles["nhits"].to_numpy(np.float64)
    vertex = particles[["vx", "vy"]].abs().max(axis=1).to_numpy(np.float64)
    return dict(zip(EDGES, (pt, eta, hits, vertex), strict=True))


def spectra(particles: pd.DataFrame, kept: NDArray[np.bool_]) -> dict[str, Spectrum]:
    """Each quantity of all particles and of those that are kept; the last bins are open."""
    found = {}
    for name, values in quantities(particles).items():
        edges = EDGES[name]
        inside = np.clip(values, edges[0], edges[-1])
        counts = (np.histogram(inside[chosen], edges)[0] for chosen in (slice(None), kept))
        found[name] = Spectrum(edges.tolist(), *(count.tolist() for count in counts))
    return found


def _added(parts: list[Spectrum]) -> Spectrum:
    before, after = (np.sum([p[k] for p in parts], axis=0).tolist() for k in (1, 2))
    return Spectrum(parts[0].edges, before, after)


Part = tuple[Tracks, Tracks, TrackTruth, list[str], dict[str, Spectrum], dict[str, int]]


def _event(number: int, files: dict[str, Path]) -> Part:
    hits, truth, particles = read_event(files)
    hit_count = truth["particle_id"].value_counts()
    particles = particles.assign(nhits=particles["particle_id"].map(hit_count).fillna(0))
    kept, counts = select(particles)
    chosen = particles[kept].sort_values("particle_id")
    ids = chosen["particle_id"].to_numpy()
    of_hit = truth["particle_id"].to_numpy()
    place = np.searchsorted(ids, of_hit).clip(max=max(len(ids) - 1, 0))
    owner = np.where(np.isin(of_hit, ids), place, -1)
    true = padded(truth[["tx", "ty", "tz"]].to_numpy(np.float64), owner, len(ids))
    measured = padded(hits[["x", "y", "z"]].to_numpy(np.float64), owner, len(ids))
    columns = (chosen[["vx", "vy", "vz"]], chosen[["px", "py", "pz"]])
    vertex, momentum = (table.to_numpy(np.float64) for table in columns)
    q = chosen["q"].to_numpy(np.float64)
    mass = masses(chosen)
    names = [f"event{number:09d}-{particle}" for particle in ids]
    own = truth_of(vertex, momentum, q, mass, measured.mask.sum(1))
    # The challenge's simulation scatters as FATRAS does.
    return true, measured, replace(own, core=FATRAS), names, spectra(particles, kept), counts


def masses(particles: pd.DataFrame) -> Array:
    """GeV, (n,): of the species in a column `particle_type` (PDG codes), else the pion's.

    Codes of other species count as pions.
    """
    mass = np.full(len(particles), SPECIES[0][1])
    if "particle_type" in particles:
        codes = particles["particle_type"].abs().to_numpy()
        for code, own, _ in SPECIES:
            mass[codes == code] = own
    return mass


def _joined(parts: list[Any]) -> Any:
    """One padded array or one truth from those of several events."""
    first = parts[0]
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        if isinstance(value, np.ndarray)
        else value
        for name, value in vars(first).items()
    }
    return type(first)(**columns)


DATASET = Dataset(
    summary="truth tracks of official TrackML events with the talk's cuts",
    version="1",
    licence=trackml_events.LICENCE,
    citation=trackml_events.CITATION,
    source=trackml_events.SOURCE,
    load=load,
    folders=trackml_events.FOLDERS,
)
