"""Committed weights are loaded by the code of today, whatever their parameters were called."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import registry
from physbench.leaderboard import record
from physbench.models import Model

COMMITTED = Path(record.__file__).parent / "records"
MODELS = sorted({path.parent.name for path in COMMITTED.rglob("*.weights")})


@pytest.mark.parametrize("name", MODELS)
def test_committed_weights_are_loaded(name: str) -> None:
    model: Model = registry.load("model", name).object
    assert model.load is not None
    path = sorted(COMMITTED.glob(f"*/*/{name}/*.weights"))[0]
    fitted = model.load(path)
    assert fitted is not None
    assert model.parameters is None or model.parameters(fitted) > 0
