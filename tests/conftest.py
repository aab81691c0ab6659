"""Fixtures: a toy task and model as a user's own files, and an environment that stays at home."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

HAS_DATA = "PHYSBENCH_DATA" in os.environ


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """A test that needs real data is skipped where nobody has said that they are here."""
    try:
        return (yield)
    except FileNotFoundError as error:
        if HAS_DATA or "is not on this machine" not in str(error):
            raise
        return pytest.skip(f"{str(error).partition('. ')[0]}: set $PHYSBENCH_DATA")


TASK = '''"""Toy: learn a parabola."""
import numpy as np
from physbench.datasets import Dataset, Split, Splits
from physbench.tasks import Metric, Task

def load(dataset, *, noise=0.1):
    rng = np.random.default_rng(1)
    def split(n, name):
        x = rng.uniform(-1, 1, n)
        return Split(x, x**2 + noise * rng.normal(size=n), [f"{name}{i}" for i in range(n)])
    return Splits(split(50, "a"), split(20, "b"), split(40, "c"), files={"points": "0" * 64})

def prepare(inputs, predictions):
    predictions = np.asarray(predictions, dtype=np.float64)
    if predictions.shape != (len(inputs),):
        raise ValueError(f"predictions: shape {predictions.shape}, expected ({len(inputs)},)")
    if not np.isfinite(predictions).all():
        raise FloatingPointError("predictions hold NaN")
    return predictions

def mean_squared_error(targets, predictions):
    return float(np.mean((targets - predictions) ** 2))

def bias(targets, predictions):
    return {"all": float(np.mean(predictions - targets)), "left": 0.0}

TASK = Task(summary="toy", reference="none", unit="point", load=load,
            datasets=(Dataset(name="points", summary="a parabola", load=dict),),
            prepare=prepare,
            metrics=(Metric(mean_squared_error, "1", "min"), Metric(bias, "1", "zero")))
'''

MODEL = '''"""Toy polynomial."""
import numpy as np
from physbench.models import Model

def fit(train, validation, *, seed, degree=2, behaviour="good", jitter=0.0):
    if behaviour == "crash":
        raise RuntimeError("broken layer")
    if behaviour == "memory":
        raise MemoryError("too big")
    if behaviour == "interrupt":
        raise KeyboardInterrupt
    if behaviour == "diverge":
        raise FloatingPointError("loss is NaN")
    if behaviour == "hang":
        import os, pathlib, time
        if "TOY_MARKER" in os.environ:
            pathlib.Path(os.environ["TOY_MARKER"]).touch()
        time.sleep(60)
    x = train.inputs + jitter * np.random.normal(size=len(train.inputs))
    return np.polyfit(x, train.targets, degree), behaviour

def predict(fitted, inputs):
    coefficients, behaviour = fitted
    answer = np.polyval(coefficients, inputs)
    if behaviour == "short":
        return answer[:-1]
    if behaviour == "nan":
        answer[0] = np.nan
    return answer

MODEL = Model(tasks=("toy",), reference="Gauss", fit=fit, predict=predict)
'''


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes outside its temporary folder."""
    monkeypatch.setenv("PHYSBENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb"))
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def toy(tmp_path: Path) -> tuple[Path, Path]:
    """Paths of a toy task and a toy model that fit each other."""
    task, model = tmp_path / "toy.py", tmp_path / "polynomial.py"
    task.write_text(TASK)
    model.write_text(MODEL)
    return task, model
