"""Search of a model's settings with Optuna, on validation only: resumable, a table and pictures.

Trials live in Optuna's journal, a text file: a search that was ended goes on, and one of other
code, data, protocol or space begins anew. The test split is given away before the first trial.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.running import cell as cells
from benchmarks.running import environment, scoring
from benchmarks.running.cell import Question
from benchmarks.running.settings import NO_SETTINGS, resolve
from physbench.datasets import Split
from physbench.leaderboard import record as records
from physbench.models import Context, Model
from physbench.tasks import Task

Space = Mapping[str, Sequence[Any]]

# They end a trial, and no search.
BAD_SETTINGS = (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError)
TITLES = ("Parallel coordinates", "Contours")  # of the figures of a search
STYLE: Any = {"font.size": 8, "axes.labelsize": 8}  # many panels
DIRECTION = {"max": "maximize", "min": "minimize", "zero": "minimize"}


@dataclass(frozen=True)
class Search:
    """What is searched: a model on train and validation, what varies, what is set."""

    asked: Question
    model: Model
    train: Split
    validation: Split
    space: Space
    settings: Mapping[str, Any]
    seed: int

    @property
    def name(self) -> str:
        """Of the search among those of a journal: it says what was asked, and with which code."""
        question = self.asked
        path = Path(question.model)
        path = path if registry.is_path(question.model) else registry.path("model", path.name)
        whole = [
            registry.source_digest(question.task.path),
            registry.source_digest(path),
            question.dataset,
            dict(question.protocol),
            dict(self.settings),
            self.seed,
            {name: list(values) for name, values in self.space.items()},
        ]
        digest = hashlib.sha256(records.canonical(whole).encode()).hexdigest()
        return f"{stem(question)} {digest[:12]}"

    def __call__(self, trial: Any) -> float:
        """Train with the settings of a trial; the ranking metric on validation."""
        given = {**self.settings, **suggested(trial, self.space)}
        settings = resolve(self.model.fit, given, "setting", skip=NO_SETTINGS)
        if "context" in inspect.signature(self.model.fit).parameters:
            settings["context"] = replace(self.asked.context, progress=False, checkpoints=None)
        start = time.process_time()
        with environment.seeded(self.seed, self.asked.context.threads):
            fitted = self.model.fit(self.train, self.validation, seed=self.seed, **settings)
            trial.set_user_attr("train_cpu_s", time.process_time() - start)
            predictions = self.model.predict(fitted, self.validation.inputs)
        metric = self.asked.task.object.metrics[0]
        value = float(self.validation.metrics[metric.name](predictions))
        return abs(value) if metric.best == "zero" else value


def search(
    task: str | os.PathLike[str],
    model: str | os.PathLike[str],
    *,
    dataset: str | None = None,
    trials: int = 20,
    space: Space | None = None,
    settings: Mapping[str, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    seed: int = 0,
    runs: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    context: Context | None = None,
) -> str:
    """Try `trials` settings of a model, those of an earlier call counted; returns the table.

    Parameters
    ----------
    space:
        `{setting: [choices]}`, or a range `(low, high)` or `(low, high, "log")`; it comes on top
        of the one in the model's file.
    settings, protocol:
        What all trials have in common: keywords of `fit` and of the task's `load`.
    seed:
        Of every training, and of the first settings that are tried.
    runs:
        The journal lies in its folder `searches`.
    out:
        Folder for the table, `TASK-DATASET-MODEL-search.md`, its journal, and the pictures in a
        folder of the same name.

    Raises
    ------
    ValueError
        Nothing varies, the model is an oracle, the metric has no value on validation, or no trial
        came to its end.
    ModuleNotFoundError
        Optuna is not installed.
    """
    if trials < 1:
        raise ValueError(f"trials must be at least 1; got {trials}")
    asked = cells.question(
        task,
        model,
        dataset=dataset,
        settings=settings,
        protocol=protocol,
        runs=runs,
        context=context,
    )
    wanted = searched(asked, space or {}, seed)
    journal = asked.runs / "searches" / f"{stem(asked)}-search.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    return told(tried(wanted, journal, trials), journal, out)


def told(study: Any, journal: Path, out: str | os.PathLike[str] | None) -> str:
    """The table; with `out` it is kept there, with the journal and the pictures."""
    text = table(study)
    if out:
        keep(study, text, journal, Path(out))
    return text


def stem(asked: Question) -> str:
    """TASK-DATASET-MODEL, the beginning of file names."""
    return f"{asked.task.name}-{asked.dataset}-{registry.name_of(Path(asked.model))}"


def searched(asked: Question, space: Space, seed: int) -> Search:
    """The search that was asked for. Raises ValueError as `search`."""
    model: Model = registry.load("model", asked.model).object
    if model.oracle:
        raise ValueError(f"{asked.model} is an oracle: it is given the answer, nothing is learned")
    settings = dict(model.presets.get(asked.dataset, {})) | dict(asked.settings)
    whole = {k: v for k, v in {**model.space, **space}.items() if k not in asked.settings}
    check(whole, model)
    splits = cells.loaded(asked, 0 if asked.folds else None)
    train, validation = cells.without_metrics(splits.train), splits.validation
    metrics = scoring.bind(asked.task.object, validation)
    return Search(asked, model, train, replace(validation, metrics=metrics), whole, settings, seed)


def check(space: Space, model: Model) -> None:
    """Raise ValueError, TypeError or UnknownName for a space that cannot be searched."""
    for name, values in space.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not len(values):
            raise ValueError(
                f"space of '{name}' must be a list of choices or a range (low, high) or "
                f"(low, high, 'log'); got {values!r}"
            )
        for value in values[:2] if isinstance(values, tuple) else values:
            resolve(model.fit, {name: value}, "space of", skip=NO_SETTINGS)
        if isinstance(values, tuple) and not _is_range(values):
            raise ValueError(
                f"range of '{name}' must be (low, high) with low < high, or (low, high, 'log') "
                f"with 0 < low < high; got {values}"
            )
    if not varied(space):
        raise ValueError(
            "nothing varies: the model's file has no `space`, so name one, for example "
            "--space 'width=[16, 32]' --space 'learning_rate=(1e-4, 1e-2, \"log\")'"
        )


def _is_range(values: tuple[Any, ...]) -> bool:
    low_high, rest = values[:2], values[2:]
    numbers = len(low_high) == 2 and all(type(v) in (int, float) for v in low_high)
    ordered = numbers and low_high[0] < low_high[1]
    return ordered and (rest == () or (rest == ("log",) and low_high[0] > 0))


def varied(space: Space) -> list[str]:
    """What has more than one choice."""
    return [name for name, values in space.items() if len(values) > 1]


def suggested(trial: Any, space: Space) -> dict[str, Any]:
    """The settings of a trial."""
    found: dict[str, Any] = {}
    for name, values in space.items():
        if not isinstance(values, tuple):
            found[name] = trial.suggest_categorical(name, list(values))
            continue
        low, high, log = values[0], values[1], values[2:] == ("log",)
        whole = isinstance(low, int) and isinstance(high, int)
        suggest = trial.suggest_int if whole else trial.suggest_float
        found[name] = suggest(name, low, high, log=log)
    return found


def tried(wanted: Search, journal: Path, trials: int) -> Any:
    """The study of Optuna after so many trials have ended, old ones counted."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    task: Task = wanted.asked.task.object
    with quiet():
        study = optuna.create_study(
            storage=stored(journal),
            study_name=wanted.name,
            load_if_exists=True,
            direction=DIRECTION[task.metrics[0].best],
        )
        done = len(ended(study))
        # A sampler draws from its seed anew in each process: it must not repeat what is there.
        study.sampler = optuna.samplers.TPESampler(seed=wanted.seed * 100_003 + done)
        for name, value in described(wanted).items():
            study.set_user_attr(name, value)
        study.optimize(wanted, n_trials=max(trials - done, 0), catch=BAD_SETTINGS)
        if not any(trial.value is not None for trial in ended(study)):
            raise ValueError(f"none of {len(ended(study))} trials came to its end; see above")
    return study


