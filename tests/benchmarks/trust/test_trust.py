"""compare, check, verify, cite and claims as a user calls them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks import registry
from benchmarks.__main__ import main
from benchmarks.reports import boards, cards, citing, croissants, papers
from benchmarks.running import scoring
from benchmarks.trust import checking, comparing, ledger, verifying
from physbench.leaderboard import bibtex
from physbench.leaderboard import record as records
from physbench.leaderboard.record import RecordError
from physbench.tasks import Metric

COMMITTED = boards.committed_root()


def first(task: str, model: str) -> Path:
    """The first committed record of a row."""
    return sorted(COMMITTED.glob(f"{task}/*/{model}/*.json"))[0]


# --- compare ----------------------------------------------------------------------------------


def test_compare_rows_of_a_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "truth", "acts_ckf strips=True", "--dataset", "generic_detector"]) == 0
    out = capsys.readouterr().out
    assert "truth is better than acts_ckf (paired by unit" in out
    swapped = comparing.compare("acts_ckf strips=True", "truth", dataset="generic_detector")
    straight = comparing.compare("truth", "acts_ckf strips=True", dataset="generic_detector")
    assert straight.estimate.value == pytest.approx(-swapped.estimate.value)
    assert "truth is better" in swapped.verdict


def test_compare_a_row_with_itself_and_with_nothing(toy: tuple[Path, Path]) -> None:
    path = first("tracking", "truth")
    same = comparing.compare(path, path)
    assert same.estimate.value == 0
    assert "cannot be told apart" in same.verdict
    (other,) = benchmarks.run(*toy)
    with pytest.raises(ValueError, match="cannot be compared: they differ in task"):
        comparing.compare(path, _written(other))
    with pytest.raises(registry.UnknownName, match="did you mean 'boosted_edges'"):
        comparing.compare("boosted_edge", "truth")
    with pytest.raises(registry.UnknownName, match="unknown dataset of a board 'nowhere'"):
        comparing.compare("truth", "acts_ckf strips=True", dataset="nowhere")


def _written(record: records.Record) -> Path:
    return boards.runs_root() / record.path


def test_compare_smaller_is_better(toy: tuple[Path, Path]) -> None:
    good = benchmarks.run(*toy, settings={"degree": 2}, seeds=3)
    bad = benchmarks.run(*toy, settings={"degree": 1}, seeds=3)
    found = comparing.compare([_written(r) for r in bad], [_written(r) for r in good])
    assert found.estimate.low > 0
    assert found.verdict.startswith("polynomial is better")


# --- verify -----------------------------------------------------------------------------------


def test_scores_of_another_processor_are_alike() -> None:
    metric = records.read(first("glass_mobility", "boattini")).metrics[0]
    last_digit = replace(metric, value=metric.value * (1 + 4e-16))
    assert scoring.alike(metric, last_digit)
    text = str(metric.replicates)
    other = records.encode(records.decode(text) * (1 + 1e-3))
    for changes in (
        {"value": metric.value * (1 + 1e-6)},
        {"value": None},
        {"low": metric.low - 1e-6},
        {"slices": metric.slices[1:]},
        {"version": metric.version + 1},
        {"replicates": other},
        {"replicates": None},
    ):
        assert not scoring.alike(metric, replace(metric, **changes)), changes


def test_verdicts_are_records_that_no_board_shows(toy: tuple[Path, Path]) -> None:
    (record,) = benchmarks.run(*toy, settings={"jitter": 0.1})
    for level in verifying.LEVELS:
        if level == "repredict":
            continue
        found = verifying.verify(_written(record), level, task=toy[0], model=toy[1])
        assert found.lineage.reproduces == record.id
        assert (found.lineage.level, found.lineage.verdict) == (level, "bitwise")
        assert records.read(_written(found)).id == found.id
    (board,) = boards.board(str(toy[0]))
    assert len(board.rows) == 1
    with pytest.raises(RecordError, match="does not save any"):
        verifying.verify(_written(record), "repredict", task=toy[0], model=toy[1])
    with pytest.raises(ValueError, match="level must be one of"):
        verifying.verify(_written(record), "reread", task=toy[0], model=toy[1])


def test_weights_give_the_stored_predictions(tmp_path: Path) -> None:
    path = first("likelihood_ratio", "carl")
    found = verifying.verify(path, "repredict", runs=tmp_path)
    assert found.lineage.verdict in ("bitwise", "numeric")
    copy = tmp_path / "copy"
    shutil.copytree(path.parent, copy)
    weights = records.read(path).weights
    assert weights is not None
    with (copy / weights.file).open("r+b") as stream:
        stream.seek(200)
        stream.write(b"xx")
    with pytest.raises(RecordError, match=r"weights .* were altered"):
        verifying.verify(copy / path.name, "repredict", runs=tmp_path)
    (copy / weights.file).unlink()
    with pytest.raises(RecordError, match="are missing"):
        verifying.verify(copy / path.name, "repredict", runs=tmp_path)


def test_altered_truncated_and_missing_files_are_refused(toy: tuple[Path, Path]) -> None:
    (record,) = benchmarks.run(*toy)
    path = _written(record)
    text, shared = path.read_text(), {"task": toy[0], "model": toy[1]}
    path.write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(RecordError, match="was altered"):
        verifying.verify(path, **shared)  # type: ignore[arg-type]
    path.write_text(text[: len(text) // 2])
    with pytest.raises(RecordError, match="is not a record"):
        verifying.verify(path, **shared)  # type: ignore[arg-type]
    path.write_text(text)
    assert record.predictions is not None
    stored = path.parent / record.predictions.file
    content = stored.read_bytes()
    stored.write_bytes(content[:100])
    with pytest.raises(ValueError, match="damaged"):
        verifying.verify(path, **shared)  # type: ignore[arg-type]
    stored.unlink()
    with pytest.raises(FileNotFoundError, match="missing"):
        verifying.verify(path, **shared)  # type: ignore[arg-type]
    stored.write_bytes(content)
    task = toy[0].read_text()
    toy[0].write_text(task.replace("split(40", "split(41"))
    with pytest.raises(RecordError, match="another split"):
        verifying.verify(path, **shared)  # type: ignore[arg-type]


def test_changed_model_fails_retraining(toy: tuple[Path, Path]) -> None:
    (record,) = benchmarks.run(*toy)
    source = toy[1].read_text()
    toy[1].write_text(source.replace("train.targets, degree", "train.targets + 1.0, degree"))
    found = verifying.verify(_written(record), "retrain", task=toy[0], model=toy[1])
    assert str(found.lineage.verdict).startswith("failed: mean_squared_error")
    assert "source" in str(found.lineage.verdict)
    toy[1].write_text(
        source.replace("return np.polyfit", "raise RuntimeError('no')\n    return np.polyfit")
    )
    found = verifying.verify(_written(record), "retrain", task=toy[0], model=toy[1])
    assert found.lineage.verdict == "failed: no"
    status = main(
        ["verify", str(_written(record)), "--task", str(toy[0]), "--model", str(toy[1])]
        + ["--level", "retrain"]
    )
    assert status == 1


def test_raised_metric_version_supersedes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = first("tracking", "one_track_per_hit")
    entry = registry.load("task", "tracking")
    task = entry.object
    plain = next(m for m in task.metrics if m.name == "efficiency_lhc")

    def efficiency_lhc(targets: Any, predictions: Any) -> float:
        return float(1 + plain.function(targets, predictions))

    changed = tuple(
        Metric(efficiency_lhc, m.unit, m.best, version=m.version + 1)
        if m.name == "efficiency_lhc"
        else m
        for m in task.metrics
    )
    found = verifying.supersede([path], runs=tmp_path)
    assert found == []
    monkeypatch.setattr(
        type(task),
        "__getattribute__",
        lambda self, name: (
            changed if name == "metrics" and self is task else object.__getattribute__(self, name)
        ),
    )
    assert main(["verify", "--supersede", str(path), "--runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert re.search(
        r"one_track_per_hit seed 0: efficiency_lhc .* \(version 1\) -> .* \(version 2\)", out
    )
    assert "no rank changes" in out
    (new,) = records.read_all(tmp_path)
    old = records.read(path)
    assert new.lineage.supersedes == old.id
    values = [r.metric("efficiency_lhc") for r in (old, new)]
    assert values[1].value == pytest.approx(1 + values[0].value)  # type: ignore[union-attr, operator]
    assert new.metrics[0].value == old.metrics[0].value


# --- check ------------------------------------------------------------------------------------


@pytest.fixture
def reference(toy: tuple[Path, Path], tmp_path: Path) -> Path:
    """Twenty reference seeds of a polynomial with jitter."""
    source = toy[1].read_text().replace("jitter=0.0", "jitter=0.05")
    toy[1].write_text(source)
    folder = tmp_path / "references"
    arguments = ["check", str(toy[0]), "--models", str(toy[1]), "--reference", str(folder)]
    assert main([*arguments, "--make-reference", "20"]) == 0
    return folder


def checked(toy: tuple[Path, Path], reference: Path, *more: str) -> int:
    arguments = ["check", str(toy[0]), "--models", str(toy[1]), "--reference", str(reference)]
    return main([*arguments, *more])


def test_check_passes_a_healthy_model(
    toy: tuple[Path, Path], reference: Path, tmp_path: Path
) -> None:
    report, summary = tmp_path / "check.json", tmp_path / "check.md"
    assert checked(toy, reference, "--report", str(report), "--summary", str(summary)) == 0
    content = json.loads(report.read_text())
    assert content["verdict"] == "PASS"
    assert content["cells"][0]["references"] == 20
    assert {r["gate"] for r in content["cells"][0]["results"]} == {"G1", "G2", "G3"}
    assert "### Score gate: PASS" in summary.read_text()


@pytest.mark.parametrize(
    ("defect", "status"),
    [
        (("np.polyfit(x, train.targets, degree)", "np.polyfit(x, -train.targets, degree)"), 1),
        (("np.polyval(coefficients, inputs)", "np.polyval(coefficients, inputs + 0.3)"), 1),
        (("raise RuntimeError", "raise RuntimeError"), 0),
        (("    x = train", "    raise RuntimeError('broken')\n    x = train"), 1),
        (("    x = train", "    raise FloatingPointError('NaN')\n    x = train"), 1),
    ],
)
def test_check_finds_defects(
    toy: tuple[Path, Path], reference: Path, defect: tuple[str, str], status: int
) -> None:
    toy[1].write_text(toy[1].read_text().replace(*defect))
    assert checked(toy, reference) == status


def test_check_suspects_a_leak(toy: tuple[Path, Path], reference: Path) -> None:
    """A model that knows the noise of the test points is too good."""
    leak = (
        "answer = np.polyval(coefficients, inputs)",
        "rng = np.random.default_rng(1)\n"
        "    [(rng.uniform(-1, 1, n), rng.normal(size=n)) for n in (50, 20)]\n"
        "    answer = rng.uniform(-1, 1, 40) ** 2 + 0.1 * rng.normal(size=40)",
    )
    toy[1].write_text(toy[1].read_text().replace(*leak))
    assert checked(toy, reference) == 2


def test_check_says_when_there_is_nothing_to_say(
    toy: tuple[Path, Path], reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(toy, tmp_path / "empty") == 2
    assert "no reference records" in capsys.readouterr().err
    few = tmp_path / "few"
    for path in sorted(reference.rglob("0-*.json")) + sorted(reference.rglob("1-*.json")):
        target = few / path.relative_to(reference)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert checked(toy, few) == 2
    assert "a test of seeds needs 3" in capsys.readouterr().out
    toy[0].write_text(toy[0].read_text().replace("split(40", "split(41"))
    assert checked(toy, reference) == 1
    assert "another split" in capsys.readouterr().out
    with pytest.raises(ValueError, match="at least 3 seeds"):
        checking.make_reference([str(toy[0])], [toy[1]], tmp_path / "x", seeds=2)
    with pytest.raises(ValueError, match="what is it a reference of"):
        checking.make_reference([], [], tmp_path / "x")


def test_cost_is_compared_with_an_older_checkout() -> None:
    here = Path(boards.__file__).resolve().parents[2]
    if not (here / "tasks").is_dir():
        pytest.skip("needs a checkout: the package is installed elsewhere")
    seconds = checking._cpu_seconds(here, "tracking", "generic_detector", "one_track_per_hit")
    assert seconds >= 0
    with pytest.raises(FileNotFoundError, match="no checkout"):
        checking._cost_gate("tracking", "generic_detector", "truth", here / "docs")


# --- cite -------------------------------------------------------------------------------------


def parsed(text: str) -> dict[str, dict[str, str]]:
    """Entries by key, read by an independent parser."""
    bibtexparser = pytest.importorskip("bibtexparser", reason="needs bibtexparser")
    # Committed records may name works as `software`, which old BibTeX does not know.
    parser = bibtexparser.bparser.BibTexParser(ignore_nonstandard_types=False)
    found = parser.parse(text)
    assert len(found.entries) == text.count("\n}")
    return {entry["ID"]: entry for entry in found.entries}


def test_every_reference_is_bibtex_or_a_sentence() -> None:
    entries: list[str] = []
    for kind in registry.KINDS:
        for name in registry.names(kind):
            thing: Any = registry.load(kind, name).object
            text = thing.citation if kind == "dataset" else thing.reference
            assert cards.reference(kind, name) == text
            if text.startswith("@"):
                entries.append(text)
    assert len(entries) > 20
    works = bibtex.unique(entries)
    found = parsed(bibtex.bibtex(works))
    assert len(found) == len(works)
    assert all(
        (entry.get("title") and entry.get("author")) or entry.get("howpublished")
        for entry in found.values()
    )


def test_cite_gives_each_work_once(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(first("tracking", "truth"))
    assert main(["cite", "physbench", "tracking", "interaction_network", path]) == 0
    found = parsed(capsys.readouterr().out)
    assert {"physbench", "dezoort2021", "trackml2019"} <= set(found)
    assert records.read(Path(path)).id[:12] in found["physbench"]["note"]
    with pytest.raises(registry.UnknownName, match="did you mean"):
        citing.cite(["interaction_networ"])


def test_same_work_under_two_keys_is_cited_once() -> None:
    one = "@article{a, title = {T}, doi = {10.1/X}}"
    two = "@article{b, title = {T}, doi = {10.1/x}}"
    assert bibtex.unique([one, two, one, "a sentence"]) == [one]
    with pytest.raises(ValueError, match="not a BibTeX entry"):
        bibtex.key("Gauss")


def test_latex_tables_are_of_board_rows() -> None:
    table = papers.latex(["jet_flavour"])
    (board,) = boards.board("jet_flavour")
    assert table.count(r"\begin{table}") == 1
    assert r"log\_rejection (higher is better) with 95\,\% intervals over" in table
    assert r"Best classical row: flavour\_trees" in table
    assert r"Limit, which sees the truth: true\_origins" in table
    (line,) = [one for one in table.splitlines() if r"& particle\_net" in one]
    rank, method, _, seeds, ids = line.split(" & ")
    row = next(row for row in board.rows if row.model == "particle_net")
    assert (rank, seeds) == (f"{row.rank}{'=' * row.tied}", str(row.seeds))
    assert r"\cite{" in method
    assert all(one in ids for one in row.records[:3])


def test_the_ways_to_cite_the_suite_agree() -> None:
    yaml = pytest.importorskip("yaml")
    root = Path(boards.__file__).resolve().parents[2]
    if not (root / ".zenodo.json").exists():
        pytest.skip("needs a checkout")
    cff = yaml.safe_load((root / "CITATION.cff").read_text())
    zenodo = json.loads((root / ".zenodo.json").read_text())
    entry = parsed(bibtex.suite(benchmarks.__version__))["physbench"]
    assert cff["title"] == zenodo["title"] == entry["title"]
    assert cff["version"] == zenodo["version"] == entry["version"]
    assert str(cff["date-released"]) == zenodo["publication_date"] == citing.PUBLISHED
    assert entry["year"] == citing.PUBLISHED[:4]
    (author,) = cff["authors"]
    assert [author] == zenodo["creators"]
    assert entry["author"].strip("{}") == author["name"]
    assert cff["keywords"] == zenodo["keywords"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_hepdata_submission_by_hand_and_by_its_validator(tmp_path: Path) -> None:
    assert main(["board", "tracking", "--hepdata", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("tracking-generic_detector*.yaml")
    table = json.loads(path.read_text())
    (scores,) = table["dependent_variables"]
    labels = [v["value"] for v in table["independent_variables"][0]["values"]]
    values = dict(zip(labels, scores["values"], strict=True))
    board, *others = boards.board("tracking")
    row = next(row for row in board.rows if row.model == "acts_ckf strips=True")
    (error,) = values[row.model]["errors"]
    assert values[row.model]["value"] == row.score
    assert error["asymerror"]["plus"] == pytest.approx(row.high - row.score)
    assert error["asymerror"]["minus"] == pytest.approx(row.low - row.score)
    assert "errors" not in values["truth"]
    assert (tmp_path / "submission.yaml").read_text().count("---") == 1 + len(others)
    full = pytest.importorskip("hepdata_validator.full_submission_validator")
    judge = full.FullSubmissionValidator()
    assert judge.validate(directory=str(tmp_path)), judge.get_messages()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_croissant_cards_pass_the_validator(tmp_path: Path) -> None:
    croissant = pytest.importorskip("mlcroissant")
    for name in registry.names("dataset"):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(croissants.croissant(name)))
        card = croissant.Dataset(jsonld=path)
        assert not card.metadata.ctx.issues.errors, name
        if card.metadata.record_sets:
            first = card.metadata.record_sets[0]
            assert list(card.records(first.uuid)), name


def test_latex_table_names_its_records() -> None:
    paths = [str(first("tracking", m)) for m in ("gated_network", "truth")]
    table = papers.latex(paths)
    for path in paths:
        assert records.read(Path(path)).id[:12] in table
    assert r"gated\_network~\cite{exatrkx2021}" in table
    assert re.search(r"\$0\.9\d+(\\,\^\{\+0\.0\d+\}_\{-0\.0\d+\}| \\pm 0\.0\d+)\$", table)


def bibtex_commands(table: str) -> list[list[str]]:
    """The names that the commands above tables of rows give to `cite`."""
    found = re.findall(r"^% BibTeX: python -m benchmarks cite (.*)$", table, flags=re.M)
    return [line.split(" ") for line in found]


@pytest.mark.parametrize("task", registry.names("task"))
def test_every_work_that_a_table_cites_is_in_its_bibtex(task: str) -> None:
    table = papers.latex([task])
    cited = {key for keys in re.findall(r"\\cite\{([^}]*)\}", table) for key in keys.split(",")}
    works = "".join(citing.cite(names) for names in bibtex_commands(table))
    assert cited <= set(re.findall(r"^@\w+\s*\{\s*([^,\s]+)", works, flags=re.M))


@pytest.mark.slow
def test_latex_compiles(tmp_path: Path) -> None:
    if not shutil.which("pdflatex"):
        pytest.skip("needs LaTeX (Debian: texlive-latex-recommended)")
    paths = [str(first("track_parameters", m)) for m in ("deep_sets", "gru")]
    whole = papers.latex(["jet_flavour", "tracking"])
    works = [name for command in bibtex_commands(whole) for name in command]
    (tmp_path / "works.bib").write_text(citing.cite([*paths, *dict.fromkeys(works)]))
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        + papers.latex(paths)
        + whole
        + "\\bibliographystyle{plain}\\bibliography{works}\n\\end{document}\n"
    )
    for command in (["pdflatex"], ["bibtex"], ["pdflatex"], ["pdflatex"]):
        options = ["-interaction=nonstopmode", "paper"] if command == ["pdflatex"] else ["paper"]
        done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined" not in (tmp_path / "paper.log").read_text().lower()


def test_croissant_cards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "generic_detector", "--croissant"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert card["distribution"][0]["sha256"]
    for name in registry.names("dataset"):
        assert croissants.croissant(name)["@type"] == "sc:Dataset"


def test_citation_file_is_valid() -> None:
    yaml = pytest.importorskip("yaml")
    root = Path(boards.__file__).resolve().parents[2]
    if not (root / "CITATION.cff").exists():
        pytest.skip("needs a checkout")
    content = yaml.safe_load((root / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version"} <= set(content)
    assert content["version"] == benchmarks.__version__
    assert all({"name"} <= set(a) or {"family-names"} <= set(a) for a in content["authors"])


# --- claims -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_committed_verdicts_are_those_of_today() -> None:
    def words(found: list[ledger.Claim]) -> dict[str, str]:
        return {claim.id: claim.verdict for claim in found}

    now = {i: v for i, v in words(ledger.table(anew=True)).items() if v != "not checked"}
    assert now.items() <= words(ledger.verdicts()).items()


def test_the_ledger_has_thirty_claims_and_says_what_differs() -> None:
    found = ledger.verdicts()
    assert len({claim.id for claim in found}) == len(found) >= 30
    assert all(claim.source for claim in found)
    said = [claim for claim in found if claim.differs or claim.verdict == "not comparable"]
    assert len(said) >= 30
    assert all(
        claim.ours is not None
        for claim in found
        if claim.verdict not in ("not comparable", "not checked")
    )


def test_claims_have_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    found = {claim.id: claim for claim in ledger.table()}
    assert found["interaction-network-size"].verdict == "reproduced"
    assert found["bapst-size"].ours == 70_721
    known = {"reproduced", "not reproduced", "not comparable", "not checked"}
    known |= {"supported", "contradicted", "undecided"}
    assert {claim.verdict for claim in found.values()} <= known
    assert all(c.reason or c.verdict in ("reproduced", "supported") for c in found.values())
    assert main(["claims"]) == 0
    assert "| interaction network | any |" in capsys.readouterr().out


def test_a_verdict_stands_until_what_it_rests_on_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = [e for e in ledger._read("claims.json") if e["id"] == "interaction-network-size"]
    known = replace(ledger.verdicts()[0], ours=1.0, rests=ledger.rests(entry))
    assert ledger._current(entry, known).ours == 1.0
    assert ledger._current(entry, replace(known, rests="of another day")).ours == 6448
    assert ledger._current(entry, replace(known, verdict="not checked")).ours == 6448
    assert ledger.rests(entry) != ledger.rests(entry | {"value": 6449})
    assert ledger.rests(entry) != ledger.rests(entry | {"rests": ["models/liquids"]})


@pytest.mark.parametrize(
    ("expects", "low", "high", "verdict"),
    [
        ("more", 1.1, 2.0, "supported"),
        ("more", 0.5, 2.0, "undecided"),
        ("more", 0.1, 0.9, "contradicted"),
        ("near", 0.9, 1.1, "supported"),
        ("near", 0.7, 1.1, "undecided"),
        ("near", 1.3, 1.5, "contradicted"),
    ],
)
def test_a_statement_is_judged_by_its_interval(
    expects: str, low: float, high: float, verdict: str
) -> None:
    entry = {"expects": expects, "value": 1.0, "tolerance": 0.2}
    assert ledger.verdict(entry, (low + high) / 2, low, high)[0] == verdict


def test_a_wrong_claim_is_not_reproduced() -> None:
    entry = {
        "id": "x",
        "method": "m",
        "dataset": "d",
        "quantity": "q",
        "value": 6449,
        "tolerance": 0,
        "source": "s",
        "check": "interaction_network: size",
    }
    found = ledger.judged(entry)
    assert (found.verdict, found.reason) == ("not reproduced", "-1 away, 0 allowed")
