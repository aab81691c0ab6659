"""What `make bench` measured, beside what it measured last: kept as JSON, compared as ratios.

Run: python tests/performance/history.py benchmark.json [--keep]

`benchmark.json` is what pytest-benchmark wrote; `--keep` adds its numbers, with machine and
versions, to `history/`. Seconds are compared where both come from one kind of processor, ratios of
things timed in one run always.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HISTORY = Path(__file__).with_name("history")
PACKAGES = ("numpy", "scipy", "pandas", "torch", "scikit-learn", "pydantic")
TOLD = 1.1  # changes by less are noise

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
    }


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
        name = one["fullname"].rpartition("/")[2].replace(".py::", ": ")
        yield (
            name,
            {"seconds": _digits(one["stats"]["min"])} | {k: _digits(v) for k, v in extra.items()},
        )


def _digits(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def last() -> dict[str, Any] | None:
    """The newest of the kept ones."""
    found = sorted(HISTORY.glob("*.json"))
    return json.loads(found[-1].read_text(encoding="utf-8")) if found else None


def compared(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Lines `benchmark, number: old -> new (ratio)` of what has changed."""
    alike = old["machine"]["cpu"] == new["machine"]["cpu"]
    lines = []
    for name, numbers in new["numbers"].items():
        for key, value in numbers.items():
            before = old["numbers"].get(name, {}).get(key)
            if before and value > 0 and (alike or "ratio" in key or "over" in key):
                ratio = value / before
                if abs(math.log(ratio)) > math.log(TOLD):
                    lines.append(f"{name}, {key}: {before:g} -> {value:g} ({ratio:.2f})")
    return lines


def main(arguments: list[str]) -> int:
    """Compare, and keep where asked to."""
    new = condensed(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
