"""What the networks on particle graphs share: graphs, targets, training, prediction, storing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from physbench.datasets import Split
from physbench.datasets.liquids import A, Configuration, Mobility
from physbench.models import Context
from physbench.models.common import training, variants
from physbench.models.common.training import HERE
from physbench.models.liquids import _linear_columns as columns_of
from physbench.models.liquids._neighbours import pairs
from physbench.models.liquids._particle_regression import Standard
from physbench.models.liquids._potential import potential_energy

MEMBERS_APART = 10_007  # between the seeds of networks of one row


class Graph(NamedTuple):
    """A configuration for a network; a tuple, which moves between devices as a whole.

    `types` (n,) int64; `energy` (n,) float32, standardised by type, or zeros; `columns` (n, k)
    float32, coarse-grained and standardised by type, or k = 0; `sender`, `receiver` (e,) int64;
    `vector` (e, d) float32 from sender to receiver.
    """

    types: Tensor
    energy: Tensor
    columns: Tensor
    sender: Tensor
    receiver: Tensor
    vector: Tensor


class Batch(NamedTuple):
    """A graph, standardised propensities (n, t), the mask of type A, and the edges' targets.

    `bonds` (e,) float32: the standardised change of each pair's distance, NaN where it was not
    measured; empty where no edges are trained.
    """

    sample: Graph
    wanted: Tensor
    kept: Tensor
    bonds: Tensor


Step = Callable[[nn.Module, Batch], Tensor]


@dataclass(frozen=True, kw_only=True)
class View:
    """How a configuration becomes a graph.

    `positions` are `thermal`, `inherent` or `cage`, pairs are closer than `cutoff` (sigma_AA), and
    with `energies` the potential energies are node features, with `columns` the coarse-grained
    columns of `coarse_grained_ridge`.
    """

    positions: str = "inherent"
    cutoff: float = 2.0
    energies: bool = False
    columns: bool = False
    self_pairs: bool = False


def graph(configuration: Configuration, view: View) -> Graph:
    """All pairs below the cutoff; with `self_pairs` also every particle with itself."""
    near = pairs(configuration, view.positions, view.cutoff)
    count = len(configuration)
    own = np.arange(count if view.self_pairs else 0)
    vector = np.concatenate([near.vector, np.zeros((len(own), near.vector.shape[1]))])
    return Graph(
        types=torch.tensor(configuration.types),
        energy=torch.from_numpy(_energy(configuration, view)).float(),
        columns=torch.from_numpy(_coarse(configuration, view)).float(),
        sender=torch.from_numpy(np.concatenate([near.centre, own])),
        receiver=torch.from_numpy(np.concatenate([near.other, own])),
        vector=torch.from_numpy(vector).float(),
    )


def _energy(configuration: Configuration, view: View) -> NDArray[np.float64]:
    """Potential energies in units of their spread within the type."""
    energy = np.zeros(len(configuration))
    if view.energies:
        raw = potential_energy(configuration, view.positions)
        for kind in np.unique(configuration.types):
            chosen = configuration.types == kind
            spread = raw[chosen].std() or 1.0
            energy[chosen] = (raw[chosen] - raw[chosen].mean()) / spread
    return energy


def _coarse(configuration: Configuration, view: View) -> NDArray[np.float64]:
    """The coarse-grained columns in units of their spread within the type, clipped."""
    if not view.columns:
        return np.zeros((len(configuration), 0))
    table = np.concatenate(columns_of.base(configuration), axis=1)
    for kind in np.unique(configuration.types):
        chosen = configuration.types == kind
        table[chosen] = Standard.of(table[chosen])(table[chosen])
    return np.clip(table, -columns_of.CLIP, columns_of.CLIP)


def numbers(sample: Graph, energies: bool) -> Tensor:
    """(n, k): each particle's energy where it is asked for, and its coarse-grained columns."""
    return torch.cat([*([sample.energy[:, None]] if energies else []), sample.columns], dim=1)


def solid(vector: Tensor) -> Tensor:
    """(e, 3): vectors of two dimensions lie in the plane z = 0."""
    return nn.functional.pad(vector, (0, 3 - vector.shape[1]))


