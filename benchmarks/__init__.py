"""Physbench: the harness. `benchmarks.run("tracking", "interaction_network")` fills a board cell.

Names are resolved lazily, so that `import benchmarks` and the command line stay fast.
"""

from __future__ import annotations

import os
import sys
from typing import Any

# In a checkout the root folder comes first on sys.path (`python -m benchmarks`), where our
# `datasets/` and `models/` would shadow installed libraries of those names. Everything of ours is
# imported as `physbench.*`, so the root is not needed there.
_root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if os.path.exists(os.path.join(_root, "pyproject.toml")):
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or os.getcwd()) != _root]

__version__ = "0.1.0"

_HOME = {
    "board": "benchmarks.reports.boards",
    "check": "benchmarks.trust.checking",
    "cite": "benchmarks.reports.citing",
    "compare": "benchmarks.trust.comparing",
    "dataset": "benchmarks.api",
    "export": "benchmarks.exporting",
    "model": "benchmarks.api",
    "run": "benchmarks.running.stages",
    "score": "benchmarks.running.scoring",
    "search": "benchmarks.sweeping.searching",
    "submit": "benchmarks.submitting",
    "sweep": "benchmarks.sweeping.local",
    "task": "benchmarks.api",
    "verify": "benchmarks.trust.verifying",
}

__all__ = ["__version__", *_HOME]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'benchmarks' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)
