"""The site of all boards: collects cards and figures from the entries; torch is not needed."""

from __future__ import annotations

import ast
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.reports import boards, cards, drawings
from benchmarks.reports.drawings import Drawings
from benchmarks.trust import ledger
from physbench.datasets import SPLITS, Dataset
from physbench.leaderboard import bibtex
from physbench.leaderboard.board import Board
from physbench.leaderboard.record import Record
from physbench.leaderboard.site import render
from physbench.leaderboard.site.render import Card, Explained, Page, Table
from physbench.leaderboard.site.scales import Reference
from physbench.tasks import Task

METRIC_HEAD = ("name", "unit", "best", "version", "definition")


def write(
    folder: str | os.PathLike[str],
    tasks: Sequence[str] | None = None,
    *,
    runs: str | os.PathLike[str] | None = None,
    documentation: str = "",
) -> int:
    """Write the site of the tasks' boards (all without a name) and return its number of pages.

    `documentation` is where that of the project lies, seen from the folder, to link it. A task may
    be given by its file. The figures of a board whose data are not on this machine
    are left out, which is said on stderr.
    """
    # The style of mplhep names fonts that few machines have; the fallback is fine.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    everything, local = boards.gather(runs)
    roots = {True: boards.runs_root(runs), False: boards.committed_root()}
    committed = [record for record in everything if record.id not in local]
    pages = []
    for name in tasks or registry.names("task"):
        entry = registry.load("task", name)
        for board in boards.of_task(name, everything, local):
            shown = [r for r in everything if belongs(r, board, entry.object)]
            paths = {r.id: roots[r.id in local] / r.path for r in shown}
            drawn = Drawings(entry, board, shown, paths, committed)
            pages.append(_page(drawn, local))
    known = [card for kind in registry.KINDS for card in cards_of(kind)]
    return render.write(pages, known, folder, claims(), documentation)


def claims() -> list[render.Claim]:
    """The ledger with its committed verdicts; a source with an arXiv number is linked."""
    found = []
    for claim in ledger.verdicts():
        number = re.search(r"arXiv:(\d{4}\.\d{4,5})", claim.source)
        paper = f"https://arxiv.org/abs/{number[1]}" if number else ""
        found.append(render.Claim(claim.id, ledger.told(claim), paper))
    return found


def _page(drawn: Drawings, local: frozenset[str]) -> Page:
    entry, board, shown = drawn.entry, drawn.board, drawn.shown
    return Page(
        board=board,
        records=shown,
        summary=entry.object.summary,
        references=references(board),
        pictures=drawn.all(),
        local=local,
        metrics=explained(entry.object),
        display=drawn.display(),
        papers=papers(shown),
        studies=studies(board),
        compared=drawn.compared(),
        colours=drawings.colours(),
        units=drawn.units(),
    )


def belongs(record: Record, board: Board, task: Task) -> bool:
    """Whether a record stands on the board; those of folds have splits of their own."""
    found = (record.task.name, record.dataset.name)
    same = record.task.fold is not None or record.task.split == board.split
    return found == (board.task, board.dataset) and same and boards.current(record, task)


def references(board: Board) -> dict[str, Reference]:
    """What the models of a board stand for, where they draw a line."""
    kinds: dict[str, Reference] = {"classical": "classical", "floor": "floor", "oracle": "ceiling"}
    return {row.model.split(" ")[0]: kinds[row.kind] for row in board.rows if row.kind in kinds}


def explained(task: Task) -> list[Explained]:
    """The metrics of a task with the first paragraph of their definitions."""
    rows = (_metric_row(metric) for metric in task.metrics)
    return [Explained(name, unit, best, text) for name, unit, best, _, text in rows]


def papers(shown: Sequence[Record]) -> dict[str, str]:
    """Address of the paper of each model whose reference names one."""
    found = {record.model.name: bibtex.address(record.model.reference) for record in shown}
    return {name: url for name, url in found.items() if url}


def studies(board: Board) -> list[tuple[str, str]]:
    """Tables of the committed studies and searches of the board's task and dataset."""
    folder = boards.committed_root().parent / "boards"
    stem = f"{board.task}-{board.dataset}-"
    return [
        (f"{kind.capitalize()} of {f.stem.removeprefix(stem).removesuffix(end)}", f.read_text())
        for kind in ("study", "search")
        for end in [f"-{kind}"]
        for f in sorted(folder.glob(f"{stem}*{end}.md"))
    ]


def cards_of(kind: str) -> list[Card]:
    """The cards of all entries of a kind."""
    make = {"task": _task_card, "model": _model_card, "dataset": _dataset_card}[kind]
    return [make(name) for name in registry.names(kind)]


def _words(kind: str, name: str) -> tuple[str, str]:
    """First paragraph of the docstring on one line, and the rest."""
    summary, _, text = registry.docstring(kind, name).partition("\n\n")
    return " ".join(summary.split()), text


