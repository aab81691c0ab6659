"""The folders are the registry: a file in `tasks/`, or in a wing of `models/` or `datasets/`.

A module whose name begins with an underscore is machinery of its wing, not an entry.

Listing reads docstrings through `ast` and imports nothing, so it stays fast although the
entries need torch. Only `load` imports, and only what is asked for.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from benchmarks import sources

if TYPE_CHECKING:
    from physbench.models import Role

KINDS = {"task": "tasks", "model": "models", "dataset": "datasets"}
MOST_NAMED = 12  # known names that an error lists
NO_WINGS = ("common", "frozen", "metrics")


class UnknownName(ValueError):
    """A task, model, dataset or setting that does not exist; the message suggests the nearest."""


class Entry(NamedTuple):
    """A registered object with its name and the file it came from."""

    name: str
    object: Any
    path: Path


def unknown(what: str, name: str, known: list[str]) -> UnknownName:
    """The error for `name`: the nearest name, or a file of that name here; few names are listed.

    >>> str(unknown("task", "trakcing", ["tracking", "dark_jets"]))
    "unknown task 'trakcing'; did you mean 'tracking'? Known: dark_jets, tracking"
    """
    import difflib  # as long as a tenth of `list`

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    here = ""
    if what in ("model", "task"):
        here = next((f"./{f}" for f in (f"{name}.py", name) if Path(f).exists()), "")
    hint = f"; did you mean '{here or near[0]}'?" if here or near else "."
    if len(known) <= MOST_NAMED:
        hint += f" Known: {', '.join(sorted(known))}"
    elif not (here or near):
        hint += f" There are {len(known)}; `python -m benchmarks list` shows them"
    return UnknownName(f"unknown {what} '{name}'{hint}")


@functools.cache
def folder(kind: str) -> Path:
    """The folder that holds the entries of a kind, in the checkout or in an installed wheel."""
    spec = importlib.util.find_spec(f"physbench.{KINDS[kind]}")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f"physbench.{KINDS[kind]} is not importable; install the project (`make` does, or "
            "`pip install -e .` in the checkout)"
        )
    return Path(next(iter(spec.submodule_search_locations)))


@functools.cache
def _files(kind: str) -> dict[str, Path]:
    """The file of each entry; raises ValueError when two wings have one of the same name."""
    pattern = "*.py" if kind == "task" else "[!._]*/*.py"
    found: dict[str, Path] = {}
    for file in sorted(folder(kind).glob(pattern), key=str):
        if file.parent.name not in NO_WINGS and not file.stem.startswith("_"):
            if file.stem in found:
                raise ValueError(f"two {kind}s of one name: {found[file.stem]} and {file}")
            found[file.stem] = file
    return dict(sorted(found.items()))


def names(kind: str) -> list[str]:
    """Names of all entries of a kind, sorted."""
    return list(_files(kind))


def path(kind: str, name: str) -> Path:
    """The file of a registered entry; raises UnknownName with suggestions."""
    if name not in _files(kind):
        raise unknown(kind, name, names(kind))
    return _files(kind)[name]


def role(model: str) -> Role:
    """The role of a registered model, without importing it."""
    return cast("Role", _declared(path("model", model))[0])


def models_of(task: str) -> list[str]:
    """Names of the registered models that do a task, without importing them."""
    return [name for name, file in _files("model").items() if task in _declared(file)[1]]


def tasks_of(model: str) -> list[str]:
    """Names of the registered tasks that a model does, without importing it."""
    return [task for task in names("task") if task in _declared(path("model", model))[1]]


@functools.cache
def _declared(file: Path) -> tuple[str, frozenset[str]]:
    """Role and tasks that a model's file declares, read once: `list` asks for each pair."""
    text = file.read_text("utf-8")
    role = re.search(r'\n    role="(\w+)"', text)  # a search for ^ takes five times as long
    tasks = "".join(re.findall(r"tasks=\(([^)]*)", text))
    return role[1] if role else "learned", frozenset(re.findall(r'"([^"]*)"', tasks))


def docstring(kind: str, name: str) -> str:
    """The module docstring of an entry, without importing it.

    Only the text up to the end of the docstring is parsed: sixty whole files would take longer
    than all the rest of `list`.
    """
    text = path(kind, name).read_text(encoding="utf-8")
    start = text.find('"""')
    end = text.find('"""', start + 3)
    head = text[: end + 3] if start >= 0 and end >= 0 else text
    return (ast.get_docstring(ast.parse(head), clean=False) or "").strip()


def kinds_of(name: str) -> list[str]:
    """The kinds in which `name` is registered; raises UnknownName when there is none."""
    found = [kind for kind in KINDS if name in names(kind)]
    if not found:
        everything = sorted({n for kind in KINDS for n in names(kind)})
        raise unknown("task, model or dataset", name, everything)
    return found


def is_path(name: str | os.PathLike[str]) -> bool:
    """Whether a name means a user's own file or package folder and not a registered entry."""
    text = os.fspath(name)
    return text.endswith(".py") or os.sep in text


def load(kind: str, name: str | os.PathLike[str]) -> Entry:
    """Import one entry: a registered name, or the path of a user's own file or package folder.

    Raises UnknownName with suggestions, FileNotFoundError for a missing file, and TypeError when
    the file is not Python's or does not define `TASK`, `MODEL` or `DATASET`.
    """
    text = os.fspath(name)
    if is_path(text):
        return _load_file(kind, Path(text))
    inside = path(kind, text).relative_to(folder(kind)).with_suffix("")
    module = importlib.import_module(".".join(["physbench", KINDS[kind], *inside.parts]))
    return Entry(text, _object(kind, module, path(kind, text)), path(kind, text))


def _load_file(kind: str, path: Path) -> Entry:
    """A user's own file, or the folder of a package; what it imports beside it is found too."""
    root = path.parent if path.name == "__init__.py" else path
    file = root / "__init__.py" if root.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"no such {kind} file: {file} (looked in {Path.cwd()})")
    root, file = root.resolve(), file.resolve()
    if b"\0" in sources.read(file):
        raise TypeError(f"{file} is no Python file, so it holds no {kind}")
    sources.install()
    _forget_changed(root)
    if str(root.parent) not in sys.path:
        sys.path.append(str(root.parent))
    name = module_name(root)
    places = [str(root)] if root.is_dir() else None
    spec = importlib.util.spec_from_file_location(
        name, file, loader=sources.Exact(name, str(file)), submodule_search_locations=places
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return Entry(name_of(root), _object(kind, module, file), root)


def name_of(path: str | os.PathLike[str]) -> str:
    """The name of a user's own file or package in records: letters, digits and `_.-` alone.

    >>> name_of("my lün.py"), name_of("./line.py")
    ('my_l_n', 'line')
    """
    return re.sub(r"[^A-Za-z0-9_.-]", "_", Path(path).stem).lstrip(".-") or "_"


def module_name(path: Path) -> str:
    """The name in `sys.modules` of a user's own file or package."""
    import hashlib  # loads OpenSSL, which `list` does without

    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    return f"physbench_user_{path.stem}_{digest}"


def _forget_changed(root: Path) -> None:
    """Let modules of the user that have changed since they were imported be imported again."""
    before = dict(sources.taken)
    now = sources.closure(root, anew=True)
    if all(before.get(path, content) == content for path, content in now.items()):
        return
    for name, module in sys.modules.copy().items():
        file = getattr(module, "__file__", None)
        if file and not name.startswith("physbench.") and Path(file) in now:
            del sys.modules[name]


def _object(kind: str, module: Any, path: Path) -> Any:
    constant = kind.upper()
    contract = importlib.import_module(f"physbench.{KINDS[kind]}")
    expected = getattr(contract, kind.capitalize())
    found = getattr(module, constant, None)
    if not isinstance(found, expected):
        raise TypeError(
            f"{path} must define {constant} = {kind.capitalize()}(...); "
            f"found {constant} = {found!r}"
        )
    return found


def source_digest(path: Path) -> str:
    """sha256 of a file, or of a package folder, and of all of ours and the user's it imports.

    Formatting counts: the digest says that the bytes are the same, not that the result is.
    """
    return sources.digest(sources.closure(path, anew=True).values())


def module_file(module: str) -> Path | None:
    """The file of a module of ours, or None."""
    first, _, rest = module.partition(".")
    kind = next((k for k, f in KINDS.items() if f == rest.partition(".")[0]), None)
    if first != "physbench" or kind is None:
        return None
    inner = rest.partition(".")[2]
    base = folder(kind) / inner.replace(".", "/") if inner else folder(kind)
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file of ours, parsed once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a file of ours, those in functions too; statements alone are walked through.

    Expressions are nine nodes of ten.
    """
    waiting: list[ast.AST] = [tree(path)]
    for node in waiting:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            below = getattr(node, name, ())
            waiting += below if isinstance(below, list) else ()  # not those of expressions


def signatures(kind: str, name: str) -> list[str]:
    """The functions `fit`, `load` and `make` of an entry with their keywords, unimported."""
    return [
        f"{node.name}({ast.unparse(node.args)})"
        for node in tree(path(kind, name)).body
        if isinstance(node, ast.FunctionDef) and node.name in ("fit", "load", "make")
    ]


def records_folder() -> Path:
    """Folder of the committed records, without importing the package that they lie in."""
    spec = importlib.util.find_spec("physbench.leaderboard")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("physbench.leaderboard is not importable; install the project")
    return Path(next(iter(spec.submodule_search_locations))) / "records"
