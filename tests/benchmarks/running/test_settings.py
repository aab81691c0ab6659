"""Settings of a run: defaults, what is given, old names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import registry
from benchmarks.running.settings import NO_SETTINGS, resolve
from physbench.leaderboard import record
from physbench.models import renamed

COMMITTED = Path(record.__file__).parent / "records"


def learned() -> list[str]:
    return [n for n in registry.names("model") if registry.role(n) == "learned"]


@pytest.mark.parametrize("name", learned())
def test_settings_of_committed_records_are_settings_of_today(name: str) -> None:
    """Every one of them can be run again as it stands, under names that parameters had once."""
    fit = registry.load("model", name).object.fit
    for path in COMMITTED.glob(f"*/*/{name}/*.json"):
        given = json.loads(path.read_text(encoding="utf-8"))["model"]["hyper_parameters"]
        now = resolve(fit, given, "setting", skip=NO_SETTINGS)
        kept = renamed(given, now)
        assert {name: now[name] for name in kept} == kept, path
