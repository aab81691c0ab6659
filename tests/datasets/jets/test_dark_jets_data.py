"""The embedded dark showers, their splits and matching, and the task's protocol."""

from __future__ import annotations

import numpy as np
import pytest

from physbench.datasets import Splits
from physbench.datasets.common import store
from physbench.datasets.jets import Jets, _packed, from_constituents, pt_weights, wrap
from physbench.datasets.jets import dark_showers as module
from physbench.datasets.jets._dark_shower_generator import MESONS, SIGNALS, card
from physbench.datasets.jets._smearing import Detector, smear
from physbench.tasks import dark_jets
from physbench.tasks.metrics.ranking import area_under_curve


@pytest.fixture(scope="module")
def splits() -> Splits:
    return dark_jets.TASK.splits("dark_showers")


def test_splits_go_by_event(splits: Splits) -> None:
    groups = [
        {name.rsplit("-", 1)[0] for name in part.ids}
        for part in (splits.train, splits.validation, splits.test)
    ]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    ids = [*splits.train.ids, *splits.validation.ids, *splits.test.ids]
    assert len(set(ids)) == len(ids)


def test_sizes_and_selection(splits: Splits) -> None:
    background = sum(
        int((part.targets.signal == 0).sum())
        for part in (splits.train, splits.validation, splits.test)
    )
    assert background == 40_000
    assert (len(splits.train), len(splits.validation)) == (24_000, 4_000)
    kinds = np.bincount(splits.test.targets.signal)
    assert kinds.tolist() == [12_000, 8_500, 8_500, 8_500, 8_500, 5_100]
    assert not splits.train.targets.signal.any()
    assert not splits.validation.targets.signal.any()
    jets = splits.test.inputs
    assert ((jets.pt > 150) & (jets.pt < 300) & (np.abs(jets.eta) < 2)).all()
    assert (np.diff(jets.constituents[..., 0], axis=1) <= 0).all()
    assert (jets.mask.sum(axis=1) == np.minimum(jets.multiplicity, 50)).all()


def test_pt_alone_cannot_win(splits: Splits) -> None:
    truth = splits.test.targets
    background = truth.signal == 0
    for code, name in enumerate(truth.signals, start=1):
        chosen = truth.signal == code
        weight = truth.weight[chosen]
        assert weight.mean() == pytest.approx(1.0)
        assert weight.sum() ** 2 / (weight**2).sum() > 2000  # jets that the weights leave
        area = area_under_curve(truth.pt[background], truth.pt[chosen], signal_weight=weight)
        assert area == pytest.approx(0.5, abs=0.01), name
        assert abs(area_under_curve(truth.pt[background], truth.pt[chosen]) - 0.5) > 0.05
    assert (truth.weight[background] == 1).all()
    assert dark_jets.admit({"pt_leak": 0.03}) is not None
    assert dark_jets.admit({"pt_leak": 0.01}) is None


def test_one_jet_an_event(splits: Splits) -> None:
    for part in (splits.train, splits.validation, splits.test):
        events = np.stack([part.targets.signal, part.targets.event])
        assert len(np.unique(events, axis=1).T) == len(part)


def test_the_card_states_what_was_generated() -> None:
    (path,) = store.checked("dark_showers", module.DATASET).values()
    facts = module.facts(path)
    assert facts["pythia8mc"] == "8.317.2"
    assert facts["samples"]["qcd"]["settings"] == card("qcd")
    for name in SIGNALS:
        assert facts["samples"][name]["settings"] == card(name)
        assert "HiddenValley:setLambda = on" in card(name)
    assert facts["samples"]["r_inv_0.75"]["dark_mesons_an_event"] == pytest.approx(33, abs=2)
    assert facts["detector"]["track_efficiency"] == Detector().track_efficiency


def test_branching_ratios_sum_to_one() -> None:
    for name, signal in SIGNALS.items():
        for meson in MESONS:
            mine = [line for line in card(name) if line.startswith(f"{meson}:")]
            lines = [line for line in mine if "hannel" in line]
            fractions = [float(line.split()[3]) for line in lines]
            assert sum(fractions) == pytest.approx(1.0, abs=1e-6)
            assert "oneChannel" in lines[0]
            assert not any("oneChannel" in line for line in lines[1:])
            dark = [f for f, line in zip(fractions, lines, strict=True) if line.endswith("51 -51")]
            assert sum(dark) == pytest.approx(signal.r_inv)


