"""Signals at random moments: nothing is lost, nothing is doubled, nothing half-written stays.

The quick tests send a few; the slow ones are the storms (1,000 kills of `run`, 500 stops, 200
kills of `sweep`) and print their counts: pytest -m slow -rP -n auto tests/test_signals.py
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from physbench.leaderboard import record

MODEL = '''"""Slow enough to be hit anywhere; its mark tells that it began."""
import pathlib, time
import numpy as np
from physbench.models import Model

def fit(train, validation, *, seed):
    pathlib.Path({marks!r}, str(seed)).touch()
    time.sleep(0.2)
    return seed

def predict(seed, inputs):
    return np.full(len(inputs), float(seed))

MODEL = Model(tasks=("toy",), reference="none", fit=fit, predict=predict)
'''
STOPS = (signal.SIGINT, signal.SIGTERM)


class Storm:
    """A folder of runs, and commands on it that are hit."""

    def __init__(self, toy: tuple[Path, Path], folder: Path) -> None:
        self.runs, self.marks, self.task = folder / "runs", folder / "marks", toy[0]
        self.marks.mkdir()
        self.model = folder / "slow.py"
        self.model.write_text(MODEL.format(marks=str(self.marks)))
        self.dice = random.Random(folder.name)
        self.longest = 0.0  # seconds that a whole command takes, about

    def command(self, verb: str, seeds: list[str]) -> list[str]:
        models = [str(self.model)] if verb == "run" else ["--models", str(self.model)]
        more = ["--jobs", "2"] if verb == "sweep" else []
        start = [sys.executable, "-m", "benchmarks", verb, str(self.task), *models]
        return [*start, *seeds, "--runs", str(self.runs), *more]

    def whole(self, verb: str, seeds: list[str]) -> None:
        """A command that nothing disturbs."""
        started = time.monotonic()
        done = subprocess.run(self.command(verb, seeds), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        self.longest = max(self.longest, time.monotonic() - started)

    def hit(self, verb: str, seeds: list[str], number: signal.Signals) -> int:
        """Exit status of a command that met the signal, or had ended before."""
        started = time.monotonic()
        process = subprocess.Popen(
            self.command(verb, seeds), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            status = process.wait(self.dice.uniform(0, self.longest))
            self.longest = 0.9 * self.longest + 0.1 * (time.monotonic() - started)
            return status
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            return process.wait(60)

    def good(self) -> Counter[int]:
        """Number of results of each seed; reading all fails when one is damaged."""
        found = record.read_all(self.runs)
        for item in found:
            if item.predictions:
                assert (self.runs / item.path).with_name(item.predictions.file).is_file()
        return Counter(item.seed for item in found if item.status == "ok")

    def killed(self, verb: str, seeds: list[str]) -> tuple[int, Counter[int]]:
        """Exit status and `good` after a kill, which loses and doubles nothing."""
        before = self.good()
        status = self.hit(verb, seeds, signal.SIGKILL)
        after = self.good()
        assert set(before) <= set(after), f"lost {set(before) - set(after)}"
        assert max(after.values()) == 1, after
        return status, after

    def clean(self) -> None:
        """Nothing temporary is left once the next command has swept."""
        assert not [p for p in self.runs.rglob(".*") if p.is_file() and p.suffix != ".lock"]


def killed_runs(storm: Storm, count: int) -> Counter[str]:
    """The same command again and again until its seed is through, then the next seed."""
    storm.whole("run", ["--seed", "0"])
    found: Counter[str] = Counter()
    seed = 1
    while found["killed"] < count:
        status, after = storm.killed("run", ["--seed", str(seed)])
        found["ended before" if status == 0 else "killed"] += 1
        if status == 0:
            assert after[seed] == 1
            seed += 1
    storm.whole("run", ["--seed", str(seed)])
    assert storm.good() == dict.fromkeys(range(seed + 1), 1)
    storm.clean()
    return found


def stopped_runs(storm: Storm, count: int) -> Counter[str]:
    """A run that began leaves one truthful record; status 0 is a result."""
    storm.whole("run", ["--seed", "0"])
    found: Counter[str] = Counter()
    for seed in range(1, count + 1):
        number = storm.dice.choice(STOPS)
        status = storm.hit("run", ["--seed", str(seed)], number)
        own = [item.status for item in record.read_all(storm.runs) if item.seed == seed]
        if (storm.marks / str(seed)).exists():
            assert len(own) == 1, (seed, own, status)
        assert len(own) <= 1, (seed, own)
        kind = own[0] if own else "nothing began"
        if status == 0:  # a signal may also come between the record and the end
            assert kind == "ok", (seed, own)
        found[f"{number.name} {kind}"] += 1
    storm.clean()
    return found


def killed_sweeps(storm: Storm, count: int, cells: int = 4) -> Counter[str]:
    """Sweeps of a few cells that are killed and taken up; each is whole before the next."""
    storm.whole("sweep", ["--seeds", "1"])
    storm.longest *= cells / 2
    found: Counter[str] = Counter()
    seeds = cells
    while found["killed"] < count:
        status, after = storm.killed("sweep", ["--seeds", str(seeds)])
        found["ended before" if status == 0 else "killed"] += 1
        if status == 0:
            assert after == dict.fromkeys(range(seeds), 1)
            seeds += cells
    storm.whole("sweep", ["--seeds", str(seeds)])
    assert storm.good() == dict.fromkeys(range(seeds), 1)
    storm.clean()
    return found


STORMS = {"run": killed_runs, "stop": stopped_runs, "sweep": killed_sweeps}


@pytest.mark.parametrize("kind", STORMS)
def test_a_few_signals(kind: str, toy: tuple[Path, Path], tmp_path: Path) -> None:
    assert STORMS[kind](Storm(toy, tmp_path), 3).total() >= 3


PARTS = {"run": (4, 250), "stop": (2, 250), "sweep": (2, 100)}  # workers may share a storm


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "part"), [(k, n) for k in PARTS for n in range(PARTS[k][0])])
def test_a_storm_of_signals(kind: str, part: int, toy: tuple[Path, Path], tmp_path: Path) -> None:
    count = PARTS[kind][1]
    found = STORMS[kind](Storm(toy, tmp_path), count)
    print(f"{kind}, part {part + 1} of {PARTS[kind][0]}: {dict(sorted(found.items()))}")
    assert found.total() >= count
