"""A study: one model on the variants of a task's protocol, their table and their figures."""

from __future__ import annotations

import functools
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import extras, registry
from benchmarks.registry import Entry
from benchmarks.reports import boards
from benchmarks.running import stages
from benchmarks.running.settings import NO_SETTINGS, resolve
from physbench.datasets import Splits
from physbench.leaderboard import predictions as stored
from physbench.leaderboard import record as records
from physbench.leaderboard.record import Record
from physbench.tasks import Task, Variant

Rows = dict[str, list[Record]]


class Kept(NamedTuple):
    """A record and where it lies."""

    record: Record
    path: Path


Found = dict[str, list[Kept]]


def study(
    task: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    seeds: int = 1,
    settings: Mapping[str, Any] | None = None,
    runs: str | os.PathLike[str] | None = None,
    out: Path | None = None,
    again: bool = False,
    trials: int = 20,
) -> tuple[str, int]:
    """Run the variants that have no record yet; returns the tables and the exit status.

    A committed record of the same protocol, settings and metrics counts, whatever the code was
    then; with `again` it does not. With `out` the table is also written to
    `TASK-DATASET-MODEL-study.md` in that folder, and the task's study figures into one beside it.
    Where the model's file declares a space, its settings are searched with so many trials.
    Raises ValueError for a task without a study.
    """
    entry, named = registry.load("task", task), registry.load("model", model)
    variants = entry.object.study
    if not variants:
        raise ValueError(f"task '{entry.name}' has no study; its `study` names no variants")
    committed = {} if again else committed_of(entry, named, settings)
    found: Found = {}
    for variant, (protocol, options) in variants.items():
        if not set(options) <= set(resolve(named.object.fit, {}, "setting", skip=NO_SETTINGS)):
            print(f"no '{variant}': {named.name} has no {', '.join(options)}", file=sys.stderr)
            continue
        own = committed.get(variant, [])
        if len(own) < seeds:
            done = stages.runs_of(
                task,
                model,
                seeds=seeds,
                settings={**(settings or {}), **options},
                dataset=protocol.get("dataset"),
                protocol=without_dataset(protocol),
                runs=runs,
                again=again,
            )
            own = [Kept(one.record, one.path or Path()) for one in done]
        found[variant] = own[:seeds]
    text = table({name: [kept.record for kept in own] for name, own in found.items()})
    if out:
        stem = f"{entry.name}-{next(iter(entry.object.named))}-{named.name}-study"
        records.atomic(out / f"{stem}.md", text)
        draw(entry.object, found, out / stem)
    if named.object.space and trials:
        text += _search(entry, named, settings, again, trials=trials, runs=runs, out=out)
    bad = any(kept.record.status != "ok" for own in found.values() for kept in own)
    return text, int(bad)


def _search(
    entry: Entry, model: Entry, settings: Mapping[str, Any] | None, again: bool, **options: Any
) -> str:
    """The table of the search of a model's space: the committed one, or one that is run now."""
    from benchmarks.sweeping import searching

    journal = searches(entry.name, next(iter(entry.object.named)), model.name)
    try:
        if journal and not settings and not again:
            return "\n" + searching.told(searching.latest(journal[0]), journal[0], options["out"])
        return "\n" + searching.search(entry.path, model.path, settings=settings, **options)
    except ModuleNotFoundError as error:
        print(f"no search of settings: {error}. {extras.advice(error.name)}", file=sys.stderr)
        return ""


def searches(task: str, dataset: str, model: str = "*") -> list[Path]:
    """Journals of the committed searches of a board, or of one of its models."""
    folder = boards.committed_root().parent / "boards"
    return sorted(folder.glob(f"{task}-{dataset}-{model}-search.jsonl"))


