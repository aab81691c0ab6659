"""Units that are read when they are asked for: not all of a split, or not all at a time."""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self, overload

import numpy as np

from physbench.datasets.common import on_disk

KEPT = 8  # units in memory: what a model that looks at neighbours of a unit asks for again


@dataclass(frozen=True, eq=False)
class Streamed(Sequence[Any]):
    """A sequence whose element i is `read(keys[i])`, read anew unless it is among the last ones.

    Parameters
    ----------
    read:
        A function of one key, which another process can import (or a `partial` of one); what it
        returns becomes read-only.
    keys:
        One a unit: the paths of its files, or where it stands in a larger one.
    digest:
        sha256 of all that decides the units, the files' own digests for example: nobody reads
        them all to know whether they have changed.
    """

    read: Callable[[Any], Any]
    keys: tuple[Any, ...]
    digest: str
    _last: OrderedDict[int, Any] = field(default_factory=OrderedDict, repr=False)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Streamed: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        place = range(len(self))[index]
        if place not in self._last:
            self._last[place] = _frozen(self.read(self.keys[place]))
        self._last.move_to_end(place)
        while len(self._last) > KEPT:
            self._last.popitem(last=False)
        return self._last[place]

    def take(self, index: Sequence[int]) -> Streamed:
        """The units `index`, in that order."""
        chosen = [int(i) for i in index]
        digest = hashlib.sha256(f"{self.digest} {chosen}".encode()).hexdigest()
        return Streamed(self.read, tuple(self.keys[i] for i in chosen), digest)

    def __reduce__(self) -> Any:
        return Streamed, (self.read, self.keys, self.digest)


def _frozen(unit: Any) -> Any:
    """The unit, whose arrays nobody can assign to."""
    for value in vars(unit).values() if hasattr(unit, "__dict__") else [unit]:
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return unit


@dataclass(frozen=True, eq=False)
class Deferred(Sequence[Any]):
    """A list whose element k, of the k-th name, is `make(k)`: made when it is asked for, and kept.

    Whoever scores looks into the test split alone and needs the names of the others.
    """

    names: tuple[str, ...]
    make: Callable[[int], Any] = field(repr=False)
    _kept: dict[int, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        if place not in self._kept:
            self._kept[place] = self.make(place)
        return self._kept[place]

    def each(self, change: Callable[[Any], Any], index: Sequence[int] | None = None) -> Deferred:
        """The elements `index`, all by default, changed one by one."""
        chosen = range(len(self)) if index is None else index
        return Deferred(tuple(self.names[k] for k in chosen), lambda k: change(self[chosen[k]]))

    def __reduce__(self) -> Any:
        return list, (list(self),)


def later(make: Callable[[], Any]) -> Any:
    """A field of a `Postponing` dataclass that is `make()` once somebody asks for it."""
    return make


class Postponing:
    """Dataclasses of which a field may be given as `later(make)`: whoever scores does not look.

    Their `__post_init__` begins with `if self.postpones(name): return`: it checks when all is
    there.
    """

    def postpones(self, name: str) -> bool:
        """Whether the field is not made yet."""
        given = self.__dict__.get(name)
        if callable(given):
            self.__dict__["_" + name] = self.__dict__.pop(name)
        return name not in self.__dict__

    def __getattr__(self, name: str) -> Any:
        make = self.__dict__.get("_" + name)
        if make is None:
            raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")
        self.__dict__[name] = make()
        del self.__dict__["_" + name]
        self.__post_init__()
        return self.__dict__[name]

    def __post_init__(self) -> None:
        """Check the fields."""

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]


class Columnar(Postponing):
    """Dataclasses whose array fields have one element a unit; one may be made later."""

    def take(self, index: Any) -> Self:
        """The units `index` (integers, a slice or a mask), in that order."""
        names = [f.name for f in fields(self)]  # type: ignore[arg-type]
        values = {name: self.__dict__[name] for name in names if name in self.__dict__}
        chosen = {
            k: on_disk.taken(v, index) if isinstance(v, np.ndarray) else v
            for k, v in values.items()
        }
        rest = [name for name in names if name not in values]
        parts = {name: later(functools.partial(self._part, name, index)) for name in rest}
        return type(self)(**chosen, **parts)

    def _part(self, name: str, index: Any) -> Any:
        return getattr(self, name)[index]
