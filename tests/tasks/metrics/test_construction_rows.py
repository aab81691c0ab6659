"""What is known of the hits whose places a network learns."""

from __future__ import annotations

import numpy as np

from physbench.datasets import Split
from physbench.datasets.hits import Event, EventTruth
from physbench.tasks.metrics import construction_rows

PARTICLE = np.array([5, 5, 5, 8, 8, 8, 0])
LAYER = np.array([1, 2, 3, 1, 2, 3, 1])


def truth(**columns: np.ndarray) -> EventTruth:
    n = len(PARTICLE)
    return EventTruth(
        PARTICLE,
        np.ones(n) / n,
        np.arange(n) * 1.0,
        np.array([5, 8]),
        np.array([2.0, 0.5]),
        np.array([1.0, 2.0]),
        LAYER,
        LAYER,
        **columns,
    )


def event() -> Event:
    x = np.arange(len(PARTICLE)) + 1.0
    return Event("e", np.arange(len(x)), x, 0 * x, 2 * x, LAYER, LAYER, LAYER)


def columns() -> dict[str, np.ndarray]:
    return {name: np.array([k, k + 10.0]) for k, name in enumerate(("phi", "d0", "z0"))}


def test_a_hit_knows_its_selected_particle() -> None:
    found = construction_rows.of_particles(truth(charge=np.array([-1.0, 1.0]), **columns()))
    first = {"q/pT": -0.5, "eta": 1.0, "phi": 0.0, "d0": 1.0, "z0": 2.0}
    for name, value in first.items():  # 8 is soft, the last hit is noise
        np.testing.assert_array_equal(found[name], [value] * 3 + [np.nan] * 4)


def test_rows_keep_one_hit_a_particle_and_what_is_known() -> None:
    split = Split([event()] * 2, [truth(**columns())] * 2, ["a", "b"])
    rows = construction_rows.hits(split, None)
    assert "q/pT" not in rows.known  # no charge here
    assert {"eta", "d0", "hit r", "hit z"} <= set(rows.known)
    assert len(rows.real) == 14
    assert len(rows.apart) == 2
    assert all(index % 7 < 3 for index in rows.apart.tolist())
    np.testing.assert_array_equal(rows.arguments["z"][:7], event().z)
