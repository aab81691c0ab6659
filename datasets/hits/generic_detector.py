"""Simulated ttbar events with 60 pile-up collisions on the ACTS generic detector, version 2.

Pythia 8 (ttbar at 14 TeV plus Poisson(60) inelastic collisions) makes the particles, ACTS takes
all charged ones with pT > 0.1 GeV and |eta| < 4 through the generic detector in a 2 T solenoid
field with FATRAS (multiple scattering, energy loss, bremsstrahlung). Hadronic interactions, which
FATRAS lacks, are emulated: a hadron stops where it interacts in the material that it crossed, and
its charged secondaries are simulated in turn, three passes in all. Hits are smeared on their
module; 15 % noise hits, uniform on each module, all modules alike. Not TrackML data: merged
clusters keep one particle, there are no cells, and neutral hadrons and photons leave nothing.

Collisions spread by 12.5 um across and 5.5 mm along the beam. Resolutions: pixels 14 um, short
strips 23 um x 0.35 mm, long strips 35 um x 3.1 mm; local coordinates are stored in quarters of
them. `path` of a hit is its rank along the particle, and the scoring weights follow that rank.

Beside it there are test events of the same recipe at other densities: eight with 20 pile-up, three
with 200 (made by `data make` with `train=0 validation=0`, `pileup=20 test=8` and the second seed,
`pileup=200 test=3` and the third).

Shares, beside those of a real TrackML event of which a part was at hand (the interaction's
constants were chosen on it, so that agreement is partly by construction):

                                         real    here
    hits a particle                      10.04   10.5
    particles with fewer than 3 hits     0.079   0.0621
    ... than 7 hits                      0.197   0.168
    ... of those with pT > 0.9 GeV       0.071   0.0749
    made more than 1 mm from the axis    0.237   0.251
    ... than 10 mm                       0.22    0.228
    ... than 100 mm                      0.113   0.11
    secondaries                          0.16    0.175
    hits a particle and layer            1.312   1.34
    pT in GeV, 10 % quantile             0.19    0.159
    ... median                           0.43    0.378
    ... 90 % quantile                    1.12    1.11
"""

from __future__ import annotations

from pathlib import Path

from physbench.datasets import Dataset, File
from physbench.datasets.common import acts_chain, store
from physbench.datasets.hits import _generic_format as form
from physbench.datasets.hits import _generic_sample as sample
from physbench.datasets.hits._generic_format import Events

NOISE_SHARE = 0.15
OTHERS = {20: "generic_detector_20.npz", 200: "generic_detector_200.npz"}  # test events alone


def load(*, file: Path | None = None, pileup: int = 0) -> tuple[Events, dict[str, str]]:
    """Events by split, and digests.

    Parameters
    ----------
    file:
        A sample of `make`; default the embedded one.
    pileup:
        Of the test events, 20 or 200, for what a model that learned at 60 does there; 0 for the
        usual ones.

    Raises ValueError for another pile-up, and for one beside a file.
    """
    choices = [0] if file else [0, *OTHERS]
    if pileup not in choices:
        yours = " with a file of your own" if file else ""
        raise ValueError(f"pileup{yours} must be one of {choices}; got {pileup}")
    wanted = "a sample that `data make generic_detector` wrote"
    known = {} if file else store.checked("generic_detector", DATASET)
    path = file or known[DATASET.files[0].name]
    events, used = form.events(path, wanted), [path]
    if pileup in OTHERS:
        used.append(known[OTHERS[pileup]])
        events["test"] = form.events(used[1], wanted, name=f"pileup{pileup}-")["test"]
    return events, {path.name: store.digest(path) for path in used}


def make(
    folder: Path,
    *,
    seed: int,
    train: int = 40,
    validation: int = 4,
    test: int = 8,
    pileup: float = 60.0,
    noise: float = NOISE_SHARE,
    process: str = "Top:all = on",
    photons: bool = False,
    processes: int = 1,
) -> Path:
    """Simulate a sample into `folder/generic_detector.npz` and return its path.

    Needs the extras `[acts]` and `[pythia]`. The same seed and versions give the same bytes,
    whatever the number of `processes`. Event k depends on the seed and on k alone, so a longer
    sample starts with the shorter one.

    Parameters
    ----------
    pileup, noise:
        Mean number of inelastic collisions beside the first one; share of noise hits.
    process:
        Pythia's setting for the first collision.
    photons:
        Simulate photons as well, which convert in the material.
    """
    recipe = sample.Recipe(seed, pileup, noise, process, photons)
    path = folder / "generic_detector.npz"
    return sample.make(path, recipe, [train, validation, test], processes, pixels=False)


DATASET = Dataset(
    summary="ttbar with 60 pile-up collisions on the ACTS generic detector, noise included",
    version="2",
    licence="CC0-1.0",
    citation=acts_chain.CITATION,
    source="made by this project: Pythia 8.317 and ACTS 48.1 (FATRAS), seeds 20261130, 20261202 "
    "and 20261203",
    load=load,
    files=(
        File(
            "generic_detector.npz",
            "4cbcf4d8076ae668423e1a99164da8a40b216c746d49d29e1d631800e47a1b67",
            11553489,
        ),
        File(
            "generic_detector_20.npz",
            "273ef8a26d370fb6268a941ef0eae819475798dc3a8e3ef5d5c9a86e7518728c",
            702866,
        ),
        File(
            "generic_detector_200.npz",
            "5d857a75d0d5c8f72c62517aa1a8be9e55aa815c36f278947d6578bc6a1021c8",
            2103434,
        ),
    ),
    embedded=True,
    make=make,
)
