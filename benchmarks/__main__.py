"""The command line: `python -m benchmarks VERB ...`.

Every verb imports what it needs when it runs, so that `--help` and `list` answer at once.
argparse and not typer: importing typer alone takes longer than `list` may.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks import __version__, naming, terminal

STATUS = {"ok": 0, "interrupted": 130}


class _Unasked:
    """Takes the place of the parser of a verb that is not asked for: all of them take 10 ms."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self


class _Asked:
    """Makes the parser of one verb alone, or of all."""

    def __init__(self, verbs: Any, verb: str) -> None:
        self.verbs, self.verb = verbs, verb

    def add_parser(self, name: str, **options: Any) -> Any:
        """The parser of a verb, or what takes its place."""
        if self.verb not in ("", name):
            return _Unasked()
        return self.verbs.add_parser(name, formatter_class=_formatter, **options)


def _formatter(prog: str) -> argparse.HelpFormatter:
    """argparse's own, which imports shutil to ask for the width: as long as half of argparse."""
    try:
        columns = int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size().columns
    except (ValueError, OSError):
        columns = 80
    return argparse.HelpFormatter(prog, width=columns - 2)


def parser(verb: str = "") -> argparse.ArgumentParser:
    """The parser of all verbs, or of one that is known to be asked for; each sets `call`."""
    top = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Reproducible benchmarks of ML in physics.",
        formatter_class=_formatter,
    )
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument("--traceback", action="store_true", help="show the traceback of an error")
    verbs = _Asked(top.add_subparsers(dest="verb", required=True, metavar="VERB"), verb)
    _list_parser(verbs)
    _run_parser(verbs)
    _sweep_parser(verbs)
    _study_parser(verbs)
    _search_parser(verbs)
    _data_parser(verbs)
    _trust_parsers(verbs)
    score = verbs.add_parser("score", help="recompute metrics from stored predictions")
    score.add_argument("records", nargs="+", type=Path, metavar="RECORD")
    score.add_argument("--task", help="the task's own file, when it is not registered")
    score.add_argument("--folder", help="of the data, where the record was made from a folder")
    score.add_argument("--on", metavar="dask://HOST:PORT", help="read and sum up the units there")
    score.set_defaults(call=score_verb)
    board = verbs.add_parser("board", help="leaderboards from records")
    board.add_argument("tasks", nargs="*", metavar="TASK")
    board.add_argument("--out", type=Path, help="write Markdown and CSV files into this folder")
    board.add_argument("--site", type=Path, help="write the static site into this folder")
    board.add_argument(
        "--documentation",
        default="",
        help="where the built documentation lies, seen from the site, to link it",
    )
    board.add_argument("--hepdata", type=Path, help="write a HEPData submission into this folder")
    board.add_argument("--picture", type=Path, help="draw one board as .png, .svg or .pdf")
    board.add_argument("--runs", type=Path, help="folder of your own records (default: runs)")
    board.set_defaults(call=board_verb)
    _explain_parser(verbs)
    _exchange_parsers(verbs)
    complete = verbs.add_parser("completion", help="a script that completes commands in a shell")
    complete.add_argument("shell", choices=["bash", "zsh"])
    complete.set_defaults(call=completion_verb)
    new = verbs.add_parser("new", help="write a model or task file that already runs")
    new.add_argument("what", choices=["model", "task"])
    new.add_argument("name")
    new.add_argument("--task", default="tracking", help="of the model (default tracking)")
    new.add_argument(
        "--kind",
        choices=["numpy", "sklearn", "torch", "graph"],
        help="what the model is made with (default: the first there is)",
    )
    new.set_defaults(call=new_verb)
    return top if verbs.verbs.choices else parser()


def _list_parser(verbs: Any) -> None:
    listing = verbs.add_parser("list", help="tasks, models and datasets")
    listing.add_argument("what", nargs="?", choices=["tasks", "models", "datasets"])
    listing.add_argument("--task", help="only what belongs to this task")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(call=list_verb)
    info = verbs.add_parser("info", help="the card of a task, model or dataset")
    info.add_argument("name")
    info.add_argument("--croissant", action="store_true", help="a dataset's card as JSON-LD")
    info.set_defaults(call=info_verb)


def _exchange_parsers(verbs: Any) -> None:
    export = verbs.add_parser("export", help="a task's splits as plain files, for any language")
    export.add_argument("task", help="a task's name or file")
    export.add_argument("folder", type=Path, help="a new folder")
    submit = verbs.add_parser("submit", help="score predictions that were made elsewhere")
    submit.add_argument("task", help="a task's name or file")
    submit.add_argument("predictions", type=Path, help=".csv or .npz, as the export's schema says")
    submit.add_argument("--card", type=Path, required=True, help="card.toml: name, authors, ...")
    submit.add_argument("--runs", type=Path, help="folder of the records (default: runs)")
    for verb, call in ((export, export_verb), (submit, submit_verb)):
        verb.add_argument("--dataset", help="default: the task's first")
        verb.add_argument(
            "--protocol", action="append", default=[], metavar="K=V", help="a keyword of the task"
        )
        verb.set_defaults(call=call)


def _trust_parsers(verbs: Any) -> None:
    compare = verbs.add_parser("compare", help="the difference of two rows, paired by unit")
    compare.add_argument("first", metavar="A", help="a row, or record files joined by commas")
    compare.add_argument("second", metavar="B")
    compare.add_argument("--task")
    compare.add_argument("--dataset")
    compare.add_argument("--runs", type=Path, help="folder of your own records (default: runs)")
    compare.add_argument(
        "--units",
        type=int,
        metavar="N",
        default=0,
        help="also the N test units that change the difference most",
    )
    compare.set_defaults(call=compare_verb)
    check = verbs.add_parser("check", help="the gate: has a score regressed? status 0, 1 or 2")
    check.add_argument("tasks", nargs="*", metavar="TASK", help="names or files; default: all")
    check.add_argument("--models", nargs="+", default=[], help="default: all with references")
    check.add_argument("--reference", type=Path, help="folder of reference records")
    check.add_argument("--fast", action="store_true", help="what CI runs: see GUIDE")
    check.add_argument("--margin", type=float, default=0.0, help="loss that does not matter")
    check.add_argument("--older", type=Path, help="an older checkout, to compare the cost with")
    check.add_argument("--report", type=Path, help="write every number as JSON")
    check.add_argument("--summary", type=Path, help="append a Markdown summary to this file")
    check.add_argument("--make-reference", type=int, metavar="SEEDS", help="run references first")
    check.add_argument("--dataset", help="of the references to make")
    check.set_defaults(call=check_verb)
    verify = verbs.add_parser("verify", help="is a record true? status 1 when it is not")
    verify.add_argument("records", nargs="+", type=Path, metavar="RECORD")
    verify.add_argument("--level", default="rescore", choices=["rescore", "repredict", "retrain"])
    verify.add_argument("--task", help="the task's own file, when it is not registered")
    verify.add_argument("--model", help="the model's own file, when it is not registered")
    verify.add_argument("--folder", help="of the data, where the record was made from a folder")
    verify.add_argument("--supersede", action="store_true", help="score anew what is out of date")
    verify.add_argument("--runs", type=Path, help="folder of the verdicts (default: runs)")
    verify.set_defaults(call=verify_verb)
    cite = verbs.add_parser("cite", help="BibTeX of a task, dataset, model or of records")
    cite.add_argument("names", nargs="+", metavar="NAME|RECORD", help="'physbench' is the suite")
    cite.add_argument(
        "--latex", action="store_true", help="tables of board rows: of tasks, or of records"
    )
    cite.set_defaults(call=cite_verb)
    claims = verbs.add_parser("claims", help="published claims beside our numbers")
    claims.add_argument("--out", type=Path, help="write the verdicts as JSON")
    claims.add_argument(
        "--again", action="store_true", help="compute all numbers, also where nothing has changed"
    )
    claims.set_defaults(call=claims_verb)


def _run_parser(verbs: Any) -> None:
    run = verbs.add_parser("run", help="train and score a model on a task: one board cell")
    run.add_argument("task", help="a task's name or file")
    run.add_argument("model", help="a model's name, or your own file ./mine.py")
    run.add_argument("--dataset", help="default: the task's first")
    run.add_argument("--seeds", type=int, default=1, help="number of seeds (default 1)")
    run.add_argument("--seed", type=int, action="append", help="this seed; may be repeated")
    run.add_argument("--set", action="append", default=[], metavar="K=V", help="a keyword of fit")
    run.add_argument(
        "--protocol", action="append", default=[], metavar="K=V", help="a keyword of the task"
    )
    run.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    run.add_argument(
        "--precision",
        choices=["32", "bf16-mixed"],
        default="32",
        help="of the training (default 32); another one is a row of its own",
    )
    run.add_argument(
        "--track", choices=["wandb"], help="log the training to an experiment tracker"
    )
    run.add_argument("--threads", type=int, default=1, help="of all libraries (default 1)")
    run.add_argument("--checkpoints", type=Path, help="an interrupted training goes on from here")
    run.add_argument("--timeout", type=float, help="give up a seed after this many seconds")
    run.add_argument("--runs", type=Path, help="folder of the records (default: runs)")
    run.add_argument("--again", action="store_true", help="run although a record exists")
    run.set_defaults(call=run_verb)


def _sweep_parser(verbs: Any) -> None:
    sweep = verbs.add_parser("sweep", help="many cells side by side, resumable")
    sweep.add_argument("tasks", nargs="*", metavar="TASK", help="names or files; default: all")
    sweep.add_argument("--models", nargs="+", default=[], help="default: all that do the task")
    sweep.add_argument("--datasets", nargs="+", default=[], help="default: each task's first")
    sweep.add_argument("--seeds", type=int, default=3, help="number of seeds (default 3)")
    sweep.add_argument("--set", action="append", default=[], metavar="K=V", help="for all fits")
    sweep.add_argument("--on", default="local", help="local, or dask://HOST:PORT")
    sweep.add_argument("--jobs", type=int, help="cells at a time (default: cores / threads)")
    sweep.add_argument("--threads", type=int, default=1, help="threads of a cell (default 1)")
    sweep.add_argument("--memory", type=int, help="MB of a cell (default: an equal share)")
    sweep.add_argument("--timeout", type=float, help="give up a cell after this many seconds")
    sweep.add_argument("--shards", type=int, default=1, help="parts of a cell's test units (Dask)")
    sweep.add_argument("--runs", type=Path, help="folder of the records (default: runs)")
    sweep.add_argument("--again", action="store_true", help="run although a record exists")
    sweep.set_defaults(call=sweep_verb)


def _study_parser(verbs: Any) -> None:
    study = verbs.add_parser("study", help="one model on all variants of a task's protocol")
    study.add_argument("task", help="a task's name or file")
    study.add_argument("model", help="a model's name or file")
    study.add_argument("--seeds", type=int, default=1, help="number of seeds (default 1)")
    study.add_argument("--set", action="append", default=[], metavar="K=V", help="for all fits")
    study.add_argument("--runs", type=Path, help="folder of the records (default: runs)")
    study.add_argument("--out", type=Path, help="write table and figures into this folder too")
    study.add_argument("--again", action="store_true", help="committed records do not count")
    study.add_argument("--trials", type=int, default=20, help="of the search of settings (20)")
    study.set_defaults(call=study_verb)


def _search_parser(verbs: Any) -> None:
    search = verbs.add_parser("search", help="search a model's settings, on validation only")
    search.add_argument("task", help="a task's name or file")
    search.add_argument("model", help="a model's name or file")
    search.add_argument("--dataset", help="default: the task's first")
    search.add_argument("--trials", type=int, default=20, help="in all, old ones counted (20)")
    search.add_argument(
        "--space",
        action="append",
        default=[],
        metavar="K=CHOICES",
        help="[16, 32], (1, 8) or (1e-4, 1e-2, 'log'), beside what the model's file declares",
    )
    search.add_argument("--set", action="append", default=[], metavar="K=V", help="for all fits")
    search.add_argument(
        "--protocol", action="append", default=[], metavar="K=V", help="a keyword of the task"
    )
    search.add_argument("--seed", type=int, default=0, help="of every training (default 0)")
    search.add_argument("--threads", type=int, default=1, help="of all libraries (default 1)")
    search.add_argument("--runs", type=Path, help="folder of the journal (default: runs)")
    search.add_argument("--out", type=Path, help="write table and pictures into this folder")
    search.set_defaults(call=search_verb)


def _explain_parser(verbs: Any) -> None:
    explain = verbs.add_parser("explain", help="look into the network of a record")
    explain.add_argument("record", type=Path, help="a record with its weights beside it")
    explain.add_argument("--layer", help="the module whose inputs are looked at; default: head")
    explain.add_argument(
        "--units", type=int, help="training units (default: 2000 tracks, 4 events)"
    )
    explain.add_argument("--permutations", type=int, default=10, help="a neuron (default 10)")
    explain.add_argument("--symbolic", type=int, default=1, help="neurons to write as formulas")
    explain.add_argument(
        "--neurons",
        type=int,
        nargs="+",
        default=[],
        dest="chosen",
        help="those to draw and write; default: the most important",
    )
    explain.add_argument("--out", type=Path, help="folder; default: beside the record")
    explain.set_defaults(call=explain_verb)


def _data_parser(verbs: Any) -> None:
    data = verbs.add_parser("data", help="the store of datasets")
    what = data.add_subparsers(dest="what", required=True, metavar="list|get|make|verify")
    what.add_parser("list", help="each dataset and whether it is here")
    for name, text in (("get", "download"), ("verify", "check every file's sha256")):
        part = what.add_parser(name, help=text)
        part.add_argument("name", metavar="DATASET")
    make = what.add_parser("make", help="generate with the physics engine")
    make.add_argument("name", metavar="DATASET")
    make.add_argument("folder", type=Path, nargs="?", help="default: below $PHYSBENCH_DATA")
    make.add_argument("--seed", type=int, default=None)
    make.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="a keyword of make; --k v too"
    )
    data.set_defaults(call=data_verb)


def assignments(texts: list[str]) -> dict[str, Any]:
    """`k=v` pairs with Python literals as values; anything else is text, `true` and `false` too.

    Whether those are text or not is for the keyword to say: `settings.resolve`.

    >>> assignments(["epochs=5", "hits=true", "sizes=[1, 2]"])
    {'epochs': 5, 'hits': 'true', 'sizes': [1, 2]}
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key.isidentifier():
            raise ValueError(f"'{text}' is not KEY=VALUE, for example --set epochs=5")
        try:
            found[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[key] = value
    return found


def keywords(rest: list[str]) -> list[str]:
    """`--key value` and `--key=value` as `key=value` pairs.

    >>> keywords(["--events", "100", "--fast-mode=true"])
    ['events=100', 'fast_mode=true']
    """
    words = [part for word in rest for part in word.split("=", 1)]
    names, values = words[::2], words[1::2]
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        raise SystemExit(f"error: '{' '.join(rest)}' is not --keyword value ...")
    pairs = zip(names, values, strict=True)
    return [f"{name[2:].replace('-', '_')}={value}" for name, value in pairs]


def list_verb(options: argparse.Namespace) -> int:
    """Print the names and one-line summaries of all entries."""
    from benchmarks import registry

    entries = [
        {"kind": kind, "name": name} | _summary(kind, name)
        for kind, folder in registry.KINDS.items()
        if options.what in (None, folder)
        for name in registry.names(kind)
    ]
    if options.task:
        registry.path("task", options.task)
        entries = [e for e in entries if options.task in (e["name"], *e.get("tasks", ()))]
    if options.json:
        import json

        print(json.dumps(entries, indent=1, ensure_ascii=False))
        return 0
    for kind, folder in registry.KINDS.items():
        own = [entry for entry in entries if entry["kind"] == kind]
        if own:
            print(f"{folder}:")
        for entry in own:
            print(f"  {entry['name']:24s} {entry.get('role', ''):10s} {entry['summary']}")
    return 0


def _summary(kind: str, name: str) -> dict[str, Any]:
    """One line of an entry; of a model its role, tasks and extras as well."""
    from benchmarks import registry

    found: dict[str, Any] = {"summary": registry.docstring(kind, name).partition("\n")[0]}
    if kind == "model":
        found |= {"role": registry.role(name), "tasks": registry.tasks_of(name)}
    return found


def info_verb(options: argparse.Namespace) -> int:
    """Print the card of an entry and the keywords of its functions, importing nothing."""
    from benchmarks import registry
    from benchmarks.reports import cards

    if options.croissant:
        import json

        from benchmarks.reports import croissants

        print(json.dumps(croissants.croissant(options.name), indent=1, ensure_ascii=False))
        return 0
    for kind in registry.kinds_of(options.name):
        print(cards.shown(cards.of(kind, options.name)))
        for line in registry.signatures(kind, options.name):
            print(f"\n  {line}")
    return 0


def run_verb(options: argparse.Namespace) -> int:
    """Run a cell, print its result beside the board's references, and exit honestly."""
    from benchmarks.reports import printed
    from benchmarks.running import stages

    found = stages.runs_of(
        options.task,
        options.model,
        dataset=options.dataset,
        seeds=options.seed or options.seeds,
        settings=assignments(options.set),
        protocol=assignments(options.protocol),
        runs=options.runs,
        again=options.again,
        timeout=options.timeout,
        context=stages.asked_context(
            options.device,
            options.threads,
            options.track,
            options.checkpoints,
            options.precision,
        ),
    )
    print(printed.after_run(found, options.runs))
    lost = any(done.path is None for done in found)
    worst = max(STATUS.get(done.record.status, 1) for done in found)
    return STATUS["interrupted"] if found.interrupted else max(int(lost), worst)


def export_verb(options: argparse.Namespace) -> int:
    """Write the splits and print the files."""
    from benchmarks import exporting

    protocol = assignments(options.protocol)
    for path in exporting.export(
        options.task, options.folder, dataset=options.dataset, protocol=protocol
    ):
        print(path)
    return 0


def submit_verb(options: argparse.Namespace) -> int:
    """Score the predictions, write their record and print it beside the board's references."""
    from benchmarks import submitting
    from benchmarks.reports import boards, printed
    from benchmarks.running import stages

    record = submitting.submit(
        options.task,
        options.predictions,
        card=options.card,
        dataset=options.dataset,
        protocol=assignments(options.protocol),
        runs=options.runs,
    )
    path = boards.runs_root(options.runs) / record.path
    print(printed.after_run([stages.Done(record, path)], options.runs))
    return 0


def sweep_verb(options: argparse.Namespace) -> int:
    """Run all cells that have no good record; exit status 0 when all of them have one."""
    from benchmarks.sweeping import local

    limits = ("jobs", "threads", "memory", "shards")
    names = ("models", "datasets", "seeds", "runs", "again", "on", *limits)
    return local.sweep(
        options.tasks,
        settings=assignments(options.set),
        timeout=options.timeout,
        report=lambda text: print(text, flush=True),
        **{name: getattr(options, name) for name in names},
    ).status