def test_contamination_takes_jets_from_outside_the_test_split(splits: Splits) -> None:
    dirty = dark_jets.TASK.splits("dark_showers", contamination=0.05)
    added = set(dirty.train.ids) - set(splits.train.ids)
    assert len(added) / len(dirty.train) == pytest.approx(0.05, abs=1e-3)
    assert all(name.startswith("r_inv_0.75-") for name in added)
    assert not added & set(dirty.test.ids)
    assert not dirty.train.targets.signal.any()
    assert dirty.test.ids == splits.test.ids
    with pytest.raises(ValueError, match="at most 0"):
        dark_jets.TASK.splits("dark_showers", contamination=0.4)
    with pytest.raises(ValueError, match="contaminant must be one of"):
        dark_jets.TASK.splits("dark_showers", contamination=0.01, contaminant="top")
    with pytest.raises(ValueError, match=r"fraction in \[0, 0.5\]; got 1.5"):
        dark_jets.TASK.splits("dark_showers", contamination=1.5)
    with pytest.raises(ValueError, match="has no option 'inverse'"):
        dark_jets.TASK.splits("dark_showers", inverse=True)
    with pytest.raises(FileNotFoundError, match="data make dark_showers"):
        dark_jets.TASK.splits("dark_showers", folder="absent")


def test_prepare_keeps_order_and_ties_exactly(splits: Splits) -> None:
    scores = np.random.default_rng(0).normal(size=len(splits.test)).round(2)
    ranks = dark_jets.prepare(splits.test.inputs, scores)
    assert ranks.dtype == np.uint16
    assert (np.argsort(ranks, kind="stable") == np.argsort(scores, kind="stable")).all()
    assert len(np.unique(ranks)) == len(np.unique(scores))
    assert (dark_jets.prepare(splits.test.inputs, ranks) == ranks).all()
    for metric in dark_jets.TASK.metrics:
        exact = metric.function(splits.test.targets, scores)
        stored = metric.function(splits.test.targets, ranks)
        assert stored == pytest.approx(exact, abs=1e-12, nan_ok=True), metric.name
    with pytest.raises(ValueError, match=r"shape \(51100,\); got shape \(3,\)"):
        dark_jets.prepare(splits.test.inputs, np.zeros(3))
    with pytest.raises(FloatingPointError, match="1 of 51100 scores"):
        dark_jets.prepare(splits.test.inputs, np.r_[np.nan, scores[1:]])


def test_jets_from_constituents() -> None:
    pt = np.array([[10.0, 30.0, 0.0], [5.0, 0.0, 0.0]])
    eta = np.array([[0.1, -0.1, 0.0], [1.0, 0.0, 0.0]])
    phi = np.array([[np.pi - 0.05, 0.05 - np.pi, 0.0], [2.0, 0.0, 0.0]])
    jets = from_constituents(pt, eta, phi, slots=4)
    assert jets.constituents.shape == (2, 4, 3)
    assert jets.multiplicity.tolist() == [2, 1]
    assert jets.constituents[0, :, 0].tolist() == [30, 10, 0, 0]
    assert np.abs(jets.constituents[..., 2]).max() < 0.1  # the seam does not tear the jet
    assert jets.mass[1] == pytest.approx(0, abs=1e-3)
    assert not jets.constituents[:, 2:].any()
    turned = from_constituents(pt, eta, wrap(phi + 1.0), slots=4)
    assert turned.constituents == pytest.approx(jets.constituents, abs=1e-6)
    assert turned.mass == pytest.approx(jets.mass, abs=1e-4)


