"""Models of dark jets: losses, views, encoder, sampling, transport; every model on few jets."""

from __future__ import annotations

import inspect
import itertools
import math
import tempfile
import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from scipy.optimize import linprog

import benchmarks
from benchmarks import registry
from physbench.datasets import Splits
from physbench.datasets.jets import Jets, from_constituents
from physbench.models.jets import _contrastive as contrastive
from physbench.models.jets import _contrastive_training as contrastive_training
from physbench.models.jets import _energy_flow as energy_flow
from physbench.models.jets import _features, darkclr, drop_classifier
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets import _optimal_transport as transport
from physbench.models.jets import _representation_figures as representations
from physbench.models.jets._cross_fitting import balanced, folds, own_columns
from physbench.models.jets._jet_observables import aligned, images, observables
from physbench.models.jets._normalized_autoencoder import Chain, NormalizedAutoencoder
from physbench.models.jets._representation_scores import Background
from physbench.models.jets.emd_medoids import k_medoids
from physbench.tasks import dark_jets
from physbench.tasks.metrics import anomaly

set_hypothesis_home_dir(tempfile.gettempdir())  # no folder in the checkout

SMALL = contrastive_training.QUICK
NAMES = registry.models_of("dark_jets")


@pytest.fixture(scope="module")
def splits() -> Splits:
    whole = dark_jets.TASK.splits("dark_showers")
    chosen = np.r_[
        0:200, 12_000:12_100, 25_000:25_100, 33_000:33_100, 40_000:40_100, 47_000:47_100
    ]
    return Splits(
        whole.train.take(range(400)),
        whole.validation.take(range(100)),
        whole.test.take(chosen),
        whole.files,
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_model_tells_jets_apart(name: str, splits: Splits) -> None:
    model = benchmarks.model(name)
    assert "dark_jets" in model.tasks
    fitted = model.fit(splits.train, splits.validation, seed=3, **model.quick)
    truth = (splits.test.targets,) if model.oracle else ()
    scores = model.predict(fitted, splits.test.inputs, *truth)
    ranks = dark_jets.prepare(splits.test.inputs, scores)
    assert len(np.unique(ranks)) > 20
    assert (ranks.ndim == 2) == model.oracle


def test_default_sizes_are_the_published_ones() -> None:
    encoder = contrastive.JetEncoder()
    assert sum(p.numel() for p in encoder.parameters()) == 1_122_304
    small = contrastive.JetEncoder(**_preset_shape())
    assert sum(p.numel() for p in small.parameters()) == 45_552
    with pytest.raises(ValueError, match="multiple of heads"):
        contrastive.JetEncoder(width=10, heads=4)


def test_unknown_scores_are_refused_before_training(splits: Splits) -> None:
    with pytest.raises(ValueError, match="score must be one of maha"):
        darkclr.fit(splits.train, splits.validation, seed=0, score="best")
    with pytest.raises(ValueError, match="'head' or 'encoder'"):
        darkclr.fit(splits.train, splits.validation, seed=0, representation="z")


@pytest.mark.parametrize("score", contrastive_training.SCORES)
def test_scores_of_darkclr_survive_storing(score: str, splits: Splits, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fitted = darkclr.fit(splits.train, splits.validation, seed=0, score=score, **SMALL)
    jets = splits.test.inputs.take(np.arange(50))
    before = darkclr.predict(fitted, jets)
    contrastive_training.save(fitted, tmp_path / "weights.pt")
    again = darkclr.predict(contrastive_training.load(tmp_path / "weights.pt"), jets)
    assert again == pytest.approx(before, rel=1e-6, abs=1e-9)
    assert contrastive_training.parameters(fitted) > 0


def with_similarities(table: np.ndarray) -> torch.Tensor:  # type: ignore[type-arg]
    """Unit vectors whose Gram matrix is `table`."""
    values, vectors = np.linalg.eigh(table)
    return torch.from_numpy(vectors * np.sqrt(np.maximum(values, 0)))


def test_losses_of_the_worked_examples() -> None:
    z = with_similarities(np.array([[1, 0.8, 0.1], [0.8, 1, 0.1], [0.1, 0.1, 1]]))
    loss = contrastive.anomaly_contrastive_plus(z[:1], z[1:2], z[2:], 0.1)
    assert loss.item() == pytest.approx(-7.0, abs=1e-9)
    table = np.full((4, 4), 0.2) + 0.8 * np.eye(4)
    for i, j in ((0, 2), (1, 3)):
        table[i, j] = table[j, i] = 0.8
    z = with_similarities(table)
    without = contrastive.contrastive(z[:2], z[2:], 0.1, positive_below=False)
    assert without.item() == pytest.approx(-(8 - 2 - math.log(2)), abs=1e-9)
    assert without.item() == pytest.approx(-5.307, abs=5e-4)
    nt_xent = contrastive.contrastive(z[:2], z[2:], 0.1)
    assert nt_xent.item() == pytest.approx(math.log(1 + 2 * math.exp(-6)))
    released, both = (
        contrastive.anomaly_contrastive(z[:2], z[2:], z[:2], 0.1, both=b).item()
        for b in (False, True)
    )
    assert released == pytest.approx(without.item() + 1 / 0.1)  # s(x, x-) = 1 for both members
    assert both == pytest.approx(without.item() + (1 + 0.8) / 2 / 0.1)
    with pytest.raises(ValueError, match="at least two jets"):
        contrastive.contrastive(z[:1], z[1:2], 0.1, positive_below=False)


def test_spread_by_hand() -> None:
    z = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])  # variances 2, covariance 2
    assert contrastive.spread(z).item() == pytest.approx((4 + 4) / 2)
    flat = torch.tensor([[0.5, 0.0], [-0.5, 0.0]])  # variances 0.5 and 0
    hinge = (1 - math.sqrt(0.5001) + 1 - 0.01) / 2
    assert contrastive.spread(flat).item() == pytest.approx(25 * hinge, rel=1e-5)


