"""Figures of generated showers beside simulated ones: profiles with ratios, maps, the judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.showers import Showers, decode
from physbench.tasks.metrics import shower_table
from physbench.tasks.metrics.styles import styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Drawn = Mapping[str, Any]  # codes of the showers of each model

BARS = 40  # of a histogram
SINGLE = 3  # showers shown one by one


def layer_figure(truth: Showers, drawn: Drawn) -> Figure:
    """Mean energy of each layer over the incident energy."""
    curves = {
        name: (truth.grid.by_layer(voxels) / truth.energy[:, None]).mean(0)
        for name, voxels in _all(truth, drawn).items()
    }
    numbers = np.array([layer.number for layer in truth.grid.layers], dtype=np.float64)
    return _profile(curves, np.append(numbers - 0.5, numbers[-1] + 0.5), "layer")


def ring_figure(truth: Showers, drawn: Drawn) -> Figure:
    """Mean energy of each ring over the incident energy, all layers together."""
    edges = np.unique(np.concatenate([layer.rings for layer in truth.grid.layers]))
    middle = (edges[1:] + edges[:-1]) / 2
    place = np.searchsorted(edges, truth.grid.radius) - 1
    curves: dict[str, Floats] = {}
    for name, voxels in _all(truth, drawn).items():
        share = (voxels / truth.energy[:, None]).mean(0)
        curves[name] = np.asarray(np.bincount(place, share, len(middle)), np.float64)
    return _profile(curves, edges, f"radius [{_unit(truth.grid.radius_unit)}]")


def response_figure(truth: Showers, drawn: Drawn) -> Figure:
    """Distribution of E_tot/E."""
    values = {n: v.sum(1) / truth.energy for n, v in _all(truth, drawn).items()}
    return _histogram(values, r"$E_\mathrm{tot}/E$")


def occupancy_figure(truth: Showers, drawn: Drawn) -> Figure:
    """Distribution of the share of voxels above threshold."""
    values = {n: (v > 0).mean(1) for n, v in _all(truth, drawn).items()}
    count = truth.grid.voxels
    edges = (np.arange(count + 2) - 0.5) / count if count < 100 else None
    return _histogram(values, "share of voxels above threshold", edges)


def mean_figure(truth: Showers, drawn: Drawn) -> Figure:
    """Mean shower: share of the incident energy in each layer and ring."""
    maps = {
        name: _map((voxels / truth.energy[:, None]).mean(0), truth)
        for name, voxels in _all(truth, drawn).items()
    }
    return _maps([maps], truth, "share of the incident energy", [""])


def single_figure(truth: Showers, drawn: Drawn) -> Figure:
    """Single showers of the same incident energies, side by side."""
    order = np.argsort(truth.energy)
    chosen = order[(np.linspace(0.1, 0.9, SINGLE) * (len(order) - 1)).astype(int)]
    every = _all(truth, drawn)
    rows = [{name: _map(v[unit], truth) for name, v in every.items()} for unit in chosen]
    labels = [f"E = {truth.energy[unit] / 1e3:.1f} GeV" for unit in chosen]
    return _maps(rows, truth, "energy [MeV]", labels)


def correlation_figure(truth: Showers, drawn: Drawn) -> Figure:
    """Correlation of the energies of layers, over the incident energy."""
    import matplotlib.pyplot as plt

    every = _all(truth, drawn)
    figure, grid = plt.subplots(
        1, len(every), figsize=(2.2 * len(every) + 0.8, 2.6), squeeze=False, layout="constrained"
    )
    for axes, (name, voxels) in zip(grid.flat, every.items(), strict=True):
        share = truth.grid.by_layer(voxels) / truth.energy[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            matrix = np.corrcoef(share.T)
        image = axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r", origin="lower")
        axes.set_title(name, fontsize="small")
        axes.set_xlabel("layer")
    grid[0, 0].set_ylabel("layer")
    figure.colorbar(image, ax=grid.ravel().tolist(), label="correlation", shrink=0.8)
    plt.close(figure)
    return figure


def judge_figure(truth: Showers, drawn: Drawn) -> Figure:
    """What the joint judge says of simulated and of generated showers, a panel a model."""
    import matplotlib.pyplot as plt

    columns = min(len(drawn), 3)
    rows = -(-len(drawn) // columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(2.9 * columns + 0.4, 2.2 * rows + 0.5),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    edges = np.linspace(0, 1, BARS + 1)
    for axes, (name, codes) in zip(grid.flat, drawn.items(), strict=False):
        score = shower_table.joint_score(truth, codes)
        for side, label, colour in ((0, "simulated", "#000000"), (1, "generated", "#0072b2")):
            counts = np.histogram(score[:, side], edges)[0] / len(score)
            axes.stairs(counts, edges, label=label, color=colour)
        axes.set_title(name, fontsize="small")
    for axes in grid.flat[len(drawn) :]:
        axes.set_axis_off()
    figure.supxlabel("judge's probability that a shower is generated")
    figure.supylabel("share of showers")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    plt.close(figure)
    return figure


def _all(truth: Showers, drawn: Drawn) -> dict[str, Floats]:
    """Voxels in MeV of the simulation and of every model."""
    every = {"simulation": truth.voxels.astype(np.float64)}
    return every | {n: decode(c, truth.grid).astype(np.float64) for n, c in drawn.items()}


def _panels(label: str) -> tuple[Figure, Axes, Axes]:
    """A panel with one for the ratio to the simulation below it."""
    import matplotlib.pyplot as plt

    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(6.4, 5.0), sharex=True, layout="constrained", height_ratios=(3, 1)
    )
    lower.set(xlabel=label, ylabel="ratio", ylim=(0.5, 1.5))
    lower.axhline(1, color="#000000", lw=0.8)
    plt.close(figure)
    return figure, upper, lower


def _profile(curves: Mapping[str, Floats], edges: Floats, label: str) -> Figure:
    figure, upper, lower = _panels(label)
    reference = curves["simulation"]
    for name, values, style in _styled(curves):
        upper.stairs(values, edges, label=name, baseline=None, **style)
        if values is not reference:
            lower.stairs(values / reference, edges, baseline=None, **style)
    upper.set(yscale="log", ylabel="mean share of the incident energy")
    _tight(lower, [v / reference for v in curves.values()])
    upper.legend(frameon=False, fontsize="small")
    return figure


def _histogram(values: Mapping[str, Floats], label: str, edges: Floats | None = None) -> Figure:
    figure, upper, lower = _panels(label)
    reference = values["simulation"]
    if edges is None:
        low, high = np.quantile(reference, [0.0005, 0.9995])
        edges = np.linspace(low - 0.1 * (high - low), high + 0.1 * (high - low), BARS + 1)
    base = np.histogram(reference, edges)[0]
    for name, sample, style in _styled(values):
        counts = np.histogram(sample, edges)[0]
        upper.stairs(counts / len(sample), edges, label=name, **style)
        if sample is not reference:
            shown = base >= 10
            ratio = np.divide(counts, base, where=shown, out=np.full(len(base), np.nan))
            lower.stairs(ratio, edges, baseline=None, **style)
    kept = np.flatnonzero(base)
    upper.set(ylabel="share of showers", xlim=(edges[kept[0]], edges[kept[-1] + 1]))
    upper.legend(frameon=False, fontsize="small")
    return figure


def _tight(axes: Axes, ratios: list[Floats]) -> None:
    """Limits that show the ratios, between 5 % and a factor of 2."""
    reach = float(np.nanmax(np.abs(np.concatenate(ratios) - 1)))
    width = min(max(1.2 * reach, 0.05), 1.0)
    axes.set_ylim(1 - width, 1 + width)


def _styled(curves: Mapping[str, Floats]) -> Iterator[tuple[str, Floats, dict[str, Any]]]:
    """The simulation in black, then each model in its colour."""
    yield "simulation", curves["simulation"], {"color": "#000000", "linewidth": 2.0}
    models = {name: values for name, values in curves.items() if name != "simulation"}
    for name, values, style in styled(models):
        yield name, values, style | {"linewidth": 1.2}


def _map(voxels: Floats, truth: Showers) -> Floats:
    """(layers, rings) of one shower, summed over angles; layers with fewer rings end in NaN."""
    starts = truth.grid.starts
    width = max(len(layer.rings) - 1 for layer in truth.grid.layers)
    found = np.full((len(truth.grid.layers), width), np.nan)
    for k, layer in enumerate(truth.grid.layers):
        cells = voxels[starts[k] : starts[k + 1]].reshape(layer.angles, -1).sum(0)
        found[k, : len(cells)] = cells
    return found


def _maps(rows: list[dict[str, Floats]], truth: Showers, label: str, names: list[str]) -> Figure:
    """A row of maps for each of `rows`, with one logarithmic colour scale a row."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import MaxNLocator

    figure, grid = plt.subplots(
        len(rows),
        len(rows[0]),
        figsize=(1.45 * len(rows[0]) + 1.4, 2.5 * len(rows) + 0.5),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for line, maps, name in zip(grid, rows, names, strict=True):
        positive = maps["simulation"][maps["simulation"] > 0]
        norm = LogNorm(positive.min(), positive.max())
        for axes, (model, values) in zip(line, maps.items(), strict=True):
            image = axes.imshow(
                np.where(values > 0, values, np.nan), norm=norm, origin="lower", aspect="auto"
            )
            axes.set_title(model, fontsize="x-small")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        line[0].set_ylabel(f"{name}\nlayer" if name else "layer")
        figure.colorbar(image, ax=line.tolist(), label=label)
    figure.supxlabel("ring")
    plt.close(figure)
    return figure


def _unit(name: str) -> str:
    return {"R_M": "Molière radii"}.get(name, name)
