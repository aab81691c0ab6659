"""Flavour metrics: worked examples, invariances, and fast paths against slow ones."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from physbench.datasets.jets import FlavourJets, Flavours
from physbench.tasks import jet_flavour
from physbench.tasks.metrics import flavour, ranking

FIVE = np.array(
    [
        (0.7, 0.2, 0.05, 0.05),
        (0.3, 0.4, 0.2, 0.1),
        (0.1, 0.3, 0.4, 0.2),
        (0.6, 0.1, 0.2, 0.1),
        (0.05, 0.15, 0.3, 0.5),
    ]
)


def truth(label, pt=None, classes=("b", "c", "uds", "g")):
    label = np.asarray(label, dtype=np.int8)
    n = len(label)
    pt = np.full(n, 50.0) if pt is None else pt
    slots = np.zeros((n, 3), dtype=np.int8)
    eta = np.resize(np.linspace(-2, 2, 7), n).astype(np.float32)
    return Flavours(label, slots, slots, np.arange(n), pt.astype(np.float32), eta, classes)


def jets(n, classes=("b", "c", "uds", "g")):
    return FlavourJets(
        np.zeros((n, 3, 6), np.float32),
        np.ones(n, np.float32),
        np.ones(n, np.float32),
        classes=classes,
    )


@pytest.fixture(scope="module")
def sample():
    """800 jets of four classes whose scores overlap and tie."""
    random = np.random.default_rng(4)
    label = np.repeat(np.arange(4), 200)
    L = np.rint(8 * random.normal(size=(800, 4))) / 8  # sums of eighths are exact
    L[np.arange(800), label] += 1.0
    return truth(label, random.uniform(25, 200, 800)), L


def test_worked_example_of_two_classes():
    b, other = [0.9, 0.8, 0.4], [0.7, 0.3, 0.2]
    assert ranking.area_under_curve(other, b) == pytest.approx(8 / 9)
    curve = ranking.roc(other, b)
    two_thirds = ranking.working_point(curve, 2 / 3)
    assert two_thirds.bound
    assert two_thirds.rejection == 3.0
    assert ranking.working_point(curve, 1.0).passing == 1
    assert ranking.working_point(curve, 1.0).rejection == 3.0


def test_worked_example_of_five_jets():
    targets, L = truth([0, 0, 2, 1, 3]), np.log(FIVE)
    assert flavour.cross_entropy(targets, L) == pytest.approx(1.09453, abs=1e-5)
    assert flavour.accuracy(targets, L) == pytest.approx(0.6)
    wanted = [2.44844, 0.58280, -1.09861, 1.40990, -2.03471]
    np.testing.assert_allclose(flavour.b_discriminant(L), wanted, atol=1e-5)


def test_ten_signals_at_77_per_cent_take_the_eighth():
    targets = truth([0] * 10 + [1] * 10 + [2] * 10 + [3] * 10)
    L = np.zeros((40, 4))
    L[:10, 0] = np.arange(10, 0, -1)  # the eighth largest b score is 3
    L[10:20, 0] = np.arange(10, 0, -1) - 7.0  # one c jet at 3, nine below
    found = flavour.points(targets, L)
    assert found["c", 0.77].eps_signal == 0.8
    assert found["c", 0.77].passing == 1
    assert found["c", 0.70].passing == 0  # the seventh: 4
    assert found["c", 0.70].bound
    assert flavour.rejection_c_77(targets, L) == 10.0
    assert flavour.bounded_points(targets, L) == 6.0
    assert flavour.log_rejection(targets, L) == pytest.approx(math.log(10))


def test_chance_is_0_309():
    # L constant: every cut takes all jets, so rejection 1; a random order gives -ln eps.
    random = np.random.default_rng(0)
    targets = truth(np.repeat(np.arange(4), 5000))
    L = random.normal(size=(20_000, 4))
    assert flavour.log_rejection(targets, L) == pytest.approx(0.309, abs=0.02)
    assert flavour.log_rejection(targets, np.zeros((20_000, 4))) == 0.0


def test_a_constant_of_each_jet_changes_nothing(sample):
    targets, L = sample
    shifted = L + np.random.default_rng(1).integers(-8, 8, size=(len(L), 1))
    for metric in jet_flavour.TASK.metrics:
        if metric.function is not flavour.ovo_sklearn:  # it compares probabilities of classes
            assert metric.function(targets, shifted) == pytest.approx(metric.function(targets, L))


def test_macro_auc_is_the_mean_over_pairs_by_loops(sample):
    targets, L = sample
    areas = []
    for i in range(4):
        for j in range(i + 1, 4):
            first = (L[:, i] - L[:, j])[targets.label == i]
            second = (L[:, i] - L[:, j])[targets.label == j]
            wins = (first[:, None] > second).mean() + (first[:, None] == second).mean() / 2
            areas.append(wins)
    assert flavour.macro_auc(targets, L) == pytest.approx(np.mean(areas))


def test_ovo_is_scikit_learns_and_another_number(sample):
    targets, L = sample
    normalised = flavour.log_probabilities(targets, flavour.stored(L, targets.classes))
    wanted = roc_auc_score(targets.label, np.exp(normalised), multi_class="ovo")
    assert flavour.ovo_sklearn(targets, normalised) == pytest.approx(wanted)
    assert abs(wanted - flavour.macro_auc(targets, normalised)) > 1e-3


def test_replicates_are_the_digits_of_resampling(sample):
    targets, L = sample
    random = np.random.default_rng(2)
    draws = random.integers(0, len(L), size=(5, len(L)))
    counts = np.array([np.bincount(draw, minlength=len(L)) for draw in draws])
    fast = [m for m in jet_flavour.TASK.metrics if m.replicates is not None]
    assert len(fast) == 11
    for metric in fast:
        slow = [metric.function(targets.take(draw), L[draw]) for draw in draws]
        np.testing.assert_allclose(metric.replicates(targets, L, counts), slow, rtol=1e-12)


def test_calibration_by_hand_and_its_interval():
    # Two bins: p = 0.25 with one b of four, p = 0.75 with two b of four: |0| and |0.25|.
    p = np.repeat([0.25, 0.75], 4)
    L = np.log(np.column_stack([p, 1 - p, p * 0 + 1e-9, p * 0 + 1e-9]))
    targets = truth([0, 1, 1, 1, 0, 0, 1, 1])
    values, parts = flavour.binned_probability(L, bins=2)
    np.testing.assert_allclose([values[part].mean() for part in parts], [0.25, 0.75], atol=1e-6)
    random = np.random.default_rng(3)
    many, label = np.tile(L, (500, 1)), np.tile(targets.label, 500)
    many = many + random.normal(scale=1e-6, size=many.shape)
    low, high = flavour.calibration_interval(truth(label), many)
    assert low < flavour.calibration(truth(label), many) < high
    assert flavour.calibration(truth(label), many) == pytest.approx(0.125, abs=0.02)


def test_slices_cover_all_jets_and_are_nan_where_a_class_is_missing(sample):
    targets, L = sample
    found = list(flavour.bins(targets))
    assert sum(len(index) for name, index in found if name.startswith("pT")) == len(L)
    assert [name for name, _ in found][:2] == ["pT 25-40 GeV", "pT 40-60 GeV"]
    values = flavour.log_rejection_slices(targets, L)
    assert np.isfinite(list(values.values())).all()
    against = [value for name, value in values.items() if name.startswith("against")]
    assert np.mean(against) == pytest.approx(flavour.log_rejection(targets, L))
    only_b = truth(np.where(targets.pt < 40, 0, targets.label), targets.pt)
    assert math.isnan(flavour.log_rejection_slices(only_b, L)["pT 25-40 GeV"])


def test_pt_leak_refuses_a_row():
    label = np.repeat(np.arange(4), 100)
    flat = np.tile(np.linspace(25, 200, 100), 4)
    assert flavour.pt_leak(truth(label, flat), np.zeros((400, 4))) == 0.0
    assert jet_flavour.admit({"pt_leak": 0.0}) is None
    leaking = flavour.pt_leak(truth(label, flat + 20 * (label == 0)), np.zeros((400, 4)))
    assert leaking > 0.02
    assert "jet pT alone" in str(jet_flavour.admit({"pt_leak": leaking}))


def test_other_classes_have_their_own_rejections():
    targets = truth([0, 0, 1, 1, 2, 2], classes=("b", "c", "light"))
    L = np.random.default_rng(5).normal(size=(6, 3))
    assert math.isnan(flavour.rejection_uds_70(targets, L))
    assert math.isfinite(flavour.rejection_c_70(targets, L))
    assert math.isnan(flavour.db_rejection_uds_77(targets, L))
    assert "against light" in flavour.log_rejection_slices(targets, L)


# What `prepare` takes and refuses.


def test_prepare_is_idempotent_and_keeps_differences():
    L = np.random.default_rng(6).normal(size=(7, 4)) * 3
    kept = jet_flavour.prepare(jets(7), L)
    assert kept.dtype == np.int16
    assert kept.shape == (7, 3)
    assert jet_flavour.prepare(jets(7), kept) is kept
    back = flavour.log_probabilities(truth(np.zeros(7)), kept)
    np.testing.assert_allclose(back - back[:, [2]], L - L[:, [2]], atol=1 / 500)
    np.testing.assert_allclose(np.exp(back).sum(1), 1)


def test_log_probabilities_that_do_not_sum_to_one_are_as_good():
    L = np.log(FIVE)
    np.testing.assert_array_equal(
        jet_flavour.prepare(jets(5), L), jet_flavour.prepare(jets(5), L - 3.0)
    )


def test_large_differences_are_clipped():
    kept = jet_flavour.prepare(jets(1), np.array([[1e6, 0.0, 0.0, -1e6]]))
    np.testing.assert_array_equal(kept, [[7680, 0, -7680]])


@pytest.mark.parametrize(
    ("predictions", "error", "message"),
    [
        (np.zeros((5, 3)), ValueError, r"shape \(5, 4\).*got shape \(5, 3\)"),
        (np.zeros((4, 4)), ValueError, r"got shape \(4, 4\)"),
        (np.zeros(5), ValueError, r"got shape \(5,\)"),
        (np.zeros((5, 4), dtype=str), ValueError, "of <U1"),
        (np.full((5, 4), np.nan), FloatingPointError, "20 of 20 log-probabilities are NaN"),
        (np.where(np.eye(5)[:, :4] > 0, 0.0, -np.inf), FloatingPointError, "clip it before"),
        (FIVE, ValueError, r"sum to 1 \.\.\. 1: these are probabilities"),
        (np.arange(20.0).reshape(5, 4) ** 2 * -1e-6, ValueError, "rescale them"),
        (FIVE * 0.7, ValueError, r"sum to 0.7 \.\.\. 0.7: these are probabilities"),
    ],
)
def test_prepare_refuses(predictions, error, message):
    with pytest.raises(error, match=message):
        jet_flavour.prepare(jets(5), predictions)


def test_a_model_that_knows_nothing_is_accepted():
    assert (jet_flavour.prepare(jets(5), np.zeros((5, 4))) == 0).all()


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(ValueError, match="label must be an index into the classes b, c, uds, g"):
        truth([0, 4])


def test_jets_of_equal_probability_share_a_bin():
    """By hand: p = 0.3 for jets 0 to 4, 0.8 for jet 5; bins of three would cut the first block."""
    p = np.array([0.3, 0.3, 0.8, 0.3, 0.3, 0.3])
    L = np.log(np.column_stack([p, 1 - p]))
    _, parts = flavour.binned_probability(L, bins=2)
    assert [sorted(part.tolist()) for part in parts] == [[0, 1, 3, 4, 5], [2]]
