"""Error rates of the score gate, by simulation, and its arithmetic by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from physbench.leaderboard import gate

K = gate.REFERENCES


@pytest.mark.parametrize("shape", gate.SHAPES)
def test_promised_rates_hold(shape: str) -> None:
    """What CI runs: 20 references, up to 24 candidates. Standard errors are below a third."""
    healthy = gate.rates(K, shape, trials=30_000, seed=1)
    assert 1 - (1 - healthy["RED"]) ** gate.CELLS <= 0.02
    assert healthy["UNRESOLVED"] <= 0.05
    assert healthy["seeds"] < 7
    loss = gate.rates(K, shape, change="loss", trials=10_000, seed=1)
    assert loss["RED"] > 0.99
    scatter = gate.rates(K, shape, change="scatter", trials=5_000, seed=1)
    assert scatter["RED"] > {"normal": 0.95, "heavy tails": 0.82}.get(shape, 0.92)
    assert scatter["PASS"] < 0.06


def test_a_loss_is_found_with_ten_references_and_none_is_invented_with_five() -> None:
    for shape in gate.SHAPES:
        assert gate.rates(10, shape, change="loss", trials=5_000)["RED"] > 0.95
        for k in (5, 10):
            red = gate.rates(k, shape, trials=20_000)["RED"]
            assert 1 - (1 - red) ** gate.CELLS <= 0.02, (k, shape)


def test_printed_rates_are_those_of_this_code() -> None:
    assert gate.TABLE.read_text() == gate.table()
    assert "20 references" in gate.promised(23)
    assert "5 references" in gate.promised(7)
    assert "no loss can be told" in gate.promised(3)


def test_simulation_and_gate_decide_alike() -> None:
    """The trials of `rates` one by one through `quality`."""
    generator = np.random.default_rng([3, K, 0])
    reference = gate.drawn("normal", (300, K), generator)
    candidate = gate.drawn("normal", (300, gate.SEEDS[-1]), generator) - 3
    found = {"PASS": 0, "RED": 0, "UNRESOLVED": 0}
    for b, c in zip(reference.tolist(), candidate.tolist(), strict=True):
        results = (gate.quality(c[:n], b) for n in gate.SEEDS)
        found[next(r.verdict for r in results if r is not None)] += 1
    simulated = gate.rates(K, "normal", change="loss", trials=300, seed=3)
    assert {name: count / 300 for name, count in found.items()} == {
        name: simulated[name] for name in found
    }


def test_seeds_of_every_shape_have_deviation_one() -> None:
    for shape in gate.SHAPES:
        values = gate.drawn(shape, (1000, 1000), np.random.default_rng(0))
        assert values.mean() == pytest.approx(0, abs=0.01)
        assert values.std() == pytest.approx(1, abs=0.05)
    with pytest.raises(ValueError, match="shape must be one of"):
        gate.drawn("flat", (1, 1), np.random.default_rng(0))


def test_one_step_by_hand() -> None:
    """b = -1, 0, 0, 0, 1 (s^2 = 1/2): mean z^2 of 1, 1, 1, 1.4 is (3 + 1.96)/4 x 2 = 2.48."""
    reference = [-1.0, 0.0, 0.0, 0.0, 1.0]
    close = gate.quality([0.0, 0.5, -0.5, 1.0], reference)  # (0 + .25 + .25 + 1)/4 x 2 = .75
    assert close is not None
    assert close.verdict == "PASS"
    assert close.numbers["error"] == pytest.approx(math.sqrt(0.5 * (1 / 4 + 1 / 5)))
    assert close.numbers["margin"] == pytest.approx(2 * math.sqrt(0.5))
    assert gate.quality([-1.0, -1.0, -1.0, -1.4], reference) is None
    with pytest.raises(ValueError, match="4 candidate and 3 reference"):
        gate.quality([0.0] * 3, reference)
    with pytest.raises(ValueError, match="must be finite"):
        gate.quality([0.0] * 4, [math.nan, 0.0, 1.0])


@pytest.mark.parametrize("kind", ["low", "odd"])
def test_rank_tests_against_all_arrangements(kind: str) -> None:
    n, k = 3, 5
    scores, chance = gate._rank_test(n, k, kind)
    sums = [scores[list(places)].sum() for places in itertools.combinations(range(n + k), n)]
    for total in set(sums):
        assert chance[total] == pytest.approx(np.mean([s >= total for s in sums]))


def test_references_lose_their_odd_ones() -> None:
    """Of ten, -9 becomes 0 and 12 becomes 8; of nine all stay."""
    values = np.array([[-9.0, 0, 1, 2, 3, 4, 5, 6, 8, 12]])
    centre, deviation = gate.spread(values)
    moved = np.array([0.0, 0, 1, 2, 3, 4, 5, 6, 8, 8])
    assert centre[0] == pytest.approx(moved.mean())
    assert deviation[0] == pytest.approx(moved.std(ddof=1) / 0.81, rel=0.03)
    assert gate.spread(values[:, :9])[0][0] == pytest.approx(values[0, :9].mean())


def test_nan_and_missing_scores_are_red() -> None:
    reference = list(np.random.default_rng(0).normal(0, 1, K))
    for bad in ([math.nan] * 4, [0.0, 0.1, 0.2, math.inf], [math.nan, 0.0, 0.0, 0.0]):
        result = gate.quality(bad, reference)
        assert result is not None
        assert result.verdict == "RED"
    assert gate.exact(math.nan, 0.5, 0.1).verdict == "RED"


def test_rounding_is_no_loss() -> None:
    """Equal references: only what another processor's sums change is excused."""
    same = gate.quality([0.9 - 1e-15] * 4, [0.9] * K)
    assert same is not None
    assert same.verdict == "PASS"
    worse = gate.quality([0.9 - 1e-6] * 8, [0.9] * K)
    assert worse is not None
    assert worse.verdict == "RED"
    assert worse.numbers["difference"] == pytest.approx(-1e-6)
    assert gate.exact(0.9 - 1e-15, 0.9, 0.0).verdict == "PASS"
    assert gate.too_good([0.9 + 1e-15] * 4, [0.9] * K).verdict == "PASS"


