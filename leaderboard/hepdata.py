"""Boards as a HEPData submission: YAML files (JSON is YAML) of its schema.

Schema: HEPData's submission documents, https://hepdata-submission.readthedocs.io.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from physbench.leaderboard import record as records
from physbench.leaderboard.board import Board, Row

WORDS = {"max": "higher is better", "min": "lower is better", "zero": "zero is best"}


def write(boards: Sequence[Board], units: Mapping[str, str], folder: Path) -> list[Path]:
    """Write `submission.yaml` and a table for each board; returns the paths.

    `units` are those of the ranking metrics, by task.
    """
    documents: list[dict[str, Any]] = [
        {"comment": "Boards of Physbench, computed from the records named in each table."}
    ]
    paths = []
    for board in boards:
        name = f"{board.task}-{board.dataset}"
        path = folder / f"{name}-{board.split[:8]}.yaml"
        records.atomic(path, _text(table(board, units.get(board.task, "1"))))
        documents.append(_document(board, name, path.name))
        paths.append(path)
    submission = folder / "submission.yaml"
    records.atomic(submission, "---\n".join(_text(document) for document in documents))
    return [submission, *paths]


def _text(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _document(board: Board, name: str, file: str) -> dict[str, Any]:
    return {
        "name": name[:64],
        "description": (
            f"{board.metric} of models on {board.task}, {board.dataset} ({WORDS[board.best]}); "
            f"95 % intervals over {board.unit}s and seeds. Split {board.split[:12]}."
        ),
        "keywords": [
            {"name": "observables", "values": [board.metric]},
            {"name": "phrases", "values": ["machine learning", "benchmark", board.task]},
        ],
        "data_file": file,
    }


def table(board: Board, unit: str) -> dict[str, Any]:
    """The scored rows of a board: model, rank, seeds and records against the score."""
    rows = [row for row in board.rows if math.isfinite(row.score)]
    texts: dict[str, list[Any]] = {
        "model": [row.model for row in rows],
        "role": [row.kind for row in rows],
        "rank": ["-" if row.rank is None else str(row.rank) for row in rows],
        "seeds": [row.seeds for row in rows],
        "records": [" ".join(row.records) for row in rows],
    }
    header = {"name": board.metric} | ({} if unit == "1" else {"units": unit})
    return {
        "independent_variables": [
            {"header": {"name": name}, "values": [{"value": value} for value in values]}
            for name, values in texts.items()
        ],
        "dependent_variables": [
            {
                "header": header,
                "qualifiers": [
                    {"name": "task", "value": board.task},
                    {"name": "dataset", "value": board.dataset},
                ],
                "values": [_value(row) for row in rows],
            }
        ],
    }


def _value(row: Row) -> dict[str, Any]:
    if not (math.isfinite(row.low) and math.isfinite(row.high) and row.high > row.low):
        return {"value": row.score}  # HEPData takes no uncertainty of zero
    ends = {"plus": max(row.high - row.score, 0.0), "minus": min(row.low - row.score, 0.0)}
    return {"value": row.score, "errors": [{"asymerror": ends, "label": "95 % interval"}]}