def _task_card(name: str) -> Card:
    task: Task = registry.load("task", name).object
    summary, text = _words("task", name)
    roles = {model: registry.role(model) for model in registry.models_of(name)}
    marks = {model: role for model, role in roles.items() if role != "learned"}
    return Card(
        "task",
        name,
        summary,
        text,
        use=f"python -m benchmarks run {name} MODEL\npython -m benchmarks board {name}",
        cite=task.reference if "@" in task.reference else "",
        facts=[
            ("version", str(task.version)),
            ("independent unit", task.unit),
            *(
                (kind, ", ".join(m for m in marks if marks[m] == kind))
                for kind in dict.fromkeys(marks.values())
            ),
        ],
        tables=[
            *_data_tables(name),
            Table(
                "Metrics; the first one ranks", METRIC_HEAD, [_metric_row(m) for m in task.metrics]
            ),
        ],
        links=[*(("dataset", d) for d in task.named), *(("model", m) for m in roles)],
    )


def _data_tables(name: str) -> list[Table]:
    """What a model gets and returns, and how many units the splits have."""
    card = cards.of("task", name)
    head = ["name", "shape", "unit", "meaning"]
    sizes = [
        [dataset, *(f"{units[part]:,}" if part in units else "–" for part in SPLITS)]
        for dataset, units in card.units.items()
    ]
    found = [
        Table(f"What a model gets: {card.inputs}", head, [list(row) for row in card.fields]),
        Table("What it returns", head, [list(row) for row in card.predicts]),
        Table("Units of the splits", ["dataset", *SPLITS], sizes),
    ]
    return [table for table in found if table.rows]


def _metric_row(metric: Any) -> list[str]:
    text = (metric.function.__doc__ or "").strip().partition("\n\n")[0]
    return [metric.name, metric.unit, metric.best, str(metric.version), " ".join(text.split())]


def _model_card(name: str) -> Card:
    summary, text = _words("model", name)
    card = declared(registry.path("model", name), "MODEL")
    tasks = tuple(card.get("tasks", ()))
    rows = [[k, _shown(v)] for k, v in _keywords("model", name, "fit").items()]
    presets = [
        [f"{k} ({d})", _shown(v)]
        for d, values in dict(card.get("presets", {})).items()
        for k, v in values.items()
    ]
    reference = str(card.get("reference", ""))
    return Card(
        "model",
        name,
        summary,
        text,
        use="\n".join(f"python -m benchmarks run {task} {name}" for task in tasks)
        or f"python -m benchmarks info {name}",
        cite=reference if "@" in reference else "",
        facts=[
            ("reference", "see below" if "@" in reference else reference or "–"),
            ("role", str(card.get("role", "learned"))),
            ("deterministic", "yes" if card.get("deterministic") else "no"),
        ],
        tables=[Table("Hyper-parameters", ["name", "value"], [*rows, *presets])] if rows else [],
        links=[("task", task) for task in tasks],
    )


def _dataset_card(name: str) -> Card:
    dataset: Dataset = registry.load("dataset", name).object
    summary, text = _words("dataset", name)
    tasks = [t for t in registry.names("task") if name in registry.load("task", t).object.named]
    files = [[f.name, f"{f.bytes:,}", f.sha256] for f in dataset.files]
    get = [f"python -m benchmarks data get {name}", f"python -m benchmarks data verify {name}"]
    made = [f"python -m benchmarks data make {name}"] if dataset.make else []
    return Card(
        "dataset",
        name,
        summary,
        text,
        use="\n".join([*get, *made]),
        cite=dataset.citation,
        facts=[
            ("version", dataset.version),
            ("licence", dataset.licence),
            ("source", dataset.source),
            ("embedded", "yes" if dataset.embedded else "no"),
        ],
        tables=[Table("Files", ["name", "bytes", "sha256"], files)] if files else [],
        links=[("task", task) for task in tasks],
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def declared(path: Path, constant: str) -> dict[str, Any]:
    """Keywords of `constant = Call(...)` in a file that are literals, or names of literals.

    The file is not imported: sixty models would bring torch and take minutes. What is not a
    literal is left out.
    """
    tree = registry.tree(path)
    known: dict[str, ast.expr] = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    call = known.get(constant)
    found: dict[str, Any] = {}
    for keyword in call.keywords if isinstance(call, ast.Call) else []:
        value = keyword.value
        if isinstance(value, ast.Name):
            value = known.get(value.id, value)
        try:
            found[str(keyword.arg)] = ast.literal_eval(value)
        except ValueError:
            continue
    return found


def _keywords(kind: str, name: str, function: str) -> dict[str, str]:
    """Keyword-only parameters of a function with their defaults, as written."""
    tree = registry.tree(registry.path(kind, name))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            return {
                a.arg: ast.unparse(d) if d else "required" for a, d in pairs if a.arg != "seed"
            }
    return {}
