"""Simulated ttbar events with pile-up on the ACTS generic detector, in TrackML numbering.

Pythia 8 (ttbar at 14 TeV plus Poisson(mu) inelastic collisions) makes the particles, ACTS
propagates them through the generic detector in a 2 T solenoid field with FATRAS (multiple
scattering, energy loss, bremsstrahlung, photon conversion) and smears the crossings. Not TrackML
data: no hadronic interactions, merged clusters keep one particle, no cells.

Conventions: charged final-state particles with pT > 0.1 GeV and |eta| < 4; collisions spread
by 12.5 um across and 5.5 mm along the beam; 15 % noise hits. A noise hit is a single hit of a
further simulated event, so that it lies on a real module with the density of real hits and
belongs to no track of this event. No noise hit is used twice: nothing of the test split's noise
can be memorised in training. Resolutions: pixels 14 um, short strips 23 um x 0.35 mm, long
strips 35 um x 3.1 mm. Positions are stored in steps of 1/1024 mm, far below the resolution.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, File
from physbench.datasets.common import acts_chain, reading, store
from physbench.datasets.hits import Event, EventTruth, module_key
from physbench.datasets.hits._trackml_format import scoring_weights

SPLITS = ("train", "validation", "test")

# (volumes, smearing of the two local coordinates in mm)
RESOLUTION = (
    ((7, 8, 9), (0.014, 0.014)),
    ((12, 13, 14), (0.023, 0.35)),
    ((16, 17, 18), (0.035, 3.1)),
)
NOISE_SHARE = 0.15
GROUP = 24  # events that share the hits of some further events as noise, each hit used once
NOISE_MARGIN = 2.0  # noise hits simulated / used on average
CONTAINED = (1000.0, 2900.0)  # mm; production points outside this (r, |z|) leave no hits
VERTEX_SPREAD = (0.0125, 0.0125, 5.5)  # mm
STEP = 1.0 / 1024.0  # mm
BARCODE = (
    ("particle_id_pv", 48),
    ("particle_id_sv", 40),
    ("particle_id_part", 24),
    ("particle_id_gen", 16),
    ("particle_id_subpart", 0),
)


STORED = (
    *("x", "y", "z", "path", "depth", "pt", "eta", "particle", "particle_id"),
    *("modules", "module", "hits", "particles", "split"),
)

Events = dict[str, list[tuple[Event, EventTruth]]]


def load(*, file: Path | None = None) -> tuple[Events, dict[str, str]]:
    """Events by split, and digests; `file` is a sample of `make`, default the embedded one."""
    path = file or store.checked("generic_detector", DATASET)[DATASET.files[0].name]
    arrays = reading.arrays(path, *STORED)
    events: Events = {name: [] for name in SPLITS}
    with reading.reading(path, "a sample that `data make generic_detector` wrote"):
        if arrays["hits"].sum() != len(arrays["x"]):
            raise ValueError(f"{arrays['hits'].sum()} hits announced, {len(arrays['x'])} there")
        hit_ends, particle_ends = np.cumsum(arrays["hits"]), np.cumsum(arrays["particles"])
        for number, split in enumerate(arrays["split"]):
            hits = slice(hit_ends[number] - arrays["hits"][number], hit_ends[number])
            particles = slice(
                particle_ends[number] - arrays["particles"][number], particle_ends[number]
            )
            events[SPLITS[split]].append(_event(number, arrays, hits, particles))
    return events, {path.name: store.digest(path)}


def _event(
    number: int, arrays: dict[str, NDArray[Any]], hits: slice, particles: slice
) -> tuple[Event, EventTruth]:
    ids = arrays["particle_id"][particles].astype(np.int64)
    pt = arrays["pt"][particles].astype(np.float64)
    eta = arrays["eta"][particles].astype(np.float64)
    index = arrays["particle"][hits].astype(np.int64)  # 0 is noise, k is ids[k - 1]
    particle_id = np.concatenate([[0], ids])[index]
    x, y, z = (arrays[name][hits].astype(np.float64) for name in "xyz")
    path = arrays["path"][hits].astype(np.float64)
    depth = arrays["depth"][hits].astype(np.float64)
    geometry = arrays["modules"][arrays["module"][hits]].astype(np.int64)
    event = Event(
        f"event{number:09d}",
        np.arange(1, len(x) + 1),
        x,
        y,
        z,
        *(geometry[:, column] for column in range(3)),
    )
    weight = scoring_weights(particle_id, depth, dict(zip(ids.tolist(), pt.tolist(), strict=True)))
    layer = event.volume_id * 100 + event.layer_id
    module = module_key(event.volume_id, event.layer_id, event.module_id)
    order = np.argsort(ids)
    truth = EventTruth(particle_id, weight, path, ids[order], pt[order], eta[order], layer, module)
    return event, truth


def make(
    folder: Path,
    *,
    seed: int,
    train: int = 24,
    validation: int = 4,
    test: int = 8,
    pileup: float = 20.0,
    noise: float = NOISE_SHARE,
) -> Path:
    """Simulate a sample into `folder/generic_detector.npz` and return its path.

    Needs the extras `[acts]` and `[pythia]`. The same seed and versions give the same arrays.
    Event k depends on seed and k alone, so a longer sample starts with the shorter one.
    """
    begin = time.perf_counter()
    events = train + validation + test
    extra = math.ceil(NOISE_MARGIN * GROUP * noise / (1 - noise))
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        simulated = events + extra * math.ceil(events / GROUP)
        generate(place, simulated, seed, pileup)
        simulate(place, simulated, seed)
        parts: list[dict[str, NDArray[Any]]] = []
        # Each group of events follows its noise events, so that a shorter sample is the
        # beginning of a longer one.
        for first in range(0, simulated, extra + GROUP):
            pool = _pool(place, range(first, first + extra), [seed, 2, first])
            for number in range(first + extra, min(first + extra + GROUP, simulated)):
                part, pool = _digitised(place, number, seed, noise, pool)
                parts.append(part)
    split = np.repeat(np.arange(3), [train, validation, test])
    path = folder / "generic_detector.npz"
    store.save_arrays(path, _packed(parts, split))
    rate = simulated / (time.perf_counter() - begin)
    print(
        f"{events} events ({simulated} simulated), {sum(len(p['x']) for p in parts)} hits, "
        f"{rate:.2f} events/s"
    )
    return path


def generate(folder: Path, events: int, seed: int, pileup: float) -> None:
    """Write `event*-particles.csv` of charged particles as ACTS reads them."""
    signal = _pythia("Top:all = on", seed)
    minimum_bias: Any = _pythia("SoftQCD:inelastic = on", seed) if pileup else None
    generator = np.random.default_rng([seed, 1])
    for number in range(events):
        rows: list[NDArray[np.float64]] = []
        for vertex in range(1 + int(generator.poisson(pileup))):
            engine = minimum_bias if vertex else signal
            while not engine.next():
                continue
            rows.append(_charged(engine, vertex + 1, generator.normal(0.0, VERTEX_SPREAD)))
        _write_particles(folder / f"event{number:09d}-particles.csv", np.concatenate(rows))


def _pythia(process: str, seed: int) -> Any:
    import pythia8mc

    engine = pythia8mc.Pythia("", False)
    for setting in (
        process,
        "Beams:eCM = 14000.",
        "Random:setSeed = on",
        f"Random:seed = {seed % 900_000_000 + 1}",
        "Print:quiet = on",
    ):
        engine.readString(setting)
    if not engine.init():
        raise RuntimeError(f"Pythia could not be initialised with '{process}'")
    return engine


def _charged(engine: Any, vertex: int, position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows (vertex, number, pdg, vx, vy, vz, px, py, pz, m, q) of one collision."""
    rows: list[tuple[float, ...]] = []
    for particle in engine.event:
        if particle.isFinal() and particle.isCharged() and particle.pT() > 0.1:
            inside = np.hypot(particle.xProd(), particle.yProd()) < CONTAINED[0]
            if abs(particle.eta()) < 4.0 and inside and abs(particle.zProd()) < CONTAINED[1]:
                rows.append(
                    (vertex, len(rows) + 1, particle.id())
                    + (particle.xProd(), particle.yProd(), particle.zProd())
                    + (particle.px(), particle.py(), particle.pz())
                    + (particle.m(), particle.charge())
                )
    table = np.array(rows, dtype=np.float64).reshape(-1, 11)
    table[:, 3:6] += position
    return table


