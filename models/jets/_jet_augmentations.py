"""Views of jets for contrastive learning, vectorised over the batch.

A batch is a float tensor (n, slots, 3) of pT in GeV (> 0 in filled slots), eta and phi relative to
the jet axis; empty slots are zero. Every random number is drawn for each jet on its own: nothing a
jet does depends on the rest of its batch. Steps after arXiv:2108.04253 (JetCLR), arXiv:2301.04660
(AnomalyCLR) and arXiv:2312.03067 (DarkCLR).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


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


def rotated(jets: Tensor, generator: torch.Generator) -> Tensor:
    """Each jet turned about its centroid by its own angle, uniform in [0, 2 pi)."""
    angle = 2 * math.pi * torch.rand(len(jets), 1, generator=generator)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    centre = centroid(jets)[:, None, :]
    eta, phi = (jets[..., 1:] - centre).unbind(-1)
    turned = torch.stack([cosine * eta - sine * phi, sine * eta + cosine * phi], dim=-1)
    return _joined(jets[..., :1], turned + centre)


def translated(jets: Tensor, generator: torch.Generator, width: float = 1.0) -> Tensor:
    """Each jet moved in eta and in phi, uniformly within `width` times its own extent.

    The shift in phi is clipped so that the jet stays within [-pi, pi].
    """
    filled = mask(jets)[..., None]
    angles = jets[..., 1:]
    highest = angles.masked_fill(~filled, -math.inf).amax(1)
    lowest = angles.masked_fill(~filled, math.inf).amin(1)
    reach = width * (highest - lowest)
    low, high = -reach, reach.clone()
    low[:, 1] = torch.maximum(low[:, 1], (-math.pi - lowest[:, 1]).clamp(max=0))
    high[:, 1] = torch.minimum(high[:, 1], (math.pi - highest[:, 1]).clamp(min=0))
    shift = low + (high - low) * torch.rand(len(jets), 2, generator=generator)
    return shifted(jets, shift)


def dark_dropped(jets: Tensor, generator: torch.Generator, probability: float = 0.5) -> Tensor:
    """Each constituent removed with `probability`, as if it had decayed invisibly.

    The pT of the survivors is scaled so that the jet's scalar pT sum stays, the jet is recentred
    and sorted by pT. A jet that would lose everything is drawn again, alone.
    """
    if not 0 <= probability < 1:
        raise ValueError(f"the drop probability must be in [0, 1); got {probability}")
    filled = mask(jets)
    if not filled.any(1).all():
        raise ValueError(
            f"jet {int((~filled.any(1)).nonzero()[0])} of the batch has no constituents"
        )
    kept = filled & (torch.rand(filled.shape, generator=generator) >= probability)
    while (empty := ~kept.any(1)).any():
        again = torch.rand((int(empty.sum()), filled.shape[1]), generator=generator)
        kept[empty] = filled[empty] & (again >= probability)
    pt = jets[..., 0] * kept
    pt = pt * (jets[..., 0].sum(1) / pt.sum(1))[:, None]
    return by_pt(recentred(_joined(pt[..., None], jets[..., 1:])))


def by_pt(jets: Tensor) -> Tensor:
    """Constituents in falling pT, empty slots last."""
    order = jets[..., 0].argsort(dim=1, descending=True, stable=True)
    return torch.gather(jets, 1, order[..., None].expand_as(jets))


def smeared(jets: Tensor, generator: torch.Generator, scale: float = 0.1) -> Tensor:
    """Soft constituents move: normal shifts with sigma = scale / max(pT, scale), in GeV."""
    sigma = scale / jets[..., :1].clamp(min=scale)
    noise = torch.randn(*jets.shape[:2], 2, generator=generator)
    return _joined(jets[..., :1], jets[..., 1:] + sigma * noise)


def collinear_split(jets: Tensor, generator: torch.Generator) -> Tensor:
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