def committed_of(entry: Entry, model: Entry, settings: Mapping[str, Any] | None = None) -> Found:
    """The committed records of each variant of a study, by seed.

    They have today's metrics, the variant's protocol, and its settings, those that came later at
    their defaults.
    """
    task: Task = entry.object
    first = next(iter(task.named))
    root = boards.committed_root()
    good = functools.cache(lambda dataset: _good(task, root / entry.name / dataset / model.name))
    found: Found = {}
    for variant, (protocol, options) in task.study.items():
        dataset = protocol.get("dataset", first)
        preset = {**model.object.presets.get(dataset, {}), **(settings or {}), **options}
        wanted = boards.resolved(task, without_dataset(protocol)), _resolved(model, preset)
        own = [
            r
            for r in good(dataset)
            if (boards.resolved(task, r.task.protocol), _resolved(model, r.model.hyper_parameters))
            == wanted
        ]
        own.sort(key=lambda r: (r.seed, r.started))
        found[variant] = [Kept(r, root / r.path) for r in own]
    return found


def _good(task: Task, folder: Path) -> list[Record]:
    """The records of a folder that ran to their end and have today's metrics."""
    versions = {metric.name: metric.version for metric in task.metrics}
    return [
        r
        for r in records.read_all(folder)
        if r.status == "ok"
        and r.task.version == task.version
        and {m.name: m.version for m in r.metrics} == versions
    ]


def without_dataset(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """A variant's keywords of the task alone."""
    return {name: value for name, value in protocol.items() if name != "dataset"}


def studied(entry: Entry, committed: Sequence[Record]) -> list[str]:
    """Models with committed records of most variants of a task's study on its first dataset."""
    task: Task = entry.object
    usual = boards.resolved(task, {})
    others: dict[str, set[str]] = {}
    for record in committed:
        if (record.task.name, record.dataset.name) == (entry.name, next(iter(task.named))):
            found = boards.resolved(task, record.task.protocol)
            changed = {records.canonical(found)} if found and found != usual else set()
            others.setdefault(record.model.name, set()).update(changed)
    own = [protocol for protocol, _ in task.study.values() if "dataset" not in protocol]
    variants = len({records.canonical(protocol) for protocol in own})
    known = registry.models_of(entry.name)
    return [n for n in sorted(others) if n in known and 2 * len(others[n]) >= variants - 1]


def committed_studies(entry: Entry, names: Sequence[str]) -> dict[str, Found]:
    """The committed studies of models; one that cannot be imported is told on stderr."""
    found = {}
    for name in names:
        try:
            found[name] = committed_of(entry, registry.load("model", name))
        except ImportError as error:
            print(f"no study of {name}: {error}", file=sys.stderr)
    return found


def compared(task: Task, studies: Mapping[str, Found]) -> str:
    """Markdown: the ranking metric of each model on each variant, mean and deviation of seeds."""
    lines = [
        f"### {task.metrics[0].name} of the studied models\n",
        "| " + " | ".join(["variant", *studies]) + " |",
        "| --- " * (len(studies) + 1) + "|",
    ]
    for variant in task.study:
        cells = [_spread(_scores(found, variant)) for found in studies.values()]
        lines.append("| " + " | ".join([variant, *cells]) + " |")
    lines.append("\nMean over seeds and, with more than one, their standard deviation.\n")
    return "\n".join(lines)


def _scores(found: Found, variant: str) -> list[float]:
    """The ranking metric of each seed of a variant."""
    values = [kept.record.metrics[0].value for kept in found.get(variant, [])]
    return [value for value in values if value is not None]


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "".join(f"{value:.4g}" for value in values)
    return f"{statistics.fmean(values):.4g} ± {statistics.stdev(values):.2g}"


def comparison(task: Task, studies: Mapping[str, Found]) -> Any:
    """The ranking metric of each model on the variants of the study, a point for each seed."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    for name, found in studies.items():
        scores = {place: _scores(found, variant) for place, variant in enumerate(task.study)}
        scores = {place: values for place, values in scores.items() if values}
        means = [statistics.fmean(values) for values in scores.values()]
        line = axes.plot(list(scores), means, label=name)[0]
        for place, values in scores.items():
            axes.plot([place] * len(values), values, "o", ms=4, color=line.get_color())
    axes.set_xticks(range(len(task.study)), list(task.study), rotation=20, ha="right")
    axes.set(ylabel=task.metrics[0].name)
    if axes.dataLim.ymin > 0:
        axes.set_yscale("log")
    axes.legend(frameon=False, fontsize="small")
    plt.close(figure)
    return figure


def _resolved(model: Entry, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """All settings of a model; None for settings that it no longer has."""
    try:
        return resolve(model.object.fit, settings, "setting", skip=NO_SETTINGS)
    except (registry.UnknownName, TypeError):
        return None


def draw(task: Task, found: Found, folder: Path) -> list[Path]:
    """Draw the study's figures of the first seed of each variant into a folder as PNG files."""
    from physbench.leaderboard.site.figures import style

    with style():
        figures = pictures(task, found)
    if figures:
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name.lower().replace(' ', '-')}.png")
        figure.savefig(paths[-1], dpi=90)
    return paths


