"""Dense autoencoder on jet images: what it cannot reconstruct is anomalous.

After Heimel et al. (QCD or what?). Its known weakness is complexity bias: simple jets reconstruct
well whether they are anomalous or not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.jets import _normalized_autoencoder as networks


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
    context: Context = Context(),
) -> networks.Imaged:
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
    return networks.trained_on_images(
        train, validation, seed=seed, pixels=pixels, blur=blur, hidden=hidden, latent=latent,
        learning_rate=learning_rate, batch=batch, epochs=epochs, clip=clip, context=context,
    )  # fmt: skip


def predict(fitted: networks.Imaged, inputs: Jets) -> NDArray[np.float64]:
    """Mean squared reconstruction error."""
    return networks.image_energies(fitted, inputs)


def parameters(fitted: networks.Imaged) -> int:
    """Weights of encoder and decoder."""
    return training.parameters(fitted.network)


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
    quick={"epochs": 1, "pixels": 12},
    save=networks.save_imaged,
    load=networks.load_imaged,
    parameters=parameters,
)