def described(wanted: Search) -> dict[str, Any]:
    """What table and pictures tell of a search besides its trials."""
    asked = wanted.asked
    fixed = {name: values[0] for name, values in wanted.space.items() if len(values) == 1}
    left = {k: v for k, v in wanted.settings.items() if k not in wanted.space}
    return {
        "title": f"{registry.name_of(Path(asked.model))} on {asked.task.name}, {asked.dataset}",
        "metric": asked.task.object.metrics[0].name,
        "varied": varied(wanted.space),
        "settings": {**left, **fixed},
        "protocol": dict(asked.protocol),
    }


@contextmanager
def quiet() -> Iterator[None]:
    """What Optuna calls experimental has been there for years."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="optuna", category=Warning)
        warnings.filterwarnings("ignore", message=".*experimental")
        yield


def stored(journal: Path) -> Any:
    """The storage of trials in a journal."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(journal)))


def latest(journal: Path) -> Any:
    """The search that a journal holds, the last where there are several."""
    import optuna

    with quiet():
        kept = stored(journal)
        return optuna.load_study(study_name=kept.get_all_studies()[-1].study_name, storage=kept)


def ended(study: Any) -> list[Any]:
    """Trials that have come to their end, also those that failed; not one that was killed."""
    return [trial for trial in study.trials if trial.state.is_finished()]


