"""Flavour taggers: published sizes, symmetries, features by hand, jets that have no tracks."""

import math

import numpy as np
import pytest
import torch

from physbench.datasets import Split
from physbench.datasets.jets import FlavourJets, Flavours, Jets
from physbench.models.jets import (
    _class_posterior,
    _flavour_features,
    _tagging,
    auxiliary_transformer,
    flavour_trees,
    impact_parameter,
    particle_flow_network,
    particle_net,
    particle_transformer,
    pt_only,
    track_multiplicity,
    true_origins,
)
from physbench.tasks import jet_flavour

NETWORKS = {
    "particle_flow_network": particle_flow_network,
    "particle_net": particle_net,
    "particle_transformer": particle_transformer,
    "auxiliary_transformer": auxiliary_transformer,
}
SIMPLE = {
    "pt_only": pt_only,
    "track_multiplicity": track_multiplicity,
    "impact_parameter": impact_parameter,
    "flavour_trees": flavour_trees,
}


def made(n, seed=0, slots=6):
    """Jets of four classes; b jets have displaced tracks."""
    random = np.random.default_rng(seed)
    label = np.arange(n) % 4
    count = random.integers(0, slots + 1, n)
    count[:4] = (0, 1, 2, slots)
    mask = np.arange(slots) < count[:, None]
    tracks = np.zeros((n, slots, 6), dtype=np.float32)
    tracks[..., 0] = -np.sort(-random.exponential(3, (n, slots)) - 0.5)
    tracks[..., 1:3] = random.normal(0, 0.1, (n, slots, 2))
    tracks[..., 3] = random.choice([-1, 1], (n, slots))
    tracks[..., 4:] = random.normal(0, 0.05, (n, slots, 2))
    tracks[..., 4] += 0.5 * (label == 0)[:, None]
    tracks *= mask[..., None]
    pt = random.uniform(30, 150, n).astype(np.float32)
    jets = FlavourJets(tracks, pt, random.uniform(-2, 2, n).astype(np.float32))
    origin = np.where(mask, np.where((label == 0)[:, None], 2, 1), -1).astype(np.int8)
    hadron = np.where(mask, (origin == 2).astype(np.int8), -1).astype(np.int8)
    truth = Flavours(label.astype(np.int8), origin, hadron, np.arange(n), pt, jets.eta)
    return Split(jets, truth, [f"j{i}" for i in range(n)])


@pytest.fixture(scope="module")
def fitted():
    """Every model after a training of seconds."""
    train, validation = made(400), made(80, 1)
    found = {}
    for name, entry in (NETWORKS | SIMPLE).items():
        settings = dict(entry.MODEL.quick)
        if name in NETWORKS:
            settings |= {"epochs": 6, "batch": 40, "warmup": 0, "learning_rate": 3e-3}
        if name == "particle_flow_network":
            settings |= {"inner": (32, 32), "outer": (32,), "learning_rate": 1e-2}
        found[name] = entry, entry.fit(train, validation, seed=0, **settings)
    return found


# Sizes.


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_particle_transformer_has_the_published_sizes():
    build = particle_transformer.ParticleTransformer
    assert size(build(17, 10)) == 2_143_486
    assert size(build(7, 2)) == 2_141_134
    assert size(build(17, 10, pairs=())) == 2_133_918


def test_particle_net_has_the_published_sizes():
    build = particle_net.ParticleNet
    assert size(build(17, 10)) == 370_156
    assert size(build(7, 2)) == 366_160
    lite = {k: particle_net.LITE[k] for k in ("convolutions", "neighbours", "dense")}
    assert size(build(7, 2, **lite)) == 26_416


@pytest.mark.parametrize(
    ("name", "parameters"), [("particle_transformer", 44_756), ("particle_flow_network", 47_932)]
)
def test_presets_have_the_sizes_of_the_protocol(name, parameters):
    entry = NETWORKS[name]
    settings = dict(entry.MODEL.presets["flavour_jets"]) | {"epochs": 1}
    fitted = entry.fit(made(40), made(8, 1), seed=0, **settings)
    assert entry.MODEL.parameters(fitted) == parameters


