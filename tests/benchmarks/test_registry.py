"""Names, files, suggestions and source digests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks import registry


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(registry.UnknownName, match="did you mean 'tracking'"):
        registry.load("task", "trackign")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py"):
        registry.load("model", tmp_path / "nowhere.py")


def test_file_without_its_object_says_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "empty.py"
    path.write_text("MODEL = 3\n")
    with pytest.raises(TypeError, match=r"must define MODEL = Model\(\.\.\.\); found MODEL = 3"):
        registry.load("model", path)


def test_source_digest_follows_the_project_imports(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from physbench.models import Model\n")
    with_import = registry.source_digest(path)
    path.write_text("import os\n")
    assert registry.source_digest(path) != with_import


def test_two_files_of_one_name_are_two_entries(toy: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other" / "polynomial.py"
    other.parent.mkdir()
    other.write_text(toy[1].read_text().replace('"Gauss"', '"Legendre"'))
    references = [registry.load("model", p).object.reference for p in (toy[1], other)]
    assert references == ["Gauss", "Legendre"]


def test_a_file_changed_within_a_second_is_loaded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "mine.py"
    text = '''"""Mine."""
from physbench.models import Model

MODEL = Model(tasks=("tracking",), reference="one", fit=lambda t, v, *, seed: 0, predict=max)
'''
    for word in ("one", "two"):
        path.write_text(text.replace("one", word))
        os.utime(path, (1_700_000_000, 1_700_000_000))
        assert registry.load("model", path).object.reference == word
    assert not (tmp_path / "__pycache__").exists()


def test_a_file_of_bytes_is_no_task(tmp_path: Path) -> None:
    path = tmp_path / "network.weights"
    path.write_bytes(b"\0\1\2")
    with pytest.raises(TypeError, match=r"network.weights is no Python file"):
        registry.load("task", path)
