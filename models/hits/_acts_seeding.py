"""Grid triplet seeding of ACTS on any subsets of an event's hits (extra `[acts]`).

Each subset is one event of an ACTS job, so that thousands of buckets cost one start of it. Written
for ACTS 48.1.0: names change between its major versions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.acts_chain import RESOLUTION
from physbench.datasets.common.helix import FIELD
from physbench.datasets.hits import Event, Floats, Integers

BARREL = 8  # the pixel volume whose modules measure z; the others measure r
THIN = 1e-3  # mm: error along the coordinate that a module fixes
WIDE, REGION = (25.0, 180.0), 50.0  # mm: radii of the middle hit, |z| of the collisions


@dataclass(frozen=True)
class Cuts:
    """Cuts of the seed finder; lengths in mm.

    `per_middle`: seeds kept at each middle hit; `middle`: radii between which it may lie (None:
    ACTS' own window by layer); `reach`: shortest and longest step in r between hits; `region`:
    |z| of the collisions; `pt_min` in GeV; `impact`: largest distance from the axis.
    """

    per_middle: int = 1
    middle: tuple[float, float] | None = None
    reach: tuple[float, float] = (1.0, 60.0)
    region: float = 250.0
    pt_min: float = 0.5
    impact: float = 3.0


def cuts(per_middle: int, wide: bool) -> Cuts:
    """The talk's cuts, or with `wide` those that fit the detector and the collisions here."""
    if per_middle < 1:
        raise ValueError(f"per_middle must be at least 1; got {per_middle}")
    if not wide:
        return Cuts(per_middle)
    return Cuts(per_middle, middle=WIDE, region=REGION)


def seeds(event: Event, buckets: Sequence[Integers], cuts: Cuts) -> list[Integers]:
    """(k, 3) hit positions of the seeds of each bucket, which holds positions of hits.

    Raises ImportError naming the extra without ACTS.
    """
    try:
        import acts.examples
    except ImportError as error:
        raise ImportError("seeding with ACTS needs it: pip install 'physbench[acts]'") from error
    points, found = space_points(event), [np.zeros((0, 3), dtype=np.int64)] * len(buckets)
    filled = [number for number, bucket in enumerate(buckets) if len(bucket)]
    if not filled:
        return found
    with tempfile.TemporaryDirectory() as scratch:
        sequencer = acts.examples.Sequencer(
            events=len(filled),
            numThreads=1,
            logLevel=acts.logging.ERROR,
            trackFpes=False,
            outputDir=scratch,
        )
        _add_source(sequencer, [points[buckets[number]] for number in filled])
        _add_seeding(sequencer, cuts)
        answers: list[Integers] = []
        _add_sink(sequencer, answers)
        sequencer.run()
    for number, answer in zip(filled, answers, strict=True):
        found[number] = buckets[number][answer]
    return found


def space_points(event: Event) -> Floats:
    """(hits, 6): x, y, z, r and the variances of r and z, in mm and mm^2."""
    ((_, sigmas), *_) = RESOLUTION
    good, exact = max(sigmas) ** 2, THIN**2
    barrel = event.volume_id == BARREL
    variance = np.where(barrel[:, None], [exact, good], [good, exact])
    return np.column_stack([event.x, event.y, event.z, event.r, variance])


def _add_source(sequencer: Any, buckets: Sequence[Floats]) -> None:
    """Space points of each bucket for the whiteboard."""
    import acts
    from acts import examples

    class Source(examples.IAlgorithm):
        def __init__(self) -> None:
            super().__init__("Source", acts.logging.ERROR)
            self.handle = examples.WriteDataHandle(self, acts.SpacePointContainer, "points")
            self.handle.initialize("points")

        def execute(self, context: Any) -> Any:
            container = acts.SpacePointContainer(acts.SpacePointColumns.All)
            rows = buckets[context.eventNumber].tolist()
            container.reserve(len(rows))
            for row in rows:
                point = container.createSpacePoint()
                point.x, point.y, point.z, point.r, point.varianceR, point.varianceZ = row
            self.handle(context, container)
            return examples.ProcessCode.SUCCESS

    sequencer.addAlgorithm(Source())


def _add_seeding(sequencer: Any, cuts: Cuts) -> None:
    """The grid seeder with our cuts; everything else as ACTS has it."""
    import acts
    from acts.examples import reconstruction as chain

    unit = acts.UnitConstants
    middle = cuts.middle or (None, None)
    finder = chain.SeedFinderConfigArg(
        r=(None, 200 * unit.mm),
        deltaR=(cuts.reach[0] * unit.mm, cuts.reach[1] * unit.mm),
        collisionRegion=(-cuts.region * unit.mm, cuts.region * unit.mm),
        z=(-2000 * unit.mm, 2000 * unit.mm),
        maxSeedsPerSpM=cuts.per_middle,
        sigmaScattering=5,
        radLengthPerSeed=0.1,
        minPt=cuts.pt_min * unit.GeV,
        impactMax=cuts.impact * unit.mm,
        cotThetaMax=float(np.sinh(4.0)),  # |eta| < 4
        rMinMiddle=middle[0],
        rMaxMiddle=middle[1],
    )
    chain.addGridTripletSeeding(
        sequencer,
        "points",
        chain.SeedingAlgorithmConfigArg(),
        finder,
        chain.SeedFinderOptionsArg(bFieldInZ=FIELD * unit.T),
        chain.SeedFilterConfigArg(),
        chain.SpacePointGridConfigArg(),
        acts.logging.ERROR,
    )


def _add_sink(sequencer: Any, answers: list[NDArray[np.int64]]) -> None:
    """Append the seeds of each bucket, (k, 3) positions in it."""
    import acts
    from acts import examples

    class Sink(examples.IAlgorithm):
        def __init__(self) -> None:
            super().__init__("Sink", acts.logging.ERROR)
            self.handle = examples.ReadDataHandle(self, acts.SeedContainer, "seeds")
            self.handle.initialize("seeds")

        def execute(self, context: Any) -> Any:
            found = [seed.spacePointIndices for seed in self.handle(context.eventStore)]
            answers.append(np.array(found, dtype=np.int64).reshape(-1, 3))
            return examples.ProcessCode.SUCCESS

    sequencer.addAlgorithm(Sink())
