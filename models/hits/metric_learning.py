"""The whole chain of Exa.TrkX: learned points, their neighbours, a filter, the gated network.

Hits become points in eight dimensions where hits that follow one another are near; pairs within a
radius are the candidates, which a filter thins out before the network of `gated_network` scores
them. What the row shows beside `gated_network` is the learned graph against learned windows.
"""

from __future__ import annotations

from functools import partial

from physbench.datasets import Split
from physbench.models import Context, Model
from physbench.models.hits import _edge_networks as networks
from physbench.models.hits import _embedding as embedding
from physbench.models.hits import _window_filter as window_filter
from physbench.models.hits._gated import GatedNetwork

# Training events that the points, the radius and the filter learn from, one after the other.
POINTS, RADIUS, FILTERED = 12, 2, 6
SHARE = 0.993  # of wanted pairs that lie within the radius
SIZES = (96, 3, 8)  # width, layers, dimensions
EPOCHS = 32


def candidates(
    train: Split, *, seed: int, cut: float, context: Context
) -> window_filter.Builder | None:
    """A trained builder, or None where all graphs are given."""
    if all(event.edge_index is not None for event in train.inputs):
        return None
    pairs = list(zip(train.inputs, train.targets, strict=True))
    width, layers, dimensions = SIZES
    network = embedding.fit(
        pairs[:POINTS],
        seed=seed,
        pt_min=0.4,
        width=width,
        layers=layers,
        dimensions=dimensions,
        epochs=EPOCHS,
        learning_rate=3e-3,
        run=context,
    )
    held = pairs[POINTS : POINTS + RADIUS] or pairs[-1:]
    near = embedding.Near(network, SIZES, embedding.reach_of(network, held, "radius", SHARE))
    events, truths = zip(*pairs[:FILTERED], strict=True)
    return window_filter.train(events, truths, near, seed=seed, cut=cut, context=context)


MODEL = Model(
    tasks=("tracking",),
    reference=networks.CHAIN,
    fit=networks.fits(GatedNetwork, candidates),
    predict=networks.predict,
    presets=networks.PRESETS,
    quick=networks.QUICK,
    save=networks.save,
    load=partial(networks.load, GatedNetwork),
    parameters=networks.parameters,
    ablations=networks.ablations,
)