def turned(vector: Tensor) -> Tensor:
    """Axes permuted and reflected at random: one of the 48 symmetries of the cubic box."""
    order = torch.randperm(vector.shape[1])
    sign = 1 - 2 * torch.randint(2, (vector.shape[1],))
    return vector[:, order] * sign.to(vector)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network with the scale of its outputs and the view it takes."""

    network: nn.Module
    mean: Tensor
    scale: Tensor
    view: View
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: as `physbench.models.common.training.train`, and three more.

    `augment` permutes and reflects the axes of every step. `per_configuration` standardises the
    targets within each configuration, which is all that a score per configuration asks for: how
    mobile a configuration is as a whole is then not learned. `members` networks, each from random
    weights of its own, answer with their mean.
    """

    learning_rate: float = 1e-3
    optimiser: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "constant"
    clip: float | None = 1.0
    per_configuration: bool = False
    epochs: int = 200
    average: int = 0
    members: int = 1
    augment: bool = False

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(f"members must be at least 1; got {self.members}")


def scales(targets: Sequence[Mobility], *, per_configuration: bool) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (t,) of the type A particles' propensities.

    The deviation is that of all particles, or the mean of those within a configuration.
    """
    each = [m.propensity[:, m.types == A] for m in targets]
    joined = np.concatenate(each, axis=1)
    deviation = np.mean([e.std(1) for e in each], axis=0) if per_configuration else joined.std(1)
    return (
        torch.from_numpy(joined.mean(1)).float(),
        torch.from_numpy(np.maximum(deviation, 1e-6)).float(),
    )


def fits(
    build: type[nn.Module],
    *,
    self_pairs: bool = False,
    augment: bool = False,
    hidden: tuple[str, ...] = (),
    **defaults: Any,
) -> Callable[..., Fitted]:
    """The `fit` of a network: its sizes, the view and the recipe, with these defaults.

    `energies` and `weight_decay` are settings of the entries that name them; `hidden` are sizes
    that are none.
    """

    def fit(
        train: Split, validation: Split, *, seed: int, context: Context = HERE, **settings: Any
    ) -> Fitted:
        """Train on type A, all times at once, one configuration a step."""
        view = View(**variants.part_of(settings, View), self_pairs=self_pairs)
        recipe = Recipe(**variants.part_of(settings, Recipe), augment=augment)
        sizes = sizes_of(build, settings, view, train)
        torch.manual_seed(seed)
        networks = [build(**sizes) for _ in range(recipe.members)]
        return trained(networks, train, validation, view, recipe, sizes, seed, context)

    unnamed = {"energies", "weight_decay"} - set(defaults)
    without = (*hidden, "self_pairs", "augment", *unnamed)
    return variants.declared(fit, build, View, Recipe, hidden=without, **defaults)


def sizes_of(
    build: type[nn.Module], settings: Mapping[str, Any], view: View, train: Split
) -> dict[str, Any]:
    """What a network is built of: its settings, and what view and targets say."""
    given = {
        "outputs": len(train.targets[0].times),
        "columns": _coarse(train.inputs[0], view).shape[1],
        "dimension": len(train.inputs[0].box),
    }
    return variants.part_of({**vars(view), **settings, **given}, build)


class Mean(nn.Module):
    """The mean of networks that see the same."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(networks)

    def forward(self, sample: Graph, vector: Tensor) -> Tensor:
        """(n, outputs)."""
        return torch.stack([network(sample, vector) for network in self.members]).mean(0)


