"""BOTAN (Shiba et al. 2023), 54,209 parameters: one decoder for nodes and edges.

Particles are trained together with the change of distance of pairs: `share` of the loss is the
propensities' (0.4 as published; 1 trains these alone). Training begins at random weights, or with
`weights="start"` at one of the authors' eight networks that were pre-trained on edges; `published`
answers with that one as it is. `number` says which, 0 takes the one whose edges agree best with
the training configurations at tau_alpha. Type A is trained here, where they train both types.
"""

from __future__ import annotations

from collections.abc import Sequence
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

PUBLISHED = {
    number: File(f"botan_model{number}_weights.npz", digest, size)
    for number, (digest, size) in enumerate(
        (
            ("dd45a7525509e36ea0031bb043868bb5e4f56f409ac584b9bfe47f287de3d7fe", 206_653),
            ("79f5651d49a7947e5663c58f4455c6c6cf83212499dc23a32b8f042b6b96e4eb", 206_749),
            ("506a7711466ad71dced5f17c58f3a6c63de5fcfee2a782d143691019f643301a", 206_564),
            ("8cb59765da3691385325942c2e1924f0e8922376f481a166b7bd8da584ed0d94", 206_586),
            ("f51205e9ddf218d6fed86408166134349e1390f5362d071e46c8c2a91631883a", 206_770),
            ("32d407bd14a4ca7924de4e13b6f583428672b6b3654ae555639d486a22ee984e", 206_698),
            ("5d9f40388cc3aa6388984bc89e5f9d2792d3abb95f591cd36a91bed7ccc6da48", 206_642),
            ("e5518d2eb2c98b5cc5313f29ced08e5657ff5e7dade9a54122e68c04a8bf5bbf", 206_555),
        ),
        start=1,
    )
}
ORIGIN = "initial_model/model*.pth of github.com/h3-Open-BDEC/pyg_botan, as plain arrays"
JUDGED = 2  # training configurations on which the pre-trained networks are compared
BLOCKS = {
    "encode_node": "node_encoder",
    "encode_edge": "edge_encoder",
    "edge_block": "network.edge_model.mlp",
    "node_block": "network.node_model.mlp",
    "decode": "decoder",
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
        columns: int = 0,
        dimension: int = 3,
    ) -> None:
        super().__init__()
        self.energies = energies
        self.inner = BotanNetwork(
            node_inputs=1 + energies + columns,
            edge_inputs=dimension,
            width=width,
            steps=steps,
            outputs=outputs,
        )

    def both(self, sample: Graph, vector: Tensor) -> tuple[Tensor, Tensor]:
        """(n, outputs) and (e, outputs): decoded nodes and edges."""
        kinds = sample.types.float()[:, None]
        inputs = torch.cat([kinds, networks.numbers(sample, self.energies)], dim=1)
        states = self.inner.states(inputs, vector, sample.sender, sample.receiver)
        nodes, edges = (self.inner.decode(state) for state in states)
        return nodes, edges

    def forward(self, sample: Graph, vector: Tensor) -> Tensor:
        """(n, outputs)."""
        return self.both(sample, vector)[0]

    def edges(self, sample: Graph) -> Tensor:
        """(e, outputs): the decoded edges."""
        return self.both(sample, sample.vector)[1]


def edges_too(share: float) -> networks.Step:
    """The loss `share` x nodes + (1 - share) x edges, of mean squared errors.

    Edges have one target, the change at tau_alpha, which the last output answers.
    """

    def loss(network: Any, batch: networks.Batch) -> Tensor:
        nodes, edges = network.both(batch.sample, batch.sample.vector)
        known = torch.isfinite(batch.bonds)
        of_nodes = nn.functional.mse_loss(nodes[batch.kept], batch.wanted[batch.kept])
        of_edges = nn.functional.mse_loss(edges[known, -1], batch.bonds[known])
        both: Tensor = share * of_nodes + (1 - share) * of_edges
        return both

    return loss


