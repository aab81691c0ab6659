"""Fitted arrays in one file that executes nothing when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write(path: Path, **arrays: Any) -> None:
    """Named arrays and numbers."""
    with Path(path).open("wb") as file:
        np.savez_compressed(file, **arrays)


def read(path: Path) -> dict[str, NDArray[Any]]:
    """What `write` wrote, by name."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
