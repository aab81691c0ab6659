"""Graph network of Bapst et al. (2020), 70,721 parameters; published weights can be loaded.

Edges carry the vector between particles closer than the cutoff, self pairs included: without them
the published network predicts nothing. Only the 48 symmetries of the cubic box are learned, by
augmentation. Differences by default: one network predicts all times, the weights of the least
validation loss are kept (the authors kept those with the best TEST correlation), and no decoder
of edges is stored, which they never used (62,401 parameters).

`weights="published"` loads the network for T = 0.44 and IS = 0.9, which answers every target with
the propensity at IS = 0.9.
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
from physbench.models.liquids._graph_network import BapstNetwork
from physbench.models.liquids._particle_networks import Graph

PUBLISHED = File(
    "bapst_t044_s09_weights.npz",
    "4ece379fe5672d19f277d8bd3ffd772c13f2123cd35cefa7df31a984a71f8adb",
    270_297,
)
ORIGIN = (
    "the checkpoint t044_s09 of github.com/google-deepmind/deepmind-research, "
    "glassy_dynamics/checkpoints, as plain arrays"
)
BLOCKS = {
    "encode_node": "graph_independent.node_model",
    "encode_edge": "graph_independent.edge_model",
    "edge_block": "graph_network.edge_block",
    "node_block": "graph_network.node_block",
    "decode": "graph_independent_1.node_model",
    "decode_edge": "graph_independent_1.edge_model",
}


class Network(nn.Module):
    """The graph network on a `Graph`; the type is one number, the energy a second one."""

    def __init__(
        self,
        *,
        energies: bool,
        outputs: int,
        width: int = 64,
        steps: int = 7,
        spare: bool = False,
        columns: int = 0,
        dimension: int = 3,
    ) -> None:
        super().__init__()
        self.energies = energies
        self.inner = BapstNetwork(
            node_inputs=1 + energies + columns,
            edge_inputs=dimension,
            width=width,
            steps=steps,
            outputs=outputs,
            spare=spare,
        )

    def forward(self, sample: Graph, vector: Tensor) -> Tensor:
        """(n, outputs)."""
        kinds = sample.types.float()[:, None]
        nodes = torch.cat([kinds, networks.numbers(sample, self.energies)], dim=1)
        found: Tensor = self.inner(nodes, vector, sample.sender, sample.receiver)
        return found


def _fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    weights: str = "",
    targets: int = 1,
    **settings: Any,
) -> networks.Fitted:
    """Train on type A, one configuration a step, axes permuted and reflected at random.

    Parameters
    ----------
    weights:
        Empty to train, or `published`.
    targets:
        With published weights: the number of target times to answer.
    """
    if weights not in ("", "published"):
        raise ValueError(f"weights must be empty or 'published'; got '{weights}'")
    if not weights:
        return _trained(train, validation, seed=seed, context=context, **settings)
    view = networks.View(**variants.part_of(settings, networks.View), self_pairs=True)
    return published(view, targets)


PAPER: dict[str, Any] = {
    "positions": "thermal",
    "energies": False,
    "learning_rate": 1e-4,
    "epochs": 1000,
}
_trained = networks.fits(
    Network, self_pairs=True, augment=True, hidden=("spare", "dimension"), **PAPER
)
fit = variants.declared(_fit, _trained, hidden=("seed", "context"))


def published(view: networks.View, targets: int) -> networks.Fitted:
    """The authors' network; its one output is repeated for every target."""
    arrays = published_weights.arrays(PUBLISHED, ORIGIN)
    settings = {
        "energies": False,
        "width": 64,
        "steps": 7,
        "outputs": 1,
        "spare": True,
    }
    network = Network(**settings)  # type: ignore[arg-type]
    with torch.no_grad():
        for block, name in BLOCKS.items():
            layers = [m for m in getattr(network.inner, block) if isinstance(m, nn.Linear)]
            for number, layer in enumerate(layers):
                stored = f"Graph.{name}.mlp.linear_{number}"
                layer.weight.copy_(torch.from_numpy(arrays[f"{stored}.w"].T))
                layer.bias.copy_(torch.from_numpy(arrays[f"{stored}.b"]))
    zero, one = torch.zeros(targets), torch.ones(targets)
    return networks.Fitted(network.eval(), zero, one, view, settings)


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
    reference="""@article{Bapst:2020,
  author = {Bapst, V. and Keck, T. and Grabska-Barwinska, A. and Donner, C. and Cubuk, E. D. and
    Schoenholz, S. S. and Obika, A. and Nelson, A. W. R. and Back, T. and Hassabis, D. and
    Kohli, P.},
  title = {Unveiling the predictive power of static structure in glassy systems},
  journal = {Nature Physics},
  volume = {16},
  pages = {448--454},
  year = {2020},
  doi = {10.1038/s41567-020-0842-8}
}""",
    fit=fit,
    predict=networks.predict,
    presets={
        "kob_andersen": SMALL | {"epochs": 30},
        "botan_ka3d": SMALL | {"epochs": 80},
        "bapst2020": {"weights": "published", "targets": 10},
    },
    quick={"cutoff": 1.5, "width": 8, "steps": 2, "epochs": 2},
    save=networks.save,
    load=partial(networks.load, Network),
    parameters=networks.parameters,
    checks={
        "size": lambda: parameters(
            Network(energies=False, width=64, steps=7, outputs=1, spare=True)
        )
    },
)
