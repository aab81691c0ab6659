"""Fields that are made when somebody asks for them."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from physbench.datasets.common.streaming import later
from physbench.datasets.jets import Jets


def test_a_field_given_as_a_function_is_made_once_when_it_is_asked_for() -> None:
    made = []

    def constituents() -> NDArray[np.float32]:
        made.append(1)
        return np.arange(18, dtype=np.float32).reshape(2, 3, 3)

    column = np.ones(2, dtype=np.float32)
    jets = Jets(later(constituents), column, column, column, np.ones(2, dtype=np.int64))
    last = jets.take([1])
    assert (len(jets), len(last), made) == (2, 1, [])
    assert last.constituents[0, 0].tolist() == [9, 10, 11]
    assert last.mask.shape == (1, 3)
    for other in (copy.deepcopy(jets), pickle.loads(pickle.dumps(jets))):
        assert other.constituents.shape == (2, 3, 3)
    assert made == [1]
    with pytest.raises(AttributeError, match="Jets has no attribute 'mas'"):
        _ = jets.mas  # type: ignore[attr-defined]


def test_a_field_is_checked_when_it_is_made() -> None:
    column = np.ones(2, dtype=np.float32)
    jets = Jets(later(lambda: np.ones((2, 3))), column, column, column, np.ones(2, dtype=np.int64))
    with pytest.raises(ValueError, match=r"must have shape \(jets, slots, 3\)"):
        _ = jets.constituents
