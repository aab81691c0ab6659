"""What `make bench` measured, beside what it measured last: kept as JSON, compared as ratios.

Run: python tests/performance/history.py benchmark.json [--keep]

`benchmark.json` is what pytest-benchmark wrote; `--keep` adds its numbers, with machine and
versions, to `history/`. Seconds are compared where both come from one kind of processor, ratios of
things timed in one run always. `page` writes all of it for the documentation, beside what the
best rows of the boards scored and cost, as time went on.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HISTORY = Path(__file__).with_name("history")
MEASURED = ("measured", "ratio", "over_kd_tree")  # what stands beside a bar; older names last
PACKAGES = ("numpy", "scipy", "pandas", "torch", "scikit-learn", "pydantic")
RATIOS = ("ratio", "measured")
TOLD = 1.1  # changes by less are noise
COST = "test_the_chain_costs_at_most_twice_the_kalman_filter"
CHAINS = {"seconds_of_one": "graph network", "seconds_of_peer": "Kalman filter of ACTS"}
PICTURE = "history-cost.png"

Numbers = dict[str, dict[str, float]]


def condensed(report: Mapping[str, Any]) -> dict[str, Any]:
    """Machine, versions, date, commit and the numbers of each benchmark, of pytest-benchmark's."""
    machine = report["machine_info"]
    return {
        "date": report["datetime"][:19],
        "commit": report["commit_info"].get("id", "")[:12],
        "machine": {
            "cpu": machine["cpu"].get("brand_raw", machine["processor"]),
            "cores": machine["cpu"].get("count"),
            "system": f"{machine['system']} {machine['machine']}",
        },
        "versions": {"python": machine["python_version"], **_installed()},
        "numbers": dict(sorted(_numbers(report))),
        "told": {_name(b): b["extra_info"]["told"] for b in _told(report)},
    }


def _told(report: Mapping[str, Any]) -> list[Any]:
    """The benchmarks that have a bar."""
    return [b for b in report["benchmarks"] if "told" in b["extra_info"]]


def _name(one: Mapping[str, Any]) -> str:
    file, _, test = one["fullname"].partition("::")
    return f"{Path(file).stem}: {test}"


