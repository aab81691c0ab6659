"""Dense autoencoder on jet images: what it cannot reconstruct is anomalous.

After Heimel et al. (QCD or what?). Its known weakness is complexity bias: simple jets reconstruct
well whether they are anomalous or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Model
from physbench.models.jets._jet_observables import images
from physbench.models.jets._normalized_autoencoder import NormalizedAutoencoder


@dataclass(frozen=True)
class Fitted:
    """The network and how its images are made."""

    network: NormalizedAutoencoder
    pixels: int
    blur: float


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    pixels: int = 40,
    blur: float = 1.0,
    hidden: tuple[int, ...] = (64, 32),
    latent: int = 6,
    learning_rate: float = 1e-3,
    batch: int = 256,
    epochs: int = 100,
    clip: float = 0.1,
) -> Fitted:
    """Train on QCD images of pixels x pixels, blurred by `blur` pixels.

    Parameters
    ----------
    hidden:
        Widths of the encoder's layers; the decoder has them in reverse.
    latent:
        Dimension of the bottleneck, on the unit sphere.
    clip:
        Largest norm of the gradient.
    """
    data = images(train.inputs, pixels, blur=blur)
    network = NormalizedAutoencoder(
        data.shape[1], hidden=tuple(hidden), latent=latent, output="softmax", amplitude=pixels
    ).standardise(data)
    network.reconstruct(
        network.standardised(data),
        epochs=epochs,
        learning_rate=learning_rate,
        batch=batch,
        clip=clip,
        seed=seed,
    )
    return Fitted(network.eval(), pixels, blur)


def predict(fitted: Fitted, inputs: Jets) -> NDArray[np.float64]:
    """Mean squared reconstruction error."""
    return fitted.network.energies(images(inputs, fitted.pixels, blur=fitted.blur))


def parameters(fitted: Fitted) -> int:
    """Weights of encoder and decoder."""
    return sum(p.numel() for p in fitted.network.parameters())


MODEL = Model(
    tasks=("dark_jets",),
    reference="""@article{Heimel:2018mkt,
  author = {Heimel, Theo and Kasieczka, Gregor and Plehn, Tilman and Thompson, Jennifer M.},
  title = {{QCD} or what?},
  journal = {SciPost Phys.},
  volume = {6},
  pages = {030},
  year = {2019},
  eprint = {1808.08979},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={"dark_showers": {"epochs": 30}},
    parameters=parameters,
)
