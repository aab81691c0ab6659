"""Versioned data. One file here is one dataset and ends with `DATASET = Dataset(...)`.

The types that tasks and models both speak (events, tracks, jets, configurations, ...) stand in
the wing of their kind of data, `physbench.datasets.hits` for example; `physbench.datasets.common`
holds the store that finds, fetches and checks files.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

__all__ = [
    "Dataset",
    "Described",
    "File",
    "Spectrum",
    "Split",
    "Splits",
    "check_distinct",
    "described",
    "description",
    "take",
    "usage",
]


SPLITS = ("train", "validation", "test")


def described(shape: str, unit: str, meaning: str, **options: Any) -> Any:
    """A dataclass field that says what it holds, for `info`, the site and error messages."""
    return field(metadata={"shape": shape, "unit": unit, "meaning": meaning}, **options)


def description(kind: type) -> list[tuple[str, str, str, str]]:
    """(name, shape, unit, meaning) of each described field of a dataclass."""
    return [
        (f.name, f.metadata["shape"], f.metadata["unit"], f.metadata["meaning"])
        for f in fields(kind)
        if "meaning" in f.metadata
    ]


class Described:
    """A type of the house: knows its fields, and says so where it is taken for an array."""

    def __repr__(self) -> str:
        values = {name: getattr(self, name) for name, *_ in description(type(self))}
        known = [f"{name} {v.shape}" for name, v in values.items() if hasattr(v, "shape")]
        return f"{type(self).__name__}({', '.join(known)})"

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise TypeError(f"{type(self).__name__} is not an array. {usage(type(self))}")


def usage(kind: type) -> str:
    """How a type becomes an array, a tensor or a table, and what its fields hold."""
    ways = [f"{name}()" for name in ("to_numpy", "to_torch", "to_frame") if hasattr(kind, name)]
    lines = [f"Use {', '.join(ways)} or a field:" if ways else "Its fields:"]
    for name, shape, unit, meaning in description(kind):
        lines.append(f"  {name:16s} {shape:16s} {unit:8s} {meaning}")
    return "\n".join(lines)


def in_wing(package: str, folder: str, name: str) -> Any:
    """The module `name` in one of the wings of a package: names are unique over all of them.

    Raises AttributeError, as a module does for a name that it does not have.
    """
    wings = [file.parent.name for file in Path(folder).glob(f"*/{name}.py")]
    if name.startswith("_") or not wings:
        raise AttributeError(f"module '{package}' has no attribute '{name}'")
    return importlib.import_module(f"{package}.{wings[0]}.{name}")


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """An entry by its name alone: `from physbench.datasets import trackml`."""
        return in_wing(__name__, __path__[0], name)


def take(values: Any, index: Any) -> Any:
    """Units `index` of `values`: fancy indexing for arrays, `.take` where it exists, else a list.

    Always by position, also for a pandas Series, whose brackets mean labels.

    >>> take(["a", "b", "c"], [2, 0])
    ['c', 'a']
    """
    if hasattr(values, "iloc"):
        return values.iloc[index]
    if hasattr(values, "take"):
        return values[index] if hasattr(values, "dtype") else values.take(index)
    return [values[i] for i in index]


@dataclass(frozen=True)
class Split:
    """One of `train`, `validation`, `test`, as a task hands it out.

    `inputs`, `targets` and `ids` have one element a unit (event, track, jet, configuration). Each
    of the first two is a sequence, an array whose first axis is the unit, or a frozen dataclass
    with `__len__` and `take(index)`. `metrics` maps the name of each metric of the task to
    `function(predictions) -> float` on this split: what a model uses to choose thresholds on
    validation. It is empty for `test`, whose targets no model sees. A pandas Series or Index
    becomes an array: units are meant by position, never by label.
    """

    inputs: Any
    targets: Any
    ids: Sequence[str]
    metrics: Mapping[str, Callable[[Any], float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("inputs", "targets"):
            values = getattr(self, name)
            if hasattr(values, "to_numpy") and hasattr(values, "dtype"):
                object.__setattr__(self, name, values.to_numpy())
        sizes = {"inputs": len(self.inputs), "targets": len(self.targets), "ids": len(self.ids)}
        if len(set(sizes.values())) != 1:
            raise ValueError(
                f"a split needs equal numbers of inputs, targets and ids; got {sizes}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Split({len(self):,} units of {type(self.inputs).__name__})"

    def __getitem__(self, index: Any) -> Any:
        raise TypeError(
            "a Split is no sequence: split.inputs, split.targets and split.ids have one element "
            f"a unit, split.take([0, 1]) chooses units; inputs are {type(self.inputs).__name__}"
        )

    def take(self, index: Sequence[int]) -> Split:
        """The split restricted to the units `index`, without its metrics."""
        return Split(
            take(self.inputs, index), take(self.targets, index), [self.ids[i] for i in index]
        )


class Spectrum(NamedTuple):
    """How many units a dataset's cuts met and left in each bin; `edges` are one more."""

    edges: Sequence[float]
    before: Sequence[int]
    after: Sequence[int]


