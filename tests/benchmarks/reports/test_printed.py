"""What a run says at its end: the mean of its seeds, and what that means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.reports import printed
from physbench.leaderboard import statistics
from physbench.leaderboard.board import Board, Row


def row(model: str, score: float, role: str = "ranked", kind: str = "learned") -> Row:
    random = np.random.default_rng(len(model))
    replicates = score + 0.01 * random.normal(size=(3, 200))
    scores = statistics.Scores(np.full(3, score), replicates, 500)
    return Row(
        rank=1, tied=False, rank_low=1, rank_high=1, model=model, note="", role=role,  # type: ignore[arg-type]
        seeds=3, score=score, low=score - 0.02, high=score + 0.02, others={}, parameters=None,
        train_s=1.0, units_per_s=1.0, records=(f"{model:.12s}",), detectable=0.1, scores=scores,
        kind=kind,
    )  # fmt: skip


def board(best: str = "max") -> Board:
    sign = 1 if best == "max" else -1
    rows = (
        row("truth", sign * 1.0, "oracle", "oracle"),
        row("helix_clustering", sign * 0.8),
        row("mine", sign * 0.7),
        row("one_track_per_hit", sign * 0.5, "ranked", "floor"),
    )
    return Board("tracking", "d", "s", "event", "m", best, rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("best", ["max", "min"])
def test_mean_share_of_the_gap_and_distance_in_words(best: str) -> None:
    mean, share, distance = printed.meaning(board(best), ["mine"])[1:]
    assert mean.startswith("mean over 3 seeds: ")
    assert share == "closes 40% of the gap between one_track_per_hit and truth"
    assert distance == "0.1 below the best other row (helix_clustering), significant"


def test_records_that_stand_on_no_row_say_nothing() -> None:
    assert printed.meaning(board(), ["elsewhere"]) == []


def test_a_run_prints_the_mean_of_a_registered_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "glass_mobility", "type_mean", "--dataset", "kob_andersen"]) == 0
    out = capsys.readouterr().out
    assert "mean over 1 seed: " in out
    assert "below the best other row" in out
