"""The static site: boards, records, tasks, models and datasets as plain pages.

No server, no external address, readable without JavaScript; the same input gives the same bytes.
Everything shown comes from records, or from the cards that the caller collects from the entries.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from physbench.leaderboard import board as boards
from physbench.leaderboard import standing, tables
from physbench.leaderboard.board import Board, Row
from physbench.leaderboard.record import Cost, MetricPart, Record, body, canonical
from physbench.leaderboard.site import pairs, palette, scales
from physbench.leaderboard.site.pairs import Units
from physbench.leaderboard.site.scales import Reference
from physbench.leaderboard.standing import Matrix, Standing

TEMPLATES = Path(__file__).parent / "templates"
MARK = '<meta name="generator" content="physbench">'
EMPTY = '<svg xmlns="http://www.w3.org/2000/svg"/>\n'
DIRECTIONS = {"max": "higher is better", "min": "lower is better", "zero": "zero is best"}


@dataclass(frozen=True)
class Picture:
    """A Matplotlib figure, and the words for those who do not see it.

    `draw` makes it, or returns None where there is nothing to see; it raises Missing where it
    lacks the data, which is not remembered. `key` stands for all that decides the figure: what an
    earlier site drew for the same key is kept. A `broad` one has a row of its own.
    """

    stem: str
    caption: str
    alt: str
    key: str
    draw: Callable[[], Any]
    broad: bool = False


@dataclass(frozen=True)
class Text:
    """Markdown that is costly to make; what an earlier site holds for the same `key` is kept."""

    title: str
    stem: str
    key: str
    make: Callable[[], str]


class Missing(Exception):
    """Data that a picture needs are not on this machine."""


@dataclass(frozen=True)
class Explained:
    """What a metric is: its unit, its best direction and its definition in words."""

    name: str
    unit: str
    best: str
    text: str


@dataclass(frozen=True)
class Table:
    """A table of a card; the first cell of each row is its heading."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Card:
    """What is known of a task, model or dataset. `links` are (kind, name) of its companions."""

    kind: str
    name: str
    summary: str
    text: str
    use: str
    cite: str = ""
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    links: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Page:
    """A board with all its records, the meaning of its reference rows, and its task's figures.

    `local` are ids of records that are not committed: they lie in `runs/`. `display` shows what
    the question is about, `papers` are addresses of the models' references, `studies` (title,
    Markdown) what its variants did, `compared` sets all studied models side by side, `colours`
    are those of the models, by name, `units` finds the test units that make rows differ.
    """

    board: Board
    records: Sequence[Record]
    summary: str = ""
    references: Mapping[str, Reference] = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    local: frozenset[str] = frozenset()
    metrics: Sequence[Explained] = ()
    display: Picture | None = None
    papers: Mapping[str, str] = field(default_factory=dict)
    studies: Sequence[tuple[str, str]] = ()
    compared: Text | None = None
    colours: Mapping[str, str] = field(default_factory=dict)
    units: Units | None = None

    @property
    def title(self) -> str:
        """The board in words."""
        return f"{self.board.task} on {self.board.dataset}"


@dataclass(frozen=True)
class Claim:
    """A published claim beside our number: what is told of it, by heading, and its paper."""

    id: str
    told: Mapping[str, str]
    paper: str = ""


@dataclass(frozen=True)
class Site:
    """All pages with unique names, and which cards exist (others are not linked).

    `documentation` is where that of the project lies, seen from the site's folder; empty for none.
    """

    pages: Mapping[str, Page]
    cards: Sequence[Card]
    claims: Sequence[Claim] = ()
    documentation: str = ""

    def has(self, kind: str, name: str) -> bool:
        """Whether a page of this entry exists."""
        return any((card.kind, card.name) == (kind, name) for card in self.cards)


