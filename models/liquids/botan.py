"""BOTAN (Shiba et al. 2023), 54,209 parameters: one decoder for nodes and edges.

The authors train particles and the change of pair distances together, from weights pre-trained
on edges. The boards keep no trajectories, so here nodes alone are trained (their p = 1), and on
type A where they use both. `weights="published"` loads their first pre-trained network; with
`start` it is where training begins.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from physbench.datasets import File, Split
from physbench.models import Context, Model
from physbench.models.common import variants
from physbench.models.common.training import HERE, parameters
from physbench.models.liquids import _particle_networks as networks
from physbench.models.liquids import _published_weights as published_weights
from physbench.models.liquids._graph_network import BotanNetwork
from physbench.models.liquids._particle_networks import Graph

PUBLISHED = File(
    "botan_model1_weights.npz",
    "dd45a7525509e36ea0031bb043868bb5e4f56f409ac584b9bfe47f287de3d7fe",
    206_653,
)
ORIGIN = "initial_model/model1.pth of github.com/h3-Open-BDEC/pyg_botan, as plain arrays"
BLOCKS = {
    "encode_node": "node_encoder",
    "encode_edge": "edge_encoder",
    "edge_block": "network.edge_model.mlp",
    "node_block": "network.node_model.mlp",
    "decode": "decoder",
}


class Network(nn.Module):
    """The graph network on a `Graph`; the type is one number, the energy a second one."""

    def __init__(self, *, energies: bool, outputs: int, width: int = 64, steps: int = 7) -> None:
        super().__init__()
        self.energies = energies
        self.inner = BotanNetwork(
            node_inputs=1 + energies, width=width, steps=steps, outputs=outputs
        )

    def nodes(self, sample: Graph) -> Tensor:
        """(n, 1 or 2) node features."""
        columns = [sample.types.float(), *([sample.energy] if self.energies else [])]
        return torch.stack(columns, dim=1)

    def forward(self, sample: Graph, vector: Tensor) -> Tensor:
        """(n, outputs)."""
        found: Tensor = self.inner(self.nodes(sample), vector, sample.sender, sample.receiver)
        return found

    def edges(self, sample: Graph) -> Tensor:
        """(e, outputs): the decoded edges."""
        ends = sample.sender, sample.receiver
        _, states = self.inner.states(self.nodes(sample), sample.vector, *ends)
        found: Tensor = self.inner.decode(states)
        return found


def _fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    weights: str = "",
    **settings: Any,
) -> networks.Fitted:
    """Train on type A, one configuration a step, axes permuted and reflected at random.

    Parameters
    ----------
    weights:
        Empty to start from random weights, `start` from the published ones (width 64, 7 steps,
        no energies, one target time), `published` to train nothing.
    """
    if weights not in ("", "start", "published"):
        raise ValueError(f"weights must be empty, 'start' or 'published'; got '{weights}'")
    if not weights:
        return _trained(train, validation, seed=seed, context=context, **settings)
    view = networks.View(**variants.part_of(settings, networks.View))
    if weights == "published":
        return networks.Fitted(published(), torch.zeros(1), torch.ones(1), view, AUTHORS)
    sizes = networks.sizes_of(Network, settings, view, train)
    if sizes != AUTHORS:
        raise ValueError(f"the published weights need {AUTHORS}; got {sizes}")
    recipe = networks.Recipe(**variants.part_of(settings, networks.Recipe), augment=True)
    return networks.trained(published(), train, validation, view, recipe, sizes, seed, context)


AUTHORS: dict[str, Any] = {"energies": False, "width": 64, "steps": 7, "outputs": 1}
PAPER: dict[str, Any] = {
    "positions": "thermal",
    "energies": False,
    "learning_rate": 1e-4,
    "epochs": 1000,
}
_trained = networks.fits(Network, augment=True, **PAPER)
fit = variants.declared(_fit, _trained, hidden=("seed", "context"))


def published() -> Network:
    """The first of the authors' eight edge-trained networks."""
    arrays = published_weights.arrays(PUBLISHED, ORIGIN)
    network = Network(**AUTHORS)
    with torch.no_grad():
        for block, name in BLOCKS.items():
            layers = [m for m in getattr(network.inner, block) if isinstance(m, nn.Linear)]
            for number, layer in enumerate(layers, start=1):
                layer.weight.copy_(torch.from_numpy(arrays[f"{name}.fc{number}.weight"]))
                layer.bias.copy_(torch.from_numpy(arrays[f"{name}.fc{number}.bias"]))
    return network.eval()


SMALL = {
    "positions": "inherent",
    "energies": True,
    "cutoff": 1.5,
    "width": 32,
    "steps": 3,
    "learning_rate": 3e-3,
    "optimiser": "adamw",
    "schedule": "onecycle",
    "per_configuration": True,
}

MODEL = Model(
    tasks=("glass_mobility",),
    reference="""@article{Shiba:2023botan,
  author = {Shiba, Hayato and Hanai, Masatoshi and Suzumura, Toyotaro and Shimokawabe, Takashi},
  title = {{BOTAN}: BOnd TArgeting Network for prediction of slow glassy dynamics by machine
    learning relative motion},
  journal = {J. Chem. Phys.},
  volume = {158},
  pages = {084503},
  year = {2023},
  doi = {10.1063/5.0129791}
}""",
    fit=fit,
    predict=networks.predict,
    presets={
        "kob_andersen": SMALL | {"epochs": 30},
        "botan_ka3d": SMALL | {"epochs": 80},
    },
    quick={"cutoff": 1.5, "width": 8, "steps": 2, "epochs": 2},
    save=networks.save,
    load=partial(networks.load, Network),
    parameters=networks.parameters,
    checks={"size": lambda: parameters(Network(energies=False, width=64, steps=7, outputs=1))},
)