def test_plus_loss_is_bounded() -> None:
    z = torch.tensor([[1.0, 0.0]])
    assert contrastive.anomaly_contrastive_plus(z, z, -z, 0.1).item() == pytest.approx(-20)
    assert contrastive.anomaly_contrastive_plus(z, -z, z, 0.1).item() == pytest.approx(20)
    assert contrastive.anomaly_contrastive_plus(z, -z, z, 0.1, both=True).item() == pytest.approx(
        10
    )


@st.composite
def batches(draw: st.DrawFn) -> torch.Tensor:
    """Jets of 1 to 12 constituents in 16 slots, pT-sorted, centred anywhere in phi."""
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    seam = draw(st.sampled_from([0.0, np.pi, -np.pi]))
    pt, eta, phi = (np.zeros((len(sizes), 16)) for _ in range(3))
    for row, size in enumerate(sizes):
        pt[row, :size] = generator.exponential(20, size) + 0.5
        eta[row, :size] = generator.normal(0.5, 0.2, size)
        phi[row, :size] = seam + generator.normal(0, 0.2, size)
    return torch.from_numpy(from_constituents(pt, eta, phi, slots=16).constituents)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distances(jets: torch.Tensor) -> torch.Tensor:
    filled = views.mask(jets)
    return torch.cdist(jets[..., 1:].double(), jets[..., 1:].double()) * (
        filled[:, :, None] & filled[:, None, :]
    )


@settings(max_examples=40, deadline=None, database=None)
@given(batches())
def test_rotation_and_translation_move_jets_rigidly(jets: torch.Tensor) -> None:
    bounds = views.reach(views.recentred(jets))
    for moved in (views.rotated(jets, generator()), views.translated(jets, bounds, generator())):
        assert torch.equal(moved[..., 0], jets[..., 0])
        assert torch.allclose(distances(moved), distances(jets), atol=1e-5)
        assert not moved[~views.mask(jets)].any()
    assert views.translated(jets, bounds)[..., 2].abs().max() <= math.pi + 1e-5
    turned = views.centroid(views.rotated(jets, generator()))
    assert torch.allclose(turned, views.centroid(jets), atol=1e-5)
    assert views.centroid(views.recentred(jets)).abs().max() < 1e-5


