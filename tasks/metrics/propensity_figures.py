"""Figures of the task `glass_mobility`, drawn from stored predictions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.liquids import A, Mobility
from physbench.tasks import Variant
from physbench.tasks.metrics import propensity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRANSFER = re.compile(r".*, trained at ([\d.]+), tested at ([\d.]+)")
SLAB = 1.0  # thickness of the drawn slice, in sigma_AA


def correlation_against_time(
    targets: Sequence[Mobility], predictions: Mapping[str, Any]
) -> Figure:
    """Pearson's r of type A against time, with the noise ceiling; bars: standard error."""
    import matplotlib.pyplot as plt

    times = targets[0].times
    figure, axes = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    roof = [propensity.ceiling(m, i) for m in targets for i in range(len(times))]
    mean = np.reshape(roof, (len(targets), -1)).mean(0)
    axes.plot(times, mean, color="black", linestyle="dashed", label="noise ceiling")
    for model, values in predictions.items():
        table = _table(targets, values)
        error = table.std(0, ddof=1) / np.sqrt(len(table)) if len(table) > 1 else None
        axes.errorbar(times, table.mean(0), yerr=error, marker="o", markersize=4, label=model)
    axes.set(xscale="log", xlabel="time", ylabel="Pearson's r, type A", ylim=(-0.2, 1.05))
    figure.legend(loc="outside lower center", ncols=3, fontsize="x-small", frameon=False)
    plt.close(figure)
    return figure


def _table(targets: Sequence[Mobility], values: Any) -> Any:
    """(configurations, times) of r, NaN where nothing was predicted."""
    rows = []
    for mobility, predicted in zip(targets, values, strict=True):
        row = []
        for time in range(len(mobility.times)):
            found = propensity.column(np.asarray(predicted), mobility, time)
            chosen = mobility.types == A
            row.append(
                np.nan
                if found is None
                else propensity.correlation(found[chosen], mobility.propensity[time][chosen])
            )
        rows.append(row)
    return np.array(rows)


def learning_curve(variants: Mapping[str, Variant]) -> Figure:
    """Pearson's r of type A against the number of training configurations, first seed."""
    import matplotlib.pyplot as plt

    names = [name for name in variants if name.endswith(" configurations")]
    if len(names) < 2:
        raise KeyError("configurations")
    counts = [int(name.split()[0]) for name in names]
    figure, axes = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
    rows = np.array([_by_configuration(variants[name]) for name in names])
    for number, each in enumerate(rows.T):
        label = "" if number else "a test configuration"
        axes.plot(counts, each, color="grey", linewidth=0.8, label=label)
    axes.plot(counts, rows.mean(1), marker="o", label="mean")
    axes.set(xscale="log", xlabel="training configurations", ylabel="Pearson's r, type A")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize="small")
    plt.close(figure)
    return figure


def _by_configuration(variant: Variant) -> NDArray[np.float64]:
    """(configurations,) of r at tau_alpha."""
    table = _table(variant.targets, variant.predictions)
    return np.array([row[m.alpha] for row, m in zip(table, variant.targets, strict=True)])


def transfer(variants: Mapping[str, Variant]) -> Figure:
    """Pearson's r, type A at tau_alpha, by temperature of training and of testing, first seed."""
    import matplotlib.pyplot as plt

    found = {TRANSFER.fullmatch(name): variant for name, variant in variants.items()}
    cells = {match.groups(): variant for match, variant in found.items() if match}
    trained, tested = (sorted({key[k] for key in cells}) for k in (0, 1))
    if not cells:
        raise KeyError("trained at")
    values = np.array(
        [[_by_configuration(cells[row, column]).mean() for column in tested] for row in trained]
    )
    figure, axes = plt.subplots(figsize=(4.2, 3.6), layout="constrained")
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=1)
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, f"{value:.3f}", ha="center", va="center", color="white")
    axes.set_xticks(range(len(tested)), tested)
    axes.set_yticks(range(len(trained)), trained)
    axes.set(xlabel="T of the test configurations", ylabel="T of the training configurations")
    figure.colorbar(image, label="Pearson's r, type A", shrink=0.8)
    plt.close(figure)
    return figure


def true_and_predicted(targets: Sequence[Mobility], predictions: Mapping[str, Any]) -> Figure:
    """A slice through the first test configuration: measured and predicted propensity.

    Type A at tau_alpha, each panel in units of its own standard deviation. Up to five models.
    """
    import matplotlib.pyplot as plt

    mobility = targets[0]
    if mobility.positions is None or mobility.box is None:
        raise ValueError("the dataset keeps no positions with its propensities")
    drawn = {"measured": mobility.propensity[mobility.alpha].astype(float)}
    for model, values in list(predictions.items())[:5]:
        found = propensity.column(np.asarray(values[0]), mobility, mobility.alpha)
        if found is not None:
            drawn[model] = found
    inside = mobility.types == A
    if mobility.positions.shape[1] == 3:
        inside = inside & (mobility.positions[:, 2] < SLAB)
    x, y = mobility.positions[inside, 0], mobility.positions[inside, 1]
    rows = -(-len(drawn) // 3)
    figure, grid = plt.subplots(
        rows, min(len(drawn), 3), squeeze=False, layout="constrained", figsize=(9, 3.2 * rows)
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for (name, values), axes in zip(drawn.items(), grid.flat, strict=False):
        spread = values[mobility.types == A].std() or 1.0
        standard = (values - values[mobility.types == A].mean()) / spread
        points = axes.scatter(
            x, y, c=standard[inside], s=45, cmap="coolwarm", vmin=-2.5, vmax=2.5, linewidths=0
        )
        axes.set_title(name, fontsize="small")
        axes.set_aspect("equal")
    figure.colorbar(points, ax=grid, label="propensity, standard deviations", shrink=0.7)
    plt.close(figure)
    return figure
