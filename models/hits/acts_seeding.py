"""Grid triplet seeding of ACTS, live (extra `[acts]`): the classical row.

By default the cuts of the talk on hashing (Couthures, CTD 2023): one seed at each middle hit and
its window of 60 to 120 mm for the middle hit in the barrel. `wide` opens it to 25 to 180 mm and
takes collisions within 50 mm of the origin, which is where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from physbench.datasets import Split
from physbench.datasets.common import acts_chain
from physbench.datasets.hits import Event, Integers
from physbench.models import Model
from physbench.models.hits import _acts_seeding as acts_seeding


def fit(
    train: Split, validation: Split, *, seed: int, per_middle: int = 1, wide: bool = False
) -> acts_seeding.Cuts:
    """Nothing is learned; `per_middle` is ACTS' maxSeedsPerSpM."""
    return acts_seeding.cuts(per_middle, wide)


def predict(cuts: acts_seeding.Cuts, events: Sequence[Event]) -> list[Integers]:
    """(k, 3) hit positions for each event."""
    everything = [np.arange(len(event)) for event in events]
    return [
        acts_seeding.seeds(event, [hits], cuts)[0]
        for event, hits in zip(events, everything, strict=True)
    ]


MODEL = Model(
    tasks=("track_seeds",),
    reference=acts_chain.CITATION,
    fit=fit,
    predict=predict,
    role="classical",
    deterministic=True,
)
