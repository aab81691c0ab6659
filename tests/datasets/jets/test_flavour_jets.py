"""Flavour jets: labels, tracker, matching, splits, and the frozen file."""

import importlib.util
import itertools
import math

import numpy as np
import pytest
from scipy.stats import ks_2samp

from physbench.datasets.jets import TEST, TRAIN, VALIDATION, FlavourJets, Flavours, flavour_jets
from physbench.datasets.jets import _flavour_generator as generator
from physbench.datasets.jets import _flavour_tracker as tracker
from physbench.datasets.jets._resolution import sigma_d0

B, C, UDS, G = range(4)


# The generator: labels and ancestry.


@pytest.mark.parametrize(
    ("flavour", "content", "origins", "kept"),
    [
        ("b", {"b"}, {1, 2, 3}, True),
        ("b", {"b", "c"}, {1}, True),
        ("b", set(), {1, 2}, False),
        ("c", {"c"}, {1, 4}, True),
        ("c", {"b", "c"}, {1, 4}, False),
        ("c", {"c"}, {2, 4}, False),
        ("uds", set(), {0, 1, 5}, True),
        ("uds", {"c"}, {1}, False),
        ("g", set(), {1, 4}, False),
        ("g", set(), {1}, True),
    ],
)
def test_a_label_needs_the_hadrons_that_it_promises(flavour, content, origins, kept):
    assert generator._agrees(flavour, content, origins) is kept


class Event(list):
    """Particles by index: (PDG id, mother, status)."""

    def __getitem__(self, index):
        kind, mother, status = super().__getitem__(index)
        return Particle(kind, mother, status)


class Particle:
    def __init__(self, kind, mother, status):
        self.kind, self.mother, self.status = kind, mother, status

    def idAbs(self):
        return abs(self.kind)

    def mother1(self):
        return self.mother

    def statusAbs(self):
        return self.status


def test_ancestry_takes_the_nearest_decay_and_the_heaviest_flavour():
    event = Event(
        [
            (0, 0, 0),
            (5, 0, 23),  # 1: hard b quark
            (-511, 1, 83),  # 2: B0
            (413, 2, 91),  # 3: D*, not weakly decaying
            (411, 3, 91),  # 4: D+
            (310, 4, 91),  # 5: K_S
            (211, 5, 91),  # 6: pion of the K_S
            (211, 4, 91),  # 7: pion of the D
            (211, 2, 91),  # 8: pion of the B
            (211, 1, 83),  # 9: pion of the string
            (3122, 1, 83),  # 10: Lambda of the string
            (2212, 10, 91),  # 11: its proton
        ]
    )
    found = {index: generator._ancestry(event, index) for index in (6, 7, 8, 9, 11)}
    assert found == {6: (3, 5), 7: (3, 4), 8: (2, 2), 9: (1, 0), 11: (5, 10)}


needs_pythia = pytest.mark.skipif(
    importlib.util.find_spec("pythia8mc") is None, reason="needs the extra [pythia]"
)


@needs_pythia
def test_generator_gives_the_same_jets_again():
    chunk = generator.Chunk("b", 0, 20, 1)
    first, second = generator.generate(chunk), generator.generate(chunk)
    for name in ("jets", "particles", "origin", "hadron", "event"):
        np.testing.assert_array_equal(first[name], second[name])
    assert len(first["jets"]) == 20
    assert first["charged"].sum() == len(first["particles"])
    # Rounded features of version 8.317.2: another version has another stream of numbers.
    assert first["jets"][:3, 0].round(2).tolist() == FIRST_PT
    of_b = np.isin(first["origin"], (generator.FROM_B, generator.FROM_BC))
    jet = np.repeat(np.arange(20), first["charged"])
    assert len(np.unique(jet[of_b])) >= 18


FIRST_PT = [204.5, 186.6, 67.89]


@pytest.mark.slow
@needs_pythia
def test_make_does_not_depend_on_the_number_of_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(flavour_jets, "CHUNK", 200)
    monkeypatch.setattr(flavour_jets, "PT_BINS", 2)
    monkeypatch.setattr(flavour_jets, "ETA_BINS", 1)
    for name, processes in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        flavour_jets.make(tmp_path / name, seed=3, jets=400, processes=processes)
    one, two = ((tmp_path / n / flavour_jets.FILE).read_bytes() for n in ("one", "two"))
    assert one == two
    sample = flavour_jets.load(folder=str(tmp_path / "one"))
    assert len(sample.jets) == 400
    assert np.bincount(sample.truth.label).tolist() == [100] * 4


