"""Track parameters: the hits of one track -> its transverse momentum, charge and pz.

Pattern recognition is solved by truth; what is measured is how an estimator compares with the
ideal linear fit, which multiple scattering and hit resolution set. Predictions are a mapping
`{"qopt": (n,), "pz": (n,)}`, optionally with "d0" and "z0": q/pT in 1/GeV, pz in GeV, mm. An array
(n, 2) or (n, 4) in that order does as well. q/pT = 0, or a value that is not finite, says that
there is no answer; such a track counts as an outlier. d0 and z0 fail on their own.

The score S is the mean over six bins of true pT of the core68 of ln(pT/true pT), each track's
divided by its width in the ideal linear fit of its own hits: 1 is that fit. An estimator that is
not linear, or has learned the spectrum of the sample, may get below. A row ranks with at most 1 %
of outliers and 1 % of wrong charges. Splits go by event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physbench.datasets import Dataset, Split, Splits
from physbench.datasets.common import linear_fit
from physbench.datasets.common.arrays import plain
from physbench.datasets.tracks import (
    COORDINATES,
    TARGETS,
    TEST,
    TRAIN,
    VALIDATION,
    Sample,
    Tracks,
    displaced_tracks,
    generic_tracks,
    monotonic,
    toy_barrel,
    toy_tracks,
    trackml_tracks,
)
from physbench.tasks import FRACTION, POSITIVE, Field, Metric, Neurons, Task
from physbench.tasks.metrics import (
    resolution,
    resolution_figures,
    track_rows,
    track_study_figures,
)
from physbench.tasks.metrics import resolution_replicates as fast

COLUMNS = ("qopt", "pz", "d0", "z0")
HITS = ("measured", "true")
CUTS = ("none", "test", "all")
LARGEST_OUTLIERS = 0.01
LARGEST_SIGN_ERRORS = 0.01
LOSSES = ("mse", "quantile")
LEARNING = ((2000, 140), (7000, 40), (20_000, 14), (69_000, 4))  # tracks and epochs: equal steps
LEARNT: dict[str, dict[str, float]] = {"": {}, ", pT first": {"emphasis": 4.0}}


def _study() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Every raw input with every target and loss, and true hits; then in units of the chord.

    `pt` has no sign, `qopt` and `qpt` have. The chord's variants are a run to the end, the
    scattering cut, and the learning curve at equal numbers of steps: with the four parameters
    alike, and with pT before the others.
    """
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for coordinates in COORDINATES:
        for target in TARGETS:
            for loss in LOSSES:
                name = f"{coordinates} -> {target}, {loss}"
                settings = {"features": "raw", "loss": loss}
                found[name] = {"coordinates": coordinates, "target": target}, settings
    found["true hits"] = {"hits": "true"}, {"features": "raw", "loss": "mse"}
    chord: dict[str, Any] = {"features": "chord", "loss": "quantile"}
    found["chord"] = {}, chord
    for hits in HITS:
        for cut in CUTS[1:]:
            found[f"chord, {hits} hits, scattering cut {cut}"] = (
                {"hits": hits, "scattering_cut": cut},
                chord | {"epochs": 4},
            )
    for tracks, epochs in LEARNING:
        for name, emphasis in LEARNT.items():
            settings = chord | {"epochs": epochs} | emphasis
            found[f"chord, {tracks:,} tracks{name}"] = {"train_tracks": tracks}, settings
    return found


