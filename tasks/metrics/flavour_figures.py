"""Figures of flavour tagging from stored predictions.

Bands and bars are 68 % and statistical: Poisson in the background jets that pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.jets import Flavours
from physbench.tasks.metrics import flavour
from physbench.tasks.metrics.ranking import FEW, Roc, roc, working_point
from physbench.tasks.metrics.styles import KINDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

LOWEST, POINTS = 0.4, 200  # signal efficiencies of the drawn curves
EFFICIENCY = 0.77
SHOWN = (-8.0, 12.0)  # nats of the b discriminant
NOTE = "Pythia 8.317, parametrised tracker"


def rejection_curve(curve: Roc) -> tuple[Array, Array, Array]:
    """(eps_S, 1/eps_B, its Poisson error) where at least 10 background jets pass.

    At most 200 points, each the first of the ROC with at least its signal efficiency.
    """
    wanted = np.linspace(LOWEST, 1.0, POINTS)
    found = [working_point(curve, eps) for eps in wanted]
    kept = [point for point in found if point.passing >= FEW]
    columns = [[getattr(p, k) for p in kept] for k in ("eps_signal", "rejection", "sigma")]
    eps, rejection, sigma = np.array(columns, dtype=np.float64).reshape(3, -1)
    return eps, rejection, sigma


def rejection_figure(targets: Flavours, predictions: Mapping[str, Any]) -> Figure:
    """Rejection of every background class against signal efficiency."""
    backgrounds = range(1, len(targets.classes))
    figure, panels = _panels(len(backgrounds))
    for axes, k in zip(panels, backgrounds, strict=True):
        for model, stored in predictions.items():
            L = flavour.log_probabilities(targets, stored)
            x, y, error = rejection_curve(roc(*flavour.pair(targets, L, k)))
            (line,) = axes.plot(x, y, label=model, linewidth=1.5)
            axes.fill_between(x, y - error, y + error, color=line.get_color(), alpha=0.2, lw=0)
        name = targets.classes[k]
        axes.set(yscale="log", xlim=(LOWEST, 1.0), ylabel=f"{name} rejection 1/ε")
        for eps in flavour.EFFICIENCIES:
            axes.axvline(eps, color="gray", lw=0.8, ls=":")
        axes.set_xlabel(f"{targets.classes[0]} efficiency ε")
    return _finished(figure, panels)


def pt_figure(targets: Flavours, predictions: Mapping[str, Any]) -> Figure:
    """Rejection at 77 % signal efficiency in bins of jet pT, the cut chosen in each bin."""
    backgrounds = range(1, len(targets.classes))
    figure, panels = _panels(len(backgrounds))
    edges = np.array(flavour.PT_EDGES)
    for axes, k in zip(panels, backgrounds, strict=True):
        for number, (model, stored) in enumerate(predictions.items()):
            L = flavour.log_probabilities(targets, stored)
            y, error = _binned(targets, L, k)
            shift = 1 + 0.012 * (number - len(predictions) / 2)
            centre = np.sqrt(edges[1:] * edges[:-1]) * shift
            half = [centre - edges[:-1], edges[1:] - centre]
            axes.errorbar(centre, y, error, half, fmt="o", ms=4, lw=1.2, label=model)
        axes.set(yscale="log", xlabel="jet $p_T$ [GeV]")
        axes.set_ylabel(f"{targets.classes[k]} rejection at ε = {EFFICIENCY:.0%}")
    return _finished(figure, panels)


def _binned(targets: Flavours, L: Array, background: int) -> tuple[Array, Array]:
    """Rejection and its error in each bin of jet pT; NaN where nothing passes or none is there."""
    rows = []
    for low, high in itertools.pairwise(flavour.PT_EDGES):
        inside = np.flatnonzero((targets.pt >= low) & (targets.pt < high))
        scores = flavour.pair(targets.take(inside), L[inside], background)
        if not all(map(len, scores)):
            rows.append((np.nan, np.nan))
            continue
        point = working_point(roc(*scores), EFFICIENCY)
        rows.append((np.nan if point.bound else point.rejection, point.sigma))
    rejection, sigma = np.array(rows).T
    return rejection, sigma


def discriminant_figure(targets: Flavours, predictions: Mapping[str, Any]) -> Figure:
    """Distribution of the b discriminant of each flavour, for every model."""
    figure, panels = _panels(len(predictions))
    edges = np.linspace(*SHOWN, 61)
    for axes, (model, stored) in zip(panels, predictions.items(), strict=True):
        score = _score(targets, flavour.log_probabilities(targets, stored)).clip(*SHOWN)
        for k, name in enumerate(targets.classes):
            own = score[targets.label == k]
            share = np.histogram(own, edges)[0] / len(own)
            axes.stairs(share, edges, label=name, lw=1.5, color=KINDS[k % len(KINDS)])
        axes.set(yscale="log", xlabel=r"$D_b$ [nats]", ylabel="share of jets", title=model)
    return _finished(figure, panels)


def _score(targets: Flavours, L: Array) -> Array:
    """D_b of the four flavours; elsewhere the log odds of the signal."""
    if L.shape[1] == 4 and targets.classes[0] == "b":
        return flavour.b_discriminant(L)
    odds: Array = L[:, 0] - np.logaddexp.reduce(L[:, 1:], axis=1)
    return odds


def calibration_figure(targets: Flavours, predictions: Mapping[str, Any]) -> Figure:
    """Share of signal jets against the predicted probability, in 20 bins of equal count."""
    figure, (axes,) = _panels(1)
    axes.plot([0, 1], [0, 1], color="gray", lw=1, ls="--")
    for model, stored in predictions.items():
        p, parts = flavour.binned_probability(flavour.log_probabilities(targets, stored))
        mean = np.array([p[part].mean() for part in parts])
        share = np.array([(targets.label[part] == 0).mean() for part in parts])
        error = np.sqrt(share * (1 - share) / [len(part) for part in parts])
        axes.errorbar(mean, share, error, marker="o", ms=4, lw=1.2, label=model)
    name = targets.classes[0]
    axes.set(xlabel=f"predicted probability of {name}", ylabel=f"share of {name} jets")
    return _finished(figure, [axes])


def _panels(number: int) -> tuple[Figure, list[Any]]:
    """A row of panels, at most four side by side."""
    import matplotlib.pyplot as plt

    columns = min(number, 4)
    rows = -(-number // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        squeeze=False,
        layout="constrained",
        figsize=(max(0.6 + 2.8 * columns, 5.6), 0.9 + 2.7 * rows + (columns == 1)),
    )
    for axes in grid.flat[number:]:
        axes.set_axis_off()
    return figure, list(grid.flat[:number])


def _finished(figure: Figure, panels: list[Any]) -> Figure:
    """One legend above the panels, the origin of the sample beside it; closed."""
    import matplotlib.pyplot as plt

    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=min(5, 2 * len(panels)),
        fontsize="x-small",
        title=NOTE,
        title_fontsize="x-small",
        frameon=False,
    )
    plt.close(figure)
    return figure
