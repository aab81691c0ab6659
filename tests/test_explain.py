"""Permutation of neurons by hand, planted formulas, and the explanation of a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import benchmarks
from benchmarks import explaining, neurons
from benchmarks.__main__ import main

X = np.array([0.0, 1.0, 2.0, 3.0])


def linear() -> nn.Linear:
    """y = 2 x; the second neuron has no weight behind it, the third never changes."""
    layer = nn.Linear(3, 1)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([[2.0, 0.0, 5.0]])
        layer.bias.fill_(-5.0)
    return layer


def inputs() -> torch.Tensor:
    return torch.tensor(np.stack([X, X**2, np.ones(4)], 1), dtype=torch.float32)


def error(prediction: Any) -> float:
    return float(((prediction.detach().numpy()[:, 0] - 2 * X) ** 2).mean())


def test_reversed_neuron_by_hand() -> None:
    layer = linear()
    assert error(layer(inputs())) == 0
    with neurons.changed(layer, 0, X[::-1].copy()):
        assert error(layer(inputs())) == 20
    with neurons.changed(layer, 0, X):
        assert error(layer(inputs())) == 0
    assert error(layer(inputs())) == 0


def test_importance_of_a_linear_model() -> None:
    """Averaged over permutations the error grows by 2 w^2 v = 10, v the variance of x."""
    layer = linear()
    reference, change = neurons.importance(
        layer, lambda: layer(inputs()), {"mse": error}, permutations=4000
    )
    assert reference == {"mse": 0}
    assert change["mse"][0].mean() == pytest.approx(10, abs=0.4)
    assert not change["mse"][1:].any()


def test_only_real_rows_are_shuffled() -> None:
    layer = linear()
    rows = np.array([True, True, False, False])
    _, change = neurons.importance(
        layer, lambda: layer(inputs()), {"mse": error}, permutations=200, rows=rows
    )
    assert set(np.round(change["mse"][0], 6)) == {0.0, 2.0}  # (2^2 + 2^2) / 4 when swapped


def test_layers_are_found_by_name() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    assert neurons.layer_of(network, None) is network[2]
    with pytest.raises(ValueError, match="layer must be one of 0, 2; got 'body'"):
        neurons.layer_of(network, "body")
    with pytest.raises(ValueError, match="no network"):
        neurons.network_of("taubin")


def test_a_planted_formula_is_found() -> None:
    pytest.importorskip("gplearn")
    generator = np.random.default_rng(0)
    r, theta = generator.uniform(30, 1000, 1000), generator.uniform(0.3, 2.8, 1000)
    y = 0.035 * np.sqrt(r * np.sin(theta))
    x = np.column_stack([r, theta])
    formula, nodes, values, r2 = explaining.symbolic(x, y, ("r", "theta"))
    assert r2 > 0.999, formula
    assert nodes <= 15, formula
    assert values == pytest.approx(y, rel=0.01)


@pytest.mark.slow
def test_explanation_of_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (record,) = benchmarks.run(
        "track_parameters", "mlp", settings={"widths": [6], "epochs": 1, "batch": 4096},
        runs=tmp_path,
    )  # fmt: skip
    path = tmp_path / record.path
    out = tmp_path / "out"
    arguments = ["explain", str(path), "--units", "400", "--permutations", "2", "--symbolic", "0"]
    assert main([*arguments, "--out", str(out)]) == 0
    assert str(out / "tables.md") in capsys.readouterr().out
    importance = json.loads((out / "importance.json").read_text())
    assert [row["neuron"] for row in importance] == ["none", *range(6)]
    assert max(row["loss"] for row in importance[1:]) > 0
    information = {r["variable"]: r for r in json.loads((out / "information.json").read_text())}
    assert information["random uniform"]["U"] < 0.1
    assert information["pT"]["H"] == pytest.approx(np.log(8), abs=1e-3)
    assert (out / "maps.png").stat().st_size > 10_000
    (path.parent / record.weights.file).unlink()  # type: ignore[union-attr]
    assert main(["explain", str(path)]) == 2
    (circle,) = benchmarks.run("track_parameters", "circle_taubin", runs=tmp_path)
    assert main(["explain", str(tmp_path / circle.path)]) == 2
    assert "keeps no weights" in capsys.readouterr().err
