"""Speed of tracking: score, reading and graph building, against twins timed in the same run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from physbench.datasets.common.events import Event, EventTruth
from physbench.datasets.common.trackml_format import COLUMNS, read_csv
from physbench.models.common import graphs
from physbench.tasks.metrics import tracking as metrics

HITS, PARTICLES = 110_000, 10_000


def real(*parts: str) -> Path:
    """A folder of the real data, or a skip with the reason."""
    base = Path(os.environ.get("PHYSBENCH_DATA", "nowhere"))
    for path in (base.joinpath("trackml", *parts), base.joinpath(*parts)):
        if path.is_dir():
            return path
    return pytest.skip(f"real data {'/'.join(parts)} are not below $PHYSBENCH_DATA")


def fastest(function: Callable[[], Any], repeats: int) -> float:
    """Shortest wall time in s of some calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def track_loop(table: pd.DataFrame) -> float:
    """The score track by track over groups of a pandas table, as the reference library works.

    Written for this comparison from the definition of the score.
    """
    hits_of = table["particle_id"].value_counts()
    total = 0.0
    for _, track in table.groupby("track_id"):
        counts = track["particle_id"].to_numpy()
        ids, shared = np.unique(counts, return_counts=True)
        best = int(np.argmax(shared))
        if 2 * shared[best] > len(track) and 2 * shared[best] > hits_of[ids[best]]:
            total += track["weight"].to_numpy()[counts == ids[best]].sum()
    return total


def test_trackml_score_is_twenty_times_as_fast_as_a_loop_over_tracks(benchmark: Any) -> None:
    generator = np.random.default_rng(0)
    particle = generator.integers(0, PARTICLES, HITS)
    labels = np.where(generator.random(HITS) < 0.9, particle, generator.permutation(particle))
    weight = generator.random(HITS) * (particle > 0)
    weight /= weight.sum()
    ids = np.arange(1, PARTICLES)
    none = np.full(len(ids), np.nan)
    table = pd.DataFrame({"track_id": labels, "particle_id": particle, "weight": weight})

    def ours() -> float:
        # A new truth each time: nothing is remembered from an earlier call.
        truth = EventTruth(particle, weight, weight, ids, none, none, np.arange(HITS) % 48)
        return metrics.trackml_score([truth], [{"labels": labels}])

    assert ours() == pytest.approx(track_loop(table))
    ratio = fastest(lambda: track_loop(table), 2) / fastest(ours, 5)
    benchmark.extra_info["times as fast as the loop"] = ratio
    benchmark(ours)
    assert ratio >= 20


def test_reading_an_event_is_as_fast_as_plain_pandas(benchmark: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "hit_id": np.arange(1, HITS + 1),
        "particle_id": generator.integers(0, 2**60, HITS),
    }
    for name in ("tx", "ty", "tz", "tpx", "tpy", "tpz", "weight"):
        columns[name] = generator.normal(size=HITS) * 100
    path = tmp_path / "event000000001-truth.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    assert set(COLUMNS["truth"]) <= set(columns)
    plain, ours = [], []
    for _ in range(15):
        plain.append(fastest(lambda: pd.read_csv(path), 1))
        ours.append(fastest(lambda: read_csv(path, "truth"), 1))
    benchmark.extra_info["time over plain pandas"] = np.median(ours) / np.median(plain)
    benchmark(read_csv, path, "truth")
    # Equal work by the same parser: what is left of the difference is noise.
    assert np.median(ours) <= 1.1 * np.median(plain)


def test_graph_of_a_full_event_takes_seconds(benchmark: Any) -> None:
    """110,542 real hits; windows learned on the embedded events; ratio to a KD-tree search.

    The KD-tree finds the same number of neighbours in (phi, eta) without any physics.
    """
    from scipy.spatial import cKDTree

    import benchmarks as physbench

    folder = real("real_full_events_no_truth")
    table = read_csv(folder / "event000001012-hits.csv.gz", "hits")
    event = Event("event000001012", *(table[name].to_numpy() for name in COLUMNS["hits"]))
    train = physbench.task("tracking").load("generic_detector").train
    windows = graphs.learn(train.inputs, train.targets)
    edges = benchmark.pedantic(graphs.build, (event, windows), rounds=3)
    points = np.stack([event.phi, np.arcsinh(event.z / event.r)], axis=1)
    neighbours = max(len(edges) // len(event), 1)
    tree = fastest(lambda: cKDTree(points).query(points, neighbours + 1), 2)
    ours = fastest(lambda: graphs.build(event, windows), 2)
    benchmark.extra_info |= {"edges": len(edges), "time over a KD-tree search": ours / tree}
    assert ours < 20 * tree