def pictures(task: Task, found: Found) -> dict[str, Any]:
    """The study's figures; those that need a variant that is not there are told on stderr."""
    if not task.study_figures:
        return {}
    first = {name: own[0] for name, own in found.items() if own and own[0].record.status == "ok"}
    loaded: dict[str, Splits] = {}
    variants = {name: _variant(task, kept, loaded) for name, kept in first.items()}
    drawn = {}
    for name, function in task.study_figures.items():
        try:
            drawn[name] = function(variants)
        except KeyError as missing:
            print(f"no figure '{name}': the variant {missing} was not run", file=sys.stderr)
    return drawn


def _variant(task: Task, kept: Kept, loaded: dict[str, Splits]) -> Variant:
    """What a figure needs of a record."""
    record, path = kept
    key = records.canonical([record.dataset.name, record.task.protocol])
    if key not in loaded:
        loaded[key] = task.splits(record.dataset.name, **record.task.protocol)
    test = loaded[key].test
    assert record.predictions is not None
    arrays = stored.read(path.parent / record.predictions.file, record.predictions.sha256)
    values = {metric.name: metric.value for metric in record.metrics}
    prepared = task.prepare(test.inputs, stored.unpack(arrays))
    return Variant(test.targets, prepared, values, _history(kept))


def _history(kept: Kept) -> list[dict[str, float]]:
    """The losses of each epoch, where the weights lie beside the record."""
    weights = kept.record.weights
    if weights is None or not (kept.path.parent / weights.file).is_file():
        return []
    from physbench.models.common import training

    return training.history(kept.path.parent / weights.file)


def table(rows: Rows) -> str:
    """Markdown: a row a variant with the mean over seeds of every metric and the records' ids."""
    good = {name: [r for r in found if r.status == "ok"] for name, found in rows.items()}
    first = next((found[0] for found in good.values() if found), None)
    if first is None:
        return "no variant was run to its end\n"
    names = [metric.name for metric in first.metrics]
    lines = [
        f"### Study of {first.model.name} on {first.task.name}, {first.dataset.name}\n",
        "| variant | " + " | ".join([*names, "seeds", "train s", "records"]) + " |",
        "| --- " * (len(names) + 4) + "|",
    ]
    for variant, found in good.items():
        means = [_mean(found, name) for name in names]
        seconds = f"{statistics.fmean(r.cost['train'].wall_s for r in found):.0f}" if found else ""
        ids = " ".join(f"`{record.id[:8]}`" for record in found)
        lines.append("| " + " | ".join([variant, *means, str(len(found)), seconds, ids]) + " |")
    shared = first.model.hyper_parameters
    alike = [r for found in good.values() for r in found]
    same = {
        k: v for k, v in shared.items() if all(r.model.hyper_parameters.get(k) == v for r in alike)
    }
    settings = ", ".join(f"{k}={v}" for k, v in same.items())
    return "\n".join([*lines, f"\nAll variants: {settings}.\n" if settings else ""])


def _mean(found: list[Record], name: str) -> str:
    values = [m.value for r in found for m in r.metrics if m.name == name and m.value is not None]
    return f"{statistics.fmean(values):.4g}" if values else ""