def nodes_alone(network: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of the propensities of type A."""
    predicted: Tensor = network(batch.sample, batch.sample.vector)
    return nn.functional.mse_loss(predicted[batch.kept], batch.wanted[batch.kept])


def trained(
    networks: Sequence[nn.Module],
    train: Split,
    validation: Split,
    view: View,
    recipe: Recipe,
    settings: Mapping[str, Any],
    seed: int,
    context: Context,
    loss: Step = nodes_alone,
) -> Fitted:
    """Train each network on standardised propensities of type A, all times together.

    One configuration a step; kept are the weights of the epoch with the least validation loss, of
    the propensities alone, or the mean of the last `average` epochs' weights. With another `loss`
    than `nodes_alone` the batches hold targets of edges too.
    """
    if not len(validation):
        raise ValueError("a network needs a validation split; this dataset has none")
    mean, scale = scales(train.targets, per_configuration=recipe.per_configuration)

    def batches(split: Split) -> list[Batch]:
        own, both = recipe.per_configuration, zip(split.inputs, split.targets, strict=True)
        edges = loss is not nodes_alone
        return [_batch(one, its, view, own, (mean, scale), edges) for one, its in both]

    def step(module: nn.Module, batch: Batch) -> Tensor:
        if recipe.augment:
            sample = batch.sample._replace(vector=turned(batch.sample.vector))
            batch = batch._replace(sample=sample)
        return loss(module, batch)

    learned, checked = batches(train), batches(validation)
    for number, network in enumerate(networks):
        training.train(
            network,
            step,
            learned,
            checked,
            seed=seed + MEMBERS_APART * number,
            epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            optimiser=recipe.optimiser,
            weight_decay=recipe.weight_decay,
            schedule=recipe.schedule,
            clip=recipe.clip,
            average=recipe.average,
            validation_step=nodes_alone,
            context=context,
            name=f"network-{number}" if number else "network",
        )
    found = networks[0] if len(networks) == 1 else Mean(networks)
    return Fitted(found.eval(), mean, scale, view, settings)


def _batch(
    configuration: Configuration,
    mobility: Mobility,
    view: View,
    own_scale: bool,
    scale: tuple[Tensor, Tensor],
    edges: bool,
) -> Batch:
    """One configuration with its targets; those of the edges where they are trained."""
    middle, spread = scales([mobility], per_configuration=True) if own_scale else scale
    wanted = (torch.tensor(mobility.propensity.T) - middle) / spread
    sample = graph(configuration, view)
    bonds = bond_targets(sample, mobility) if edges else torch.zeros(0)
    return Batch(sample, wanted, torch.tensor(mobility.types) == A, bonds)


def bond_targets(sample: Graph, mobility: Mobility) -> Tensor:
    """(e,) float32: the standardised change of distance of each edge's pair, NaN where unknown.

    A pair has the same target in both directions. Raises ValueError for a dataset without them.
    """
    if mobility.bonds is None or mobility.bond_change is None:
        raise ValueError(
            "this dataset keeps no changes of pair distances (bonds, bond_change), which training "
            "of edges needs; botan_ka3d has them"
        )
    count = len(mobility.types)
    low = torch.minimum(sample.sender, sample.receiver).numpy()
    high = torch.maximum(sample.sender, sample.receiver).numpy()
    known = mobility.bonds[:, 0] * count + mobility.bonds[:, 1]
    wanted = low * count + high
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known, wanted, sorter=order), len(known) - 1)
    place = order[place]
    change = mobility.bond_change.astype(np.float64)
    standard = (change - change.mean()) / (change.std() or 1.0)
    return torch.from_numpy(np.where(known[place] == wanted, standard[place], np.nan)).float()


@torch.no_grad()
def predict(fitted: Fitted, inputs: Sequence[Configuration]) -> list[NDArray[np.float32]]:
    """(n, t) a configuration, in sigma_AA; meant for type A, whose errors alone were trained."""
    found = []
    for configuration in inputs:
        sample = graph(configuration, fitted.view)
        output = fitted.network(sample, sample.vector) * fitted.scale + fitted.mean
        found.append(output.numpy())
    return found


def parameters(fitted: Fitted) -> int:
    """Trained numbers."""
    return training.parameters(fitted.network)


def save(fitted: Fitted, path: Any) -> None:
    """Weights, scale and settings as one file of tensors."""
    torch.save(
        {
            "network": fitted.network.state_dict(),
            "mean": fitted.mean,
            "scale": fitted.scale,
            "view": vars(fitted.view),
            "settings": dict(fitted.settings),
            "members": len(fitted.network.members) if isinstance(fitted.network, Mean) else 1,
        },
        path,
    )


def load(build: type[nn.Module], path: str | Path) -> Fitted:
    """What `save` wrote, for a network that `build(**settings)` makes."""
    stored = torch.load(path, weights_only=True)
    stored["settings"].pop("kind", None)  # schnet and painn once were one class
    members = stored.get("members", 1)
    networks = [variants.rebuilt(build, stored["settings"]) for _ in range(members)]
    network = networks[0] if members == 1 else Mean(networks)
    network.load_state_dict(stored["network"])
    view = View(**stored["view"])
    return Fitted(network.eval(), stored["mean"], stored["scale"], view, stored["settings"])
