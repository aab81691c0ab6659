"""The pictures of a board's page, each with what decides it: drawn only when that has changed."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import registry, sources
from benchmarks.registry import Entry
from benchmarks.reports import boards, displays, studying
from benchmarks.sweeping import searching
from benchmarks.trust import units
from physbench.datasets import Splits
from physbench.leaderboard import predictions as stored
from physbench.leaderboard.board import Board
from physbench.leaderboard.record import Record
from physbench.leaderboard.site import palette, render, scales
from physbench.leaderboard.site.pairs import Single, Units
from physbench.leaderboard.site.render import Picture
from physbench.tasks import Task

MOST_CURVES = 8  # models in one figure of a task that does not say how many


@dataclass(frozen=True)
class Drawings:
    """The pictures of one board. Data and predictions are read when the first one is drawn."""

    entry: Entry
    board: Board
    shown: Sequence[Record]
    paths: Mapping[str, Path]
    committed: Sequence[Record] = ()

    def all(self) -> list[Picture]:
        """What the cuts leave, the task's figures, those of studies and of searches."""
        studies = of_studies(self.entry, self.board, self.studied)
        return [*self.cuts(), *self.figures(), *studies, *of_searches(self.board)]

    def display(self) -> Picture | None:
        """What the question is about, or None for a type of inputs without a picture."""
        draw = displays.DRAWN.get(getattr(self.entry.object.inputs, "__name__", ""))
        if draw is None:
            return None
        words = " ".join((draw.__doc__ or "").split())
        return self._picture("display", words, words, (), lambda: draw(self.splits.test))

    def cuts(self) -> list[Picture]:
        """What the cuts of the dataset leave, where it has some."""
        words = " ".join((displays.cuts.__doc__ or "").split())

        def draw() -> Any:
            return displays.cuts(self.splits) if self.splits.counts else None

        return [self._picture("cuts", words, f"Cuts. {words}", (), draw)]

    def figures(self) -> list[Picture]:
        """The figures of the task, from the predictions stored beside the records."""
        task: Task = self.entry.object
        chosen = representatives(self.board, self.shown)
        whole = {label: r for label, r in chosen.items() if _stored(r, self.paths).is_file()}
        return [self._figure(name, whole) for name in sorted(task.figures)] if whole else []

    def _figure(self, name: str, whole: Mapping[str, Record]) -> Picture:
        task: Task = self.entry.object
        function = task.figures[name]
        labels = list(whole)[: task.curves.get(name, MOST_CURVES)]
        caption = " ".join((function.__doc__ or name).strip().partition("\n\n")[0].split())
        words = f"{name} of {', '.join(labels)}. {caption}"

        def draw() -> Any:
            names = palette.shortened(labels)
            curves = {n: self._read(whole[k]) for n, k in zip(names, labels, strict=True)}
            with _figures().style(labels, colours()):
                return function(self.splits.test.targets, curves)

        decided = [(label, whole[label].id, palette.colour(label, colours())) for label in labels]
        return self._picture(name.lower().replace(" ", "-"), caption, words, decided, draw)

    def _picture(
        self, name: str, caption: str, words: str, decided: object, draw: Callable[[], Any]
    ) -> Picture:
        board = self.board
        stem = f"{board.task}-{board.dataset}-{board.split[:8]}-{name}"
        return Picture(
            stem, caption, words, key(self.entry, name, board.dataset, board.split, decided), draw
        )

    @functools.cached_property
    def studied(self) -> dict[str, list[str]]:
        """The studied models of the board, each with the names of its records."""
        may = studied(self.entry.object, self.board)
        names = studying.studied(self.entry, self.committed) if may else []
        folder = boards.committed_root() / self.entry.name / self.board.dataset
        return {n: sorted(path.stem for path in (folder / n).glob("*.json")) for n in names}

    def compared(self) -> render.Text | None:
        """The table of all studies of the board; to read them imports their models, and torch."""

        def make() -> str:
            return studying.compared(
                self.entry.object, studying.committed_studies(self.entry, list(self.studied))
            )

        stem = f"{self.board.task}-{self.board.dataset}-studies"
        text = render.Text("Studies compared", stem, key(self.entry, self.studied), make)
        return text if len(self.studied) > 1 else None

    def units(self) -> Units | None:
        """What single test units do to the board's rows; None without stored predictions."""
        chosen = representatives(self.board, self.shown)
        whole = {label: r for label, r in chosen.items() if _stored(r, self.paths).is_file()}

        def find(labels: Sequence[str]) -> Single | None:
            task, metric = self.entry.object, self.entry.object.metrics[0]
            try:
                test = self.splits.test
            except render.Missing:
                return None
            looked = units.spaced(len(test))
            changes = {
                label: units.changes(task, metric, test, self._read(whole[label]), looked)
                for label in labels
                if label in whole
            }
            return Single(len(test), [test.ids[k] for k in looked], changes)

        decided = [(label, record.id) for label, record in whole.items()]
        own = (units.MOST_UNITS, self.board.dataset, self.board.split, decided)
        return Units(key(self.entry, "units", *own), find) if whole else None

    @property
    def splits(self) -> Splits:
        """The data of the board; raises Missing where they are not on this machine."""
        if self._loaded is None:
            raise render.Missing
        return self._loaded

    @functools.cached_property
    def _loaded(self) -> Splits | None:
        """The data of the board, or None, which is said on stderr."""
        task, board = self.entry.object, self.board
        try:
            folded = {"fold": 0} if board.dataset in task.folds else {}
            found: Splits = task.splits(board.dataset, **folded)
        except (OSError, ValueError) as error:
            print(f"no figures for {board.task} on {board.dataset}: {error}", file=sys.stderr)
            return None
        return found

    @functools.cached_property
    def _known(self) -> dict[str, Any]:
        return {}

    def _read(self, record: Record) -> Any:
        """Prepared predictions of a record, read once."""
        if record.id not in self._known:
            assert record.predictions is not None
            arrays = stored.read(_stored(record, self.paths), record.predictions.sha256)
            inputs = self.splits.test.inputs
            self._known[record.id] = self.entry.object.prepare(inputs, stored.unpack(arrays))
        return self._known[record.id]


