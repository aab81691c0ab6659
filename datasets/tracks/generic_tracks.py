"""Single tracks simulated with ACTS on the generic (TrackML) detector at 2 T.

A gun of pions, kaons, protons and a few leptons in the proportions of the TrackML test set,
log-uniform pT from 0.5 to 10 GeV, |eta| <= 1, 16 collisions an event; FATRAS with multiple
scattering, energy loss and bremsstrahlung; Gaussian digitisation with pitch/sqrt(12). True and
smeared crossings, truth at the perigee, and for every test track the estimate of the ACTS Kalman
filter (pion hypothesis, hits grouped by truth). No hadronic interactions, no decays, and silicon
loses almost no energy in this version of the geometry.

Split by event, 70/10/20 in order. Coordinates are stored in steps of 1/512 mm (0.6 um r.m.s.,
against 14 um of a pixel). With the tracks are stored the standard deviations of ln pT, d0 and z0
in the ideal linear fit of each one's hits (half precision), and the core68 of that fit's pulls:
FATRAS draws a scattering angle of sqrt(2) theta0 N in a uniform azimuth, whose projection is
narrower in the core than a Gaussian of the same variance.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, File
from physbench.datasets.common import acts_chain, helix, linear_fit, reading, store
from physbench.datasets.common.helix import MINIMUM
from physbench.datasets.common.particle_mix import Particles, draw
from physbench.datasets.tracks import SLOTS, TEST, Sample, Tracks, TrackTruth, padded
from physbench.datasets.tracks._generated import FATRAS

STEP = 1.0 / 512.0  # mm
WIDTHS = "generic_tracks_widths.npz"
PARTICLES = 400  # an event
JOB = 25  # events a process simulates at a time
SHARES = (0.7, 0.1, 0.2)
COLUMNS = ("pt", "pz", "q", "d0", "z0", "phi", "eta", "mass")

Arrays = dict[str, NDArray[Any]]


def load(*, folder: str = "") -> Sample:
    """The embedded sample, or the one that `make` wrote into `folder`."""
    if folder:
        path = Path(folder) / "generic_tracks.npz"
    else:
        path = store.checked("generic_tracks", DATASET)["generic_tracks.npz"]
    arrays = reading.arrays(
        path, "measured", "displacement", "hits", "event", "simulated", *COLUMNS
    )
    with reading.reading(path, "a sample that `data make generic_tracks` wrote"):
        return _sample(path, arrays)


def _sample(path: Path, arrays: Arrays) -> Sample:
    measured = _integers(arrays["measured"])
    true = measured - _integers(arrays["displacement"])
    owner = np.repeat(np.arange(len(arrays["hits"])), arrays["hits"])
    slot = np.arange(len(owner)) - np.repeat(
        np.cumsum(arrays["hits"].astype(np.int64)) - arrays["hits"], arrays["hits"]
    )
    event = arrays["event"].astype(np.int64)
    split = splits_by_event(event)
    files = {path.name: store.digest(path)}
    sigma, of_widths = _widths(path.with_name(WIDTHS), len(event))
    truth = _truth(arrays, split, sigma)
    number = np.arange(len(event)) - np.searchsorted(event, event)
    ids = [f"event{e:06d}-{k:03d}" for e, k in zip(event, number, strict=True)]
    return Sample(
        _tracks(true, owner, slot, len(event), sort=True),
        _tracks(measured, owner, slot, len(event), sort=False),
        truth,
        split,
        ids,
        files | of_widths,
        {"simulated": int(arrays["simulated"].sum()), f"hits >= {MINIMUM}": len(event)},
    )


def _tracks(
    steps: NDArray[np.int64], owner: NDArray[np.int64], slot: Any, count: int, *, sort: bool
) -> Tracks:
    """Padded tracks; true crossings are sorted anew, since smearing may swap close hits."""
    if sort:
        return padded((steps * STEP).astype(np.float64), owner, count)
    hits = np.zeros((count, SLOTS, 3), dtype=np.float32)
    mask = np.zeros((count, SLOTS), dtype=bool)
    hits[owner, slot], mask[owner, slot] = steps * STEP, True
    return Tracks(hits, mask)


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


def write_widths(folder: Path) -> Path:
    """Widths of the ideal linear fit of the tracks in `folder`, for the next `load`."""
    sample = load(folder=str(folder))
    sigma = linear_fit.widths(sample.measured, sample.truth).astype(np.float16)
    store.save_arrays(folder / WIDTHS, {"sigma": sigma})
    return folder / WIDTHS


def _planes(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Bytes of 32-bit integers by significance: what makes them compress."""
    columns = np.ascontiguousarray(values.astype("<i4").T).view(np.uint8)
    return columns.reshape(3, -1, 4).swapaxes(1, 2)


