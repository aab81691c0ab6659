"""Tracking datasets and the task: embedded events, official CSV files, what prepare refuses."""

from __future__ import annotations

import functools
import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import benchmarks
from physbench.datasets import Splits, generic_detector, trackml, trackml_graphs
from physbench.datasets.common import store
from physbench.datasets.common.events import selected
from physbench.datasets.common.store import DataError
from physbench.datasets.common.trackml_format import read_csv, scoring_weights
from physbench.tasks import tracking
from physbench.tasks.metrics import tracking as metrics


@functools.cache
def embedded() -> Splits:
    return benchmarks.task("tracking").load("generic_detector")


def real(*parts: str) -> Path:
    """A folder of the real data, or a skip with the reason."""
    base = Path(os.environ.get("PHYSBENCH_DATA", "nowhere"))
    for path in (base.joinpath("trackml", *parts), base.joinpath(*parts)):
        if path.is_dir():
            return path
    return pytest.skip(f"real data {'/'.join(parts)} are not below $PHYSBENCH_DATA")


def test_embedded_events_are_what_the_card_says() -> None:
    splits = embedded()
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [24, 4, 8]
    ids = [*splits.train.ids, *splits.validation.ids, *splits.test.ids]
    assert len(set(ids)) == 36
    for event, truth in zip(splits.test.inputs, splits.test.targets, strict=True):
        assert set(np.unique(event.volume_id)) == {7, 8, 9, 12, 13, 14, 16, 17, 18}
        assert np.mean(truth.particle_id == 0) == pytest.approx(0.15, abs=0.02)
        assert truth.weight.sum() == pytest.approx(1.0)
        assert selected(truth).sum() > 50
        assert len(np.unique(event.hit_id)) == len(event)


def test_barrel_hits_lie_on_their_layers() -> None:
    event = embedded().test.inputs[0]
    radii = {(8, 2): 32, (8, 8): 172, (13, 2): 260, (13, 8): 660, (17, 4): 1020}
    for (volume, layer), radius in radii.items():
        inside = (event.volume_id == volume) & (event.layer_id == layer)
        assert np.median(event.r[inside]) == pytest.approx(radius, abs=3)


def test_pixel_variant_keeps_three_volumes_and_normalises_weights() -> None:
    splits = benchmarks.task("tracking").load("generic_detector", detector="pixel")
    assert set(np.unique(splits.test.inputs[0].volume_id)) == {7, 8, 9}
    assert splits.test.targets[0].weight.sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="'full' or 'pixel'"):
        benchmarks.task("tracking").load("generic_detector", detector="strip")


def test_inputs_carry_no_truth() -> None:
    assert not {"particle_id", "weight", "pt"} & set(vars(embedded().test.inputs[0]))


def test_truth_scores_one_and_the_floor_zero() -> None:
    test = embedded().test
    truth = [np.where(t.particle_id == 0, -1, t.particle_id) for t in test.targets]
    for labels, expected in ((truth, 1.0), ([np.arange(len(e)) for e in test.inputs], 0.0)):
        prepared = tracking.prepare(test.inputs, labels)
        assert metrics.efficiency_dm(test.targets, prepared) == expected
        assert metrics.trackml_score(test.targets, prepared) == pytest.approx(expected)


def test_generation_is_reproducible_and_extends(tmp_path: Path) -> None:
    pytest.importorskip("acts", reason="the extra [acts] is not installed")
    pytest.importorskip("pythia8mc", reason="the extra [pythia] is not installed")
    made = []
    for name, events in (("a", 1), ("b", 1), ("c", 2)):
        folder = tmp_path / name
        folder.mkdir()
        options = {"train": 1, "validation": 0, "test": events - 1, "pileup": 0.0}
        path = generic_detector.make(folder, seed=5, **options)
        made.append(path.read_bytes() if events == 1 else generic_detector.load(file=path)[0])
    assert made[0] == made[1]
    first, _ = generic_detector.load(file=tmp_path / "a" / "generic_detector.npz")
    np.testing.assert_array_equal(first["train"][0][0].x, made[2]["train"][0][0].x)


# --- prepare -----------------------------------------------------------------------------------


def test_prepare_is_idempotent_and_labels_are_canonical() -> None:
    event = embedded().test.inputs[0]
    labels = np.full(len(event), 70_000)
    labels[:3] = [900, -5, 900]
    (once,) = tracking.prepare([event], [labels])
    assert once["labels"][:4].tolist() == [0, -1, 0, 1]
    (twice,) = tracking.prepare([event], [once])
    np.testing.assert_array_equal(once["labels"], twice["labels"])


