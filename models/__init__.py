"""The zoo. One file here is one method or baseline and ends with `MODEL = Model(...)`."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from physbench.datasets import in_wing

__all__ = ["RENAMED", "Context", "Model", "Role", "renamed"]

# Names that parameters had once, as committed records and weights still spell them.
RENAMED = {
    "lr": "learning_rate",
    "hidden": "width",
    "model_dim": "width",
    "channels": "width",
}

Role = Literal["learned", "classical", "floor", "oracle"]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """An entry by its name alone: `from physbench.models import truth`."""
        return in_wing(__name__, __path__[0], name)


@dataclass(frozen=True)
class Context:
    """How a training runs, as the command line or the Python call said it; no hyper-parameter.

    Parameters
    ----------
    device:
        `auto`, `cpu` or `gpu`.
    devices, precision:
        More than one device, or another precision than `32`, go through Lightning Fabric.
    threads:
        Of every library, torch included.
    checkpoints:
        Folder of this cell and seed, from which an interrupted training goes on.
    tracker:
        Experiment tracker: `wandb` or none.
    progress:
        Whether a line tells how far the training is.
    """

    device: str = "auto"
    devices: int = 1
    precision: str = "32"
    threads: int = 1
    checkpoints: Path | None = None
    tracker: str = ""
    progress: bool = True


@dataclass(frozen=True)
class Model:
    """Two functions and a card.

    Parameters
    ----------
    tasks:
        Names of the tasks the model can do.
    reference:
        BibTeX of the method, or a sentence for a baseline without a paper.
    fit:
        `fit(train, validation, *, seed, **hyper_parameters) -> fitted`. The keyword-only
        parameters are the whole configuration; their defaults are the paper's values. A `fit`
        that declares `context` gets the run's `Context`, which is no hyper-parameter.
    predict:
        `predict(fitted, inputs) -> predictions`. Never sees targets, except for an oracle:
        `predict(fitted, inputs, targets)`.
    presets:
        `{dataset: {parameter: value}}`: CPU-sized values for a dataset.
    role:
        `learned`, `classical` (what learning must beat), `floor` (trivial) or `oracle`, which
        sees what no real model can: it draws the ceiling and is never ranked.
    space:
        What `search` varies of the settings: a list of choices, or a range of numbers
        `(low, high)` or `(low, high, "log")`. A single choice sets a parameter for the search.
    quick:
        Settings with which training takes seconds: what the test of every entry uses.
    save, load:
        `save(fitted, path)`, `load(path) -> fitted`: the weights, where the model has some.
    parameters:
        `parameters(fitted) -> int`: the number of trained parameters, where it has a meaning.
    ablations:
        `ablations(fitted) -> {what is left out or replaced: fitted}`: the trained model with one
        of its stages gone, for `explain`; nothing is trained anew.
    deterministic:
        The seed changes nothing: one seed fills the row.
    checks:
        `{name: check() -> number}`: our number beside one that was published for the method,
        such as the parameters of its published size; the ledger of claims names it.
    """

    tasks: tuple[str, ...]
    reference: str
    fit: Callable[..., Any]
    predict: Callable[..., Any]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    role: Role = "learned"
    space: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    save: Callable[[Any, Any], None] | None = None
    load: Callable[[Any], Any] | None = None
    parameters: Callable[[Any], int] | None = None
    ablations: Callable[[Any], Mapping[str, Any]] | None = None
    deterministic: bool = False
    checks: Mapping[str, Callable[[], float]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Model({self.role}, for {', '.join(self.tasks)})"

    @property
    def oracle(self) -> bool:
        """Whether the model sees what no real model can."""
        return self.role == "oracle"


def renamed(settings: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    """Settings with the names of today: an old one counts where `known` lacks it.

    >>> renamed({"lr": 0.1, "hidden": 8}, ["learning_rate", "hidden"])
    {'learning_rate': 0.1, 'hidden': 8}
    """
    return {k if k in known else RENAMED.get(k, k): value for k, value in settings.items()}
