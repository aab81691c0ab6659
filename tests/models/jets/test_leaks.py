"""No statistic that the augmentations leave alone tells the anomalous view from the anchor."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from physbench.datasets.jets import from_constituents
from physbench.models.jets import _contrastive_training as training
from physbench.models.jets import _jet_augmentations as views
from physbench.models.jets import anomclr, darkclr, jetclr
from physbench.tasks.metrics.ranking import area_under_curve

GRAIN = 1e-4  # in units of an angle or of a share of pT: below it float32 noise is no leak

STATISTICS: dict[str, Callable[[Tensor], Tensor]] = {
    "distance of the centroid": lambda jets: views.centroid(jets).norm(dim=1),
    "eta of the centroid": lambda jets: views.centroid(jets)[:, 0],
    "phi of the centroid": lambda jets: views.centroid(jets)[:, 1],
    "pT sum": lambda jets: jets[..., 0].sum(1) / 1000,
    "order in pT": lambda jets: (jets[:, 1:, 0] > jets[:, :-1, 0]).sum(1).float(),
    "empty slots are zero": lambda jets: (
        jets[~views.mask(jets)].abs().sum() * torch.ones(len(jets))
    ),
    "direction of the hardest": lambda jets: torch.atan2(
        *(jets[:, 0, 1:] - views.centroid(jets)).unbind(1)
    ),
}


@pytest.fixture(scope="module")
def jets() -> Tensor:
    """4,000 jets of 5 to 40 constituents, of any width, centred."""
    rng = np.random.default_rng(0)
    filled = np.arange(50) < rng.integers(5, 41, 4000)[:, None]
    pt = (rng.exponential(6, filled.shape) + 0.5) * filled
    eta, phi = rng.normal(0, rng.uniform(0.05, 0.4, (2, 4000, 1)), (2, *filled.shape)) * filled
    return training.views.recentred(torch.from_numpy(from_constituents(pt, eta, phi).constituents))


SETTINGS = [
    {"moved": moved, "drop": drop, "probability": p, "resolved": resolved}
    for moved in (False, True)
    for drop in views.DROPS
    for p in (0.5, (0.1, 0.6))
    for resolved in (False, True)
]


def telling(anchor: Tensor, anomalous: Tensor) -> dict[str, float]:
    """|AUC - 0.5| of each statistic between two views."""
    found = {}
    for name, statistic in STATISTICS.items():
        first, second = (np.round(statistic(v).numpy() / GRAIN) for v in (anchor, anomalous))
        found[name] = abs(area_under_curve(first, second) - 0.5)
    return found


@pytest.mark.parametrize("how", SETTINGS, ids=str)
def test_the_anomalous_view_has_no_mark(how: dict[str, Any], jets: Tensor) -> None:
    found = views.three_views(jets, torch.Generator().manual_seed(1), **how)
    for other in found[1:]:
        assert max(telling(found[0], other).values()) < 0.02


@pytest.mark.parametrize("moved", [False, True])
def test_the_views_of_jetclr_have_no_mark(moved: bool, jets: Tensor) -> None:
    first, second = views.two_views(jets, torch.Generator().manual_seed(1), moved=moved)
    assert max(telling(first, second).values()) < 0.02


def test_a_planted_leak_is_seen(jets: Tensor) -> None:
    """What the first version did: the anomalous view alone was centred."""
    generator = torch.Generator().manual_seed(1)
    anchor, _, anomalous = views.three_views(jets, generator, moved=True)
    found = telling(anchor, views.recentred(anomalous))
    assert found["distance of the centroid"] > 0.49
    quieter = anomalous * torch.tensor([0.9, 1.0, 1.0])
    assert telling(anchor, quieter)["pT sum"] > 0.05
    bounds = views.reach(anomalous)  # of its own extent instead of the anchor's
    own = views.translated(anomalous, bounds, generator)
    assert telling(anchor, own)["distance of the centroid"] > 0.02


@pytest.mark.parametrize("entry", [darkclr, anomclr, jetclr], ids=lambda e: e.__name__)
def test_every_contrastive_model_makes_its_views_here(entry: Any) -> None:
    """The tests above are about the views that the models train with."""
    source = Path(entry.__file__).read_text(encoding="utf-8")
    assert entry.views is views
    assert "views.three_views" in source or "views.two_views" in source


def _small() -> dict[str, Any]:
    return vars(training.Shape(24, 1, 2, 48, 16, 0.0, "log"))


def trained(jets: Tensor, make: Any) -> Any:
    torch.manual_seed(0)
    encoder = training.JetEncoder(**_small())
    how = training.Training(2e-3, 1e-8, 100, 3, bound=-20.0)
    loss = darkclr.partial(darkclr.anomaly_contrastive_plus, temperature=0.1)
    training.pretrain(
        encoder, jets[:3000], jets[3000:], make, loss, 0, how, training.Context(progress=False)
    )
    return encoder


def test_after_training_turned_copies_are_near_and_dropped_ones_far(jets: Tensor) -> None:
    make = darkclr.partial(views.three_views, resolved=True, moved=False)
    encoder = trained(jets, make)
    x, turned, dropped = make(jets[3000:], torch.Generator().manual_seed(9))
    with torch.no_grad():
        z = [torch.nn.functional.normalize(encoder(view)[1]) for view in (x, turned, dropped)]
    near, far = ((z[0] * other).sum(1).mean() for other in z[1:])
    assert far < near - 0.2


@pytest.mark.parametrize(("value", "warned"), [(-19.5, True), (-18.5, False)])
def test_a_loss_near_its_bound_warns(value: float, warned: bool, jets: Tensor) -> None:
    encoder = training.JetEncoder(**_small())
    batches = training.Batches(50, 0, jets[:100])

    def check() -> None:
        make = darkclr.partial(views.three_views, moved=False)
        training._check_bound(encoder, batches, make, lambda *z: torch.tensor(value), 0, -20.0)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check()
    assert any("within 5 % of its bound" in str(w.message) for w in caught) == warned