def test_quantised_scores_keep_threshold_and_ranking() -> None:
    generator = np.random.default_rng(1)
    labels = generator.random(20_000) < 0.4
    scores = 1 / (1 + np.exp(-(4 * labels - 2 + 2 * generator.normal(size=20_000))))
    stored = tracking.quantised(scores)
    np.testing.assert_array_equal(stored > 0.5, scores > 0.5)
    np.testing.assert_array_equal(tracking.quantised(stored.astype(np.float64)), stored)
    assert metrics.auc(labels, stored) == pytest.approx(metrics.auc(labels, scores), abs=1e-4)
    assert np.isfinite(tracking.quantised(np.array([0.0, 1.0]))).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda n: np.zeros(n - 1, int), ValueError, "one a hit"),
        (lambda n: np.full(n, np.nan), FloatingPointError, "labels hold NaN"),
        (lambda n: np.full(n, 0.5), ValueError, "whole numbers"),
        (lambda n: {"tracks": np.zeros(n)}, ValueError, "a prediction has 'labels'"),
        (
            lambda n: {"labels": np.zeros(n, int), "edges": [[0, n]], "scores": [0.5]},
            ValueError,
            "edges point to hit",
        ),
        (
            lambda n: {"labels": np.zeros(n, int), "edges": [[0, 1]], "scores": [np.nan]},
            FloatingPointError,
            "scores hold NaN",
        ),
        (
            lambda n: {"labels": np.zeros(n, int), "edges": [[0, 1]], "scores": [1.5]},
            ValueError,
            r"must lie in \[0, 1\]",
        ),
        (
            lambda n: {"labels": np.zeros(n, int), "edges": [[0, 1]], "scores": [0.5, 0.5]},
            ValueError,
            "1 edges need as many scores",
        ),
    ],
)
def test_prepare_refuses_what_is_wrong(change: Any, error: type[Exception], message: str) -> None:
    event = embedded().test.inputs[0]
    with pytest.raises(error, match=message):
        tracking.prepare([event], [change(len(event))])


def test_prepare_refuses_a_missing_event_and_mixed_edges() -> None:
    events = embedded().test.inputs[:2]
    labels = [np.zeros(len(e), int) for e in events]
    with pytest.raises(ValueError, match="got 1 for 2 events"):
        tracking.prepare(events, labels[:1])
    with_edges = {"labels": labels[0], "edges": np.zeros((0, 2), int), "scores": np.zeros(0)}
    with pytest.raises(ValueError, match="give all or none"):
        tracking.prepare(events, [with_edges, labels[1]])


# --- official files ----------------------------------------------------------------------------


def tables() -> dict[str, pd.DataFrame]:
    """A tiny event in the official format: two particles of four hits and one noise hit."""
    hits = 9
    base = 2**60
    ids = np.array([base + 1] * 4 + [base + 2] * 4 + [0])
    r = np.array([32.0, 72, 116, 172] * 2 + [50.0])
    return {
        "hits": pd.DataFrame(
            {
                "hit_id": np.arange(1, hits + 1),
                "x": r,
                "y": np.repeat([0.0, 1.0, 3.0], [4, 4, 1]),
                "z": r / 2,
                "volume_id": 8,
                "layer_id": [2, 4, 6, 8] * 2 + [2],
                "module_id": 1,
            }
        ),
        "truth": pd.DataFrame(
            {
                "hit_id": np.arange(1, hits + 1),
                "particle_id": ids,
                "tx": r,
                "ty": 0.0,
                "tz": r / 2,
                "tpx": 1.0,
                "tpy": 0.0,
                "tpz": 0.5,
                "weight": [0.01] * 8 + [0.0],
            }
        ),
        "particles": pd.DataFrame(
            {
                "particle_id": [base + 1, base + 2],
                "vx": 0.0,
                "vy": 0.0,
                "vz": 0.0,
                "px": 1.0,
                "py": 0.0,
                "pz": 0.5,
                "q": 1,
                "nhits": 4,
            }
        ),
    }


def write(folder: Path, content: dict[str, pd.DataFrame], number: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, table in content.items():
        table.to_csv(folder / f"event{number:09d}-{kind}.csv.gz", index=False)


def test_official_event_is_read(tmp_path: Path) -> None:
    write(tmp_path, tables())
    events, files = trackml.load(folder=tmp_path)
    ((event, truth),) = events["test"]
    assert len(event) == 9
    assert truth.particles.tolist() == [2**60 + 1, 2**60 + 2]
    assert truth.weight.sum() == pytest.approx(1.0)
    assert truth.pt.tolist() == [1.0, 1.0]
    assert truth.path[1] == pytest.approx(np.hypot(72, 36))
    assert len(files) == 3


def edit(kind: str, column: str, change: Any) -> Any:
    def apply(content: dict[str, pd.DataFrame]) -> None:
        content[kind][column] = change(content[kind][column])

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.update(hits=t["hits"].drop(columns="z")), "column 'z' is missing"),
        (edit("hits", "x", lambda c: c.where(c != 116, np.nan)), "column 'x' holds NaN"),
        (edit("hits", "hit_id", lambda c: c.where(c != 3, 2)), "hit_id 2 appears twice"),
        (edit("truth", "particle_id", lambda c: c.astype(float)), "must hold whole numbers"),
        (edit("truth", "hit_id", lambda c: c + 100), "must hold the same hit_id"),
        (lambda t: t.update(hits=t["hits"][:0], truth=t["truth"][:0]), "the event has no hits"),
        (lambda t: t.update(particles=t["particles"][:1]), "no row in the particles file"),
    ],
)
def test_damaged_official_files_are_named(tmp_path: Path, damage: Any, message: str) -> None:
    content = tables()
    damage(content)
    write(tmp_path, content)
    with pytest.raises(DataError, match=message):
        trackml.load(folder=tmp_path)


