"""Energy flow polynomials of jets, computed by the EnergyFlow package.

EFP_G = sum_{i_1..i_N} z_{i_1} ... z_{i_N} prod_{(k,l) in G} theta_{i_k i_l}^beta, G a multigraph,
with pT fractions z and distances theta in (rapidity, phi) (Komiske, Metodiev, Thaler,
arXiv:1712.07124).
"""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets.jets import Jets


def package() -> Any:
    """The EnergyFlow package.

    It imports `wasserstein`, which does not load beside NumPy 2 and serves its EMD alone: an
    empty module stands in where the real one is not imported yet.
    """
    sys.modules.setdefault("wasserstein", types.ModuleType("wasserstein"))
    import energyflow

    return energyflow


def polynomials(jets: Jets, degree: int = 4, beta: float = 1.0) -> NDArray[np.float64]:
    """EFPs of all connected graphs with 1 to `degree` edges (at most 5), (n, graphs)."""
    if not 1 <= degree <= 5:
        raise ValueError(f"degree must be 1 to 5; got {degree}")
    chosen = ("d>0", f"d<={degree}", "p==1")
    graphs = package().EFPSet(*chosen, measure="hadr", beta=beta, normed=True, coords="ptyphim")
    rows = [
        graphs.compute(jet[filled])
        for jet, filled in zip(jets.constituents.astype(np.float64), jets.mask, strict=True)
    ]
    return np.array(rows).reshape(len(jets), len(graphs.graphs()))
