"""Pickles of arrays, read without running anything that they ask for.

A pickle is a program. This reader admits the instructions that build numbers, text, lists, tuples
and dictionaries of them, and knows how NumPy writes unstructured numeric arrays; it rebuilds those
itself from their bytes. Every other instruction or name is refused before it is followed.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import reading
from physbench.datasets.common.reading import DataError

# What NumPy itself asks for, under its names before and after version 2.
MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
NUMERIC_MODULES = ("numpy.core.numeric", "numpy._core.numeric")  # of protocol 5
INSTRUCTIONS = 2_000_000
MEMO = 1_000_000  # the largest place in the memo: one instruction may reserve that much
DEPTH = 32
MOST = 1 << 30  # bytes
# No sets, no objects of classes, no persistent names, no buffers from elsewhere.
REFUSED = {
    *("PERSID", "BINPERSID", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"),
    *("EMPTY_SET", "ADDITEMS", "FROZENSET", "NEXT_BUFFER", "READONLY_BUFFER"),
}
NUMERIC = re.compile(r"[?bBhHiIlLqQefd]|[biuf](1|2|4|8)")


class _Named:
    """The place of `numpy.ndarray` among the arguments of `_reconstruct`."""


@dataclass
class _Type:
    """A data type as NumPy pickles it: a code, and then a state that holds the order of bytes."""

    code: str
    order: Any = "="

    def state(self, values: Any) -> None:
        order, inner, names, fields = values[1:5]
        if (inner, names, fields) != (None, None, None) or order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("structured types are not admitted")
        self.order = order

    @property
    def real(self) -> np.dtype[Any]:
        return np.dtype(self.code).newbyteorder(self.order if self.order != "|" else "=")


@dataclass
class _Array:
    """An array as NumPy pickles it: empty first, its content comes with its state."""

    content: NDArray[Any] | None = None

    def state(self, values: Any) -> None:
        _, shape, kind, fortran, raw = values
        self.content = _rebuilt(kind, raw, shape, "F" if fortran else "C")


def _rebuilt(kind: Any, raw: Any, shape: Any, order: Any) -> NDArray[Any]:
    """The bytes `raw` as an array; nothing but the bytes of the file is ever taken for content."""
    if not isinstance(kind, _Type) or not isinstance(shape, tuple) or len(shape) > DEPTH:
        raise pickle.UnpicklingError("it holds something that is no numeric array")
    content = raw.encode("latin1") if isinstance(raw, str) else raw
    if not isinstance(content, bytes) or not all(type(n) is int and n >= 0 for n in shape):
        raise pickle.UnpicklingError("it holds an array of Python objects")
    if math.prod(shape) * kind.real.itemsize != len(content):
        raise pickle.UnpicklingError(f"an array {shape} of {kind.code} has {len(content)} bytes")
    return np.frombuffer(content, kind.real).reshape(shape, order=order)


def _type(code: Any, *flags: Any) -> _Type:
    text = code.decode("latin1") if isinstance(code, bytes) else code
    if text in ("O", "O8", "O4"):
        raise pickle.UnpicklingError("it holds an array of Python objects")
    if not isinstance(text, str) or not NUMERIC.fullmatch(text):
        raise pickle.UnpicklingError(f"arrays of {str(text)[:40]} are not admitted")
    return _Type(text)


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    return _Array()


def _frombuffer(raw: Any, kind: Any, shape: Any, order: Any) -> _Array:
    content = bytes(raw) if isinstance(raw, bytearray) else raw
    return _Array(_rebuilt(kind, content, shape, "F" if order == "F" else "C"))


def _scalar(kind: Any, raw: Any) -> Any:
    return _rebuilt(kind, raw, (), "C")[()]


def _latin(text: str, encoding: str = "latin1") -> bytes:
    """Bytes that Python 2 wrote as text."""
    return text.encode("latin1")


ADMITTED = {
    **{(module, "_reconstruct"): _reconstruct for module in MULTIARRAY},
    **{(module, "scalar"): _scalar for module in MULTIARRAY},
    **{(module, "_frombuffer"): _frombuffer for module in NUMERIC_MODULES},
    ("numpy", "ndarray"): _Named,
    ("numpy", "dtype"): _type,
    ("_codecs", "encode"): _latin,
}


# Python's own reader in Python: its memo is a dictionary, whatever place a file names.
_InPython: Any = getattr(pickle, "_Unpickler")  # noqa: B009  not in the type stubs


class _Reader(_InPython):  # type: ignore[misc]
    dispatch: ClassVar[dict[int, Any]] = dict(_InPython.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}; arrays alone are admitted, refused to import"
            )
        return ADMITTED[module, name]

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Array | _Type):
            raise pickle.UnpicklingError("it sets the state of something that is no array")
        self.stack[-1].state(state)

    def load_setitem(self) -> None:
        _check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        _check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        _check_keys(self.stack[::2])
        super().load_dict()

    dispatch |= {
        pickle.BUILD[0]: load_build,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
    }


def _check_keys(keys: list[Any]) -> None:
    """Plain keys alone: the hash of a nested tuple may take for ever."""
    if not all(isinstance(key, str | int | float | bytes) for key in keys):
        raise pickle.UnpicklingError("keys must be text or numbers")


def loads(raw: bytes) -> Any:
    """Plain containers and arrays from the bytes of a pickle.

    Raises pickle.UnpicklingError (and what a damaged pickle makes Python's reader raise).
    """
    for count, (instruction, argument, _) in enumerate(pickletools.genops(raw)):
        if instruction.name in REFUSED or count > INSTRUCTIONS:
            raise pickle.UnpicklingError(f"instruction {count}: {instruction.name} is refused")
        place = argument if instruction.name in ("PUT", "BINPUT", "LONG_BINPUT") else 0
        if isinstance(place, int) and place > MEMO:
            raise pickle.UnpicklingError(f"it asks for {place} places of memory")
    return _plain(_Reader(io.BytesIO(raw), encoding="latin1").load(), {}, ())


def _plain(value: Any, done: dict[int, Any], above: tuple[int, ...]) -> Any:
    """The value with its arrays; each shared part is done once, and no part may hold itself."""
    if id(value) in above or len(above) > DEPTH:
        raise pickle.UnpicklingError("containers that hold themselves, or too deep ones")
    if id(value) in done:
        return done[id(value)]
    inside = (*above, id(value))
    found: Any = value
    if isinstance(value, dict):
        found = {key: _plain(part, done, inside) for key, part in value.items()}
    elif isinstance(value, list | tuple):
        found = type(value)(_plain(part, done, inside) for part in value)
    elif isinstance(value, _Array):
        if value.content is None:
            raise pickle.UnpicklingError("an array without content")
        found = value.content
    elif not isinstance(value, str | bytes | int | float | bool | np.number | np.bool_ | None):
        raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")
    done[id(value)] = found
    return found


def read(path: Path) -> Any:
    """The contents of a pickle of arrays; raises DataError for anything else in it.

    Also raises it for a truncated or damaged file and for arrays of Python objects. The arrays
    are read-only.
    """
    try:
        return loads(reading.content(path, MOST))
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged pickle may raise almost anything
        raise DataError(
            f"{path} is refused: expected a pickle of plain containers and numeric arrays; found "
            f"{str(error)[:300] or type(error).__name__}. Mend it with: fetch the file again"
        ) from error