@settings(max_examples=40, deadline=None, database=None)
@given(
    batches(),
    st.one_of(st.floats(0.0, 0.9), st.just((0.1, 0.6))),
    st.sampled_from(sorted(views.DROPS)),
)
def test_drops_conserve_pt_and_never_empty_a_jet(jets: torch.Tensor, p: Any, drop: str) -> None:
    dropped = views.DROPS[drop](jets, generator(), p)
    assert torch.allclose(dropped[..., 0].sum(1), jets[..., 0].sum(1), rtol=1e-5)
    assert (views.mask(dropped).sum(1) >= 1).all()
    assert (views.mask(dropped).sum(1) <= views.mask(jets).sum(1)).all()
    assert (dropped[:, 1:, 0] <= dropped[:, :-1, 0]).all()
    assert not dropped[~views.mask(dropped)].any()
    places = {tuple(p) for p in jets[..., 1:][views.mask(jets)].tolist()}
    assert {tuple(p) for p in dropped[..., 1:][views.mask(dropped)].tolist()} <= places


@settings(max_examples=40, deadline=None, database=None)
@given(batches())
def test_splitting_and_smearing_conserve_pt(jets: torch.Tensor) -> None:
    split = views.collinear_split(jets, generator())
    assert torch.allclose(split[..., 0].sum(1), jets[..., 0].sum(1), rtol=1e-5)
    assert torch.allclose(views.centroid(split), views.centroid(jets), atol=1e-5)
    assert (views.mask(split).sum(1) >= views.mask(jets).sum(1)).all()
    assert (views.mask(split).sum(1) <= 2 * views.mask(jets).sum(1)).all()
    assert torch.equal(views.smeared(jets, generator())[..., 0], jets[..., 0])


def test_views_treat_each_jet_on_its_own() -> None:
    """The redraw of an emptied jet and the recentring leave the rest of the batch alone."""
    many = torch.zeros(2000, 4, 3)
    many[:, 0, 0] = 10.0
    many[:1000, 1, 0] = 5.0
    many[:1000, 1, 1] = 0.3
    dropped = views.dark_dropped(many, generator(), 0.5)
    assert (dropped[1000:, 0, 0] == 10).all()
    kept = views.mask(dropped)[:1000].sum(1)
    assert (kept == 2).float().mean().item() == pytest.approx(1 / 3, abs=0.05)
    centres = views.centroid(views.recentred(many + 0.0))
    assert centres.abs().max() < 1e-6
    with pytest.raises(ValueError, match="jet 0 of the batch has no constituents"):
        views.dark_dropped(torch.zeros(1, 3, 3), generator())
    with pytest.raises(ValueError, match="probability must be in"):
        views.dark_dropped(many, generator(), 1.0)
    with pytest.raises(ValueError, match="a pair"):
        views.dark_dropped(many, generator(), (0.6, 0.1))
    assert views.probability(0.5, ()) == 0.5
    assert views.probability(0.5, [0.1, 0.6]) == (0.1, 0.6)
    with pytest.raises(ValueError, match=r"drop_range must be \(low, high\)"):
        views.probability(0.5, [0.1])


def test_the_chance_to_lose_a_constituent_is_the_one_asked_for() -> None:
    jets = torch.ones(4000, 30, 3)
    jets[..., 1:] = torch.randn(4000, 30, 2, generator=generator(1))
    for drop in views.DROPS.values():
        kept = views.mask(drop(jets, generator(), 0.3)).float().mean(1)
        assert kept.mean().item() == pytest.approx(0.7, abs=0.01)
        ranged = views.mask(drop(jets, generator(), (0.1, 0.6))).float().mean(1)
        assert ranged.mean().item() == pytest.approx(0.65, abs=0.01)
        assert ranged.std() > kept.std() * 1.1


def test_neighbours_are_lost_together() -> None:
    """Two far groups of constituents: whole groups vanish far more often than by chance."""
    jets = torch.ones(2000, 12, 3)
    jets[:, :6, 1], jets[:, 6:, 1] = 0.0, 50.0
    jets[..., 2] = 1e-3 * torch.rand(2000, 12, generator=generator(1))

    def one_side(drop: Any) -> float:
        left = (drop(jets, generator(), 0.5)[..., 1] < 25) & views.mask(
            drop(jets, generator(), 0.5)
        )
        return float((left.sum(1) == 0).float().mean())

    assert one_side(views.subjets_dropped) > 3 * one_side(views.dark_dropped)


