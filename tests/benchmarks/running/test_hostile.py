"""Whatever a model does, its run leaves exactly one truthful record and no process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import benchmarks
from benchmarks.running import stages
from physbench.leaderboard import record
from physbench.leaderboard.record import Record

MODEL = '''"""Toy that misbehaves."""
import ctypes, os, resource, signal, subprocess, sys, time
import numpy as np
from physbench.models import Model

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")

def fit(train, validation, *, seed, mark=""):
    {body}
    return seed

def predict(fitted, inputs):
    return np.zeros(len(inputs))

MODEL = Model(tasks=("toy",), reference="none", fit=fit, predict=predict{more})
'''


def hostile(folder: Path, body: str, more: str = "") -> Path:
    path = folder / "hostile.py"
    path.write_text(MODEL.format(body=body.replace("\n", "\n    "), more=more))
    return path


def one(runs: Path) -> Record:
    """The only record below a folder; nothing else but its files is there."""
    found = record.read_all(runs)
    assert len(found) == 1
    left = [path for path in runs.rglob(".*") if path.name != "."]
    assert not left
    return found[0]


SWALLOW = """while True:
    try:
        time.sleep(100)
    except BaseException:
        pass"""
DEAF = """for number in range(1, 30):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
time.sleep(100)"""
FORKS = "os.fork()\nos.fork()"
SHOUT = """for descriptor in range(3, 300):
    try:
        os.write(descriptor, b'{"event": "end"}\\n' * 10)
    except OSError:
        pass"""


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("os._exit(0)", "failed", "exit status 0 in fit"),
        ("os._exit(3)", "failed", "exit status 3 in fit"),
        ("sys.exit(0)", "failed", "0"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed", "SIGSEGV in fit"),
        ("ctypes.string_at(0)", "killed", "hostile.py"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed", "SIGKILL in fit"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "killed", "SIGTERM in fit"),
        ("os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)", "killed", "SIGKILL"),
        ("os.killpg(0, signal.SIGKILL)", "killed", "SIGKILL"),
        ("raise Unprintable()", "failed", "its text cannot be printed"),
        ("raise ValueError('\\udcff')", "failed", "udcff"),
        ("raise BaseException('odd')", "failed", "odd"),
        ("raise KeyError('x' * 100_000)", "failed", "xxx"),
        ("np.ones(10**14)", "out_of_memory", "allocate"),
        ("f = lambda: f()\nf()", "failed", "recursion"),
        (SWALLOW, "timeout", "hostile.py"),
        (DEAF, "timeout", "gave up in fit"),
        (FORKS, "ok", ""),
        ("os.chdir('/')", "ok", ""),
        ("print('x' * 3_000_000); print('y', file=sys.stderr)", "ok", ""),
        ("sys.stdout = sys.stderr = None", "ok", ""),
        ("os.closerange(0, 300)", "ok", ""),
        (SHOUT, "ok", ""),
        ("signal.alarm(1); time.sleep(5)", "killed", "SIGALRM"),
        ("os.environ.clear(); sys.path.clear(); sys.argv.clear()", "ok", ""),
        ("import builtins; builtins.open = None", "ok", ""),
    ],
)
def test_one_record_whatever_a_model_does(
    toy: tuple[Path, Path], tmp_path: Path, monkeypatch: Any, body: str, status: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (found,) = benchmarks.run(toy[0], hostile(tmp_path, body), timeout=3)
    assert found.status == status, found.failure
    assert one(tmp_path / "runs") == found
    if words:
        assert found.failure is not None
        assert words in found.failure.message + (found.failure.traceback or "")
    assert (found.predictions is not None) == (status == "ok")


def test_the_place_in_the_users_code_is_in_the_record(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    (found,) = benchmarks.run(toy[0], hostile(tmp_path, "x = {}\nx['absent']"))
    assert found.failure is not None
    assert found.failure.traceback is not None
    assert "hostile.py:12 in fit: x['absent']" in found.failure.traceback


def test_children_end_with_the_run(toy: tuple[Path, Path], tmp_path: Path) -> None:
    """Also those that left the session of the model, and those of them that forked again."""
    body = (
        "for command in (['sleep', '9876.5'], ['sh', '-c', 'sleep 9876.5 & sleep 9876.5']):\n"
        "    subprocess.Popen(command, start_new_session=True)\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(9876.5)\n"
        "    os._exit(0)"
    )
    (found,) = benchmarks.run(toy[0], hostile(tmp_path, body))
    assert found.status == "ok"
    assert one(tmp_path / "runs") == found
    assert not [p for p in psutil.process_iter() if "9876.5" in _command(p)]
    children = psutil.Process().children(recursive=True)
    assert len(children) == 1  # the nursery, which waits for the next run


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_predictions_are_kept_when_what_follows_fails(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    for more in (", parameters=lambda f: 1.5", ", save=lambda f, path: None"):
        (found,) = benchmarks.run(toy[0], hostile(tmp_path, "pass", more), runs=tmp_path / more)
        assert found.status == "failed"
        assert found.predictions is not None
        assert one(tmp_path / more) == found


def test_settings_that_no_record_can_hold_are_refused_before_the_run(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    model = hostile(tmp_path, "raise AssertionError('was run')")
    for value in ("x" * 30_000, float("inf"), object()):
        with pytest.raises((ValueError, TypeError)):
            stages.run(toy[0], model, settings={"mark": value})
    assert not list((tmp_path / "runs").rglob("*.json"))


def test_a_model_that_ends_python_on_import_is_an_error(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    model = hostile(tmp_path, "pass")
    model.write_text(model.read_text() + "\nos._exit(0)\n")
    with pytest.raises(ImportError, match="exit status 0 while it was imported"):
        stages.run(toy[0], model)


def test_the_command_line_prints_the_true_path_and_status(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    model = hostile(tmp_path, "os.chdir('/'); print('to stdout'); 1 / 0")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "run", str(toy[0]), str(model), "--runs", "here"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    found = one(tmp_path / "here")
    assert str(tmp_path / "here" / found.path) in done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert "hostile.py:11 in fit" in done.stdout
    assert "to stdout" in done.stderr
    assert "\nto stdout" not in done.stdout


def test_two_runs_of_one_cell_at_once_make_one_record(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "benchmarks", "run", *map(str, toy)]
    for more in ([], ["--set", "behaviour=crash"]):
        runs = tmp_path / f"runs{len(more)}"
        both = [
            subprocess.Popen(
                [*command, *more, "--runs", str(runs), *again],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for again in ([], [], [])
        ]
        assert {process.wait(120) for process in both} == {len(more) // 2}
        assert len(record.read_all(runs)) >= 1
        if not more:
            one(runs)


def test_what_killed_runs_left_is_swept(toy: tuple[Path, Path], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    model = hostile(tmp_path, "if mark:\n    open(mark, 'w').close(); time.sleep(100)")
    runs = tmp_path / "runs"
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "run", str(toy[0]), str(model)]
        + ["--set", f"mark={mark}", "--runs", str(runs)],
        stdout=subprocess.DEVNULL,
    )
    while not mark.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    folder = runs / "toy" / "points" / "hostile"
    (lock,) = folder.glob(".*.lock")
    lock.with_name(lock.name.removesuffix(".lock") + "-abcdef").mkdir()
    (found,) = benchmarks.run(toy[0], model, runs=runs)
    assert found.status == "ok"
    assert one(runs) == found
    end = time.monotonic() + 10
    while any(str(mark) in " ".join(_command(p)) for p in psutil.process_iter()):
        assert time.monotonic() < end
    assert Path(folder).exists()


def test_a_metric_outside_its_own_interval_is_a_failed_run(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    """What no reader would accept is not written as a good result, and not lost either."""
    text = (
        toy[0]
        .read_text()
        .replace(
            'Metric(bias, "1", "zero")',
            'Metric(bias, "1", "zero", interval=lambda t, p: (5.0, 6.0))',
        )
    )
    toy[0].write_text(text)
    (found,) = benchmarks.run(*toy)
    assert found.status == "failed"
    assert found.predictions is not None
    assert one(tmp_path / "runs") == found