def _write_particles(path: Path, table: NDArray[np.float64]) -> None:
    head = (
        "particle_id_pv,particle_id_sv,particle_id_part,particle_id_gen,particle_id_subpart,"
        "particle_type,process,vx,vy,vz,vt,px,py,pz,m,q"
    )
    lines = [head]
    for vertex, part, pdg, *kinematics in table:
        vx, vy, vz, px, py, pz, mass, charge = kinematics
        numbers = [vx, vy, vz, 0.0, px, py, pz, mass, charge]
        lines.append(
            f"{vertex:.0f},0,{part:.0f},0,0,{pdg:.0f},0," + ",".join(f"{v:.9g}" for v in numbers)
        )
    path.write_text("\n".join(lines) + "\n")


def simulate(folder: Path, events: int, seed: int) -> None:
    """FATRAS and smearing; writes `event*-hits.csv`, `-measurements.csv` and their map."""
    job = acts_chain.begin(folder, events, seed)
    acts_chain.add_simulation(job, folder, RESOLUTION)
    job.sequencer.run()


def _digitised(
    folder: Path, number: int, seed: int, noise: float, pool: Pool
) -> tuple[dict[str, NDArray[Any]], Pool]:
    """Hits and particles of one event, noise added, in detector order; and the pool's rest."""
    import pandas as pd

    stem = f"event{number:09d}"
    measured = pd.read_csv(folder / f"{stem}-measurements.csv")
    crossing = pd.read_csv(folder / f"{stem}-hits.csv")
    link = pd.read_csv(folder / f"{stem}-measurement-simhit-map.csv")
    first = link.drop_duplicates("measurement_id").set_index("measurement_id")["hit_id"]
    true = crossing.iloc[first.loc[measured["measurement_id"]].to_numpy()]
    particles = pd.read_csv(folder / f"{stem}-particles_simulated.csv")
    particles["id"] = barcode(particles)
    particle_id = barcode(true)
    row = particles.set_index("id").loc[particle_id]
    flight = true[["tx", "ty", "tz"]].to_numpy() - row[["vx", "vy", "vz"]].to_numpy()
    position = measured[["global_x", "global_y", "global_z"]].to_numpy()
    module = measured["geometry_id"].to_numpy().astype(np.uint64)
    generator = np.random.default_rng([seed, 3, number])
    count = int(generator.poisson(len(position) * noise / (1 - noise)))
    (extra, extra_module), rest = _drawn(pool, count)
    table = _table(
        particles,
        np.concatenate([position, extra]),
        np.concatenate([module, extra_module]),
        np.concatenate([particle_id, np.zeros(len(extra), dtype=np.int64)]),
        np.concatenate([flight, np.zeros_like(extra)]),
    )
    return table, rest


def barcode(table: Any) -> NDArray[np.int64]:
    """The five fields of an ACTS particle id in one positive 64-bit integer."""
    total = np.zeros(len(table), dtype=np.int64)
    for field, shift in BARCODE:
        total |= table[field].to_numpy().astype(np.int64) << shift
    return total


Pool = tuple[NDArray[np.float64], NDArray[np.uint64]]


def _pool(folder: Path, events: range, seed: list[int]) -> Pool:
    """Positions and modules of all hits of the noise events, in random order."""
    import pandas as pd

    tables = [pd.read_csv(folder / f"event{number:09d}-measurements.csv") for number in events]
    if not tables:
        return np.zeros((0, 3)), np.zeros(0, dtype=np.uint64)
    table = pd.concat(tables).sample(frac=1.0, random_state=np.random.default_rng(seed))
    position = table[["global_x", "global_y", "global_z"]].to_numpy()
    return position, table["geometry_id"].to_numpy().astype(np.uint64)


def _drawn(pool: Pool, count: int) -> tuple[Pool, Pool]:
    """The first `count` hits of a pool, and the rest."""
    position, module = pool
    if count > len(position):
        raise RuntimeError(
            f"{count} noise hits are needed, the noise events have {len(position)} left; raise "
            "NOISE_MARGIN"
        )
    return (position[:count], module[:count]), (position[count:], module[count:])


