"""The site of all boards: collects cards and figures from the entries; torch is not needed."""

from __future__ import annotations

import ast
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.registry import Entry
from benchmarks.reports import boards, cards, displays, studying
from benchmarks.sweeping import searching
from benchmarks.trust import ledger
from physbench.datasets import SPLITS, Dataset, Splits
from physbench.leaderboard import bibtex
from physbench.leaderboard import predictions as stored
from physbench.leaderboard.board import Board
from physbench.leaderboard.record import Record
from physbench.leaderboard.site import render
from physbench.leaderboard.site.figures import Reference
from physbench.leaderboard.site.render import Card, Explained, Page, Picture, Table
from physbench.tasks import Task

MOST_CURVES = 8  # models in one figure of a task that does not say how many
METRIC_HEAD = ("name", "unit", "best", "version", "definition")


def write(
    folder: str | os.PathLike[str],
    tasks: Sequence[str] | None = None,
    *,
    runs: str | os.PathLike[str] | None = None,
) -> int:
    """Write the site of the tasks' boards (all without a name) and return its number of pages.

    A task may be given by its file. The figures of a board whose data are not on this machine
    are left out, which is said on stderr.
    """
    # The style of mplhep names fonts that few machines have; the fallback is fine.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    everything, local = boards.gather(runs)
    roots = {True: boards.runs_root(runs), False: boards.committed_root()}
    pages = []
    for name in tasks or registry.names("task"):
        entry = registry.load("task", name)
        for board in boards.of_task(name, everything, local):
            shown = [r for r in everything if belongs(r, board, entry.object)]
            paths = {r.id: roots[r.id in local] / r.path for r in shown}
            pages.append(_page(entry, board, shown, paths, local))
    known = [card for kind in registry.KINDS for card in cards_of(kind)]
    return render.write(pages, known, folder)


