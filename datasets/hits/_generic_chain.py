"""From Pythia's particles to digitised hits on the generic detector (extras `[acts]`, `[pythia]`).

FATRAS knows no hadronic interaction and its wheel has no hook for one, so the particles go through
it in passes: after each pass charged hadrons are stopped where they interact in the material that
they crossed, and their secondaries are simulated in the next pass.

Constants of the interaction (`STRENGTH`, `MULTIPLICITY`, `PROTONS`, `MOMENTUM`, `SPREAD`, `TILT`)
were chosen so that hits a particle, production radii and soft spectrum match a real TrackML event.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import acts_chain, helix

Array = NDArray[np.float64]
Table = dict[str, NDArray[Any]]

# (volumes, smearing of the two local coordinates in mm)
RESOLUTION = (
    ((7, 8, 9), (0.014, 0.014)),
    ((12, 13, 14), (0.023, 0.35)),
    ((16, 17, 18), (0.035, 3.1)),
)
PT_MIN, ETA_MAX = 0.1, 4.0  # GeV; of the particles that are simulated
MOMENTUM_MIN = 0.1  # GeV; FATRAS drops slower ones (its own default is 0.5)
CONTAINED = (1000.0, 2900.0)  # mm; production points outside this (r, |z|) leave no hits
VERTEX_SPREAD = (0.0125, 0.0125, 5.5)  # mm
NEUTRINOS = (12, 14, 16)
PHOTON = 22

PASSES = 3  # primaries, their secondaries, and those of the secondaries
HADRONS = (211, 321, 2212, 3112, 3222, 3312, 3334)
STRENGTH = 1.4  # on the number of interaction lengths
MULTIPLICITY = 2.0  # charged secondaries of an interaction: 1 + Poisson(1)
PROTONS = 0.47  # their share, the rest are charged pions
MOMENTUM, SPREAD = 0.30, 0.40  # GeV; p = 0.30 exp(0.40 N), at most 0.9 of the parent's
TILT = 0.3  # of the direction, isotropic otherwise, along the parent
MASS = {2212: 0.938272, 211: 0.13957}
HADRONIC = 121  # process code of ACTS
KINEMATICS = ("vx", "vy", "vz", "px", "py", "pz", "m", "q")

BARCODE = (
    ("particle_id_pv", 48),
    ("particle_id_sv", 40),
    ("particle_id_part", 24),
    ("particle_id_gen", 16),
    ("particle_id_subpart", 0),
)


class Detector(NamedTuple):
    """The generic detector: its geometry, n modules and k surfaces with material.

    `modules` are sorted by code; `sigma` (n, 2) in mm; `shape` (n, 3) holds the half widths at the
    lower and upper end and the half height in mm. `surface` (k,) are sorted codes, `thickness`
    (k,) the material in interaction lengths at normal incidence, `kind` (k,) 0 for a plane, 1 for
    a cylinder, 2 for a disc. Surfaces die with the `engine`: it is kept.
    """

    engine: Any
    geometry: Any
    modules: acts_chain.Modules
    sigma: Array
    shape: Array
    surface: NDArray[np.uint64]
    thickness: Array
    kind: NDArray[np.int64]


def detector() -> Detector:
    """The generic detector of ACTS with the material that it declares."""
    import acts
    import acts.examples

    engine = acts.examples.GenericDetector(logLevel=acts.logging.ERROR)
    geometry = engine.trackingGeometry()
    modules = acts_chain.modules(geometry)
    order = np.argsort(modules.code)
    columns: Any = (column[order] for column in modules)
    modules = acts_chain.Modules(*columns)
    surfaces: list[Any] = []
    geometry.visitSurfaces(surfaces.append)
    shape = np.array([_shape(surface.bounds) for surface in surfaces])[order]
    sigma = {volume: sigmas for volumes, sigmas in RESOLUTION for volume in volumes}
    sigmas = np.array([sigma[int(v)] for v in modules.code >> np.uint64(56)])
    return Detector(engine, geometry, modules, sigmas, shape, *_material(geometry))


def _shape(bounds: Any) -> tuple[float, float, float]:
    """Half widths at both ends and half height of a rectangle or trapezoid, mm."""
    values = np.abs(bounds.values())
    if str(bounds.type).endswith("Rectangle"):
        return values[0], values[0], values[1]
    return values[0], values[1], values[2]


def _material(geometry: Any) -> tuple[NDArray[np.uint64], Array, NDArray[np.int64]]:
    """Code, thickness in interaction lengths and kind of each surface with material."""
    codes, thickness, kinds = [], [], []
    for surface in geometry.extractMaterialSurfaces():
        text = surface.surfaceMaterial.toString()
        t, length = (re.search(rf"{key}=([\d.e+-]+)", text) for key in (r"\|t", "l0"))
        if t is None or length is None:
            raise RuntimeError(f"ACTS describes material in a new way: {text[:100]}")
        codes.append(surface.geometryId.value)
        thickness.append(float(t[1]) / float(length[1]))
        kind = str(surface.type)
        kinds.append(0 if kind.endswith("Plane") else 1 if "Cylinder" in kind else 2)
    code = np.array(codes, dtype=np.uint64)
    order = np.argsort(code)
    return code[order], np.array(thickness)[order], np.array(kinds)[order]


# --- particles ---------------------------------------------------------------------------------


def generate(
    events: int, seed: list[int], *, process: str, pileup: float, photons: bool
) -> list[Any]:
    """Tables of the final particles of `events` events, as `_rows` names their columns."""
    states = np.random.SeedSequence(seed).generate_state(2)
    signal = _pythia(process, int(states[0]))
    minimum_bias: Any = _pythia("SoftQCD:inelastic = on", int(states[1])) if pileup else None
    generator = np.random.default_rng([*seed, 1])
    tables = []
    for _ in range(events):
        rows: list[Array] = []
        for vertex in range(1 + int(generator.poisson(pileup))):
            engine = minimum_bias if vertex else signal
            while not engine.next():
                continue
            rows.append(_rows(engine, vertex + 1, generator.normal(0.0, VERTEX_SPREAD), photons))
        tables.append(_particles(np.concatenate(rows)))
    return tables


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


def _rows(engine: Any, vertex: int, position: Array, photons: bool) -> Array:
    """Rows (vertex, number, pdg, vx, vy, vz, px, py, pz, m, q) of one collision."""
    rows: list[tuple[float, ...]] = []
    for particle in engine.event:
        seen = particle.isCharged() or (photons and particle.id() == PHOTON)
        if particle.isFinal() and seen and _simulated(particle):
            rows.append(
                (vertex, len(rows) + 1, particle.id())
                + (particle.xProd(), particle.yProd(), particle.zProd())
                + (particle.px(), particle.py(), particle.pz())
                + (particle.m(), particle.charge())
            )
    table = np.array(rows, dtype=np.float64).reshape(-1, 11)
    table[:, 3:6] += position
    return table


def _simulated(particle: Any) -> bool:
    radius = np.hypot(particle.xProd(), particle.yProd())
    inside = radius < CONTAINED[0] and abs(particle.zProd()) < CONTAINED[1]
    return bool(inside and particle.pT() > PT_MIN and abs(particle.eta()) < ETA_MAX)


def _particles(rows: Array) -> Any:
    import pandas as pd

    count = len(rows)
    whole = {"particle_id_pv": rows[:, 0], "particle_id_sv": np.zeros(count)}
    whole |= {"particle_id_part": rows[:, 1], "particle_type": rows[:, 2]}
    columns = {name: values.astype(np.int64) for name, values in whole.items()}
    return pd.DataFrame(columns | dict(zip(KINEMATICS, rows[:, 3:].T, strict=True)))


# --- simulation --------------------------------------------------------------------------------


def simulate(tables: list[Any], found: Detector, seed: list[int], photons: bool) -> list[Table]:
    """Hits on modules and their particles, for each event; noise comes later, see `digitised`."""
    hits: list[list[Any]] = [[] for _ in tables]
    particles: list[list[Any]] = [[] for _ in tables]
    states = np.random.SeedSequence([*seed, 2]).generate_state(PASSES)
    for step in range(PASSES):
        if not sum(map(len, tables)):
            break
        passed = _fatras(tables, found, int(states[step]) >> 1, photons)
        tables = []
        for number, (crossings, moving) in enumerate(passed):
            # Draws of their own for each event, so that they depend on no other.
            generator = np.random.default_rng([*seed, 2, step, number])
            kept, secondaries = _interact(found, crossings, moving, generator, step + 1)
            hits[number].append(crossings[kept & (_sensitive(crossings) > 0)])
            particles[number].append(moving)
            tables.append(secondaries)
    return [_event(found, *pair) for pair in zip(hits, particles, strict=True)]


def _sensitive(hits: Any) -> NDArray[np.uint64]:
    return np.asarray((_codes(hits) >> np.uint64(8)) & np.uint64(0xFFFFF))


def _codes(hits: Any) -> NDArray[np.uint64]:
    return np.asarray(hits["geometry_id"].to_numpy().astype(np.uint64))


def _fatras(tables: list[Any], found: Detector, seed: int, photons: bool) -> list[tuple[Any, Any]]:
    """Crossings of sensitive and material surfaces, and the particles, of each event."""
    import acts
    from acts import examples

    quiet = acts.logging.ERROR
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, table in enumerate(tables):
            _write(folder / f"event{number:09d}-particles.csv", table)
        # A single floating-point exception in FATRAS would end the whole job otherwise.
        job = examples.Sequencer(
            events=len(tables), numThreads=1, logLevel=quiet, trackFpes=False, outputDir=scratch
        )
        place = {"level": quiet, "outputDir": scratch}
        job.addReader(
            examples.CsvParticleReader(
                level=quiet,
                inputDir=scratch,
                inputStem="particles",
                outputParticles="particles_generated",
            )
        )
        job.addAlgorithm(_propagation(found, seed, photons))
        job.addWriter(
            examples.CsvParticleWriter(
                inputParticles="particles_simulated", outputStem="particles_simulated", **place
            )
        )
        job.addWriter(examples.CsvSimHitWriter(inputSimHits="simhits", outputStem="hits", **place))
        job.run()
        return [_read(folder / f"event{number:09d}") for number in range(len(tables))]


def _propagation(found: Detector, seed: int, photons: bool) -> Any:
    """FATRAS with all electromagnetic processes; photons convert where they are simulated."""
    import acts
    from acts import examples

    return examples.FatrasSimulation(
        level=acts.logging.ERROR,
        inputParticles="particles_generated",
        outputParticles="particles_simulated",
        outputSimHits="simhits",
        randomNumbers=examples.RandomNumbers(seed=seed),
        trackingGeometry=found.geometry,
        magneticField=acts.ConstantBField(
            acts.Vector3(0.0, 0.0, helix.FIELD * acts.UnitConstants.T)
        ),
        generateHitsOnSensitive=True,
        generateHitsOnMaterial=True,
        generateHitsOnPassive=False,
        emScattering=True,
        emEnergyLossIonisation=True,
        emEnergyLossRadiation=True,
        emPhotonConversion=photons,
        pMin=MOMENTUM_MIN * acts.UnitConstants.GeV,
    )


def _write(path: Path, table: Any) -> None:
    """The table as `CsvParticleReader` wants it."""
    rest = dict.fromkeys(("particle_id_gen", "particle_id_subpart", "process"), 0) | {"vt": 0.0}
    table.assign(**rest).to_csv(path, index=False)


def _read(stem: Path) -> tuple[Any, Any]:
    import pandas as pd

    return pd.read_csv(f"{stem}-hits.csv"), pd.read_csv(f"{stem}-particles_simulated.csv")


def barcode(table: Any) -> NDArray[np.int64]:
    """The five fields of an ACTS particle id in one positive 64-bit integer."""
    total = np.zeros(len(table), dtype=np.int64)
    for field, shift in BARCODE:
        total |= table[field].to_numpy().astype(np.int64) << shift
    return total


def crossed(found: Detector, code: NDArray[np.uint64], position: Array, direction: Array) -> Array:
    """Interaction lengths (m,) of material crossed at `position` (m, 3) along `direction`.

    thickness / max(cos, 0.05), cos being the angle to the normal of the surface.
    """
    place = np.minimum(np.searchsorted(found.surface, code), len(found.surface) - 1)
    thickness = np.where(found.surface[place] == code, found.thickness[place], 0.0)
    module = np.minimum(np.searchsorted(found.modules.code, code), len(found.modules.code) - 1)
    plane = np.abs((direction * found.modules.axes[module][:, :, 2]).sum(1))
    radius = np.maximum(np.hypot(position[:, 0], position[:, 1]), 1e-9)
    cylinder = np.abs((direction[:, :2] * position[:, :2]).sum(1)) / radius
    cosine = np.choose(found.kind[place], [plane, cylinder, np.abs(direction[:, 2])])
    return np.asarray(thickness / np.maximum(cosine, 0.05))


def _interact(
    found: Detector, hits: Any, particles: Any, generator: np.random.Generator, step: int
) -> tuple[NDArray[np.bool_], Any]:
    """Which crossings stay, and the secondaries of the hadrons that interact.

    A hadron dies where `STRENGTH` times the lengths that it has crossed exceeds a draw of Exp(1);
    its crossing of that surface stays, later ones go.
    """
    row = _rows_of(barcode(particles), barcode(hits))
    position, momentum = (hits[list(n)].to_numpy(float) for n in (_POSITION, _MOMENTUM))
    size = np.linalg.norm(momentum, axis=1)
    direction = momentum / np.maximum(size, 1e-12)[:, None]
    hadron = np.isin(np.abs(particles["particle_type"].to_numpy()), HADRONS)[row]
    lengths = np.where(hadron, crossed(found, _codes(hits), position, direction), 0.0)
    order = np.lexsort((hits["index"].to_numpy(), row))
    dead, here = stopped(row[order], STRENGTH * lengths[order], generator)
    kept = np.ones(len(hits), dtype=bool)
    kept[order] = ~dead
    at = np.repeat(order[here], 1 + generator.poisson(MULTIPLICITY - 1, int(here.sum())))
    parents = particles["particle_id_pv"].to_numpy()[row[at]]
    made = _secondaries(position[at], direction[at], size[at], parents, generator, step)
    return kept, made


_POSITION, _MOMENTUM = ("tx", "ty", "tz"), ("tpx", "tpy", "tpz")


def _rows_of(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(ids)
    return np.asarray(order[np.searchsorted(ids, wanted, sorter=order)])


def stopped(
    particle: NDArray[np.int64], lengths: Array, generator: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Crossings after, and at, the interaction of their particle.

    `particle` (m,) is grouped, its crossings in order; `lengths` (m,) of each crossing.
    """
    draw = generator.exponential(size=int(particle.max(initial=-1)) + 1)
    fresh = np.ones(len(particle), dtype=bool)
    fresh[1:] = particle[1:] != particle[:-1]
    total = np.cumsum(lengths)
    before = np.maximum.accumulate(np.where(fresh, total - lengths, 0.0))
    died = total - before > draw[particle]
    dead = np.zeros(len(particle), dtype=bool)
    dead[1:] = died[:-1]
    dead &= ~fresh
    return dead, died & ~dead