def test_physical_margin_excuses_small_losses() -> None:
    reference = list(np.random.default_rng(0).normal(0, 0.001, K))
    worse = [value - 0.01 for value in reference[:8]]
    found = gate.quality(worse, reference)
    assert found is not None
    assert found.verdict == "RED"
    excused = gate.quality(worse, reference, margin=0.05)
    assert excused is not None
    assert excused.verdict == "PASS"


def test_many_cells_make_red_rarer() -> None:
    reference = list(np.random.default_rng(1).normal(0, 1, K))
    worse = [min(reference) - 0.1 * k for k in range(1, 9)]  # by chance once in 3.1 million
    one = gate.quality(worse, reference)
    assert one is not None
    assert one.verdict == "RED"
    assert gate.quality(worse, reference, cells=20_000) is None


def test_failures_and_sudden_gains() -> None:
    assert gate.failures(2, 0, 8).verdict == "PASS"
    assert gate.failures(3, 0, 8).verdict == "RED"
    assert gate.failures(0, 1, 3).verdict == "RED"
    reference = list(np.random.default_rng(0).normal(0, 1, K))
    assert gate.too_good([3.5, 3.4, 3.6, 3.4], reference).verdict == "UNRESOLVED"
    assert gate.too_good([0.1, 0.0, 0.2, 0.1], reference).verdict == "PASS"


def test_frozen_weights_and_models_without_seeds() -> None:
    assert gate.frozen(0.0, 0.0, 0.5).verdict == "PASS"
    assert gate.frozen(2e-16, 0.0, 0.0).verdict == "PASS"
    assert gate.frozen(4e-7, 0.0, 0.5).verdict == "PASS"  # another processor
    assert gate.frozen(6e-7, 0.0, 0.5).verdict == "RED"
    assert gate.frozen(1e-9, 0.0, 0.0).verdict == "RED"
    assert gate.frozen(4e-6, 1e-6, 0.5).verdict == "PASS"
    assert gate.exact(0.5, 0.5, 0.0).verdict == "PASS"
    assert gate.exact(0.49, 0.5, 1e-4).verdict == "RED"
    better = gate.exact(0.51, 0.5, 1e-4)
    assert (better.gate, better.verdict) == ("G3", "UNRESOLVED")


def test_cost_is_compared_in_turn_only() -> None:
    assert gate.cost([1.2, 1.3, 1.4], [1.0, 1.1, 1.0]).verdict == "PASS"
    assert gate.cost([1.5, 1.6, 1.5], [1.0, 1.1, 1.0]).verdict == "RED"
    with pytest.raises(ValueError, match="3 interleaved runs"):
        gate.cost([1.0], [1.0])


def test_orientation_and_the_worst_of_many() -> None:
    assert gate.oriented([0.1, 0.2], "min") == [-0.1, -0.2]
    assert gate.oriented([0.1, 0.2], "max") == [0.1, 0.2]
    assert gate.worst(["PASS", "UNRESOLVED", "RED"]) == "RED"
