"""The functions that check published claims; see `ledger`.

A check returns our number, with an interval where there is one, and raises FileNotFoundError where
the data are not on this machine. Here are those that join tasks and records; what a model can
check by itself stands in its own file (`Model.checks`), and is named `model: check`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from benchmarks import registry
from benchmarks.reports import boards
from benchmarks.trust import seed_claims
from physbench.leaderboard import board as tables
from physbench.leaderboard import record as records
from physbench.leaderboard import statistics
from physbench.leaderboard.record import Record

Value = tuple[float, float, float]  # number, low, high; NaN without an interval


def _exact(number: float) -> Value:
    return float(number), math.nan, math.nan


def bapst_pearson() -> Value:
    """One configuration: an interval over configurations has no meaning."""
    from physbench.models.liquids import bapst_gnn
    from physbench.tasks import glass_mobility
    from physbench.tasks.metrics import propensity

    test = glass_mobility.TASK.splits("bapst2020").test
    settings = bapst_gnn.MODEL.presets["bapst2020"]
    fitted = bapst_gnn.fit(test.take([]), test.take([]), seed=0, **settings)
    predictions = bapst_gnn.MODEL.predict(fitted, test.inputs)
    return _exact(propensity.pearson_slices(test.targets, predictions)["IS=0.9"])


def _lorentznet() -> tuple[Any, Any]:
    """Scores of gluon and quark jets, from the file released with the paper."""
    from physbench.datasets.common import store

    name = "lorentznet_qg_test_scores.npy"
    places = [store.root() / folder / name for folder in ("jets", ".")]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise FileNotFoundError(f"{name} is not below $PHYSBENCH_DATA ({store.root()})")
    label, _, score = np.load(path).T
    return score[label == 0], score[label == 1]


def lorentznet_auc() -> Value:
    """With the error of DeLong's limit for large samples, sqrt(var over jets)."""
    from physbench.tasks.metrics import ranking

    background, signal = _lorentznet()
    area = ranking.area_under_curve(background, signal)
    # Variance of a Mann-Whitney statistic from the placements of each side.
    order = np.sort(background)
    placed = np.searchsorted(order, signal) / len(order)
    other = 1 - np.searchsorted(np.sort(signal), background) / len(signal)
    error = math.sqrt(placed.var() / len(signal) + other.var() / len(background))
    return area, area - 1.96 * error, area + 1.96 * error


def _rejection(efficiency: float) -> Value:
    from physbench.tasks.metrics import ranking

    point = ranking.working_point(ranking.roc(*_lorentznet()), efficiency)
    half = 1.96 * point.sigma
    return point.rejection, point.rejection - half, point.rejection + half


def lorentznet_rejection_30() -> Value:
    return _rejection(0.3)


def lorentznet_rejection_50() -> Value:
    return _rejection(0.5)


def ratio_methods_order() -> Value:
    """Kendall's tau of the published and our order by trimmed error, from committed records."""
    from scipy.stats import kendalltau

    published = {"carl": 0.0026, "rolr": 0.0014, "sally": 0.0005, "rascal": 0.0004}
    published["cascal"] = 0.0002
    found: dict[str, list[float]] = {name: [] for name in published}
    for record in records.read_all(boards.committed_root() / "likelihood_ratio" / "eft_toy"):
        part = next((m for m in record.metrics if m.name == "trimmed_mse"), None)
        plain = record.task.protocol.get("events") == 100_000
        if record.model.name in found and plain and part is not None and part.value is not None:
            found[record.model.name].append(part.value)
    if not all(found.values()):
        raise FileNotFoundError(
            f"no committed records of {[n for n, v in found.items() if not v]}"
        )
    ours = [float(np.mean(found[name])) for name in published]
    return _exact(kendalltau(list(published.values()), ours).statistic)


def calochallenge_order() -> Value:
    """Kendall's tau of the published and our order of families by the judge's AUC."""
    from scipy.stats import kendalltau

    published = {"diffusion": 0.635, "normalizing_flow": 0.733}
    published |= {"variational_autoencoder": 0.889, "wgan_gp": 0.927}
    folder = boards.committed_root() / "calo_showers" / "parametrised_showers"
    found: dict[str, list[float]] = {name: [] for name in published}
    for record in records.read_all(folder):
        part = next((m for m in record.metrics if m.name == "judge_auc"), None)
        if record.model.name in found and part is not None and part.value is not None:
            found[record.model.name].append(part.value)
    if not all(found.values()):
        raise FileNotFoundError(
            f"no committed records of {[n for n, v in found.items() if not v]}"
        )
    ours = [float(np.mean(found[name])) for name in published]
    return _exact(kendalltau(list(published.values()), ours).statistic)


@cache
def rows(task: str) -> list[tuple[str, list[Record]]]:
    """The dataset and the committed records of each row of a task's boards."""
    folder = boards.committed_root() / task
    if not folder.is_dir():
        raise FileNotFoundError(f"no committed records of {task}")
    everything = records.read_all(folder)
    by_id = {record.id[:12]: record for record in everything}
    return [
        (board.dataset, [by_id[one] for one in row.records])
        for board in boards.of_task(task, everything, frozenset())
        for row in board.rows
    ]