def write(
    pages: Sequence[Page],
    cards: Sequence[Card],
    folder: str | os.PathLike[str],
    claims: Sequence[Claim] = (),
    documentation: str = "",
) -> int:
    """Write the site and return the number of its HTML pages.

    Pictures of an earlier site in the folder are kept where nothing that decides them has changed.
    The folder is exchanged as a whole, so that it never holds half a site or pages of records
    that are gone. Raises FileExistsError when it holds anything but an earlier site.
    """
    target = Path(folder).resolve()
    _check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        fresh = Path(scratch) / "site"
        count = _render(
            Site(_named(pages), cards, claims, documentation), fresh, target / "figures"
        )
        if target.exists():
            os.replace(target, Path(scratch) / "old")
        os.replace(fresh, target)
    return count


def _check_replaceable(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    index = folder / "index.html"
    if not index.is_file() or MARK not in index.read_text(encoding="utf-8"):
        raise FileExistsError(
            f"{folder} holds something else than a site of boards; choose another folder"
        )


def _named(pages: Sequence[Page]) -> dict[str, Page]:
    """Pages by file name; a second split of the same task and dataset carries its digest."""
    named: dict[str, Page] = {}
    for page in pages:
        stem = f"{page.board.task}-{page.board.dataset}"
        named[stem if stem not in named else f"{stem}-{page.board.split[:8]}"] = page
    return named


def _render(site: Site, folder: Path, earlier: Path) -> int:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"soft": soft, "prose": prose}
    for name in (
        "boards",
        "records",
        "tasks",
        "models",
        "datasets",
        "claims",
        "figures",
        "compare",
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("site.css", "site.js"):
        shutil.copyfile(TEMPLATES / name, folder / name)
    count = 0
    pictures, displays = {}, {}
    matrices = {stem: standing.matrix(page.board) for stem, page in site.pages.items()}
    for stem, page in site.pages.items():
        pictures[stem] = _drawn(_pictures(stem, page), folder / "figures", earlier)
        shown = _drawn([page.display] if page.display else [], folder / "figures", earlier)
        displays[stem] = shown[0] if shown else None
    for path, template, values in (
        *_index(site, pictures),
        *_board_pages(site, matrices, pictures, displays, folder, earlier),
        *_compare_pages(site, matrices, folder / "compare", earlier.parent / "compare"),
        *_record_pages(site, folder),
        *_card_pages(site, displays),
        *_claim_pages(site),
    ):
        root = "" if "/" not in path else "../"
        text = environment.get_template(template).render(
            root=root, documentation=site.documentation, **values
        )
        (folder / path).write_text(text, encoding="utf-8")
        count += 1
    return count


Rendered = Iterable[tuple[str, str, dict[str, Any]]]


def soft(text: str) -> Markup:
    """A long name that may be broken after its underscores.

    >>> str(soft("fake<_rate"))
    'fake&lt;_<wbr>rate'
    """
    return Markup("_<wbr>").join(text.split("_"))


def prose(text: str) -> Markup:
    r"""Text of a docstring: names in backticks become code, lines of a sentence flow together.

    >>> str(prose("labels are `int`\nor <none>"))
    'labels are <code>int</code> or &lt;none&gt;'
    """
    lines = text.split("\n")
    listed = any(line[:1] in (" ", "-", "*") for line in lines)
    parts = ("\n" if listed else " ").join(lines).replace("``", "`").split("`")
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(p) if n % 2 else p for n, p in enumerate(parts))


def _drawn(pictures: Sequence[Picture], folder: Path, earlier: Path) -> list[Picture]:
    """Write pictures, or copy them from an earlier site; returns those that show something."""
    shown = [item for item in pictures if _written(item, folder, earlier)]
    return [replace(item, broad=_broad(folder / f"{item.stem}.svg")) for item in shown]


def _broad(path: Path) -> bool:
    """Whether a picture is twice as wide as it is high, or nearly."""
    with path.open(encoding="utf-8") as stream:
        box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', stream.read(2000))
    return box is not None and float(box[1]) > 1.8 * float(box[2])