@functools.cache
def colours() -> dict[str, str]:
    """The colour of each registered model: those of one wing, which may meet, differ."""
    wings: dict[str, list[str]] = {}
    for name in registry.names("model"):
        wings.setdefault(registry.path("model", name).parent.name, []).append(name)
    return {n: c for names in wings.values() for n, c in palette.assigned(names).items()}


def _figures() -> Any:
    """The module that draws: Matplotlib takes half a second to import."""
    from physbench.leaderboard.site import figures

    return figures


def key(entry: Entry, *parts: object) -> str:
    """What decides a figure of a task: all tasks and datasets, a user's file, and `parts`."""
    return scales.key(_source(entry.path), *parts)


@functools.cache
def _source(path: Path) -> str:
    files = {file for part in ("tasks", "datasets") for file in _python(part)}
    files |= {Path(str(module.__file__)) for module in (displays, studying, searching, units)}
    if path not in files:
        files |= set(sources.closure(path))
    return sources.digest(file.read_bytes() for file in files)


def _python(part: str) -> list[Path]:
    folder = sources.part(part)
    assert folder is not None
    return list(folder.rglob("*.py"))


def studied(task: Task, board: Board) -> bool:
    """Whether a board may have studies: they are made on a task's default dataset."""
    return bool(task.study) and board.dataset == next(iter(task.named))


def of_studies(entry: Entry, board: Board, ids: Mapping[str, list[str]]) -> list[Picture]:
    """The figures of the committed studies of a task's default dataset.

    `ids` are the names of the records of each studied model.
    """
    task: Task = entry.object
    names = list(ids)
    read = functools.cache(lambda: studying.committed_studies(entry, names))
    stem, found = f"{board.task}-{board.dataset}", []
    if len(names) > 1:
        caption = f"Studies of {', '.join(names)}: {studying.comparison.__doc__}"
        found.append(
            Picture(
                f"{stem}-studies",
                caption,
                caption,
                key(entry, ids, palette.styles(names, colours())),
                lambda: _compared(task, names, read()),
            )
        )
    for name in names if task.study_figures else ():
        drawn = functools.cache(functools.partial(_of_study, task, read, name))
        for title, function in task.study_figures.items():
            text = (function.__doc__ or title).strip().partition("\n\n")[0]
            caption = f"Study of {name}: {' '.join(text.split())}"
            place = f"{stem}-{name}-{title.lower().replace(' ', '-')}"
            draw = functools.partial(_titled, drawn, title)
            decided = key(entry, title, ids[name])
            found.append(Picture(place, caption, f"{title}. {caption}", decided, draw))
    return found


def _compared(task: Task, names: Sequence[str], studies: Mapping[str, Any]) -> Any:
    with _figures().style(names, colours()):
        return studying.comparison(task, {name: studies[name] for name in names})


def _of_study(task: Task, read: Callable[[], Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """All figures of a model's study; one that cannot be imported was told on stderr."""
    if name not in read():
        raise render.Missing
    with _figures().style():
        return studying.pictures(task, read()[name])


def _titled(drawn: Callable[[], Mapping[str, Any]], title: str) -> Any:
    return drawn().get(title)


def of_searches(board: Board) -> list[Picture]:
    """The figures of the committed searches of a board."""
    found = []
    for journal in studying.searches(board.task, board.dataset):
        drawn = functools.cache(functools.partial(_of_search, journal))
        name = journal.stem.removeprefix(f"{board.task}-{board.dataset}-").removesuffix("-search")
        decided = hashlib.sha256(journal.read_bytes()).hexdigest()
        for title in searching.TITLES:
            caption = f"Search of {name}: every trial, scored on validation"
            stem = f"{journal.stem}-{title.lower().replace(' ', '-')}"
            draw = functools.partial(_titled, drawn, title)
            own = scales.key(title, decided, Path(str(searching.__file__)).read_bytes())
            found.append(Picture(stem, caption, f"{title}. {caption}", own, draw))
    return found


def _of_search(journal: Path) -> Mapping[str, Any]:
    """The figures of a search; none, told on stderr, without Optuna."""
    try:
        return searching.pictures(searching.latest(journal))
    except ModuleNotFoundError as error:
        print(f"no figures of {journal.stem}: {error}", file=sys.stderr)
        raise render.Missing from error


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
