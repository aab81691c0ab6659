"""Look into the network of a record: which neurons matter, and what they know.

Works on the training split, so that nothing is out of distribution. Permutation importance needs
a network alone; what the neurons know (information, maps, formulas) needs rows that stand for
tracks, for hits, or for edges between hits: `Task.neurons`.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.insight import neurons
from benchmarks.running import scoring
from benchmarks.trust import opening
from physbench.datasets import Split
from physbench.leaderboard import record as records
from physbench.models import Model
from physbench.tasks import Task
from physbench.tasks.metrics import information
from physbench.tasks.metrics.rows import Rows

Array = NDArray[np.float64]
Table = list[dict[str, Any]]
P = ParamSpec("P")
R = TypeVar("R")

BINS = 8  # of equal probability: H(Y) = ln 8
NEIGHBOURS = (3, 5, 10)
COMPONENTS = 3  # the nearest-neighbour estimate is biased low in more dimensions
MAPS = 4  # neurons that are drawn
LARGEST_METRICS = 4
SHOWN = 6  # metrics of a model without one of its stages
FEW_UNITS = 4  # where a task says nothing
LARGEST_FIT = 2000  # rows a formula is fitted to
LARGEST_SAMPLE = 5000  # rows of an estimate of information, and of a map


def _in_style(draw: Callable[P, R]) -> Callable[P, R]:
    """Draws in the style of all our figures; Matplotlib is imported then."""

    @functools.wraps(draw)
    def drawn(*arguments: P.args, **named: P.kwargs) -> R:
        from physbench.leaderboard.site import figures

        with figures.style():
            return draw(*arguments, **named)

    return drawn


def explain(
    path: Path,
    *,
    layer: str | None = None,
    units: int | None = None,
    permutations: int = 10,
    symbolic: int = 1,
    chosen: Sequence[int] = (),
    out: Path | None = None,
) -> list[Path]:
    """Write tables and figures about the network of a record, and return their paths.

    Parameters
    ----------
    layer:
        The module whose inputs are looked at; by default what goes into `head`.
    units:
        Training units used; by default 2000 tracks, or 4 of anything else.
    permutations:
        Shuffles of each neuron.
    symbolic:
        How many neurons are written as formulas; needs the extra `[symbolic]`.
    chosen:
        The neurons that are drawn and written as formulas; by default the most important ones.
    out:
        The folder; by default one beside the record.

    A task with an `explain` of its own says itself what there is to see of a network, on its
    validation split; naming a layer looks at the neurons all the same. A model with `ablations`
    is scored on validation without each of its stages.

    Raises ValueError for no units or permutations, a neuron that is not there or a record without
    weights, and FileNotFoundError when the weights are gone.
    """
    numbers = {"units": units, "permutations": permutations}
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1; got {number}")
    _, task = opening.task_of(records.read(path))
    if task.explain is not None and layer is None:
        return _by_the_task(task, path, permutations, out)
    if symbolic:
        _regressor()  # before hours of permutations
    task, split, network, run = _subject(path, units)
    module = neurons.layer_of(network, layer)
    latent = neurons.activations(module, run)
    outside = [n for n in chosen if not 0 <= n < latent.shape[1]]
    if outside:
        raise ValueError(f"neurons go from 0 to {latent.shape[1] - 1} here; got {outside[0]}")
    rows = rows_of(task, split, run()[0], len(latent))
    reference, change = neurons.importance(
        module,
        run,
        measures(task, split),
        permutations=permutations,
        rows=None if rows is None else rows.real,
    )
    change = {name: values for name, values in change.items() if math.isfinite(reference[name])}
    for metric in task.metrics:
        if metric.best == "max" and metric.name in change:
            change[metric.name] *= -1  # positive means important
    folder = out or path.parent / f"{path.stem}-explain"
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"importance": importance_table(reference, change), **stages(task, path)}
    written = [_kept(tables, "stages", folder)] if "stages" in tables else []
    written += [bars(change, folder / "importance.png"), _kept(tables, "importance", folder)]
    written += learned(path, network, folder)
    order = list(chosen) or np.argsort(-np.abs(next(iter(change.values())).mean(1))).tolist()
    if rows is not None:
        apart = rows.apart[:LARGEST_SAMPLE]
        known = {name: values[apart] for name, values in rows.known.items()}
        tables["information"] = information_table(latent[apart], known)
        tables["neurons"] = neuron_table(latent[apart], known)
        drawn = {f"neuron {n}": latent[:, n] for n in order[: max(MAPS, len(chosen))]}
        written += [_kept(tables, "information", folder), _kept(tables, "neurons", folder)]
        written.append(maps(drawn, rows, folder / "maps.png"))
    if rows is not None and symbolic:
        few = order[: max(symbolic, len(chosen))]
        tables["formulas"], left = formulas(module, run, split, task, latent, rows, few)
        written += [_kept(tables, "formulas", folder), maps(left, rows, folder / "residuals.png")]
    return [*written, folder / "tables.md"]


@_in_style
def _by_the_task(task: Task, path: Path, permutations: int, out: Path | None) -> list[Path]:
    """Write the tables and figures of `Task.explain`."""
    assert task.explain is not None
    record = records.read(path)
    model, fitted = _fitted(record, path)
    split = opening.splits(task, record, opening.protocol(record)).validation

    def derived(inputs: Any) -> Any:
        return task.derive(split.targets, task.prepare(inputs, model.predict(fitted, inputs)))

    tables, figures = task.explain(split, fitted, derived, permutations)
    folder = out or path.parent / f"{path.stem}-explain"
    folder.mkdir(parents=True, exist_ok=True)
    written = [_kept(tables, name, folder) for name in tables]
    for name, figure in figures.items():
        written.append(folder / f"{name}.png")
        figure.savefig(written[-1], dpi=120)
    return [*written, folder / "tables.md"]


def stages(task: Task, path: Path) -> dict[str, Table]:
    """The first metrics on validation of the whole model and without each of its stages."""
    record = records.read(path)
    model, fitted = _fitted(record, path)
    if model.ablations is None:
        return {}
    split = opening.splits(task, record, opening.protocol(record)).validation
    measured = scoring.bind(task, split)
    shown = [metric.name for metric in task.metrics if metric.name in measured][:SHOWN]
    table = []
    for name, one in {"whole": fitted, **model.ablations(fitted)}.items():
        found = model.predict(one, split.inputs)
        table.append({"stages": name} | {metric: measured[metric](found) for metric in shown})
    return {"stages": table}


def _fitted(record: records.Record, path: Path) -> tuple[Model, Any]:
    """The model of a record and what its training returned, from the weights beside it."""
    _, model = opening.model_of(record)
    if record.weights is None or model.load is None:
        raise ValueError(f"{path}: {record.model.name} keeps no weights, so nothing can be seen")
    return model, model.load(opening.weights(path, record.weights))


def _kept(tables: dict[str, Table], name: str, folder: Path) -> Path:
    """Write a new table and all tables so far: what comes next may fail."""
    path = folder / f"{name}.json"
    records.atomic(path, json.dumps(tables[name], indent=1))
    records.atomic(folder / "tables.md", "\n".join(markdown(n, t) for n, t in tables.items()))
    return path


def _subject(path: Path, units: int | None) -> tuple[Task, Split, Any, Callable[[], Any]]:
    """The task of a record, training units, the network, and what predicts the units."""
    record = records.read(path)
    _, task = opening.task_of(record)
    model, fitted = _fitted(record, path)
    train = opening.splits(task, record, opening.protocol(record)).train
    units = units or (task.neurons.units if task.neurons else FEW_UNITS)
    split = train.take(range(min(units, len(train))))
    predict = model.predict

    def run() -> Any:
        raw = predict(fitted, split.inputs)
        return raw, task.prepare(split.inputs, raw)

    return task, split, neurons.network_of(fitted), run


def measures(task: Task, split: Split) -> dict[str, Callable[[Any], float]]:
    """The loss, and the task's metrics, of what `run` returns: raw and prepared predictions."""

    def bound(function: Any) -> Callable[[Any], float]:
        def value(found: Any) -> float:
            result = function(split.targets, found[1])
            return float(result.get("all", math.nan) if isinstance(result, dict) else result)

        return value

    chosen: dict[str, Callable[[Any], float]] = {}
    watched: tuple[str, ...] = ()
    if (own := task.neurons) is not None:
        chosen["loss"] = lambda found: own.loss(split.targets, found[0])
        watched = own.metrics
    chosen |= {metric.name: bound(metric.function) for metric in task.metrics[:LARGEST_METRICS]}
    return chosen | {m.name: bound(m.function) for m in task.metrics if m.name in watched}


