"""Splits: never empty, never twice the same file, units by position."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from physbench.datasets import Split, Splits, take


def part(units: int) -> Split:
    return Split(np.arange(units), np.arange(units), [str(k) for k in range(units)])


@pytest.mark.parametrize(
    ("sizes", "name"), [((0, 1, 1), "train"), ((1, 0, 1), "validation"), ((1, 1, 0), "test")]
)
def test_an_empty_split_is_refused_by_name(sizes: tuple[int, int, int], name: str) -> None:
    with pytest.raises(ValueError, match=f"split {name} must not be empty"):
        Splits(*map(part, sizes), {})


def test_data_with_a_test_part_alone_say_so() -> None:
    assert len(Splits(part(0), part(0), part(3), {}, test_only=True).test) == 3
    for sizes in ((0, 0, 0), (1, 0, 3), (1, 1, 1)):
        with pytest.raises(ValueError, match="test_only"):
            Splits(*map(part, sizes), {}, test_only=True)


def test_two_files_of_one_content_are_refused_with_both_names() -> None:
    parts = part(1), part(1), part(1)
    with pytest.raises(ValueError, match=r"train\.h5 and test\.h5 have the same content"):
        Splits(*parts, {"train.h5": "a" * 64, "val.h5": "b" * 64, "test.h5": "a" * 64})


def test_a_series_is_taken_by_position_whatever_its_labels() -> None:
    values = np.array([5.0, 6.0, 7.0])
    for index in ([2, 0, 1], [100, 200, 300], ["a", "b", "c"]):
        series = pd.Series(values, index=index)
        split = Split(series, series, ["x", "y", "z"])
        assert isinstance(split.targets, np.ndarray)
        assert split.take([0, 2]).targets.tolist() == [5.0, 7.0]
        assert take(series, np.array([0, 2])).tolist() == [5.0, 7.0]