def _installed() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _numbers(report: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    for one in report["benchmarks"]:
        extra = {k: v for k, v in one["extra_info"].items() if isinstance(v, int | float)}
        yield (
            _name(one),
            {"seconds": _digits(one["stats"]["min"])} | {k: _digits(v) for k, v in extra.items()},
        )


def _digits(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def last() -> dict[str, Any] | None:
    """The newest of the kept ones."""
    found = _kept()
    return found[-1] if found else None


def compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Lines `benchmark, number: old -> new (ratio)` of what has changed."""
    alike = old["machine"]["cpu"] == new["machine"]["cpu"]
    lines = []
    for name, numbers in new["numbers"].items():
        for key, value in numbers.items():
            kept = old["numbers"].get(name, {})
            before = kept.get(key, kept.get("ratio") if key == "measured" else None)
            if before and value > 0 and (alike or key in RATIOS or "over" in key):
                ratio = value / before
                if abs(math.log(ratio)) > math.log(TOLD):
                    lines.append(f"{name}, {key}: {before:g} -> {value:g} ({ratio:.2f})")
    return lines


def main(arguments: list[str]) -> int:
    """Compare, and keep where asked to."""
    new = condensed(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    print("\n".join(f"{name}: {line}" for name, line in new["told"].items()))
    old = last()
    if old is None:
        print("nothing was kept before")
    else:
        print(f"against {old['date']}, {old['machine']['cpu']}:")
        print("\n".join(compared(old, new)) or "no number has changed by more than a tenth")
    if "--keep" in arguments:
        HISTORY.mkdir(exist_ok=True)
        path = HISTORY / f"{new['date'].replace(':', '')}-{new['commit']}.json"
        path.write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8")
        print(path)
    return 0


def page() -> str:
    """The history in Markdown: the bars over the runs that were kept, the boards over records."""
    kept = _kept()
    return "\n".join(
        [
            "# History",
            "",
            "## Speed",
            "",
            "Ratios of things that `make bench` timed in turns in one run, beside their bars.",
            "",
            *_speed(kept),
            "",
            *_cost(costs(kept)),
            "## Scores and their cost",
            "",
            "Each record that was the best of its board when it was made; the cost is that of "
            "training, one seed.",
            "",
            *_scores(),
            "",
        ]
    )


def _speed(kept: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table with a row for each benchmark that has a bar and a column for each run."""
    dates = [run["date"].replace("T", " ")[:16] for run in kept]
    yield f"| benchmark | bar | {' | '.join(dates)} |"
    yield f"|---|---|{'---|' * len(kept)}"
    for name in sorted(
        {n for run in kept for n, found in run["numbers"].items() if "bar" in found}
    ):
        rows = [run["numbers"].get(name, {}) for run in kept]
        found = [next((row[k] for k in MEASURED if k in row), None) for row in rows]
        cells = ["" if value is None else f"{value:.3g}" for value in found]
        told = next(
            (run["told"][name] for run in reversed(kept) if name in run.get("told", ())), ""
        )
        bar = next(row["bar"] for row in reversed(rows) if "bar" in row)
        yield f"| {name} | {told[4:6].strip()} {bar:.3g} | {' | '.join(cells)} |"


def costs(kept: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """`hits` and the seconds of both chains for each event of the newest run that timed them."""
    for run in reversed(kept):
        rows = [row for name, row in run["numbers"].items() if f": {COST}[" in name]
        if rows and all(key in row for row in rows for key in CHAINS):
            return sorted(rows, key=lambda row: row["hits"])
    return []


def _cost(rows: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """The picture of `picture`, and a table of what it shows."""
    if rows:
        yield from ("## Cost of an event", "", "From hits to tracks, one event in turns.", "")
        yield from (f"![CPU seconds against hits]({PICTURE})", "")
        yield f"| hits | {' | '.join(f'{name}, CPU-s' for name in CHAINS.values())} |"
        yield f"|---|{'---|' * len(CHAINS)}"
        for row in rows:
            yield f"| {row['hits']:,.0f} | {' | '.join(f'{row[key]:.3g}' for key in CHAINS)} |"
        yield ""


def picture(folder: Path) -> None:
    """CPU seconds of an event against its hits, into `folder`; a line shows linear growth."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    rows = costs(_kept())
    if not rows:
        return
    figure, axis = plt.subplots(figsize=(5.6, 4.0), layout="constrained")
    hits = [row["hits"] for row in rows]
    for key, name in CHAINS.items():
        axis.loglog(hits, [row[key] for row in rows], "o-", label=name)
    first = rows[0]["seconds_of_one"] / hits[0]
    axis.loglog(hits, [first * n for n in hits], "--", color="0.6", label="linear in the hits")
    axis.set(xlabel="hits of an event", ylabel="CPU seconds")
    axis.legend(frameon=False)
    figure.savefig(folder / PICTURE, dpi=110)
    plt.close(figure)


def _kept() -> list[dict[str, Any]]:
    """All kept runs, the oldest first."""
    return [json.loads(p.read_text(encoding="utf-8")) for p in sorted(HISTORY.glob("*.json"))]


def _scores() -> Iterator[str]:
    """A table of the records that led their boards, in the order in which they were made."""
    from benchmarks.reports import boards
    from physbench.leaderboard import record as records

    yield "| board | date | version | model | score | CPU-s |"
    yield "|---|---|---|---|---|---|"
    best: dict[str, float] = {}
    found = records.read_all(boards.committed_root())
    for one in sorted(found, key=lambda record: (_board(record), record.started)):
        metric = one.metrics[0] if one.metrics and not one.model.oracle else None
        if metric is None or metric.value is None or one.lineage.reproduces is not None:
            continue
        size = -abs(metric.value) if metric.best == "zero" else metric.value
        gain = -size if metric.best == "min" else size
        if gain > best.get(_board(one), -math.inf):
            best[_board(one)] = gain
            cost = one.cost["train"].cpu_s if "train" in one.cost else math.nan
            yield (
                f"| {_board(one)} | {one.started[:10]} | {one.code.version} | {one.model.name} "
                f"| {metric.name} {metric.value:.4g} | {cost:.3g} |"
            )


def _board(record: Any) -> str:
    return f"{record.task.name}, {record.dataset.name} {record.dataset.version}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
