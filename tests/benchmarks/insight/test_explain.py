"""Permutation of neurons by hand, planted formulas, and the explanation of a record."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import benchmarks
from benchmarks.__main__ import main
from benchmarks.insight import explaining, neurons
from benchmarks.reports import boards
from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth
from physbench.datasets.tracks import Tracks, TrackTruth
from physbench.models.tracks import kan
from physbench.tasks import track_parameters, tracking
from physbench.tasks.metrics import event_rows, track_rows

COMMITTED = boards.committed_root()
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


def two_tracks() -> Split:
    """Tracks of 3 and 2 + 1 hits; the second one has a padded slot."""
    hits = np.zeros((2, 4, 3), dtype=np.float32)
    hits[:, :, 0] = [30, 70, 110, 170]
    mask = np.array([[True] * 4, [True] * 3 + [False]])
    column = np.array([1.0, 2.0])
    truth = TrackTruth(
        column,
        column,
        np.array([1.0, -1.0]),
        column,
        column,
        column,
        column,
        column,
        np.zeros((2, 4)),
        np.array([4, 3]),
        np.ones((2, 3)),
    )
    return Split(Tracks(hits * mask[..., None], mask), truth, ["a", "b"])


def one_event() -> Split:
    """Particle 5 with hits 0 and 1, particle 6 with hit 2, and a noise hit."""
    x = np.array([30.0, 70.0, 0.0, 0.0])
    y, z = np.array([0.0, 0.0, 40.0, 50.0]), np.array([30.0, 70.0, 0.0, 1.0])
    number = np.arange(4)
    event = Event("e", number, x, y, z, number, number, number)
    truth = EventTruth(
        np.array([5, 5, 6, 0]),
        np.full(4, 0.25),
        np.array([1.0, 2.0, 1.0, 0.0]),
        np.array([5, 6]),
        np.array([1.5, 2.5]),
        np.array([0.1, 0.2]),
        number,
        number,
    )
    return Split([event], [truth], ["e"])


def test_rows_are_tracks_or_their_hits() -> None:
    split = two_tracks()
    tracks = explaining.rows_of(track_parameters.TASK, split, None, 2)
    assert tracks is not None
    assert tracks.known["q/pT"].tolist() == [1.0, -0.5]
    assert tracks.apart.tolist() == [0, 1]
    hits = explaining.rows_of(track_parameters.TASK, split, None, 8)
    assert hits is not None
    assert hits.real.tolist() == [True] * 7 + [False]
    assert hits.known["pT"].tolist() == [1.0] * 4 + [2.0] * 4
    assert hits.arguments["r"][:4].tolist() == [30, 70, 110, 170]
    first, second = hits.apart
    assert first < 4 <= second < 7  # one real hit of each track
    assert explaining.rows_of(track_parameters.TASK, split, None, 5) is None


def test_rows_are_hits_or_edges_of_events() -> None:
    split = one_event()
    predictions = [{"edges": np.array([[0, 1], [0, 2], [3, 1]]), "scores": [0.9, 0.2, 0.5]}]
    hits = explaining.rows_of(tracking.TASK, split, predictions, 4)
    assert hits is not None
    assert hits.known["particle pT"][:3].tolist() == [1.5, 1.5, 2.5]
    assert np.isnan(hits.known["particle pT"][3])
    assert len(hits.apart) == 2
    assert hits.apart[0] in (0, 1)
    assert hits.apart[1] == 2  # noise is of no particle
    assert hits.arguments["theta"][0] == pytest.approx(np.pi / 4)
    assert hits.arguments["eta"][0] == pytest.approx(-np.log(np.tan(np.pi / 8)))
    edges = explaining.rows_of(tracking.TASK, split, predictions, 3)
    assert edges is not None
    assert edges.known["true edge"].tolist() == [1, 0, 0]
    assert edges.arguments["dphi"] == pytest.approx([0, np.pi / 2, -np.pi / 2])
    assert edges.arguments["dr"].tolist() == [40, 10, 20]
    assert len(edges.apart) == 1  # both edges with a known inner particle are of one particle


def test_losses_by_hand() -> None:
    scores = np.array([0.9, 0.2])
    predictions = [{"edges": np.array([[0, 1], [0, 2]]), "scores": scores}]
    expected = -(np.log(0.9) + np.log(0.8)) / 2
    assert event_rows.loss(one_event().targets, predictions) == pytest.approx(expected)
    qopt = {"qopt": np.array([1.1, -0.5])}
    assert track_rows.loss(two_tracks().targets, qopt) == pytest.approx(0.005)
    assert np.isnan(event_rows.loss(one_event().targets, [np.zeros(3)]))


def test_formulas_without_gplearn_are_refused_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gplearn.genetic", None)
    path = sorted(COMMITTED.glob("track_parameters/generic_tracks/deep_sets/0-*.json"))[0]
    with pytest.raises(ImportError, match=r"physbench\[symbolic\]"):
        explaining.explain(path)


def test_no_units_and_no_permutations_are_refused() -> None:
    path = sorted(COMMITTED.glob("track_parameters/generic_tracks/deep_sets/0-*.json"))[0]
    for name in ("units", "permutations"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1; got 0"):
            explaining.explain(path, **{name: 0})


@pytest.mark.slow
def test_explanation_of_a_tracking_network(tmp_path: Path) -> None:
    (record,) = benchmarks.run(
        "tracking",
        "interaction_network",
        runs=tmp_path / "runs",
        protocol={"events": 4},
        settings={"epochs": 4, "width": 64, "builder": "best_in_out"},
    )
    path = tmp_path / "runs" / record.path
    written = explaining.explain(path, units=1, permutations=1, symbolic=0, out=tmp_path)
    assert {p.name for p in written} >= {"maps.png", "importance.png", "information.json"}
    rows = {r["variable"]: r for r in json.loads((tmp_path / "information.json").read_text())}
    assert rows["true edge"]["U"] > 0.3
    assert abs(rows["random normal"]["U"]) < 0.1
    with pytest.raises(ValueError, match="neurons go from 0 to 63 here; got 64"):
        explaining.explain(path, units=1, symbolic=0, chosen=[64])
    importance = json.loads((tmp_path / "importance.json").read_text())
    assert max(row["loss"] for row in importance[1:]) > 0


def test_single_neurons_know_what_was_planted_and_nothing_of_chance() -> None:
    generator = np.random.default_rng(0)
    known = {"x": generator.normal(size=1500), "random normal": generator.normal(size=1500)}
    latent = np.column_stack([known["x"] ** 3, generator.normal(size=1500)])
    first, second, floor = explaining.neuron_table(latent, known)
    assert first["x"] > 0.9
    assert abs(second["x"]) < 0.03
    assert floor["neuron"] == "largest of random"
    assert (
        floor["x"]
        == floor["random normal"]
        == max(first["random normal"], second["random normal"])
    )


def test_a_bound_of_the_information_is_one() -> None:
    generator = np.random.default_rng(1)
    x, label = generator.normal(size=(1200, 3)), generator.integers(8, size=1200)
    assert explaining.prediction_bound(x, label) == 0
    told = (x[:, 0] > 0).astype(np.int64)
    assert 0.9 * np.log(2) < explaining.prediction_bound(x, told) <= np.log(2)
    (row,) = explaining.information_table(x, {"y": told.astype(float)})
    assert row["H given latent"] >= 0


def test_the_functions_of_a_kan_add_up_to_its_layer(tmp_path: Path) -> None:
    network = kan.Network(widths=(4,), slots=3)
    layer = next(m for m in network.modules() if isinstance(m, kan.Layer))
    x = torch.linspace(-1, 1, 12)
    whole = layer(x[None])[0]
    parts = torch.stack([layer.functions(x)[:, i, i] for i in range(12)]).sum(0)
    assert (parts + layer.smooth.bias).tolist() == pytest.approx(whole.tolist(), abs=1e-5)
    curves = network.curves(5)
    assert len(curves) == 5
    assert all(len(x) == len(y) == 101 for x, y in curves.values())
    panels: dict[str, Any] = {name: {"": curve} for name, curve in curves.items()}
    assert explaining.lines(panels, tmp_path / "functions.png").stat().st_size > 10_000


@pytest.mark.slow
def test_explanation_of_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (record,) = benchmarks.run(
        "track_parameters",
        "mlp",
        settings={"widths": [6], "epochs": 1, "batch": 4096},
        runs=tmp_path,
    )
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
