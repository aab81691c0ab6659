"""Hashing: buckets of hits that are near in angle, seeds searched in one bucket at a time.

Neighbours are found with Annoy (extra `[hashing]`) or exactly; seeds with ACTS (extra `[acts]`) or
in NumPy. The idea: a seed finder that keeps few seeds at each middle hit drops good ones, fewer in
small buckets; and buckets can be done side by side. One bucket of all hits is plain seeding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from physbench.datasets import Split
from physbench.datasets.hits import Event
from physbench.models import Model
from physbench.models.hits import _acts_seeding as acts_seeding
from physbench.models.hits import _buckets as buckets
from physbench.models.hits import _triplets as triplets
from physbench.models.hits._bucket_seeds import Finder, Prediction, predicted

EVENTS = 12  # that the windows of `numpy` are learned from


@dataclass(frozen=True)
class Fitted:
    """How buckets are made, and what finds seeds in them."""

    hashing: buckets.Hashing
    finder: Finder


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
        train.inputs[:EVENTS],
        train.targets[:EVENTS],
        pt_min=0.7,
        outside=0.003,
        rare=0.002,
        keep=per_middle,
    )
    return Fitted(hashing, limits)


def predict(fitted: Fitted, events: Sequence[Event]) -> list[Prediction]:
    """Seeds and buckets of each event."""
    return [
        predicted(event, buckets.buckets(event, fitted.hashing), fitted.finder) for event in events
    ]


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