def test_a_jet_across_the_seam_equals_its_turned_copy() -> None:
    rng = np.random.default_rng(0)
    pt, eta = rng.exponential(20, (3, 9)) + 1, rng.normal(0, 0.3, (3, 9))
    phi = rng.normal(0, 0.3, (3, 9))
    plain, seam = (from_constituents(pt, eta, phi + turn) for turn in (0.3, np.pi))
    encoder = contrastive.JetEncoder(**_shape()).eval()
    tensors = [contrastive_training.tensor(jets, 50) for jets in (plain, seam)]
    z = [encoder(t)[1] for t in tensors]
    assert torch.allclose(z[0], z[1], atol=1e-5)


def _shape() -> dict[str, Any]:
    return {k: v for k, v in SMALL.items() if k != "epochs"}


def _preset_shape() -> dict[str, Any]:
    known = inspect.signature(contrastive.JetEncoder).parameters
    return {k: v for k, v in contrastive_training.PRESET.items() if k in known}


@pytest.fixture
def jets(splits: Splits) -> Jets:
    return splits.test.inputs.take(np.arange(80))


@pytest.mark.parametrize("continuous", [False, True])
def test_encoder_is_permutation_and_padding_invariant(jets: Jets, continuous: bool) -> None:
    torch.manual_seed(0)
    encoder = contrastive.JetEncoder(**_shape(), continuous=continuous).eval()
    data = contrastive_training.tensor(jets, 50)
    h, z = encoder(data)
    count = views.mask(data).sum(1)
    key = torch.rand(len(data), 50, generator=generator())
    key = key.masked_fill(~views.mask(data), 2.0)
    shuffled = torch.gather(data, 1, key.argsort(1)[..., None].expand_as(data))
    assert not torch.equal(shuffled, data)
    padded = torch.cat([data, torch.zeros(len(data), 10, 3)], dim=1)
    for other in (shuffled, padded):
        again = encoder(other)
        assert torch.allclose(again[0], h, rtol=1e-5, atol=1e-5 * float(count.max()))
        assert torch.allclose(again[1], z, rtol=1e-5, atol=1e-5)
    alone = torch.cat([encoder(one[None])[1] for one in data[:5]])
    assert torch.allclose(alone, z[:5], atol=1e-5)


def test_soft_constituents_fade_where_attention_is_continuous(jets: Jets) -> None:
    """A constituent of 1e-6 GeV changes nothing; without the continuous mask it does."""
    data = contrastive_training.tensor(jets, 50)[:20, :20]
    data = torch.cat([data, torch.zeros(20, 5, 3)], dim=1)
    soft = data.clone()
    soft[:, 20] = torch.tensor([1e-6, 0.3, -0.2])
    change = {}
    for continuous in (False, True):
        torch.manual_seed(0)
        encoder = contrastive.JetEncoder(**_shape(), continuous=continuous).eval()
        change[continuous] = (encoder(soft)[0] - encoder(data)[0]).detach().abs().max().item()
    assert change[True] < 1e-2 * change[False]


def reference_views(jet: torch.Tensor, rng: torch.Generator) -> list[torch.Tensor]:
    """The three views of one jet (m, 3), written plainly."""

    def turned(x: torch.Tensor) -> torch.Tensor:
        angle = 2 * math.pi * torch.rand(1, generator=rng).item()
        c, s = math.cos(angle), math.sin(angle)
        return torch.stack([x[:, 0], c * x[:, 1] - s * x[:, 2], s * x[:, 1] + c * x[:, 2]], dim=1)

    def dropped(x: torch.Tensor) -> torch.Tensor:
        kept = torch.zeros(len(x), dtype=torch.bool)
        while not kept.any():
            kept = torch.rand(len(x), generator=rng) >= 0.5
        y = x[kept].clone()
        y[:, 0] *= x[:, 0].sum() / y[:, 0].sum()
        y[:, 1:] -= (y[:, :1] * y[:, 1:]).sum(0) / y[:, 0].sum()
        return y[y[:, 0].argsort(descending=True)]

    common = turned(jet)
    return [common, turned(common), dropped(common)]


