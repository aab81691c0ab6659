"""Figures of seeds: efficiency in bins of eta and production radius, and its price in seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from physbench.tasks.metrics import seeding
from physbench.tasks.metrics.styles import coloured
from physbench.tasks.metrics.tracking import clopper_pearson

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "osD^v<>phX*P"


def against_eta(targets: Any, predictions: Mapping[str, Any]) -> Figure:
    """Selected particles with a true seed, in bins of |eta|; exact binomial 68 % intervals."""
    return _binned(targets, predictions, "|eta|", r"$|\eta|$")


def against_radius(targets: Any, predictions: Mapping[str, Any]) -> Figure:
    """Selected particles with a true seed, by production radius; exact binomial 68 % intervals."""
    return _binned(targets, predictions, "r0", "production radius [mm]")


def _binned(targets: Any, predictions: Mapping[str, Any], quantity: str, label: str) -> Figure:
    """Rows side by side within each bin: most of them are close."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    names: list[str] = []
    for number, (model, values) in enumerate(predictions.items()):
        found = seeding.efficiency_counts(targets, values)
        bins = {
            k.removeprefix(quantity).strip(): v
            for k, v in found.items()
            if k.startswith(quantity + " ")
        }
        names = list(bins)
        points = np.array([hit / total if total else np.nan for hit, total in bins.values()])
        ends = np.array([clopper_pearson(*pair) for pair in bins.values()]).T
        shift = (number - (len(predictions) - 1) / 2) * 0.8 / max(len(predictions), 1)
        errors = np.clip([points - ends[0], ends[1] - points], 0, 1)
        axes.errorbar(
            np.arange(len(bins)) + shift,
            points,
            errors,
            fmt=MARKERS[number % len(MARKERS)],
            ms=4,
            lw=1,
            label=model,
        )
    axes.set_xticks(range(len(names)), names)
    axes.set(xlabel=label, ylabel="efficiency (strict)", ylim=(0.0, 1.02))
    figure.legend(loc="outside lower center", ncols=2, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure


def against_seeds(targets: Any, predictions: Mapping[str, Any]) -> Figure:
    """Efficiency against seeds an event: filled where enough of them are true to be ranked."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 5.0), layout="constrained")
    for number, (model, values, colour) in enumerate(coloured(predictions)):
        events = seeding.derive(targets, values)
        seeds = seeding.seeds_per_event(targets, events)
        if not seeds:
            continue  # no place on a logarithmic axis
        pure = seeding.seed_purity(targets, events) >= 0.35
        axes.plot(
            seeds,
            seeding.seed_efficiency(targets, events),
            MARKERS[number % len(MARKERS)],
            color=colour,
            mfc=None if pure else "white",
            label=model,
        )
    axes.set(xscale="log", xlabel="seeds an event", ylabel="efficiency (strict)")
    figure.legend(loc="outside lower center", ncols=2, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure
