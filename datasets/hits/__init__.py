"""One collision event as tasks and models see it, and its truth."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Described, Split, described
from physbench.datasets.common.runs import among, distinct, stable_order, starts_of
from physbench.datasets.common.streaming import Deferred, Postponing

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Selected particles: what an efficiency is counted over.
PT_MIN = 0.9  # GeV
ETA_MAX = 4.0
LAYERS_MIN = 3
PIXEL_VOLUMES = (7, 8, 9)


@dataclass(frozen=True, eq=False, repr=False)
class Event(Described):
    """The hits of one event; all arrays have one element a hit, in the order of `hit_id`."""

    name: str = described("", "", "name of the event, e.g. event000001000")
    hit_id: Integers = described("(hits,)", "1", "identifier of each hit, unique in the event")
    x: Floats = described("(hits,)", "mm", "global position")
    y: Floats = described("(hits,)", "mm", "global position")
    z: Floats = described("(hits,)", "mm", "global position, along the beam and the field")
    volume_id: Integers = described("(hits,)", "1", "detector volume in TrackML numbering")
    layer_id: Integers = described("(hits,)", "1", "layer of the volume")
    module_id: Integers = described("(hits,)", "1", "module of the layer")
    edge_index: Integers | None = described(
        "(2, edges)",
        "1",
        "given graph: positions of hits (not ids), inner hit first; None where a model builds it",
        default=None,
    )

    def __len__(self) -> int:
        return len(self.hit_id)

    def to_frame(self) -> pd.DataFrame:
        """One row a hit: identifier, position, cylindrical coordinates, detector element."""
        import pandas as pd

        names = ("hit_id", "x", "y", "z", "r", "phi", "volume_id", "layer_id", "module_id")
        return pd.DataFrame({name: getattr(self, name) for name in names})

    def to_numpy(self) -> Floats:
        """(hits, 3): r in mm, phi in rad, z in mm."""
        return np.stack([self.r, self.phi, self.z], axis=1)

    def to_torch(self) -> Tensor:
        """The same in single precision."""
        import torch

        return torch.from_numpy(self.to_numpy().astype(np.float32))

    @functools.cached_property
    def r(self) -> Floats:
        """Distance from the beam axis in mm."""
        return np.hypot(self.x, self.y)

    @functools.cached_property
    def phi(self) -> Floats:
        """Azimuth in rad, in (-pi, pi]."""
        return np.arctan2(self.y, self.x)


@dataclass(frozen=True, eq=False, repr=False)
class EventTruth(Postponing, Described):
    """Truth of one event. The weights may be made later."""

    particle_id: Integers = described(
        "(hits,)", "1", "particle of each hit, 0 for noise; ids exceed 2**53: never as floats"
    )
    weight: Floats = described("(hits,)", "1", "TrackML weight; sums to 1 over the event")
    path: Floats = described("(hits,)", "mm", "distance from the particle's production vertex")
    particles: Integers = described("(particles,)", "1", "ids of particles that have hits, sorted")
    pt: Floats = described("(particles,)", "GeV", "transverse momentum at production")
    eta: Floats = described("(particles,)", "1", "pseudorapidity at production")
    layer: Integers = described("(hits,)", "1", "differs between detector layers")
    module: Integers = described("(hits,)", "1", "differs between detector modules")
    edge_label: NDArray[np.bool_] | None = described(
        "(edges,)", "1", "truth of each edge of a given graph, or None", default=None
    )
    radius: Floats | None = described(
        "(particles,)", "mm", "distance of the production vertex from the beam axis", default=None
    )
    generation: Integers | None = described(
        "(particles,)",
        "1",
        "0 for particles of the collisions, more for secondaries",
        default=None,
    )
    charge: Floats | None = described("(particles,)", "e", "electric charge", default=None)
    d0: Floats | None = described(
        "(particles,)", "mm", "transverse impact parameter, NaN where not stored", default=None
    )
    z0: Floats | None = described(
        "(particles,)", "mm", "z of the perigee, NaN where not stored", default=None
    )
    phi: Floats | None = described(
        "(particles,)", "rad", "azimuth at the perigee, NaN where not stored", default=None
    )

    def __post_init__(self) -> None:
        self.postpones("weight")

    def __len__(self) -> int:
        return len(self.particle_id)


def selected(
    truth: EventTruth, pt_min: float = PT_MIN, *, runs: tuple[Integers, Integers] | None = None
) -> Bools:
    """Particles with pT > 0.9 GeV, |eta| < 4 and hits on at least 3 layers, shape (particles,).

    A particle whose pT is not known (NaN, as in truth-cut graphs) passes the kinematic cuts.
    `runs`: the hits in the order of their particles, and where each particle begins, where they
    are known. Source: gnn_tracking (arXiv:2309.16754).
    """
    order = stable_order(truth.particle_id) if runs is None else runs[0]
    starts = starts_of(truth.particle_id[order]) if runs is None else runs[1]
    place, known = place_of(truth, truth.particle_id[order[starts]])
    layers = np.zeros(len(truth.particles), dtype=np.int64)
    layers[place[known]] = distinct(truth.layer[order], starts)[known]
    kinematic = ~(truth.pt <= pt_min) & ~(np.abs(truth.eta) >= ETA_MAX)
    return np.asarray(kinematic & (layers >= LAYERS_MIN))


def place_of(truth: EventTruth, ids: Integers) -> tuple[Integers, Bools]:
    """Where ids stand in `truth.particles`, and whether they do (noise does not)."""
    place = np.searchsorted(truth.particles, ids).clip(max=max(len(truth.particles) - 1, 0))
    if not len(truth.particles):
        return place, np.zeros(len(ids), dtype=bool)
    return place, np.asarray(truth.particles[place] == ids)


def sequential_edges(truth: EventTruth) -> Integers:
    """True edges (m, 2) of consecutive hits of each particle, inner hit first.

    Hits are ordered by `path`, the distance from the production vertex; where a module holds
    several hits of a particle in a row, all pairs across are joined and none inside. Overlapping
    modules of one layer are two modules: their hits follow one another. Source: the "modulewise"
    truth of Exa.TrkX (arXiv:2103.06995).
    """
    order = np.lexsort((truth.path, truth.particle_id))
    order = order[truth.particle_id[order] != 0]
    particle, module = truth.particle_id[order], truth.module[order]
    # Groups: runs of hits of one particle on one module.
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (particle[1:] != particle[:-1]) | (module[1:] != module[:-1])
    starts = np.flatnonzero(fresh)
    ends = np.append(starts[1:], len(order))
    joined = (
        np.flatnonzero(particle[starts[1:]] == particle[starts[:-1]]) if len(starts) else starts
    )
    widest = int((ends - starts).max()) if len(starts) else 0
    edges = [np.zeros((0, 2), dtype=np.int64)]
    for a in range(widest):
        for b in range(widest):
            left, right = starts[joined] + a, starts[joined + 1] + b
            inside = (left < ends[joined]) & (right < ends[joined + 1])
            edges.append(np.stack([order[left[inside]], order[right[inside]]], axis=1))
    return np.concatenate(edges)


def edge_labels(truth: EventTruth, edges: Integers, sequential: Integers | None = None) -> Bools:
    """Whether each edge (m, 2) joins consecutive hits of one particle (either way round).

    The "sequential" truth, see `sequential_edges`, which may be given: an edge that skips a hit
    of its particle is false, and so are edges of noise.
    """
    true = sequential_edges(truth) if sequential is None else sequential
    return among(edge_keys(edges, len(truth)), edge_keys(true, len(truth)))


def edge_keys(edges: Integers, hits: int) -> Integers:
    """One integer for each edge (m, 2), whichever way round."""
    first, second = edges[:, 0].astype(np.int64), edges[:, 1].astype(np.int64)
    return np.minimum(first, second) * hits + np.maximum(first, second)


def labels_of_edges(truth: EventTruth, edges: Integers) -> Bools:
    """The given labels of a given graph, else whether both hits are of one particle."""
    return truth.edge_label if truth.edge_label is not None else edge_labels(truth, edges)


def chains(hits: int, edges: Integers) -> Integers:
    """Connected components of true edges (2, m) as particles from 1; 0 for lone hits."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(edges.shape[1], dtype=bool)
    matrix = coo_array((ones, (edges[0], edges[1])), shape=(hits, hits))
    _, chain = connected_components(matrix, directed=False)
    length = np.bincount(chain, minlength=1)[chain]
    return np.where(length > 1, chain + 1, 0).astype(np.int64)