def _written(item: Picture, folder: Path, earlier: Path) -> bool:
    name, mark = f"{item.stem}.svg", f"<!-- {item.key} -->\n"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = (earlier / name).read_text(encoding="utf-8")
        if text.endswith(mark):
            (folder / name).write_text(text, encoding="utf-8")
            return text != EMPTY + mark
    figures = _figures()
    try:
        figure = item.draw()
    except Missing:
        return False
    text = EMPTY if figure is None or figures.empty(figure) else figures.svg(figure)
    (folder / name).write_text(text + mark, encoding="utf-8")
    return text != EMPTY


def _figures() -> Any:
    """The module that draws: Matplotlib takes half a second to import."""
    from physbench.leaderboard.site import figures

    return figures


def _pictures(stem: str, page: Page) -> list[Picture]:
    """The figures of every board, then those of its task."""
    board, marks, colours = page.board, page.references, page.colours
    costs = [(r.model, r.kind, r.latency_ms) for r in board.rows]
    own = [palette.colour(row.model, colours) for row in board.rows]
    key = scales.key(boards.table(board), sorted(marks.items()), costs, own)
    found = [
        Picture(
            f"{stem}-scores",
            "Scores with 95 % intervals, a colour a model, here and in every figure.",
            scales.described(board),
            key,
            lambda: _figures().intervals(board, marks, colours),
        )
    ]
    if any(row.role == "ranked" for row in board.rows):
        front = ", ".join(r.model for r in scales.front(board))
        found.append(
            Picture(
                f"{stem}-cost",
                "Score against training, size and prediction time; lines are Pareto fronts.",
                f"{board.metric} against cost; on the front of training time: {front}",
                key,
                lambda: _figures().cost(board, marks, colours),
            )
        )
    return [*found, *page.pictures]


def _index(site: Site, pictures: Mapping[str, Sequence[Picture]]) -> Rendered:
    cards = [
        (kind, title, [card for card in site.cards if card.kind == kind])
        for kind, title in (("task", "Tasks"), ("model", "Models"), ("dataset", "Datasets"))
    ]
    entries = [
        {
            "stem": stem,
            "title": page.title,
            "summary": page.summary,
            "metric": page.board.metric,
            "direction": DIRECTIONS[page.board.best],
            "leaders": [
                {"model": row.model, "score": boards.shown(row)}
                for row in page.board.rows
                if row.rank == 1
            ],
            "pictures": pictures[stem],
        }
        for stem, page in site.pages.items()
    ]
    records = sum(len(page.records) for page in site.pages.values())
    values = {
        "title": "Boards",
        "boards": entries,
        "kinds": cards,
        "records": records,
        "claims": site.claims,
    }
    yield "index.html", "index.html.j2", values


def _board_pages(
    site: Site,
    matrices: Mapping[str, Matrix],
    pictures: Mapping[str, Sequence[Picture]],
    displays: Mapping[str, Picture | None],
    folder: Path,
    earlier: Path,
) -> Rendered:
    for stem, page in site.pages.items():
        board = page.board
        (folder / f"boards/{stem}.csv").write_text(boards.table(board), encoding="utf-8")
        (folder / f"boards/{stem}.md").write_text(tables.markdown(board), encoding="utf-8")
        values = {
            "title": page.title,
            "page": page,
            "board": board,
            "direction": DIRECTIONS[board.best],
            "verdict": verdict(board),
            "pictures": pictures[stem],
            "display": displays[stem],
            "stem": stem,
            "entries": [
                (kind, name, site.has(kind, name))
                for kind, name in (("task", board.task), ("dataset", board.dataset))
            ],
            "claims": [claim for claim in site.claims if claim.told["dataset"] == board.dataset],
            "studies": [*_texts(page, folder / "figures", earlier), *page.studies],
            **_tables(site, page, matrices[stem]),
        }
        yield f"boards/{stem}.html", "board.html.j2", values