@dataclass(frozen=True)
class Splits:
    """What `Task.load` returns: three splits, and the sha256 of every file they were read from.

    `counts` says how many units each cut of the dataset left, `spectra` how they are spread. With
    `test_only` the data have nothing to train on (a published test file alone): train and
    validation are empty.

    Raises ValueError for a split without units, and for two files with the same content: what
    trains a model must not test it.
    """

    train: Split
    validation: Split
    test: Split
    files: Mapping[str, str]
    counts: Mapping[str, int] = field(default_factory=dict)
    test_only: bool = False
    spectra: Mapping[str, Spectrum] = field(default_factory=dict)

    def __post_init__(self) -> None:
        empty = [name for name in SPLITS if not len(getattr(self, name))]
        if empty != (list(SPLITS[:2]) if self.test_only else []):
            sizes = ", ".join(f"{name} {len(getattr(self, name))}" for name in SPLITS)
            raise ValueError(
                f"split {' and '.join(empty) or 'train'} must not be empty, or train and "
                f"validation both with test_only=True; got units {sizes}. Are files missing?"
            )
        check_distinct(self.files)

    def __repr__(self) -> str:
        return f"Splits({', '.join(f'{name} {len(getattr(self, name)):,}' for name in SPLITS)})"


def check_distinct(files: Mapping[str, str]) -> None:
    """Raise ValueError where two files have the same sha256: what trains must not test."""
    first: dict[str, str] = {}
    for name, digest in files.items():
        if first.setdefault(digest, name) != name:
            raise ValueError(
                f"files {first[digest]} and {name} have the same content (sha256 "
                f"{digest[:12]}); put the original of each in its place"
            )


@dataclass(frozen=True)
class File:
    """A file of a dataset: its path inside the dataset's folder, its sha256 and where it is."""

    name: str
    sha256: str
    bytes: int
    url: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset's card and its functions.

    Parameters
    ----------
    summary, version, licence, citation, source:
        The card. `citation` is BibTeX; `source` says where the data come from (DOI, file names).
    load:
        `load(**options)` reads the data; what it returns is between the dataset and its tasks.
    files:
        Known files with digests. Empty where the user brings files of their own (they are
        digested when read).
    folders:
        Where the files may lie below `$PHYSBENCH_DATA`, tried in turn.
    embedded:
        The files come with the package, in `datasets/frozen/`.
    make:
        `make(folder, *, seed, **options)` generates the data with the real physics engine.
    name:
        Only for a dataset that a user's task file defines; elsewhere the module's name is used.
    """

    summary: str
    load: Callable[..., Any]
    version: str = "1"
    licence: str = "unknown"
    citation: str = ""
    source: str = ""
    name: str = ""
    files: tuple[File, ...] = ()
    folders: tuple[str, ...] = ()
    embedded: bool = False
    make: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"Dataset({self.summary!r}, version {self.version})"
