"""A study: one model on the variants of a task's protocol, and their table."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.running import stages
from physbench.leaderboard import record as records
from physbench.leaderboard.record import Record

Rows = dict[str, list[Record]]


def study(
    task: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    seeds: int = 1,
    settings: Mapping[str, Any] | None = None,
    runs: str | os.PathLike[str] | None = None,
    out: Path | None = None,
) -> tuple[str, int]:
    """Run the variants that have no record yet; returns the table and the exit status.

    With `out` the table is also written to `TASK-DATASET-MODEL-study.md` in that folder. Raises
    ValueError for a task without a study.
    """
    entry, name = registry.load("task", task), registry.load("model", model).name
    variants = entry.object.study
    if not variants:
        raise ValueError(f"task '{entry.name}' has no study; its `study` names no variants")
    rows: Rows = {}
    for variant, (protocol, options) in variants.items():
        rows[variant] = stages.run(
            task, model, seeds=seeds, settings={**(settings or {}), **options},
            protocol=protocol, runs=runs,
        )  # fmt: skip
    text = table(rows)
    if out:
        dataset = next(iter(entry.object.named))
        records.atomic(out / f"{entry.name}-{dataset}-{name}-study.md", text)
    bad = any(record.status != "ok" for found in rows.values() for record in found)
    return text, int(bad)


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
        k: v for k, v in shared.items() if all(r.model.hyper_parameters[k] == v for r in alike)
    }
    settings = ", ".join(f"{k}={v}" for k, v in same.items())
    return "\n".join([*lines, f"\nAll variants: {settings}.\n"])


def _mean(found: list[Record], name: str) -> str:
    values = [m.value for r in found for m in r.metrics if m.name == name and m.value is not None]
    return f"{statistics.fmean(values):.4g}" if values else ""