def test_truncated_archive_is_named(tmp_path: Path) -> None:
    write(tmp_path, tables())
    path = tmp_path / "event000000001-hits.csv.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="truncated"):
        trackml.load(folder=tmp_path)


def test_event_without_truth_cannot_be_scored(tmp_path: Path) -> None:
    content = tables()
    del content["truth"]
    write(tmp_path, content)
    with pytest.raises(FileNotFoundError, match="without truth cannot be scored"):
        trackml.load(folder=tmp_path)


def test_uncompressed_files_and_many_events(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path / "train_1", tables(), number)
    for path in (tmp_path / "train_1").glob("event000000003*"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    events, _ = trackml.load(folder=tmp_path)
    assert [len(events[part]) for part in ("train", "validation", "test")] == [8, 1, 1]


def test_throughput_phase_is_split_by_number() -> None:
    numbers = [21000, 28999, 29000, 29099, 29500, 29800]
    assert trackml.split(numbers) == {
        "train": [21000, 28999],
        "validation": [29000, 29099],
        "test": [29800],
    }


# --- real data ---------------------------------------------------------------------------------


def test_real_sub_event_weights_follow_the_formula() -> None:
    """Throughput phase: order x pT weight, zero for secondaries, one constant factor."""
    folder = real("real_subevent_5k")
    files = {k: folder / f"event000000001-{k}.csv.gz" for k in trackml.KINDS}
    _, truth = trackml.read(files)
    pt = dict(zip(truth.particles.tolist(), truth.pt.tolist(), strict=True))
    tables = {k: read_csv(path, k) for k, path in files.items()}
    vertex = tables["particles"].set_index("particle_id")["vz"]
    depth = (tables["truth"]["tz"] - tables["truth"]["particle_id"].map(vertex)).abs().fillna(0)
    weights = scoring_weights(truth.particle_id, depth.to_numpy(), pt)
    weights[(truth.particle_id >> 24) & 0xFFF != 0] = 0.0
    weights /= weights.sum()
    np.testing.assert_allclose(weights, truth.weight, atol=1e-5)


def test_real_graphs_have_the_documented_size() -> None:
    real("real_hitgraphs_barrel_pt1")
    events, files = trackml_graphs.load()
    assert [len(events[p]) for p in ("train", "validation", "test")] == [40, 10, 50]
    assert len(files) == 100
    edges = [truth.edge_label for part in events.values() for _, truth in part]
    assert np.mean([len(e) for e in edges if e is not None]) == pytest.approx(8784, abs=1)
    chains = sum(int(selected(truth).sum()) for _, truth in events["test"])
    assert chains == 34_550


def test_full_size_event_is_scored_like_the_reference() -> None:
    """120,939 real hit-to-particle assignments, tracks damaged at random."""
    path = real("real_event1000") / "event000001000-hit_particle.csv.gz"
    particle = pd.read_csv(path)["particle_id"].to_numpy()
    generator = np.random.default_rng(0)
    _, labels = np.unique(particle, return_inverse=True)
    labels = np.where(generator.random(len(labels)) < 0.2, generator.permutation(labels), labels)
    weight = (particle != 0) / (particle != 0).sum()
    table = pd.DataFrame({"track": labels, "particle": particle, "weight": weight})
    pairs = table.groupby(["track", "particle"])["weight"].agg(["size", "sum"]).reset_index()
    pairs["n_track"] = pairs.groupby("track")["size"].transform("sum")
    pairs["n_particle"] = pairs.groupby("particle")["size"].transform("sum")
    best = pairs.sort_values(["track", "size", "particle"], ascending=[True, False, True])
    best = best.drop_duplicates("track")
    good = (2 * best["size"] > best["n_track"]) & (2 * best["size"] > best["n_particle"])
    ids = np.unique(particle[particle != 0])
    none = np.full(len(ids), np.nan)
    from physbench.datasets.common.events import EventTruth

    truth = EventTruth(particle, weight, weight, ids, none, none, np.arange(len(particle)))
    score = metrics.trackml_score([truth], [{"labels": labels}])
    assert score == pytest.approx(best.loc[good, "sum"].sum())


def test_read_csv_of_a_missing_file_is_a_file_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_csv(tmp_path / "event1-hits.csv", "hits")


def test_graphs_absent_or_damaged_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHYSBENCH_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="trackml_graphs"):
        benchmarks.task("tracking").load("trackml_graphs")
    (tmp_path / "trackml_graphs" / "train").mkdir(parents=True)
    first = trackml_graphs.DATASET.files[0]
    (tmp_path / "trackml_graphs" / first.name).write_bytes(b"short")
    with pytest.raises(store.DataError, match="is truncated"):
        benchmarks.task("tracking").load("trackml_graphs")
