"""Tracking datasets and the task: embedded events, official CSV files, what prepare refuses."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import benchmarks
from physbench.datasets import Splits
from physbench.datasets.common import store
from physbench.datasets.common.store import DataError
from physbench.datasets.common.trackml_csv import read_csv
from physbench.datasets.hits import Event, restrict, selected, trackml, trackml_graphs
from physbench.datasets.hits._trackml_format import scoring_weights
from physbench.leaderboard import predictions
from physbench.tasks import tracking
from physbench.tasks.metrics import tracking as metrics


@functools.cache
def embedded() -> Splits:
    return benchmarks.task("tracking").splits("generic_detector")


def real(*parts: str) -> Path:
    """A folder of the real data, or a skip with the reason."""
    base = Path(os.environ.get("PHYSBENCH_DATA", "nowhere"))
    for path in (base.joinpath("trackml", *parts), base.joinpath(*parts)):
        if path.is_dir():
            return path
    return pytest.skip(f"real data {'/'.join(parts)} are not below $PHYSBENCH_DATA")


def test_embedded_events_are_what_the_card_says() -> None:
    splits = embedded()
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [40, 4, 8]
    ids = [*splits.train.ids, *splits.validation.ids, *splits.test.ids]
    assert len(set(ids)) == 52
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
    splits = benchmarks.task("tracking").splits("generic_detector", detector="pixel")
    assert set(np.unique(splits.test.inputs[0].volume_id)) == {7, 8, 9}
    assert splits.test.targets[0].weight.sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="'full' or 'pixel'"):
        benchmarks.task("tracking").splits("generic_detector", detector="strip")


def test_inputs_carry_no_truth() -> None:
    assert not {"particle_id", "weight", "pt"} & set(vars(embedded().test.inputs[0]))


def test_truth_scores_one_and_the_floor_zero() -> None:
    test = embedded().test
    truth = [np.where(t.particle_id == 0, -1, t.particle_id) for t in test.targets]
    for labels, expected in ((truth, 1.0), ([np.arange(len(e)) for e in test.inputs], 0.0)):
        prepared = tracking.prepare(test.inputs, labels)
        assert metrics.efficiency_dm(test.targets, prepared) == expected
        assert metrics.trackml_score(test.targets, prepared) == pytest.approx(expected)


def test_stored_arrays_have_the_same_bytes_each_time(tmp_path: Path) -> None:
    arrays = {"x": np.arange(1000.0), "n": np.arange(3, dtype=np.int16)}
    for name in ("a.npz", "b.npz"):
        store.save_arrays(tmp_path / name, arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


# --- prepare -----------------------------------------------------------------------------------


def test_prepare_is_idempotent_and_labels_are_canonical() -> None:
    event = embedded().test.inputs[0]
    labels = np.full(len(event), 70_000)
    labels[:6] = [900, -5, 900, 3, 900, 3]
    (once,) = tracking.prepare([event], [labels])
    assert once["labels"][:7].tolist() == [0, -1, 0, -1, 0, -1, 1]
    (twice,) = tracking.prepare([event], [once])
    np.testing.assert_array_equal(once["labels"], twice["labels"])


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s,
        lambda s: s * 1e-6,
        lambda s: 0.5 + 0.02 * s,
        lambda s: s**20,
        lambda s: 1 - 1e-9 * (1 - s),
    ],
)
def test_stored_scores_keep_order_ties_and_threshold(change: Any) -> None:
    generator = np.random.default_rng(1)
    labels = generator.random(20_000) < 0.4
    scores = 1 / (1 + np.exp(-(4 * labels - 2 + 2 * generator.normal(size=20_000))))
    scores = change(np.round(scores, 4))
    stored = tracking.ranked(scores)
    np.testing.assert_array_equal(stored > 0.5, scores > 0.5)
    np.testing.assert_array_equal(tracking.ranked(stored.astype(np.float64)), stored)
    order = np.argsort(scores, kind="stable")
    steps = np.sign(np.diff(stored[order].astype(np.float64)))
    np.testing.assert_array_equal(steps, np.sign(np.diff(scores[order])))
    assert metrics.auc(labels, stored) == metrics.auc(labels, scores)


def test_more_scores_than_ranks_cost_nearly_nothing() -> None:
    generator = np.random.default_rng(1)
    labels = generator.random(100_000) < 0.4
    scores = 1 / (1 + np.exp(-(4 * labels - 2 + 2 * generator.normal(size=100_000))))
    stored = tracking.ranked(scores)
    assert len(np.unique(stored)) <= 2 * tracking.RANKS
    assert metrics.auc(labels, stored) == pytest.approx(metrics.auc(labels, scores), abs=1e-6)
    assert np.isfinite(tracking.ranked(np.array([0.0, 1.0]))).all()


def first_hits(number: int) -> Event:
    """The first 500 hits of a test event: few enough that all edges are kept."""
    event, truth = embedded().test.inputs[number], embedded().test.targets[number]
    return restrict(event, truth, np.arange(len(event)) < 500)[0]


def test_scores_of_all_events_are_ranked_together() -> None:
    """The edge metrics pool the events: ranks of each event alone would mix their scales."""
    events = [
        dataclasses.replace(e, edge_index=np.array([[0, 1], [2, 3]]))
        for e in (first_hits(0), first_hits(1))
    ]
    parts = [
        {"labels": np.zeros(len(e), int), "scores": scores}
        for e, scores in zip(events, ([0.1, 0.2], [0.3, 0.4]), strict=True)
    ]
    stored = tracking.prepare(events, parts)
    assert np.concatenate([one["scores"] for one in stored]).tolist() == [0.125, 0.25, 0.375, 0.5]


def test_edges_left_out_of_a_given_graph_are_rejected() -> None:
    event = first_hits(0)
    given = dataclasses.replace(event, edge_index=np.array([[0, 1, 5], [3, 2, 9]]))
    labels = np.zeros(len(event), int)
    whole = {"labels": labels, "edges": [[5, 9], [3, 0], [1, 2]], "scores": [0.9, 0.8, 0.0]}
    part = {"labels": labels, "edges": [[9, 5], [0, 3]], "scores": [0.9, 0.8]}
    (first,), (second,) = (tracking.prepare([given], [p]) for p in (whole, part))
    for name in ("edges", "scores"):
        np.testing.assert_array_equal(first[name], second[name])
    assert first["edges"].tolist() == [[0, 3], [1, 2], [5, 9]]
    assert first["scores"].tolist() == [0.75, 0.5, 1.0]
    with pytest.raises(ValueError, match="1 edges are not in the given graph"):
        tracking.prepare([given], [part | {"edges": [[9, 5], [0, 4]]}])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda n: np.zeros(n - 1, int), ValueError, "one a hit"),
        (lambda n: np.full(n, np.nan), FloatingPointError, "labels hold NaN"),
        (lambda n: np.full(n, 0.5), ValueError, "whole numbers"),
        (lambda n: np.full(n, 2**63 + 5, np.uint64), ValueError, "does not fit into int64"),
        (lambda n: np.full(n, 2.0**53), ValueError, "cannot tell whole numbers"),
        (lambda n: np.full(n, 2**24, np.float32), ValueError, "cannot tell whole numbers"),
        (lambda n: np.full(n, 1 + 0j), ValueError, "must be real or whole numbers"),
        (lambda n: np.full(n, "1"), ValueError, "must be real or whole numbers"),
        (lambda n: np.array([1] * n, object), ValueError, "must be real or whole numbers"),
        (lambda n: np.ma.masked_equal(np.arange(n), 3), ValueError, "must not be masked"),
        (
            lambda n: {"labels": np.zeros(n, int), "edges": [[0, 1]], "scores": [0.5 + 0.1j]},
            ValueError,
            "scores must be",
        ),
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
            lambda n: {"labels": np.zeros(n, int), "edges": [[0, 1], [1, 0]], "scores": [0, 1]},
            ValueError,
            "a pair of hits twice",
        ),
        (
            lambda n: {"labels": np.zeros(n, int), "edges": [[3, 3]], "scores": [0.5]},
            ValueError,
            "join a hit to itself",
        ),
        (lambda n: {"labels": np.zeros(n, int), "scores": [0.5]}, ValueError, "need 'edges'"),
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


def test_scores_alone_belong_to_the_given_graph() -> None:
    event = first_hits(0)
    given = dataclasses.replace(event, edge_index=np.array([[0, 1, 5], [3, 2, 9]]))
    labels = np.zeros(len(event), int)
    (stored,) = tracking.prepare([given], [{"labels": labels, "scores": [0.25, 0.5, 1.0]}])
    assert stored["edges"].tolist() == [[0, 3], [1, 2], [5, 9]]
    assert stored["scores"] == pytest.approx([0.25, 0.5, 1.0], abs=0.01)


def test_edges_of_every_k_th_hit_are_kept_of_all_events() -> None:
    """1,200 hits: every third, where it is the first of the two; 700 hits: all."""
    pairs = np.array([[0, 7], [9, 3], [1, 6], [6, 7], [2, 3]])
    assert metrics.sampled(1200, pairs).tolist() == [True, True, False, True, False]
    assert metrics.sampled(700, pairs).all()
    assert metrics.sampled(700, pairs[:0]).shape == (0,)
    events = embedded().test.inputs[:2]
    scored = [
        {"labels": np.zeros(len(e), int), "edges": pairs, "scores": np.linspace(0, 1, 5)}
        for e in events
    ]
    once = tracking.prepare(events, scored)
    assert [p["edges"].tolist() for p in once] == [[[0, 7]]] * 2
    for one, other in zip(tracking.prepare(events, once), once, strict=True):
        np.testing.assert_array_equal(one["edges"], other["edges"])


def test_tracks_of_two_hits_are_none() -> None:
    event = dataclasses.replace(embedded().test.inputs[0])
    labels = np.full(len(event), -1)
    labels[:9] = [5, 3, 3, 5, 7, 3, 5, 7, -1]
    (stored,) = tracking.prepare([event], [labels])
    assert stored["labels"][:9].tolist() == [0, 1, 1, 0, -1, 1, 0, -1, -1]


def test_a_record_of_the_embedded_board_stays_small(tmp_path: Path) -> None:
    """True labels, and in the smallest event two edges a hit between any hits."""
    test = embedded().test
    generator = np.random.default_rng(0)
    guesses = []
    for event, truth in zip(test.inputs, test.targets, strict=True):
        pairs = np.sort(generator.integers(0, len(event), (2 * len(event), 2)), axis=1)
        pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
        labels = np.where(truth.particle_id == 0, -1, truth.particle_id)
        logit = 5 * generator.normal(size=len(pairs))
        scores = 1 / (1 + np.exp(-logit))
        guesses.append({"labels": labels, "edges": pairs, "scores": scores})
    path = tmp_path / "predictions.npz"
    predictions.write(path, predictions.pack(tracking.prepare(test.inputs, guesses)))
    assert path.stat().st_size < 500_000


def test_ranking_is_refused_above_two_per_cent_combinatorial_and_five_of_all() -> None:
    assert tracking.admit({"fake_combinatorial": 0.02, "fake_all": 0.05}) is None
    assert tracking.admit({"fake_combinatorial": math.nan, "fake_all": math.nan}) is None
    reason = tracking.admit({"fake_combinatorial": 0.021, "fake_all": 0.05})
    assert reason == "fake_combinatorial 2.10% is above 2%"
    reason = tracking.admit({"fake_combinatorial": 0.01, "fake_all": 0.06})
    assert reason == "fake_all 6.00% is above 5%"


def test_figures_show_each_model_with_binomial_errors() -> None:
    test = embedded().test.take([0, 1])
    truth = [np.where(t.particle_id == 0, -1, t.particle_id) for t in test.targets]
    thirds = [labels * 3 + np.arange(len(labels)) % 3 * (labels > 0) for labels in truth]
    models = {
        name: tracking.prepare(test.inputs, labels)
        for name, labels in (("truth", truth), ("thirds", thirds))
    }
    for draw in tracking.TASK.figures.values():
        (axes,) = draw(test.targets, models).axes
        curves = {c.get_label(): c.lines[0].get_ydata() for c in axes.containers}
        assert set(curves) == {"truth", "thirds"}
        assert np.asarray(curves["truth"]) == pytest.approx(1.0)
        assert np.mean(curves["thirds"]) < 0.5


def test_load_refuses_unknown_names_and_takes_the_first_events() -> None:
    with pytest.raises(ValueError, match="dataset must be one of generic_detector"):
        tracking.TASK.splits("trackm")
    with pytest.raises(ValueError, match="events must be at least 1; got 0"):
        tracking.TASK.splits("generic_detector", events=0)
    splits = tracking.TASK.splits("generic_detector", events=2)
    assert splits.test.ids == embedded().test.ids[:2]
    with pytest.raises(ValueError, match="does not apply to trackml_graphs"):
        tracking.TASK.splits("trackml_graphs", detector="pixel")


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
    assert truth.radius is not None
    assert truth.radius.tolist() == [0.0, 0.0]
    assert len(files) == 3


def test_the_vertex_of_a_particle_says_how_far_out_it_was_produced(tmp_path: Path) -> None:
    """Networks learn their windows of soft particles from those of the beam axis alone."""
    content = tables()
    content["particles"]["vx"], content["particles"]["vy"] = [3.0, 0.0], [4.0, 0.0]
    write(tmp_path, content)
    ((_, truth),) = trackml.load(folder=tmp_path)[0]["test"]
    assert truth.radius is not None
    assert truth.radius.tolist() == [5.0, 0.0]


def edit(kind: str, column: str, change: Any) -> Any:
    def apply(content: dict[str, pd.DataFrame]) -> None:
        content[kind][column] = change(content[kind][column])

    return apply


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.update(hits=t["hits"].drop(columns="z")), "column 'z' is missing"),
        (edit("hits", "x", lambda c: c.where(c != 116, np.nan)), "column 'x' holds NaN"),
        (edit("hits", "z", lambda c: c.where(c != 36, np.inf)), "column 'z' holds NaN or inf"),
        (edit("hits", "x", lambda c: c.astype(str).replace("116.0", "?")), "found '?'"),
        (edit("hits", "hit_id", lambda c: c.where(c != 3, 2)), "hit_id 2 appears twice"),
        (edit("hits", "hit_id", lambda c: c[::-1].where(c != 3, 2)), "hit_id 2 appears twice"),
        (edit("hits", "layer_id", lambda c: c * 1.5), "'layer_id' must hold whole numbers"),
        (edit("truth", "particle_id", lambda c: c.astype(object) + 2**63), "whole numbers"),
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


def test_corrupt_archive_is_named(tmp_path: Path) -> None:
    write(tmp_path, tables())
    path = tmp_path / "event000000001-hits.csv.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"hits\.csv\.gz: file is truncated or damaged"):
        trackml.load(folder=tmp_path)


def test_event_in_two_folders_is_refused_and_look_alikes_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "train_1", tables())
    write(tmp_path / "simulated_detector" / "mu20", tables(), 2)
    events, _ = trackml.load(folder=tmp_path)
    assert [event.name for event, _ in events["test"]] == ["event000000001"]
    write(tmp_path / "train_2", tables())
    with pytest.raises(DataError, match=r"event 1 lies in .*train_1 and in .*train_2"):
        trackml.load(folder=tmp_path)


def test_at_most_so_many_events_of_each_split_are_read(tmp_path: Path) -> None:
    for number in (21000, 21001, 21002, 29000, 29800):
        write(tmp_path, tables(), number)
    events, files = trackml.load(folder=tmp_path, events=2)
    assert [event.name for event, _ in events["train"]] == ["event000021000", "event000021001"]
    assert len(files) == 12


def test_event_of_noise_alone_is_read_and_scores_nothing(tmp_path: Path) -> None:
    content = tables()
    content["truth"]["particle_id"] = 0
    content["truth"]["weight"] = 0.0
    write(tmp_path, content)
    ((event, truth),) = trackml.load(folder=tmp_path)[0]["test"]
    prediction = tracking.prepare([event], [np.zeros(len(event), int)])
    assert math.isnan(metrics.efficiency_dm([truth], prediction))
    assert math.isnan(metrics.trackml_score([truth], prediction))
    assert metrics.fake_all([truth], prediction) == 1.0


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


@pytest.mark.parametrize(
    ("numbers", "sizes"),
    [
        (range(21000, 21004), [2, 1, 1]),  # inside the training range alone
        ([*range(1000, 1012), 29850], [11, 1, 1]),  # events of both phases
        ([7, 8, 9], [1, 1, 1]),
        ([7, 8], [0, 0, 2]),
    ],
)
def test_own_numbers_leave_no_event_out(numbers: list[int], sizes: list[int]) -> None:
    parts = trackml.split(list(numbers))
    assert [len(parts[name]) for name in ("train", "validation", "test")] == sizes
    assert sorted(n for part in parts.values() for n in part) == sorted(numbers)


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
    from physbench.datasets.hits import EventTruth

    truth = EventTruth(
        particle,
        weight,
        weight,
        ids,
        none,
        none,
        np.arange(len(particle)),
        np.arange(len(particle)),
    )
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
        benchmarks.task("tracking").splits("trackml_graphs")
    (tmp_path / "trackml_graphs" / "train").mkdir(parents=True)
    first = trackml_graphs.DATASET.files[0]
    (tmp_path / "trackml_graphs" / first.name).write_bytes(b"short")
    with pytest.raises(store.DataError, match="is truncated"):
        benchmarks.task("tracking").splits("trackml_graphs")
