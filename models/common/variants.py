"""Entries that differ in architecture and sizes alone: one `fit` made of a network and a recipe.

A sibling is then one call, `fit = machinery.fits(Network, epochs=30)`: its settings are the
keyword-only parameters of the network's constructor and of the wing's recipe of training.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from physbench.models import renamed

Part = Callable[..., Any]


def declared(
    fit: Callable[..., Any], *parts: Part, hidden: tuple[str, ...] = (), **defaults: Any
) -> Callable[..., Any]:
    """`fit(train, validation, *, seed, context, **settings)` with all of its settings named.

    Parameters
    ----------
    parts:
        Functions or classes whose keyword-only parameters become settings, where they have a
        default: what has none (the number of outputs, say) `fit` itself fills in.
    hidden:
        Parameters of the parts that are no settings of this entry.
    defaults:
        This entry's own defaults.

    Raises TypeError for a default that is no parameter of a part.
    """
    first = [p for p in inspect.signature(fit).parameters.values() if p.kind is not p.VAR_KEYWORD]
    settings: dict[str, inspect.Parameter] = {}
    for part in parts:
        for name, parameter in options(part).items():
            default = defaults.get(name, parameter.default)
            if default is not parameter.empty and name not in hidden:
                settings[name] = parameter.replace(default=default)
    if unknown := set(defaults) - set(settings):
        raise TypeError(f"no part has the parameters {', '.join(sorted(unknown))}")
    own = inspect.Signature([*first, *settings.values()])

    def named(*arguments: Any, **keywords: Any) -> Any:
        bound = own.bind(*arguments, **keywords)
        bound.apply_defaults()
        return fit(*bound.args, **bound.kwargs)

    named.__doc__, named.__module__ = fit.__doc__, fit.__module__
    named.__name__, named.__signature__ = "fit", own  # type: ignore[attr-defined]
    return named


def options(part: Part) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a function or of a class's constructor."""
    found = inspect.signature(part).parameters
    return {name: p for name, p in found.items() if p.kind is p.KEYWORD_ONLY}


def part_of(settings: Mapping[str, Any], part: Part) -> dict[str, Any]:
    """Those of the settings that are parameters of a part."""
    known = options(part)
    return {name: value for name, value in settings.items() if name in known}


def rebuilt(part: Part, stored: Mapping[str, Any]) -> Any:
    """What a part makes of stored settings, old names included."""
    return part(**renamed(stored, options(part)))
