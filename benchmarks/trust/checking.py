"""`check`: whether the code still reaches the scores of the committed reference records.

For every cell (task, dataset, model) with reference records the gates of
`physbench.leaderboard.gate` are applied: G0 where weights are stored, G1 to G3 on freshly trained
seeds that no reference has used, and G5 where an older checkout is given. The verdict of the whole
is the worst one: PASS, RED or UNRESOLVED.

The fast profile, which CI runs, takes the cells in which the gate keeps its promises (models
without randomness, and those with 20 reference seeds) as far as its budget goes, seeds first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import registry
from benchmarks.reports import boards
from benchmarks.running import environment, scoring, stages
from benchmarks.running.stages import Cell
from benchmarks.trust import opening, verifying
from physbench.datasets import Splits
from physbench.leaderboard import gate
from physbench.leaderboard import record as records
from physbench.leaderboard.gate import Result, Verdict
from physbench.leaderboard.record import Record
from physbench.models import renamed

FIRST_SEED = 1000  # candidates use seeds that no reference has
FAST = 17.0  # CPU seconds that the references took, over all cells of the fast profile
MEMORY = 500.0  # MB that the references of a cell took at their peak, in the fast profile
REFERENCES = 3  # fewest seeds of a reference
EXIT: dict[Verdict, int] = {"PASS": 0, "RED": 1, "UNRESOLVED": 2}
SMALLEST = 0.02  # share of the interval that a score without seeds may move on another machine


@dataclass
class CellReport:
    """What was found for one cell."""

    task: str
    dataset: str
    model: str
    references: int
    reference: float
    candidates: list[float] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The worst of its results."""
        return gate.worst([result.verdict for result in self.results])


@dataclass(frozen=True)
class Report:
    """All cells and the verdict of the whole; `status` is the exit status: 0, 1 or 2.

    `left_out` are the cells that the fast profile did not run.
    """

    cells: list[CellReport]
    left_out: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """The worst of its cells."""
        return gate.worst([cell.verdict for cell in self.cells])

    @property
    def status(self) -> int:
        """Exit status of the verdict."""
        return EXIT[self.verdict]

    @property
    def rates(self) -> str:
        """Error rates of the seeds' test with the fewest references of these cells."""
        fewest = [c.references for c in self.cells if any(r.gate == "G2" for r in c.results)]
        return gate.promised(min(fewest)) if fewest else "no cell with seeds: scores are exact"

    def as_json(self) -> str:
        """Machine-readable: every number behind every verdict."""
        cells = [asdict(cell) | {"verdict": cell.verdict} for cell in self.cells]
        content: dict[str, Any] = {"schema": "check/1", "verdict": self.verdict, "cells": cells}
        content |= {"rates": self.rates, "left_out": self.left_out}
        return json.dumps(content, indent=1, sort_keys=True, default=float) + "\n"

    def as_markdown(self) -> str:
        """A summary for a pull request."""
        lines = [f"### Score gate: {self.verdict}", ""]
        lines += [
            "| cell | verdict | reference | now | seeds | why |",
            "|---|---|---|---|---|---|",
        ]
        for cell in self.cells:
            worst = [r for r in cell.results if r.verdict == cell.verdict] or cell.results
            why = "; ".join(f"{r.gate}: {r.reason}" for r in worst)
            now = f"{np.mean(cell.candidates):.4g}" if cell.candidates else "–"
            lines.append(
                f"| {cell.task} / {cell.dataset} / {cell.model} | {cell.verdict} | "
                f"{cell.reference:.4g} ({cell.references}) | {now} | {len(cell.candidates)} | "
                f"{why} |"
            )
        lines += ["", f"Error rates, by simulation: {self.rates}."]
        if self.left_out:
            lines += ["", f"Not checked (cost, memory, references): {len(self.left_out)} cells."]
        return "\n".join(lines) + "\n"


