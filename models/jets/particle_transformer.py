"""Particle Transformer: attention over tracks, biased by what each pair of them has in common.

The embedded board trains a tiny one of 44,756 parameters. AdamW in place of the paper's Lookahead
over RAdam.
"""

from __future__ import annotations

import itertools
from functools import partial
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
from physbench.models.jets._tagging import Batch, Classifier, Recipe, Tagger, padded

NOWHERE = -1e9  # added to the logits of empty slots; finite, so that a jet without tracks is one
SMALLEST = 1e-8


def pair_features(first: Tensor, second: Tensor) -> Tensor:
    """(pairs, 4) ln kT, ln z, ln Delta, ln m^2 of massless particles (pairs, 3) pT, eta, phi.

    Delta^2 = deta^2 + dphi^2, kT = min(pT) Delta, z = min(pT) / sum(pT), m^2 = 2 pT pT (cosh deta
    - cos dphi) in GeV^2, each not below 1e-8. arXiv:2202.03772, eq. 3.
    """
    deta, dphi = first[:, 1] - second[:, 1], first[:, 2] - second[:, 2]
    dphi = torch.remainder(dphi + torch.pi, 2 * torch.pi) - torch.pi
    distance = torch.hypot(deta, dphi)
    softer = torch.minimum(first[:, 0], second[:, 0])
    share = softer / (first[:, 0] + second[:, 0])
    # cosh a - cos b = 2 sinh^2(a/2) + 2 sin^2(b/2) does not cancel for close pairs.
    angular = torch.sinh(deta / 2).square() + torch.sin(dphi / 2).square()
    square = 4 * first[:, 0] * second[:, 0] * angular
    columns = (softer * distance, share, distance, square)
    return torch.stack([column.clamp(min=SMALLEST).log() for column in columns], dim=1)


class PairEmbedding(nn.Module):
    """Attention bias of every head from the features of filled pairs."""

    def __init__(self, widths: tuple[int, ...], heads: int, last_norm: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm1d(4)]
        sizes = (4, *widths)
        for first, second in itertools.pairwise(sizes):
            layers += [nn.Linear(first, second), nn.BatchNorm1d(second), nn.GELU()]
        layers.append(nn.Linear(sizes[-1], heads))
        if last_norm:
            layers += [nn.BatchNorm1d(heads), nn.GELU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, kinematics: Tensor, mask: Tensor) -> Tensor:
        """(n, heads, slots, slots), symmetric; zero where a slot of the pair is empty."""
        slots = mask.shape[1]
        low, high = torch.tril_indices(slots, slots, device=mask.device)
        jet, pair = torch.nonzero(mask[:, low] & mask[:, high], as_tuple=True)
        i, j = low[pair], high[pair]
        with torch.no_grad():
            features = pair_features(kinematics[jet, i], kinematics[jet, j])
        embedded = self.layers(features)
        bias = embedded.new_zeros(len(mask), slots, slots, embedded.shape[1])
        bias[jet, i, j] = embedded
        bias[jet, j, i] = embedded
        result: Tensor = bias.permute(0, 3, 1, 2)
        return result


