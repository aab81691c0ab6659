"""Explaining a tagger: shuffled inputs, the picture of a jet, and the verb on a real record."""

import numpy as np
import pytest

from benchmarks.insight import explaining
from benchmarks.running import stages
from physbench.datasets import Split
from physbench.datasets.jets import TRACK, FlavourJets, Flavours
from physbench.tasks.metrics import flavour_insight


@pytest.fixture
def split():
    """80 jets of four classes, whose b tracks have a d0 of 1 mm."""
    random = np.random.default_rng(0)
    label = np.resize(np.arange(4), 80).astype(np.int8)
    tracks = random.uniform(0.1, 0.3, (80, 6, 6)).astype(np.float32)
    tracks[..., 0] += 1
    tracks[:, 5] = 0
    tracks[:, :5, 4] = (label == 0)[:, None]
    pt = np.full(80, 50, np.float32)
    origin = np.tile([2, 2, 3, 1, 1, -1], (80, 1)).astype(np.int8)
    # Two primary tracks: too few to draw.
    jets = FlavourJets(tracks, pt, pt / 50)
    truth = Flavours(label, origin, origin, np.arange(80), pt, pt / 50)
    return Split(jets, truth, [str(i) for i in range(80)])


def scores(jets):
    """Log-probabilities that know b jets by their mean d0 alone."""
    L = np.zeros((len(jets), 4))
    L[:, 0] = 4 * jets.tracks[..., 4].mean(1) - 2
    return L - np.logaddexp.reduce(L, axis=1, keepdims=True)


@pytest.mark.parametrize("name", list(flavour_insight.SHUFFLES))
def test_a_shuffle_moves_one_column_and_leaves_its_values(split, name):
    before = split.inputs
    after = flavour_insight.SHUFFLES[name](before, np.random.default_rng(1))
    column, of = name.split(" of ")
    for number, track in enumerate(TRACK):
        same = np.array_equal(after.tracks[..., number], before.tracks[..., number])
        constant = np.ptp(before.tracks[..., number][before.mask]) == 0
        assert same is not (of == "tracks" and column == track) or constant
        ordered = [np.sort(j.tracks[..., number], axis=None) for j in (before, after)]
        np.testing.assert_array_equal(*ordered)
    np.testing.assert_array_equal(after.mask, before.mask)


def test_only_the_input_that_counts_is_important(split):
    rows = {row["input"]: row for row in flavour_insight.importance(split, scores, 3)}
    assert rows["d0 of tracks"]["log_rejection lost"] > 0.5
    assert rows["d0 of tracks"]["cross_entropy gained"] > 0.1
    for name in ("z0 of tracks", "charge of tracks", "eta of jets"):
        assert rows[name]["log_rejection lost"] == rows[name]["cross_entropy gained"] == 0.0
    figure = flavour_insight.importance_figure(list(rows.values()))
    assert len(figure.axes) == 2


def test_the_drawn_jet_is_a_sure_b_jet_with_tracks_of_both_kinds(split):
    with pytest.raises(ValueError, match="three heavy and three primary tracks"):
        flavour_insight.typical_b(split, np.ones(80))
    truth = split.targets
    origin = truth.origin.copy()
    origin[12] = [2, 2, 3, 1, 1, 1]
    origin[16] = [2, 3, 3, 1, 1, 1]
    fit = Split(
        split.inputs,
        Flavours(truth.label, origin, origin, truth.event, truth.pt, truth.eta),
        split.ids,
    )
    sure = np.linspace(0, 1, 80)
    assert flavour_insight.typical_b(fit, sure) == 16


@pytest.mark.parametrize(
    ("attention", "origins", "panels"),
    [
        (None, None, 1),
        (np.full(6, 0.2), None, 2),
        (np.full(6, 0.2), np.eye(6), 3),
    ],
)
def test_a_jet_is_drawn_with_what_the_network_knows(split, attention, origins, panels):
    one, true = split.inputs.take([0]), split.targets.take([0])
    figure = flavour_insight.jet_figure(one, true, attention, origins)
    drawn = [axes for axes in figure.axes if axes.get_title()]
    assert len(drawn) == panels
    assert drawn[0].get_title() == "true origin"


def test_the_verb_writes_tables_and_pictures(tmp_path, capsys):
    (record,) = stages.run(
        "jet_flavour",
        "auxiliary_transformer",
        runs=tmp_path,
        protocol={"train_jets": 400},
        settings={"epochs": 1, "width": 8, "layers": 1, "heads": 2, "vertex_width": 4},
    )
    assert record.status == "ok", record.failure
    (path,) = tmp_path.glob("jet_flavour/flavour_jets/auxiliary_transformer/0-*.json")
    written = explaining.explain(path, permutations=1)
    assert {p.name for p in written} == {"inputs.json", "inputs.png", "jet.png", "tables.md"}
    assert all(p.stat().st_size for p in written)
    assert "| d0 of tracks |" in (path.parent / f"{path.stem}-explain" / "tables.md").read_text()
