"""Samples of tracks on the generic detector that ACTS simulates: files, reading, making.

`NAME.npz` holds measured hits (and how far the true ones lie from them) in steps of 1/512 mm, the
truth at the perigee, and the ACTS Kalman filter's estimate of each test track;
`NAME_widths.npz` the standard deviations of ln pT, d0 and z0 in the ideal linear fit of each
track's measured hits, in half precision. Split by event, 70/10/20 in order.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import acts_chain, helix, linear_fit, reading, store
from physbench.datasets.common.helix import MINIMUM
from physbench.datasets.common.particle_mix import Particles, draw
from physbench.datasets.common.streaming import later
from physbench.datasets.tracks import SLOTS, TEST, Sample, Tracks, TrackTruth, padded
from physbench.datasets.tracks._generated import FATRAS

STEP = 1.0 / 512.0  # mm
PARTICLES = 400  # an event
JOB = 25  # events a process simulates at a time
SHARES = (0.7, 0.1, 0.2)
COLUMNS = ("pt", "pz", "q", "d0", "z0", "phi", "eta", "mass")

WANTED = "a sample that `data make` wrote"

Arrays = dict[str, NDArray[Any]]


def widths_name(name: str) -> str:
    """The file with the widths of a sample."""
    return f"{name}_widths.npz"


def load(path: Path) -> Sample:
    """The sample of a file that `make` wrote, with the widths beside it.

    Hits are unpacked when they are asked for. True crossings are sorted anew, since smearing may
    swap close hits.
    """
    arrays = reading.arrays(path, "hits", "event", "simulated", *COLUMNS, alone=True)
    arrays |= reading.arrays(path, "kalman", alone=True, numeric=False)  # NaN where none was found
    with reading.reading(path, WANTED):
        return _sample(path, arrays)


def _sample(path: Path, arrays: Arrays) -> Sample:
    event = arrays["event"].astype(np.int64)
    split = splits_by_event(event)
    files = {path.name: store.digest(path)}
    sigma, of_widths = _widths(path.with_name(widths_name(path.stem)), len(event))
    truth = _truth(arrays, split, sigma)
    number = np.arange(len(event)) - np.searchsorted(event, event)
    ids = [f"event{e:06d}-{k:03d}" for e, k in zip(event.tolist(), number.tolist(), strict=True)]
    mask = np.arange(SLOTS) < arrays["hits"][:, None]

    def measured() -> NDArray[np.float32]:
        with reading.reading(path, WANTED):
            hits = np.zeros((*mask.shape, 3), dtype=np.float32)
            hits[mask] = _steps(path, "measured") * STEP
        return hits

    def true() -> Tracks:
        steps = _steps(path, "measured") - _steps(path, "displacement")
        owner = np.repeat(np.arange(len(event)), arrays["hits"])
        return padded((steps * STEP).astype(np.float64), owner, len(event))

    return Sample(
        true if "displacement" in reading.names(path) else None,
        Tracks(later(measured), mask),
        truth,
        split,
        ids,
        files | of_widths,
        {"simulated": int(arrays["simulated"].sum()), f"hits >= {MINIMUM}": len(event)},
    )


def _steps(path: Path, name: str) -> NDArray[np.int64]:
    """Coordinates of all hits in a file, in steps; (m, 3)."""
    return _integers(reading.arrays(path, name, alone=True)[name])


def splits_by_event(event: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2 for the first 70 %, the next 10 % and the last 20 % of the events."""
    events = int(event.max()) + 1
    bounds = np.round(np.cumsum(SHARES[:-1]) * events)
    return np.searchsorted(bounds, event, side="right").astype(np.int64)


def _truth(arrays: Arrays, split: NDArray[np.int64], sigma: NDArray[np.float64]) -> TrackTruth:
    columns: dict[str, Any] = {name: arrays[name].astype(np.float64) for name in COLUMNS}
    kalman = np.full((len(split), 4), np.nan)
    kalman[split == TEST] = arrays["kalman"]
    hits = arrays["hits"].astype(np.int64)
    return TrackTruth(**columns, kalman=kalman, hits=hits, sigma=sigma, core=FATRAS)


def _widths(path: Path, tracks: int) -> tuple[NDArray[np.float64], dict[str, str]]:
    """Widths (n, 3) of the ideal linear fit of the measured hits, and the digest of their file.

    NaN where there is no such file: then they are computed.
    """
    if not path.exists():
        return np.full((tracks, 3), np.nan), {}
    sigma = reading.arrays(path, "sigma")["sigma"].astype(np.float64)
    if sigma.shape != (tracks, 3):
        raise reading.DataError(f"{path}: sigma must have shape ({tracks}, 3); got {sigma.shape}")
    return sigma, {path.name: store.digest(path)}


def write_widths(path: Path) -> None:
    """Widths of the ideal linear fit of the tracks in a file, beside it."""
    beside = path.with_name(widths_name(path.stem))
    beside.unlink(missing_ok=True)  # of another sample
    sample = load(path)
    sigma = linear_fit.widths(sample.measured, sample.truth).astype(np.float16)
    store.save_arrays(beside, {"sigma": sigma})


