"""ROC and SIC curves of anomaly scores, a panel for each signal, with 68 % statistical bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physbench.datasets.jets import JetTruth
from physbench.tasks.metrics import anomaly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]

POINTS = 250  # of a drawn curve: more than a panel has pixels in one direction


def rejection_curve(background: ArrayLike, signal: ArrayLike) -> Curve:
    """(eps_S, 1/eps_B, its error) where at least 10 background jets pass.

    The error is Poisson in the n passing background jets: (1/eps_B) / sqrt(n).
    """
    bkg, sig = anomaly.checked(background, signal)
    n_bkg, n_sig = anomaly.roc(bkg, sig)
    usable = n_bkg >= anomaly.FEW
    rejection = len(bkg) / n_bkg[usable]
    return n_sig[usable] / len(sig), rejection, rejection / np.sqrt(n_bkg[usable])


def sic_curve(background: ArrayLike, signal: ArrayLike) -> Curve:
    """(eps_S, eps_S / sqrt(eps_B), its error) where the maximum is searched (`default_floor`).

    The relative error joins half of the background's 1/sqrt(n) and the binomial one of eps_S.
    """
    bkg, sig = anomaly.checked(background, signal)
    n_bkg, n_sig = anomaly.roc(bkg, sig)
    usable = (n_bkg >= anomaly.default_floor(len(bkg))) & (n_sig > 0)
    b, s = n_bkg[usable], n_sig[usable]
    sic = (s / len(sig)) / np.sqrt(b / len(bkg))
    return s / len(sig), sic, sic * np.sqrt(0.25 / b + (1 - s / len(sig)) / s)


def thinned(curve: Curve) -> Curve:
    """Every point of a curve that lies first above one of `POINTS` even steps in eps_S.

    >>> x = np.linspace(0, 1, 10_001)
    >>> len(thinned((x, x, x))[0])
    250
    """
    steps = np.linspace(0.0, 1.0, POINTS)
    found = np.unique(np.searchsorted(curve[0], steps).clip(max=max(len(curve[0]) - 1, 0)))
    return tuple(values[found[: len(values)]] for values in curve)


def curves(targets: JetTruth, scores: Any, curve: Any) -> dict[str, Curve]:
    """A curve for every signal, on the pT-matched jets."""
    found: list[Curve] = []

    def keep(background: ArrayLike, signal: ArrayLike) -> float:
        found.append(thinned(curve(background, signal)))
        return 0.0

    names = list(anomaly.each_signal(targets, scores, keep))
    return dict(zip(names, found, strict=True))


def _figure(targets: JetTruth, predictions: Mapping[str, Any], curve: Any, label: str) -> Figure:
    import matplotlib.pyplot as plt

    lines = {model: curves(targets, values, curve) for model, values in predictions.items()}
    names = list(next(iter(lines.values())))
    columns = min(len(names), 2)
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(
        rows, columns, squeeze=False, sharex=True, sharey=True, layout="constrained",
        figsize=(1.5 + 3.2 * columns, 1.2 + 2.7 * rows),
    )  # fmt: skip
    for name, axes in zip(names, grid.flat, strict=False):
        for model, by_signal in lines.items():
            x, y, error = by_signal[name]
            (line,) = axes.plot(x, y, label=model, linewidth=1.2)
            axes.fill_between(x, y - error, y + error, color=line.get_color(), alpha=0.2, lw=0)
        axes.set(title=name, xlim=(0.0, 1.0))
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize="small")
    figure.supxlabel(r"signal efficiency $\epsilon_S$")
    figure.supylabel(label)
    plt.close(figure)
    return figure


def roc_figure(targets: JetTruth, predictions: Mapping[str, Any]) -> Figure:
    """Background rejection against signal efficiency, 68 % bands, pT-matched jets."""
    figure = _figure(targets, predictions, rejection_curve, r"background rejection $1/\epsilon_B$")
    figure.axes[0].set_yscale("log")  # shared by all panels
    return figure


def sic_figure(targets: JetTruth, predictions: Mapping[str, Any]) -> Figure:
    """Significance improvement against signal efficiency, 68 % bands, pT-matched jets."""
    return _figure(targets, predictions, sic_curve, r"$\epsilon_S / \sqrt{\epsilon_B}$")
