"""What `info` and `list` tell a newcomer, read from the sources without importing them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields

import pytest

from benchmarks import registry
from benchmarks.__main__ import main
from benchmarks.reports import cards
from physbench.datasets import description


@pytest.mark.parametrize("name", registry.names("task"))
def test_card_of_a_task_is_what_the_task_says(name: str) -> None:
    card, task = cards.of("task", name), registry.load("task", name).object
    assert task.inputs is not None
    assert card.inputs == task.inputs.__name__
    described = [(row.name, row.shape, row.unit, row.text) for row in card.fields]
    assert described == description(task.inputs)
    assert {row.name for row in card.fields} == {f.name for f in fields(task.inputs)}
    assert [row.name for row in card.predicts] == [field.name for field in task.predicts]
    assert card.predicts
    assert [row.name for row in card.metrics] == [metric.name for metric in task.metrics]
    assert [row.unit for row in card.metrics] == [metric.unit for metric in task.metrics]
    assert all(row.text for row in card.metrics)
    assert {"learned", "oracle"} <= set(card.models)


def test_card_of_a_model_names_its_extra_and_presets() -> None:
    card = cards.of("model", "schnet")
    assert (card.tasks, card.role, card.extras) == (("glass_mobility",), "learned", ("md",))
    assert "pip install 'physbench[md]'" in cards.shown(card)


def test_info_imports_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import sys; from benchmarks.__main__ import main; main(['info', 'tracking'])\n"
        "assert not {'torch', 'pandas', 'numpy'} & set(sys.modules), 'heavy import'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "predict returns:" in done.stdout
    assert "mm  global position, along the beam and the field" in done.stdout


def test_list_of_a_task_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--task", "tracking", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {entry["kind"] for entry in found} == {"task", "model"}
    roles = {entry["name"]: entry.get("role") for entry in found}
    assert roles["truth"] == "oracle"
    assert "schnet" not in roles
    assert main(["list", "--task", "trackin"]) == 2
    assert "did you mean 'tracking'" in capsys.readouterr().err


def test_references_name_all_authors() -> None:
    """By surname and initials where there are many; a collaboration where there is one."""
    for kind in registry.KINDS:
        for name in registry.names(kind):
            text = registry.path(kind, name).read_text("utf-8")
            assert not re.search(r"author = \{[^}]*\band others\b", text), name
