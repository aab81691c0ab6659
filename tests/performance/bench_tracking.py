"""Performance of the tracking data, metrics and graphs: run with `make bench`.

Ratios compare things timed in one run, interleaved, best of several: CPU seconds, so that other
jobs on the machine disturb them least. Real files are used where `$PHYSBENCH_DATA` holds them,
otherwise events of the same size are made here; `extra_info` says which.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import benchmarks
from benchmarks.reports import boards
from benchmarks.running.scoring import replicates, resamples
from physbench.datasets.common.trackml_csv import COLUMNS, read_csv
from physbench.datasets.hits import Event, EventTruth
from physbench.tasks.metrics import tracking as metrics
from physbench.tasks.tracking import TASK, prepare

HITS, PARTICLES, NOISE = 120_939, 10_565, 17_634  # accuracy-phase event 1000


def real(*parts: str) -> Path | None:
    """A file of the real data, or None."""
    base = Path(os.environ.get("PHYSBENCH_DATA", "nowhere"))
    paths = (base.joinpath("trackml", *parts), base.joinpath(*parts))
    return next((path for path in paths if path.is_file()), None)


def full_event() -> tuple[NDArray[np.int64], str]:
    """Particle of every hit of a full event, and where it comes from."""
    path = real("real_event1000", "event000001000-hit_particle.csv.gz")
    if path is not None:
        return pd.read_csv(path)["particle_id"].to_numpy(), "real event 1000"
    generator = np.random.default_rng(0)
    ids = generator.choice(1 << 62, PARTICLES, replace=False)
    noise = np.zeros(NOISE, dtype=np.int64)
    hits = generator.choice(ids, HITS - NOISE)
    return generator.permutation(np.concatenate([hits, noise])), "made"


def truth_of(particle: NDArray[np.int64], weight: NDArray[np.float64]) -> EventTruth:
    """Truth for metrics that need no momenta; hits on any of 48 layers."""
    ids = np.unique(particle[particle != 0])
    ones = np.ones(len(ids))
    layer = np.random.default_rng(2).integers(0, 48, len(particle))
    return EventTruth(particle, weight, weight, ids, ones, ones, layer, particle)


def loop_score(table: Any) -> float:
    """TrackML score hit by hit, as a loop over rows sorted by track and particle.

    A twin of the challenge's reference implementation in what it computes and in how: pandas
    sorts and counts, Python walks over the hits.
    """
    hits_of = table["particle"].value_counts(sort=False)
    ordered = table.sort_values(["track", "particle"])
    score, track = 0.0, None
    runs: list[list[Any]] = []  # of the track: particle, hits, weight
    for row in ordered.itertuples(index=False):
        if row.track != track:
            score += good_weight(runs, hits_of)
            track, runs = row.track, []
        if not runs or runs[-1][0] != row.particle:
            runs.append([row.particle, 0, 0.0])
        runs[-1][1] += 1
        runs[-1][2] += row.weight
    return (score + good_weight(runs, hits_of)) / float(table["weight"].sum())


def good_weight(runs: list[list[Any]], hits_of: Any) -> float:
    """Weight of the majority particle's hits if both majorities hold, else 0."""
    if not runs:
        return 0.0
    particle, shared, weight = max(runs, key=lambda run: run[1])
    size = sum(run[1] for run in runs)
    return float(weight) if 2 * shared > size and 2 * shared > hits_of[particle] else 0.0


def test_trackml_score_is_many_times_as_fast_as_the_loop(
    benchmark: Any, interleaved: Any, told: Any
) -> None:
    """With the sorting of the truth, as for the first prediction of an event."""
    particle, source = full_event()
    generator = np.random.default_rng(1)
    _, labels = np.unique(particle, return_inverse=True)
    labels = np.where(generator.random(len(labels)) < 0.2, generator.permutation(labels), labels)
    labels = labels.astype(np.int16)
    weight = generator.random(len(particle)) * (particle != 0)
    table = pd.DataFrame({"track": labels, "particle": particle, "weight": weight})
    truth = truth_of(particle, weight)

    def ours() -> float:
        return metrics.trackml_score([dataclasses.replace(truth)], [{"labels": labels.copy()}])

    assert ours() == pytest.approx(loop_score(table))
    loop, own = interleaved(lambda: loop_score(table), ours)
    benchmark(ours)
    told(loop / own, least=12, limit="the sort by particle takes half of it", source=source)


def test_all_counts_beside_one_groupby(benchmark: Any, interleaved: Any, told: Any) -> None:
    """Every count of an event against pandas' shared hits of each pair of track and particle."""
    particle, source = full_event()
    labels = np.unique(particle, return_inverse=True)[1].astype(np.int32)
    truth = truth_of(particle, np.ones(len(particle)) * (particle != 0))
    table = pd.DataFrame({"track": labels, "particle": particle})

    def ours() -> Any:
        return metrics.derive([dataclasses.replace(truth)], [{"labels": labels}])[0].counts

    def theirs() -> Any:
        return table.groupby(["track", "particle"]).size()

    assert ours()["valid"] == (theirs() >= metrics.HITS_MIN).sum()
    own, peer = interleaved(ours, theirs)
    benchmark.pedantic(ours, rounds=3)
    limit = "a stable sort by particle, which pandas' hash table does without, takes a third of it"
    told(peer / own, least=1, limit=limit, source=source)


