"""The folders, who may import whom, and what a built wheel holds."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from benchmarks import imports

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("benchmarks", "tasks", "models", "datasets", "leaderboard")
ALLOWED = {
    "benchmarks": {"benchmarks", "tasks", "models", "datasets", "leaderboard"},
    "tasks": {"tasks", "datasets"},
    "models": {"models", "datasets"},
    "datasets": {"datasets"},
    "leaderboard": {"leaderboard"},
}


ROOMS = ("models", "datasets")  # with a wing for each kind of data


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


GRAPH = imports.graph()


def pairs() -> list[tuple[list[str], list[str]]]:
    """(importing, imported) modules, as their parts."""
    return [(m.split("."), o.split(".")) for m, others in GRAPH.items() for o in others]


def wing(parts: list[str]) -> str:
    """The wing of a module, or nothing where it is of none."""
    inside = parts[0] in ROOMS and len(parts) > 1 and (ROOT / parts[0] / parts[1]).is_dir()
    return parts[1] if inside and parts[1] not in ("common", "frozen") else ""


def private(parts: list[str]) -> bool:
    return any(part.startswith("_") for part in parts)


def entry(parts: list[str]) -> bool:
    return bool(wing(parts)) and len(parts) == 3 and not private(parts)


def test_imports_follow_the_house_rules() -> None:
    for one, other in pairs():
        assert other[0] in ALLOWED[one[0]], (one, other)


def test_no_wing_imports_another() -> None:
    for one, other in pairs():
        assert wing(one) in ("", wing(other)) or not wing(other), (one, other)


def test_no_entry_imports_an_entry() -> None:
    for one, other in pairs():
        same_room = one[0] == other[0] and one[0] in ROOMS
        assert not (same_room and wing(one) and entry(other)), (one, other)


def test_machinery_stays_in_its_room() -> None:
    """A private module is used in its own folder; a wing's simulation also by its models."""
    for one, other in pairs():
        if private(other):
            mine, theirs = imports.folder(".".join(one)), imports.folder(".".join(other))
            assert mine == theirs or wing(one) == wing(other) != "" or [one, other] in KNOWN


KNOWN = [[["benchmarks", "trust", "claims"], ["models", "jets", "_contrastive"]]]


def test_no_module_imports_itself_in_a_circle() -> None:
    assert imports.cycles(imports.graph(at_import=True)) == []


def test_no_public_function_bears_the_name_of_a_folder() -> None:
    import benchmarks

    folders = {path.parent.name for path in (ROOT / "benchmarks").rglob("__init__.py")}
    assert not set(benchmarks.__all__) & (folders - {"benchmarks"})
    assert {"running", "trust"} <= folders


def test_the_import_rules_see_a_violation(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(
        "from physbench.models.hits import truth\nimport benchmarks.running\n"
        "def later():\n    from physbench.tasks import tracking\n"
    )
    now = {"models.hits.truth", "benchmarks.running"}
    assert imports.imported(path, at_import=True) == now
    assert imports.imported(path) == now | {"tasks.tracking"}
    assert entry(["models", "hits", "truth"])
    assert not entry(["models", "hits", "_graphs"])
    assert wing(["models", "common", "layers"]) == ""


def test_no_relative_and_no_bare_imports_of_our_folders() -> None:
    for folder in FOLDERS:
        for path in sources(folder):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom):
                    assert node.level == 0, path
                    assert (node.module or "").split(".")[0] not in FOLDERS[1:], path


def expected_packages() -> set[str]:
    found = set()
    for folder in FOLDERS:
        for init in (ROOT / folder).rglob("__init__.py"):
            name = init.parent.relative_to(ROOT).as_posix().replace("/", ".")
            found.add(name if folder == "benchmarks" else f"physbench.{name}")
    return found


def test_pyproject_lists_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["tool"]["setuptools"]["packages"]) == expected_packages()


def test_wheel_holds_every_module_and_shadows_nothing(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path)
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in FOLDERS:
        for path in sources(folder):
            inside = path.relative_to(ROOT).as_posix()
            assert (inside if folder == "benchmarks" else f"physbench/{inside}") in names
    for frozen in (ROOT / "datasets" / "frozen").iterdir():
        if frozen.is_file():
            assert f"physbench/datasets/frozen/{frozen.name}" in names
    tops = {name.split("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"benchmarks", "physbench"}


def build_wheel(folder: Path, *, records: bool = False) -> Path:
    """A wheel of a clean copy of the tracked files, built without a network.

    The committed records are left out unless asked for: packing them takes most of the time.
    """
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout.decode()
    copy = folder / "copy"
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file() and (records or not name.startswith("leaderboard/records/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(source.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(folder), str(copy)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.parametrize("where", ["root", "elsewhere"])
def test_namespace_resolves_beside_another_library_called_datasets(
    where: str, tmp_path: Path
) -> None:
    """A library `datasets` on the path stays importable, and ours is `physbench.datasets`."""
    library = tmp_path / "library" / "datasets"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("name = 'the other library'\n")
    program = (
        "import benchmarks, datasets, physbench.datasets\n"
        "assert datasets.name == 'the other library', datasets.__file__\n"
        "assert hasattr(physbench.datasets, 'Dataset')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT if where == "root" else tmp_path,
        env={"PYTHONPATH": str(library.parent), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_typing_links_point_at_the_folders() -> None:
    for folder in FOLDERS[1:]:
        assert (ROOT / "typings" / "physbench" / folder).resolve() == ROOT / folder
