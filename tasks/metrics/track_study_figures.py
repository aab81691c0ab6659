"""Figures of the study of one network: what inputs, targets, losses, cuts and tracks do to it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.common.particle_mix import EDGES
from physbench.tasks import Variant
from physbench.tasks.metrics import resolution
from physbench.tasks.metrics.resolution_figures import ERROR, ideal_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Variants = Mapping[str, Variant]

COORDINATES = ("xyz", "rphiz", "rdphiz")
TARGETS = {"pt": "$p_T$ [GeV]", "qopt": "$q/p_T$ [1/GeV]", "qpt": "$q\\,p_T$ [GeV]"}
LOSSES = ("mse", "quantile")
BEST = "chord"
LABELS = [f"{lo:g}-{hi:g}" for lo, hi in itertools.pairwise(EDGES)]
CURVES = {" tracks": "all parameters alike", " tracks, pT first": "pT before the others"}
CELLS = 120  # of a two-dimensional histogram, along each axis


def raw(coordinates: str, target: str, loss: str) -> str:
    """The name of a variant in raw coordinates."""
    return f"{coordinates} -> {target}, {loss}"


def _grid(rows: int, columns: int, size: tuple[float, float] = (4.2, 3.2)) -> tuple[Figure, Any]:
    """An empty figure and its axes (rows, columns); `size` in inches is that of one."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        rows,
        columns,
        squeeze=False,
        layout="constrained",
        figsize=(size[0] * columns, size[1] * rows),
    )
    plt.close(figure)
    return figure, axes


def _regressed(variant: Variant, target: str) -> tuple[Array, Array]:
    """True and predicted values of a protocol's target; failures left out."""
    truth, qopt = variant.targets, variant.predictions["qopt"].astype(np.float64)
    good = ~resolution.failed(variant.predictions)
    true, found = truth.q[good] / truth.pt[good], qopt[good]
    if target == "qpt":
        return 1 / true, 1 / found
    return (1 / np.abs(true), 1 / np.abs(found)) if target == "pt" else (true, found)


def predicted_against_true(variants: Variants) -> Figure:
    """Predicted against true value of each target, with squared errors above quantile loss."""
    figure, axes = _grid(len(LOSSES), len(TARGETS))
    for line, loss in zip(axes, LOSSES, strict=True):
        for axis, (target, label) in zip(line, TARGETS.items(), strict=True):
            true, found = _regressed(variants[raw("rdphiz", target, loss)], target)
            low, high = true.min(), true.max()
            edges = np.linspace(low - 0.05 * (high - low), high + 0.05 * (high - low), CELLS)
            count = np.histogram2d(true, found, (edges, edges))[0].T
            shown = np.where(count > 0, np.log10(np.maximum(count, 1)), np.nan)
            axis.imshow(shown, origin="lower", extent=(edges[0], edges[-1]) * 2, aspect="auto")
            axis.axline((0, 0), slope=1, color="black", lw=0.5)
            axis.set(xlabel=f"true {label}", ylabel="predicted", title=f"{target}, {loss}")
    return figure


def residuals(variants: Variants) -> Figure:
    """Relative error of pT in each bin of true pT, with the widths of the three estimators."""
    variant = variants[BEST]
    bins = resolution.binned(
        variant.targets, resolution.pt_errors(variant.targets, variant.predictions)
    )
    figure, axes = _grid(2, 3)
    for axis, errors, label in zip(axes.flat, bins, LABELS, strict=True):
        scale = resolution.core68(errors)
        edges = np.linspace(-6 * scale, 6 * scale, 81)
        density = np.histogram(errors, edges)[0] / len(errors) / np.diff(edges)
        axis.stairs(density, 100 * edges, color="0.3")
        for name, function in (
            ("A", resolution.iterative_rms),
            ("B", resolution.quantile_normal),
            ("C", resolution.gaussian_fit),
        ):
            width = function(errors)
            shape = np.exp(-0.5 * ((edges - width.centre) / width.sigma) ** 2)
            shape = shape / (width.sigma * np.sqrt(2 * np.pi))
            axis.plot(100 * edges, shape, lw=1, label=f"{name} {100 * width.sigma:.2f} %")
        axis.set(xlabel=r"$\Delta p_T/p_T$ [%]", title=f"{label} GeV, core68 {100 * scale:.2f} %")
        axis.legend(fontsize="x-small", frameon=False)
    return figure


def _curve(axis: Any, variant: Variant, errors: Array, name: str) -> None:
    """core68 of relative errors against pT."""
    bins = resolution.binned(variant.targets, errors)
    pt = [p.mean() for p in resolution.binned(variant.targets, variant.targets.pt)]
    width = np.array([resolution.core68(r) for r in bins])
    error = ERROR * width / np.sqrt([len(r) for r in bins])
    axis.errorbar(pt, 100 * width, 100 * error, marker="o", ms=3, lw=1, label=name)


