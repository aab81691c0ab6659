"""Batches of a training that may be more than memory holds: those beyond it wait on disk."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

LARGEST = 2**29  # bytes in memory
OFTEN = 64  # batches on disk after which freed memory is given back


class Batches(Sequence[Any]):
    """Batches as they are made, in memory up to `LARGEST` bytes, the rest in a temporary folder.

    A batch is a tensor, or a tuple or dataclass of batches and other values. One from the folder
    is read when it is asked for, and equals the one that was made; the folder goes with the
    object.
    """

    def __init__(self, made: Iterable[Any]) -> None:
        self._kept: list[Any] = []
        self._folder: Path | None = None
        room = LARGEST
        for batch in made:
            room -= sum(tensor.nbytes for tensor in tensors(batch))
            self._kept.append(batch if room >= 0 else self._spilled(batch))

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        found = self._kept[index]
        if isinstance(found, Spilled):
            return rebuilt(found.form, iter(torch.load(found.path, weights_only=True)))
        return found

    def _spilled(self, batch: Any) -> Spilled:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="physbench-batches-"))
            weakref.finalize(self, _removed, self._folder)
        path = self._folder / f"{len(self._kept)}.pt"
        torch.save([tensor.clone() for tensor in tensors(batch)], path)
        if len(self._kept) % OFTEN == 0:
            _given_back()
        return Spilled(path, rebuilt(batch, iter(lambda: torch.zeros(0), None)))


def _removed(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _given_back()


def _given_back() -> None:
    """Let the system have the memory that was freed.

    C's library keeps what lies between memory in use: up to as much again as a training needs.
    """
    with contextlib.suppress(OSError, AttributeError):  # there where it is glibc
        ctypes.CDLL(None).malloc_trim(0)


@dataclasses.dataclass(frozen=True)
class Spilled:
    """Where a batch lies, and its form, with empty tensors."""

    path: Path
    form: Any


def tensors(batch: Any) -> Iterator[Tensor]:
    """All tensors of a batch, in order."""
    if isinstance(batch, Tensor):
        yield batch
    for part in _parts(batch).values():
        yield from tensors(part)


def rebuilt(form: Any, found: Iterator[Tensor]) -> Any:
    """A batch of the same form, with these tensors in place of its own."""
    if isinstance(form, Tensor):
        return next(found)
    parts = {name: rebuilt(part, found) for name, part in _parts(form).items()}
    if isinstance(form, tuple):
        return form._replace(**parts) if hasattr(form, "_replace") else tuple(parts.values())
    return dataclasses.replace(form, **parts) if parts else form


def _parts(batch: Any) -> dict[str, Any]:
    """The parts of a tuple or dataclass by name."""
    if isinstance(batch, tuple):
        names = getattr(batch, "_fields", map(str, range(len(batch))))
        return dict(zip(names, batch, strict=True))
    if dataclasses.is_dataclass(batch):
        return {part.name: getattr(batch, part.name) for part in dataclasses.fields(batch)}
    return {}
