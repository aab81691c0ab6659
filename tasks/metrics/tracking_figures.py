"""Figures of track finding: efficiency in bins of a quantity, and what parts of a chain add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.tasks import Variant
from physbench.tasks.metrics import tracking as metrics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Where bins that reach to 0 or to infinity are drawn, and what is drawn on a logarithmic axis.
FIRST, LAST = {"radius": 0.1}, {"pt": 20.0, "radius": 1000.0, "density": 8.0}
LOGARITHMIC = ("pt", "radius")


def efficiency_figure(
    targets: Any, predictions: Mapping[str, Any], quantity: str, label: str
) -> Figure:
    """Double-majority efficiency in bins of a quantity, with exact binomial 68 % intervals."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    reach: list[float] = []
    for model, values in predictions.items():
        centres, widths, points, errors = _binned(targets, values, quantity)
        axes.errorbar(
            centres, points, yerr=errors, xerr=widths, fmt="o", markersize=4, label=model
        )
        reach += [*(centres - widths), *(centres + widths)]
    axes.set(xlabel=label, ylabel="efficiency (double majority)", ylim=(0.0, 1.05))
    if reach:
        axes.set_xlim(min(reach), max(reach))
    if quantity in LOGARITHMIC:
        axes.set_xscale("log")
    figure.legend(loc="outside lower center", ncols=3, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure


def _binned(
    targets: Any, predictions: Any, quantity: str
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    rows = []
    for name, (passed, total) in metrics.efficiency_counts(targets, predictions).items():
        kind, _, edges = name.partition(" ")
        if kind == quantity and total:
            low, high = metrics.bin_edges(edges)
            interval = metrics.clopper_pearson(passed, total)
            low, high = max(low, FIRST.get(kind, low)), min(high, LAST.get(kind, high))
            rows.append((low, high, passed / total, *interval))
    table = np.array(rows, dtype=float).reshape(-1, 5)
    left, right, point = table[:, 0], table[:, 1], table[:, 2]
    errors = np.clip(np.stack([point - table[:, 3], table[:, 4] - point]), 0.0, None)
    return (left + right) / 2, (right - left) / 2, point, errors


def efficiency_against_pt(targets: Any, predictions: Mapping[str, Any]) -> Figure:
    """Efficiency against transverse momentum."""
    return efficiency_figure(targets, predictions, "pt", r"$p_T$ [GeV]")


def efficiency_against_eta(targets: Any, predictions: Mapping[str, Any]) -> Figure:
    """Efficiency against pseudorapidity."""
    return efficiency_figure(targets, predictions, "eta", r"$\eta$")


def efficiency_against_radius(targets: Any, predictions: Mapping[str, Any]) -> Figure:
    """Efficiency against the radius of production: what starts outside the first layers."""
    return efficiency_figure(targets, predictions, "radius", "production radius [mm]")


FIGURES = {
    "efficiency against pT": efficiency_against_pt,
    "efficiency against eta": efficiency_against_eta,
    "efficiency against production radius": efficiency_against_radius,
}

SHOWN = {  # of each variant of a study: metrics and their labels
    "efficiency_dm": "efficiency (double majority)",
    "efficiency_perfect": "perfect efficiency",
    "fake_combinatorial": "combinatorial fakes",
    "fake_all": "all fakes",
}
FAR = ("2 rounds of messages", "no merging", "8 events", "8 events, filter open")


def parts(variants: Mapping[str, Variant]) -> Figure:
    """Efficiencies and fakes of each variant, beside a line at those of the ranked one."""
    import matplotlib.pyplot as plt

    ranked, places = variants["as ranked"], range(len(variants))
    height = 0.9 + 0.26 * len(variants)
    figure, axes = plt.subplots(
        1, len(SHOWN), sharey=True, layout="constrained", figsize=(2.7 * len(SHOWN) + 1.2, height)
    )
    for axis, (name, label) in zip(axes, SHOWN.items(), strict=True):
        values = [one.values[name] for one in variants.values()]
        axis.plot([np.nan if v is None else v for v in values], places, "o", ms=5)
        line = ranked.values[name]
        if line is not None:
            axis.axvline(line, color="0.6", lw=0.8, zorder=0)
        axis.set_xlabel(label, fontsize="small")
        axis.tick_params(labelsize="small")
        axis.locator_params(axis="x", nbins=4)
    axes[0].set_yticks(places, list(variants))
    axes[0].invert_yaxis()
    plt.close(figure)
    return figure


def far(variants: Mapping[str, Variant]) -> Figure:
    """Efficiency against the radius of production, without some of the parts."""
    names = ["as ranked", *(name for name in FAR if name in variants)]
    predictions = {name: variants[name].predictions for name in names}
    return efficiency_against_radius(variants["as ranked"].targets, predictions)


STUDY = {"Parts and learning curves": parts, "Parts against production radius": far}