def _secondaries(
    position: Array,
    direction: Array,
    momentum: Array,
    vertex: NDArray[np.int64],
    generator: np.random.Generator,
    step: int,
) -> Any:
    """The table of charged secondaries, one a row of the arguments before cuts."""
    import pandas as pd

    count = len(position)
    proton = generator.random(count) < PROTONS
    size = np.minimum(MOMENTUM * np.exp(SPREAD * generator.normal(size=count)), 0.9 * momentum)
    way = _unit(_unit(generator.normal(size=(count, 3))) + TILT * direction)
    positive = proton | (generator.random(count) < 0.5)
    code = np.where(proton, 2212, np.where(positive, 211, -211))
    mass = np.where(proton, MASS[2212], MASS[211])
    start, moving = position + 1e-3 * way, way * size[:, None]
    columns = np.column_stack([start, moving, mass, np.where(positive, 1.0, -1.0)])
    names = {"particle_id_pv": vertex, "particle_id_sv": step}
    names |= {"particle_id_part": np.arange(1, count + 1), "particle_type": code}
    table = pd.DataFrame(names | dict(zip(KINEMATICS, columns.T, strict=True)))
    inside = (np.hypot(start[:, 0], start[:, 1]) < 1000.0) & (np.abs(start[:, 2]) < 2950.0)
    return table[inside & (np.hypot(moving[:, 0], moving[:, 1]) > PT_MIN)]


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None])


