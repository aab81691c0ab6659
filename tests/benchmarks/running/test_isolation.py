"""No path from the model's process to the truth of the test split."""

from __future__ import annotations

from pathlib import Path

import pytest

import benchmarks

# Targets of the test split: 40 numbers that stand in no other place.
TRUTH = "targets = np.arange(40) * 1.25 + 98765.4375 if name == 'c' else x**2\n        "
SPY = '''"""Looks for the truth of the test split in the memory of its own process."""
import gc
import sys
import numpy as np
from physbench.models import Model

FIRST, STEP = 98765.4375, 1.25

def holds(values):
    values = values[: len(values) - len(values) % 8]
    numbers = np.frombuffer(values, dtype=np.float64)
    with np.errstate(all="ignore"):
        hit = np.flatnonzero(numbers[:-1] == FIRST)
        return any(numbers[i + 1] - FIRST == STEP for i in hit)

def in_memory():
    found = 0
    for line in open("/proc/self/maps"):
        place, rights, *_ = line.split()
        low, high = (int(part, 16) for part in place.split("-"))
        if rights.startswith("r") and high - low < 1 << 28 and "[v" not in line:
            try:
                with open("/proc/self/mem", "rb") as memory:
                    memory.seek(low)
                    found += holds(memory.read(high - low))
            except (OSError, ValueError):
                continue
    return found

def in_objects(roots):
    seen, stack, found = set(), [roots, gc.get_objects(), sys._current_frames()], 0
    while stack and len(seen) < 2_000_000:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, np.ndarray) and item.dtype == np.float64:
            found += holds(np.ascontiguousarray(item).tobytes())
        else:
            stack.extend(gc.get_referents(item))
            for name in ("f_locals", "f_back", "__closure__", "cell_contents", "__dict__"):
                try:
                    stack.append(getattr(item, name))
                except Exception:
                    continue
    return found

def fit(train, validation, *, seed):
    planted = np.array([FIRST, FIRST + STEP]) if {plant} else None
    found = in_memory(), in_objects([train, validation, sys._getframe()])
    if any(found):
        raise RuntimeError(f"the truth is here: {{found}}")
    return planted

def predict(fitted, inputs):
    found = in_memory(), in_objects([inputs, sys._getframe()])
    if any(found):
        raise RuntimeError(f"the truth is here: {{found}}")
    return np.zeros(len(inputs))

MODEL = Model(tasks=("toy",), reference="none", fit=fit, predict=predict)
'''


@pytest.mark.parametrize("plant", [False, True])
def test_the_truth_is_not_in_the_models_memory(
    toy: tuple[Path, Path], tmp_path: Path, plant: bool
) -> None:
    """Neither as an object nor as bytes; a truth that is planted there is found."""
    text = (
        toy[0]
        .read_text()
        .replace(
            "return Split(x, x**2 + noise * rng.normal(size=n),",
            TRUTH + "return Split(x, targets,",
        )
    )
    toy[0].write_text(text)
    model = tmp_path / "spy.py"
    model.write_text(SPY.format(plant=plant).replace("{{", "{").replace("}}", "}"))
    (found,) = benchmarks.run(toy[0], model)
    if plant:
        assert found.status == "failed"
        assert found.failure is not None
        assert "the truth is here" in found.failure.message
    else:
        assert found.status == "ok", found.failure


CHEAT = '''"""Replaces the metrics of the task in its own process."""
import numpy as np
from physbench.models import Model

def fit(train, validation, *, seed):
    import sys
    for module in list(sys.modules.values()):
        if "mean_squared_error" in vars(module):
            module.mean_squared_error = lambda targets, predictions: 0.0
            object.__setattr__(module.TASK.metrics[0], "function", lambda t, p: 0.0)
            object.__setattr__(module.TASK, "prepare", lambda inputs, predictions: predictions)
    return validation.metrics["mean_squared_error"](validation.targets + 7.0)

def predict(fitted, inputs):
    return np.full(len(inputs), 5.0)

MODEL = Model(tasks=("toy",), reference="none", fit=fit, predict=predict)
'''


def test_a_metric_patched_by_the_model_is_not_the_judges(
    toy: tuple[Path, Path], tmp_path: Path
) -> None:
    model = tmp_path / "cheat.py"
    model.write_text(CHEAT)
    (found,) = benchmarks.run(toy[0], model)
    assert found.status == "ok", found.failure
    assert found.metrics[0].value is not None
    assert found.metrics[0].value > 10


def test_seeds_do_not_meet(toy: tuple[Path, Path], tmp_path: Path) -> None:
    model = tmp_path / "stateful.py"
    model.write_text('''"""Counts its runs in a module of the standard library."""
import math
import numpy as np
from physbench.models import Model

def fit(train, validation, *, seed):
    math.runs = getattr(math, "runs", 0) + 1
    return math.runs

def predict(fitted, inputs):
    return np.full(len(inputs), float(fitted))

MODEL = Model(tasks=("toy",), reference="none", fit=fit, predict=predict)
''')
    found = benchmarks.run(toy[0], model, seeds=3)
    assert len({r.predictions.sha256 for r in found if r.predictions}) == 1
