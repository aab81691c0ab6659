"""The parts of an ACTS job that a simulation and a fit of given hits share (extra `[acts]`).

Written for ACTS 48.1.0: names change between its major versions.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.helix import FIELD, MINIMUM
from physbench.datasets.common.particle_mix import Particles

Array = NDArray[np.float64]

CITATION = """@article{Ai:2021ghi,
  title = {A Common Tracking Software Project},
  author = {Ai, X. and Allaire, C. and Calace, N. and Czirkos, A. and Elsing, M. and Ene, I. and
    Farkas, R. and Gagnon, L.-G. and Garg, R. and Gessinger, P. and Grasland, H. and Gray, H. M.
    and Gumpert, C. and Hrdinka, J. and Huth, B. and Kiehn, M. and Klimpel, F. and Kolbinger, B.
    and Krasznahorkay, A. and Langenberg, R. and Leggett, C. and Mania, G. and Moyse, E. and
    Niermann, J. and Osborn, J. D. and Rousseau, D. and Salzburger, A. and Schlag, B. and Tompkins,
    L. and Yamazaki, T. and Yeo, B. and Zhang, J.},
  journal = {Computing and Software for Big Science},
  volume = {6},
  pages = {8},
  year = {2022},
  doi = {10.1007/s41781-021-00078-8},
  eprint = {2106.13593},
  archiveprefix = {arXiv}
}"""

EVENT = 400  # tracks that a live fit puts into one event
NEIGHBOURS = 24  # modules tried for a hit
THICKNESS = 0.02  # mm: largest distance of a digitised hit from its module's plane
PITCHES = (
    ((7, 8, 9), (0.05, 0.05)),
    ((12, 13, 14), (0.08, 1.2)),
    ((16, 17, 18), (0.12, 10.8)),
)  # of the generic detector's volumes: pixels, short strips, long strips; mm
Resolution = tuple[tuple[tuple[int, ...], tuple[float, ...]], ...]
RESOLUTION: Resolution = tuple(
    (volumes, tuple(pitch / 12**0.5 for pitch in pitches)) for volumes, pitches in PITCHES
)


class Job(NamedTuple):
    """What the parts of an ACTS job are given. Surfaces die with their detector: it is kept."""

    sequencer: Any
    detector: Any
    geometry: Any
    field: Any
    random: Any


def begin(folder: Path, events: int, seed: int) -> Job:
    """A job whose particles are read from CSV files in `folder`, where its output goes as well.

    The files must be there already: readers count them when they are made.
    """
    import acts
    import acts.examples

    quiet = acts.logging.ERROR
    detector = acts.examples.GenericDetector(logLevel=quiet)
    field = acts.ConstantBField(acts.Vector3(0.0, 0.0, FIELD * acts.UnitConstants.T))
    # A single floating-point exception in FATRAS would end the whole job otherwise.
    sequencer = acts.examples.Sequencer(
        events=events, numThreads=1, logLevel=quiet, trackFpes=False, outputDir=str(folder)
    )
    sequencer.addReader(
        acts.examples.CsvParticleReader(
            level=quiet,
            inputDir=str(folder),
            inputStem="particles",
            outputParticles="particles_generated",
        )
    )
    sequencer.addWhiteboardAlias("particles", "particles_generated")
    sequencer.addWhiteboardAlias("particles_generated_selected", "particles_generated")
    random = acts.examples.RandomNumbers(seed=seed)
    return Job(sequencer, detector, detector.trackingGeometry(), field, random)


def write_particles(path: Path, particles: Particles) -> None:
    """The particles of one event as the CSV file that `begin` reads."""
    import pandas as pd

    count = len(particles.q)
    columns = {
        "particle_id_pv": particles.vertex_number + 1,
        "particle_id_sv": np.zeros(count, dtype=np.int64),
        "particle_id_part": np.arange(1, count + 1),
        "particle_id_gen": np.zeros(count, dtype=np.int64),
        "particle_id_subpart": np.zeros(count, dtype=np.int64),
        "particle_type": particles.pdg,
        "process": np.zeros(count, dtype=np.int64),
        **dict(zip(("vx", "vy", "vz"), particles.vertex.T, strict=True)),
        "vt": np.zeros(count),
        **dict(zip(("px", "py", "pz"), particles.momentum.T, strict=True)),
        "m": particles.mass,
        "q": particles.q,
    }
    pd.DataFrame(columns).to_csv(path, index=False)


def add_simulation(job: Job, folder: Path, resolution: Resolution = RESOLUTION) -> None:
    """FATRAS and Gaussian digitisation, written as CSV into `folder`."""
    import acts
    from acts.examples import simulation

    quiet, parts = acts.logging.ERROR, (job.sequencer, job.geometry, job.field)
    simulation.addFatras(
        *parts, job.random, enableInteractions=True, outputDirCsv=folder, logLevel=quiet
    )
    config = folder / "digitisation.json"
    config.write_text(json.dumps(digitisation(resolution)))
    simulation.addDigitization(
        *parts, digiConfigFile=config, rnd=job.random, outputDirCsv=folder, logLevel=quiet
    )


def digitisation(resolution: Resolution) -> dict[str, Any]:
    """Smearing of the local coordinates (mm) of each volume as an ACTS geometry map."""
    entries = []
    for volumes, sigmas in resolution:
        smearing = [
            {"index": index, "mean": 0.0, "stddev": sigma, "type": "Gauss"}
            for index, sigma in enumerate(sigmas)
        ]
        entries += [{"volume": volume, "value": {"smearing": smearing}} for volume in volumes]
    header = {"format-version": 0, "value-identifier": "digitization-configuration"}
    return {"acts-geometry-hierarchy-map": header, "entries": entries}


def add_grouping(job: Job) -> None:
    """Measurements of each simulated primary above 0.45 GeV, in the order of their crossings."""
    import acts
    import acts.examples
    from acts.examples import simulation

    quiet = acts.logging.ERROR
    selection = simulation.ParticleSelectorConfig(
        pt=(0.45 * acts.UnitConstants.GeV, None),
        measurements=(MINIMUM, None),
        removeNeutral=True,
        removeSecondaries=True,
    )
    simulation.addDigiParticleSelection(job.sequencer, selection, logLevel=quiet)
    job.sequencer.addAlgorithm(
        acts.examples.TruthTrackFinder(
            level=quiet,
            inputParticles="particles_selected",
            inputMeasurements="measurements",
            inputParticleMeasurementsMap="particle_measurements_map",
            inputSimHits="simhits",
            inputMeasurementSimHitsMap="measurement_simhits_map",
            outputProtoTracks="truth_particle_tracks",
        )
    )


def add_kalman(job: Job, folder: Path, particles: str) -> None:
    """Kalman fits (pion hypothesis) of the grouped measurements, written as CSV into `folder`.

    They start from the parameters of the whiteboard's `particles` with wide errors.
    """
    import acts
    import acts.examples
    from acts.examples import reconstruction

    unit, quiet = acts.UnitConstants, acts.logging.ERROR
    job.sequencer.addAlgorithm(
        acts.examples.ParticleTrackParamExtractor(
            level=quiet, inputParticles=particles, outputTrackParameters="trueparameters"
        )
    )
    exact = ("Loc0", "Loc0PtA", "Loc0PtB", "Loc1", "Loc1PtA", "Loc1PtB", "Time", "Phi", "Theta")
    job.sequencer.addAlgorithm(
        acts.examples.TrackParameterSmearing(
            level=quiet,
            inputTrackParameters="trueparameters",
            outputTrackParameters="estimatedparameters",
            randomNumbers=job.random,
            particleHypothesis=acts.ParticleHypothesis.pion,
            initialSigmas=[unit.mm, unit.mm, unit.degree, unit.degree, 0, unit.ns],
            initialSigmaQoverPt=0.1 / unit.GeV,
            initialSigmaPtRel=0.1,
            initialVarInflation=[1.0] * 6,
            **{f"sigma{name}": 0.0 for name in (*exact, "PtRel")},
        )
    )
    reconstruction.addKalmanTracks(job.sequencer, job.geometry, job.field, logLevel=quiet)
    # The writer's own cuts (1 GeV, 7 measurements) would drop tracks in silence.
    job.sequencer.addWriter(
        acts.examples.CsvTrackWriter(
            level=quiet,
            inputTracks="kf_tracks",
            inputMeasurementParticlesMap="measurement_particles_map",
            outputDir=str(folder),
            fileName="fitted.csv",
            ptMin=0,
            nMeasurementsMin=0,
        )
    )
    job.sequencer.addWriter(
        acts.examples.CsvTrackParameterWriter(
            level=quiet, inputTracks="kf_tracks", outputDir=str(folder), outputStem="parameters"
        )
    )


def read_kalman(stem: Path, particles: int) -> NDArray[np.float32]:
    """(particles, 4): q/pT, pz, d0, z0; d0 with our sign, NaN where no track was fitted."""
    import pandas as pd

    fitted = pd.read_csv(f"{stem}-fitted.csv")
    parameters = pd.read_csv(f"{stem}-parameters.csv").set_index("trackId")
    parameters = parameters.loc[fitted["track_id"]]
    number = fitted["particleId"].str.extract(r"p=(\d+)\|g=")[0].astype(int).to_numpy() - 1
    theta, qop = parameters["theta"].to_numpy(), parameters["qop"].to_numpy()
    estimate = np.full((particles, 4), np.nan, dtype=np.float32)
    columns = (
        qop / np.sin(theta),
        np.cos(theta) / np.abs(qop),
        -parameters["d0"],
        parameters["z0"],
    )
    estimate[number] = np.stack(columns, 1)
    return estimate


class Modules(NamedTuple):
    """The n sensitive plane modules of a detector.

    `code` (n,) are ACTS geometry identifiers; `centre` (n, 3) in mm; `axes` (n, 3, 3) holds local
    x, y and normal as columns; `half` (n, 2) in mm is half of the smallest box around the bounds;
    `variance` (n, 2) in mm^2.
    """

    code: NDArray[np.uint64]
    centre: Array
    axes: Array
    half: Array
    variance: Array


def modules(geometry: Any) -> Modules:
    """The modules of the generic detector with the resolution of their volumes."""
    import acts

    context = acts.GeometryContext.dangerouslyDefaultConstruct()
    surfaces: list[Any] = []
    geometry.visitSurfaces(surfaces.append)
    places = [surface.localToGlobalTransform(context) for surface in surfaces]
    axes = np.array([[[p.rotation[i, j] for j in range(3)] for i in range(3)] for p in places])
    bounds = [np.abs(surface.bounds.values()) for surface in surfaces]
    # Rectangles give two corners; trapezoids both half widths, half the height and a rotation.
    rectangle = [str(surface.bounds.type).endswith("Rectangle") for surface in surfaces]
    half = [b[:2] if r else (max(b[:2]), b[2]) for b, r in zip(bounds, rectangle, strict=True)]
    sigma = {volume: sigmas for volumes, sigmas in RESOLUTION for volume in volumes}
    sigmas = np.array([sigma[surface.geometryId.volume] for surface in surfaces])
    return Modules(
        np.array([surface.geometryId.value for surface in surfaces], dtype=np.uint64),
        np.array([[p.translation[i] for i in range(3)] for p in places]),
        axes,
        np.array(half, dtype=np.float64),
        sigmas**2,
    )


def locate(hits: Array, found: Modules) -> tuple[NDArray[np.int64], Array]:
    """Module number (m,) and local coordinates (m, 2) in mm of measured hits (m, 3).

    A hit belongs to the module whose plane is nearest among those whose bounds, widened by five
    resolutions, hold it. Raises ValueError when that plane is further than `THICKNESS`.
    """
    from scipy.spatial import cKDTree

    near = np.asarray(cKDTree(found.centre).query(hits, NEIGHBOURS)[1])
    local = np.einsum("mkij,mki->mkj", found.axes[near], hits[:, None] - found.centre[near])
    widened = found.half[near] + 5 * np.sqrt(found.variance[near])
    outside = (np.abs(local[..., :2]) > widened).any(2)
    distance = np.where(outside, np.inf, np.abs(local[..., 2]))
    best = distance.argmin(1)
    rows = np.arange(len(hits))
    far = distance[rows, best] > THICKNESS
    if far.any():
        raise ValueError(
            f"{int(far.sum())} of {len(hits)} hits are on no module of the generic detector; a "
            "live Kalman fit needs measured hits that were digitised by ACTS"
        )
    return near[rows, best], local[rows, best, :2]


def refit(hits: Array, mask: NDArray[np.bool_], start: Particles) -> Array:
    """(n, 4): q/pT, pz, d0, z0 of Kalman fits of the padded measured hits (n, slots, 3) in mm.

    `start` holds n starting points; those with q = 0 are not fitted and give NaN. Raises
    ImportError naming the extra without ACTS, and ValueError as `locate`.
    """
    try:
        import acts  # noqa: F401
    except ImportError as error:
        raise ImportError("a live Kalman fit needs ACTS: pip install 'physbench[acts]'") from error
    charged = np.flatnonzero(start.q)
    groups = [charged[i : i + EVENT] for i in range(0, len(charged), EVENT)]
    estimate = np.full((len(hits), 4), np.nan)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, group in enumerate(groups):
            # ACTS starts all particles of a vertex from one point, so each has its own.
            own = start.take(group)._replace(vertex_number=np.arange(len(group)))
            write_particles(folder / f"event{number:09d}-particles.csv", own)
        job = begin(folder, len(groups), seed=1)
        found = modules(job.geometry)
        measured = [_grouped(hits[group], mask[group], found) for group in groups]
        _add_measurements(job, measured)
        add_kalman(job, folder, "particles_generated")
        job.sequencer.run()
        for number, group in enumerate(groups):
            estimate[group] = read_kalman(folder / f"event{number:09d}", len(group))
    return estimate


Measured = list[tuple[int, int, list[float], list[float]]]


def _grouped(hits: Array, mask: NDArray[np.bool_], found: Modules) -> Measured:
    """Track, module code, local coordinates and their variances of each hit."""
    track, slot = np.nonzero(mask)
    place, local = locate(hits[track, slot], found)
    columns = (track, found.code[place], local, found.variance[place])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _add_measurements(job: Job, events: list[Measured]) -> None:
    """Measurements of each event, grouped by track, for the whiteboard."""
    import acts
    from acts import examples

    kinds = {
        "measurements": examples.MeasurementContainer,
        "measurement_particles_map": examples.MeasurementParticlesMap,
        "truth_particle_tracks": examples.ProtoTrackContainer,
    }

    class Measurements(examples.IAlgorithm):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("Measurements", acts.logging.ERROR)
            self.handles = {
                key: examples.WriteDataHandle(self, kind, key) for key, kind in kinds.items()
            }
            for key, handle in self.handles.items():
                handle.initialize(key)

        def execute(self, context: Any) -> Any:
            hits = events[context.eventNumber]
            made = {key: kind() for key, kind in kinds.items()}
            tracks = [examples.ProtoTrack() for _ in range(hits[-1][0] + 1)]
            for index, (track, code, local, variance) in enumerate(hits):
                made["measurements"].emplaceMeasurement(
                    acts.GeometryIdentifier(code), [0, 1], local, variance
                )
                owner = examples.SimBarcode()
                owner.vertexPrimary = owner.particle = track + 1
                made["measurement_particles_map"].insert(index, owner)
                tracks[track].append(index)
            for track in tracks:
                made["truth_particle_tracks"].append(track)
            for key, handle in self.handles.items():
                handle(context, made[key])
            return examples.ProcessCode.SUCCESS

    job.sequencer.addAlgorithm(Measurements())