def test_vectorised_step_beats_the_loop_over_jets(splits: Splits) -> None:
    """Views, encoder, loss and gradient of the 45 k network: at least 1.5 times a plain loop."""
    torch.manual_seed(0)
    encoder = contrastive.JetEncoder(**_preset_shape())
    data = contrastive_training.tensor(splits.train.inputs, 50)[:256]

    def vectorised() -> None:
        z = [encoder(view)[1] for view in views.three_views(data, generator(), moved=False)]
        contrastive.anomaly_contrastive_plus(z[0], z[1], z[2], 0.1).backward()

    def loop() -> None:
        rng, rows = generator(), []
        for jet, filled in zip(data, views.mask(data), strict=True):
            views_of_jet = reference_views(jet[filled], rng)
            rows.append(torch.stack([encoder(view[None])[1][0] for view in views_of_jet]))
        z = torch.stack(rows)
        contrastive.anomaly_contrastive_plus(z[:, 0], z[:, 1], z[:, 2], 0.1).backward()

    def cost(step: object) -> float:
        started = time.process_time()
        step()  # type: ignore[operator]
        return time.process_time() - started

    vectorised()
    assert cost(loop) / min(cost(vectorised) for _ in range(3)) > 1.5


def test_scores_on_representations() -> None:
    rng = np.random.default_rng(0)
    bank = rng.normal(0, 0.1, (500, 4)) + [1, 0, 0, 0]
    odd = np.array([[-1.0, 0, 0, 0], [1, 0, 0, 0]])
    background = Background.of(bank)
    for score in (background.maha, background.cos_mean, background.knn):
        far, near = score(odd)
        assert far > near
    inverse = np.linalg.inv(np.cov(bank, rowvar=False))
    d = odd - bank.mean(0)
    assert background.maha(odd) == pytest.approx(np.diag(d @ inverse @ d.T), rel=1e-4)
    white = background.whitened(bank)
    assert np.cov(white, rowvar=False) == pytest.approx(np.eye(4), abs=1e-4)
    assert background.cos_mean(odd)[0] == pytest.approx(1, abs=0.01)


def test_langevin_without_noise_lowers_the_energy() -> None:
    torch.manual_seed(0)
    network = NormalizedAutoencoder(10, hidden=(8,), latent=2)
    start = torch.randn(20, 10, generator=generator())
    chain = Chain(steps=10, step=0.5, noise=0.0, clip=1.0)
    end = chain.run(start, network.energy, lambda x: x, 1.0, generator())
    assert (network.energy(end) < network.energy(start)).all()
    cold = Chain(steps=20, step=0.0, noise=0.5)
    frozen = cold.run(start, network.energy, lambda x: x, 1e-6, generator())
    assert (network.energy(frozen) <= network.energy(start) + 1e-5).all()
    free = Chain(steps=20, step=0.0, noise=0.5, metropolis=False)
    assert network.energy(
        free.run(start, network.energy, lambda x: x, 1.0, generator())
    ).mean() > (network.energy(frozen).mean())
    with pytest.raises(ValueError, match="'linear' or 'softmax'"):
        NormalizedAutoencoder(10, output="tanh")


def test_softmax_autoencoder_keeps_the_pixel_sum() -> None:
    network = NormalizedAutoencoder(9, hidden=(4,), latent=2, output="softmax", amplitude=3.0)
    x = network.decode(network.encode(torch.rand(5, 9)))
    assert x.sum(1).tolist() == pytest.approx([3.0] * 5, rel=1e-5)


def test_transport_equals_the_exact_linear_program(jets: Jets) -> None:
    first, second = transport.clouds(jets.take(np.arange(2)), 8)
    (a, x), (b, y) = first, second
    cost = np.linalg.norm(x[:, None] - y[None], axis=-1) / transport.RADIUS
    n, m = len(a), len(b)
    rows = np.zeros((n + m, n * m))
    for i, j in itertools.product(range(n), range(m)):
        rows[i, i * m + j] = rows[n + j, i * m + j] = 1
    exact = linprog(cost.ravel(), A_eq=rows, b_eq=np.r_[a, b], method="highs")
    assert transport.distance(first, second) == pytest.approx(exact.fun, rel=1e-9)
    assert transport.distance(first, first) == pytest.approx(0, abs=1e-12)