def _event(found: Detector, hits: list[Any], particles: list[Any]) -> Table:
    """The hits of an event and its particles.

    Of each hit module, true local position, particle (from 1) and rank, by particle and rank; of
    each particle with hits what `_kinematics` gives.
    """
    import pandas as pd

    crossing, moving = pd.concat(hits), pd.concat(particles)
    moving = moving.assign(id=barcode(moving)).sort_values("id")
    owner = barcode(crossing)
    order = np.lexsort((crossing["index"].to_numpy(), owner))
    crossing, owner = crossing.iloc[order], owner[order]
    moving = moving[moving["id"].isin(owner)]
    module = np.searchsorted(found.modules.code, _codes(crossing))
    flight = crossing[list(_POSITION)].to_numpy(float) - found.modules.centre[module]
    local = np.einsum("kij,ki->kj", found.modules.axes[module], flight)[:, :2]
    place = np.searchsorted(moving["id"].to_numpy(), owner) + 1
    return {"module": module, "local": local, "particle": place, **_kinematics(moving)}


def _kinematics(moving: Any) -> Table:
    """Columns of each particle: pt (GeV), eta, charge, production radius (mm), perigee and origin.

    `generation` is 0 for the collision's own particles; `pdg` their code.
    """
    vertex = moving[["vx", "vy", "vz"]].to_numpy(float)
    momentum = moving[["px", "py", "pz"]].to_numpy(float)
    charge = moving["q"].to_numpy(float)
    pt = np.hypot(momentum[:, 0], momentum[:, 1])
    d0, z0, phi = helix.perigee(vertex, momentum, charge)
    return {
        "pt": pt,
        "eta": np.arcsinh(momentum[:, 2] / pt),
        "charge": charge,
        "radius": np.hypot(vertex[:, 0], vertex[:, 1]),
        "d0": d0,
        "z0": z0,
        "phi": phi,
        "generation": (moving["particle_id_sv"] + moving["particle_id_gen"]).to_numpy(),
    }