def test_make_refuses_samples_that_leave_splits_empty(tmp_path):
    with pytest.raises(ValueError, match="multiple of 40 from 400 on"):
        flavour_jets.make(tmp_path, jets=100)


def test_a_missing_folder_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="data make flavour_jets"):
        flavour_jets.load(folder=str(tmp_path))


# The tracker.


def tracks_of(vertices, momentum, *, charge=1.0, jets=None, turn=0.0, seed=0, **constants):
    """Tracks of one-particle jets without pile-up."""
    n = len(vertices)
    particles = np.column_stack([momentum, np.full(n, charge), vertices])
    pt = np.hypot(momentum[:, 0], momentum[:, 1])
    axis = np.column_stack([pt, np.arcsinh(momentum[:, 2] / pt), np.zeros(n)])
    axis[:, 2] -= turn
    true = {
        "jets": axis if jets is None else jets,
        "particles": particles,
        "charged": np.ones(n, dtype=int),
        "origin": np.ones(n, np.int8),
        "hadron": np.zeros(n, np.int64),
    }
    how = tracker.Tracker(pile_up=0.0, **constants)
    return tracker.tracks(true, how, np.random.default_rng(seed))


def test_core_and_tails_of_the_significance():
    n = 100_000
    momentum = np.tile([2.0, 0.0, 1.0], (n, 1))
    found = tracks_of(np.zeros((n, 3)), momentum, turn=0.1, material=0.0)
    eta = found["deta"] + np.arcsinh(0.5)
    pull = found["d0"] / sigma_d0(found["pt"], eta)
    # 90 % have width 1 and 10 % width 4.
    for x in (1.0, 2.0, 4.0, 8.0):
        wanted = 0.9 * math.erf(x / 2**0.5) + 0.1 * math.erf(x / 4 / 2**0.5)
        assert (np.abs(pull) < x).mean() == pytest.approx(wanted, abs=0.005)
    assert np.mean(found["pt"]) == pytest.approx(2.0, rel=1e-3)
    assert np.std(found["pt"]) / 2 == pytest.approx(np.hypot(0.01, 4e-4), rel=0.02)


def test_efficiency_steps():
    radius = np.array([0.0, 29.0, 31.0, 99.0, 101.0, 0.0])
    pt = np.array([2.0, 2.0, 2.0, 2.0, 2.0, 0.9])
    wanted = [0.88, 0.88, 0.53, 0.53, 0.22, 0.88 * 0.93]
    np.testing.assert_allclose(tracker.efficiency(radius, pt, tracker.Tracker()), wanted)
    n = 20_000
    found = tracks_of(np.zeros((n, 3)), np.tile([2.0, 0.0, 0.0], (n, 1)))
    assert len(found["jet"]) / n == pytest.approx(0.88, abs=0.01)


@pytest.mark.parametrize("charge", [-1.0, 1.0])
@pytest.mark.parametrize("away", [-0.3, 0.3])
def test_a_vertex_along_the_jet_gives_a_positive_sign(charge, away):
    n = 2000
    momentum = np.tile([5 * np.cos(away), 5 * np.sin(away), 0.0], (n, 1))
    vertices = np.tile([5.0, 0.0, 0.0], (n, 1))
    ahead = tracks_of(vertices, momentum, charge=charge)
    behind = tracks_of(-vertices, momentum, charge=charge)
    assert (ahead["d0"] > 0).mean() > 0.95
    assert (behind["d0"] < 0).mean() > 0.95
    assert np.median(ahead["d0"]) == pytest.approx(5 * np.sin(0.3), rel=0.1)


def test_pile_up_is_flat_in_the_cone():
    jets = np.tile([50.0, 0.5, 3.1], (20_000, 1))
    found = tracker._pile_up(jets, tracker.Tracker(), np.random.default_rng(1))
    assert len(found["jet"]) / len(jets) == pytest.approx(2.0, rel=0.02)
    away = np.hypot(found["eta"] - 0.5, found["phi"] - 3.1)
    assert away.max() <= 0.4
    assert (away < 0.2).mean() == pytest.approx(0.25, abs=0.01)
    # pT = 0.5 (1 - U)^(-1/3): P(pT > x) = (0.5 / x)^3.
    assert (found["pt"] > 1.0).mean() == pytest.approx(1 / 8, abs=0.01)


