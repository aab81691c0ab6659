"""Boards: order, ties, intervals, oracles, failures, and the same bytes from the same records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import benchmarks
from physbench.leaderboard import board, citations, tables
from physbench.leaderboard.record import Record


@pytest.fixture
def some(toy: tuple[Path, Path]) -> list[Record]:
    found = []
    for degree in (1, 2, 3):
        found += benchmarks.run(*toy, seeds=3, settings={"degree": degree, "jitter": 0.02})
    return found


def test_rows_are_ranked_and_close_ones_are_tied(some: list[Record]) -> None:
    rows = board.build(some).rows
    assert [row.rank for row in rows] == [1, 1, 3]
    assert rows[2].model == "polynomial degree=1"
    assert rows[0].tied
    assert not rows[2].tied
    assert all(row.low < row.score < row.high for row in rows)
    assert rows[2].score == pytest.approx(np.mean([r.metrics[0].value for r in some[:3]]))


def test_the_variant_with_the_most_seeds_bears_the_bare_name(some: list[Record]) -> None:
    rows = board.build(some[1:8]).rows
    labels = {row.model for row in rows}
    assert labels == {"polynomial", "polynomial degree=1", "polynomial degree=3"}
    mine = frozenset(r.id for r in some[3:6])  # a user's own runs never rename committed rows
    labels = {row.model for row in board.build(some[1:], local=mine).rows}
    assert labels == {"polynomial degree=1", "polynomial", "polynomial degree=2 (yours)"}


def test_a_task_may_say_a_word_behind_a_models_name(some: list[Record]) -> None:
    def word(model: str, settings: Mapping[str, Any]) -> str:
        return "small" if settings["degree"] < 3 else ""

    item = board.build(some, named_by=word)
    small = {f"polynomial (small) degree={degree}" for degree in (1, 2)}
    assert {row.model for row in item.rows} == small | {"polynomial degree=3"}
    assert board.bare("polynomial (small) degree=1") == "polynomial degree=1"
    table = citations.table(item, [(row, ()) for row in item.rows], "1", 8)
    assert "polynomial (small, degree=1)" in table
    assert "polynomial (degree=3)" in table


def test_same_records_give_the_same_bytes(some: list[Record]) -> None:
    texts = {
        tables.markdown(board.build(order)) + board.table(board.build(order))
        for order in (some, some[::-1], sorted(some, key=lambda r: r.id))
    }
    assert len(texts) == 1


def test_too_few_seeds_and_inadmissible_rows_are_not_ranked(some: list[Record]) -> None:
    rows = board.build(some[1:]).rows
    assert [row.note for row in rows if row.rank is None] == ["2 of 3 seeds"]
    rows = board.build(some, lambda m: "biased" if m["bias"] != 0 else None).rows
    assert all(row.rank is None and row.note == "biased" for row in rows)


def test_failed_seed_is_shown_and_enters_no_mean(
    some: list[Record], toy: tuple[Path, Path]
) -> None:
    (crash,) = benchmarks.run(*toy, settings={"behaviour": "crash"})
    rows = board.build([*some, crash]).rows
    assert rows[-1].role == "failed"
    assert "broken layer" in rows[-1].note
    assert [row.rank for row in rows] == [1, 1, 3, None]


def test_oracle_stands_on_top_without_a_rank(some: list[Record]) -> None:
    oracle = [
        r.model_copy(
            update={"model": r.model.model_copy(update={"oracle": True, "name": "truth"})}
        )
        for r in some[:3]
    ]
    rows = board.build(some + oracle).rows
    assert (rows[0].model, rows[0].rank, rows[0].role) == ("truth", None, "oracle")


def test_records_of_different_splits_never_share_a_board(some: list[Record]) -> None:
    other = some[0].model_copy(
        update={"task": some[0].task.model_copy(update={"split": "f" * 64})}
    )
    with pytest.raises(ValueError, match="different tasks, splits"):
        board.build([*some, other])
    with pytest.raises(ValueError, match="at least one record"):
        board.build([])


def test_own_records_make_rows_of_their_own(some: list[Record]) -> None:
    rows = board.build(some, local=frozenset(r.id for r in some[:3])).rows
    assert [row.model for row in rows if "yours" in row.model] == ["polynomial degree=1 (yours)"]


def test_no_mean_over_unequal_sets(some: list[Record]) -> None:
    first = some[0]
    bias = first.metric("bias")
    assert bias is not None
    hole = replace(bias, value=None, reason="undefined")
    kept = [m if m.name != "bias" else hole for m in first.metrics]
    rows = board.build([first.model_copy(update={"metrics": kept}), *some[1:3]]).rows
    assert np.isnan(rows[0].others["bias"])
    assert np.isfinite(board.build(some[:3]).rows[0].others["bias"])


def test_csv_is_read_by_pandas(some: list[Record], tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "board.csv"
    path.write_text(board.table(board.build(some)))
    table = pd.read_csv(path)
    assert list(table["rank"]) == [1, 1, 3]
    assert table["mean_squared_error"].iloc[0] == board.build(some).rows[0].score


def test_metrics_that_no_row_defines_have_no_column(some: list[Record]) -> None:
    whole = board.build(some)
    others = {"known": 1.0, "undefined": math.nan}
    partly = replace(whole, rows=tuple(replace(row, others=others) for row in whole.rows))
    assert partly.columns == ["known"]
    assert "undefined" not in tables.markdown(partly) + board.table(partly)


def test_an_option_that_is_off_is_as_if_it_were_not_there(some: list[Record]) -> None:
    def given(**options: object) -> str:
        task = some[0].task.model_copy(update={"protocol": options})
        return board.identity(some[0].model_copy(update={"task": task}))

    assert given(folder="", published_split=False) == given(folder="") == given()
    assert given(published_split=True) != given()
