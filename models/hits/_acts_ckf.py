"""Seeding, combinatorial Kalman filter and ambiguity resolution of ACTS (extra `[acts]`).

Written for ACTS 48.1.0: names change between its major versions. Space points and measurements
are made of measured hits, which are found again on the modules of the generic detector.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import acts_chain
from physbench.datasets.common.helix import FIELD
from physbench.datasets.hits import Event, Integers

ETA_MAX = 4.0
CHI2 = (15.0, 25.0)  # of a measurement: to be taken, to be an outlier


class Seeding(NamedTuple):
    """Where seeds come from; lengths in mm, momenta in GeV.

    `volumes` give the space points, of radii below `radius`; two of a seed lie at most `step`
    apart, the middle one between `middle`; `impact` is the largest distance from the axis.
    """

    volumes: tuple[int, ...]
    radius: float
    step: float
    middle: tuple[float, float]
    impact: float
    pt_min: float
    per_middle: int


PIXELS = Seeding((7, 8, 9), 200.0, 100.0, (25.0, 180.0), 10.0, 0.1, 1)
# Hits of short strips know both coordinates here: particles made outside the pixels start there.
STRIPS = Seeding((12, 13, 14), 720.0, 400.0, (300.0, 640.0), 60.0, 0.4, 2)


class Detector(NamedTuple):
    """The generic detector of ACTS; surfaces die with the `engine`: it is kept."""

    engine: Any
    geometry: Any
    modules: acts_chain.Modules


Measured = tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.float64]]


def detector() -> Detector:
    """Raises ImportError naming the extra where ACTS is not installed."""
    try:
        import acts
        import acts.examples
    except ImportError as error:
        raise ImportError(
            "the combinatorial Kalman filter needs ACTS: pip install 'physbench[acts]'"
        ) from error
    engine = acts.examples.GenericDetector(logLevel=acts.logging.ERROR)
    geometry = engine.trackingGeometry()
    return Detector(engine, geometry, acts_chain.modules(geometry))


def measured(event: Event, found: Detector) -> Measured:
    """Module codes (n,), local coordinates and variances (n, 2) of the hits of an event."""
    place, local = acts_chain.locate(np.stack([event.x, event.y, event.z], 1), found.modules)
    return found.modules.code[place], local, found.modules.variance[place]


def tracks(
    events: Sequence[Measured], found: Detector, seeding: Seeding, hits_min: int
) -> list[list[Integers]]:
    """Positions of the hits of each track, for each event; a hit may be in several tracks."""
    import acts
    from acts import examples

    with tempfile.TemporaryDirectory() as scratch:
        job = examples.Sequencer(
            events=len(events),
            numThreads=1,
            logLevel=acts.logging.ERROR,
            trackFpes=False,
            outputDir=scratch,
        )
        _add_measurements(job, events)
        field = acts.ConstantBField(acts.Vector3(0.0, 0.0, FIELD * acts.UnitConstants.T))
        seeds = _add_seeding(job, found, seeding, Path(scratch))
        _add_finding(job, found, field, seeds, hits_min)
        job.addWriter(
            examples.CsvTrackWriter(
                level=acts.logging.ERROR,
                inputTracks="resolved",
                outputDir=scratch,
                inputMeasurementParticlesMap="measurement_particles_map",
                fileName="tracks.csv",
                ptMin=0,
                nMeasurementsMin=0,
            )
        )
        job.run()
        names = [f"event{number:09d}-tracks.csv" for number in range(len(events))]
        return [_read(Path(scratch) / name) for name in names]


def _read(path: Path) -> list[Integers]:
    import pandas as pd

    lists = pd.read_csv(path)["Measurements_ID"].astype(str).str.strip('[]"')
    return [np.array([int(k) for k in text.split(",") if k.strip()], np.int64) for text in lists]


def _add_measurements(job: Any, events: Sequence[Measured]) -> None:
    """Measurements of each event on the whiteboard, and all of them as a subset."""
    import acts
    from acts import examples

    kinds = {
        "measurements": examples.MeasurementContainer,
        "measurement_particles_map": examples.MeasurementParticlesMap,
    }

    class Source(examples.IAlgorithm):
        def __init__(self) -> None:
            super().__init__("Source", acts.logging.ERROR)
            self.handles = {k: examples.WriteDataHandle(self, v, k) for k, v in kinds.items()}
            for key, handle in self.handles.items():
                handle.initialize(key)

        def execute(self, context: Any) -> Any:
            made = {key: kind() for key, kind in kinds.items()}
            rows = (column.tolist() for column in events[context.eventNumber])
            for code, local, variance in zip(*rows, strict=True):
                place = acts.GeometryIdentifier(code)
                made["measurements"].emplaceMeasurement(place, [0, 1], local, variance)
            for key, handle in self.handles.items():
                handle(context, made[key])
            return examples.ProcessCode.SUCCESS

    class Subset(examples.IAlgorithm):
        def __init__(self) -> None:
            super().__init__("Subset", acts.logging.ERROR)
            self.given = examples.ReadDataHandle(self, examples.MeasurementContainer, "given")
            self.given.initialize("measurements")
            self.made = examples.WriteDataHandle(self, examples.MeasurementSubset, "made")
            self.made.initialize("measurement_subset")

        def execute(self, context: Any) -> Any:
            whole = self.given(context.eventStore)
            self.made(context, examples.MeasurementSubset(whole, list(range(len(whole)))))
            return examples.ProcessCode.SUCCESS

    job.addAlgorithm(Source())
    job.addAlgorithm(Subset())


def _add_seeding(job: Any, found: Detector, seeding: Seeding, folder: Path) -> str:
    """Space points and grid triplets; the name of the seeds."""
    import acts
    import acts.examples.json
    from acts.examples import reconstruction

    unit, quiet = acts.UnitConstants, acts.logging.ERROR
    chosen = folder / "volumes.json"
    chosen.write_text(json.dumps([{"volume": volume} for volume in seeding.volumes]))
    points = reconstruction.addSpacePointsMaking(job, found.geometry, chosen, None, logLevel=quiet)
    finder = reconstruction.SeedFinderConfigArg(
        r=(None, seeding.radius * unit.mm),
        deltaR=(1 * unit.mm, seeding.step * unit.mm),
        collisionRegion=(-50 * unit.mm, 50 * unit.mm),
        rMinMiddle=seeding.middle[0],
        rMaxMiddle=seeding.middle[1],
        z=(-2000 * unit.mm, 2000 * unit.mm),
        maxSeedsPerSpM=seeding.per_middle,
        sigmaScattering=5,
        radLengthPerSeed=0.1,
        minPt=seeding.pt_min * unit.GeV,
        impactMax=seeding.impact * unit.mm,
        cotThetaMax=np.sinh(ETA_MAX),
    )
    found_seeds: str = reconstruction.addGridTripletSeeding(
        job,
        points,
        reconstruction.SeedingAlgorithmConfigArg(),
        finder,
        reconstruction.SeedFinderOptionsArg(bFieldInZ=FIELD * unit.T),
        reconstruction.SeedFilterConfigArg(),
        reconstruction.SpacePointGridConfigArg(),
        quiet,
    )
    return found_seeds


def _add_finding(job: Any, found: Detector, field: Any, seeds: str, hits_min: int) -> None:
    """Parameters of the seeds, the combinatorial filter both ways, greedy resolution."""
    import acts
    from acts import examples

    unit, quiet = acts.UnitConstants, acts.logging.ERROR
    place = {"level": quiet, "trackingGeometry": found.geometry, "magneticField": field}
    job.addAlgorithm(
        examples.TrackParamsEstimationAlgorithm(
            inputSeeds=seeds,
            outputTrackParameters="estimated",
            outputSeeds="estimated_seeds",
            initialSigmas=[unit.mm, unit.mm, unit.degree, unit.degree, 0.1 / unit.GeV, unit.ns],
            initialVarInflation=[1.0] * 6,
            **place,
        )
    )
    taken, outlier = CHI2
    job.addAlgorithm(
        examples.TrackFindingAlgorithm(
            measurementSelectorCfg=acts.MeasurementSelector.Config(
                [(acts.GeometryIdentifier(), ([], [taken], [outlier], [1]))]
            ),
            inputMeasurements="measurement_subset",
            inputInitialTrackParameters="estimated",
            inputSeeds="estimated_seeds",
            outputTracks="found",
            findTracks=examples.TrackFindingAlgorithm.makeTrackFinderFunction(
                found.geometry, field, quiet
            ),
            trackSelectorCfg=acts.TrackSelector.Config(
                ptMin=0.1 * unit.GeV, minMeasurements=hits_min
            ),
            seedDeduplication=True,
            stayOnSeed=True,
            twoWay=True,
            **place,
        )
    )
    job.addAlgorithm(
        examples.GreedyAmbiguityResolutionAlgorithm(
            level=quiet,
            inputTracks="found",
            outputTracks="resolved",
            maximumSharedHits=2,
            nMeasurementsMin=hits_min,
            maximumIterations=100000,
        )
    )


def labelled(hits: int, found: Sequence[Integers], first: int = 0) -> Integers:
    """One label a hit: `first`, `first` + 1, ...; a shared hit stays with its first track."""
    labels = np.full(hits, -1, dtype=np.int64)
    for number, members in enumerate(found, first):
        labels[members[labels[members] < 0]] = number
    return labels
