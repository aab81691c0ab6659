"""Physics questions. One file here is one task and ends with `TASK = Task(...)`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from numpy.typing import NDArray

from physbench.datasets import Dataset, Splits

if TYPE_CHECKING:
    from physbench.tasks.metrics.rows import Rows

__all__ = ["ByUnit", "Field", "Metric", "Neurons", "Shared", "Task", "Variant", "identity"]


class Field(NamedTuple):
    """One field of what a model returns."""

    name: str
    shape: str
    dtype: str
    unit: str
    meaning: str


class ByUnit(NamedTuple):
    """What a task does to each unit alone: its splits can be streamed, and scored in shards.

    `prepare(input, prediction)` is what `Task.prepare` does to one unit, and idempotent;
    `derive(target, prepared)` gives what all metrics need of one unit and no more. They take a
    list of it in place of what `Task.derive` gives, and then do not look at the targets.
    """

    prepare: Callable[[Any, Any], Any]
    derive: Callable[[Any, Any], Any]


def identity(first: Any, predictions: Any) -> Any:
    """The predictions as they are: the default of `Task.prepare` and `Task.derive`."""
    return predictions


@dataclass(frozen=True)
class Shared:
    """A fast bootstrap that is read from what several metrics need of the same resamples.

    `table(targets, derived, counts)` is computed once for all metrics that name it; `part` of it
    is the metric of each resample, (resamples,), and does not mix resamples.
    """

    table: Callable[[Any, Any, NDArray[Any]], Any]
    part: Callable[[Any], NDArray[Any]]

    def __call__(self, targets: Any, derived: Any, counts: NDArray[Any]) -> NDArray[Any]:
        """The metric of each resample, see `Metric.replicates`."""
        return self.part(self.table(targets, derived, counts))


# Bounds of metrics.
FRACTION = (0.0, 1.0)
CORRELATION = (-1.0, 1.0)
POSITIVE = (0.0, math.inf)


@dataclass(frozen=True)
class Metric:
    """A named, versioned score.

    Parameters
    ----------
    function:
        `function(targets, derived)` is pure and returns a float, or `{slice: float}`; NaN means
        undefined (null in the record). Its name is the metric's name. `derived` is what
        `Task.derive` made of the predictions: by default the predictions. Where units have
        weights they are a field of the targets, and the metric honours them.
    unit, best, version:
        Physical unit ("1" for none), direction, and a number that grows with the definition.
    slices:
        Same signature, returns `{slice: float}`: values in bins of pT, temperature, ...
    interval:
        True: bootstrap over units. False: none has a meaning. A function of (targets, derived)
        that returns (low, high): the metric's own.
    replicates:
        A fast bootstrap: `replicates(targets, derived, counts)` with counts (resamples, units),
        how often each unit was drawn, returns the metric of each resample, (resamples,). It must
        give the digits of the slow one, which draws units and calls `function`. `Shared` where
        several metrics need the same of each resample.
    label:
        What a reader sees instead of the function's name.
    bounds:
        Lowest and highest value that the definition allows, as `FRACTION`: no interval passes
        them.
    """

    function: Callable[[Any, Any], Any]
    unit: str
    best: Literal["max", "min", "zero"]
    version: int = 1
    slices: Callable[[Any, Any], Mapping[str, float]] | None = None
    interval: bool | Callable[[Any, Any], tuple[float, float]] = True
    replicates: Callable[[Any, Any, NDArray[Any]], NDArray[Any]] | None = None
    label: str = ""
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @property
    def name(self) -> str:
        """The name of its function."""
        return str(getattr(self.function, "__name__", self.function))


@dataclass(frozen=True)
class Neurons:
    """What it takes to know what the neurons of a task's networks know.

    Parameters
    ----------
    loss:
        `loss(targets, predictions) -> float` of what a model's `predict` returned; NaN where the
        model has none.
    rows:
        Functions `(split, predictions) -> Rows or None`: what a row of a layer may stand for, a
        track, a hit, an edge. The first one with as many rows as the layer is meant.
    metrics:
        Names of metrics that are watched beside the first ones.
    units:
        Training units that are enough.
    """

    loss: Callable[[Any, Any], float]
    rows: tuple[Callable[[Any, Any], Rows | None], ...]
    metrics: tuple[str, ...] = ()
    units: int = 4


class Variant(NamedTuple):
    """One variant of a study as its figures see it.

    `targets` and prepared `predictions` of the test split, the `values` of the metrics by name,
    and the losses of each epoch, where they are known.
    """

    targets: Any
    predictions: Any
    values: Mapping[str, float | None]
    history: Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Task:
    """A question with its protocol.

    Parameters
    ----------
    summary, reference, version, unit:
        The card; `reference` is BibTeX, `unit` is what is statistically independent.
    datasets:
        The dataset modules the task runs on, the default first. A user's own file may give a
        `Dataset(name=..., ...)`, or a mere name, which its `load` then gets, for data it makes.
    load:
        `load(dataset, **protocol) -> Splits` with the `Dataset`. The keyword-only parameters are
        the protocol's variants; the board ranks the default one. The task's own `load` takes the
        name of one of its datasets as well.
    inputs, predicts:
        The type of the inputs (one object, or a list with one a unit), and the fields of what
        `predict` returns: what `info` and the site show a newcomer.
    metrics:
        The first one ranks.
    prepare:
        `prepare(inputs, predictions) -> predictions` checks what a model returned (length,
        shape, finiteness; raises ValueError) and casts it to the precision that is stored.
        It is idempotent and also accepts what it stored before, unpacked.
    condense:
        `condense(targets, prepared) -> prepared`: what the judge keeps where predictions are too
        large for a record: the same list in a shorter form that scores alike. It may use the
        truth, so it must refuse (ValueError) what is condensed already: a model's own short form
        would be a claim nobody can check. `prepare` and `derive` accept both forms. None: the
        predictions are kept as they are.
    derive:
        `derive(targets, predictions) -> derived`: what all metrics need in common, computed
        once and handed to them in place of the predictions. It can be resampled by unit: an
        array, a mapping of arrays, a list, or an object with `take(index)`.
    by_unit:
        The parts of `prepare` and `derive` that concern a unit alone; None: the test split has to
        fit into memory.
    admit:
        `admit(metrics) -> reason or None`: rows with a reason are shown, not ranked.
    folds:
        `{dataset: n}`: seed s uses fold s modulo n, which `load` gets as `fold`.
    figures:
        `{name: function(targets, {model: predictions}) -> matplotlib Figure}`.
    curves:
        `{name of a figure: n}`: it shows the first n rows of the board (default 8: more lines
        cannot be told apart, more points can).
    named_by:
        `named_by(model, settings) -> word`: what the board says in brackets behind a row's name,
        such as that a network is smaller than the published one; empty for nothing.
    study:
        `{name: (protocol, settings)}`: variants that one model is compared on, beside the board.
        A `dataset` in the protocol names another one than the task's first.
    study_figures:
        `{name: function({variant: Variant}) -> matplotlib Figure}` of a study; KeyError for a
        variant that was not run leaves that figure out.
    cluster:
        `cluster(id) -> name`: units of one name are not independent (tracks of one event) and
        are resampled together; None: every unit is on its own.
    explain:
        `explain(split, fitted, derived, permutations) -> (tables, figures)`, both by name: what
        there is to see of a trained model on the validation split, `derived(inputs)` being what
        its metrics get; None leaves `explain` to look at neurons.
    neurons:
        What it takes to know the neurons of the task's networks; None: their importance alone.
    """

    summary: str
    reference: str
    unit: str
    datasets: tuple[ModuleType | Dataset | str, ...]
    load: Callable[..., Splits]
    metrics: tuple[Metric, ...]
    prepare: Callable[[Any, Any], Any] = identity
    derive: Callable[[Any, Any], Any] = identity
    condense: Callable[[Any, Any], Any] | None = None
    by_unit: ByUnit | None = None
    admit: Callable[[Mapping[str, float]], str | None] = lambda metrics: None
    version: int = 1
    folds: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    curves: Mapping[str, int] = field(default_factory=dict)
    named_by: Callable[[str, Mapping[str, Any]], str] = lambda model, settings: ""
    study: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=dict)
    study_figures: Mapping[str, Callable[[Mapping[str, Variant]], Any]] = field(
        default_factory=dict
    )
    explain: Callable[..., Any] | None = None
    neurons: Neurons | None = None
    cluster: Callable[[str], str] | None = None
    inputs: type | None = None
    predicts: tuple[Field, ...] = ()

    def __repr__(self) -> str:
        return f"Task({self.summary!r}, ranked by {self.metrics[0].name})"

    @property
    def named(self) -> dict[str, Dataset]:
        """The datasets by name, the default first."""
        return dict(_named(dataset) for dataset in self.datasets)

    def __post_init__(self) -> None:
        object.__setattr__(self, "load", _by_name(self.load, self))

    def splits(self, dataset: str = "", **protocol: Any) -> Splits:
        """The splits of one of the task's datasets, by name; default the first."""
        return self.load(dataset or next(iter(self.named)), **protocol)


def _by_name(load: Callable[..., Splits], task: Task) -> Callable[..., Splits]:
    """`load` that takes the name of one of the task's datasets too."""

    @functools.wraps(load)
    def loaded(dataset: Dataset | str, **protocol: Any) -> Splits:
        if isinstance(dataset, str) and dataset not in task.named:
            raise ValueError(f"dataset must be one of {', '.join(task.named)}; got '{dataset}'")
        if isinstance(dataset, str) and dataset not in task.datasets:
            dataset = task.named[dataset]
        elif isinstance(dataset, Dataset) and dataset.name in task.datasets:
            dataset = dataset.name
        return load(dataset, **protocol)

    return loaded


def _named(dataset: ModuleType | Dataset | str) -> tuple[str, Dataset]:
    if isinstance(dataset, str):
        return dataset, Dataset(summary="made by the task's own file", load=dict, name=dataset)
    if isinstance(dataset, Dataset):
        if not dataset.name:
            raise ValueError("a Dataset of a task's own file needs a name: Dataset(name=...)")
        return dataset.name, dataset
    found: Dataset = dataset.DATASET
    return dataset.__name__.rpartition(".")[2], found
