"""Columns that are more than memory should hold: the same numbers, mapped from a file."""

from __future__ import annotations

import ast
import errno
import os
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.running import exchange
from physbench.datasets.common import on_disk
from physbench.datasets.common.on_disk import Columns

# Linux has them: there a mapping that no other process finds is a failure, never a skip.
DESCRIPTORS = pytest.mark.skipif(
    sys.platform != "linux", reason="this system does not show the descriptors of a process"
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "LARGEST", 100)
    monkeypatch.setattr(on_disk, "BLOCK", 64)


def grown(parts: int = 5) -> dict[str, NDArray[Any]]:
    columns = Columns()
    for k in range(parts):
        x = np.arange(12, dtype=np.float32).reshape(3, 2, 2) + 12 * k
        columns.add(x=x, label=np.full(3, k, dtype=np.int8))
    return columns.arrays()


def test_columns_in_memory_and_on_disk_hold_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    held = grown()
    monkeypatch.setattr(on_disk, "LARGEST", 100)
    mapped = grown()
    for name, values in held.items():
        np.testing.assert_array_equal(mapped[name], values)
        assert mapped[name].dtype == values.dtype
        assert on_disk.place(values) is None
        assert type(mapped[name]) is np.ndarray
        with pytest.raises(ValueError, match="read-only"):
            mapped[name][0] = 0
    assert held["x"].shape == (15, 2, 2)
    assert held["x"][7].tolist() == [[28, 29], [30, 31]]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "index", [slice(2, 9), slice(None, None, 3), np.arange(4, 12), np.array([7, 0, 7]), []]
)
def test_what_is_taken_is_what_numpy_takes(index: Any) -> None:
    x = grown()["x"]
    rows = np.asarray(index, dtype=np.int64) if isinstance(index, list) else index
    np.testing.assert_array_equal(on_disk.taken(x, rows), np.array(x)[rows])


@pytest.mark.usefixtures("tiny")
def test_a_mask_takes_and_rows_in_a_row_stay_a_view() -> None:
    x = grown()["x"]
    chosen = np.arange(15) % 2 == 0
    np.testing.assert_array_equal(on_disk.taken(x, chosen), np.array(x)[chosen])
    assert np.shares_memory(on_disk.taken(x, np.arange(3, 8)), x)


@DESCRIPTORS
@pytest.mark.usefixtures("tiny")
def test_another_process_maps_the_same_file() -> None:
    x = grown()["x"]
    views = (x, x[4:9], x[1::3], x[:, 1])
    places = [on_disk.place(view) for view in views]
    program = (
        "from physbench.datasets.common.on_disk import opened\n"
        f"print([opened(*place).tolist() for place in {places}])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ast.literal_eval(found.stdout) == [view.tolist() for view in views]


@DESCRIPTORS
@pytest.mark.usefixtures("tiny")
def test_the_file_goes_with_the_last_array() -> None:
    before = set(os.listdir("/proc/self/fd"))
    found: Any = grown()
    kept = found["x"][2:4]
    assert len(set(os.listdir("/proc/self/fd")) - before) >= 2
    del found
    assert kept[0, 0, 0] == 8
    del kept
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("shown", [pytest.param(True, marks=DESCRIPTORS), False])
def test_the_models_process_gets_the_same_numbers(
    shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its place where there is one, and copied elsewhere."""
    x = grown()["x"]
    if not shown:
        monkeypatch.setattr(on_disk, "place", lambda array: None)
    shared = exchange.Shared("test")
    try:
        exchange.send(shared, {"x": x, "part": x[3:5]})
        found = exchange.receive(shared.path)
    finally:
        shared.close()
    monkeypatch.undo()
    np.testing.assert_array_equal(found["x"], x)
    np.testing.assert_array_equal(found["part"], x[3:5])
    assert (on_disk.place(found["x"]) is not None) == shown
    assert not found["x"].flags.writeable


@pytest.mark.usefixtures("tiny")
def test_parts_must_be_alike() -> None:
    columns = Columns()
    columns.add(x=np.zeros((2, 3), dtype=np.float32))
    for wrong in (np.zeros((2, 4), dtype=np.float32), np.zeros((2, 3))):
        with pytest.raises(ValueError, match="a part must have as many rows in all columns"):
            columns.add(x=wrong)
    with pytest.raises(ValueError, match="a part must have as many rows in all columns"):
        columns.add(x=np.zeros((2, 3), dtype=np.float32), y=np.zeros(3))


@pytest.mark.usefixtures("tiny")
def test_a_full_disk_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(OSError, match=r"No space left on device: a split of .* set TMPDIR"):
        grown()
