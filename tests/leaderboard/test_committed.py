"""What is committed: records intact and small, boards rebuilt to the byte, scores repeated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.reports import boards
from benchmarks.running import scoring
from physbench.leaderboard import board, record, tables

ROOT = boards.committed_root()
RECORDS = sorted(ROOT.rglob("*.json"))


def test_records_are_intact_complete_and_small(tmp_path: Path) -> None:
    assert RECORDS
    for path in RECORDS:
        found = record.read(path)
        assert path == ROOT / found.path
        assert found.environment.threads == 1
        if found.predictions:
            predictions = path.parent / found.predictions.file
            # Labels of the hits of eight events at 60 pile-up are about 1.2 bytes a hit.
            most = 500_000 if found.task.name == "tracking" else 300_000
            assert predictions.stat().st_size <= most
    assert sum(p.stat().st_size for p in ROOT.rglob("*") if p.is_file()) < 100e6


def test_boards_are_rebuilt_to_the_same_bytes(tmp_path: Path) -> None:
    for item in boards.board(runs=tmp_path / "none"):
        stem = ROOT.parent / "boards" / f"{item.task}-{item.dataset}"
        assert stem.with_suffix(".md").read_text() == tables.markdown(item, linked=True)
        assert stem.with_suffix(".csv").read_text() == board.table(item)


def test_tracking_board_stands_between_floor_and_oracle(tmp_path: Path) -> None:
    found = boards.board("tracking", runs=tmp_path / "none")
    item = next(board for board in found if board.dataset == "generic_detector")
    scores = {row.model: row.score for row in item.rows}
    for model in ("acts_ckf strips=True", "gated_network"):
        assert scores["one_track_per_hit"] < scores[model] < scores["truth_edges"]


MOST_RESCORED = 5  # of a row with twenty references; `check` reads them all


def group(path: Path) -> str:
    return "/".join(path.relative_to(ROOT).parts[:3])


@pytest.mark.parametrize("row", sorted({group(path) for path in RECORDS}))
def test_scores_are_repeated_to_the_digit(row: str) -> None:
    """Values and slices of committed records, from their stored predictions, up to rounding."""
    paths = [path for path in RECORDS if group(path) == row][:MOST_RESCORED]
    for found, metrics in scoring.score(paths, intervals=False):
        bare = {"low": None, "high": None, "replicates": None, "method": "no interval"}
        for kept, again in zip(found.metrics, metrics, strict=True):
            assert scoring.alike(replace(kept, **bare), again), (found.path, again)


@pytest.mark.parametrize(
    "path",
    # The bootstrap of 10,000 jets or tracks takes some ten seconds a record.
    [
        pytest.param(path, marks=[] if "tracking" in path.parts else [pytest.mark.slow])
        for path in RECORDS
    ],
    ids=[f"{p.parent.name}-{p.stem}" for p in RECORDS],
)
def test_intervals_are_repeated_to_the_digit(path: Path) -> None:
    ((found, metrics),) = scoring.score(path)
    for kept, again in zip(found.metrics, metrics, strict=True):
        assert scoring.alike(kept, again), again.name