def test_bootstrap_of_eight_events_beside_drawing_them(
    benchmark: Any, interleaved: Any, told: Any
) -> None:
    test = benchmarks.task("tracking").splits("generic_detector").test
    guess = prepare(test.inputs, [truth.particle_id // 2 for truth in test.targets])
    draws = list(resamples(len(test), 1000, "0" * 64))
    ranking = TASK.metrics[0]
    slow = dataclasses.replace(ranking, replicates=None)
    derived = metrics.derive(test.targets, guess)
    few = draws[:50]
    fast = replicates(ranking, test.targets, derived, few)
    assert (fast == replicates(slow, test.targets, derived, few)).all()
    own, drawn = interleaved(
        lambda: replicates(ranking, test.targets, derived, draws),
        lambda: replicates(slow, test.targets, derived, draws),
        rounds=3,
    )
    benchmark.pedantic(replicates, (ranking, test.targets, derived, draws), rounds=3)
    told(drawn / own, least=5, limit="counting the draws is all of it", seconds_of_1000=own)


def full_hits(folder: Path) -> tuple[Path, str]:
    """A hits file of a full event."""
    path = real("real_full_events_no_truth", "event000001001-hits.csv.gz")
    if path is not None:
        return path, "real event 1001"
    generator = np.random.default_rng(0)
    columns: dict[str, NDArray[Any]] = {
        name: generator.integers(1, 3000, 100_000) for name in COLUMNS["hits"]
    }
    columns |= {name: generator.uniform(-1000, 1000, 100_000).round(4) for name in "xyz"}
    columns["hit_id"] = np.arange(1, 100_001)
    path = folder / "event000000001-hits.csv.gz"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path, "made"


def test_reading_hits_beside_unpacking_and_parsing(
    benchmark: Any, tmp_path: Path, interleaved: Any, told: Any
) -> None:
    """Checked columns against pandas on the file, and on its unpacked bytes after gunzip."""
    path, source = full_hits(tmp_path)
    pd.testing.assert_frame_equal(read_csv(path, "hits"), pd.read_csv(path))

    def parts() -> Any:
        return pd.read_csv(io.BytesIO(gzip.decompress(path.read_bytes())))

    ours, plain, both = interleaved(
        lambda: read_csv(path, "hits"), lambda: pd.read_csv(path), parts
    )
    benchmark(read_csv, path, "hits")
    told(ours / both, most=1.2, source=source, over_pandas=ours / plain)


def test_reading_hits_beside_polars(
    benchmark: Any, tmp_path: Path, interleaved: Any, told: Any
) -> None:
    polars = pytest.importorskip("polars", reason="a peer that `make bench` installs")
    path, source = full_hits(tmp_path)
    ours, peer = interleaved(lambda: read_csv(path, "hits"), lambda: polars.read_csv(path))
    benchmark(read_csv, path, "hits")
    limit = "unpacking with zlib and pandas' parser; polars is 50 MB more to install"
    told(peer / ours, least=1, limit=limit, source=source)


def test_graph_of_a_full_event_takes_seconds(benchmark: Any, interleaved: Any, told: Any) -> None:
    """110,542 real hits; the windows of the committed chain; ratio to a KD-tree search.

    The KD-tree finds the same number of neighbours in (phi, eta) without any physics.
    """
    from scipy.spatial import cKDTree

    path = real("real_full_events_no_truth", "event000001012-hits.csv.gz")
    if path is None:
        pytest.skip("hits must lie on tracks: needs real events below $PHYSBENCH_DATA")
    table = read_csv(path, "hits")
    event = Event("event000001012", *(table[name].to_numpy() for name in COLUMNS["hits"]))
    build = chain().pipeline.graph.candidates
    edges = benchmark.pedantic(build, (event,), rounds=2)
    points = np.stack([event.phi, np.arcsinh(event.z / event.r)], axis=1)
    neighbours = max(len(edges) // len(event), 1)
    ours, tree = interleaved(
        lambda: build(event),
        lambda: cKDTree(points).query(points, neighbours + 1),
        rounds=2,
    )
    limit = "each candidate is cut in four quantities, and each edge kept once"
    told(ours / tree, most=4, limit=limit, edges=len(edges), seconds_of_one=ours)


def chain() -> Any:
    """The committed chain of `gated_network`, from the weights beside its record."""
    from physbench.models.hits import gated_network

    folder = boards.committed_root() / "tracking" / "generic_detector" / "gated_network"
    weights = sorted(folder.glob("*.weights"))
    if not weights:
        pytest.skip("the weights of gated_network are not committed")
    return gated_network.MODEL.load(weights[0])


@pytest.mark.parametrize("crowd", [20, 0, 200], ids=["20", "60", "200"])
def test_the_chain_costs_at_most_twice_the_kalman_filter(
    benchmark: Any, interleaved: Any, told: Any, crowd: int
) -> None:
    """One event from hits to tracks; the filter with its second pass in the strips.

    Pairs of hits that any window leaves grow with the square of the density, and with them both
    sides; the history page draws what comes of it.
    """
    pytest.importorskip("acts", reason="needs the extra [acts]")
    from physbench.models.hits import _edge_networks as networks
    from physbench.models.hits import acts_ckf
    from physbench.models.hits._edge_pipeline import Choice

    fitted, kalman = chain(), acts_ckf.Setting(2, 3, True, Choice("kalman", 0.0))
    event = benchmarks.task("tracking").splits("generic_detector", pileup=crowd).test.inputs[:1]
    ours, peer = interleaved(
        lambda: networks.predict(fitted, event),
        lambda: acts_ckf.predict(kalman, event),
        rounds=1,
    )
    benchmark.pedantic(lambda: None, rounds=1)
    told(ours / peer, most=2, hits=len(event[0]), seconds_of_one=ours, seconds_of_peer=peer)