def _texts(page: Page, folder: Path, earlier: Path) -> list[tuple[str, str]]:
    """The comparison of the studies of a board, made now or copied from an earlier site."""
    item = page.compared
    if item is None:
        return []
    name, mark = f"{item.stem}.md", f"\n<!-- {item.key} -->\n"
    text = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = (earlier / name).read_text(encoding="utf-8")
    if not text.endswith(mark):
        text = item.make() + mark
    (folder / name).write_text(text, encoding="utf-8")
    return [(item.title, text.removesuffix(mark))]


def verdict(board: Board) -> str:
    """Who leads, by how much, and how much of the way to the ceiling that is, in a sentence."""
    ranked = [row for row in board.rows if row.role == "ranked"]
    if not ranked:
        return "No row is ranked yet."
    first = list(dict.fromkeys(row.model.split(" ")[0] for row in ranked if row.rank == 1))
    others = [row for row in ranked if row.rank != 1]
    words = f"{_listed(first)} {'lead together' if len(first) > 1 else 'leads'}"
    if others:
        found = standing.difference(ranked[0], others[0], board.best)
        behind = others[0].model.split(" ")[0]
        behind = others[0].model if behind in first else behind
        words += f", {abs(found.value):.2g} {board.metric} ahead of {behind}"
    share = standing.share(ranked[0], *standing.limits(board), board.best)
    gone = "" if math.isnan(share) else f" That closes {share:.0%} of the gap to the ceiling."
    return f"{words}.{gone}"


def _listed(names: Sequence[str]) -> str:
    few = [*names[:3], *([f"{len(names) - 3} more"] if len(names) > 3 else [])]
    return " and ".join(filter(None, [", ".join(few[:-1]), few[-1]]))


def _tables(site: Site, page: Page, matrix: Matrix) -> dict[str, Any]:
    """The six columns, all other columns with their meaning, and the paired differences."""
    board = page.board
    ids = {record.id[:12] for record in page.records}
    known = {metric.name: metric for metric in page.metrics}
    rows, cells = matrix
    places = zip(_placed(board), standing.of(board), strict=True)
    return {
        "rows": [_row(site, page, place, where, ids) for place, where in places],
        "classical": standing.leader(board, "classical"),
        "gap": all(standing.limits(board)),
        "names": [(name, known.get(name)) for name in (board.metric, *board.columns)],
        "more": [_more(row, board, ids) for row in board.rows if row.seeds],
        "tiers": [
            (kind, limit, row.model, boards.shown(row)) for kind, limit, row in scales.tiers(board)
        ],
        "matrix": _matrix(rows, cells),
    }


def _matrix(
    rows: Sequence[Row], cells: Sequence[Sequence[standing.Difference | None]]
) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Text, sense and place on the page of pairs of each row's difference to each other one."""
    return [
        (
            row.model,
            [
                (standing.text(cell), _sense(cell), pairs.anchor(row.model, other.model))
                for other, cell in zip(rows, line, strict=True)
            ],
        )
        for row, line in zip(rows, cells, strict=True)
    ]


def _more(row: Row, board: Board, ids: set[str]) -> dict[str, Any]:
    values = [row.score, *(row.others.get(name, math.nan) for name in board.columns)]
    cost = ["–" if row.parameters is None else f"{row.parameters:,}", _number(row.latency_ms, 3)]
    return {
        "model": row.model,
        "cells": [_number(value) for value in values],
        "cost": [str(row.seeds), _number(row.detectable, 2), *cost, _number(row.units_per_s, 3)],
        "records": [i for i in row.records if i in ids],
    }


