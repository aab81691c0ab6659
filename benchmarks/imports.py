"""Who imports whom: `python -m benchmarks.imports` draws it by folder as a Mermaid diagram.

Also what `tests/test_layout.py` proves the rules of the house with. Nothing is imported: sources
are read as syntax trees.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("benchmarks", "tasks", "models", "datasets", "leaderboard")


def sources() -> dict[str, Path]:
    """Every module of ours, as `models.hits._graphs`, and its file."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(p for p in parts if p != "__init__")] = path
    return found


def imported(path: Path, *, at_import: bool = False) -> set[str]:
    """Dotted names of ours in a file's imports; with `at_import` only those that run with it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in _at_import(tree) if at_import else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    names = {name.removeprefix("physbench.") for name in found}
    return {name for name in names if name.partition(".")[0] in FOLDERS}


def _at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Statements outside functions and outside `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _at_import(node)


def graph(*, at_import: bool = False) -> dict[str, set[str]]:
    """The modules of ours that each module of ours imports."""
    files = sources()
    found = {}
    for module, path in files.items():
        names = imported(path, at_import=at_import)
        found[module] = {known for name in names if (known := _module(name, files)) != module}
        found[module].discard("")
    return found


def _module(name: str, files: Mapping[str, Path]) -> str:
    """The longest leading part of a dotted name that is a module of ours."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name


def cycles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other.

    >>> cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    [['b', 'c']]
    """
    reach = {start: _reached(start, edges) for start in edges}
    groups = {
        tuple(sorted(other for other in reach[start] if start in reach.get(other, set())))
        for start in edges
        if start in reach[start]
    }
    return [list(group) for group in sorted(groups)]


def _reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    queue = list(edges[start])
    while queue:
        if (module := queue.pop()) not in seen:
            seen.add(module)
            queue.extend(edges.get(module, ()))
    return seen


def folder(module: str) -> str:
    """The folder of a module, two levels deep: `models/hits`, `tasks`, `benchmarks/trust`.

    >>> folder("tasks.tracking"), folder("models.hits._graphs")
    ('tasks', 'models/hits')
    """
    parts = module.split(".")
    inside = len(parts) > 1 and (ROOT / parts[0] / parts[1]).is_dir()
    return "/".join(parts[: 2 if inside else 1])


def diagram() -> str:
    """Folders and their imports, counted by module, in Mermaid's language."""
    counts: dict[tuple[str, str], int] = {}
    for module, others in graph().items():
        for pair in {(folder(module), folder(other)) for other in others}:
            if pair[0] != pair[1]:
                counts[pair] = counts.get(pair, 0) + 1
    lines = [f"    {a}[{a}] -->|{n}| {b}[{b}]" for (a, b), n in sorted(counts.items())]
    return "\n".join(["flowchart LR", *lines])


if __name__ == "__main__":
    print(diagram())
