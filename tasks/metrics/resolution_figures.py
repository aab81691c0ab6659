"""Figures of track parameters: resolution against pT with the limit, and errors of one bin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common import barrel
from physbench.datasets.common.particle_mix import EDGES
from physbench.datasets.tracks import TrackTruth
from physbench.tasks.metrics import resolution
from physbench.tasks.metrics.styles import coloured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

ERROR = 0.962  # relative standard error of core68 of n Gaussian values, times sqrt(n)
SHOWN = 6.0  # limits within which the distribution of errors is drawn, in widths
STEPS = 60


def core68_curve(truth: TrackTruth, predictions: Any) -> tuple[Array, Array, Array]:
    """Mean pT, core68 and its error in each bin of true pT where core68 is finite."""
    errors = resolution.binned(truth, resolution.pt_errors(truth, predictions))
    centres = resolution.binned(truth, truth.pt)
    rows = [
        (pt.mean(), resolution.core68(r), len(r))
        for pt, r in zip(centres, errors, strict=True)
        if len(r) > 1
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    pt, width, count = table[np.isfinite(table[:, 1])].T
    return pt, width, ERROR * width / np.sqrt(count)


def ideal_curve(truth: TrackTruth) -> Array:
    """core68 of pT in each bin of true pT that the ideal linear fit reaches; NaN without one."""
    bins = resolution.binned(truth, truth.sigma[:, 0])
    return np.array([truth.core[0] * barrel.mixture_core68(s) if len(s) else np.nan for s in bins])


def resolution_figure(truth: TrackTruth, predictions: Mapping[str, Any]) -> Figure:
    """core68 of the relative error of pT against pT, with the ideal linear fit's."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    for model, values in predictions.items():
        pt, width, error = core68_curve(truth, values)
        # In per cent; a model without answers in a bin has no point there.
        axes.errorbar(pt, 100 * width, 100 * error, marker="o", ms=3, lw=1, label=model)
    ideal = ideal_curve(truth)
    if np.isfinite(ideal).any():
        axes.stairs(
            100 * ideal,
            EDGES,
            color="black",
            lw=2,
            alpha=0.6,
            label="ideal linear fit",
            baseline=None,
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="true $p_T$ [GeV]",
        ylabel=r"core68 of $\Delta p_T / p_T$ [%]",
    )
    figure.legend(loc="outside lower center", ncols=3, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure


def distribution_figure(truth: TrackTruth, predictions: Mapping[str, Any]) -> Figure:
    """Relative error of pT of the tracks between 1 and 2 GeV, each with its Gaussian fit."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    for model, values, colour in coloured(predictions):
        r = resolution.binned(truth, resolution.pt_errors(truth, values))[1]
        fitted = resolution.gaussian_fit(r)
        if not np.isfinite(fitted.sigma):
            continue
        edges = fitted.centre + SHOWN * fitted.sigma * np.linspace(-1, 1, STEPS + 1)
        density = np.histogram(r, edges)[0] / len(r) / np.diff(edges)
        name = f"{model}: {100 * fitted.sigma:.2f} %"
        axes.stairs(density, 100 * edges, label=name, color=colour)
        shape = np.exp(-0.5 * ((edges - fitted.centre) / fitted.sigma) ** 2)
        shape = shape / (fitted.sigma * np.sqrt(2 * np.pi))
        axes.plot(100 * edges, shape, color=colour, lw=0.7, ls="--")
    axes.set(xlabel=r"$\Delta p_T / p_T$ [%], 1 < $p_T$ < 2 GeV", ylabel="density")
    figure.legend(loc="outside lower center", ncols=2, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure
