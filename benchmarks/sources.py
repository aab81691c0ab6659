"""Source as bytes: what decides a result is read once, digested, and run from what was digested.

Ours is `physbench.*`; the user's is what lies outside the folders of libraries. Of a package the
whole folder counts, data files included, of a module its file and all that it imports, also inside
functions. Python's cached bytecode is not used: it is taken for current when size and second of
the last change agree, and a record would then name a source that was not run.
"""

from __future__ import annotations

import ast
import functools
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

LARGEST_FILE = 64 * 2**20  # bytes of a file of a package that count as source

taken: dict[Path, bytes] = {}
_codes: dict[tuple[Path, bytes], CodeType] = {}


def read(path: Path, *, anew: bool = False) -> bytes:
    """The bytes of a source file, as they were when it was first read, or as they are now."""
    if anew or path not in taken:
        taken[path] = path.read_bytes()
    return taken[path]


def code(path: Path) -> CodeType:
    """The compiled bytes of a file; compiled once."""
    content = read(path)
    key = path, content
    if key not in _codes:
        _codes[key] = compile(content, str(path), "exec", dont_inherit=True, optimize=-1)
    return _codes[key]


class Exact(SourceFileLoader):
    """Runs the bytes that are digested."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the file as it is now, not of cached bytecode."""
        return code(Path(self.path))


class Finder:
    """Finds what all others find; modules that are no library run from the bytes we took."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A loader of the file as it is now, or None for what belongs to others."""
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.origin and type(spec.loader) is SourceFileLoader and own(name, spec):
                    spec.loader = Exact(name, str(Path(spec.origin).resolve()))
                return spec
        return None


def install() -> None:
    """Run every module of ours and of the user's from its digested bytes from now on."""
    _libraries()  # imports what the finder itself needs
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


@functools.cache
def _libraries() -> tuple[str, ...]:
    import site
    import sysconfig

    places = [sysconfig.get_paths()[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")]
    places += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple({os.path.realpath(place) + os.sep for place in places})


def library(path: str | os.PathLike[str]) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    real = os.path.realpath(path)
    parts = real.split(os.sep)
    return real.startswith(_libraries()) or "site-packages" in parts or "dist-packages" in parts


def own(name: str, spec: ModuleSpec) -> bool:
    """Whether a module is ours or the user's: its source decides a result."""
    if name.split(".")[0] == "physbench":
        return True
    return bool(spec.origin) and spec.has_location and not library(str(spec.origin))


def digest(contents: Iterable[bytes]) -> str:
    """sha256 of a set of sources: their order and their names do not count."""
    import hashlib  # loads OpenSSL, which `--help` and `list` do without

    return combined(hashlib.sha256(content).hexdigest() for content in contents)


def combined(digests: Iterable[str]) -> str:
    """The digest of a set of sources from their own."""
    import hashlib

    total = hashlib.sha256()
    for one in sorted(set(digests)):
        total.update(one.encode())
    return total.hexdigest()


def closure(root: Path, *, anew: bool = False) -> dict[Path, bytes]:
    """A file or package folder with everything of ours and the user's that it imports.

    `anew` reads every file as it is now; otherwise files that were read before keep their bytes.
    """
    found: dict[Path, bytes] = {}
    root = Path(os.path.realpath(root))
    queue = _folder(root) if root.is_dir() else [root]
    beside = root.parent
    if anew:
        importlib.invalidate_caches()
    while queue:
        path = Path(os.path.realpath(queue.pop()))
        if path in found:
            continue
        found[path] = read(path, anew=anew and not _loaded(path))
        if path.suffix == ".py":
            for name in imported(path):
                queue.extend(files(name, beside))
    return found


def _folder(folder: Path) -> list[Path]:
    """All files of a package, hidden ones and caches left out."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(p[0] == "." or p == "__pycache__" for p in path.relative_to(folder).parts)
        and path.stat().st_size <= LARGEST_FILE
    ]


def imported(path: Path) -> list[str]:
    """Names of all modules that a file may import, also inside functions; libraries too."""
    return list(_imported(read(path)))


@functools.lru_cache(maxsize=4096)
def _imported(content: bytes) -> tuple[str, ...]:
    modules: set[str] = set()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return ()  # importing it will say so
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules.add(node.module)
            modules.update(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(sorted(modules))


def files(module: str, beside: Path) -> Iterator[Path]:
    """The files that importing a module runs, if it is ours or the user's; else none."""
    first = module.partition(".")[0]
    if first == "physbench":
        yield from _ours(module)
    elif first not in sys.stdlib_module_names:
        yield from _users(first, module, str(beside))


def _ours(module: str) -> Iterator[Path]:
    _, _, rest = module.partition(".")
    top, _, inner = rest.partition(".")
    base = part(top)
    if base is None:
        return
    names = inner.split(".") if inner else []
    for count in range(len(names) + 1):
        place = base.joinpath(*names[:count])
        yield from (p for p in (place / "__init__.py", place.with_suffix(".py")) if p.is_file())
    # An entry is known by its name alone too: `from physbench.datasets import trackml`.
    if len(names) == 1 and not names[0].startswith("_"):
        for path in base.glob(f"*/{names[0]}.py"):
            yield from (path.with_name("__init__.py"), path)


@functools.cache
def part(top: str) -> Path | None:
    """The folder of `physbench.<top>`, in the checkout or in an installed wheel."""
    spec = importlib.util.find_spec(f"physbench.{top}") if top else None
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def _users(first: str, module: str, beside: str) -> Iterator[Path]:
    spec = _spec(first, beside)
    if spec is None or (spec.origin and (not spec.has_location or library(spec.origin))):
        return
    if spec.origin:
        place = Path(spec.origin)
        yield from _folder(place.parent) if spec.submodule_search_locations else [place]
        return
    for folder in spec.submodule_search_locations or ():  # a namespace: what is named in it
        place = Path(folder).joinpath(*module.split(".")[1:])
        if not library(folder) and place != Path(folder):
            yield from (
                p for p in (place / "__init__.py", place.with_suffix(".py")) if p.is_file()
            )


def _spec(name: str, beside: str) -> ModuleSpec | None:
    if name in sys.modules and name != "__main__":
        return getattr(sys.modules[name], "__spec__", None)
    try:
        return PathFinder.find_spec(name, search(beside)) or importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def search(beside: str) -> list[str]:
    """Where a user's file finds what it imports: as it would as a script, libraries first."""
    here = [place or os.getcwd() for place in sys.path]
    return here if beside in here else [*here, beside]


def libraries(contents: Mapping[Path, bytes], beside: Path) -> list[str]:
    """Top-level names of the installed packages that sources import, Python's own left out."""
    names = {
        name.partition(".")[0]
        for path, content in contents.items()
        if path.suffix == ".py"
        for name in _imported(content)
    }
    return sorted(name for name in names if _installed(name, str(beside)))


def _installed(name: str, beside: str) -> bool:
    if name in {"physbench", "benchmarks"} or name in sys.stdlib_module_names:
        return False
    spec = _spec(name, beside)
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    return any(place and library(place) for place in places)


def _loaded(path: Path) -> bool:
    """Whether a file of ours has been imported: then its first bytes are what runs."""
    if path not in taken:
        return False
    return any(
        getattr(module, "__file__", None) == str(path)
        for name, module in sys.modules.copy().items()
        if name.startswith("physbench.")
    )
