"""Weights that others have published, as plain arrays checked by their digest."""

from __future__ import annotations

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
    places = [store.root() / folder / file.name for folder in FOLDERS]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise FileNotFoundError(
            f"the published weights {file.name} are not on this machine; looked for "
            f"{', '.join(str(place) for place in places)}. They are {origin}. Train instead: "
            "--set weights="
        )
    store.check(path, file, f"get it again: {origin}")
    return store.load_arrays(path)