def rows_of(task: Task, split: Split, predictions: Any, count: int) -> Rows | None:
    """What the `count` rows of a layer stand for, or None where the task does not know.

    `predictions` are what the model's `predict` returned for the split.
    """
    for kind in task.neurons.rows if task.neurons else ():
        found = kind(split, predictions)
        if found is not None and len(found.real) == count:
            return found
    return None


def importance_table(reference: dict[str, float], change: dict[str, Array]) -> Table:
    """The metrics without permutation, then mean and deviation of their change by neuron."""
    table: Table = [{"neuron": "none", **{name: _round(v) for name, v in reference.items()}}]
    for neuron in range(len(next(iter(change.values())))):
        row: dict[str, Any] = {"neuron": neuron}
        for name, values in change.items():
            row[name] = _round(float(values[neuron].mean()))
            row[f"{name} +-"] = _round(float(values[neuron].std()))
        table.append(row)
    return table


def information_table(latent: Array, variables: dict[str, Array]) -> Table:
    """Conditional entropy and proficiency of each variable given the latent space, in nats.

    Y is discretised into 8 bins of equal probability. Three estimates: nearest neighbours in the
    whole latent space, the same in its first principal components, and a lower bound, H(Y) minus
    the held-out cross entropy of a classifier, or 0. `I k=...` is Kraskov's for continuous Y. An
    estimate of the information that passes H(Y) by noise leaves an entropy of 0.
    """
    from sklearn.decomposition import PCA

    standard = information.columns(latent)
    few = PCA(min(COMPONENTS, standard.shape[1]), random_state=0).fit_transform(standard)
    table = []
    for name, values in variables.items():
        label = information.quantile_bins(values, BINS)
        entropy = information.entropy(np.bincount(label))
        whole = information.mutual_information_with_labels(standard, label)
        row: dict[str, Any] = {"variable": name, "H": _round(entropy)}
        row["H given latent"] = _round(max(entropy - whole, 0.0))
        row["U"] = _round(information.proficiency(whole, entropy))
        found = information.mutual_information_with_labels(few, label)
        row[f"U, {few.shape[1]} components"] = _round(information.proficiency(found, entropy))
        bound = prediction_bound(standard, label)
        row["U, lower bound"] = _round(information.proficiency(bound, entropy))
        for k in NEIGHBOURS:
            row[f"I k={k}"] = _round(information.mutual_information(few, values, k))
        table.append(row)
    return table


