"""What a flavour tagger uses: importance of its inputs, and a picture of one b jet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import TRACK, FlavourJets, Flavours
from physbench.tasks.metrics import flavour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Shuffle = Callable[[FlavourJets, np.random.Generator], FlavourJets]

ORIGINS = ("pile-up", "primary", "b", "b to c", "c", "strange")
COLOURS = ("0.6", "tab:blue", "tab:red", "tab:orange", "tab:purple", "tab:green")
DISPLACED = 3  # tracks of the drawn jet that must come from heavy hadrons
HEAVY = (2, 3)


def of_tracks(column: str) -> Shuffle:
    """Exchanges a column of `FlavourJets.tracks` at random among all tracks of all jets.

    A new pT brings another resolution: sigma(d0) is that of the pT which a track then has.
    """

    def shuffle(jets: FlavourJets, random: np.random.Generator) -> FlavourJets:
        tracks = jets.tracks.copy()
        values = tracks[..., TRACK.index(column)]
        values[jets.mask] = random.permutation(values[jets.mask])
        return replace(jets, tracks=tracks)

    return shuffle


def of_jets(column: str) -> Shuffle:
    """Exchanges `pt` or `eta` at random among the jets."""

    def shuffle(jets: FlavourJets, random: np.random.Generator) -> FlavourJets:
        changed: dict[str, Any] = {column: random.permutation(getattr(jets, column))}
        return replace(jets, **changed)

    return shuffle


SHUFFLES: dict[str, Shuffle] = {
    **{f"{column} of tracks": of_tracks(column) for column in TRACK},
    **{f"{column} of jets": of_jets(column) for column in ("pt", "eta")},
}


def importance(
    split: Split, scores: Callable[[FlavourJets], Array], permutations: int
) -> list[dict[str, Any]]:
    """A row an input: how much worse two metrics are without it, mean and deviation.

    `scores` maps jets to normalised log-probabilities. A loss of `log_rejection` and a gain of
    `cross_entropy` are positive.
    """
    before = _two(split.targets, scores(split.inputs))
    random = np.random.default_rng(0)
    rows = []
    for name, shuffle in SHUFFLES.items():
        after = [
            _two(split.targets, scores(shuffle(split.inputs, random))) for _ in range(permutations)
        ]
        change = np.array(after) - before
        mean, spread = change.mean(axis=0), change.std(axis=0)
        rows.append(
            {
                "input": name,
                "log_rejection lost": round(float(-mean[0]), 4),
                "+- of it": round(float(spread[0]), 4),
                "cross_entropy gained": round(float(mean[1]), 4),
                "+- of that": round(float(spread[1]), 4),
            }
        )
    return rows


def _two(targets: Flavours, L: Array) -> Array:
    return np.array([flavour.log_rejection(targets, L), flavour.cross_entropy(targets, L)])


def importance_figure(rows: list[dict[str, Any]]) -> Figure:
    """Bars of the table of `importance`."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(1, 2, sharey=True, figsize=(9, 3.6), layout="constrained")
    names = [row["input"] for row in rows]
    columns = (("log_rejection lost", "+- of it"), ("cross_entropy gained", "+- of that"))
    for axes, (value, error) in zip(grid, columns, strict=True):
        axes.barh(names, [r[value] for r in rows], xerr=[r[error] for r in rows], color="tab:blue")
        axes.axvline(0, color="black", lw=0.8)
        axes.set_xlabel(f"{value} [nats]")
    grid[0].invert_yaxis()
    plt.close(figure)
    return figure


def typical_b(split: Split, p: Array) -> int:
    """The surest b jet with at least three tracks from heavy hadrons and one of another origin."""
    truth: Flavours = split.targets
    heavy = np.isin(truth.origin, HEAVY).sum(axis=1)
    fit = (
        (truth.label == 0) & (heavy >= DISPLACED) & ((truth.origin == 1).sum(axis=1) >= DISPLACED)
    )
    if not fit.any():
        raise ValueError("no b jet here has three heavy and three primary tracks to draw")
    return int(np.argmax(np.where(fit, p, -1.0)))


def jet_figure(
    jets: FlavourJets, truth: Flavours, attention: Array | None, origins: Array | None
) -> Figure:
    """One jet: its tracks in the plane, and what the network looks at, beside the truth.

    `attention` (slots,) is the weight of each track, `origins` (slots, 6) the probabilities of its
    origin; either may be missing. Size is pT, a ring marks |S(d0)| > 3.
    """
    import matplotlib.pyplot as plt
    from matplotlib.patches import Circle

    seen = jets.mask[0]
    tracks, true = jets.tracks[0, seen], truth.origin[0, seen]
    significance = jets.significance()[0, seen]
    panels = {"true origin": true}
    if origins is not None:
        panels["predicted origin"] = origins[seen].argmax(axis=1)
    number = len(panels) + (attention is not None)
    figure, grid = plt.subplots(
        1,
        number,
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
        figsize=(0.8 + 3.8 * number, 4.4),
    )
    size = 40 * np.sqrt(tracks[:, 0])
    for axes, (title, kind) in zip(grid[0], panels.items(), strict=False):
        for k, name in enumerate(ORIGINS):
            own = kind == k
            axes.scatter(*tracks[own, 1:3].T, s=size[own], color=COLOURS[k], label=name, alpha=0.8)
        axes.set_title(title)
    if attention is not None:
        weight = attention[seen]
        drawn = grid[0, -1].scatter(*tracks[:, 1:3].T, s=size, c=weight, cmap="viridis", vmin=0)
        figure.colorbar(drawn, ax=grid[0, -1], label="attention of the class token")
        grid[0, -1].set_title("attention")
    ring = np.abs(significance) > 3
    for axes in grid[0]:
        axes.scatter(
            *tracks[ring, 1:3].T, s=2.2 * size[ring], facecolors="none", edgecolors="black"
        )
        axes.add_patch(Circle((0, 0), 0.4, fill=False, ls=":", color="gray"))
        axes.set(xlabel=r"$\eta - \eta_{jet}$", xlim=(-0.5, 0.5), ylim=(-0.5, 0.5))
        axes.set_aspect("equal")
    grid[0, 0].set_ylabel(r"$\phi - \phi_{jet}$")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=6,
        fontsize="small",
        frameon=False,
        title=f"b jet, $p_T$ = {jets.pt[0]:.0f} GeV; ring: $|S(d_0)| > 3$",
        title_fontsize="small",
    )
    plt.close(figure)
    return figure


def explain(
    split: Split, fitted: Any, scores: Callable[[FlavourJets], Array], permutations: int
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Figure]]:
    """Tables and figures about a tagger: what its inputs are worth, and one b jet.

    Attention and predicted origins are drawn where `fitted` has methods of these names, from jets
    to arrays (n, slots) and (n, slots, 6), or to None.
    """
    rows = importance(split, scores, permutations)
    figures = {"inputs": importance_figure(rows)}
    if (split.targets.origin >= 0).any():
        number = typical_b(split, np.exp(scores(split.inputs)[:, 0]))
        one, true = split.inputs.take([number]), split.targets.take([number])
        known = [
            getattr(fitted, name, lambda jets: None)(one) for name in ("attention", "origins")
        ]
        figures["jet"] = jet_figure(one, true, *(None if k is None else k[0] for k in known))
    return {"inputs": rows}, figures
