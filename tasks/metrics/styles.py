"""Colours of models in the figures of tasks: those of Matplotlib's property cycle, one a model.

Whoever draws sets the cycle, `axes.prop_cycle`, to the colours that the models have elsewhere. A
figure that plots each model once, in order, gets them without a word; one that leaves some out, or
draws something else between, asks here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

# Okabe and Ito's colours, which colour-blind readers tell apart: of flavours, signals and other
# kinds of things that are no models. Black is the truth.
KINDS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a5a2b", "#7f7f7f")


def styled(predictions: Mapping[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Each model with its predictions and the properties of its line, colour first of all."""
    import matplotlib as mpl

    cycle = itertools.cycle(mpl.rcParams["axes.prop_cycle"])
    for (model, values), style in zip(predictions.items(), cycle, strict=False):
        yield model, values, dict(style)


def coloured(predictions: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Each model with its predictions and its colour alone."""
    return ((model, values, style["color"]) for model, values, style in styled(predictions))
