"""Grid triplet seeding of ACTS, live (extra `[acts]`): the classical row.

By default the cuts of the talk on hashing (Couthures, CTD 2023): one seed at each middle hit and
its window of 60 to 120 mm for the middle hit in the barrel. `wide` opens it to 25 to 180 mm and
takes collisions within 50 mm of the origin, which is where they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from physbench.datasets import Split
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
    reference="""@article{acts,
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
  doi = {10.1007/s41781-021-00078-8}
}""",
    fit=fit,
    predict=predict,
    role="classical",
    deterministic=True,
)