def _planes(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Bytes of 32-bit integers by significance: what makes them compress."""
    columns = np.ascontiguousarray(values.astype("<i4").T).view(np.uint8)
    return columns.reshape(3, -1, 4).swapaxes(1, 2)


def _integers(planes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The inverse of `_planes`; (m, 3)."""
    bytes_ = np.ascontiguousarray(planes.swapaxes(1, 2))
    return bytes_.view("<i4")[..., 0].T.astype(np.int64)


def make(
    path: Path, *, seed: int, tracks: int, processes: int, flat: float = 0.0, true: bool = True
) -> Path:
    """Simulate `tracks` tracks into the file `path` and return it.

    Needs the extra `[acts]`. Event k depends on seed and k alone: the number of processes changes
    nothing, and a longer sample holds the events of a shorter one. Vertices lie in the beam spot,
    or anywhere within `flat` (mm) in x and y; without `true` the true crossings are left out.
    """
    if tracks < 10 * PARTICLES:
        raise ValueError(
            f"tracks must be at least {10 * PARTICLES} (10 events of {PARTICLES}, so that each "
            f"split has one); got {tracks}"
        )
    begin = time.perf_counter()
    events = round(tracks / PARTICLES)
    jobs = [(seed, first, min(JOB, events - first), flat) for first in range(0, events, JOB)]
    # One fresh process a job: ACTS keeps global state, and its memory grows with events.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, maxtasksperchild=1) as pool:
        parts = [part for chunk in pool.imap(_chunk, jobs, chunksize=1) for part in chunk]
    path.parent.mkdir(parents=True, exist_ok=True)
    store.save_arrays(path, _packed(parts, events, true))
    write_widths(path)
    seconds = time.perf_counter() - begin
    print(f"{events * PARTICLES} tracks, {events * PARTICLES / seconds:.0f} tracks/s")
    return path


def _chunk(job: tuple[int, int, int, float]) -> list[Arrays]:
    """Events first to first + count - 1."""
    seed, first, count, flat = job
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        generators = [np.random.default_rng([seed, first + k]) for k in range(count)]
        drawn = [draw(PARTICLES, generator, flat=flat) for generator in generators]
        for number, particles in enumerate(drawn):
            acts_chain.write_particles(place / f"event{number:09d}-particles.csv", particles)
        # ACTS numbers the events of a job from 0, so each job has a seed of its own.
        simulate(place, count, seed * 1_000_003 + first)
        return [_event(place, number, particles) for number, particles in enumerate(drawn)]


def simulate(folder: Path, count: int, seed: int) -> None:
    """Particles in `folder` through FATRAS, digitisation and the Kalman filter, as CSV files."""
    job = acts_chain.begin(folder, count, seed)
    acts_chain.add_simulation(job, folder)
    acts_chain.add_grouping(job)
    acts_chain.add_kalman(job, folder, "particles_selected")
    job.sequencer.run()


def _event(folder: Path, number: int, particles: Particles) -> Arrays:
    """Hits and truth of the tracks of one event that have at least three measured hits."""
    import pandas as pd

    stem = folder / f"event{number:09d}"
    measured = pd.read_csv(f"{stem}-measurements.csv").set_index("measurement_id")
    crossing = pd.read_csv(f"{stem}-hits.csv")
    link = pd.read_csv(f"{stem}-measurement-simhit-map.csv").drop_duplicates("measurement_id")
    true = crossing.iloc[link["hit_id"].to_numpy()]
    primary = (true[["particle_id_sv", "particle_id_gen", "particle_id_subpart"]] == 0).all(axis=1)
    owner = np.where(primary, true["particle_id_part"] - 1, -1)
    positions = measured.loc[link["measurement_id"], ["global_x", "global_y", "global_z"]]
    count = np.bincount(owner[owner >= 0], minlength=PARTICLES)
    owner = np.where(count[owner] >= MINIMUM, owner, -1)
    order = np.lexsort([np.hypot(positions["global_x"], positions["global_y"]), owner])
    order = order[owner[order] >= 0]
    place = np.arange(len(order)) - np.searchsorted(owner[order], owner[order])
    order = order[place < SLOTS]
    smeared = np.rint(positions.to_numpy()[order] / STEP).astype(np.int64)
    exact = np.rint(true[["tx", "ty", "tz"]].to_numpy()[order] / STEP).astype(np.int64)
    kept = np.flatnonzero(count >= MINIMUM)
    hits = np.bincount(owner[order], minlength=PARTICLES)[kept].astype(np.uint8)
    result = {"measured": smeared, "displacement": smeared - exact, "hits": hits}
    result |= {name: column[kept] for name, column in _columns(particles).items()}
    return result | {"kalman": acts_chain.read_kalman(stem, PARTICLES)[kept]}


def _columns(particles: Particles) -> Arrays:
    pt = np.hypot(particles.momentum[:, 0], particles.momentum[:, 1])
    pz = particles.momentum[:, 2]
    d0, z0, phi = helix.perigee(particles.vertex, particles.momentum, particles.q)
    values = (pt, pz, particles.q, d0, z0, phi, np.arcsinh(pz / pt), particles.mass)
    return {name: v.astype(np.float32) for name, v in zip(COLUMNS, values, strict=True)}


def _packed(parts: list[Arrays], events: int, true: bool) -> Arrays:
    event = np.repeat(np.arange(events), [len(part["hits"]) for part in parts])
    names = [name for name in parts[0] if true or name != "displacement"]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in names}
    for name in {"measured", "displacement"} & joined.keys():
        joined[name] = _planes(joined[name])
    joined["kalman"] = joined["kalman"][splits_by_event(event) == TEST]
    return joined | {"event": event.astype(np.uint32), "simulated": np.array(events * PARTICLES)}
