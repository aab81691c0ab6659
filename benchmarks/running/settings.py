"""Keyword-only parameters as configuration: defaults, what was asked for, and what is refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.registry import unknown
from physbench.models import renamed

TRUTH = {"true": True, "false": False}  # as a command line spells them
NO_SETTINGS = ("seed", "context")  # keywords of `fit` that are no hyper-parameters


def resolve(
    function: Callable[..., Any], given: Mapping[str, Any], what: str, skip: Sequence[str] = ()
) -> dict[str, Any]:
    """All keyword-only parameters of `function`: defaults, overridden by `given`.

    An old name of a model's parameter, as records keep it, stands for the one of today, and the
    words `true` and `false` for truth values where the parameter has one.
    Raises UnknownName for a parameter that does not exist and TypeError for one whose type
    differs from its default's.
    """
    parameters = {
        name: p.default
        for name, p in inspect.signature(function).parameters.items()
        if p.kind is p.KEYWORD_ONLY and name not in skip
    }
    for name, value in renamed(given, parameters).items():
        if name not in parameters:
            raise unknown(what, name, list(parameters))
        parameters[name] = _typed(name, value, parameters[name], what)
    missing = [name for name, value in parameters.items() if value is inspect.Parameter.empty]
    if missing:
        raise TypeError(f"{what}: {', '.join(missing)} must be set (they have no default)")
    return {name: _plain(value) for name, value in parameters.items()}


def _typed(name: str, value: Any, default: Any, what: str) -> Any:
    if default is inspect.Parameter.empty or default is None or value is None:
        return value
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, str) and type(value) is int:
        return str(value)  # `--protocol variant=3`: a command line cannot say that 3 is a name
    if isinstance(default, list | tuple) and isinstance(value, list | tuple):
        return value
    if isinstance(default, bool) and isinstance(value, str):
        value = TRUTH.get(value.lower(), value)
    if type(value) is not type(default):
        raise TypeError(
            f"{what} '{name}' must be {type(default).__name__} (default {default!r}); "
            f"got {value!r}"
        )
    return value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
