"""Where rows stand, by hand, and the Markdown board that says it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from physbench.leaderboard import standing, statistics, tables
from physbench.leaderboard.board import Board, Row


def row(model: str, score: float, kind: str, role: str = "ranked") -> Row:
    noise = np.random.default_rng(len(model)).normal(size=(3, 200))
    scores = statistics.Scores(np.full(3, score), score + 0.01 * noise, 500)
    return Row(
        rank=1, tied=False, rank_low=1, rank_high=1, model=model, note="", role=role,  # type: ignore[arg-type]
        seeds=3, score=score, low=score - 0.02, high=score + 0.02, others={}, parameters=None,
        train_s=90.0, units_per_s=1.0, records=(model,), detectable=0.1, scores=scores, kind=kind,
    )  # fmt: skip


def board(best: str) -> Board:
    sign = 1 if best == "max" else -1
    rows = (
        row("truth", sign * 1.0, "oracle", "oracle"),
        row("network", sign * 0.9, "learned"),
        row("fit", sign * 0.7, "classical"),
        row("constant", sign * 0.5, "floor"),
    )
    return Board("tracking", "d", "s" * 20, "event", "m", best, rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("best", ["max", "min"])
def test_shares_and_differences_by_hand(best: str) -> None:
    oracle, network, fit, constant = standing.of(board(best))
    # (0.9 - 0.5) / (1.0 - 0.5) and (0.7 - 0.5) / (1.0 - 0.5)
    assert network.share == pytest.approx(0.8)
    assert fit.share == pytest.approx(0.4)
    assert math.isnan(oracle.share)
    assert math.isnan(constant.share)
    assert oracle.to_best is None
    assert network.to_best is None
    assert fit.to_classical is None
    assert network.to_classical is not None
    assert abs(network.to_classical.value) == pytest.approx(0.2)
    assert network.to_classical.better
    assert network.to_classical.clear
    assert constant.to_classical is not None
    assert not constant.to_classical.better


def test_the_matrix_is_antisymmetric() -> None:
    rows, cells = standing.matrix(board("max"))
    assert [r.model for r in rows] == ["network", "fit", "constant"]
    for i, line in enumerate(cells):
        for j, cell in enumerate(line):
            other = cells[j][i]
            assert (cell is None) == (i == j)
            if cell is not None and other is not None:
                assert cell.value == pytest.approx(-other.value)
                assert cell.better != other.better


def test_a_board_without_floor_or_classical_row_has_no_such_column() -> None:
    full = board("max")
    bare = Board("t", "d", "s", "event", "m", "max", full.rows[1:2])
    assert standing.limits(bare) == (None, None)
    assert math.isnan(standing.of(bare)[0].share)
    assert "to fit" in tables.markdown(full)
    assert "to " not in tables.markdown(bare).splitlines()[2].replace("to the best", "")


def test_markdown_has_at_most_eight_columns_marks_and_links() -> None:
    lines = tables.markdown(board("max"), linked=True).splitlines()
    assert lines[2].count("|") - 1 == 8
    assert "| fit (classical) | 0.700 [0.680, 0.720] | -0.2 |  | 40% |" in lines[6]
    assert "[3](../records/tracking/d/fit) | 90 s |" in lines[6]
    assert "records/" not in tables.markdown(board("max"))
