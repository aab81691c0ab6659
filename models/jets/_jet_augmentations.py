"""Views of jets for contrastive learning, vectorised over the batch.

A batch is a float tensor (n, slots, 3) of pT in GeV (> 0 in filled slots), eta and phi relative to
the jet axis; empty slots are zero. Every random number is drawn for each jet on its own: nothing a
jet does depends on the rest of its batch. `generator=None` draws from torch's global generator,
which the training loop seeds at each step. Steps after arXiv:2108.04253 (JetCLR), arXiv:2301.04660
(AnomalyCLR) and arXiv:2312.03067 (DarkCLR).

No step but `recentred` and `translated` moves a jet, and views are placed last and alike: a view
that alone is exactly centred, or moved less far, would tell a network which view it sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Generator = torch.Generator | None
Probability = float | tuple[float, float]

GROUPS = 8  # neighbourhoods of a jet in `subjets_dropped`


def mask(jets: Tensor) -> Tensor:
    """(n, slots): filled slots."""
    return jets[..., 0] > 0


def centroid(jets: Tensor) -> Tensor:
    """(n, 2): pT-weighted mean angles of each jet."""
    pt = jets[..., :1]
    return (pt * jets[..., 1:]).sum(1) / pt.sum(1)


def _joined(pt: Tensor, angles: Tensor) -> Tensor:
    """Columns together again, with zeros in empty slots."""
    return torch.cat([pt, angles * (pt > 0)], dim=-1)


def shifted(jets: Tensor, shift: Tensor) -> Tensor:
    """All constituents moved by `shift` (n, 2)."""
    return _joined(jets[..., :1], jets[..., 1:] + shift[:, None, :])


def recentred(jets: Tensor) -> Tensor:
    """Each jet moved so that its own centroid is the origin."""
    return shifted(jets, -centroid(jets))


def rotated(jets: Tensor, generator: Generator = None) -> Tensor:
    """Each jet turned about its centroid by its own angle, uniform in [0, 2 pi)."""
    angle = 2 * math.pi * torch.rand(len(jets), 1, generator=generator)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    centre = centroid(jets)[:, None, :]
    eta, phi = (jets[..., 1:] - centre).unbind(-1)
    turned = torch.stack([cosine * eta - sine * phi, sine * eta + cosine * phi], dim=-1)
    return _joined(jets[..., :1], turned + centre)


def reach(jets: Tensor, width: float = 1.0) -> tuple[Tensor, Tensor]:
    """Lowest and highest shift (n, 2) of each jet: `width` times its own extent.

    In phi so that the jet stays within [-pi, pi].
    """
    filled = mask(jets)[..., None]
    highest = jets[..., 1:].masked_fill(~filled, -math.inf).amax(1)
    lowest = jets[..., 1:].masked_fill(~filled, math.inf).amin(1)
    far = width * (highest - lowest)
    low, high = -far, far.clone()
    low[:, 1] = torch.maximum(low[:, 1], (-math.pi - lowest[:, 1]).clamp(max=0))
    high[:, 1] = torch.minimum(high[:, 1], (math.pi - highest[:, 1]).clamp(min=0))
    return low, high


def translated(jets: Tensor, bounds: tuple[Tensor, Tensor], generator: Generator = None) -> Tensor:
    """Each jet centred, then moved uniformly within `bounds`, those of `reach`.

    The bounds of one jet serve all its views: a view that lost constituents has a smaller extent,
    and bounds of its own would give it away.
    """
    low, high = bounds
    shift = low + (high - low) * torch.rand(len(jets), 2, generator=generator)
    return shifted(recentred(jets), shift)


def placed(
    found: tuple[Tensor, ...], generator: Generator = None, *, moved: bool
) -> tuple[Tensor, ...]:
    """Views of the same jets, all centred, or all `moved` within the bounds of the first one.

    The last step of every set of views: afterwards no view's position tells which one it is.
    """
    if not moved:
        return tuple(recentred(view) for view in found)
    bounds = reach(recentred(found[0]))
    return tuple(translated(view, bounds, generator) for view in found)


def dark_dropped(
    jets: Tensor, generator: Generator = None, probability: Probability = 0.5
) -> Tensor:
    """Each constituent removed with `probability`, as if it had decayed invisibly.

    A pair (low, high) draws the probability of each jet uniformly between them. The pT of the
    survivors is scaled so that the jet's scalar pT sum stays; they are sorted by pT, and not
    moved. A jet that would lose everything is drawn again, alone.
    """

    def draw(rows: Tensor) -> Tensor:
        return torch.rand(len(rows), jets.shape[1], generator=generator)

    return _dropped(jets, draw, probability, generator)


def subjets_dropped(
    jets: Tensor, generator: Generator = None, probability: Probability = 0.5
) -> Tensor:
    """As `dark_dropped`, but neighbours are lost together, as the products of one meson are.

    Each constituent belongs to the nearest of `GROUPS` constituents chosen at random; each group
    is removed with `probability`.
    """
    group = _groups(jets, generator)

    def draw(rows: Tensor) -> Tensor:
        return torch.rand(len(rows), GROUPS, generator=generator).gather(1, group[rows])

    return _dropped(jets, draw, probability, generator)


def _groups(jets: Tensor, generator: Generator) -> Tensor:
    """(n, slots): which of `GROUPS` random constituents is the nearest."""
    filled = mask(jets)
    priority = torch.rand(filled.shape, generator=generator).masked_fill(~filled, 2.0)
    chosen = priority.argsort(1)[:, :GROUPS]
    # A jet with fewer constituents than groups also lists empty slots: too far away to win.
    away = 1e3 * (~filled.gather(1, chosen)).float()[..., None]
    seeds = jets[..., 1:].gather(1, chosen[..., None].expand(-1, -1, 2)) + away
    return torch.cdist(jets[..., 1:], seeds).argmin(2)


def _dropped(
    jets: Tensor,
    draw: Callable[[Tensor], Tensor],
    probability: Probability,
    generator: Generator,
) -> Tensor:
    """Jets without the slots whose `draw(rows)` (rows, slots) in [0, 1) is below the chance."""
    filled, rows = mask(jets), torch.arange(len(jets))
    if not filled.any(1).all():
        raise ValueError(
            f"jet {int((~filled.any(1)).nonzero()[0])} of the batch has no constituents"
        )
    chance = _chances(len(jets), probability, generator)
    kept = filled & (draw(rows) >= chance)
    while len(empty := rows[~kept.any(1)]):
        kept[empty] = filled[empty] & (draw(empty) >= chance[empty])
    pt = jets[..., 0] * kept
    pt = pt * (jets[..., 0].sum(1) / pt.sum(1))[:, None]
    return by_pt(_joined(pt[..., None], jets[..., 1:]))


def probability(each: float, between: Sequence[float]) -> Probability:
    """The pair `between` where it is given, else `each`; ValueError unless it has two numbers."""
    if not between:
        return each
    if len(between) != 2:
        raise ValueError(f"drop_range must be (low, high), or empty; got {tuple(between)}")
    return float(between[0]), float(between[1])


def _chances(number: int, chance: Probability, generator: Generator) -> Tensor:
    """(n, 1): the drop probability of each jet."""
    low, high = chance if isinstance(chance, tuple | list) else (chance,) * 2
    if not 0 <= low <= high < 1:
        raise ValueError(
            f"the drop probability must be in [0, 1), or a pair (low, high) of such; got {chance}"
        )
    return low + (high - low) * torch.rand(number, 1, generator=generator)


def by_pt(jets: Tensor) -> Tensor:
    """Constituents in falling pT, empty slots last."""
    order = jets[..., 0].argsort(dim=1, descending=True, stable=True)
    return torch.gather(jets, 1, order[..., None].expand_as(jets))


def smeared(jets: Tensor, generator: Generator = None, scale: float = 0.1) -> Tensor:
    """Soft constituents move: normal shifts with sigma = scale / max(pT, scale), in GeV."""
    sigma = scale / jets[..., :1].clamp(min=scale)
    noise = torch.randn(*jets.shape[:2], 2, generator=generator)
    return _joined(jets[..., :1], jets[..., 1:] + sigma * noise)


def collinear_split(jets: Tensor, generator: Generator = None) -> Tensor:
    """Constituents split in two at the same place, into the empty slots.

    Each one splits at most once, its momentum in a uniform fraction; how many do is uniform
    between none and as many as there are constituents and empty slots. The filled slots must come
    first.
    """
    filled = mask(jets)
    slots = jets.shape[1]
    count = filled.sum(1)
    most = torch.minimum(count, slots - count)
    number = (torch.rand(len(jets), generator=generator) * (most + 1)).long()
    priority = torch.rand(filled.shape, generator=generator).masked_fill(~filled, 2.0)
    order = priority.argsort(1)
    splits = order.argsort(1) < number[:, None]
    fraction = torch.rand(filled.shape, generator=generator)
    copy = torch.arange(slots)[None, :] - count[:, None]
    new = (copy >= 0) & (copy < number[:, None])
    parent = order.gather(1, copy.clamp(min=0))
    children = jets.gather(1, parent[..., None].expand_as(jets))
    child_pt = children[..., 0] * (1 - fraction.gather(1, parent))
    pt = torch.where(new, child_pt, torch.where(splits, fraction, 1.0) * jets[..., 0])
    angles = torch.where(new[..., None], children[..., 1:], jets[..., 1:])
    return by_pt(_joined(pt[..., None], angles))


DROPS = {"constituents": dark_dropped, "subjets": subjets_dropped}


def three_views(
    jets: Tensor,
    generator: Generator = None,
    *,
    drop: str = "constituents",
    probability: Probability = 0.5,
    resolved: bool = False,
    moved: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Anchor, positive and anomalous view of jets (n, slots, 3).

    All are turned together; the positive is turned again (`resolved`: also smeared and split
    collinearly); the anomalous one loses constituents; then they are `placed`.
    """
    anchor = rotated(jets, generator)
    positive = collinear_split(smeared(anchor, generator), generator) if resolved else anchor
    dropped = DROPS[drop](anchor, generator, probability)
    views = placed((anchor, rotated(positive, generator), dropped), generator, moved=moved)
    return views[0], views[1], views[2]


def two_views(
    jets: Tensor, generator: Generator = None, *, moved: bool = True
) -> tuple[Tensor, ...]:
    """Anchor and positive, both turned, the second smeared and split, then `placed` (JetCLR)."""
    positive = collinear_split(smeared(jets, generator), generator)
    both = rotated(jets, generator), rotated(positive, generator)
    return placed(both, generator, moved=moved)