def _fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    context: Context = HERE,
    weights: str = "",
    number: int = 0,
    share: float = 1.0,
    **settings: Any,
) -> networks.Fitted:
    """Train on type A, one configuration a step, axes permuted and reflected at random.

    Parameters
    ----------
    weights:
        Empty to start from random weights, `start` from the published ones (width 64, 7 steps,
        no energies, one target time), `published` to train nothing.
    number:
        Which of the eight published networks; 0 for the best one on the training edges.
    share:
        Of the propensities in the loss, the rest is of the edges' change of distance (0.4 as
        published, where the dataset has them; 1 trains the propensities alone).
    """
    if weights not in ("", "start", "published"):
        raise ValueError(f"weights must be empty, 'start' or 'published'; got '{weights}'")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1; got {share}")
    view = networks.View(**variants.part_of(settings, networks.View))
    sizes = networks.sizes_of(Network, settings, view, train)
    recipe = networks.Recipe(**variants.part_of(settings, networks.Recipe), augment=True)
    if weights and sizes != AUTHORS:
        raise ValueError(f"the published weights need {AUTHORS}; got {sizes}")
    chosen = number or best(train, view) if weights else 0
    if weights == "published":
        return networks.Fitted(published(chosen), torch.zeros(1), torch.ones(1), view, AUTHORS)
    torch.manual_seed(seed)
    start = [published(chosen) if weights else Network(**sizes) for _ in range(recipe.members)]
    loss = networks.nodes_alone if share == 1 else edges_too(share)
    given = train, validation, view, recipe, sizes, seed, context, loss
    return networks.trained(start, *given)


def best(train: Split, view: networks.View) -> int:
    """Which of the eight published networks predicts the edges of the training split best."""
    units = [(train.inputs[k], train.targets[k]) for k in range(min(JUDGED, len(train)))]
    found = edge_correlations(units, view)
    return max(found, key=lambda number: found[number])


@torch.no_grad()
def edge_correlations(units: Sequence[Any], view: networks.View) -> dict[int, float]:
    """Pearson's r of decoded edges and measured changes of distance: the mean over units."""
    candidates = {number: published(number) for number in PUBLISHED}
    found: dict[int, list[float]] = {number: [] for number in PUBLISHED}
    for configuration, mobility in units:
        sample = networks.graph(configuration, view)
        wanted = networks.bond_targets(sample, mobility)
        known = torch.isfinite(wanted)
        for number, each in found.items():
            edges = candidates[number].edges(sample)[known, 0]
            each.append(float(torch.corrcoef(torch.stack([edges, wanted[known]]))[0, 1]))
    return {number: sum(each) / len(each) for number, each in found.items()}


AUTHORS: dict[str, Any] = {
    "energies": False,
    "width": 64,
    "steps": 7,
    "outputs": 1,
    "columns": 0,
    "dimension": 3,
}
PAPER: dict[str, Any] = {
    "positions": "thermal",
    "energies": False,
    "learning_rate": 1e-4,
    "epochs": 1000,
}
_trained = networks.fits(Network, augment=True, hidden=("dimension",), **PAPER)
fit = variants.declared(_fit, _trained, hidden=("seed", "context"))


def published(number: int = 1) -> Network:
    """One of the authors' eight edge-trained networks."""
    if number not in PUBLISHED:
        raise ValueError(f"number must be 1 to {len(PUBLISHED)}, or 0 for the best; got {number}")
    arrays = published_weights.arrays(PUBLISHED[number], ORIGIN)
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
        "botan_ka3d": {
            "weights": "start",
            "share": 0.4,
            "learning_rate": 1e-3,
            "optimiser": "adamw",
            "schedule": "onecycle",
            "per_configuration": True,
            "epochs": 5,
        },
    },
    quick={"weights": "", "share": 1.0, "cutoff": 1.5, "width": 8, "steps": 2, "epochs": 2},
    save=networks.save,
    load=partial(networks.load, Network),
    parameters=networks.parameters,
    checks={"size": lambda: parameters(Network(energies=False, width=64, steps=7, outputs=1))},
)