def digitised(event: Mapping[str, Any], found: Detector, noise: float, seed: list[int]) -> Table:
    """The event with smeared local positions, clipped to the modules, and noise hits at the end.

    Noise: Poisson(noise share) hits, each on any module with equal chance, uniform on it.
    """
    generator = np.random.default_rng(seed)
    module = event["module"]
    local = event["local"] + generator.normal(size=event["local"].shape) * found.sigma[module]
    count = int(generator.poisson(len(module) * noise / (1 - noise)))
    extra = generator.integers(len(found.modules.code), size=count)
    height = generator.uniform(-1, 1, count) * found.shape[extra][:, 2]
    across = generator.uniform(-1, 1, count) * _half_width(found.shape[extra], height)
    shape = found.shape[module]
    v = np.clip(local[:, 1], -shape[:, 2], shape[:, 2])
    half = _half_width(shape, v)
    u = np.clip(local[:, 0], -half, half)
    return dict(event) | {
        "module": np.concatenate([module, extra]),
        "local": np.concatenate([np.stack([u, v], 1), np.stack([across, height], 1)]),
        "particle": np.concatenate([event["particle"], np.zeros(count, dtype=np.int64)]),
    }


def _half_width(shape: Array, height: Array) -> Array:
    """Half width in mm of trapezoids (n, 3) at a height over their centre."""
    low, high, half = shape.T
    return np.asarray(low + (high - low) * (height + half) / (2 * half))
