"""Hashing: buckets of hits that are near in angle, seeds searched in one bucket at a time.

Neighbours are found with Annoy (extra `[hashing]`) or exactly; seeds with ACTS (extra `[acts]`) or
in NumPy. The idea: a seed finder that keeps few seeds at each middle hit drops good ones, fewer in
small buckets; and buckets can be done side by side. One bucket of all hits is plain seeding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.hits import Event
from physbench.models import Model
from physbench.models.hits import _acts_seeding as acts_seeding
from physbench.models.hits import _buckets as buckets
from physbench.models.hits import _triplets as triplets

EVENTS = 12  # that the windows of `numpy` are learned from
Prediction = dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Fitted:
    """How buckets are made, and what finds seeds in them."""

    hashing: buckets.Hashing
    finder: acts_seeding.Cuts | triplets.Limits


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    distance: str = "dphi",
    size: int = 100,
    slices: int = 100,
    axis: str = "phi",
    discs: bool = False,
    search: str = "annoy",
    finder: str = "acts",
    per_middle: int = 1,
    wide: bool = False,
) -> Fitted:
    """See `_buckets.Hashing` for the buckets.

    Parameters
    ----------
    finder:
        `acts`, or `numpy`: triplets with windows learned from training events.
    per_middle, wide:
        As in `acts_seeding`; `wide` means nothing to `numpy`.
    """
    hashing = buckets.Hashing(distance, size, slices, axis, discs, search)
    if finder == "acts":
        return Fitted(hashing, acts_seeding.cuts(per_middle, wide))
    if finder != "numpy":
        raise ValueError(f"finder must be 'acts' or 'numpy'; got '{finder}'")
    limits = triplets.learn(
        train.inputs[:EVENTS], train.targets[:EVENTS], pt_min=0.7, outside=0.003, rare=0.002,
        keep=per_middle,
    )  # fmt: skip
    return Fitted(hashing, limits)


def predict(fitted: Fitted, events: Sequence[Event]) -> list[Prediction]:
    """Seeds and buckets of each event."""
    return [_predicted(fitted, event) for event in events]


def _predicted(fitted: Fitted, event: Event) -> Prediction:
    found = buckets.buckets(event, fitted.hashing)
    if isinstance(fitted.finder, triplets.Limits):
        seeds = triplets.seeds_in(event, found, fitted.finder)
    else:
        seeds = acts_seeding.seeds(event, found, fitted.finder)
    return {
        "seeds": np.concatenate([np.zeros((0, 3), dtype=np.int64), *seeds]),
        "bucket_hits": np.concatenate([np.zeros(0, dtype=np.int64), *found]),
        "bucket_sizes": np.array([len(bucket) for bucket in found], dtype=np.int64),
    }


MODEL = Model(
    tasks=("track_seeds",),
    reference="""@article{hashing2021,
  title = {Hashing and metric learning for charged particle tracking},
  author = {Amrouche, Sabrina and Kiehn, Moritz and Golling, Tobias and Salzburger, Andreas},
  year = {2021},
  eprint = {2101.06428},
  archivePrefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    role="classical",
    quick={"search": "exact", "finder": "numpy", "size": 20},
    deterministic=True,
)