def test_medoids_of_two_clusters() -> None:
    points = np.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2])
    table = np.abs(points[:, None] - points)
    assert sorted(k_medoids(table, 2)) == [1, 4]
    with pytest.raises(ValueError, match="between 1 and 6"):
        k_medoids(table, 9)


def test_polynomials_equal_the_plain_sums(jets: Jets) -> None:
    few = jets.take(np.arange(3))
    table = few.constituents[:, :6].astype(np.float64)
    small = from_constituents(table[..., 0], table[..., 1], table[..., 2], slots=6)
    found = energy_flow.polynomials(small, degree=3)
    chosen = energy_flow.package().EFPSet("d>0", "d<=3", "p==1", measure="hadr", verbose=0)
    graphs = [sorted(tuple(sorted(edge)) for edge in graph) for graph in chosen.graphs()]
    assert [len(graph) for graph in graphs].count(3) == 5
    z = small.constituents[..., 0] / small.constituents[..., 0].sum(1, keepdims=True)
    for jet in range(3):
        angles = small.constituents[jet, :, 1:].astype(np.float64)
        theta = np.linalg.norm(angles[:, None] - angles[None], axis=-1)
        for place, graph in enumerate(graphs):
            vertices = 1 + max(b for _, b in graph)
            total = 0.0
            for chosen in itertools.product(range(6), repeat=vertices):
                term = math.prod(float(z[jet, i]) for i in chosen)
                total += term * math.prod(theta[chosen[a], chosen[b]] for a, b in graph)
            assert found[jet, place] == pytest.approx(total, rel=1e-5)
    with pytest.raises(ValueError, match="1 to 5"):
        energy_flow.polynomials(small, degree=6)


def test_observables_and_images(jets: Jets) -> None:
    table = observables(jets)
    assert table.shape == (80, 5)
    assert np.isfinite(table).all()
    frame = aligned(jets).astype(np.float64)
    moment = (frame[..., 0] * frame[..., 1] * frame[..., 2]).sum(1)
    assert np.abs(moment).max() < 1e-4  # principal axes
    pictures = images(jets, 20)
    assert pictures.sum(1) == pytest.approx(np.ones(80))
    one = from_constituents(np.array([[9.0]]), np.zeros((1, 1)), np.zeros((1, 1)))
    assert np.isfinite(observables(one)).all()
    assert np.isfinite(images(one, 20)).all()


def test_cross_fitting_keeps_events_together(splits: Splits) -> None:
    truth = splits.test.targets
    fold = folds(truth, 3, 0)
    for key in {(int(s), int(e)) for s, e in zip(truth.signal, truth.event, strict=True)}:
        same = (truth.signal == key[0]) & (truth.event == key[1])
        assert len(set(fold[same])) == 1
    weights = balanced(truth.signal, truth.weight)
    sums = np.bincount(truth.signal, weights)
    assert sums == pytest.approx(np.full(len(sums), sums.mean()))
    assert weights.mean() == pytest.approx(1)
    with pytest.raises(ValueError, match="at least 2 folds"):
        folds(truth, 1, 0)


def test_an_oracle_keeps_only_the_columns_that_are_compared(splits: Splits) -> None:
    truth = splits.test.targets
    scores = np.random.default_rng(0).normal(size=(len(truth), 5))
    kept = own_columns(scores, truth)
    background = truth.signal == 0
    assert (kept[background] == scores[background]).all()
    second = np.flatnonzero(truth.signal == 2)
    assert (kept[second, 1] == scores[second, 1]).all()
    assert (kept[second, 0] == scores[:, 0].min()).all()
    assert anomaly.auc_slices(truth, kept) == anomaly.auc_slices(truth, scores)


def test_no_ranked_model_asks_for_targets() -> None:
    for name in NAMES:
        model = benchmarks.model(name)
        assert ("targets" in inspect.signature(model.predict).parameters) == model.oracle


