"""Transformer that also learns where each track comes from and which tracks share a vertex.

After GN1 and GN2 of ATLAS: the true origins and decayed hadrons of the training tracks are targets
of two auxiliary losses, added to that of the flavour. The vertex head here is a product of track
vectors where the original has a dense network of each pair; sizes are ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.common.layers import Block
from physbench.models.jets import _tagging
from physbench.models.jets._flavour_features import JET_INPUTS
from physbench.models.jets._tagging import Batch, Classifier, Recipe, Tagger, owners, padded

ORIGINS = 6  # pile-up, primary, b, b to c, c, strange
NOWHERE = -1e9  # added to the logits of empty slots; finite, so that a jet without tracks is one


class AuxiliaryTransformer(nn.Module):
    """Embedded tracks with the jet's numbers, pre-norm blocks, weighted sum, logits."""

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        width: int = 256,
        layers: int = 4,
        heads: int = 8,
        feed_forward: int = 256,
        dropout: float = 0.1,
        vertex_width: int = 64,
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(features + JET_INPUTS, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.blocks = nn.ModuleList(
            Block(width, heads, feed_forward, dropout=dropout, order="pre") for _ in range(layers)
        )
        self.last = nn.LayerNorm(width)
        self.weight = nn.Linear(width, 1)
        self.head = Classifier(width, classes, (width,))
        self.origin = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, ORIGINS))
        self.vertex = nn.Linear(width, vertex_width)
        self.vertex_bias = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch) -> Tensor:
        """Logits (n, classes)."""
        return self.tagged(self.encoded(batch), batch)

    def encoded(self, batch: Batch) -> Tensor:
        """(n, slots, width): the tracks after the blocks; zero in empty slots."""
        jet = batch.jet[owners(batch.mask)]
        x = padded(self.embed(torch.cat([batch.tracks[batch.mask], jet], dim=1)), batch.mask)
        empty = _empty(batch)
        for block in self.blocks:
            x = block(x, empty[:, None, None, :]) * batch.mask[..., None]
        result: Tensor = self.last(x) * batch.mask[..., None]
        return result

    def tagged(self, x: Tensor, batch: Batch) -> Tensor:
        """Logits (n, classes) of encoded tracks, pooled with learned weights."""
        weight = self._pooling(x, batch)
        logits: Tensor = self.head((x * weight[..., None]).sum(1), batch.jet)
        return logits

    def _pooling(self, x: Tensor, batch: Batch) -> Tensor:
        weights: Tensor = (self.weight(x)[..., 0] + _empty(batch)).softmax(1)
        return weights

    def track_weights(self, batch: Batch) -> Tensor:
        """(n, slots): weights of the sum over tracks."""
        return self._pooling(self.encoded(batch), batch)

    def track_origins(self, batch: Batch) -> Tensor:
        """(n, slots, 6): probabilities of the origins of the tracks."""
        found: Tensor = self.origin(self.encoded(batch)).softmax(2)
        return found

    def same_vertex(self, x: Tensor) -> Tensor:
        """(n, slots, slots): log odds that two tracks come from one vertex."""
        vector = self.vertex(x)
        odds: Tensor = vector @ vector.transpose(1, 2) / vector.shape[2] ** 0.5
        return odds + self.vertex_bias


def _empty(batch: Batch) -> Tensor:
    """(n, slots): what is added to the logits of slots."""
    zero = torch.zeros_like(batch.mask, dtype=batch.tracks.dtype)
    return zero.masked_fill(~batch.mask, NOWHERE)


def loss(network: Any, batch: Batch, origin_weight: float, vertex_weight: float) -> Tensor:
    """L = L_flavour + origin_weight L_origin + vertex_weight L_vertex, cross-entropies in nats.

    L_origin runs over tracks, L_vertex over pairs of tracks of a jet; datasets without truth of
    the tracks have neither.
    """
    x = network.encoded(batch)
    total = F.cross_entropy(network.tagged(x, batch), batch.label)
    known = batch.mask & (batch.origin >= 0)
    if not known.any():
        return total
    origin = F.cross_entropy(network.origin(x[known]), batch.origin[known])
    pair = torch.triu(known[:, :, None] & known[:, None, :], diagonal=1)
    vertex = F.binary_cross_entropy_with_logits(
        network.same_vertex(x)[pair], one_vertex(batch)[pair].float()
    )
    return total + origin_weight * origin + vertex_weight * vertex


def one_vertex(batch: Batch) -> Tensor:
    """(n, slots, slots) bool: both tracks primary, or both from the same decayed hadron."""
    same = batch.hadron[:, :, None] == batch.hadron[:, None, :]
    # Every pile-up track is a vertex of its own, though none has a decayed hadron.
    hard = batch.origin > 0
    return same & hard[:, :, None] & hard[:, None, :]


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = training.HERE,
    width: int = 256,
    layers: int = 4,
    heads: int = 8,
    feed_forward: int = 256,
    dropout: float = 0.1,
    vertex_width: int = 64,
    origin_weight: float = 0.5,
    vertex_weight: float = 1.5,
    learning_rate: float = 1e-3,
    batch: int = 512,
    epochs: int = 50,
    weight_decay: float = 0.01,
    warmup: int = 50,
) -> Tagger:
    """The three losses; the best epoch by the cross-entropy of the flavour is kept.

    Parameters
    ----------
    vertex_width:
        Length of the vectors whose products tell whether two tracks share a vertex.
    origin_weight, vertex_weight:
        Of the auxiliary losses; both 0 leave a plain transformer.
    """
    settings: dict[str, Any] = {
        "width": width,
        "layers": layers,
        "heads": heads,
        "feed_forward": feed_forward,
        "dropout": dropout,
        "vertex_width": vertex_width,
    }
    return _tagging.fit(
        AuxiliaryTransformer,
        settings,
        train,
        validation,
        Recipe(epochs, learning_rate, batch, weight_decay, warmup),
        seed=seed,
        context=context,
        loss=lambda network, one: loss(network, one, origin_weight, vertex_weight),
    )


def load(path: Path) -> Tagger:
    """A tagger that was saved."""
    return _tagging.load(AuxiliaryTransformer, path)


SMALL = {
    "width": 48,
    "layers": 2,
    "heads": 4,
    "feed_forward": 96,
    "dropout": 0.0,
    "vertex_width": 16,
    "learning_rate": 2e-3,
    "batch": 256,
}

MODEL = Model(
    tasks=("jet_flavour",),
    reference="""@article{ATLAS:2025dkv,
  author = {{ATLAS Collaboration}},
  title = {Transforming jet flavour tagging at {ATLAS}},
  year = {2025},
  eprint = {2505.19689},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=_tagging.predict,
    presets={"flavour_jets": SMALL | {"epochs": 20}},
    quick=SMALL | {"epochs": 1, "layers": 1},
    save=_tagging.save,
    load=load,
    parameters=_tagging.parameters,
)