def load(
    dataset: Dataset,
    *,
    coordinates: str = "rdphiz",
    target: str = "qopt",
    hits: str = "measured",
    scattering_cut: str = "none",
    train_tracks: int = 0,
    folder: str = "",
) -> Splits:
    """Splits of a dataset.

    Parameters
    ----------
    coordinates:
        `xyz`, `rphiz` or `rdphiz` (azimuth from that of the first hit).
    target:
        What a learned model regresses: `pt`, `qopt` (q/pT) or `qpt` (q pT); pz is beside it.
    hits:
        `measured`, or the `true` crossings of the talk.
    scattering_cut:
        Drop tracks whose azimuth is not monotonic from `none`, the `test` split, or `all`.
    train_tracks:
        The first so many of the training tracks; 0 for all.
    folder:
        A sample that was generated or placed there.
    """
    for name, value, known in (
        ("coordinates", coordinates, COORDINATES),
        ("target", target, TARGETS),
        ("hits", hits, HITS),
        ("scattering_cut", scattering_cut, CUTS),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}; got '{value}'")
    options: dict[str, Any] = {"folder": folder} if folder else {}
    sample: Sample = dataset.load(**options)
    chosen = getattr(sample, hits)
    if chosen is None:
        raise ValueError(f"hits must be measured here: the dataset kept no {hits} ones")
    tracks = chosen
    if coordinates != chosen.coordinates:
        tracks = replace(chosen, coordinates=coordinates)
    clean = monotonic(tracks) if scattering_cut != "none" else np.ones(len(tracks), dtype=bool)
    parts: list[Split] = []
    for part in (TRAIN, VALIDATION, TEST):
        keep = sample.split == part
        if scattering_cut == "all" or part == TEST:
            keep = keep & clean
        split = _split(sample, tracks, np.flatnonzero(keep), target)
        if dataset is not toy_tracks.DATASET:
            split = _with_widths(split, exact=hits == "true")
        parts.append(split)
    train, validation, test = parts
    if train_tracks:
        train = train.take(range(_within(train_tracks, len(train))))
    # One or two events of the user are all for testing: enough for fits without training.
    alone = dataset is trackml_tracks.DATASET and not len(train)
    return Splits(
        train, validation, test, sample.files, sample.counts, alone, spectra=sample.spectra
    )


def _within(count: int, most: int) -> int:
    """The count itself; raises ValueError for one that the training split does not have."""
    if not 0 < count <= most:
        raise ValueError(f"train_tracks must lie between 1 and {most} (0 for all); got {count}")
    return count


def _split(sample: Sample, tracks: Tracks, index: NDArray[np.int64], target: str) -> Split:
    truth = replace(sample.truth.take(index), target=target)
    return Split(tracks.take(index), truth, [sample.ids[i] for i in index])


def _with_widths(split: Split, *, exact: bool) -> Split:
    """The split with the widths of the ideal linear fit, computed where they are not stored."""
    truth = split.targets
    if exact or np.isnan(truth.sigma).any():
        sigma = linear_fit.widths(split.inputs, truth, exact=exact)
        truth = replace(truth, sigma=sigma)
    return replace(split, targets=truth)


def prepare(inputs: Tracks, predictions: Any) -> Mapping[str, NDArray[np.float32]]:
    """Columns with 12 bits of mantissa (error below 1.3e-4, widths are 1e-2), mm in 1/1024.

    A value that is not finite becomes NaN in its own column, and 0 in q/pT.

    Raises ValueError for missing or unknown columns, wrong lengths and complex numbers, and
    FloatingPointError when no track at all has a finite q/pT.
    """
    columns = _columns(predictions)
    for name, column in columns.items():
        if column.shape != (len(inputs),):
            raise ValueError(
                f"'{name}' must hold one real number a track, shape ({len(inputs)},); got shape "
                f"{column.shape} of {column.dtype}"
            )
    finite = np.isfinite(columns["qopt"])
    if len(inputs) and not finite.any():
        raise FloatingPointError(f"none of {len(inputs)} predictions of q/pT is finite")
    columns["qopt"] = np.where(finite, columns["qopt"], 0.0)
    return {
        name: (_millimetres if name in ("d0", "z0") else _rounded)(
            np.where(np.isfinite(column), column, np.nan)
        )
        for name, column in columns.items()
    }


def _columns(predictions: Any) -> dict[str, NDArray[Any]]:
    if isinstance(predictions, Mapping):
        columns = {name: plain(values, f"'{name}'") for name, values in predictions.items()}
        if not {"qopt", "pz"} <= set(columns) <= set(COLUMNS):
            raise ValueError(
                f"predictions need 'qopt' and 'pz', and may have 'd0' and 'z0'; got "
                f"{', '.join(columns) or 'nothing'}"
            )
        return columns
    array = plain(predictions, "predictions")
    if array.ndim != 2 or array.shape[1] not in (2, 4):
        raise ValueError(
            "predictions must be a mapping with 'qopt' and 'pz' or an array (tracks, 2) or "
            f"(tracks, 4) of {', '.join(COLUMNS)}; got shape {array.shape}"
        )
    return dict(zip(COLUMNS, array.T, strict=False))


