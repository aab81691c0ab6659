"""Weights that others have published, as plain arrays checked by their digest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import File
from physbench.datasets.common import store

FOLDERS = ("weights", "glass", ".")


def arrays(file: File, origin: str) -> dict[str, NDArray[np.float32]]:
    """The arrays of a `.npz` below `$PHYSBENCH_DATA`.

    Raises FileNotFoundError saying where it was looked for and where it comes from, and DataError
    when the file is not the one expected.
    """
    path = there(file)
    if path is None:
        raise FileNotFoundError(
            f"the published weights {file.name} are not on this machine; looked for "
            f"{', '.join(map(str, places(file)))}. They are {origin}. Train from random weights "
            "instead: --set weights="
        )
    store.check(path, file, f"get it again: {origin}")
    return store.load_arrays(path)


def there(file: File) -> Path | None:
    """Where the file lies, or None; its contents are not looked at."""
    return next((place for place in places(file) if place.exists()), None)


def places(file: File) -> list[Path]:
    """Where the file is looked for."""
    return [store.root() / folder / file.name for folder in FOLDERS]
