"""A real disk that fills at ten levels: a small file system in memory, in its own namespace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from physbench.leaderboard import record

PAGE = 4  # kB
ROOM = 1000  # kB, enough for a run to begin
SCRIPT = """
mount -t tmpfs -o size={room}k none {runs} || exit 77
mount -t tmpfs -o size={room}k none {rescued} || exit 77
{command}
status=$?
mkdir {kept} && cp -r {runs} {rescued} {kept}
exit $status
"""
FILL = """    import os
    for folder, left in {disks!r}:
        room = os.statvfs(folder)
        with open(os.path.join(folder, "ballast"), "ab") as file:
            file.write(bytes(max(room.f_bavail * room.f_bsize - left * 1024, 0)))
"""


def filled(toy: tuple[Path, Path], folder: Path, size: int, rescue: int = ROOM) -> tuple[int, str]:
    """Exit status and output of two seeds: while they train, the disk of the records fills up to
    `size` kB, and that of the rescued ones up to `rescue` kB.

    What they left is in `folder`/kept. Skips where no file system may be mounted.
    """
    runs, rescued, kept = (folder / name for name in ("runs", "rescued", "kept"))
    for path in (runs, rescued):
        path.mkdir(parents=True)
    fill = FILL.format(disks=[(str(runs), size), (str(rescued), rescue)])
    body = "    if behaviour =="
    toy[1].write_text(toy[1].read_text().replace(body, fill + body, 1))
    command = [sys.executable, "-m", "benchmarks", "run", *map(str, toy), "--seeds", "2"]
    script = SCRIPT.format(
        room=ROOM, runs=runs, rescued=rescued, kept=kept,
        command=" ".join([*command, "--runs", str(runs)]),
    )  # fmt: skip
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(rescued)},
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()[:100]}")
    return done.returncode, done.stdout + done.stderr


def whole(folder: Path) -> set[tuple[int, str]]:
    """(seed, status) of all records below a folder that are whole, with their predictions."""
    found = set()
    for path in folder.rglob("*.json"):
        item = record.read(path)
        assert item.predictions is None or path.with_name(item.predictions.file).is_file()
        found.add((item.seed, item.status))
    return found


LEVELS = [PAGE * k for k in range(1, 11)]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (Linux)")
@pytest.mark.parametrize(
    "size", [pytest.param(k, marks=[] if k in (8, 24) else [pytest.mark.slow]) for k in LEVELS]
)
def test_a_full_disk_loses_nothing(toy: tuple[Path, Path], tmp_path: Path, size: int) -> None:
    status, said = filled(toy, tmp_path / "box", size)
    assert whole(tmp_path / "box" / "kept") == {(0, "ok"), (1, "ok")}, said
    assert status == 0, said
    for path in (tmp_path / "box" / "kept" / "rescued").rglob("*.json"):
        assert path.name in said  # announced by its path


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (Linux)")
def test_two_full_disks_are_said_and_the_next_seed_runs(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    status, said = filled(toy, tmp_path / "box", 2 * PAGE, 2 * PAGE)
    assert status == 1, said
    assert "the record could not be written: [Errno 28] No space left on device" in said
    assert re.search(r"^ +1  ok .*\(could not be written\)$", said, re.M), said
    assert whole(tmp_path / "box" / "kept") <= {(0, "ok")}
