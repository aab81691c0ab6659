"""The tutorials run, the documentation builds without a warning, the gate of other hosts works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks import registry
from benchmarks.reports import boards

ROOT = Path(__file__).resolve().parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
LONG = ("gate", "hits_graph", "jets_sklearn")  # those that train for more than seconds


def names(long: bool) -> list[str]:
    found = sorted(path.stem for path in TUTORIALS.glob("*.md"))
    return [name for name in found if (name in LONG) == long]


def execute(command: str, folder: Path, **more: str) -> str:
    """Run a command in the folder, with this Python first in the path, and return its output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path} | more
    environment.pop("PHYSBENCH_RUNS", None)
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=900,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def walk(name: str, folder: Path) -> str:
    """Run the blocks of a tutorial in order; blocks with a name are written as files."""
    text, output = (TUTORIALS / f"{name}.md").read_text(), ""
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.M | re.S):
        if language == "sh":
            output += execute(block, folder)
        else:
            (folder / block.partition("\n")[0].removeprefix("# ")).write_text(block)
    return output


@pytest.mark.parametrize("name", names(long=False))
def test_short_tutorials_run(name: str, tmp_path: Path) -> None:
    output = walk(name, tmp_path)
    assert "DIFFERENT" not in output
    assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize("name", names(long=True))
def test_long_tutorials_run(name: str, tmp_path: Path) -> None:
    assert "Traceback" not in walk(name, tmp_path)


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="needs the extra [docs]")
    pytest.importorskip("myst_parser", reason="needs the extra [docs]")
    build = f"{sys.executable} -m sphinx -q -W --keep-going -b html {ROOT / 'docs'} html"
    execute(build, tmp_path)
    text = (tmp_path / "html" / "api.html").read_text()
    assert "benchmarks.running.stages.run" in text
    assert all((tmp_path / "html" / "tutorials" / f"{n}.html").is_file() for n in names(False))


def test_records_that_are_named_are_there() -> None:
    ids = {path.stem.rpartition("-")[2][:8] for path in boards.committed_root().rglob("*.json")}
    pages = [ROOT / "README.md", ROOT / "GUIDE.md", *(ROOT / "docs").rglob("*.md")]
    named = re.findall(r"\bverify ([0-9a-f]{8})\b", "".join(p.read_text() for p in pages))
    assert named
    assert set(named) <= ids


EXPLAINED = ("problem", "measured", "unit", "limit", "Known limits")


@pytest.mark.parametrize("task", registry.names("task"))
def test_every_task_is_explained_to_a_newcomer(task: str) -> None:
    text = (ROOT / "docs" / "tasks" / f"{task}.md").read_text()
    heads = re.findall(r"^## (.*)$", text, re.M)
    assert [word for word, head in zip(EXPLAINED, heads, strict=True) if word not in head] == []
    assert f"tasks/{task}\n" in (ROOT / "docs" / "index.md").read_text()


def demo() -> list[str]:
    """The commands of `make demo`."""
    recipe = (ROOT / "Makefile").read_text().split("\ndemo:")[1].split("\n\n")[0]
    return [line.strip().replace("$(V)/bin/", "") for line in recipe.split("\n")[1:]]


@pytest.mark.slow
def test_the_demo_ends_with_the_picture_that_the_readme_names(tmp_path: Path) -> None:
    run, board = demo()
    assert board.endswith("--picture runs/demo.png")
    assert "its board, runs/demo.png" in (ROOT / "README.md").read_text()
    model = benchmarks.model(run.split()[5])
    quick = " ".join(f"--set '{name}={value}'" for name, value in model.quick.items())
    assert f"{run.split()[5]} epochs=1" in execute(f"{run} {quick}", tmp_path)
    assert execute(board, tmp_path).splitlines()[-1] == "runs/demo.png"
    assert (tmp_path / "runs" / "demo.png").read_bytes()[:4] == b"\x89PNG"


def steps_of(kind: str) -> tuple[list[str], dict[str, str]]:
    """The commands of the GitHub action or of the GitLab template, and their variables."""
    yaml = pytest.importorskip("yaml")
    if kind == "github":
        content: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
        given = {"task": "jet_flavour", "model": "./mine.py", "reference": "references"}
        values = {n: given.get(n, str(i.get("default"))) for n, i in content["inputs"].items()}
        steps, variables = content["runs"]["steps"], {}
        for step in steps:
            assert step["shell"] == "bash"
            for name, text in step["env"].items():
                wanted = re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", text)
                variables[name] = values[wanted[1]] if wanted else text
        return [step["run"] for step in steps], variables
    job = yaml.safe_load((ROOT / "ci" / "gate.gitlab-ci.yml").read_text())[".physbench-gate"]
    changed = {"GATE_TASK": "jet_flavour", "GATE_MODEL": "./mine.py"}
    return [*job["before_script"], *job["script"]], job["variables"] | changed


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_the_gate_of_other_hosts_by_its_steps(kind: str, tmp_path: Path) -> None:
    steps, variables = steps_of(kind)
    assert steps[0].startswith("python -m pip install ")
    make = "python -m benchmarks new model mine --task jet_flavour --kind numpy"
    execute(make, tmp_path)
    reference = "python -m benchmarks check jet_flavour --models ./mine.py --reference references"
    execute(f"{reference} --make-reference 3", tmp_path)
    summary = str(tmp_path / "summary.md")
    for step in steps[1:]:  # the first one installs what is installed here
        execute(step, tmp_path, GITHUB_STEP_SUMMARY=summary, **variables)
    assert (tmp_path / "check.json").is_file()
    written = tmp_path / ("summary.md" if kind == "github" else "check.md")
    assert "mine" in written.read_text()