def _integers(planes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The inverse of `_planes`; (m, 3)."""
    bytes_ = np.ascontiguousarray(planes.swapaxes(1, 2))
    return bytes_.view("<i4")[..., 0].T.astype(np.int64)


def make(folder: Path, *, seed: int, tracks: int = 100_000, processes: int = 1) -> Path:
    """Simulate `tracks` tracks into `folder/generic_tracks.npz` and return its path.

    Needs the extra `[acts]`. Event k depends on seed and k alone: the number of processes changes
    nothing, and a longer sample holds the events of a shorter one.
    """
    if tracks < 10 * PARTICLES:
        raise ValueError(
            f"tracks must be at least {10 * PARTICLES} (10 events of {PARTICLES}, so that each "
            f"split has one); got {tracks}"
        )
    begin = time.perf_counter()
    events = round(tracks / PARTICLES)
    jobs = [(seed, first, min(JOB, events - first)) for first in range(0, events, JOB)]
    # One fresh process a job: ACTS keeps global state, and its memory grows with events.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, maxtasksperchild=1) as pool:
        parts = [part for chunk in pool.imap(_chunk, jobs, chunksize=1) for part in chunk]
    path = folder / "generic_tracks.npz"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WIDTHS).unlink(missing_ok=True)  # of another sample
    store.save_arrays(path, _packed(parts, events))
    write_widths(folder)
    seconds = time.perf_counter() - begin
    print(f"{events * PARTICLES} tracks, {events * PARTICLES / seconds:.0f} tracks/s")
    return path


def _chunk(job: tuple[int, int, int]) -> list[Arrays]:
    """Events first to first + count - 1."""
    seed, first, count = job
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        drawn = [draw(PARTICLES, np.random.default_rng([seed, first + k])) for k in range(count)]
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


def _packed(parts: list[Arrays], events: int) -> Arrays:
    event = np.repeat(np.arange(events), [len(part["hits"]) for part in parts])
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for name in ("measured", "displacement"):
        joined[name] = _planes(joined[name])
    joined["kalman"] = joined["kalman"][splits_by_event(event) == TEST]
    return joined | {"event": event.astype(np.uint32), "simulated": np.array(events * PARTICLES)}


DATASET = Dataset(
    summary="single tracks simulated with ACTS on the generic detector, with a Kalman fit of each",
    version="1",
    licence="CC0-1.0",
    citation="""@article{Ai:2021ghi,
  author = {Ai, Xiaocong and others},
  title = {A Common Tracking Software Project},
  journal = {Comput. Softw. Big Sci.},
  volume = {6},
  pages = {8},
  year = {2022},
  eprint = {2106.13593},
  archiveprefix = {arXiv}
}""",
    source="generated by make() of this file: ACTS 48.1.0 (pyacts), seed 1, 250 events of 400",
    load=load,
    embedded=True,
    files=(
        File(
            "generic_tracks.npz",
            "13395ca7bd679eed75274696b0ccda39ebcae1a1862992407517ad70b42d4788",
            15512773,
        ),
        File(
            WIDTHS,
            "231226fde3d9ff221af4282336a5802da7ed6b2b39ea7dbde06721d58d72363f",
            506219,
        ),
    ),
    make=make,
)