# What every model must do.


@pytest.mark.parametrize("name", [*NETWORKS, *SIMPLE])
def test_predictions_do_not_depend_on_the_batch_or_on_padding(name, fitted):
    entry, model = fitted[name]
    jets = made(60, 2).inputs
    whole = entry.MODEL.predict(model, jets)
    assert whole.shape == (60, 4)
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(np.exp(whole).sum(1), 1, rtol=1e-5)
    alone = np.concatenate([entry.MODEL.predict(model, jets.take([i])) for i in range(60)])
    np.testing.assert_allclose(alone, whole, atol=2e-5)
    wider = FlavourJets(np.pad(jets.tracks, ((0, 0), (0, 4), (0, 0))), jets.pt, jets.eta)
    np.testing.assert_allclose(entry.MODEL.predict(model, wider), whole, atol=2e-5)
    jet_flavour.prepare(jets, whole)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks_do_not_know_the_order_of_tracks(name, fitted):
    entry, model = fitted[name]
    jets = made(40, 3).inputs
    # The order among filled slots alone: batches are cut behind the last one.
    full = jets.take(np.flatnonzero(jets.mask.all(1)))
    turned = FlavourJets(full.tracks[:, ::-1].copy(), full.pt, full.eta)
    np.testing.assert_allclose(
        entry.MODEL.predict(model, turned), entry.MODEL.predict(model, full), atol=2e-5
    )


@pytest.mark.parametrize("name", list(NETWORKS))
def test_saved_networks_predict_the_same_bits(name, fitted, tmp_path):
    entry, model = fitted[name]
    jets = made(30, 4).inputs
    entry.MODEL.save(model, tmp_path / "weights")
    again = entry.MODEL.load(tmp_path / "weights")
    np.testing.assert_array_equal(
        entry.MODEL.predict(again, jets), entry.MODEL.predict(model, jets)
    )
    assert entry.MODEL.parameters(again) == entry.MODEL.parameters(model)


@pytest.mark.parametrize("name", [*NETWORKS, *SIMPLE])
def test_jets_without_tracks_get_a_verdict(name, fitted):
    entry, model = fitted[name]
    n = 3
    empty = FlavourJets(
        np.zeros((n, 6, 6), np.float32), np.full(n, 50, np.float32), np.ones(n, np.float32)
    )
    found = entry.MODEL.predict(model, empty)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, found[:1].repeat(n, 0), rtol=1e-6)


@pytest.mark.parametrize("name", [*NETWORKS, "flavour_trees", "impact_parameter"])
def test_a_displaced_track_is_found(name, fitted):
    entry, model = fitted[name]
    split = made(200, 5)
    seen = split.inputs.mask.sum(1) > 1
    found = entry.MODEL.predict(model, split.inputs)
    score = (found[:, 0] - found[:, 2])[seen]
    b = (split.targets.label == 0)[seen]
    assert np.mean(score[b][:, None] > score[~b]) > 0.8


def test_training_twice_gives_the_same_weights():
    first, second = (
        particle_flow_network.fit(
            made(100), made(20, 1), seed=3, **particle_flow_network.MODEL.quick
        )
        for _ in range(2)
    )
    for one, two in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(one, two)


# Features.


def test_significance_is_ordered_and_missing_ones_are_no_zero():
    jets = made(8).inputs
    third = _flavour_features.largest_significance(jets, 3)
    assert (third[:3] == -99).all()  # 0, 1 and 2 tracks
    ordered = np.sort(jets.significance()[3])[::-1]
    assert third[3] == pytest.approx(ordered[2])