def test_jet_energy_resolution():
    pt = np.full(50_000, 64.0)
    found = tracker.jet_pt(pt, tracker.Tracker(), np.random.default_rng(2))
    assert found.std() / 64 == pytest.approx(np.hypot(0.1, 0.04), rel=0.02)


# Splits and matching.


def test_splits_keep_events_whole_and_one_jet_outside_train():
    event = np.repeat(np.arange(500), 2)
    label = np.zeros(1000, dtype=np.int64)
    rank = np.tile([0, 1], 500).astype(np.int8)
    split = flavour_jets._splits(label, event, np.random.default_rng(0))
    for code in (VALIDATION, TEST):
        inside = split == code
        assert inside.any()
        assert (rank[inside] == 0).all()
        assert not np.isin(event[split == TRAIN], event[inside]).any()
    assert (split == TRAIN).sum() == 2 * round(0.52 * 500)


def test_matching_gives_every_class_the_same_number_in_each_bin():
    random = np.random.default_rng(1)
    label = np.repeat(np.arange(4), 4000)
    pt = 25 * (200 / 25) ** random.beta(1 + label / 4, 1.5)
    columns = {"jet_pt": pt, "jet_eta": random.uniform(-2.1, 2.1, len(pt))}
    split = random.choice([TRAIN, VALIDATION, TEST], len(pt), p=[0.5, 0.2, 0.3]).astype(np.int8)
    chosen = flavour_jets._matched(label, split, columns, random, 6000)
    cell = flavour_jets._cells(pt, columns["jet_eta"])
    assert len(np.unique(chosen)) == len(chosen) == 6000
    for code, share in ((TRAIN, 0.6), (VALIDATION, 0.1), (TEST, 0.3)):
        inside = chosen[split[chosen] == code]
        assert len(inside) == 6000 * share
        counts = [np.bincount(cell[inside[label[inside] == k]], minlength=48) for k in range(4)]
        assert all((count == counts[0]).all() for count in counts)


def test_matching_says_when_there_are_too_few():
    with pytest.raises(ValueError, match="matching leaves 5 jets a flavour in a split of 6"):
        flavour_jets.quotas(np.array([2, 3]), 6)


def fake(chunk):
    """A chunk's jets in place of Pythia's: 300 of one track in one place."""
    n = 300
    column = np.ones(n)
    tracks = dict.fromkeys((*flavour_jets.TRACKS, "charge"), column)
    return {
        "jet_pt": np.full(n, 50.0),
        "jet_eta": np.zeros(n),
        "event": chunk.number * 1000 + np.arange(n),
        "rank": np.zeros(n, dtype=np.int64),
        "count": np.ones(n, dtype=np.int64),
        "tracks": tracks | {k: np.zeros(n, dtype=np.int64) for k in ("origin", "hadron")},
        **dict.fromkeys(("events", "matched", "dropped"), n),
    }


def test_a_sample_that_matching_leaves_short_gets_more_chunks(tmp_path, monkeypatch, capsys):
    """Nothing that was generated is thrown away: 1,200 jets of four flavours need two rounds."""
    monkeypatch.setattr(flavour_jets, "_made", fake)
    monkeypatch.setattr(flavour_jets, "candidates", lambda kept: 1)
    monkeypatch.setattr(flavour_jets, "version", lambda package: "none")
    flavour_jets.make(tmp_path, jets=1200)
    assert (
        np.bincount(flavour_jets.read(tmp_path / flavour_jets.FILE).truth.label).tolist()
        == [300] * 4
    )
    said = capsys.readouterr().out
    assert "matching leaves 156 jets a flavour in a split of 180: a chunk more" in said
    seeds = [
        s["seeds"] for s in flavour_jets.facts(tmp_path / flavour_jets.FILE)["samples"].values()
    ]
    assert len({seed for each in seeds for seed in each}) == 8


def test_hadrons_are_numbered_within_each_jet():
    hadron = np.array([0, 77, 5, 77, 5, 0, 9])
    numbers = flavour_jets._numbered(hadron, np.array([4, 3]))
    assert numbers.tolist() == [0, 1, 2, 1, 1, 0, 2]


# The types.