def neuron_table(latent: Array, variables: dict[str, Array]) -> Table:
    """Proficiency of each single neuron for each variable, by Ross's estimator in 8 bins.

    The last row is the floor: what the best neuron seems to know of a random variable.
    """
    standard = information.columns(latent)
    labels = {name: information.quantile_bins(v, BINS) for name, v in variables.items()}
    entropy = {name: information.entropy(np.bincount(label)) for name, label in labels.items()}
    table: Table = []
    for number, column in enumerate(standard.T):
        row: dict[str, Any] = {"neuron": number}
        for name, label in labels.items():
            found = information.mutual_information_with_labels(column, label)
            row[name] = _round(information.proficiency(found, entropy[name]))
        table.append(row)
    noise = [row[name] for row in table for name in labels if name.startswith("random")]
    floor = max((value for value in noise if value is not None), default=None)
    return [*table, {"neuron": "largest of random", **dict.fromkeys(labels, floor)}]


def prediction_bound(x: Array, label: NDArray[np.int64]) -> float:
    """H(Y) minus the cross entropy of boosted trees on the half they were not trained on.

    They stop where a fifth of their own half says so. Information is never negative, so neither
    is its bound: where trees know less than the shares of the classes, it is 0.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import log_loss

    half = len(x) // 2
    model = HistGradientBoostingClassifier(
        max_iter=80,
        max_leaf_nodes=8,
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=5,
        random_state=0,
    )
    model.fit(x[:half], label[:half])
    seen = np.isin(label[half:], model.classes_)
    probability = model.predict_proba(x[half:][seen])
    loss = log_loss(label[half:][seen], probability, labels=model.classes_)
    return max(information.entropy(np.bincount(label[half:])) - float(loss), 0.0)


def formulas(
    layer: Any,
    run: Callable[[], Any],
    split: Split,
    task: Task,
    latent: Array,
    rows: Rows,
    chosen: Sequence[int],
) -> tuple[Table, dict[str, Array]]:
    """Formulas of neurons, their nodes, R^2 on held-out rows, and what replacing one costs.

    Also what each formula leaves of its neuron, one value a row.
    """
    names = tuple(rows.arguments)
    x = np.column_stack([values[rows.real] for values in rows.arguments.values()])
    ranking = measures(task, split)[task.metrics[0].name]
    before = ranking(run())
    table, left = [], {}
    for neuron in chosen:
        values = latent[:, neuron].copy()
        formula, nodes, values[rows.real], r2 = symbolic(x, values[rows.real], names)
        with neurons.changed(layer, neuron, values):
            after = ranking(run())
        left[f"neuron {neuron} - formula"] = latent[:, neuron] - values
        table.append(
            {
                "neuron": neuron,
                "formula": formula,
                "nodes": nodes,
                "R2 held out": _round(r2),
                f"{task.metrics[0].name} before": _round(before),
                "after replacing": _round(after),
            }
        )
    return table, left


def symbolic(
    x: Array, y: Array, names: tuple[str, ...], *, generations: int = 12, population: int = 1000
) -> tuple[str, int, Array, float]:
    """A formula for y (n,) in the columns of x: text, nodes, values (n,), held-out R^2.

    Genetic programming of gplearn for the largest correlation, with a fixed seed, on at most
    LARGEST_FIT of the even rows; the odd ones are held out. Raises as `_regressor`.
    """
    model = _regressor()(
        population_size=population,
        generations=generations,
        random_state=0,
        metric="pearson",
        function_set=("mul", "sqrt", "sin", "cos", "add", "sub", "div"),
        parsimony_coefficient=1e-3,
        feature_names=list(names),
        stopping_criteria=0.99999,
    )
    few = slice(0, None, 2 * max(1, len(x) // (2 * LARGEST_FIT)))
    model.fit(x[few], y[few])
    raw = np.asarray(model.predict(x))
    # Correlation leaves scale and offset open; a straight line gives them.
    design = np.stack([raw, np.ones_like(raw)], 1)
    scale, offset = np.linalg.lstsq(design[few], y[few], rcond=None)[0]
    values = scale * raw + offset
    left = ((y[1::2] - values[1::2]) ** 2).sum()
    total = ((y[1::2] - y[1::2].mean()) ** 2).sum()
    r2 = 1 - left / total if total > 0 else math.nan
    text = f"{offset:.6g} + {scale:.6g} * {model._program}"
    return text, int(model._program.length_), values, float(r2)


def _regressor() -> Any:
    """gplearn's regressor; raises ImportError naming the extra when gplearn is absent."""
    try:
        from gplearn.genetic import SymbolicRegressor
    except ImportError as error:
        raise ImportError(
            "formulas need gplearn: pip install 'physbench[symbolic]', or pass --symbolic 0"
        ) from error
    return SymbolicRegressor


