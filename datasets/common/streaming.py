"""Units that are read when they are asked for: a split that is larger than the memory."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

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