def jets(**changes):
    tracks = np.zeros((2, 3, 6), dtype=np.float32)
    tracks[0, :2] = [(4, 0.1, 0.1, 1, 0.5, 0.1), (2, -0.1, 0.0, -1, -0.02, 0.0)]
    columns = {"tracks": tracks, "pt": np.full(2, 40, np.float32), "eta": np.zeros(2, np.float32)}
    return FlavourJets(**(columns | changes))


def test_errors_are_those_of_the_measured_momentum():
    found = jets()
    d0, z0 = found.errors()
    assert d0[0, 0] == pytest.approx(np.hypot(0.020, 0.120 * np.sqrt(np.cosh(0.1)) / 4))
    assert z0[0, 0] == pytest.approx(np.hypot(0.040, 0.180 * np.cosh(0.1) ** 1.5 / 4))
    assert (d0[1] == 1).all()
    assert found.significance(-99)[1].tolist() == [-99] * 3
    reported = np.full((2, 3, 2), 0.5, dtype=np.float32)
    assert jets(sigma=reported).errors()[0][0, 0] == 0.5


def test_frame_has_a_row_a_track():
    frame = jets().to_frame()
    assert frame.jet.tolist() == [0, 0]
    assert frame.d0.tolist() == pytest.approx([0.5, -0.02])
    assert jets().to_torch().shape == (2, 3, 6)


def test_bad_jets_are_refused():
    with pytest.raises(ValueError, match=r"shape \(jets, slots, 6\).*got \(2, 3, 5\)"):
        jets(tracks=np.zeros((2, 3, 5), np.float32))
    with pytest.raises(ValueError, match="one element a jet"):
        jets(pt=np.zeros(3, np.float32))
    with pytest.raises(FloatingPointError, match="eta of jet 1 is NaN"):
        jets(eta=np.array([0, np.nan], np.float32))


# The frozen file.


@pytest.fixture(scope="module")
def sample():
    return flavour_jets.load()


def test_frozen_file_has_the_sizes_of_its_card(sample):
    assert len(sample.jets) == 100_000
    assert np.bincount(sample.split).tolist() == [60_000, 10_000, 30_000]
    assert np.bincount(sample.truth.label).tolist() == [25_000] * 4
    (file,) = flavour_jets.DATASET.files
    assert file.bytes < 12e6
    facts = flavour_jets.facts(flavour_jets.store.FROZEN / file.name)
    assert facts["pythia8mc"] == "8.317.2"
    assert 0 < facts["samples"]["g"]["dropped_fraction"] < 0.2


def test_labels_of_the_frozen_file(sample):
    truth = sample.truth
    for label, forbidden in ((C, (2, 3)), (UDS, (2, 3, 4)), (G, (2, 3, 4))):
        assert not np.isin(truth.origin[truth.label == label], forbidden).any()
    of_b = np.isin(truth.origin, (2, 3)).any(1)
    assert of_b[truth.label == B].mean() > 0.95


def test_spectra_of_the_frozen_file_are_matched(sample):
    for code in (TRAIN, VALIDATION, TEST):
        chosen = sample.truth.take(sample.split == code)
        for first, second in itertools.combinations(range(4), 2):
            for column in (np.log(chosen.pt), np.abs(chosen.eta)):
                own = column[chosen.label == first], column[chosen.label == second]
                assert ks_2samp(*own).pvalue > 0.01


def test_no_event_is_in_two_splits_and_test_has_one_jet_an_event(sample):
    event = [set(sample.truth.event[sample.split == code]) for code in (TRAIN, VALIDATION, TEST)]
    assert not event[0] & event[1]
    assert not event[0] & event[2]
    assert not event[1] & event[2]
    assert len(event[1]) == 10_000
    assert len(event[2]) == 30_000
    assert len(set(sample.ids)) == len(sample.ids)


def test_tracks_of_the_frozen_file_are_plausible(sample):
    tracks, mask = sample.jets.tracks, sample.jets.mask
    assert mask.any(1).all()
    assert (np.diff(tracks[..., 0], axis=1) <= 0).all()
    assert (tracks[~mask] == 0).all()
    assert np.abs(tracks[..., 4]).max() <= 5.0
    assert set(np.unique(tracks[..., 3][mask])) == {-1.0, 1.0}
    assert ((sample.truth.origin >= 0) == mask).all()
    assert isinstance(sample.truth, Flavours)
    b = sample.truth.label == B
    second = -np.sort(-sample.jets.significance(-99), axis=1)[:, 1]
    assert np.median(second[b]) > 2 * np.median(second[sample.truth.label == UDS])
