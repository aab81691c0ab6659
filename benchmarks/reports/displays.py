"""A picture of what a task is about: one unit of its data, drawn by the type of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from physbench.datasets import Spectrum, Split, Splits

INK = "#0072b2"
MAP = "viridis"


def cuts(splits: Splits) -> Any:
    """What the cuts of the dataset leave, one after the other; spectra before and after all."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from physbench.leaderboard.site import figures

    with mpl.rc_context(figures.STYLE):
        size = (10.5, 6.0) if splits.spectra else (6.4, 0.9 + 0.45 * len(splits.counts))
        figure = Figure(figsize=size)
        panels = figure.subplot_mosaic(_mosaic(len(splits.spectra)))
        names, left = zip(*splits.counts.items(), strict=True)
        bars = panels["counts"].barh(range(len(names)), left, color=INK)
        panels["counts"].bar_label(bars, [f"{count:,}" for count in left], padding=3, fontsize=9)
        panels["counts"].set_yticks(range(len(names)), names)
        panels["counts"].set(xlim=(0, 1.25 * max(left)), title="left after each cut")
        panels["counts"].invert_yaxis()
        for place, (name, spectrum) in enumerate(splits.spectra.items()):
            _before_and_after(panels[str(place)], name, spectrum)
    return figure


def _mosaic(spectra: int) -> list[Any]:
    """The counts above two spectra a column."""
    columns = [[str(k), str(min(k + 1, spectra - 1))] for k in range(0, spectra, 2)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return [["counts", *row] for row in rows] or [["counts"]]


def _before_and_after(axes: Any, name: str, spectrum: Spectrum) -> None:
    axes.stairs(spectrum.before, spectrum.edges, color="#8a939b", label="before")
    axes.stairs(spectrum.after, spectrum.edges, color=INK, fill=True, alpha=0.6, label="after")
    wide = spectrum.edges[0] > 0 and spectrum.edges[-1] > 100 * spectrum.edges[0]
    axes.set(xlabel=name, yscale="log", xscale="log" if wide else "linear")
    axes.set_ylim(bottom=0.7)
    axes.legend(fontsize="x-small", frameon=False)


def _axes(x: str, y: str, *, equal: bool = False) -> tuple[Any, Any]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from physbench.leaderboard.site import figures

    with mpl.rc_context(figures.STYLE):
        figure = Figure(figsize=(4.4, 3.6))
        axes = figure.subplots()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_aspect("equal" if equal else "auto")
    return figure, axes


def event(split: Split) -> Any:
    """One test event across the beam: a dot for each hit; ten true particles are in colour."""
    hits, truth = split.inputs[0], split.targets[0]
    figure, axes = _axes("x (mm)", "y (mm)", equal=True)
    axes.plot(hits.x, hits.y, ".", color="#8a939b", markersize=1, alpha=0.3, rasterized=True)
    names, counts = np.unique(truth.particle_id[truth.particle_id != 0], return_counts=True)
    for number, name in enumerate(names[np.argsort(-counts, kind="stable")[:10]]):
        own = truth.particle_id == name
        order = np.argsort(hits.r[own])
        axes.plot(hits.x[own][order], hits.y[own][order], ".-", color=f"C{number}", lw=1, ms=4)
    return figure


def tracks(split: Split) -> Any:
    """Twelve tracks of the test split, across the beam: the hits that a model is given."""
    figure, axes = _axes("x (mm)", "y (mm)", equal=True)
    for number in range(min(12, len(split))):
        there = split.inputs.mask[number]
        x, y = split.inputs.hits[number, there, :2].T
        axes.plot(x, y, ".-", color=f"C{number % 10}", lw=1, ms=4)
    return figure


def jets(split: Split) -> Any:
    """One jet of the test split: its constituents around the jet's axis, areas as their pT."""
    pt, eta, phi = split.inputs.constituents[0].T
    return _jet(pt, eta, phi)


def flavour_jets(split: Split) -> Any:
    """One jet of the test split: its tracks around the jet's axis, areas as their pT."""
    return _jet(*split.inputs.tracks[0, :, :3].T)


def _jet(pt: Any, eta: Any, phi: Any) -> Any:
    figure, axes = _axes("η − η of the jet", "φ − φ of the jet (rad)", equal=True)
    there = pt > 0
    axes.scatter(eta[there], phi[there], 600 * pt[there] / pt.sum(), color=INK, alpha=0.5)
    return figure


def showers(split: Split) -> Any:
    """The mean shower of the test split: energy in each layer (columns) and ring (rows)."""
    truth = split.targets
    layers = truth.grid.layers
    shape = (len(layers), -1)
    if len({(layer.angles, len(layer.rings)) for layer in layers}) > 1:
        return None
    mean = truth.voxels.mean(axis=0).reshape(*shape, len(layers[0].rings) - 1).sum(axis=1)
    figure, axes = _axes("layer", "ring")
    axes.grid(visible=False)
    image = axes.imshow(np.log10(mean.T + 1), origin="lower", aspect="auto", cmap=MAP)
    figure.colorbar(image, label="log10(1 + energy / MeV)")
    return figure


def ratios(split: Split) -> Any:
    """The exact log ratio of twelve test events: what a model finds from observables alone."""
    from physbench.datasets.events import GRID

    figure, axes = _axes("theta", "ln p(x|theta)/p(x|0)")
    axes.plot(GRID, split.targets.exact[:12].T, color=INK, lw=1, alpha=0.7)
    return figure


def liquid(split: Split) -> Any:
    """A slice of one test configuration, coloured by propensity; a model sees positions."""
    at, mobility = split.inputs[0], split.targets[0]
    chosen = at.thermal[:, 2] < 1.5 if at.thermal.shape[1] > 2 else slice(None)
    figure, axes = _axes("x (σ)", "y (σ)", equal=True)
    axes.grid(visible=False)
    colour = mobility.propensity[mobility.alpha][chosen]
    image = axes.scatter(*at.thermal[chosen, :2].T, 60, colour, cmap=MAP)
    figure.colorbar(image, label="propensity (σ)")
    return figure


DRAWN: dict[str, Callable[[Split], Any]] = {
    "Event": event,
    "Tracks": tracks,
    "Jets": jets,
    "FlavourJets": flavour_jets,
    "Conditions": showers,
    "Simulated": ratios,
    "Configuration": liquid,
}
