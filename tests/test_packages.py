"""Every named package imports and does its part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_torch_and_torch_geometric_pass_messages() -> None:
    import torch
    from torch_geometric.nn import SimpleConv

    edges = torch.tensor([[0, 1], [2, 2]])
    assert SimpleConv("sum")(torch.tensor([[1.0], [2.0], [4.0]]), edges)[2].item() == 3.0


def test_pandas_reads_and_groups() -> None:
    import pandas as pd

    table = pd.DataFrame({"particle_id": [2**60, 2**60, 0], "weight": [0.5, 0.25, 0.0]})
    assert table.groupby("particle_id")["weight"].sum()[2**60] == 0.75


def test_matplotlib_and_mplhep_draw(tmp_path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import mplhep

    with plt.style.context(mplhep.style.ATLAS):
        figure, axes = plt.subplots()
        mplhep.histplot(np.array([1.0, 2.0]), bins=np.array([0.0, 1.0, 2.0]), ax=axes)
        figure.savefig(tmp_path / "figure.png")
        plt.close(figure)
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_energyflow_counts_its_polynomials() -> None:
    from physbench.models.jets import _energy_flow as energy_flow

    graphs = energy_flow.package().EFPSet("d<=3", measure="hadr", beta=1)
    assert len(graphs.specs) == 13


def test_schnetpack_predicts_an_energy() -> None:
    import schnetpack as spk
    import torch

    network = spk.representation.SchNet(
        n_atom_basis=8,
        n_interactions=1,
        radial_basis=spk.nn.GaussianRBF(n_rbf=5, cutoff=2.0),
        cutoff_fn=spk.nn.CosineCutoff(2.0),
    )
    inputs = {
        "_atomic_numbers": torch.tensor([1, 1]),
        "_Rij": torch.tensor([[1.0, 0, 0], [-1.0, 0, 0]]),
        "_idx_i": torch.tensor([0, 1]),
        "_idx_j": torch.tensor([1, 0]),
        "_n_atoms": torch.tensor([2]),
        "_idx_m": torch.tensor([0, 0]),
    }
    assert network(inputs)["scalar_representation"].shape == (2, 8)


def test_wandb_runs_without_account_or_network() -> None:
    import wandb

    with wandb.init(mode="disabled") as run:
        run.log({"loss": 1.0})


def test_pytest_benchmark_times(benchmark: object) -> None:
    assert benchmark(lambda: sum(range(10))) == 45  # type: ignore[operator]