def test_features_know_neither_direction_nor_scale(jets: Jets) -> None:
    data = contrastive_training.tensor(jets, 50)
    table = _features.table(data)
    assert table.shape == (len(data), 39)
    assert _features.table(views.rotated(data, generator())) == pytest.approx(table, abs=2e-3)
    louder = data * torch.tensor([2.0, 1.0, 1.0])
    shuffled = views.by_pt(views.shifted(louder, torch.full((len(data), 2), 0.2))).flip(1)
    assert _features.table(shuffled) == pytest.approx(table, abs=2e-3)
    one = torch.zeros(1, 3, 3)
    one[0, 0, 0] = 5.0
    assert np.isfinite(_features.table(one)).all()


def test_features_of_two_constituents_by_hand() -> None:
    pair = torch.tensor([[[3.0, 0.1, 0.0], [1.0, -0.1, 0.0]]])
    row = _features.table(pair)[0]
    z, r = np.array([0.75, 0.25]), np.array([0.05, 0.15])  # the centroid lies at 0.05
    assert row[-4:] == pytest.approx([0.75, 0.25, 0, 0])
    log_mass, c2, dispersion, width = row[-8:-4]
    assert log_mass == pytest.approx(np.log(0.75 * 0.25 * 0.2**2 + 1e-5), abs=1e-4)
    assert c2 == pytest.approx(0.75 * 0.25 * 0.2**0.2, rel=1e-5)
    assert dispersion == pytest.approx(np.sqrt((z**2).sum()), rel=1e-5)
    assert width == pytest.approx((z * r).sum(), rel=1e-5)
    assert row[:8] == pytest.approx([0, 0, 0, 0, 0, 0, 0, np.sqrt(2)])  # both above 0.2


def test_binned_sums_equal_numpy() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(3, 40)), rng.random((3, 40))
    found = _features.binned(torch.from_numpy(values), torch.from_numpy(weights), (-0.5, 0.0, 1.0))
    for k in range(3):
        exact = np.histogram(values[k], [-9, -0.5, 0.0, 1.0, 9], weights=weights[k])[0]
        assert found[k].numpy() == pytest.approx(exact)


@pytest.mark.parametrize(
    "settings_of", [{}, {"score": "logit"}, {"members": 2, "separate": True}, {"score": "flow"}]
)
def test_drop_classifier_survives_storing(settings_of: Any, splits: Splits, tmp_path: Any) -> None:
    if settings_of.get("score") == "flow":
        pytest.importorskip("zuko", reason="flows are an extra")
    quick = drop_classifier.MODEL.quick | settings_of
    fitted = drop_classifier.fit(splits.train, splits.validation, seed=0, **quick)
    jets = splits.test.inputs.take(np.arange(50))
    before = drop_classifier.predict(fitted, jets)
    drop_classifier.save(fitted, tmp_path / "weights")
    again = drop_classifier.predict(drop_classifier.load(tmp_path / "weights"), jets)
    assert again == pytest.approx(before, rel=1e-5, abs=1e-6)
    with pytest.raises(ValueError, match="kinds must be among"):
        drop_classifier.fit(splits.train, splits.validation, seed=0, kinds=("all",))


def test_figures_of_a_representation(splits: Splits) -> None:
    fitted = darkclr.fit(splits.train, splits.validation, seed=0, **SMALL)
    figure = representations.representation_figure(fitted, splits.validation.inputs)
    assert figure.axes[0].get_xlabel().startswith("first component (")
    history: Any = fitted.encoder.history
    assert len(history) == 1
    lines = representations.loss_figure(history).axes[0].lines
    assert [line.get_label() for line in lines] == ["training", "held-out background"]


def test_leading_components_and_rank_of_a_known_cloud() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(4000, 3)) * [3.0, 1.0, 0.0]
    found, shares = representations.leading(cloud)
    assert np.abs(np.corrcoef(found[:, 0], cloud[:, 0])[0, 1]) == pytest.approx(1, abs=1e-3)
    assert shares == pytest.approx([0.9, 0.1], abs=0.01)
    p = np.array([0.9, 0.1])
    assert representations.effective_rank(cloud) == pytest.approx(
        np.exp(-(p * np.log(p)).sum()), rel=0.03
    )