def _page(
    entry: Entry, board: Board, shown: Sequence[Record], paths: Mapping[str, Path],
    local: frozenset[str],
) -> Page:  # fmt: skip
    splits = _splits(entry.object, board)
    drawn = pictures(entry, board, shown, paths, splits) if splits else []
    return Page(
        board=board,
        records=shown,
        summary=entry.object.summary,
        references=references(board),
        pictures=[*of_cuts(board, splits), *drawn, *of_studies(entry, board), *of_searches(board)],
        local=local,
        metrics=explained(entry.object),
        display=display(board, splits) if splits else None,
        papers=papers(shown),
        claims=ledger.of_dataset(board.dataset),
        studies=studies(entry, board),
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


def _splits(task: Task, board: Board) -> Splits | None:
    """The data of the board, or None (said on stderr) where they are not on this machine."""
    try:
        folded = {"fold": 0} if board.dataset in task.folds else {}
        return task.splits(board.dataset, **folded)
    except (OSError, ValueError) as error:
        print(f"no figures for {board.task} on {board.dataset}: {error}", file=sys.stderr)
        return None


def display(board: Board, splits: Splits) -> Picture | None:
    """What the question is about, or None for a type of inputs without a picture."""
    figure = displays.drawn(splits.test)
    if figure is None:
        return None
    stem = f"{board.task}-{board.dataset}-{board.split[:8]}-display"
    words = displays.caption(splits.test)
    return render.picture(stem, figure, words, words)


def of_cuts(board: Board, splits: Splits | None) -> list[Picture]:
    """What the cuts of the dataset leave, where it has some."""
    if splits is None or not splits.counts:
        return []
    words = " ".join((displays.cuts.__doc__ or "").split())
    stem = f"{board.task}-{board.dataset}-{board.split[:8]}-cuts"
    return [render.picture(stem, displays.cuts(splits), words, f"Cuts. {words}")]


def explained(task: Task) -> list[Explained]:
    """The metrics of a task with the first paragraph of their definitions."""
    rows = (_metric_row(metric) for metric in task.metrics)
    return [Explained(name, unit, best, text) for name, unit, best, _, text in rows]


def papers(shown: Sequence[Record]) -> dict[str, str]:
    """Address of the paper of each model whose reference names one."""
    found = {record.model.name: bibtex.address(record.model.reference) for record in shown}
    return {name: url for name, url in found.items() if url}


def studies(entry: Entry, board: Board) -> list[tuple[str, str]]:
    """Tables of the committed studies and searches of the board's task and dataset."""
    folder = boards.committed_root().parent / "boards"
    stem = f"{board.task}-{board.dataset}-"
    task: Task = entry.object
    several = studying.committed_studies(entry) if _studied(task, board) else {}
    both = [("Studies compared", studying.compared(task, several))] if len(several) > 1 else []
    return both + [
        (f"{kind.capitalize()} of {f.stem.removeprefix(stem).removesuffix(end)}", f.read_text())
        for kind in ("study", "search")
        for end in [f"-{kind}"]
        for f in sorted(folder.glob(f"{stem}*{end}.md"))
    ]


def pictures(
    entry: Entry, board: Board, shown: Sequence[Record], paths: Mapping[str, Path], splits: Splits
) -> list[Picture]:
    """The figures of the task, each drawn once from the predictions stored beside the records."""
    task: Task = entry.object
    if not task.figures:
        return []
    chosen = representatives(board, shown)
    whole = {label: r for label, r in chosen.items() if _stored(r, paths).is_file()}
    if not whole:
        return []
    most = max([MOST_CURVES, *task.curves.values()])
    curves = [(label, _read(task, splits, r, paths)) for label, r in list(whole.items())[:most]]
    return [
        _picture(board, name, draw, splits, dict(curves[: task.curves.get(name, MOST_CURVES)]))
        for name, draw in sorted(task.figures.items())
    ]


def _studied(task: Task, board: Board) -> bool:
    """Whether a board may have studies: they are made on a task's default dataset."""
    return bool(task.study) and board.dataset == next(iter(task.named))


def of_studies(entry: Entry, board: Board) -> list[Picture]:
    """The figures of the committed studies of a task's default dataset."""
    task: Task = entry.object
    if not _studied(task, board):
        return []
    several, found = studying.committed_studies(entry), []
    stem = f"{board.task}-{board.dataset}"
    if len(several) > 1:
        caption = f"Studies of {', '.join(several)}: {studying.comparison.__doc__}"
        figure = studying.comparison(task, several)
        found.append(render.picture(f"{stem}-studies", figure, caption, caption))
    for name, own in several.items() if task.study_figures else ():
        for title, figure in studying.pictures(task, own).items():
            text = (task.study_figures[title].__doc__ or title).strip().partition("\n\n")[0]
            caption = f"Study of {name}: {' '.join(text.split())}"
            place = f"{stem}-{name}-{title.lower().replace(' ', '-')}"
            found.append(render.picture(place, figure, caption, f"{title}. {caption}"))
    return found


def of_searches(board: Board) -> list[Picture]:
    """The figures of the committed searches of a board; none, told on stderr, without Optuna."""
    found = []
    for journal in studying.searches(board.task, board.dataset):
        try:
            study = searching.latest(journal)
        except ModuleNotFoundError as error:
            print(f"no figures of {journal.stem}: {error}", file=sys.stderr)
            continue
        for title, figure in searching.pictures(study).items():
            caption = f"Search of {study.user_attrs['title']}: every trial, scored on validation"
            stem = f"{journal.stem}-{title.lower().replace(' ', '-')}"
            found.append(render.picture(stem, figure, caption, f"{title}. {caption}"))
    return found


def representatives(board: Board, shown: Sequence[Record]) -> dict[str, Record]:
    """One record for each row of the board, in order: its seed with the median score."""
    by_id = {record.id[:12]: record for record in shown}
    found: dict[str, Record] = {}
    for row in board.rows:
        own = [by_id[i] for i in row.records if i in by_id and by_id[i].predictions]
        if any(record.task.fold == 0 for record in own):  # figures show one fold's units
            own = [record for record in own if record.task.fold == 0]
        if not row.seeds or not own:
            continue
        own.sort(key=lambda r: (r.metrics[0].value or 0.0, r.seed, r.id))
        found[row.model] = own[(len(own) - 1) // 2]
    return found


def _stored(record: Record, paths: Mapping[str, Path]) -> Path:
    assert record.predictions is not None
    return paths[record.id].parent / record.predictions.file


def _read(task: Task, splits: Splits, record: Record, paths: Mapping[str, Path]) -> Any:
    assert record.predictions is not None
    arrays = stored.read(_stored(record, paths), record.predictions.sha256)
    return task.prepare(splits.test.inputs, stored.unpack(arrays))


def _picture(
    board: Board, name: str, draw: Any, splits: Splits, curves: Mapping[str, Any]
) -> Picture:
    figure = draw(splits.test.targets, dict(curves))
    stem = f"{board.task}-{board.dataset}-{board.split[:8]}-{name.lower().replace(' ', '-')}"
    caption = " ".join((draw.__doc__ or name).strip().partition("\n\n")[0].split())
    names = ", ".join(curves)
    return render.picture(stem, figure, caption, f"{name} of {names}. {caption}")


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
        "task", name, summary, text,
        use=f"python -m benchmarks run {name} MODEL\npython -m benchmarks board {name}",
        cite=task.reference if "@" in task.reference else "",
        facts=[
            ("version", str(task.version)),
            ("independent unit", task.unit),
            *((kind, ", ".join(m for m in marks if marks[m] == kind))
              for kind in dict.fromkeys(marks.values())),
        ],
        tables=[*_data_tables(name),
                Table("Metrics; the first one ranks", METRIC_HEAD,
                      [_metric_row(m) for m in task.metrics])],
        links=[*(("dataset", d) for d in task.named), *(("model", m) for m in marks)],
    )  # fmt: skip


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
    presets = [[f"{k} ({d})", _shown(v)] for d, values in dict(card.get("presets", {})).items()
               for k, v in values.items()]  # fmt: skip
    reference = str(card.get("reference", ""))
    return Card(
        "model", name, summary, text,
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
    )  # fmt: skip


def _dataset_card(name: str) -> Card:
    dataset: Dataset = registry.load("dataset", name).object
    summary, text = _words("dataset", name)
    tasks = [t for t in registry.names("task") if name in registry.load("task", t).object.named]
    files = [[f.name, f"{f.bytes:,}", f.sha256] for f in dataset.files]
    get = [f"python -m benchmarks data get {name}", f"python -m benchmarks data verify {name}"]
    made = [f"python -m benchmarks data make {name}"] if dataset.make else []
    return Card(
        "dataset", name, summary, text,
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
    )  # fmt: skip


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def declared(path: Path, constant: str) -> dict[str, Any]:
    """Keywords of `constant = Call(...)` in a file that are literals, or names of literals.

    The file is not imported: sixty models would bring torch and take minutes. What is not a
    literal is left out.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
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
    tree = ast.parse(registry.path(kind, name).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            return {a.arg: ast.unparse(d) if d else "required" for a, d in pairs
                    if a.arg != "seed"}  # fmt: skip
    return {}