def check(
    tasks: Sequence[str] = (),
    models: Sequence[str | os.PathLike[str]] = (),
    *,
    reference: str | os.PathLike[str] | None = None,
    fast: bool = False,
    margin: float = 0.0,
    older: str | os.PathLike[str] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Report:
    """Check cells against their reference records.

    Parameters
    ----------
    tasks, models:
        Names or files; default all that have references.
    reference:
        Folder of the reference records; default the committed ones.
    fast:
        What CI runs: see the module's docstring.
    margin:
        Loss of the ranking metric that does not matter physically, in its unit.
    older:
        A checkout of older code: G5 runs both in turn and compares CPU time.

    Raises ValueError when nothing is there to check.
    """
    for name in tasks:
        registry.load("task", name)  # an unknown one is named before anything runs
    root = Path(reference) if reference else boards.committed_root()
    groups, left_out = _references(root, tasks, models, fast)
    if not groups:
        raise ValueError(
            f"no reference records in {root} for these tasks and models; make some with: python "
            "-m benchmarks check TASK --models MODEL --reference FOLDER --make-reference 20"
        )
    found: list[CellReport] = []
    splits: dict[tuple[str, str], Splits] = {}
    for (task, dataset, model), group in groups.items():
        tell(f"{task} / {dataset} / {model} ...")
        begin = time.perf_counter()
        if (task, dataset) not in splits:
            splits = {(task, dataset): registry.load("task", task).object.splits(dataset)}
        report = check_cell(
            task,
            dataset,
            model,
            group,
            root,
            margin=margin,
            cells=len(groups),
            splits=splits[task, dataset],
        )
        if older is not None:
            report.results.append(_cost_gate(task, dataset, model, Path(older)))
        report.seconds = round(time.perf_counter() - begin, 1)
        tell(f"  {report.verdict} after {report.seconds:.0f} s")
        found.append(report)
    return Report(found, left_out)


Key = tuple[str, str, str]
Groups = dict[Key, list[Record]]


def _references(
    root: Path,
    tasks: Sequence[str],
    models: Sequence[str | os.PathLike[str]],
    fast: bool = False,
) -> tuple[Groups, list[str]]:
    """Good records of today's definitions and settings by cell; what the profile left out."""
    named = {registry.load("model", m).name: str(m) for m in models}
    groups: Groups = {}
    for record in records.read_all(root):
        given = next((t for t in tasks if Path(t).stem == record.task.name), None)
        if (tasks and given is None) or (named and record.model.name not in named):
            continue
        if record.status != "ok" or not record.metrics or record.metrics[0].value is None:
            continue
        if record.task.fold not in (None, 0):  # the candidates run on the first fold
            continue
        task_name, task = opening.task_of(record, given)
        if not boards.current(record, task):
            continue
        model = opening.admitted("model", record.model.name, named.get(record.model.name))
        groups.setdefault((task_name, record.dataset.name, model), []).append(record)
    chosen = _affordable(groups) if fast and not models else list(groups)
    kept = {key: own for key in chosen if (own := _own_settings(key, groups[key]))}
    return kept, [" / ".join(key) for key in groups if key not in kept]


def _affordable(groups: Groups) -> list[Key]:
    """Cells of the fast profile: what the records say of their cost decides, nothing is loaded.

    Cells on data that do not come with the project are none of them: not every machine has them.
    """
    wanted: list[tuple[int, float, Key]] = []
    for key, group in groups.items():
        dataset = registry.load("task", key[0]).object.named.get(key[1])
        if dataset is not None and not dataset.embedded:
            continue
        exact = group[0].model.deterministic
        costs = [r.cost[k] for r in group for k in ("train", "predict") if k in r.cost]
        if max(cost.peak_rss_mb for cost in costs) > MEMORY:
            continue
        if exact or len({r.seed for r in group}) >= gate.REFERENCES:
            wanted.append((exact, _cost(group) * (1 if exact else gate.SEEDS[0]), key))
    spent, chosen = 0.0, []
    for _, cost, key in sorted(wanted):
        if spent + cost <= FAST:
            spent += cost
            chosen.append(key)
    return sorted(chosen)


def _own_settings(key: Key, group: list[Record]) -> list[Record]:
    """The records whose settings are those that a plain run would have today."""
    model = registry.load("model", key[2]).object
    preset = dict(model.presets.get(key[1], {}))
    settings = stages.resolve(model.fit, preset, "setting", skip=stages.NO_SETTINGS)
    return [r for r in group if renamed(r.model.settings, settings) == settings]


def _cost(group: Sequence[Record]) -> float:
    """Median CPU seconds of training and prediction."""
    return float(
        np.median(
            [sum(r.cost[k].cpu_s for k in ("train", "predict") if k in r.cost) for r in group]
        )
    )


def check_cell(
    task: str,
    dataset: str,
    model: str,
    group: Sequence[Record],
    root: Path,
    *,
    margin: float = 0.0,
    cells: int = 1,
    splits: Splits | None = None,
) -> CellReport:
    """All gates but the cost of one cell; `splits` where they are loaded already."""
    best = group[0].metrics[0].best
    values = [r.metrics[0].value for r in group if r.metrics[0].value is not None]
    report = CellReport(
        registry.load("task", task).name,
        dataset,
        registry.load("model", model).name,
        len(values),
        float(np.mean(values)),
    )
    cell = stages.prepare(task, model, dataset=dataset, runs=_scratch(), splits=splits)
    if cell.split != group[0].task.split:
        reason = "the data at hand make another split than the references were made on"
        report.results.append(Result("G0", "RED", reason, {}))
        return report
    report.results += _frozen(cell, group, root)
    reference = gate.oriented(values, best)
    if group[0].model.deterministic:
        _check_exact(cell, group[0], reference[0], best, report)
    elif len(values) < REFERENCES:
        reason = f"{len(values)} reference seeds; a test of seeds needs {REFERENCES}"
        report.results.append(Result("G1", "UNRESOLVED", reason, {}))
    else:
        _check_seeds(cell, reference, best, report, margin, cells)
    return report


def _scratch() -> Path:
    import tempfile

    return Path(tempfile.gettempdir()) / "physbench-check"


def candidate(cell: Cell, seed: int) -> float:
    """The ranking metric of one freshly trained seed, scored as a run scores it."""
    model, test = cell.model.object, cell.splits.test
    with environment.seeded(seed):
        given = {"seed": seed, **stages.context(model), **cell.settings}
        fitted = model.fit(cell.splits.train, cell.splits.validation, **given)
        predictions = stages.predict(model, fitted, test)
    prepared = verifying.prepared(cell.task.object, test, predictions)
    return scoring.ranking(cell.task.object, test, prepared)


def _frozen(cell: Cell, group: Sequence[Record], root: Path) -> list[Result]:
    """G0 of the first reference whose weights are there."""
    zoo = cell.model.name in registry.names("model")
    name = cell.model.name if zoo else cell.model.path
    for record in group:
        path = root / record.path
        if record.weights and (path.parent / record.weights.file).exists():
            original = verifying.Original(
                path, record, cell.task.object, cell.task.name, name, cell.splits
            )
            try:
                fitted, prepared = verifying.from_weights(original)
            except Exception as error:  # noqa: BLE001 - whatever the changed code does
                return [Result("G0", "RED", f"saved weights: {str(error)[:200]}", {})]
            return [verifying.frozen_gate(original, fitted, prepared)]
    return []


def _check_exact(
    cell: Cell, record: Record, reference: float, best: str, report: CellReport
) -> None:
    """A model without randomness must give its own score."""
    try:
        value = candidate(cell, record.seed)
    except Exception as error:  # noqa: BLE001 - a crash is a verdict, not the end of the check
        report.results.append(_crash(error, 1))
        return
    report.candidates.append(value)
    metric = record.metrics[0]
    width = (metric.high - metric.low) if None not in (metric.low, metric.high) else 0.0  # type: ignore[operator]
    report.results.append(gate.exact(gate.oriented([value], best)[0], reference, SMALLEST * width))


def _check_seeds(
    cell: Cell,
    reference: Sequence[float],
    best: str,
    report: CellReport,
    margin: float,
    cells: int,
) -> None:
    """Seeds are added until G1 has a verdict, or three diverge, or one crashes."""
    diverged = 0
    for count in gate.SEEDS:
        while len(report.candidates) + diverged < count and diverged < gate.DIVERGED:
            try:
                value = candidate(cell, FIRST_SEED + len(report.candidates) + diverged)
            except FloatingPointError:
                diverged += 1
                continue
            except Exception as error:  # noqa: BLE001 - a model's code raises anything
                report.results.append(_crash(error, count))
                return
            report.candidates.append(value)
        good = gate.oriented(report.candidates, best)
        if diverged >= gate.DIVERGED:
            break
        if len(good) < gate.SEEDS[0]:
            continue
        result = gate.quality(good, reference, margin=margin, cells=cells)
        if result is not None:
            report.results.append(result)
            break
    else:
        reason = f"no verdict after {gate.SEEDS[-1]} seeds, {diverged} of them diverged"
        report.results.append(Result("G1", "UNRESOLVED", reason, {}))
    if len(report.candidates) > 1 and report.verdict == "PASS":
        good = gate.oriented(report.candidates, best)
        report.results.append(gate.too_good(good, reference, margin=margin))
    report.results.append(gate.failures(diverged, 0, len(report.candidates) + diverged))


def _crash(error: Exception, runs: int) -> Result:
    result = gate.failures(0, 1, runs)
    reason = f"{type(error).__name__}: {str(error)[:200]}"
    return Result(result.gate, result.verdict, reason, result.numbers)


def _cost_gate(task: str, dataset: str, model: str, older: Path) -> Result:
    """G5: the same cell in this code and in an older checkout, in turn, three times."""
    if not (older / "benchmarks").is_dir():
        raise FileNotFoundError(f"{older} is no checkout of this project (no benchmarks/)")
    here = environment.ROOT
    times: dict[Path, list[float]] = {here: [], older: []}
    for _ in range(3):
        for place, spent in times.items():
            spent.append(_cpu_seconds(place, task, dataset, model))
    return gate.cost(times[here], times[older])


def _cpu_seconds(checkout: Path, task: str, dataset: str, model: str) -> float:
    """CPU seconds of training and prediction in a process of its own, from the record."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        program = (
            "import sys, types\n"
            "ours = types.ModuleType('physbench')\n"
            "ours.__path__ = [sys.argv[1]]\n"
            "sys.modules['physbench'] = ours\n"
            "sys.path.insert(0, sys.argv[1])\n"
            "from benchmarks.running import stages\n"
            "(r,) = stages.run(sys.argv[2], sys.argv[4], dataset=sys.argv[3], runs=sys.argv[5])\n"
            "print(r.cost['train'].cpu_s + r.cost['predict'].cpu_s)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(checkout), task, dataset, model, scratch],
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"the run in {checkout} failed: {done.stderr.strip()[-300:]}")
    return float(done.stdout.split()[-1])


def make_reference(
    tasks: Sequence[str],
    models: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    seeds: int = 20,
    dataset: str | None = None,
) -> list[Record]:
    """Run reference seeds of models into a folder of records, for later checks.

    Seeds that are there already are not run again.
    """
    if not tasks or not models:
        raise ValueError("--make-reference needs a task and --models: what is it a reference of?")
    if seeds < REFERENCES:
        raise ValueError(f"a reference needs at least {REFERENCES} seeds; got {seeds}")
    found: list[Record] = []
    for task in tasks:
        for model in models:
            count = 1 if registry.load("model", model).object.deterministic else seeds
            found += stages.run(task, model, dataset=dataset, seeds=count, runs=folder)
    return found


def write(report: Report, json_file: Path | None, summary: Path | None) -> None:
    """Write the machine-readable report, and append the summary to a file."""
    if json_file:
        records.atomic(json_file, report.as_json())
    if summary:
        with summary.open("a", encoding="utf-8") as stream:
            stream.write(report.as_markdown())
