"""Figures of graphs: purity at every cut, and which wanted edges the cut of 98 % loses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from physbench.tasks.metrics import construction
from physbench.tasks.metrics.tracking import clopper_pearson

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "osD^v<>phX*P"


def purity_figure(targets: Any, predictions: Mapping[str, Any]) -> Figure:
    """Masked purity against the efficiency of the wanted edges at every cut; the line is 98 %."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 5.0), layout="constrained")
    for model, values in predictions.items():
        reach, purity = construction.curve(targets, values)
        last = int(np.argmax(reach >= reach[-1]))  # beyond, cuts add false edges alone
        axes.plot(reach[: last + 1], purity[: last + 1], lw=1.2, label=model)
        axes.plot(reach[last], purity[last], "o", ms=3, color=axes.lines[-1].get_color())
    axes.axvline(construction.EFFICIENCY, color="0.6", lw=0.8, ls="--")
    axes.set(xlim=(0.88, 1.0), ylim=(0.0, 1.02))
    axes.set(xlabel="efficiency of wanted edges", ylabel="masked purity")
    figure.legend(loc="outside lower center", ncols=3, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure


def against_pt(targets: Any, predictions: Mapping[str, Any]) -> Figure:
    """Wanted edges kept at 98 % in all, by pT of the particle; exact binomial 68 % intervals."""
    return _binned(targets, predictions, "pt", "$p_T$ [GeV]")


def against_radius(targets: Any, predictions: Mapping[str, Any]) -> Figure:
    """Wanted edges kept at 98 % in all, by production radius; exact binomial 68 % intervals."""
    return _binned(targets, predictions, "r0", "production radius [mm]")


def _binned(targets: Any, predictions: Mapping[str, Any], quantity: str, label: str) -> Figure:
    """Rows side by side within each bin."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    names: list[str] = []
    for number, (model, values) in enumerate(predictions.items()):
        found = construction.efficiency_counts(targets, values)
        bins = {
            k.removeprefix(f"{quantity} "): v
            for k, v in found.items()
            if k.startswith(f"{quantity} ")
        }
        names = list(bins)
        points = np.array([hit / total if total else np.nan for hit, total in bins.values()])
        ends = np.array([clopper_pearson(*pair) for pair in bins.values()]).T
        shift = (number - (len(predictions) - 1) / 2) * 0.8 / max(len(predictions), 1)
        axes.errorbar(
            np.arange(len(bins)) + shift,
            points,
            np.clip([points - ends[0], ends[1] - points], 0, 1),
            fmt=MARKERS[number % len(MARKERS)],
            ms=4,
            lw=1,
            label=model,
        )
    axes.set_xticks(range(len(names)), names)
    axes.set(xlabel=label, ylabel="efficiency of wanted edges")
    figure.legend(loc="outside lower center", ncols=3, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure
