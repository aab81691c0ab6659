"""Neurons of a torch module: read them, and shuffle or replace one while the module runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def network_of(fitted: Any) -> Any:
    """The torch module that a model's fit returned or holds in one of its fields.

    Raises ValueError when there is none.
    """
    from torch import nn

    found = [
        v for v in [fitted, *getattr(fitted, "__dict__", {}).values()] if isinstance(v, nn.Module)
    ]
    if not found:
        raise ValueError("this model has no network to look into")
    return found[0]


def layer_of(network: Any, name: str | None) -> Any:
    """The module `name`; by default `head`, or else the last linear layer.

    Raises ValueError naming the linear layers when there is no such module.
    """
    from torch import nn

    modules = dict(network.named_modules())
    linear = [key for key, module in modules.items() if isinstance(module, nn.Linear)]
    chosen = name or ("head" if "head" in modules else linear[-1])
    if chosen not in modules:
        raise ValueError(f"layer must be one of {', '.join(linear)}; got '{chosen}'")
    return modules[chosen]


def activations(layer: Any, run: Callable[[], Any]) -> Array:
    """(rows, neurons): what goes into the layer while `run` runs, calls one behind the other."""
    seen: list[Array] = []

    def keep(module: Any, inputs: Any) -> None:
        seen.append(inputs[0].detach().double().flatten(0, -2).numpy())

    handle = layer.register_forward_pre_hook(keep)
    try:
        run()
    finally:
        handle.remove()
    return np.concatenate(seen)


@contextmanager
def changed(layer: Any, neuron: int, values: Array) -> Iterator[None]:
    """While it lasts, input `neuron` of the layer is `values` (rows,), in the order of rows."""
    import torch

    place = 0

    def replace(module: Any, inputs: Any) -> Any:
        nonlocal place
        array = inputs[0].clone()
        rows = array[..., neuron].numel()
        new = torch.from_numpy(values[place : place + rows]).to(array.dtype)
        array[..., neuron] = new.reshape(array.shape[:-1])
        place += rows
        return (array, *inputs[1:])

    handle = layer.register_forward_pre_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def importance(
    layer: Any,
    run: Callable[[], Any],
    metrics: dict[str, Callable[[Any], float]],
    *,
    permutations: int = 10,
    seed: int = 0,
    rows: NDArray[np.bool_] | None = None,
) -> tuple[dict[str, float], dict[str, Array]]:
    """Each metric without permutation, and its change (neurons, permutations) with one.

    A neuron's values are shuffled among `rows` (all by default; pass the real hits where a layer
    works on padded ones). The change is metric(shuffled) - metric(unshuffled).
    """
    latent = activations(layer, run)
    reference = {name: metric(run()) for name, metric in metrics.items()}
    generator = np.random.default_rng(seed)
    chosen = np.arange(len(latent)) if rows is None else np.flatnonzero(rows)
    change = {name: np.zeros((latent.shape[1], permutations)) for name in metrics}
    for neuron in range(latent.shape[1]):
        for k in range(permutations):
            values = latent[:, neuron].copy()
            values[chosen] = values[generator.permutation(chosen)]
            with changed(layer, neuron, values):
                found = run()
            for name, metric in metrics.items():
                change[name][neuron, k] = metric(found) - reference[name]
    return reference, change