def module_key(volume: Integers, layer: Integers, module: Integers) -> Integers:
    """One integer for each detector module."""
    return (volume * 1000 + layer) * 100_000 + module


def restrict(event: Event, truth: EventTruth, keep: NDArray[np.bool_]) -> tuple[Event, EventTruth]:
    """The event with the hits `keep` alone; weights are normalised to 1 again."""
    columns: dict[str, Any] = {
        key: getattr(event, key)[keep]
        for key in ("hit_id", "x", "y", "z", "volume_id", "layer_id", "module_id")
    }
    particle_id = truth.particle_id[keep]
    weight = truth.weight[keep]
    total = weight.sum()
    present = np.isin(truth.particles, particle_id)
    return Event(event.name, **columns), EventTruth(
        particle_id,
        weight / total if total > 0 else weight,
        truth.path[keep],
        truth.particles[present],
        truth.pt[present],
        truth.eta[present],
        truth.layer[keep],
        truth.module[keep],
        **{name: values[present] for name, values in _optional(truth)},
    )


def split_of(
    pairs: Deferred | list[tuple[Event, EventTruth]], events: int, *, pixels: bool = False
) -> Split:
    """The first events as a split, with `pixels` their hits in the volumes 7, 8 and 9 alone."""
    if not isinstance(pairs, Deferred):
        pairs = Deferred(tuple(event.name for event, _ in pairs), pairs.__getitem__)
    chosen = pairs.each(pixels_of if pixels else tuple, range(min(events, len(pairs))))
    return Split(chosen.each(itemgetter(0)), chosen.each(itemgetter(1)), chosen.names)


def pixels_of(pair: tuple[Event, EventTruth]) -> tuple[Event, EventTruth]:
    """An event with the hits in the pixel volumes alone."""
    event, truth = pair
    return restrict(event, truth, np.isin(event.volume_id, PIXEL_VOLUMES))


PARTICLE_FIELDS = ("radius", "generation", "charge", "d0", "z0", "phi")


def _optional(truth: EventTruth) -> list[tuple[str, NDArray[Any]]]:
    """The fields of particles that not every dataset has, where this one has them."""
    pairs = [(name, getattr(truth, name)) for name in PARTICLE_FIELDS]
    return [(name, values) for name, values in pairs if values is not None]
