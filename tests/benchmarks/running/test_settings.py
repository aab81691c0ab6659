"""Settings of a run: defaults, what is given, old names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import registry
from benchmarks.__main__ import assignments
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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hits=true", {"hits": "true"}),
        ("live=true", {"live": True}),
        ("live=False", {"live": False}),
    ],
)
def test_true_is_a_word_where_words_are_expected(text: str, found: dict[str, object]) -> None:
    def load(*, hits: str = "measured", live: bool = False) -> None: ...

    assert (
        resolve(load, assignments([text]), "protocol")
        == {"hits": "measured", "live": False} | found
    )


def test_a_truth_value_is_no_other_word() -> None:
    def fit(*, live: bool = False) -> None: ...

    with pytest.raises(TypeError, match="setting 'live' must be bool"):
        resolve(fit, assignments(["live=yes"]), "setting")


def test_a_number_names_what_has_a_number_for_a_name() -> None:
    def load(*, variant: str = "", showers: int = 0) -> None: ...

    found = resolve(load, assignments(["variant=3", "showers=3"]), "protocol")
    assert found == {"variant": "3", "showers": 3}
    with pytest.raises(TypeError, match="protocol 'variant' must be str"):
        resolve(load, assignments(["variant=3.5"]), "protocol")


def test_true_hits_can_be_asked_for_on_the_command_line() -> None:
    protocol = assignments(["hits=true"])
    load = registry.load("task", "track_parameters").object.load
    assert resolve(load, protocol, "protocol")["hits"] == "true"