def _row(task: str, dataset: str, model: str, **settings: Any) -> list[Record]:
    """The committed records of a board's row: a model, with settings where it has several rows.

    Without settings the row with most seeds is meant, which bears the bare name.
    """
    named = [
        found
        for place, found in rows(task)
        if place == dataset
        and found[0].model.name == model
        and settings.items() <= found[0].model.hyper_parameters.items()
    ]
    most = [found for found in named if len(found) == max(map(len, named))]
    if len(most) == 1:
        return most[0]
    row = f"{model} {settings}" if settings else model
    raise FileNotFoundError(f"no single row of {row} on {task}, {dataset}")


def _dark_jets(model: str) -> list[Record]:
    return _row("dark_jets", "dark_showers", model)


def _slice(model: str, **settings: Any) -> list[Record]:
    return _row("glass_mobility", "botan_ka3d", model, **settings)


def _glass(first: list[Record], second: list[Record]) -> Value:
    """Mean Pearson correlation of one row minus another's, paired by configuration."""
    estimate = statistics.difference(tables.scores_of(first), tables.scores_of(second))
    return estimate.value, estimate.low, estimate.high


def glass_regression_and_classification() -> Value:
    return _glass(_slice("structure_ridge"), _slice("softness_svm"))


def glass_network_and_shallow() -> Value:
    return _glass(_slice("schnet"), _slice("softness_svm"))


def glass_inherent_and_thermal() -> Value:
    sides = [_slice("boattini", positions=name) for name in ("inherent", "thermal")]
    return _glass(*sides)


def glass_linear_and_residual() -> Value:
    row = _slice("coarse_grained_ridge", columns="base")
    return _glass(_slice("residual_network", linear="base"), row)


def darkclr_above_density() -> Value:
    """DarkCLR minus the Gaussian mixture in the ranking metric, paired by jet."""
    found = [tables.scores_of(_dark_jets(name)) for name in ("darkclr", "gaussian_mixture")]
    estimate = statistics.difference(*found)
    return estimate.value, estimate.low, estimate.high


def _mean_metric(model: str, metric: str) -> Value:
    """A metric's mean over seeds, with half widths of seeds and units added in quadrature."""
    parts = [m for r in _dark_jets(model) for m in r.metrics if m.name == metric]
    values = np.array([part.value for part in parts], dtype=float)
    units = np.mean([((part.high or 0.0) - (part.low or 0.0)) / 2 for part in parts])
    seeds = 0.0
    if len(values) > 1:
        from scipy.stats import t

        seeds = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    half = math.hypot(float(units), float(seeds))
    return float(values.mean()), float(values.mean()) - half, float(values.mean()) + half


def darkclr_control() -> Value:
    return _mean_metric("darkclr", "control_log_rejection")


def darkclr_worst() -> Value:
    return _mean_metric("darkclr", "worst_log_rejection")


def _gain(task: str, dataset: str, first: str, second: str, **settings: Any) -> Value:
    """How much better one row is than another (with `settings`), paired by unit."""
    rows = [_row(task, dataset, first), _row(task, dataset, second, **settings)]
    estimate = statistics.difference(*(tables.scores_of(row) for row in rows))
    if rows[0][0].metrics[0].best == "max":
        return estimate.value, estimate.low, estimate.high
    return -estimate.value, -estimate.high, -estimate.low


def particle_net_and_particle_flow() -> Value:
    return _gain("jet_flavour", "flavour_jets", "particle_net", "particle_flow_network")


def particle_transformer_and_particle_net() -> Value:
    return _gain("jet_flavour", "flavour_jets", "particle_transformer", "particle_net")


def kan_and_mlp() -> Value:
    return _gain("track_parameters", "generic_tracks", "kan", "mlp", loss="mse")


def alice_and_carl() -> Value:
    return _gain("likelihood_ratio", "eft_toy", "alice", "carl")


def rascal_and_carl() -> Value:
    return _gain("likelihood_ratio", "eft_toy", "rascal", "carl")


CHECKS: dict[str, Callable[[], Value]] = {
    function.__name__: function
    for function in (
        darkclr_above_density,
        darkclr_control,
        darkclr_worst,
        bapst_pearson,
        lorentznet_auc,
        lorentznet_rejection_30,
        lorentznet_rejection_50,
        ratio_methods_order,
        calochallenge_order,
        glass_regression_and_classification,
        glass_network_and_shallow,
        glass_inherent_and_thermal,
        glass_linear_and_residual,
        particle_net_and_particle_flow,
        particle_transformer_and_particle_net,
        kan_and_mlp,
        alice_and_carl,
        rascal_and_carl,
    )
} | seed_claims.checks(_row)


def check(name: str) -> Value:
    """What the check of this name gives; raises KeyError for one that nobody has."""
    model, colon, own = name.partition(": ")
    if not colon:
        return CHECKS[name]()
    return _exact(registry.load("model", model).object.checks[own]())