def _compare_pages(
    site: Site, matrices: Mapping[str, Matrix], folder: Path, earlier: Path
) -> Rendered:
    """Every pair of a board's first rows, on one page a board."""
    for stem, page in site.pages.items():
        rows, cells = matrices[stem]
        if len(rows) < 2:
            continue
        places = folder / f"{stem}.json", earlier / f"{stem}.json"
        known = pairs.units_of(page.board, rows, page.units, *places) if page.units else None
        bars = {row.model: _bar(row, page) for row in rows}
        names = {metric.name: metric for metric in page.metrics}
        values = {
            "title": f"Compare rows: {page.title}",
            "page": page,
            "board": page.board,
            "stem": stem,
            "direction": DIRECTIONS[page.board.best],
            "metric": names.get(page.board.metric),
            "ids": {record.id[:12] for record in page.records},
            "known": known,
            "sections": pairs.sections(page.board, matrices[stem], known, bars),
            "matrix": _matrix(rows, cells),
        }
        yield f"compare/{stem}.html", "compare.html.j2", values


def _sense(found: standing.Difference | None) -> str:
    """Class of a difference: better, worse, or nothing where it is not significant."""
    if found is None or not found.clear:
        return ""
    return "better" if found.better else "worse"


def _placed(board: Board) -> list[tuple[int, int | None, Row]]:
    """Rows with their place and the parity of their tie group, None where they stand alone."""
    placed: list[tuple[int, int | None, Row]] = []
    groups: list[int] = []
    for place, row in enumerate(board.rows):
        if row.tied and row.rank is not None and row.rank not in groups:
            groups.append(row.rank)
        tie = groups.index(row.rank) % 2 if row.tied and row.rank is not None else None
        placed.append((place, tie, row))
    return placed


def _row(
    site: Site, page: Page, placed: tuple[int, int | None, Row], where: Standing, ids: set[str]
) -> dict[str, Any]:
    place, tie, row = placed
    model = row.model.split(" ")[0]
    return {
        "place": place,
        "rank": "" if row.rank is None else f"{row.rank}{'=' if row.tied else ''}",
        "places": boards.place(row),
        "tie": tie,
        "role": row.role,
        "reference": scales.reference(row, page.references),
        "model": row.model,
        "link": f"../models/{model}.html" if site.has("model", model) else None,
        "paper": page.papers.get(model),
        "note": row.note,
        "score": boards.shown(row),
        "value": _plain(row.score),
        "bar": _bar(row, page),
        "best": (standing.text(where.to_best), _sense(where.to_best)),
        "classical": (standing.text(where.to_classical), _sense(where.to_classical)),
        "share": "" if math.isnan(where.share) else f"{where.share:.0%}",
        "filled": "" if math.isnan(where.share) else f"{min(max(where.share, 0), 1):.3f}",
        "training": tables.duration(row.train_s),
        "train_s": _plain(row.train_s),
        "latency": _latency(row, page.board.unit),
        "records": [i for i in row.records if i in ids],
    }


def _latency(row: Row, unit: str) -> str:
    """`0.31 ms an event` of a prediction of one alone, or nothing."""
    if math.isnan(row.latency_ms):
        return ""
    return f"{tables.duration(row.latency_ms / 1e3)} a{'n' * (unit[0] in 'aeiou')} {unit}"


def _plain(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _number(value: float, digits: int = 4) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}g}"


def _bar(row: Row, page: Page) -> dict[str, Any] | None:
    """Positions of a row's point, interval and reference lines on the leaders' scale.

    The scale is that of the leaders and of the ceiling: a floor far below would leave them no
    room. What lies beyond is drawn at the edge.
    """
    if not math.isfinite(row.score):
        return None
    scored = [r for r in page.board.rows if math.isfinite(r.score)]
    low, high = scales.window(page.board)
    log = low > 0 and high / low > 100

    def position(value: float) -> float:
        if log:
            fraction = math.log(max(value, low) / low) / math.log(high / low)
        else:
            fraction = (value - low) / (high - low) if high > low else 0.5
        return round(6 + 108 * min(max(fraction, 0.0), 1.0), 2)

    lines = [
        (kind, position(r.score))
        for r in scored
        if (kind := scales.reference(r, page.references)) is not None
    ]
    finite = math.isfinite(row.low) and math.isfinite(row.high)
    return {
        "colour": palette.colour(row.model, page.colours),
        "score": position(row.score),
        "low": position(row.low) if finite else None,
        "high": position(row.high) if finite else None,
        "lines": lines,
    }


