"""The site: every digit from records, the same bytes each time, whole, offline and accessible."""

from __future__ import annotations

import hashlib
import math
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks
from benchmarks import registry
from benchmarks.__main__ import main
from benchmarks.reports import boards, drawings, pages
from benchmarks.trust import comparing, ledger
from physbench.leaderboard import board, predictions, record, standing
from physbench.leaderboard.record import Record
from physbench.leaderboard.site import figures, pairs, palette, render, scales
from physbench.leaderboard.site.render import Card, Page

TASK = '''"""Toy: a straight line."""
import numpy as np
from physbench.datasets import Dataset, Split, Splits
from physbench.tasks import Metric, Task

def load(dataset, *, noise=0.1):
    rng = np.random.default_rng(1)
    def split(n, name):
        x = rng.uniform(-1, 1, n)
        return Split(x, x + noise * rng.normal(size=n), [f"{name}{i}" for i in range(n)])
    return Splits(split(50, "a"), split(20, "b"), split(40, "c"), files={})

def squared(targets, predictions):
    """Mean squared error."""
    return float(np.mean((targets - predictions) ** 2))

def bias(targets, predictions):
    return {"all": float(np.mean(predictions - targets)), "left": 0.0}

def worst(targets, predictions):
    return float(np.max(np.abs(predictions - targets)))

def undefined(targets, predictions):
    return float("nan")

def scatter(targets, predictions):
    """Prediction against truth."""
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots()
    for name, values in predictions.items():
        axes.plot(targets, values, ".", label=name)
    axes.set_xlabel(f"mean {np.mean(targets):.3f}")
    plt.close(figure)
    return figure

TASK = Task(summary="toy", reference="@misc{toy, title = {Toy}}", unit="point",
            datasets=(Dataset(name="points", summary="points", load=dict),), load=load,
            metrics=(Metric(squared, "1", "min"), Metric(bias, "1", "zero"),
                     Metric(worst, "1", "min"), Metric(undefined, "1", "max")),
            figures={"Prediction against truth": scatter})
'''