def study_verb(options: argparse.Namespace) -> int:
    """Run the variants that have no record and print their table."""
    from benchmarks.reports import studying

    text, status = studying.study(
        options.task,
        options.model,
        seeds=options.seeds,
        settings=assignments(options.set),
        runs=options.runs,
        out=options.out,
        again=options.again,
        trials=options.trials,
    )
    print(text)
    return status


def search_verb(options: argparse.Namespace) -> int:
    """Run the trials that are missing and print all of them."""
    from benchmarks.running import stages
    from benchmarks.sweeping import searching

    names = ("dataset", "trials", "seed", "runs", "out")
    text = searching.search(
        options.task,
        options.model,
        space=assignments(options.space),
        settings=assignments(options.set),
        protocol=assignments(options.protocol),
        context=stages.asked_context(threads=options.threads),
        **{name: getattr(options, name) for name in names},
    )
    print(text)
    return 0


def explain_verb(options: argparse.Namespace) -> int:
    """Importance, information, maps and formulas of a network's neurons, as files."""
    from benchmarks.insight import explaining

    names = ("layer", "units", "permutations", "symbolic", "chosen", "out")
    record = naming.record(options.record)
    for path in explaining.explain(record, **{n: getattr(options, n) for n in names}):
        print(path)
    return 0


def score_verb(options: argparse.Namespace) -> int:
    """Recompute metrics; exit status 1 when a stored digit is not found again."""
    from benchmarks.running import scoring

    worst = 0
    for path in map(naming.record, options.records):
        ((record, metrics),) = scoring.score(
            path, task=options.task, folder=options.folder, on=options.on
        )
        different = scoring.differing(record.metrics, metrics)
        worst |= bool(different)
        equal = "digits" if record.metrics == metrics else "up to rounding"
        verdict = "DIFFERENT from the record" if different else f"the same {equal}"
        print(f"{path}: {verdict}")
        for metric in metrics:
            print(f"  {metric.name:32s} {metric.value}")
    return worst


def compare_verb(options: argparse.Namespace) -> int:
    """Print the paired difference with its interval and a verdict in words."""
    from benchmarks.trust import comparing

    sides = [
        [str(naming.record(n, options.runs)) if naming.is_id(n) else n for n in side.split(",")]
        for side in (options.first, options.second)
    ]
    where = {"task": options.task, "dataset": options.dataset, "runs": options.runs}
    print(comparing.compare(*sides, **where))
    if options.units:
        from benchmarks.trust import units

        print(units.differing(*sides, most=options.units, **where))
    return 0


def check_verb(options: argparse.Namespace) -> int:
    """Apply the gates; exit status 0 for PASS, 1 for RED, 2 for UNRESOLVED."""
    from benchmarks.trust import checking

    if options.make_reference:
        folder = options.reference or Path("references")
        made = checking.make_reference(
            options.tasks,
            options.models,
            folder,
            seeds=options.make_reference,
            dataset=options.dataset,
        )
        bad = sum(record.status != "ok" for record in made)
        print(f"{len(made) - bad} reference records in {folder}, {bad} failed")
        return 1 if bad else 0
    report = checking.check(
        options.tasks,
        options.models,
        reference=options.reference,
        fast=options.fast,
        margin=options.margin,
        older=options.older,
        tell=lambda text: print(text, file=sys.stderr, flush=True),
    )
    checking.write(report, options.report, options.summary)
    print(report.as_markdown())
    return report.status


def verify_verb(options: argparse.Namespace) -> int:
    """Verify records, or supersede those with old metric versions; status 1 when one fails."""
    from benchmarks.trust import verifying

    options.records = [naming.record(name, options.runs) for name in options.records]
    if options.supersede:
        return _supersede(options)
    worst = 0
    for path in options.records:
        found = verifying.verify(
            path,
            options.level,
            task=options.task,
            model=options.model,
            folder=options.folder,
            runs=options.runs,
        )
        print(f"{path}: {options.level}: {found.lineage.verdict}")
        worst |= str(found.lineage.verdict).startswith("failed")
    return worst


