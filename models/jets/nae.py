"""Normalized autoencoder on jet images, with on-manifold Langevin sampling.

After an autoencoder's training the energy of samples of the model is raised, so that simple
anomalous jets, which reconstruct well by accident, stand out too. The network is dense with a
softmax output; the settings are those published for the convolutional one where they carry over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Split
from physbench.datasets.jets import Jets
from physbench.models import Context, Model
from physbench.models.common import training
from physbench.models.jets import _normalized_autoencoder as networks
from physbench.models.jets._jet_observables import images
from physbench.models.jets._normalized_autoencoder import Chain, Normalization


def fit(
    train: Split,
    validation: Split,
    *,
    seed: int,
    pixels: int = 40,
    blur: float = 1.0,
    hidden: tuple[int, ...] = (64, 32),
    latent: int = 3,
    pretraining_epochs: int = 100,
    pretraining_rate: float = 1e-3,
    pretraining_clip: float = 0.1,
    epochs: int = 50,
    learning_rate: float = 1e-5,
    batch: int = 256,
    temperature: float = 1.0,
    gamma: float = 1.0,
    decay: float = 1e-8,
    latent_steps: int = 30,
    latent_step: float = 0.1,
    latent_noise: float = 0.05,
    steps: int = 30,
    step: float = 50.0,
    noise: float = 1e-4,
    gradient_clip: float = 0.01,
    metropolis: bool = True,
    buffer: int = 10_000,
    fresh: float = 0.05,
    context: Context = Context(),
) -> networks.Imaged:
    """Plain autoencoder, then the normalized phase.

    Parameters
    ----------
    temperature, gamma, decay:
        Of the loss, see `Normalization`.
    latent_steps, latent_step, latent_noise:
        Langevin chain in latent space, projected onto the sphere at each step.
    steps, step, noise:
        Langevin chain in pixel space; the noise falls as 1 / (1 + step).
    gradient_clip, metropolis:
        Of both chains, see `Chain`.
    buffer, fresh:
        Latent start points kept, and the share of those drawn anew.
    """
    base = networks.trained_on_images(
        train,
        validation,
        seed=seed,
        pixels=pixels,
        blur=blur,
        hidden=hidden,
        latent=latent,
        learning_rate=pretraining_rate,
        batch=batch,
        epochs=pretraining_epochs,
        clip=pretraining_clip,
        context=context,
    )
    how = Normalization(
        epochs=epochs,
        latent_chain=Chain(
            latent_steps, latent_step, latent_noise, gradient_clip, metropolis=metropolis
        ),
        chain=Chain(steps, step, noise, gradient_clip, annealed=True, metropolis=metropolis),
        learning_rate=learning_rate,
        batch=batch,
        temperature=temperature,
        gamma=gamma,
        decay=decay,
        buffer=buffer,
        fresh=fresh,
    )
    data = base.network.standardised(images(train.inputs, pixels, blur=blur))
    base.network.train().normalize(data, how, seed)
    base.network.eval()
    return base


def predict(fitted: networks.Imaged, inputs: Jets) -> NDArray[np.float64]:
    """Energy: the mean squared reconstruction error."""
    return networks.image_energies(fitted, inputs)


def parameters(fitted: networks.Imaged) -> int:
    """Weights of encoder and decoder."""
    return training.parameters(fitted.network)


MODEL = Model(
    tasks=("dark_jets",),
    reference="""@article{Dillon:2022mkq,
  author = {Dillon, Barry M. and Favaro, Luigi and Plehn, Tilman and Sorrenson, Peter
    and Kr{\\"a}mer, Michael},
  title = {A normalized autoencoder for {LHC} triggers},
  year = {2022},
  eprint = {2206.14225},
  archiveprefix = {arXiv}
}""",
    fit=fit,
    predict=predict,
    presets={
        "dark_showers": {
            "pretraining_epochs": 30,
            "epochs": 5,
            "latent_steps": 10,
            "steps": 10,
        }
    },
    quick={"pretraining_epochs": 1, "epochs": 1, "pixels": 12, "steps": 3, "latent_steps": 3},
    save=networks.save_imaged,
    load=networks.load_imaged,
    parameters=parameters,
)
