"""Figures of a likelihood ratio: error by theta, likelihood curves, intervals with coverage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.events import GRID, Gold
from physbench.tasks.metrics import likelihood
from physbench.tasks.metrics.styles import coloured, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

MARKERS = "oDs^vP<X>"  # nine by ten colours: no two rows look alike
EXACT = {"color": "black", "ls": "-", "lw": 2.4, "alpha": 0.7}
SMALLEST = 1e-6  # mean squared error below which half precision is all that is left


def error_figure(truth: Gold, predictions: Mapping[str, Any]) -> Figure:
    """Mean squared error of ln r against theta: what the ranking metric averages."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    for model, values, style in styled(predictions):
        squares = (likelihood.derive(truth, values)["error"] ** 2).mean(0)
        if squares.max() > SMALLEST:
            shown = np.where(squares > SMALLEST, squares, np.nan)  # 0 at theta = 0 has no log
            axes.plot(GRID, shown, marker="o", ms=3, lw=1, label=model, **style)
    axes.set(yscale="log", xlabel=r"$\theta$", ylabel=r"mean of $(\ln \hat r - \ln r)^2$")
    figure.legend(loc="outside lower center", ncols=3, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure


def expected_curve(log_ratio: Array, events: int = likelihood.EVENTS) -> Array:
    """-2 ln L/max L (401,) of `events` times the mean event at theta = 0: Asimov data."""
    return likelihood.deviance(events * log_ratio.mean(0))


def one_experiment(truth: Gold, log_ratio: Array, theta: float = 0.5, number: int = 0) -> Array:
    """-2 ln L/max L (401,) of one pseudo-experiment of 100 events at theta*."""
    chosen = likelihood.drawn(truth.exact, theta)[number]
    return likelihood.deviance(log_ratio[chosen].sum(0))


def scan_figure(truth: Gold, predictions: Mapping[str, Any]) -> Figure:
    """Likelihood of 100 events: expected at theta = 0, and one pseudo-experiment at 0.5.

    Left: Asimov data, 100 times the mean test event. Right: one draw. The exact curve is black,
    the line at 1 cuts the interval of 68.3 %.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8.4, 4.6), sharey=True, layout="constrained"
    )
    for model, values, own in [("exact", truth.exact, EXACT), *styled(predictions)]:
        if model != "exact" and _is_exact(truth, values):
            continue  # the oracle is the black curve
        style = {"lw": 1} | own
        left.plot(likelihood.FINE, expected_curve(_ratios(values)), label=model, **style)
        right.plot(likelihood.FINE, one_experiment(truth, _ratios(values)), **style)
    for axes, title, theta in (
        (left, r"expected, $\theta^* = 0$", 0.0),
        (right, r"one pseudo-experiment, $\theta^* = 0.5$", 0.5),
    ):
        _frame(axes, title, theta)
    left.set_ylabel(r"$-2 \ln L(\theta) / \max L$, 100 events")
    figure.legend(loc="outside lower center", ncols=4, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure


def _is_exact(truth: Gold, values: Any) -> bool:
    return bool(np.allclose(_ratios(values), truth.exact, atol=1e-2))


def _ratios(values: Any) -> Array:
    chosen = values["log_ratio"] if isinstance(values, Mapping) else values
    return np.asarray(chosen, dtype=np.float64)


def _frame(axes: Axes, title: str, theta: float) -> None:
    axes.axhline(1, color="grey", lw=0.7)
    axes.axvline(theta, color="grey", lw=0.7, ls=":")
    axes.set(title=title, xlabel=r"$\theta$", xlim=(-1, 1), ylim=(0, 9))
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.title.set_fontsize("small")


def coverage_figure(truth: Gold, predictions: Mapping[str, Any]) -> Figure:
    """Intervals on theta from 100 events: how often they hold the truth, and how long they are.

    Mean over theta* = -0.5, 0, 0.5, 400 pseudo-experiments each. Below the line a method claims
    more than it knows, however short its intervals.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
    star = {"marker": "*", "ms": 13, "color": "black"}
    _interval_point(axes, truth, "exact", {"log_ratio": truth.exact}, star)
    for place, (model, values, colour) in enumerate(coloured(predictions)):
        if not _is_exact(truth, values):
            style = {"marker": MARKERS[place % 9], "color": colour}
            _interval_point(axes, truth, model, {"log_ratio": _ratios(values)}, style)
    axes.axhline(likelihood.NOMINAL, color="grey", lw=0.8, ls="--")
    axes.set(
        xlabel=r"mean length of the interval on $\theta$, 100 events",
        ylabel=r"share of intervals that hold $\theta^*$",
        xscale="log",
    )
    ticks = [0.1, 0.2, 0.3, 0.5, 1.0, 2.0]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    figure.legend(loc="outside lower center", ncols=4, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure


def _interval_point(
    axes: Axes, truth: Gold, model: str, values: Any, style: Mapping[str, Any]
) -> None:
    """Mean length and share of one model, with the binomial interval of the share."""
    derived = likelihood.derive(truth, values)
    share = likelihood.coverage_excess(truth, derived)["coverage"]
    ends = np.array(likelihood.coverage_interval(truth, derived)) + likelihood.NOMINAL
    axes.errorbar(
        likelihood.interval_width(truth, derived),
        share,
        np.abs(ends - share)[:, None],
        ls="none",
        lw=1,
        capsize=2,
        label=model,
        **style,
    )