def resolutions(variants: Variants) -> Figure:
    """core68 of pT, q/pT and pz against pT: three variants, the Kalman filter, the ideal fit."""
    chosen = (raw("rdphiz", "qopt", "mse"), raw("rdphiz", "qopt", "quantile"), BEST)
    figure, axes = _grid(1, 3, (4.6, 4.0))
    truth = variants[BEST].targets
    filter_ = {"qopt": truth.kalman[:, 0], "pz": truth.kalman[:, 1]}
    lines = {name: variants[name] for name in chosen}
    lines["Kalman filter"] = Variant(truth, filter_, {}, ())
    for axis, (label, function) in zip(
        axes[0],
        (
            ("$p_T$", resolution.pt_errors),
            ("$q/p_T$", resolution.qopt_errors),
            ("$p_z$", resolution.pz_errors),
        ),
        strict=True,
    ):
        for name, variant in lines.items():
            _curve(axis, variant, function(variant.targets, variant.predictions), name)
        if label != "$p_z$":
            axis.stairs(
                100 * ideal_curve(truth),
                EDGES,
                baseline=None,
                color="black",
                alpha=0.6,
                label="ideal linear fit",
            )
        axis.set(xscale="log", yscale="log", xlabel="true $p_T$ [GeV]", title=label)
        axis.set_ylabel("core68 of the relative error [%]")
        _plain(axis.yaxis)
    axes[0][0].legend(fontsize="x-small", frameon=False)
    return figure


def _plain(axis: Any) -> None:
    """Numbers as they are at the ticks of a logarithmic axis of less than two decades."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(LogLocator(subs="all"))
    axis.set_minor_formatter("")


def signs(variants: Variants) -> Figure:
    """Signed against unsigned targets: core68 of pT by bin, and q pT around its gap."""
    figure, axes = _grid(1, 2, (5.0, 3.8))
    first, second = axes[0]
    for target in TARGETS:
        variant = variants[raw("rdphiz", target, "quantile")]
        _curve(first, variant, resolution.pt_errors(variant.targets, variant.predictions), target)
    first.set(xscale="log", xlabel="true $p_T$ [GeV]", ylabel="core68 of $\\Delta p_T/p_T$ [%]")
    first.legend(fontsize="small", frameon=False)
    edges = np.linspace(-2, 2, 161)
    for loss in LOSSES:
        variant = variants[raw("rdphiz", "qpt", loss)]
        true, found = _regressed(variant, "qpt")
        wrong = variant.values.get("sign_error_rate") or 0.0
        label = f"predicted, {loss}: {wrong:.2%} wrong signs"
        second.stairs(np.histogram(found, edges)[0], edges, label=label)
    second.stairs(np.histogram(true, edges)[0], edges, color="black", lw=0.7, label="true")
    second.set(xlabel="$q\\,p_T$ [GeV]", ylabel="tracks", yscale="log")
    second.set_ylim(top=10 * second.get_ylim()[1])
    second.legend(fontsize="x-small", frameon=False, loc="upper center")
    return figure


def _bars(axis: Any, groups: Sequence[str], heights: Mapping[str, Sequence[float]]) -> None:
    """Grouped bars: one group a name, one colour a series."""
    width = 0.8 / len(heights)
    for number, (series, values) in enumerate(heights.items()):
        place = np.arange(len(groups)) + (number - (len(heights) - 1) / 2) * width
        axis.bar(place, values, width, label=series)
    axis.set_xticks(range(len(groups)), groups)
    axis.axhline(1, color="black", lw=0.7)
    axis.legend(fontsize="x-small", frameon=False)


def _score(variant: Variant) -> float:
    value = variant.values["pull_pt"]
    return float("nan") if value is None else value


def inputs(variants: Variants) -> Figure:
    """S of x-y-z, r-phi-z and r-dphi-z, for each target and loss; the chord as a line."""
    figure, axes = _grid(1, 2, (5.2, 3.8))
    for axis, loss in zip(axes[0], LOSSES, strict=True):
        heights = {
            coordinates: [_score(variants[raw(coordinates, target, loss)]) for target in TARGETS]
            for coordinates in COORDINATES
        }
        _bars(axis, list(TARGETS), heights)
        axis.axhline(_score(variants[BEST]), color="tab:red", ls="--", lw=1)
        axis.set(ylabel="S (1: ideal linear fit)", title=f"loss {loss}; dashed: chord")
    return figure


def cuts(variants: Variants) -> Figure:
    """The scattering cut: S without a cut, with one on test tracks, and with one everywhere.

    The true crossings of a track never turn back in azimuth: there the cut removes no track.
    """
    figure, axes = _grid(1, 2, (5.0, 3.8))
    names = {
        "none": {"measured": "chord, 69,000 tracks"},
        "test": {h: f"chord, {h} hits, scattering cut test" for h in ("measured", "true")},
        "all": {h: f"chord, {h} hits, scattering cut all" for h in ("measured", "true")},
    }
    cut = {h: {names["test"][h], names["all"][h]} for h in ("measured", "true")}
    kinds = [hits for hits, needed in cut.items() if needed <= set(variants)]
    if not kinds:
        raise KeyError("with a scattering cut")
    for axis, metric, scale in zip(
        axes[0], ("pull_pt", "outlier_fraction"), (1.0, 100.0), strict=True
    ):
        heights = {
            hits: [
                scale * (variants[own[hits]].values[metric] or 0.0) if hits in own else np.nan
                for own in names.values()
            ]
            for hits in kinds
        }
        for hits, values in heights.items():
            axis.plot(list(names), values, marker="o", label=f"{hits} hits")
        axis.set(xlabel="scattering cut")
        axis.margins(x=0.2, y=0.3)
    axes[0][0].legend(frameon=False, fontsize="small")
    axes[0][0].set(ylabel="S (1: ideal linear fit)")
    axes[0][1].set(ylabel="tracks off by more than 10 % [%]")
    return figure


def losses(variants: Variants) -> Figure:
    """Training and validation loss by epoch, of the variants whose weights were kept."""
    known = {name: variant.history for name, variant in variants.items() if variant.history}
    if not known:
        raise KeyError("with weights")
    import matplotlib.pyplot as plt

    figure, axes = _grid(1, 1, (7.0, 5.0))
    axis = axes[0][0]
    axis.set_prop_cycle(color=plt.get_cmap("tab20")(range(20)))  # more variants than a cycle has
    for name, rows in known.items():
        epochs = np.arange(1, len(rows) + 1)
        kept = [row.get("validation_loss", np.nan) for row in rows]
        line = axis.plot(epochs, kept, lw=1, label=name)[0]
        axis.plot(
            epochs, [row["train_loss"] for row in rows], lw=0.6, ls=":", color=line.get_color()
        )
    axis.set(xscale="log", yscale="log", xlabel="epoch", ylabel="loss (dotted: training)")
    _plain(axis.yaxis)
    figure.legend(loc="outside lower center", fontsize="xx-small", frameon=False, ncols=3)
    return figure


def _by_tracks(variants: Variants, ending: str) -> dict[int, float]:
    """S by number of training tracks, of the variants `chord, N tracks...` with that ending."""
    found = {}
    for name, variant in variants.items():
        first, _, rest = name.partition(", ")
        tracks = rest.removesuffix(ending).replace(",", "")
        if first == BEST and rest.endswith(ending) and tracks.isdigit():
            found[int(tracks)] = _score(variant)
    return found


def learning_curve(variants: Variants) -> Figure:
    """S against the number of training tracks, at equal numbers of steps; the Kalman filter."""
    curves = {label: _by_tracks(variants, ending) for ending, label in CURVES.items()}
    found = curves["all parameters alike"]
    if len(found) < 2:
        raise KeyError("chord, ... tracks")
    figure, axes = _grid(1, 1, (5.6, 4.0))
    axis = axes[0][0]
    for label, scores in curves.items():
        if scores:
            axis.plot(list(scores), list(scores.values()), marker="o", label=f"chord, {label}")
    whole = variants.get(BEST)
    if whole is not None:
        axis.plot([70_000], [_score(whole)], marker="s", ls="", label="chord, six times the steps")
    truth = next(v for name, v in variants.items() if name.startswith(BEST)).targets
    kalman = resolution.pull_pt(truth, {"qopt": truth.kalman[:, 0]})
    axis.axhline(kalman, color="black", lw=0.8, label="Kalman filter")
    axis.set(xscale="log", xlabel="training tracks", ylabel="S (1: ideal linear fit)")
    axis.set_xticks(list(found), [f"{tracks:,}" for tracks in found])
    axis.minorticks_off()
    axis.legend(fontsize="small", frameon=False)
    return figure


FIGURES = {
    "Predicted against true": predicted_against_true,
    "Relative residuals": residuals,
    "Resolution": resolutions,
    "Signed and unsigned targets": signs,
    "Inputs": inputs,
    "Scattering cut": cuts,
    "Losses": losses,
    "Learning curve": learning_curve,
}