MODEL = '''"""Toy."""
import numpy as np
from physbench.models import Model

def fit(train, validation, *, seed, slope=1.0, spread=0.02, crash=False):
    if crash:
        raise RuntimeError("bad <script>alert(1)</script> & layer")
    return slope + spread * np.random.normal()

def predict(slope, inputs):
    return slope * inputs

MODEL = Model(tasks=("line",), reference="Gauss", fit=fit, predict=predict)
'''


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `line.py` and its records below `runs`."""
    folder = tmp_path_factory.mktemp("line")
    (folder / "line.py").write_text(TASK)
    for name in ("slope", "zero", "best"):
        text = MODEL
        if name == "best":
            text = text.replace("predict(slope, inputs)", "predict(slope, inputs, targets)")
            text = text.replace("return slope * inputs", "return targets")
            text = text.replace('"Gauss"', '"the truth", role="oracle"')
        if name == "zero":
            text = text.replace('"Gauss"', '"nothing", role="floor"')
        (folder / f"{name}.py").write_text(text)
    cells: list[tuple[str, dict[str, Any], int]] = [
        ("slope", {"slope": 1.0}, 3),
        ("slope", {"slope": 1.01}, 3),
        ("slope", {"slope": 0.5}, 3),
        ("slope", {"crash": True}, 1),
        ("zero", {"slope": 0.0}, 3),
        ("best", {}, 1),
    ]
    for name, settings, seeds in cells:
        benchmarks.run(
            folder / "line.py",
            folder / f"{name}.py",
            seeds=seeds,
            settings=settings,
            runs=folder / "runs",
        )
    return folder


@pytest.fixture(scope="module")
def built(runs: Path) -> Path:
    """The site of these records."""
    pages.write(runs / "site", [str(runs / "line.py")], runs=runs / "runs")
    return runs / "site"


def page_of(runs: Path) -> Page:
    """The board of the toy records as a page."""
    found, local = boards.gather(runs / "runs")
    own = [r for r in found if r.task.name == "line"]
    (the_board,) = boards.of_task(str(runs / "line.py"), found, local)
    return Page(the_board, own, "toy", {"best": "ceiling", "zero": "floor"}, local=local)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_record_and_entry_has_a_page_and_every_link_leads_somewhere(
    runs: Path, built: Path
) -> None:
    ids = {r.id[:12] for r in record.read_all(runs / "runs")}
    assert {p.stem for p in (built / "records").glob("*.html")} == ids
    assert {p.stem for p in (built / "records").glob("*.json")} == ids
    for kind in ("task", "model", "dataset"):
        names = {card.name for card in pages.cards_of(kind)}
        assert {p.stem for p in (built / f"{kind}s").glob("*.html")} == names
    for path in built.rglob("*.html"):
        text = path.read_text()
        for target in re.findall(r'(?:href|src|srcset)="([^"]*)"', text):
            name, _, anchor = unescape(target).partition("#")
            if name != "data:," and not name.startswith("https://"):
                assert (path.parent / name).exists() or not name, f"{path}: {target}"
            if anchor and not name:
                assert f'id="{anchor}"' in text


def test_no_address_outside_is_used(built: Path) -> None:
    for path in built.rglob("*.html"):
        text = re.sub(r'<a href="https://[^"]*" rel="external">', "", path.read_text())
        assert not re.search(r'(?:href|src|srcset|action)="\s*(?:\w+:)?//', text)
    assert "url(" not in (built / "site.css").read_text()
    assert "//" not in re.sub(r"^//.*$", "", (built / "site.js").read_text(), flags=re.M)


def test_displayed_digits_are_those_of_the_records(runs: Path, built: Path) -> None:
    page = page_of(runs)
    text = (built / "boards" / "line-points.html").read_text()
    for row in page.board.rows:
        assert row.role == "failed" or board.shown(row) in text
    ranks = re.findall(r'data-label="rank"[^>]*>([^<]*)<', text)
    assert ranks == ["–", "1=", "1=", "3", "4", "–"]
    one = next(r for r in page.records if r.metrics)
    own = (built / "records" / f"{one.id[:12]}.html").read_text()
    value = one.metrics[0].value
    assert value is not None
    places = len(re.findall(r"squared (\d+\.(\d+)) \[", own)[0][1])
    assert f"squared {value:.{places}f} [" in own
    assert one.id in own
    assert "(undefined on this test split)" in own


def test_every_cell_stands_below_its_own_heading(built: Path) -> None:
    (path,) = (built / "boards").glob("*.html")
    table = path.read_text().split('<table id="board"')[1].split("</table>")[0]
    head, body = table.split("</thead>")
    found = re.findall(r"<th[^>]*>(.*?)</th>", head)
    names = [unescape(re.sub(r"<[^>]*>", "", text)) for text in found]
    rows = body.split("</tr>")[:-1]
    assert rows
    for row in rows:
        assert re.findall(r'data-label="([^"]*)"', row) == names


def test_another_number_in_a_record_is_another_page(runs: Path, tmp_path: Path) -> None:
    page = page_of(runs)
    one = next(r for r in page.records if r.metrics)
    metrics = [replace(one.metrics[0], value=0.987654, low=0.9, high=1.1)]
    changed = record.sealed(one.model_copy(update={"metrics": metrics + one.metrics[1:]}))
    others = [r for r in page.records if r is not one]
    again = Page(board.build([*others, changed]), [*others, changed])
    render.write([again], [], tmp_path / "site")
    assert (
        "squared 0.99 [0.90, 1.10]"
        in (tmp_path / "site" / "records" / f"{changed.id[:12]}.html").read_text()
    )


def test_text_from_outside_is_escaped(runs: Path, built: Path) -> None:
    (failed,) = [r for r in record.read_all(runs / "runs") if r.status == "failed"]
    for path in (f"records/{failed.id[:12]}.html", "boards/line-points.html"):
        text = (built / path).read_text()
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_same_records_give_the_same_bytes(runs: Path, built: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from benchmarks.reports import pages\n"
        "pages.write(sys.argv[1], [sys.argv[2]], runs=sys.argv[3])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "again", runs / "line.py", runs / "runs"],
        env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert digests(built) == digests(tmp_path / "again")


def test_old_pages_go_and_other_folders_are_refused(runs: Path, tmp_path: Path) -> None:
    page, target = page_of(runs), tmp_path / "site"
    render.write([page], [], target)
    few = [r for r in page.records if r.model.name == "slope" and r.metrics]
    render.write([Page(board.build(few), few)], [], target)
    assert {p.stem for p in (target / "records").glob("*.html")} == {r.id[:12] for r in few}
    assert [p.name for p in tmp_path.iterdir()] == ["site"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="something else than a site"):
        render.write([page], [], tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


def test_figures_of_the_task_use_the_stored_predictions_of_the_median_seed(
    runs: Path, built: Path
) -> None:
    page = page_of(runs)
    chosen = drawings.representatives(page.board, page.records)
    row = next(r for r in page.board.rows if r.rank == 1)
    scores = sorted(r.metrics[0].value or 0 for r in page.records if r.id[:12] in row.records)
    assert chosen[row.model].metrics[0].value == scores[1]
    text = (built / "boards" / "line-points.html").read_text()
    assert "Prediction against truth of best" in text
    assert len(list((built / "figures").glob("*-truth.svg"))) == 1


def test_a_figure_without_its_data_is_left_out_and_said(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = tmp_path / "line.py"
    task.write_text(
        TASK.replace("    rng =", "    raise FileNotFoundError('not here')\n    rng =", 1)
    )
    pages.write(tmp_path / "site", [str(task)], runs=runs / "runs")
    assert "no figures for line on points: not here" in capsys.readouterr().err
    assert "Prediction" not in (tmp_path / "site/boards/line-points.html").read_text()


def test_a_thousand_records_build_in_seconds(runs: Path, tmp_path: Path) -> None:
    page = page_of(runs)
    one = next(r for r in page.records if r.model.name == "slope" and r.metrics)
    many: list[Record] = []
    for number in range(1000):
        part = one.model.model_copy(update={"name": f"model_{number // 3:03d}"})
        changes = {"seed": number % 3, "model": part, "cell": f"{number:064x}"}
        many.append(record.sealed(one.model_copy(update=changes)))
    begin = time.process_time()
    count = render.write([Page(board.build(many), many)], [], tmp_path / "site")
    used = time.process_time() - begin
    assert count == 1003  # the index, the board, its pairs and the records
    assert used < 12, f"{used:.1f} CPU seconds"


def test_the_command_on_a_record_page_makes_the_same_cell(
    runs: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = next(r for r in page_of(runs).records if r.seed == 2 and r.metrics)
    text = unescape((built / "records" / f"{one.id[:12]}.html").read_text())
    (line,) = re.findall(r"python -m benchmarks run .*?(?=</code>)", text)
    words = shlex.split(line)[3:]
    words[1] = "./line.py"  # a user's own task is given by its file
    monkeypatch.chdir(runs)
    assert main([*words, "--runs", str(tmp_path / "again")]) == 0
    (again,) = record.read_all(tmp_path / "again")
    assert again.cell == one.cell
    assert [m.value for m in again.metrics] == [m.value for m in one.metrics]


def test_pareto_front_by_hand() -> None:
    def row(name: str, score: float, seconds: float) -> board.Row:
        fields: dict[str, Any] = {
            "rank": 1, "tied": False, "model": name, "note": "", "role": "ranked", "seeds": 3,
            "score": score, "low": score, "high": score, "others": {}, "parameters": None,
            "train_s": seconds, "units_per_s": 1.0, "records": (), "detectable": 0.1,
            "rank_low": 1, "rank_high": 1, "scores": None,
        }  # fmt: skip
        return board.Row(**fields)

    rows = [row("a", 0.5, 1.0), row("b", 0.4, 2.0), row("c", 0.9, 3.0), row("d", 0.9, 9.0)]
    assert [r.model for r in scales.pareto(rows, "max")] == ["a", "c"]
    assert [r.model for r in scales.pareto(rows, "min")] == ["a", "b"]
    late = [replace(r, latency_ms=ms) for r, ms in zip(rows, (9.0, 1.0, 4.0, 2.0), strict=True)]
    by_latency = scales.pareto(late, "max", lambda r: r.latency_ms)
    assert [r.model for r in by_latency] == ["b", "d"]


def test_best_rows_within_budgets_by_hand(runs: Path) -> None:
    one = page_of(runs).board
    ranked = [replace(row, kind="learned") for row in one.rows if row.role == "ranked"]
    costs = [(500, 0.05), (5000, 5.0), (7000, math.nan), (None, 0.5)]
    scores = [0.4, 0.2, 0.3, 0.1]  # the least is best
    rows = tuple(
        replace(row, parameters=size, latency_ms=ms, score=score)
        for row, (size, ms), score in zip(ranked, costs, scores, strict=True)
    )
    found = scales.tiers(replace(one, rows=rows))
    assert [(kind, limit, row.score) for kind, limit, row in found] == [
        ("parameters", "1 thousand", 0.4),
        ("parameters", "10 thousand", 0.2),
        ("latency", "0.1 ms", 0.4),
        ("latency", "1 ms", 0.1),
    ]


def test_every_claim_has_a_page_with_both_numbers(built: Path) -> None:
    index = (built / "index.html").read_text()
    assert ledger.verdicts()
    for claim in ledger.verdicts():
        text = unescape((built / "claims" / f"{claim.id}.html").read_text())
        for words in ledger.told(claim).values():
            assert words in text, claim.id
        assert f'href="claims/{claim.id}.html"' in index


def test_documentation_is_linked_where_it_is_named(runs: Path, tmp_path: Path) -> None:
    page, card = page_of(runs), render.Card("task", "line", "a line", "", "run it")
    for named in ("", "docs/index.html"):
        render.write([page], [card], tmp_path / "site", documentation=named)
        explained = 'href="../docs/tasks/line.html"'
        assert (explained in (tmp_path / "site" / "tasks" / "line.html").read_text()) == bool(
            named
        )
        text = (tmp_path / "site" / "boards" / "line-points.html").read_text()
        assert ("Documentation" in text) == bool(named)
        assert not named or 'href="../docs/index.html"' in text


def test_cost_figure_shows_every_row_that_was_timed(runs: Path) -> None:
    one = page_of(runs).board
    figure = figures.cost(one)
    train, size, alone, _ = figure.axes
    scored = [row for row in one.rows if row.role != "failed"]
    *_, names = (text.get_text() for text in size.texts)
    assert names.split("\n") == [f"{k}  {r.model.split(' ')[0]}" for k, r in enumerate(scored, 1)]
    marks = [text.get_text() for text in train.texts]
    assert marks == [str(k) for k, row in enumerate(scored, 1)]
    assert alone.get_xlabel() == f"one {one.unit} alone (ms)"


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_picture_of_a_board(runs: Path, tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        arguments = ["board", str(runs / "line.py"), "--runs", str(runs / "runs")]
        assert main([*arguments, "--picture", str(path)]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size > 2000


def test_picture_of_an_unknown_kind_is_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["board", str(runs / "line.py"), "--runs", str(runs / "runs")]
    assert main([*arguments, "--picture", str(tmp_path / "board.docx")]) == 2
    assert "must end with .png, .svg or .pdf; got 'board.docx'" in capsys.readouterr().err


def test_dark_ink_is_light() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="black")
    axes.set_title("title")
    text = figures.svg(figure)
    plain, dark = text.replace(figures.DARK_STYLE, ""), figures.DARK_STYLE
    assert not any(colour in plain for colour in figures.DARK.values())
    assert '[style*="stroke: #000000"] { stroke: #e6e9ec' in dark
    assert "stroke: #000000" in plain


def test_a_picture_is_drawn_anew_only_when_what_decides_it_changed(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    drawn: list[str] = []

    def picture(key: str, *, empty: bool = False) -> render.Picture:
        def draw() -> Figure:
            drawn.append(key)
            figure = Figure()
            figure.subplots().plot([] if empty else [0, 1], [] if empty else [0, 1])
            return figure

        return render.Picture("line", "a line", "a line", key, draw)

    def written(item: render.Picture, place: str) -> bool:
        (tmp_path / place).mkdir()
        return render._written(item, tmp_path / place, tmp_path / "old")

    assert written(picture("one"), "old")
    assert written(picture("one"), "same")
    assert drawn == ["one"]
    assert (tmp_path / "same/line.svg").read_bytes() == (tmp_path / "old/line.svg").read_bytes()
    assert written(picture("two"), "other")
    assert drawn == ["one", "two"]
    assert not written(picture("three", empty=True), "empty")
    shutil.rmtree(tmp_path / "old")
    (tmp_path / "empty").rename(tmp_path / "old")
    assert not written(picture("three", empty=True), "again")
    assert drawn == ["one", "two", "three"]


def test_keys_of_figures_tell_records_apart(runs: Path) -> None:
    entry = registry.load("task", runs / "line.py")
    found = {drawings.key(entry, *parts) for parts in [("a", 1), ("a", 2), ("b", 1)]}
    assert len(found) == 3


def test_a_card_is_read_without_importing_the_model(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(
        "import torch_that_is_not_there\nREF = 'a paper'\n"
        "MODEL = Model(tasks=('tracking',), reference=REF, fit=fit, presets={'a': {'b': 1}})\n"
    )
    expected = {"tasks": ("tracking",), "reference": "a paper", "presets": {"a": {"b": 1}}}
    assert pages.declared(path, "MODEL") == expected


def test_an_unlinked_card_and_an_empty_site_are_whole_pages(tmp_path: Path) -> None:
    card = Card("model", "lonely", "A `model` alone.", "Text.\n\n- list\n- goes on", "use me")
    assert render.write([], [card], tmp_path / "site") == 2
    assert "no records yet" in (tmp_path / "site" / "index.html").read_text()
    text = (tmp_path / "site" / "models" / "lonely.html").read_text()
    assert "A <code>model</code> alone." in text
    assert "- list\n- goes on" in text


def test_pairs_of_rows_stand_side_by_side_down_to_single_units(runs: Path, built: Path) -> None:
    page = (built / "compare" / "line-points.html").read_text()
    rows, _ = standing.matrix(page_of(runs).board)
    found = comparing.compare(
        *[[str(runs / "runs" / p) for p in _paths(runs, row)] for row in rows[:2]],
    )
    place = pairs.anchor(rows[0].model, rows[1].model)
    section = page.split(f'<section id="{place}"')[1].split("</section>")[0]
    estimate = found.estimate
    places = board.digits(estimate.low, estimate.high)
    assert f"{estimate.value:+.{places}f} squared [{estimate.low:+.{places}f}" in section
    named = re.findall(r"<code>(c\d+)</code>", section)
    assert 0 < len(named) <= 2 * pairs.MOST_UNITS
    whole, without = _squared(runs, rows, named[0])
    moved = re.findall(rf"<code>{named[0]}</code></th><td>([^<]+)</td><td>([^<]+)</td>", section)[
        0
    ]
    assert [float(m) for m in moved] == pytest.approx(whole - without, rel=0.06)
    assert (
        f'../compare/line-points.html#{place}"'
        in (built / "boards" / "line-points.html").read_text()
    )


def _paths(runs: Path, row: Any) -> list[str]:
    known = {r.id[:12]: str(r.path) for r in record.read_all(runs / "runs")}
    return [known[i] for i in row.records]


def _squared(runs: Path, rows: Sequence[Any], name: str) -> tuple[Any, Any]:
    """Mean squared error of the median seed of two rows, with and without a unit."""
    task = registry.load("task", runs / "line.py").object
    test = task.load("points").test
    kept = np.array([one != name for one in test.ids])
    values = []
    for row in rows[:2]:
        records = [record.read(runs / "runs" / p) for p in _paths(runs, row)]
        middle = sorted(records, key=lambda r: r.metrics[0].value or 0.0)[1]
        assert middle.predictions is not None
        path = runs / "runs" / Path(middle.path).parent / middle.predictions.file
        found = predictions.unpack(predictions.read(path, middle.predictions.sha256))
        squares = (np.asarray(found, np.float64) - test.targets) ** 2
        values.append((squares.mean(), squares[kept].mean()))
    first, second = np.array(values).T
    return first, second


def test_units_are_looked_at_anew_only_when_their_key_changes(runs: Path, tmp_path: Path) -> None:
    the_board = page_of(runs).board
    rows, _ = standing.matrix(the_board)
    asked: list[str] = []

    def units(key: str) -> pairs.Units:
        def find(labels: Sequence[str]) -> pairs.Single:
            asked.append(key)
            return pairs.Single(
                2, ["a", "b"], {n: np.array([k, -k]) for k, n in enumerate(labels)}
            )

        return pairs.Units(key, find)

    def shown(key: str) -> Any:
        place = tmp_path / "line.json"
        return pairs.units_of(the_board, rows, units(key), place, place)

    first = shown("one")
    assert shown("one") == first
    assert asked == ["one"]
    shown("two")
    assert asked == ["one", "two"]
    # Squared error is best when small: the unit that lowers the second row's speaks for it.
    place = pairs.anchor(rows[0].model, rows[1].model)
    assert first["pairs"][place] == [["a", 0.0, 1.0], ["b", 0.0, -1.0]]


def test_a_model_has_one_colour_in_all_figures_of_the_board(runs: Path) -> None:
    page = page_of(runs)
    known = {"slope": palette.SOLID[3], "zero": palette.DASHED[1]}
    for draw in (figures.intervals, figures.cost):
        drawn = draw(page.board, page.references, known)
        seen = {line.get_color() for axes in drawn.axes for line in axes.lines}
        assert set(known.values()) <= seen
        assert seen <= {*known.values(), palette.colour("best", known), "#000000"}
    with figures.style(["zero", "slope slope=0.5"], known):
        import matplotlib.pyplot as plt

        drawn, axes = plt.subplots()
        lines = [axes.plot([0, 1], label=name)[0].get_color() for name in ("zero", "slope")]
        plt.close(drawn)
    assert lines == [known["zero"], known["slope"]]


def test_colours_of_a_wing_differ_and_are_seen_on_either_paper() -> None:
    named = drawings.colours()
    for wing in {registry.path("model", name).parent for name in named}:
        own = [named[name] for name in named if registry.path("model", name).parent == wing]
        assert len(set(own)) == min(len(own), len(palette.PALETTE))
    for colour in palette.PALETTE:
        assert contrast(colour, "#ffffff") > 2.9
        assert contrast(colour, figures.DARK["#ffffff"]) > 2.9


def contrast(one: str, other: str) -> float:
    """Ratio of the luminances of two colours, as WCAG defines it."""
    found = []
    for text in (one, other):
        parts = np.array([int(text[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        found.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
    return float(max(found) / min(found))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    with playwright.sync_playwright() as api:
        chromium = api.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def kinds(built: Path) -> Sequence[Path]:
    """One page of each kind, and the record of a failure."""
    records = sorted((built / "records").glob("*.html"))
    failed = [p for p in records if 'class="failure"' in p.read_text()]
    firsts = [
        sorted((built / n).glob("*.html"))[:1] for n in ("tasks", "models", "datasets", "claims")
    ]
    boards_of = [built / kind / "line-points.html" for kind in ("boards", "compare")]
    return [built / "index.html", *boards_of, records[0], *failed] + [
        path for pages in firsts for path in pages
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_in_a_browser(built: Path, browser: Any, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 844}, offline=True
    )
    page = context.new_page()
    troubles: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    for path in kinds(built):
        page.goto(path.as_uri())
        inside = page.evaluate("document.documentElement.scrollWidth")
        assert inside <= width, f"{path.name} scrolls sideways: {inside} > {width}"
        found = axe.Axe().run(page, options={"preload": False})
        assert not found.response["violations"], found.generate_report()
        broken = page.evaluate("[...document.images].filter(i => !i.naturalWidth).length")
        assert not broken
    assert not troubles
    assert all(url.startswith(("file:", "data:")) for url in requests)
    context.close()


def visible(page: Any) -> list[str]:
    rows = page.locator("#board tbody tr:visible th")
    return [text.split("\n")[0].strip() for text in rows.all_inner_texts()]


def test_sorting_and_filtering(built: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((built / "boards" / "line-points.html").as_uri())
    original = visible(page)
    assert len(original) == 6
    page.get_by_role("button", name="squared").click()
    scores = page.locator("#board tbody tr td:nth-child(3)").evaluate_all(
        "cells => cells.map(c => c.dataset.value)"
    )
    numbers = [float(s) for s in scores if s]
    assert numbers == sorted(numbers)
    assert scores[-1] == ""  # the failed row comes last in either direction
    page.get_by_role("button", name="squared").click()
    assert page.locator("th[aria-sort=descending]").count() == 1
    assert "slope=0.0" in visible(page)[0] or "zero" in visible(page)[0]
    page.get_by_role("button", name="rank").click()
    assert visible(page) == original
    page.get_by_label("Filter").fill("slope=0.5")
    assert len(visible(page)) == 1
    assert page.get_by_role("status").inner_text() == "1 of 6 rows"
    page.get_by_label("Filter").fill("")
    page.get_by_label("ranked rows only").check()
    assert len(visible(page)) == 4
    page.close()


def test_sorting_on_a_phone(built: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto((built / "boards" / "line-points.html").as_uri())
    page.get_by_label("Sort").select_option(label="model ▼")
    assert visible(page) == sorted(visible(page), reverse=True)
    page.close()


def test_without_javascript_the_table_is_complete(built: Path, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built / "boards" / "line-points.html").as_uri())
    assert len(visible(page)) == 6
    assert page.locator(".tools:visible").count() == 0
    context.close()


def test_two_rows_are_chosen_with_and_without_javascript(built: Path, browser: Any) -> None:
    address = (built / "compare" / "line-points.html").as_uri()
    for scripts in (True, False):
        context = browser.new_context(java_script_enabled=scripts)
        page = context.new_page()
        page.goto(address)
        assert page.locator("section.two:visible").count() == 1
        other = page.locator("section.two").nth(2).get_attribute("id")
        page.locator(f'.matrix a[href="#{other}"]').first.click()
        assert page.locator("section.two:visible").get_attribute("id") == other
        assert page.locator("select:visible").count() == (2 if scripts else 0)
        if scripts:
            names = page.locator("select").first.locator("option").all_inner_texts()
            page.locator("select").nth(0).select_option(names[0])
            page.locator("select").nth(1).select_option(names[1])
            assert page.locator("section.two:visible").get_attribute("id") == pairs.anchor(
                names[0], names[1]
            )
        context.close()
