"""The official TrackML events on this machine: where their files lie, licence and source."""

from __future__ import annotations

from pathlib import Path

from physbench.datasets import Dataset
from physbench.datasets.common import store
from physbench.datasets.common.trackml_csv import KINDS

LICENCE = "unconfirmed; see the Kaggle and Zenodo pages of the challenge"
CITATION = """@article{trackml2019,
  title = {The Tracking Machine Learning challenge: Accuracy phase},
  author = {Amrouche, S. and Basara, L. and Calafiura, P. and Estrade, V. and Farrell, S. and
    Ferreira, D. R. and Finnie, L. and Finnie, N. and Germain, C. and Gligorov, V. V. and Golling,
    T. and Gorbunov, S. and Gray, H. and Guyon, I. and Hushchyn, M. and Innocente, V. and Kiehn, M.
    and Moyse, E. and Puget, J.-F. and Reina, Y. and Rousseau, D. and Salzburger, A. and
    Ustyuzhanin, A. and Vlimant, J.-R. and Wind, J. S. and Xylouris, T. and Yilmaz, Y.},
  year = {2019},
  eprint = {1904.06778},
  archivePrefix = {arXiv}
}"""
SOURCE = (
    "Kaggle competition trackml-particle-identification; throughput phase: Zenodo record "
    "4730157. Put event*-hits.csv, -truth.csv and -particles.csv below $PHYSBENCH_DATA/trackml"
)
FOLDERS = ("trackml", "real_subevent_5k", ".")


def find(base: Path, dataset: Dataset) -> dict[int, dict[str, Path]]:
    """Files of each event below `base` by kind; only events with hits, truth and particles.

    Raises FileNotFoundError naming what is missing when no event is complete, and DataError
    when an event lies in two folders, or a file is there twice (packed and unpacked).
    """
    found: dict[tuple[int, Path], dict[str, Path]] = {}
    for kind in KINDS:
        for path in [*base.rglob(f"event*-{kind}.csv"), *base.rglob(f"event*-{kind}.csv.gz")]:
            # Official names alone: `event000001000_barrel10-hits.csv` is a derived sub-sample.
            digits = path.name.removeprefix("event").partition("-")[0]
            folders = path.relative_to(base).parts[:-1]
            if digits.isdigit() and not any(name.startswith("simulated") for name in folders):
                files = found.setdefault((int(digits), path.parent), {})
                if files.setdefault(kind, path) != path:
                    raise store.DataError(
                        f"{files[kind]} and {path.name} are both there; keep the one that is meant"
                    )
    complete: dict[int, dict[str, Path]] = {}
    for (number, place), files in sorted(found.items()):
        if len(files) == len(KINDS):
            other = complete.setdefault(number, files)["hits"].parent
            if other != place:
                raise store.DataError(
                    f"event {number} lies in {other} and in {place}; point $PHYSBENCH_DATA to "
                    "the folder that is meant"
                )
    if not complete:
        seen = sorted({kind for files in found.values() for kind in files}) or ["none"]
        raise FileNotFoundError(
            f"{base}: no event has all of {', '.join(KINDS)} (found: {', '.join(seen)}). Events "
            "without truth cannot be scored. " + store.advice("trackml", dataset)
        )
    return complete