def table(study: Any) -> str:
    """Markdown: a row a trial, the best first, and what all of them had in common."""
    about, sign = study.user_attrs, 1 if study.direction.name == "MINIMIZE" else -1
    names = about["varied"]
    failed = float("inf")
    order = sorted(ended(study), key=lambda t: failed if t.value is None else sign * t.value)
    lines = [
        f"### Search of {about['title']}\n",
        "| " + " | ".join([f"{about['metric']} (validation)", *names, "CPU s", "trial"]) + " |",
        "| --- " * (len(names) + 3) + "|",
    ]
    for trial in order:
        value = "failed" if trial.value is None else f"{trial.value:.4g}"
        settings = [_short(trial.params.get(name, "")) for name in names]
        seconds = _short(trial.user_attrs.get("train_cpu_s", ""))
        lines.append("| " + " | ".join([value, *settings, seconds, str(trial.number)]) + " |")
    common = [f"{k}={v}" for part in ("protocol", "settings") for k, v in about[part].items()]
    return "\n".join([*lines, f"\nAll trials: {', '.join(common)}.\n"])


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def pictures(study: Any) -> dict[str, Any]:
    """Parallel coordinates of all trials, and contours of each pair of settings, as figures."""
    import matplotlib.pyplot as plt
    from optuna.visualization import matplotlib as drawn

    from physbench.leaderboard.site import figures

    names, found = study.user_attrs["varied"], {}
    with quiet(), figures.style(), plt.rc_context(STYLE):
        first, second = TITLES
        chosen = {first: drawn.plot_parallel_coordinate}
        if len(names) > 1:
            chosen[second] = drawn.plot_contour
        for title, draw in chosen.items():
            axes = draw(study, params=names, target_name=study.user_attrs["metric"])
            figure = getattr(axes, "flat", [axes])[0].figure
            figure.set_size_inches(*((9, 5) if len(names) < 3 else (11, 8)))
            plt.close(figure)
            found[title] = figure
    return found


def keep(study: Any, text: str, journal: Path, out: Path) -> None:
    """Table, journal and pictures into a folder."""
    records.atomic(out / f"{journal.stem}.md", text)
    if (out / journal.name).resolve() != journal.resolve():
        shutil.copyfile(journal, out / journal.name)
    folder = out / journal.stem
    folder.mkdir(parents=True, exist_ok=True)
    for title, figure in pictures(study).items():
        figure.savefig(folder / f"{title.lower().replace(' ', '-')}.png", dpi=90)
