"""Encoder and losses of contrastive learning on jets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PT_SCALE = 300.0  # GeV
GROUPS = 4
FEATURES = {"linear": 3, "log": 6}  # numbers a constituent


class Layer(nn.Module):
    """Post-norm transformer layer: attention, then a feed-forward network, both residual."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.mixing = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.expand = nn.Linear(width, feed_forward)
        self.contract = nn.Linear(feed_forward, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """`x` (n, slots, width); `allowed` (n, 1, 1, slots) marks slots to attend to."""
        n, slots, width = x.shape
        parts = self.mixing(x).view(n, slots, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        rate = self.dropout.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=allowed, dropout_p=rate
        )
        mixed = self.output(mixed.transpose(1, 2).reshape(n, slots, width))
        x = self.first(x + self.dropout(mixed))
        changed = self.contract(self.dropout(torch.relu(self.expand(x))))
        return self.second(x + self.dropout(changed))  # type: ignore[no-any-return]


def constituent_features(jets: Tensor, kind: str) -> Tensor:
    """(n, slots, 3 or 6): what the encoder embeds of jets (n, slots, 3), pT in GeV.

    `linear` is (pT/300, eta, phi), as published. `log` is (ln pT, ln of the fraction of the jet's
    pT, eta, phi, ln of the distance to the axis, the fraction), each of order one: soft
    constituents, whose pT/300 is below 0.01, count as well.
    """
    if kind == "linear":
        return jets / jets.new_tensor([PT_SCALE, 1.0, 1.0])
    pt = jets[..., 0].clamp(min=1e-3)
    share = pt / jets[..., 0].sum(1, keepdim=True)
    eta, phi = jets[..., 1], jets[..., 2]
    away = torch.log(torch.hypot(eta, phi) + 1e-3) + 2
    columns = (torch.log(pt) / 2, torch.log(share) / 2 + 1.5, 3 * eta, 3 * phi, away, 5 * share)
    return torch.stack(columns, dim=-1) * (jets[..., :1] > 0)


class JetEncoder(nn.Module):
    """Jets (n, slots, 3) to h (n, width) and z (n, head): permutation and padding invariant.

    Constituents (`constituent_features`) are embedded linearly, pass the transformer layers and
    are summed over filled slots to h; two dense layers make z. arXiv:2312.03067.
    """

    def __init__(
        self,
        *,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        feed_forward: int = 512,
        head: int = 512,
        dropout: float = 0.1,
        features: str = "linear",
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(
                f"width must be a multiple of heads; got width {width}, heads {heads}"
            )
        if features not in FEATURES:
            raise ValueError(f"features must be one of {', '.join(FEATURES)}; got '{features}'")
        self.features = features
        self.embed = nn.Linear(FEATURES[features], width)
        self.layers = nn.ModuleList(
            Layer(width, heads, feed_forward, dropout) for _ in range(layers)
        )
        self.head = nn.Sequential(nn.Linear(width, head), nn.ReLU(), nn.Linear(head, head))

    def forward(self, jets: Tensor) -> tuple[Tensor, Tensor]:
        """h and z of jets with pT in GeV, filled slots first."""
        count = (jets[..., 0] > 0).sum(1)
        order = count.argsort()
        # Jets of similar multiplicity share a narrow table: less padding to compute.
        parts = order.chunk(GROUPS if len(jets) >= 64 else 1)
        pooled = torch.cat([self._pooled(jets[p, : max(int(count[p].max()), 1)]) for p in parts])
        h = pooled[order.argsort()]
        return h, self.head(h)

    def _pooled(self, jets: Tensor) -> Tensor:
        filled = jets[..., 0] > 0
        x = self.embed(constituent_features(jets, self.features))
        for layer in self.layers:
            x = layer(x, filled[:, None, None, :])
        pooled: Tensor = (x * filled[..., None]).sum(1)
        return pooled


def contrastive(
    first: Tensor, second: Tensor, temperature: float, *, positive_below: bool = True
) -> Tensor:
    """CLR loss of positive pairs z (n, k), (n, k); every view is once the anchor.

    L = -mean_a log[exp(s(a,a+)/tau) / sum_b exp(s(a,b)/tau)] with cosine similarity s. b runs over
    all other views; with `positive_below` also over a+ (NT-Xent, JetCLR), else not (AnomalyCLR).
    """
    positive, others = _logits(first, second, temperature, positive_below)
    return (others - positive).mean()


def anomaly_contrastive(
    first: Tensor, second: Tensor, anomalous: Tensor, temperature: float
) -> Tensor:
    """AnomCLR: as `contrastive` without a+ below, and s(a,a-) subtracted from s(a,a+)."""
    positive, others = _logits(first, second, temperature, False)
    away = _away(first, second, anomalous) / temperature
    return (others - (positive - away)).mean()


def anomaly_contrastive_plus(
    first: Tensor, second: Tensor, anomalous: Tensor, temperature: float
) -> Tensor:
    """AnomCLR+: mean_a (s(a,a-) - s(a,a+)) / tau; needs no negatives from the batch."""
    near = F.cosine_similarity(first, second)
    return (_away(first, second, anomalous) - near.repeat(2)).mean() / temperature


def _away(first: Tensor, second: Tensor, anomalous: Tensor) -> Tensor:
    """(2n,): similarity of each anchor with its anomalous view."""
    return torch.cat([F.cosine_similarity(v, anomalous) for v in (first, second)])


def _logits(
    first: Tensor, second: Tensor, temperature: float, positive_below: bool
) -> tuple[Tensor, Tensor]:
    """(2n,), (2n,): s(a,a+)/tau, and the log of the sum over the other views."""
    n = len(first)
    if n < 2 and not positive_below:
        raise ValueError("a CLR loss without the positive below needs at least two jets a batch")
    views = F.normalize(torch.cat([first, second]))
    similar = views @ views.T / temperature
    partner = torch.arange(2 * n, device=views.device).roll(n)
    positive = similar.gather(1, partner[:, None]).squeeze(1)
    hidden = torch.eye(2 * n, dtype=torch.bool, device=views.device)
    if not positive_below:
        hidden = hidden | hidden[partner]
    return positive, similar.masked_fill(hidden, float("-inf")).logsumexp(1)