def _table(
    particles: Any,
    position: NDArray[np.float64],
    module: NDArray[np.uint64],
    particle_id: NDArray[np.int64],
    flight: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    volume = (module >> np.uint64(56)).astype(np.int64)
    layer = ((module >> np.uint64(36)) & np.uint64(0xFFF)).astype(np.int64)
    element = ((module >> np.uint64(8)) & np.uint64(0xFFFFF)).astype(np.int64)
    order = np.lexsort((position[:, 2], position[:, 0], element, layer, volume))
    table = particles[particles["id"].isin(particle_id)].sort_values("id")
    ids = table["id"].to_numpy()
    pt = np.hypot(table["px"], table["py"]).to_numpy()
    quantised = np.round(position[order] / STEP) * STEP
    found = np.searchsorted(ids, particle_id[order]) + 1
    return {
        "x": quantised[:, 0],
        "y": quantised[:, 1],
        "z": quantised[:, 2],
        "geometry": np.stack([volume, layer, element], axis=1)[order],
        "particle": np.where(particle_id[order] == 0, 0, found),
        "path": np.linalg.norm(flight[order], axis=1),
        "depth": np.abs(flight[order, 2]),
        "particle_id": ids,
        "pt": pt,
        "eta": np.arcsinh(table["pz"].to_numpy() / pt),
    }


def _packed(
    parts: list[dict[str, NDArray[Any]]], split: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """All events in flat arrays of the smallest types that hold them."""
    types = {
        **dict.fromkeys(("x", "y", "z", "path", "depth", "pt", "eta"), "f4"),
        "particle": "u2",
        "particle_id": "i8",
    }
    flat = {
        name: np.concatenate([part[name] for part in parts]).astype(kind)
        for name, kind in types.items()
    }
    geometry = np.concatenate([part["geometry"] for part in parts])
    modules, module = np.unique(geometry, axis=0, return_inverse=True)
    return flat | {
        "modules": modules.astype("i2"),
        "module": module.astype("u2"),
        "hits": np.array([len(part["x"]) for part in parts], dtype="i4"),
        "particles": np.array([len(part["pt"]) for part in parts], dtype="i4"),
        "split": split.astype("u1"),
    }


DATASET = Dataset(
    summary="ttbar with 20 pile-up collisions on the ACTS generic detector, noise included",
    version="1",
    licence="CC0-1.0",
    citation="""@article{acts,
  title = {A Common Tracking Software Project},
  author = {Ai, Xiaocong and others},
  journal = {Computing and Software for Big Science},
  volume = {6},
  pages = {8},
  year = {2022},
  doi = {10.1007/s41781-021-00078-8}
}""",
    source="made by this project: Pythia 8.317 and ACTS 48.1 (FATRAS), seed 20261126",
    load=load,
    files=(
        File(
            "generic_detector.npz",
            "e861418e8aa377762d9426bf736fa2a6d4bcf05fec8f3e0bcaf11c2002691533",
            8640136,
        ),
    ),
    embedded=True,
    make=make,
)