def test_impact_parameter_is_monotone_in_the_significance(fitted):
    _, model = fitted["impact_parameter"]
    jets = made(300, 6).inputs
    found = impact_parameter.predict(model, jets)
    order = np.argsort(_flavour_features.largest_significance(jets, 2), kind="stable")
    for k in (1, 2, 3):
        score = (found[:, 0] - found[:, k])[order]
        assert (np.diff(score) >= -1e-12).all()


def test_mass_of_two_tracks_by_hand():
    tracks = np.zeros((1, 3, 6), np.float32)
    tracks[0, :2, 0] = 3.0, 2.0
    tracks[0, 0, 2] = 0.3  # phi
    jets = FlavourJets(tracks, np.full(1, 10, np.float32), np.zeros(1, np.float32))
    energy = [math.hypot(p, 0.13957) for p in (3.0, 2.0)]
    wanted = math.sqrt(2 * 0.13957**2 + 2 * (energy[0] * energy[1] - 6.0 * math.cos(0.3)))
    assert _flavour_features.mass(jets, jets.mask)[0] == pytest.approx(wanted, rel=1e-5)
    only = jets.mask & (np.arange(3) == 0)
    assert _flavour_features.mass(jets, only)[0] == 0.0


def test_observables_by_hand():
    tracks = np.zeros((1, 6, 6), np.float32)
    tracks[0, :2] = [(4, 0.0, 0.1, 1, 0.5, 0.1), (2, -0.1, 0.0, -1, -0.1, 3.0)]
    jets = FlavourJets(tracks, np.full(1, 20, np.float32), np.zeros(1, np.float32))
    names = _flavour_features.observable_names()
    row = dict(zip(names, _flavour_features.observables(jets)[0], strict=True))
    assert len(names) == 34
    first, second = np.hypot(0.02, 0.12 / 4), np.hypot(0.02, 0.12 * np.cosh(0.1) ** 0.5 / 2)
    assert row["S 1"] == pytest.approx(0.5 / first)
    assert row["S 2"] == pytest.approx(-0.1 / second)
    assert row["S 3"] == -99
    assert row["smallest S"] == pytest.approx(-0.1 / second)
    assert row["pT share of S 1"] == pytest.approx(0.2)
    assert row["|d0| of S 2"] == pytest.approx(0.1)
    assert row["|z0|/sigma 2"] == 0.0  # 3 mm: beyond 20 sigma, another collision
    assert row["tracks, S > 6"] == 1
    assert row["mass, S > 6"] == 0.0
    assert row["mean dR^2, S > 2"] == pytest.approx(0.01)
    assert row["width"] == pytest.approx(0.1)
    assert row["sum of pT shares"] == pytest.approx(0.3)


def test_network_inputs_by_hand():
    tracks = np.zeros((1, 2, 6), np.float32)
    tracks[0, 0] = (math.e, 0.03, -0.04, -1, 0.2, -0.3)
    jets = FlavourJets(tracks, np.full(1, math.e**3, np.float32), np.full(1, -1.5, np.float32))
    row = dict(
        zip(
            _flavour_features.input_names(),
            _flavour_features.network_inputs(jets)[0, 0],
            strict=True,
        )
    )
    d0, z0 = (error[0, 0] for error in jets.errors())
    wanted = {
        "ln pT": 0.7 * 0.3,
        "ln pT share": 0.7,
        "dR": 4 * (0.05 - 0.15),
        "deta": -0.15,
        "dphi": -0.2,
        "charge": -1,
        "S(d0)": 0.7 * math.log1p(0.2 / d0),
        "S(z0)": -0.7 * math.log1p(0.3 / z0),
        "tanh d0": math.tanh(0.2),
        "tanh z0": math.tanh(-0.3),
        "ln sigma(d0)": math.log(d0 / 0.05),
        "ln sigma(z0)": math.log(z0 / 0.1),
    }
    assert row == pytest.approx(wanted, abs=1e-6)
    assert (_flavour_features.network_inputs(jets)[0, 1] == 0).all()