def _rounded(values: NDArray[Any]) -> NDArray[np.float32]:
    mantissa, exponent = np.frexp(np.clip(values, -1e30, 1e30).astype(np.float64))
    return np.asarray(np.ldexp(np.rint(mantissa * 4096) / 4096, exponent), dtype=np.float32)


def _millimetres(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(np.rint(np.clip(values, -1e4, 1e4) * 1024) / 1024, dtype=np.float32)


def admit(metrics: Mapping[str, float]) -> str | None:
    """A row ranks only with at most 1 % of outliers and failures, and 1 % of wrong charges."""
    fraction = metrics.get("outlier_fraction", 0.0)
    if fraction > LARGEST_OUTLIERS:
        return f"{fraction:.1%} of the tracks are outliers (pT off by more than 10 %)"
    wrong = metrics.get("sign_error_rate", 0.0)
    if wrong > LARGEST_SIGN_ERRORS:
        return f"{wrong:.1%} of the charges are wrong"
    return None


def _width(function: Any, errors: fast.Errors, statistic: fast.Statistic, version: int) -> Metric:
    """A width of relative errors, averaged over the bins of pT."""
    return Metric(
        function,
        "1",
        "min",
        version=version,
        replicates=fast.of_bins(errors, statistic),
        bounds=POSITIVE,
    )


TASK = Task(
    summary="hits of one track -> pT, charge, pz, d0, z0, against the ideal linear fit",
    version=2,
    reference="""@misc{trackformer2025,
  title = {TrackFormer: track-parameter regression with transformers},
  howpublished = {thesis talk, 26 March 2025},
  year = {2025},
  url = {https://github.com/CouthuresJeremy/TrackFormer}
}""",
    inputs=Tracks,
    predicts=(
        Field("qopt", "(n,)", "float", "1/GeV", "q/pT; 0 or NaN where there is no answer"),
        Field("pz", "(n,)", "float", "GeV", "momentum along the beam"),
        Field("d0", "(n,)", "float", "mm", "optional; NaN where there is no answer"),
        Field("z0", "(n,)", "float", "mm", "optional; NaN where there is no answer"),
    ),
    unit="track",
    datasets=(generic_tracks, displaced_tracks, toy_barrel, trackml_tracks, toy_tracks),
    load=load,
    metrics=(
        Metric(
            resolution.pull_pt,
            "1",
            "min",
            version=2,
            slices=resolution.pull_pt_slices,
            replicates=fast.pull_pt,
            bounds=POSITIVE,
            label="width of pulls of pT over the ideal linear fit's",
        ),
        _width(resolution.core68_pt, resolution.pt_errors, fast.core68, 1),
        _width(resolution.core68_qopt, resolution.qopt_errors, fast.core68, 2),
        _width(resolution.core68_pz, resolution.pz_errors, fast.core68, 2),
        _width(resolution.pruned_rms_pt, resolution.pt_errors, fast.pruned_rms, 1),
        _width(resolution.quantile_normal_pt, resolution.pt_errors, fast.quantile_normal, 1),
        Metric(resolution.gaussian_fit_pt, "1", "min", version=2, interval=False),
        Metric(
            resolution.bias_pt,
            "1",
            "zero",
            replicates=fast.of_bins(resolution.pt_errors, fast.median),
        ),
        Metric(
            resolution.outlier_fraction,
            "1",
            "min",
            bounds=FRACTION,
            replicates=fast.fraction(resolution.outliers),
        ),
        Metric(
            resolution.sign_error_rate,
            "1",
            "min",
            version=2,
            bounds=FRACTION,
            replicates=fast.fraction(resolution.wrong_charges),
        ),
        Metric(resolution.pull_d0, "1", "min", replicates=fast.pull("d0"), bounds=POSITIVE),
        Metric(resolution.pull_z0, "1", "min", replicates=fast.pull("z0"), bounds=POSITIVE),
    ),
    prepare=prepare,
    admit=admit,
    figures={
        "Resolution of pT": resolution_figures.resolution_figure,
        "Errors from 1 to 2 GeV": resolution_figures.distribution_figure,
    },
    study=_study(),
    study_figures=track_study_figures.FIGURES,
    neurons=Neurons(
        track_rows.loss,
        (track_rows.tracks, track_rows.hits_of_tracks),
        metrics=("outlier_fraction", "sign_error_rate"),
        units=2000,
    ),
)
