"""Pickles of arrays, read without running anything that they ask for.

A pickle is a program. This reader knows how to rebuild NumPy arrays, numbers and data types inside
plain containers; every other name is refused before it is looked up.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from physbench.datasets.common.store import DataError

# What NumPy itself asks for, under its names before and after version 2.
MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
FUNCTIONS = ("_reconstruct", "scalar")


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in MULTIARRAY and name in FUNCTIONS:
            return getattr(np._core.multiarray, name)  # type: ignore[attr-defined]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):  # bytes that Python 2 wrote as text
            return _latin
        raise pickle.UnpicklingError(f"it asks for {module}.{name}; arrays alone are admitted")


def _latin(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


def read(path: Path) -> Any:
    """The contents of a pickle of arrays; raises DataError for anything else in it.

    Also raises it for a truncated or damaged file and for arrays of Python objects.
    """
    try:
        with path.open("rb") as stream:
            found = _Reader(stream, encoding="latin1").load()
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged pickle may raise almost anything
        raise DataError(f"{path} is refused: {error or type(error).__name__}") from error
    _check(found, path)
    return found


def _check(value: Any, path: Path) -> None:
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        raise DataError(f"{path} is refused: it holds an array of Python objects")
    inside = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list | tuple | set | frozenset):
        for part in inside:
            _check(part, path)