@_in_style
def maps(drawn: dict[str, Array], rows: Rows, path: Path) -> Path:
    """Columns with one value a row, over the planes of the rows, as filled contours."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(
        len(drawn),
        len(rows.planes),
        squeeze=False,
        layout="constrained",
        figsize=(4 * len(rows.planes), 2.6 * len(drawn)),
    )
    columns, shown = rows.columns, np.flatnonzero(rows.real)
    shown = shown[:: max(1, len(shown) // LARGEST_SAMPLE)]
    for line, (title, values) in zip(grid, drawn.items(), strict=True):
        for axes, (first, second) in zip(line, rows.planes, strict=True):
            points = np.column_stack([columns[first][shown], columns[second][shown]])
            # A triangulation needs three distinct points.
            if len(np.unique(points, axis=0)) >= 3:
                contours = axes.tricontourf(*points.T, values[shown], levels=20)
                figure.colorbar(contours, ax=axes)
            axes.set(xlabel=first, ylabel=second, title=title)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


def learned(path: Path, network: Any, folder: Path) -> list[Path]:
    """Losses by epoch, where the weights keep them, and the functions a network has learned.

    A network of learned functions has `curves() -> {name: (x, y)}`, arrays of one length.
    """
    from physbench.models.common import training

    record = records.read(path)
    assert record.weights is not None
    rows = training.history(opening.weights(path, record.weights))
    kinds = [kind for kind in (rows[0] if rows else {}) if kind.endswith("_loss")]
    losses: dict[str, Any] = {
        kind: (range(1, len(rows) + 1), [row[kind] for row in rows]) for kind in kinds
    }
    written = []
    if losses:
        written.append(lines({"loss by epoch": losses}, folder / "losses.png"))
    if hasattr(network, "curves"):
        parts = {name: {"": curve} for name, curve in network.curves().items()}
        written.append(lines(parts, folder / "functions.png"))
    return written


@_in_style
def lines(panels: dict[str, dict[str, Any]], path: Path) -> Path:
    """Curves (x, y) by panel and name, four panels a line."""
    import matplotlib.pyplot as plt

    columns = min(len(panels), 4)
    figure, grid = plt.subplots(
        -(-len(panels) // columns),
        columns,
        squeeze=False,
        layout="constrained",
        figsize=(max(2.6 * columns, 5), 2.2 * -(-len(panels) // columns)),
    )
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (title, curves) in zip(grid.flat, panels.items(), strict=False):
        for name, (x, y) in curves.items():
            axes.plot(x, y, label=name)
        axes.set_title(title, fontsize="small")
        if any(curves):
            axes.legend(fontsize="x-small", frameon=False)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


@_in_style
def bars(change: dict[str, Array], path: Path) -> Path:
    """Mean change of each metric by neuron, with the deviation over permutations."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(
        len(change),
        1,
        squeeze=False,
        sharex=True,
        figsize=(8, 1.6 * len(change)),
        layout="constrained",
    )
    for axes, (name, values) in zip(grid[:, 0], change.items(), strict=True):
        finite = np.where(np.isfinite(values), values, 0.0)
        axes.bar(np.arange(len(values)), finite.mean(1), yerr=finite.std(1))
        axes.set_title(name, fontsize="small")
    grid[-1, 0].set_xlabel("neuron")
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return path


def markdown(name: str, table: Table) -> str:
    """A table under its name."""
    if not table:
        return f"### {name}\n"
    head = list(table[0]) if len(table) == 1 else list(table[1])
    lines = [f"### {name}\n", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in table:
        lines.append("| " + " | ".join(str(row.get(key, "")) for key in head) + " |")
    return "\n".join(lines) + "\n"


def _round(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None
