"""The zoo. One file here is one method or baseline and ends with `MODEL = Model(...)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Model"]


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
        parameters are the whole configuration; their defaults are the paper's values.
    predict:
        `predict(fitted, inputs) -> predictions`. Never sees targets, except for an oracle:
        `predict(fitted, inputs, targets)`.
    presets:
        `{dataset: {parameter: value}}`: CPU-sized values for a dataset.
    oracle:
        The model sees what no real model can; it draws the ceiling and is never ranked.
    save, load:
        `save(fitted, path)`, `load(path) -> fitted`: the weights, where the model has some.
    parameters:
        `parameters(fitted) -> int`: the number of trained parameters, where it has a meaning.
    deterministic:
        The seed changes nothing: one seed fills the row.
    """

    tasks: tuple[str, ...]
    reference: str
    fit: Callable[..., Any]
    predict: Callable[..., Any]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    oracle: bool = False
    save: Callable[[Any, Any], None] | None = None
    load: Callable[[Any], Any] | None = None
    parameters: Callable[[Any], int] | None = None
    deterministic: bool = False
