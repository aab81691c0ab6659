"""Triplets in NumPy: windows learned from true pairs, pairs joined where they agree at a hit.

The share of true pairs that the windows leave out, and the smallest momentum learned from, are
chosen on validation: the most particles found among those with enough true seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

from physbench.datasets import Split
from physbench.datasets.hits import Event, Integers
from physbench.models import Model
from physbench.models.hits import _triplets as triplets

OUTSIDE = (0.002, 0.003, 0.005)


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    keep: int = 3,
    events: int = 12,
    pt_min: float = 0.7,
    outside: float = 0.0,
    rare: float = 0.002,
    purity: float = 0.4,
) -> triplets.Limits:
    """Limits of pairs and triplets.

    Parameters
    ----------
    keep:
        Triplets at each middle hit: in dense events the best one is often of chance.
    events:
        The first so many training events are learned from.
    pt_min:
        Particles learned from, in GeV.
    outside:
        Share of true pairs left out of each window; 0 chooses it on validation.
    rare:
        Share of true pairs lost with the rarest pairs of layers.
    purity:
        Least purity on validation; above the task's, since the test events are others.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1; got {keep}")
    found = [
        triplets.learn(
            train.inputs[:events],
            train.targets[:events],
            pt_min=pt_min,
            outside=share,
            rare=rare,
            keep=keep,
        )
        for share in ([outside] if outside else OUTSIDE)
    ]
    if len(found) == 1:
        return found[0]
    return max(found, key=lambda limits: _quality(validation, limits, purity))


def _quality(validation: Split, limits: triplets.Limits, least: float) -> tuple[bool, float]:
    """Pure enough first, then efficient; where none is, the purest."""
    answers = predict(limits, validation.inputs)
    purity = validation.metrics["seed_purity"](answers)
    if not purity >= least:
        return False, purity if purity == purity else 0.0
    return True, validation.metrics["seed_efficiency"](answers)


def predict(limits: triplets.Limits, events: Sequence[Event]) -> list[Integers]:
    """(k, 3) hit positions for each event."""
    return [triplets.seeds(event, limits) for event in events]


MODEL = Model(
    tasks=("track_seeds",),
    reference="windows learned from true pairs of hits, joined to triplets",
    fit=fit,
    predict=predict,
    quick={"outside": 0.003},
    deterministic=True,
)
