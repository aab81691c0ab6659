"""Physics questions. One file here is one task and ends with `TASK = Task(...)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from physbench.datasets import Splits

__all__ = ["Metric", "Task", "identity"]


def identity(inputs: Any, predictions: Any) -> Any:
    """The predictions as they are: the default of `Task.prepare`."""
    return predictions


@dataclass(frozen=True)
class Metric:
    """A named, versioned score.

    `function(targets, predictions)` is pure and returns a float, or `{slice: float}`; NaN means
    undefined (null in the record). Its name is the metric's name. `slices` (same signature,
    returns `{slice: float}`) adds values in bins of pT, temperature, ... to the same metric.
    `interval=False` skips the bootstrap where it has no meaning.
    """

    function: Callable[[Any, Any], Any]
    unit: str
    best: Literal["max", "min", "zero"]
    version: int = 1
    slices: Callable[[Any, Any], Mapping[str, float]] | None = None
    interval: bool = True

    @property
    def name(self) -> str:
        return str(getattr(self.function, "__name__", self.function))


@dataclass(frozen=True)
class Task:
    """A question with its protocol.

    Parameters
    ----------
    summary, reference, version, unit:
        The card; `reference` is BibTeX, `unit` is what is statistically independent.
    datasets:
        Names of the datasets the task runs on, the default first.
    load:
        `load(dataset, **protocol) -> Splits`. The keyword-only parameters are the protocol's
        variants; the board ranks the default one.
    metrics:
        The first one ranks.
    prepare:
        `prepare(inputs, predictions) -> predictions` checks what a model returned (length,
        shape, finiteness; raises ValueError) and casts it to the precision that is stored.
        It is idempotent and also accepts what it stored before, unpacked.
    admit:
        `admit(metrics) -> reason or None`: rows with a reason are shown, not ranked.
    ceiling, floor:
        Names of the models that draw the physical limit and the trivial baseline.
    figures:
        `{name: function(targets, {model: predictions}) -> matplotlib Figure}`.
    study:
        `{name: (protocol, settings)}`: variants that one model is compared on, beside the board.
    """

    summary: str
    reference: str
    unit: str
    datasets: tuple[str, ...]
    load: Callable[..., Splits]
    metrics: tuple[Metric, ...]
    prepare: Callable[[Any, Any], Any] = identity
    admit: Callable[[Mapping[str, float]], str | None] = lambda metrics: None
    version: int = 1
    ceiling: tuple[str, ...] = ()
    floor: tuple[str, ...] = ()
    classical: tuple[str, ...] = ()
    figures: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    study: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=dict)