class ParticleTransformer(nn.Module):
    """Embedded tracks, particle blocks with the pair bias, class blocks, logits."""

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        embedding: tuple[int, ...] = (128, 512, 128),
        pairs: tuple[int, ...] = (64, 64, 64),
        heads: int = 8,
        layers: int = 8,
        class_layers: int = 2,
        dropout: float = 0.1,
        pair_norm: bool = True,
        joined: bool = False,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        steps: list[nn.Module] = []
        for first, second in zip((features, *embedding[:-1]), embedding, strict=True):
            steps += [nn.LayerNorm(first), nn.Linear(first, second), nn.GELU()]
        self.embed = nn.Sequential(*steps)
        width = embedding[-1]
        self.pairs = PairEmbedding(tuple(pairs), heads, pair_norm) if pairs else None
        block = partial(Block, width, heads, 4 * width, order="normformer")
        self.blocks = nn.ModuleList(
            block(dropout=dropout, attention_dropout=dropout) for _ in range(layers)
        )
        self.class_blocks = nn.ModuleList(block() for _ in range(class_layers))
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.last = nn.LayerNorm(width)
        self.head = Classifier(width, classes, joined=joined)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (n, classes)."""
        x = self.embedded(batch)
        bias, empty = self.biases(batch)
        for block in self.blocks:
            x = block(x, bias) * batch.mask[..., None]
        token, seen = self.querying(empty)
        for block in self.class_blocks:
            token = block(token, seen, x)
        logits: Tensor = self.head(self.last(token[:, 0]), batch.jet)
        return logits

    def embedded(self, batch: Batch) -> Tensor:
        """(n, slots, width): normalised over filled slots only, zero in empty ones."""
        return padded(self.embed(self.norm(batch.tracks[batch.mask])), batch.mask)

    def biases(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What is added to the logits: (n, heads or 1, slots, slots) and (n, 1, 1, slots)."""
        empty = torch.zeros_like(batch.mask, dtype=batch.tracks.dtype)
        empty = empty.masked_fill(~batch.mask, NOWHERE)[:, None, None, :]
        if self.pairs is None:
            return empty, empty
        return self.pairs(batch.kinematics, batch.mask) + empty, empty

    def querying(self, empty: Tensor) -> tuple[Tensor, Tensor]:
        """The class token of every jet (n, 1, width), and what it may see (n, 1, 1, 1 + slots)."""
        token = self.token.expand(len(empty), -1, -1)
        return token, F.pad(empty, (1, 0))

    @torch.no_grad()
    def attention(self, batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Attention weights of the particle blocks (n, heads, slots, slots), and of the token.

        Those of the token are (n, heads, 1, 1 + slots): to itself, then to the tracks.
        """
        x, (bias, empty) = self.embedded(batch), self.biases(batch)
        among, of_token = [], []
        for block in self.blocks:
            among.append(_block(block).attended(x, bias))
            x = block(x, bias) * batch.mask[..., None]
        token, seen = self.querying(empty)
        for block in self.class_blocks:
            of_token.append(_block(block).attended(token, seen, x))
            token = block(token, seen, x)
        return among, of_token

    def track_weights(self, batch: Batch) -> Tensor:
        """(n, slots): attention of the class token in the last block, mean over heads."""
        return self.attention(batch)[1][-1][:, :, 0, 1:].mean(1)


def _block(module: nn.Module) -> Block:
    assert isinstance(module, Block)
    return module


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = training.HERE,
    embedding: tuple[int, ...] = (128, 512, 128),
    pairs: tuple[int, ...] = (64, 64, 64),
    heads: int = 8,
    layers: int = 8,
    class_layers: int = 2,
    dropout: float = 0.1,
    pair_norm: bool = True,
    joined: bool = False,
    learning_rate: float = 1e-3,
    batch: int = 512,
    epochs: int = 50,
    weight_decay: float = 0.01,
    warmup: int = 50,
) -> Tagger:
    """Cross-entropy; the best epoch on validation is kept.

    Parameters
    ----------
    embedding:
        Widths of the track embedding; the last one is that of the network.
    pairs:
        Widths of the pair embedding; empty for none.
    pair_norm:
        Normalise the bias itself, as published.
    joined:
        Join ln pT and eta of the jet to the class token before the logits.
    """
    settings: dict[str, Any] = {
        "embedding": tuple(embedding),
        "pairs": tuple(pairs),
        "heads": heads,
        "layers": layers,
        "class_layers": class_layers,
        "dropout": dropout,
        "pair_norm": pair_norm,
        "joined": joined,
    }
    recipe = Recipe(epochs, learning_rate, batch, weight_decay, warmup)
    return _tagging.fit(
        ParticleTransformer, settings, train, validation, recipe, seed=seed, context=context
    )


def load(path: Path) -> Tagger:
    """A tagger that was saved."""
    return _tagging.load(ParticleTransformer, path)


TINY = {
    "embedding": (32, 64, 32),
    "pairs": (16, 16),
    "heads": 4,
    "layers": 2,
    "class_layers": 1,
    "dropout": 0.0,
    "pair_norm": False,
    "joined": True,
    "learning_rate": 2e-3,
    "batch": 256,
}

MODEL = Model(
    tasks=("jet_flavour",),
    reference="""@inproceedings{Qu:2022mxj,
  author = {Qu, Huilin and Li, Congqiao and Qian, Sitian},
  title = {Particle Transformer for jet tagging},
  booktitle = {Proceedings of the 39th International Conference on Machine Learning},
  pages = {18281--18292},
  year = {2022},
  eprint = {2202.03772},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=_tagging.predict,
    presets={"flavour_jets": TINY | {"epochs": 20}},
    quick=TINY | {"epochs": 1, "layers": 1},
    save=_tagging.save,
    load=load,
    parameters=_tagging.parameters,
    checks={
        "size": lambda: training.parameters(ParticleTransformer(17, 10)),
        "size for two classes": lambda: training.parameters(ParticleTransformer(7, 2)),
        "size without pairs": lambda: training.parameters(ParticleTransformer(17, 10, pairs=())),
    },
)