def _supersede(options: argparse.Namespace) -> int:
    """Print what changed, ranks included."""
    from benchmarks.trust import verifying

    print(verifying.changes(verifying.supersede(options.records, runs=options.runs)))
    return 0


def cite_verb(options: argparse.Namespace) -> int:
    """Print BibTeX, or a LaTeX table."""
    names = [str(naming.record(n)) if naming.is_id(n) else n for n in options.names]
    if options.latex:
        from benchmarks.reports import papers

        print(papers.latex(names), end="")
    else:
        from benchmarks.reports import citing

        print(citing.cite(names), end="")
    return 0


def claims_verb(options: argparse.Namespace) -> int:
    """Print the table of published claims with our verdicts."""
    from benchmarks.trust import ledger

    found = ledger.table(anew=options.again)
    if options.out:
        print(ledger.write(found, options.out))
    else:
        print(ledger.markdown(found))
    return 0


def board_verb(options: argparse.Namespace) -> int:
    """Print the boards, or write them as files, as a picture or as the site."""
    from benchmarks.reports import boards
    from physbench.leaderboard.tables import markdown

    if options.site:
        from benchmarks.reports import pages

        count = pages.write(
            options.site, options.tasks, runs=options.runs, documentation=options.documentation
        )
        print(f"{options.site / 'index.html'}: {count} pages")
        return 0
    if options.picture:
        print(boards.picture(options.tasks, options.picture, runs=options.runs))
        return 0
    found = boards.board(options.tasks, runs=options.runs)
    if options.hepdata:
        for path in boards.hepdata(found, options.hepdata):
            print(path)
        return 0
    if not found:
        print("no records yet; make one with: python -m benchmarks run TASK MODEL")
    if options.out:
        for path in boards.write(found, options.out):
            print(path)
    else:
        print("\n".join(markdown(item) for item in found))
    return 0


def data_verb(options: argparse.Namespace) -> int:
    """List, fetch, generate or verify datasets."""
    from benchmarks import data

    if options.what == "list":
        print("\n".join(data.listing()))
        return 0
    if options.what == "get":
        return data.get(options.name)
    if options.what == "verify":
        return data.verify(options.name)
    settings = assignments(options.set)
    if options.seed is not None:
        settings["seed"] = options.seed
    return data.make(options.name, options.folder, settings)


def completion_verb(options: argparse.Namespace) -> int:
    """Print the script."""
    from benchmarks import completing

    print(completing.script(parser(), options.shell), end="")
    return 0


def new_verb(options: argparse.Namespace) -> int:
    """Write a template that runs as it is, and say how."""
    from benchmarks import templates

    path = templates.write(options.what, options.name, options.task, options.kind)
    print(path)
    if options.what == "model":
        print(f"run it: python -m benchmarks run {options.task} ./{path}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; user errors are one line on stderr and exit status 2."""
    terminal.prepare()
    given = sys.argv[1:] if arguments is None else arguments
    top = parser(next(iter(a for a in given if a != "--traceback"), ""))
    options, rest = top.parse_known_args(arguments)
    if rest and getattr(options, "what", "") == "make":
        options.set += keywords(rest)
    elif rest:
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return int(options.call(options))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, TypeError, ImportError) as error:
        if options.traceback:
            raise
        print(f"error: {explained(error)}", file=sys.stderr)
        return 2


def explained(error: BaseException) -> str:
    """The error in a line, with the command that installs what is missing."""
    from benchmarks import extras

    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    advice = extras.advice(error.name) if isinstance(error, ModuleNotFoundError) else ""
    return f"{error}. {advice}" if advice else str(error)


if __name__ == "__main__":
    sys.exit(main())
