"""Descriptors of a configuration, computed once: in memory, and on disk for other processes."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.liquids import Configuration
from physbench.models.common import prepared

Array = NDArray[np.float64]

REMEMBERED = 600


def remembered(function: Callable[..., Array]) -> Callable[..., Array]:
    """Keeps results by the content of the configuration, the structure's name and the settings.

    In memory the latest `REMEMBERED` ones; on disk by the source of the function's module too, so
    that seeds and models in other processes share them.
    """
    store: dict[str, Array] = {}

    @functools.wraps(function)
    def wrapper(configuration: Configuration, structure: str, **settings: Any) -> Array:
        key = _key(function, configuration, structure, settings)
        if key not in store:
            if len(store) >= REMEMBERED:
                store.pop(next(iter(store)))
            store[key] = prepared.kept(key, lambda: function(configuration, structure, **settings))
        return store[key]

    return wrapper


def _key(
    function: Callable[..., Array], configuration: Configuration, structure: str, settings: Any
) -> str:
    name = (function.__module__, function.__qualname__, structure, sorted(settings.items()))
    content = hashlib.sha256(repr(name).encode())
    content.update(_source(function.__module__))
    parts = (configuration.types, configuration.box, configuration.positions(structure))
    both = (configuration.thermal, configuration.inherent)
    for part in (*parts, *both, configuration.inherent_energy, configuration.energy):
        content.update(b"-" if part is None else np.ascontiguousarray(part).tobytes())
    return content.hexdigest()


@functools.cache
def _source(module: str) -> bytes:
    """Digest of a module's file: another formula is another result."""
    path = sys.modules[module].__file__
    return hashlib.sha256(Path(path).read_bytes() if path else b"").digest()
