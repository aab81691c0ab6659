"""Types say what they hold: to a reader, and to somebody who takes them for arrays."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

import benchmarks
from physbench.datasets import Split, description
from physbench.datasets.hits import Event, EventTruth
from physbench.datasets.jets import Jets, from_constituents
from physbench.datasets.liquids import Configuration
from physbench.datasets.tracks import Tracks, TrackTruth


@pytest.mark.parametrize("kind", [Event, EventTruth, Tracks, TrackTruth, Jets, Configuration])
def test_every_field_is_described(kind: type) -> None:
    described = {name for name, *_ in description(kind)}
    assert described == {f.name for f in fields(kind)}  # type: ignore[arg-type]
    assert all(meaning for *_, meaning in description(kind))


def jets() -> Jets:
    pt = np.array([[3.0, 2.0, 0.0], [5.0, 0.0, 0.0]])
    return from_constituents(pt, np.full((2, 3), 0.1), np.full((2, 3), 0.2), slots=3)


def tracks() -> Tracks:
    hits = np.arange(24, dtype=np.float32).reshape(2, 4, 3) + 1
    mask = np.array([[True] * 4, [True, True, True, False]])
    return Tracks(np.where(mask[..., None], hits, 0).astype(np.float32), mask)


def event() -> Event:
    ids = np.arange(3)
    place = np.array([3.0, 4.0, 5.0])
    return Event("e", ids, place, np.zeros(3), place, ids, ids, ids)


def configuration() -> Configuration:
    place = np.full((4, 2), 0.5, dtype=np.float32)
    return Configuration(np.array([0, 0, 0, 1]), np.array([2.0, 2.0]), 0.4, place, place)


@pytest.mark.parametrize("make", [jets, tracks, event, configuration])
def test_arrays_tensors_and_tables_of_a_type(make: object) -> None:
    found = make()  # type: ignore[operator]
    array = found.to_numpy()
    assert len(array) == len(found.to_torch()) == len(found)
    assert len(found.to_frame()) >= len(found)
    with pytest.raises(TypeError, match=r"not an array. Use to_numpy\(\), to_torch\(\), to_frame"):
        np.asarray(found)


def test_tracks_in_a_table_have_a_row_a_hit() -> None:
    table = tracks().to_frame()
    assert table["track"].tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert table.iloc[4].tolist() == [1, 0, 13, 14, 15]


def test_a_split_is_not_a_sequence() -> None:
    split = Split(jets(), np.zeros(2), ["a", "b"])
    with pytest.raises(TypeError, match=r"split.take\(\[0, 1\]\) chooses units; inputs are Jets"):
        split[0]


def test_what_a_notebook_shows_of_them_is_short() -> None:
    task = benchmarks.task("jet_flavour")
    splits = task.splits()
    shown = [repr(x) for x in (task, splits, splits.test, splits.test.inputs)]
    assert shown[1] == "Splits(train 60,000, validation 10,000, test 30,000)"
    assert shown[2] == "Split(30,000 units of FlavourJets)"
    assert shown[3].startswith("FlavourJets(tracks (30000, 24, 6), pt (30000,), ")
    others = [repr(benchmarks.model("ridge")), repr(benchmarks.dataset("trackml"))]
    assert max(map(len, shown + others)) < 160
