"""The built wheel, in an environment without this checkout and in another folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from physbench.leaderboard import record
from tests.test_layout import ROOT, build_wheel

PROGRAM = "import sys; from benchmarks.__main__ import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel was installed into."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build_wheel(folder, records=True)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile"]
    subprocess.run([*command, "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


def call(installed: Path, folder: Path, *arguments: str) -> str:
    """What a verb of the installed wheel prints in `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(installed), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_wheel_is_the_whole_product(installed: Path, tmp_path: Path) -> None:
    place = "import benchmarks, physbench.leaderboard as l; print(benchmarks.__file__, l.__file__)"
    environment = os.environ | {"PYTHONPATH": str(installed)}
    where = subprocess.run(
        [sys.executable, "-c", place],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.count(str(installed)) == 2
    packed = installed / "physbench" / "leaderboard" / "records"
    committed = ROOT / "leaderboard" / "records"
    names = {p.relative_to(committed) for p in committed.rglob("*.json")}
    assert {p.relative_to(packed) for p in packed.rglob("*.json")} == names
    for path in packed.rglob("*.json"):
        found = record.read(path)
        assert found.predictions is None or (path.parent / found.predictions.file).is_file()
    verb = ["run", "tracking", "one_track_per_hit", "--runs", "runs"]
    assert "one_track_per_hit" in call(installed, tmp_path, *verb)
    shown = call(installed, tmp_path, "board", "tracking", "--runs", "none")
    for row in ("gated_network", "one_track_per_hit", "truth_edges"):
        assert row in shown
    text = call(
        installed,
        tmp_path,
        "compare",
        "truth",
        "acts_ckf strips=True",
        "--dataset",
        "generic_detector",
    )
    assert "paired by unit" in text
    gate = call(installed, tmp_path, "check", "tracking", "--models", "one_track_per_hit")
    assert "PASS" in gate
    first = next(iter(sorted(packed.rglob("tracking/*/one_track_per_hit/*.json"))))
    assert "@misc{physbench" in call(installed, tmp_path, "cite", "tracking", str(first))
    assert "the same" in call(installed, tmp_path, "score", str(first))
