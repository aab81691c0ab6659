"""Seeds found in one bucket of hits at a time, by ACTS or in NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.hits import Event, Integers
from physbench.models.hits import _acts_seeding as acts_seeding
from physbench.models.hits import _triplets as triplets

Finder = acts_seeding.Cuts | triplets.Limits
Prediction = dict[str, NDArray[np.int64]]


def predicted(event: Event, buckets: Sequence[Integers], finder: Finder) -> Prediction:
    """The prediction of `track_seeds`: seeds (k, 3), hits of all buckets and their sizes."""
    if isinstance(finder, triplets.Limits):
        seeds = triplets.seeds_in(event, buckets, finder)
    else:
        seeds = acts_seeding.seeds(event, buckets, finder)
    return {
        "seeds": np.concatenate([np.zeros((0, 3), dtype=np.int64), *seeds]),
        "bucket_hits": np.concatenate([np.zeros(0, dtype=np.int64), *buckets]),
        "bucket_sizes": np.array([len(bucket) for bucket in buckets], dtype=np.int64),
    }