def _record_pages(site: Site, folder: Path) -> Rendered:
    for stem, page in site.pages.items():
        seeds: dict[str, list[tuple[str, int]]] = {}
        for record in page.records:
            seeds.setdefault(_variant(record), []).append((record.id[:12], record.seed))
        for record in page.records:
            name = record.id[:12]
            text = canonical(body(record) | {"id": record.id})
            (folder / f"records/{name}.json").write_text(text + "\n", encoding="utf-8")
            same = sorted(seeds[_variant(record)], key=lambda pair: (pair[1], pair[0]))
            others = [pair for pair in same if pair[0] != name]
            values = _record(record, record.id in page.local) | {"stem": stem, "others": others}
            values["linked"] = site.has("model", record.model.name)
            yield f"records/{name}.html", "record.html.j2", values


def _variant(record: Record) -> str:
    settings = record.model.hyper_parameters
    return json.dumps([record.model.name, record.model.source, settings], sort_keys=True)


def _record(record: Record, local: bool) -> dict[str, Any]:
    first = record.metrics[0] if record.metrics else None
    value, interval = _metric_text(first) if first else ("", "")
    return {
        "title": f"Record {record.id[:12]}",
        "record": record,
        "headline": f"{first.name} {value} {interval}".strip() if first else "",
        "metrics": [_metric(m) for m in record.metrics],
        "costs": [(stage, _cost(c)) for stage, c in record.cost.items()],
        "steps": reproduction(record, local),
        "bibtex": citation(record),
        "groups": _groups(record),
    }


def _metric_text(metric: MetricPart) -> tuple[str, str]:
    if metric.value is None:
        return f"– ({metric.reason})", ""
    if metric.low is None or metric.high is None:
        return f"{metric.value:.6g}", ""
    places = boards.digits(metric.low, metric.high)
    interval = f"[{metric.low:.{places}f}, {metric.high:.{places}f}]"
    return f"{metric.value:.{places}f}", interval


def _metric(metric: MetricPart) -> dict[str, Any]:
    value, interval = _metric_text(metric)
    slices = [
        (s.name, "undefined" if s.value is None else f"{s.value:.6g}") for s in metric.slices
    ]
    return {
        **{name: getattr(metric, name) for name in ("name", "unit", "best", "version", "method")},
        "value": value,
        "interval": interval or "–",
        "slices": slices,
    }


def _cost(cost: Cost) -> list[tuple[str, str]]:
    names = {
        "wall_s": "wall (s)",
        "cpu_s": "CPU (s)",
        "peak_rss_mb": "peak memory (MB)",
        "peak_gpu_mb": "peak GPU memory (MB)",
        "units_per_s": "units/s",
        "median_ms": "median latency (ms)",
        "p95_ms": "95 % latency (ms)",
    }
    values = [(text, getattr(cost, name)) for name, text in names.items()]
    return [(text, "–" if value is None else f"{value:g}") for text, value in values]


def reproduction(record: Record, local: bool = False) -> list[tuple[str, str]]:
    """What to type to make the record again, each command with the sentence before it."""
    steps = []
    if record.code.commit:
        dirty = " (the files had changes that were not committed)" if record.code.dirty else ""
        steps.append((f"The code{dirty}:", f"git checkout {record.code.commit}"))
    path = f"{'runs' if local else 'leaderboard/records'}/{record.path}"
    if record.predictions:
        steps.append(
            (
                "Every metric again from the stored predictions:",
                f"python -m benchmarks score {path}",
            )
        )
    steps.append(("The whole run again, training included:", command(record)))
    return steps