def test_pair_features_by_hand_and_without_cancellation():
    first = torch.tensor([[3.0, 0.1, 3.1], [2.0, 0.0, 0.0]])
    second = torch.tensor([[1.0, 0.4, -3.1], [2.0, 1e-4, 0.0]])
    found = particle_transformer.pair_features(first, second)
    dphi = 2 * math.pi - 6.2
    apart = math.hypot(0.3, dphi)
    square = 2 * 3 * (math.cosh(0.3) - math.cos(dphi))
    wanted = [math.log(v) for v in (apart, 0.25, apart, square)]
    np.testing.assert_allclose(found[0], wanted, rtol=1e-4)
    # m^2 = pT pT deta^2 for a close pair; cosh - cos in float32 would give 0.
    np.testing.assert_allclose(found[1, 3], math.log(4e-8), rtol=1e-3)


def test_pair_bias_is_symmetric_and_only_of_filled_pairs():
    batch = _tagging.collated(made(20).inputs)
    network = particle_transformer.ParticleTransformer(12, 4).eval()
    bias = network.pairs(batch.kinematics, batch.mask)
    assert torch.equal(bias, bias.transpose(2, 3))
    filled = (batch.mask[:, :, None] & batch.mask[:, None, :])[:, None].expand_as(bias)
    assert (bias[~filled] == 0).all()
    slow = network.pairs.layers(
        particle_transformer.pair_features(batch.kinematics[3, [4]], batch.kinematics[3, [2]])
    )
    torch.testing.assert_close(bias[3, :, 4, 2], slow[0])


def test_attention_of_tracks_sums_to_one_and_skips_empty_slots():
    batch = _tagging.collated(made(12).inputs)
    network = particle_transformer.ParticleTransformer(12, 4).eval()
    among, of_token = network.attention(batch)
    assert len(among) == 8
    assert len(of_token) == 2
    for weights in (*among, *of_token):
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    filled = torch.cat([torch.ones(12, 1, dtype=bool), batch.mask], 1)
    assert of_token[0][:, 0, 0][~filled].abs().max() == 0


def test_neighbours_are_the_nearest_filled_slots():
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    points = torch.tensor([[[0.0], [1.0], [3.0], [0.1]], [[5.0], [5.0], [5.0], [5.0]]])
    centre, other = particle_net.neighbours(points, mask, 1)
    assert list(zip(centre.tolist(), other.tolist(), strict=True)) == [(0, 1), (1, 0), (2, 1)]
    centre, other = particle_net.neighbours(points, mask, 7)
    assert sorted(zip(centre.tolist(), other.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 2),
        (2, 0),
        (2, 1),
    ]


def test_edge_convolution_is_the_formula_by_a_loop():
    torch.manual_seed(0)
    layer = particle_net.EdgeConvolution(3, (4, 5)).eval()
    x = torch.randn(3, 3)
    centre, other = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 0])
    wanted = []
    for i in range(3):
        messages = [
            layer.rest(layer.first(torch.cat([x[i], x[j] - x[i]]))[None])[0]
            for c, j in zip(centre.tolist(), other.tolist(), strict=True)
            if c == i
        ]
        mean = torch.stack(messages).mean(0) if messages else torch.zeros(5)
        wanted.append(torch.relu(mean + layer.shortcut(x[i][None])[0]))
    torch.testing.assert_close(layer(x, centre, other), torch.stack(wanted))


# The auxiliary targets and the oracle.


def test_vertices_of_tracks():
    batch = _tagging.collated(made(4).inputs)._replace(
        origin=torch.tensor([[1, 1, 2, 3, 2, 0, 0]]).expand(4, -1),
        hadron=torch.tensor([[0, 0, 1, 2, 1, 0, 0]]).expand(4, -1),
    )
    same = auxiliary_transformer.one_vertex(batch)[0]
    together = {(i, j) for i, j in torch.nonzero(same).tolist() if i < j}
    assert together == {(0, 1), (2, 4)}  # two primaries, two of one hadron; pile-up alone


