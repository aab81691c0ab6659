"""What the nursery does before it forks: read and compile sources, import the libraries they name.

No line of a model is run here. Modules of ours that are in memory must be those on the disk;
where they are not, the nursery says that it is stale, and the judge takes another one.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import sys
from pathlib import Path
from typing import Any

from benchmarks import registry, sources

sources.install()

_at_import: dict[Path, bytes] = {}


def prepared(request: dict[str, Any]) -> dict[str, Any]:
    """The digests of the model's sources and the libraries they name, or why there are none."""
    sys.path[:] = request["path"]
    try:
        if _stale():
            return {"stale": True}
        _import_ours(request["task"])
        root = _root(request["model"])
        found = sources.closure(root, anew=True)
        libraries = sources.libraries(found, root.parent)
        _preload(found, libraries)
        return {
            "sources": {
                str(p): hashlib.sha256(content).hexdigest() for p, content in found.items()
            },
            "libraries": libraries,
        }
    except Exception as error:  # noqa: BLE001 - told to the caller
        return {"error": f"{type(error).__name__}: {error}"}


def _root(model: str) -> Path:
    path = Path(model) if registry.is_path(model) else registry.path("model", model)
    return path.parent if path.name == "__init__.py" else path


def _import_ours(task: str) -> None:
    """The task, for the metrics on validation, and what all models need; none of it is theirs."""
    importlib.import_module("benchmarks.running.worker")
    registry.load("task", task)
    for module in sys.modules.copy().values():
        file = getattr(module, "__file__", None)
        if file and Path(file) in sources.taken:
            _at_import.setdefault(Path(file), sources.taken[Path(file)])


def _stale() -> bool:
    for path, content in list(_at_import.items()):  # threads of a cluster may add to it
        try:
            if path.read_bytes() != content:
                return True
        except OSError:
            return True
    return False


def _preload(found: dict[Path, bytes], libraries: list[str]) -> None:
    """Compile the sources; import the libraries that they import at their top level."""
    wanted: set[str] = set()
    for path, content in found.items():
        if path.suffix == ".py":
            with contextlib.suppress(SyntaxError, ValueError):
                sources.code(path)
                wanted |= _at_top(ast.parse(content))
    for name in sorted(wanted):
        if name.partition(".")[0] in libraries:
            # The model's own import says what is wrong.
            with contextlib.suppress(Exception, SystemExit):
                importlib.import_module(name)


def _at_top(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return names
