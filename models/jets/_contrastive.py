"""Encoder and losses of contrastive learning on jets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from physbench.models.common.layers import Block

PT_SCALE = 300.0  # GeV
GROUPS = 4
FEATURES = {"linear": 3, "log": 6}  # numbers a constituent


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

    Constituents (`constituent_features`) are embedded linearly, pass post-norm transformer blocks
    and are summed over filled slots to h; two dense layers make z. arXiv:2312.03067. With
    `continuous`, as in arXiv:2108.04253, a constituent is attended to in proportion to sqrt(pT)
    and enters the sum with its share of the pT: soft constituents fade instead of stopping.
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
        continuous: bool = False,
    ) -> None:
        super().__init__()
        if features not in FEATURES:
            raise ValueError(f"features must be one of {', '.join(FEATURES)}; got '{features}'")
        self.features, self.continuous = features, continuous
        self.embed = nn.Linear(FEATURES[features], width)
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads,
                feed_forward,
                dropout=dropout,
                attention_dropout=dropout,
                activation="relu",
            )
            for _ in range(layers)
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
        pt, filled = jets[..., 0], jets[..., 0] > 0
        allowed = 0.5 * pt.log() if self.continuous else filled  # ln 0 = -inf: not attended to
        share = pt / pt.sum(1, keepdim=True) if self.continuous else filled
        x = self.embed(constituent_features(jets, self.features))
        for block in self.blocks:
            x = block(x, allowed[:, None, None, :])
        pooled: Tensor = (x * share[..., None]).sum(1)
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
    first: Tensor, second: Tensor, anomalous: Tensor, temperature: float, *, both: bool = False
) -> Tensor:
    """AnomCLR: as `contrastive` without a+ below, and s(a,a-) subtracted from s(a,a+).

    As released, s(a,a-) is that of the pair's first member for both; with `both` each member has
    its own.
    """
    positive, others = _logits(first, second, temperature, False)
    away = _away(first, second, anomalous, both) / temperature
    return (others - (positive - away)).mean()


def anomaly_contrastive_plus(
    first: Tensor, second: Tensor, anomalous: Tensor, temperature: float, *, both: bool = False
) -> Tensor:
    """AnomCLR+: mean_a (s(a,a-) - s(a,a+)) / tau; needs no negatives from the batch.

    Bounded by -2/tau. `both` as in `anomaly_contrastive`.
    """
    near = F.cosine_similarity(first, second)
    away = _away(first, second, anomalous, both)
    return (away - near.repeat(2)).mean() / temperature


def _away(first: Tensor, second: Tensor, anomalous: Tensor, both: bool) -> Tensor:
    """(2n,): similarity of each anchor with its anomalous view."""
    members = (first, second) if both else (first, first)
    return torch.cat([F.cosine_similarity(v, anomalous) for v in members])


def spread(z: Tensor) -> Tensor:
    """Variance and covariance terms of VICReg (arXiv:2105.04906): 25 V(z) + C(z) of z (n, k).

    V is the mean over components of max(0, 1 - sqrt(variance + 1e-4)), C the sum of the squared
    covariances of different components over k. A collapsed representation pays for both.
    """
    centred = z - z.mean(0)
    covariance = centred.T @ centred / (len(z) - 1)
    variance = covariance.diagonal()
    mixed = covariance.square().sum() - variance.square().sum()
    return 25 * F.relu(1 - (variance + 1e-4).sqrt()).mean() + mixed / z.shape[1]


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
