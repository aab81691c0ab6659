"""The talk's two-dimensional toy: exact circles through ten rings, made on the fly.

One particle an event, pT uniform in 1 to 5 GeV, vertex spread 0.1/sqrt(2) in x and in y, ten rings
from 0.5 to 3, no smearing, no noise, no holes; only the first quarter turn is seen. In the talk
the radius of curvature equals pT in detector units; here a unit is the radius of curvature of
1 GeV at 2 T, 1667.82 mm, so that pT follows from millimetres as everywhere. z and pz are 0.

A circle fit is exact, so this is a test of correctness and no board.
"""

from __future__ import annotations

import numpy as np

from physbench.datasets import Dataset
from physbench.datasets.common import helix
from physbench.datasets.common.helix import BEND, FIELD
from physbench.datasets.common.particle_mix import SPECIES
from physbench.datasets.tracks import Sample, padded
from physbench.datasets.tracks._generated import sample

UNIT = 1 / (BEND * FIELD)  # mm: radius of curvature of 1 GeV
RINGS = np.linspace(0.5, 3.0, 10)
SPREAD = 0.1 / np.sqrt(2)
PT_RANGE = (1.0, 5.0)


def load(*, tracks: int = 20_000, seed: int = 1) -> Sample:
    """`tracks` particles, split 70/10/20 in order. Raises ValueError for fewer than 10."""
    generator = np.random.default_rng(seed)
    pt = generator.uniform(*PT_RANGE, tracks)
    phi = generator.uniform(-np.pi, np.pi, tracks)
    q = generator.choice([-1.0, 1.0], tracks)
    vertex = generator.normal(0, SPREAD * UNIT, (tracks, 2))
    crossings, owners = [], []
    for ring in RINGS:
        turn, point = helix.advance(vertex, phi, q, pt * UNIT, ring * UNIT)
        seen = np.flatnonzero(turn <= np.pi / 2)
        crossings.append(np.column_stack([point[seen], np.zeros(len(seen))]))
        owners.append(seen)
    hits = padded(np.concatenate(crossings), np.concatenate(owners), tracks, len(RINGS))
    momentum = np.column_stack([pt * np.cos(phi), pt * np.sin(phi), np.zeros(tracks)])
    position = np.column_stack([vertex, np.zeros(tracks)])
    return sample("toy_tracks", hits, hits, position, momentum, q, np.full(tracks, SPECIES[0][1]))


DATASET = Dataset(
    summary="the talk's 2-D toy: exact circles through ten rings, made on the fly",
    version="1",
    licence="CC0-1.0",
    citation="""@misc{trackformer2025,
  title = {TrackFormer: track-parameter regression with transformers},
  howpublished = {thesis talk, 26 March 2025},
  year = {2025},
  url = {https://github.com/CouthuresJeremy/TrackFormer}
}""",
    source="drawn by load() of this file from a seed",
    load=load,
)
