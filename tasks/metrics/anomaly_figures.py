"""Figures of anomaly scores, a panel for each signal: ROC, SIC and distributions of the score.

Signal jets have the weights that give them the background's pT spectrum. An oracle, which has a
score for each signal, is drawn in dashes and dots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.jets import JetTruth
from physbench.tasks.metrics import anomaly, ranking
from physbench.tasks.metrics.ranking import Roc
from physbench.tasks.metrics.styles import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]

POINTS = 250  # of a drawn curve: more than a panel has pixels in one direction
BINS = 40  # of a distribution


def rejection_curve(curve: Roc) -> Curve:
    """(eps_S, 1/eps_B, its error) where at least 10 background jets pass.

    The error is Poisson in the n passing background jets: (1/eps_B) / sqrt(n).
    """
    usable = curve.background >= ranking.FEW
    rejection = 1 / curve.eps_background[usable]
    return curve.eps_signal[usable], rejection, rejection / np.sqrt(curve.background[usable])


def sic_curve(curve: Roc) -> Curve:
    """(eps_S, eps_S / sqrt(eps_B), its error) where the maximum is searched (`default_floor`).

    The relative error joins half of the background's 1/sqrt(n) and the binomial one of eps_S,
    whose n is the signal's weight (mean 1: unequal weights make it somewhat larger).
    """
    least = ranking.default_floor(curve.background[-1])
    usable = (curve.background >= least) & (curve.signal > 0)
    b, s, eps_s = curve.background[usable], curve.signal[usable], curve.eps_signal[usable]
    sic = eps_s / np.sqrt(curve.eps_background[usable])
    return eps_s, sic, sic * np.sqrt(0.25 / b + (1 - eps_s) / s)


def thinned(curve: Curve) -> Curve:
    """Every point of a curve that lies first above one of `POINTS` even steps in eps_S.

    >>> x = np.linspace(0, 1, 10_001)
    >>> len(thinned((x, x, x))[0])
    250
    """
    steps = np.linspace(0.0, 1.0, POINTS)
    found = np.unique(np.searchsorted(curve[0], steps).clip(max=max(len(curve[0]) - 1, 0)))
    x, y, error = (values[found[: len(values)]] for values in curve)
    return x, y, error


def curves(targets: JetTruth, scores: Any, curve: Callable[[Roc], Curve]) -> dict[str, Curve]:
    """A curve for every signal."""
    found = anomaly.rocs(targets, scores)
    return {name: thinned(curve(roc)) for name, roc in found.items() if roc}


def _panels(names: list[str], *, share_y: bool) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a titled panel for each name, two or three in a row."""
    import matplotlib.pyplot as plt

    columns = min(len(names), 3 if len(names) > 4 else 2)
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        squeeze=False,
        sharex=True,
        sharey=share_y,
        layout="constrained",
        figsize=(1.5 + 3.2 * columns, 1.4 + 2.7 * rows),
    )
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    panels = dict(zip(names, grid.flat, strict=False))
    for place, (name, axes) in enumerate(panels.items()):
        axes.set_title(f"{name} (control)" if name == anomaly.VISIBLE else name)
        axes.tick_params(labelbottom=place + columns >= len(names))
    plt.close(figure)
    return figure, panels


def _curve_figure(
    targets: JetTruth,
    predictions: Mapping[str, Any],
    curve: Callable[[Roc], Curve],
    label: str,
) -> Figure:
    lines = {model: curves(targets, values, curve) for model, values in predictions.items()}
    figure, panels = _panels(list(next(iter(lines.values()))), share_y=True)
    for name, axes in panels.items():
        for model, by_signal in lines.items():
            x, y, error = by_signal[name]
            oracle: dict[str, Any] = {"ls": "-."} if np.ndim(predictions[model]) == 2 else {}
            (line,) = axes.plot(x, y, label=model, linewidth=1.2, **oracle)
            axes.fill_between(x, y - error, y + error, color=line.get_color(), alpha=0.2, lw=0)
        axes.set_xlim(0.0, 1.0)
    handles, labels = next(iter(panels.values())).get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize="small")
    figure.supxlabel(r"signal efficiency $\epsilon_S$")
    figure.supylabel(label)
    return figure


def roc_figure(targets: JetTruth, predictions: Mapping[str, Any]) -> Figure:
    """Background rejection against signal efficiency, 68 % bands, pT-weighted."""
    label = r"background rejection $1/\epsilon_B$"
    figure = _curve_figure(targets, predictions, rejection_curve, label)
    figure.axes[0].set_yscale("log")  # shared by all panels
    return figure


def sic_figure(targets: JetTruth, predictions: Mapping[str, Any]) -> Figure:
    """Significance improvement against signal efficiency, 68 % bands, pT-weighted."""
    label = r"$\epsilon_S / \sqrt{\epsilon_B}$"
    return _curve_figure(targets, predictions, sic_curve, label)


def background_quantile(targets: JetTruth, scores: NDArray[Any]) -> NDArray[np.float64]:
    """Score (n,) as the fraction of background jets with a lower one, ties half: any scale."""
    ordered = np.sort(scores[targets.signal == 0])
    places = [np.searchsorted(ordered, scores, side) for side in ("left", "right")]
    return np.asarray((places[0] + places[1]) / (2 * len(ordered)))


def score_figure(targets: JetTruth, predictions: Mapping[str, Any]) -> Figure:
    """Distributions of each score, a panel a model, in quantiles of the background (then flat)."""
    single = {m: np.asarray(p) for m, p in predictions.items() if np.ndim(p) == 1}
    figure, panels = _panels(list(single), share_y=True)
    edges = np.linspace(0.0, 1.0, BINS + 1)
    for model, axes in panels.items():
        place = background_quantile(targets, single[model])
        for code, name in enumerate(("background", *targets.signals)):
            chosen = targets.signal == code
            weight = targets.weight[chosen] / max(targets.weight[chosen].sum(), 1e-12) * BINS
            axes.hist(
                place[chosen],
                edges.tolist(),
                weights=weight,
                histtype="step",
                label=name,
                color="black" if code == 0 else KINDS[(code - 1) % len(KINDS)],
                linestyle="--" if name == anomaly.VISIBLE else "-",
            )
        axes.set_xlim(0.0, 1.0)
    handles, labels = next(iter(panels.values())).get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize="small")
    figure.supxlabel("score as a quantile of the background; anomalous to the right")
    figure.supylabel("density")
    return figure