def test_bad_jets_are_refused() -> None:
    one = np.ones((2, 3))
    with pytest.raises(ValueError, match="jet 1 has no constituents"):
        from_constituents(np.array([[1.0], [0.0]]), np.zeros((2, 1)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        from_constituents(one * np.nan, one, one)
    with pytest.raises(ValueError, match="must be >= 0"):
        from_constituents(-one, one, one)
    with pytest.raises(ValueError, match="one shape"):
        from_constituents(one, one[:1], one)
    with pytest.raises(ValueError, match=r"\(jets, slots, 3\)"):
        Jets(np.zeros((2, 3), np.float32), *[np.zeros(2, np.float32)] * 3, np.zeros(2, int))


def test_matching_makes_the_spectra_equal() -> None:
    generator = np.random.default_rng(1)
    background = 150 + generator.exponential(50, 20_000)
    signal = 150 + generator.exponential(80, 20_000)
    weight = pt_weights(signal, background)
    assert weight.mean() == pytest.approx(1)
    assert area_under_curve(background, signal) > 0.6
    assert area_under_curve(background, signal, signal_weight=weight) == pytest.approx(
        0.5, abs=0.005
    )
    assert (pt_weights(background, background) == 1).all()
    assert pt_weights(signal[:5], background).tolist() == [1.0] * 5  # too few to bin


def test_packed_constituents_come_back_within_half_a_step() -> None:
    generator = np.random.default_rng(0)
    jets = np.zeros((30, 8, 3), dtype=np.float32)
    for jet in jets:
        size = generator.integers(1, 9)
        jet[:size, 0] = np.sort(generator.exponential(30, size) + 0.4)[::-1]
        jet[:size, 1:] = generator.normal(0, 0.3, (size, 2))
    packed = _packed.pack(jets)
    again = _packed.unpack(packed["stored"], packed["constituents"], 8)
    filled = jets[..., 0] > 0
    assert ((again[..., 0] > 0) == filled).all()
    assert (
        np.abs(np.log(again[filled, 0] / jets[filled, 0])).max() <= 0.5 * _packed.LOG_STEP * 1.01
    )
    assert np.abs(again[..., 1:] - jets[..., 1:]).max() <= 0.5 * _packed.ANGLE_STEP * 1.01
    assert again.dtype == np.float32


def test_smearing_merges_cells_and_resolves_as_stated() -> None:
    generator = np.random.default_rng(0)
    detector = Detector(photon_stochastic=0.0, photon_constant=0.0)
    photons = np.array([[10.0, 0.005, 0.005], [20.0, 0.012, 0.012], [0.2, 0.5, 0.5]])
    neutral, light = np.zeros(3, dtype=bool), np.ones(3, dtype=bool)
    found = smear(photons, neutral, light, detector, generator)
    assert found.shape == (1, 3)  # two in one cell, one below threshold
    assert found[0, 1:] == pytest.approx([0.01, 0.01])
    assert found[0, 0] == pytest.approx(30.0, rel=1e-3)
    tracks = np.column_stack([np.full(20_000, 50.0), np.zeros((20_000, 2))])
    charged = np.ones(20_000, dtype=bool)
    seen = smear(tracks, charged, ~charged, Detector(), generator)
    assert len(seen) / 20_000 == pytest.approx(0.95, abs=0.01)
    assert seen[:, 0].std() / 50 == pytest.approx(np.hypot(0.01, 0.005), rel=0.05)


def test_generation_is_reproducible(tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("pythia8mc", reason="Pythia is an extra")
    with pytest.raises(ValueError, match="at least 100"):
        module.make(tmp_path, seed=1, jets=3)
    chunk = module.Chunk("r_inv_0.9", 0, 5, 7)
    first, second = (module.generate(chunk, Detector()) for _ in range(2))
    assert len(first["jets"]) == 5
    assert (first["jets"].constituents == second["jets"].constituents).all()
    assert first["mesons"] > 10
    assert len(set(first["event"])) == 5


def test_the_frozen_file_is_what_make_writes() -> None:
    """The first jets of the first chunk, generated again with the chunk's seed."""
    pytest.importorskip("pythia8mc", reason="Pythia is an extra")
    frozen = module.load()
    chunk = next(module._chunks(40_000, 2, True))
    again = module.generate(module.Chunk("qcd", 0, 8, chunk.seed), Detector())["jets"]
    mine = frozen.jets.take(np.arange(8))
    packed = _packed.pack(again.constituents)
    unpacked = _packed.unpack(packed["stored"], packed["constituents"], 50)
    assert (unpacked == mine.constituents).all()
    assert (again.pt == mine.pt).all()
    with pytest.raises(ValueError, match="variant must be one of"):
        module.load(variant="lambda")
    with pytest.raises(FileNotFoundError, match="set_lambda=false"):
        module.load(variant="lambda_off", folder="absent")
