"""The study of track_parameters: which committed records fill it, and its figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import registry
from benchmarks.reports import boards, studying
from physbench.datasets.common.particle_mix import SPECIES
from physbench.datasets.tracks import TrackTruth
from physbench.tasks import Variant, track_parameters


def variant(seed: int, sign: float = 1.0) -> Variant:
    """600 tracks with 1 % of error, a Kalman filter that is as good, and three epochs."""
    generator = np.random.default_rng(seed)
    n = 600
    pt, q = generator.uniform(0.5, 10, n), generator.choice([-1.0, 1.0], n)
    error = np.exp(generator.normal(0, 0.01, (2, n)))
    kalman = np.stack([q / pt * error[0], 0.1 * pt, np.zeros(n), np.zeros(n)], 1)
    truth = TrackTruth(
        pt, 0.1 * pt, q, np.zeros(n), np.zeros(n), np.zeros(n), np.full(n, 0.1),
        np.full(n, SPECIES[0][1]), kalman, np.full(n, 12), np.full((n, 3), 0.01), (1.0, 1.0, 1.0),
    )  # fmt: skip
    found = {"qopt": sign * q / pt * error[1], "pz": 0.1 * pt * error[1]}
    rows = [{"train_loss": 1 / e, "validation_loss": 1.1 / e} for e in (1, 2, 3)]
    values = {"pull_pt": 1.0 + 0.01 * seed, "outlier_fraction": 0.001, "sign_error_rate": 0.0}
    return Variant(truth, found, values, rows)


@pytest.fixture(scope="module")
def variants() -> dict[str, Variant]:
    return {name: variant(k) for k, name in enumerate(track_parameters.TASK.study)}


@pytest.mark.parametrize("name", track_parameters.TASK.study_figures)
def test_every_figure_is_drawn_from_the_variants_of_the_study(
    name: str, variants: dict[str, Variant]
) -> None:
    figure = track_parameters.TASK.study_figures[name](variants)
    assert figure.axes
    for axes in figure.axes:
        assert axes.has_data()
        assert axes.get_xlabel() or axes.get_title()


def test_the_learning_curve_has_the_scores_by_number_of_tracks(
    variants: dict[str, Variant],
) -> None:
    figure = track_parameters.TASK.study_figures["Learning curve"](variants)
    for line, ending in zip(figure.axes[0].get_lines(), ("", ", pT first"), strict=False):
        assert line.get_xdata().tolist() == [2000, 7000, 20_000, 69_000]
        names = [f"chord, {n:,} tracks{ending}" for n in (2000, 7000, 20_000, 69_000)]
        assert line.get_ydata().tolist() == [variants[n].values["pull_pt"] for n in names]


def test_a_missing_variant_leaves_its_figures_out(
    variants: dict[str, Variant], capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    few = {n: v for n, v in variants.items() if not n.startswith("chord, ")}
    monkeypatch.setattr(studying, "_variant", lambda task, kept, loaded: few[kept])

    class Good:
        status = "ok"

    class Name(str):
        record = Good()

    drawn = studying.pictures(track_parameters.TASK, {n: [Name(n)] for n in few})  # type: ignore[list-item]
    assert "Inputs" in drawn
    assert not {"Learning curve", "Scattering cut"} & set(drawn)
    assert "no figure 'Learning curve'" in capsys.readouterr().err


def test_committed_records_fill_the_study_in_raw_coordinates() -> None:
    entry, model = registry.load("task", "track_parameters"), registry.load("model", "trackformer")
    assert studying.studied(entry, boards.gather()[0]) == ["trackformer"]
    found = studying.committed_of(entry, model)
    raw = [name for name in found if "->" in name]
    assert len(raw) == 18
    for name in raw:
        record = found[name][0].record
        protocol = record.task.protocol
        assert name.startswith(f"{protocol['coordinates']} -> {protocol['target']}, ")
        assert name.endswith(str(record.model.hyper_parameters["loss"]))
        assert found[name][0].path.is_file()