def test_auxiliary_losses_are_added_with_their_weights():
    split = made(12)
    batch = _tagging.collated(split.inputs, split.targets)
    torch.manual_seed(1)
    sizes = {"width": 8, "layers": 1, "heads": 2, "feed_forward": 8, "vertex_width": 4}
    network = auxiliary_transformer.AuxiliaryTransformer(12, 4, **sizes).eval()
    values = [
        auxiliary_transformer.loss(network, batch, a, b).item()
        for a, b in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 1.5))
    ]
    assert values[0] == pytest.approx(_tagging.cross_entropy(network, batch).item())
    extra = [value - values[0] for value in values]
    assert extra[3] == pytest.approx(0.5 * extra[1] + 1.5 * extra[2], rel=1e-5)
    unknown = batch._replace(origin=torch.full_like(batch.origin, -1))
    assert auxiliary_transformer.loss(network, unknown, 0.5, 1.5).item() == pytest.approx(
        values[0]
    )


def test_origins_of_tracks_have_the_slots_of_the_inputs(fitted):
    _, model = fitted["auxiliary_transformer"]
    jets = made(4).inputs.take([0, 1])
    found = model.origins(jets)
    assert found.shape == (2, 6, 6)
    np.testing.assert_allclose(found[1, 0].sum(), 1)
    assert fitted["particle_flow_network"][1].origins(jets) is None


@pytest.mark.parametrize("name", ["auxiliary_transformer", "particle_transformer"])
def test_weights_of_tracks_are_those_of_filled_slots(name, fitted):
    _, model = fitted[name]
    jets = made(20, 7).inputs
    weights = model.attention(jets)
    assert weights.shape == (20, 6)
    some = jets.mask.any(1)
    assert (weights[some][~jets.mask[some]] < 1e-6).all()
    assert (weights.sum(1) <= 1 + 1e-6).all()
    assert fitted["particle_flow_network"][1].attention(jets) is None


def test_oracle_counts_what_the_truth_knows():
    split = made(40)
    table = true_origins.truth_table(split.inputs, split.targets)
    b = (split.targets.label == 0) & split.inputs.mask.any(1)
    assert (table[b, 3] == split.inputs.mask.sum(1)[b]).all()
    assert (table[b, 4] == 1).all()
    assert (table[split.targets.label != 0, 3:7] == 0).all()
    fitted = true_origins.fit(split, split, seed=0, trees=5, smallest_leaf=2)
    assert true_origins.predict(fitted, split.inputs, split.targets).shape == (40, 4)


def test_oracle_refuses_data_without_origins():
    split = made(8)
    unknown = Flavours(
        split.targets.label,
        np.full((8, 6), -1, np.int8),
        split.targets.hadron,
        split.targets.event,
        split.targets.pt,
        split.targets.eta,
    )
    with pytest.raises(ValueError, match="needs a dataset with true origins"):
        true_origins.fit(Split(split.inputs, unknown, split.ids), split, seed=0)


def test_posterior_in_more_bins_than_values():
    learnt = _class_posterior.posterior(np.zeros(8), np.arange(8) % 4, 4)
    np.testing.assert_allclose(np.exp(learnt(np.array([0.0]))), 0.25)


def test_rank_outside_the_slots_is_refused():
    with pytest.raises(ValueError, match="rank must be from 1 to the 6 slots"):
        impact_parameter.fit(made(8), made(8), seed=0, rank=7)


# The entries that two tasks share.


def test_pt_only_is_the_pt_of_anomaly_jets():
    pt = np.array([3.0, 1.0], np.float32)
    zero = np.zeros((2, 5, 3), np.float32)
    jets = Jets(zero, pt, pt, pt, np.ones(2, dtype=np.int64))
    split = Split(jets, np.zeros(2), ["a", "b"])
    assert pt_only.predict(pt_only.fit(split, split, seed=0), jets).tolist() == [3.0, 1.0]