def command(record: Record) -> str:
    """The `run` command with every setting of the record.

    >>> from types import SimpleNamespace as N
    >>> model = N(name="gnn", origin="zoo", precision=None, hyper_parameters={"epochs": 3})
    >>> command(N(task=N(name="tracking", protocol={}), dataset=N(name="trackml"), model=model,
    ...           seed=1))
    'python -m benchmarks run tracking gnn --dataset trackml --seed 1 --set epochs=3'
    """
    model = record.model.name if record.model.origin == "zoo" else f"./{record.model.name}.py"
    words = ["python", "-m", "benchmarks", "run", record.task.name, model]
    words += ["--dataset", record.dataset.name, "--seed", str(record.seed)]
    words += ["--precision", record.model.precision] if record.model.precision else []
    for option, values in (
        ("--set", record.model.hyper_parameters),
        ("--protocol", record.task.protocol),
    ):
        for name, value in values.items():
            words += [
                option,
                f"{name}={value!r}" if not isinstance(value, str) else f"{name}={value}",
            ]
    return " ".join(shlex.quote(word) for word in words)


def citation(record: Record) -> str:
    """BibTeX of the record and of the works it rests on."""
    own = "\n".join(
        [
            f"@misc{{physbench-{record.id[:12]},",
            f"  title = {{Physbench record {record.id[:12]}: {record.model.name} on "
            f"{record.task.name} with {record.dataset.name}, seed {record.seed}}},",
            f"  year = {{{record.started[:4]}}},",
            f"  note = {{sha256 {record.id}}}",
            "}",
        ]
    )
    return "\n\n".join([own, *(text.strip() for text in record.cite)])


def _groups(record: Record) -> list[tuple[str, list[tuple[str, str]]]]:
    """All other fields of a record, flat: what is not in a table above stands here."""
    content = body(record)
    apart = {"metrics", "cost", "cite"}
    single = [(k, _text(v)) for k, v in content.items() if not isinstance(v, dict | list)]
    groups = [("record", [("id", record.id), *single])]
    for name, value in content.items():
        if isinstance(value, dict) and name not in apart:
            groups.append((name, _flat(value)))
    return groups


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{name} / ")
        else:
            rows.append((prefix + name, _text(value)))
    return rows


def _text(value: Any) -> str:
    return "–" if value is None or value in ({}, []) else str(value)


def _card_pages(site: Site, displays: Mapping[str, Picture | None]) -> Rendered:
    for card in site.cards:
        shown = [
            (stem, page.title)
            for stem, page in site.pages.items()
            if card.name in _names(page, card.kind)
        ]
        values = {
            "title": card.name,
            "card": card,
            "paragraphs": [p.strip() for p in card.text.split("\n\n") if p.strip()],
            "boards": shown,
            "display": _display(site, card, displays),
            "links": [pair for pair in card.links if site.has(*pair)],
        }
        yield f"{card.kind}s/{card.name}.html", "card.html.j2", values


def _claim_pages(site: Site) -> Rendered:
    for claim in site.claims:
        boards_of = [
            (stem, page.title)
            for stem, page in site.pages.items()
            if page.board.dataset == claim.told["dataset"]
        ]
        values = {"title": f"Claim {claim.id}", "claim": claim, "boards": boards_of}
        yield f"claims/{claim.id}.html", "claim.html.j2", values


def _display(site: Site, card: Card, displays: Mapping[str, Picture | None]) -> Picture | None:
    """What the question of a task is about, as on its first board."""
    own = (stem for stem, page in site.pages.items() if page.board.task == card.name)
    return next((displays[stem] for stem in own), None) if card.kind == "task" else None


def _names(page: Page, kind: str) -> set[str]:
    if kind == "model":
        return {record.model.name for record in page.records}
    return {page.board.task if kind == "task" else page.board.dataset}
