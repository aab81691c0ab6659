"""Which cells there are, which are finished, and the judge of each that is not."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import registry
from benchmarks.running import cell as cells
from benchmarks.running import judging, processes, stages, storing
from benchmarks.running.cell import Cell, Question, Subject
from benchmarks.running.stages import Judge, Stop
from benchmarks.sweeping.local import Child, Job, described
from physbench.datasets import Splits
from physbench.models import Context

Key = tuple[str, str, str]


@dataclass
class Plan:
    """The cells of a sweep. Models are known by their cards; data are loaded once a board."""

    tasks: Sequence[str]
    models: Sequence[str]
    datasets: Sequence[str]
    seeds: Sequence[int]
    common: Mapping[str, Any]
    stop: Stop
    cells: list[tuple[Job, dict[str, Any] | None]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    questions: dict[Key, Question] = field(default_factory=dict)
    subjects: dict[Key, Subject] = field(default_factory=dict)
    _last: tuple[Any, Splits] | None = None
    _cell: tuple[Any, Cell] | None = None

    def make(self) -> None:
        """Plan every task; what cannot be planned is a problem and costs its own cells alone."""
        storing.sweep_all(storing.runs_root(self.common["runs"]))
        for task in self.tasks:
            if self.stop:
                return
            try:
                self._task(task)
            except Exception as error:  # noqa: BLE001 - a model's code raises anything
                self.problems.append(f"{task}: {type(error).__name__}: {error}")

    def _task(self, task: str) -> None:
        entry = registry.load("task", task)
        known = list(entry.object.named)
        chosen = [d for d in known if d in self.datasets] if self.datasets else known[:1]
        for dataset in chosen:
            for model in self.models or registry.models_of(entry.name):
                if self.stop:
                    return
                try:
                    self._cells((task, dataset, os.fspath(model)))
                except KeyboardInterrupt:
                    return
                except registry.UnknownName as error:
                    self.problems.append(str(error))
                except Exception as error:  # noqa: BLE001 - a model's code raises anything
                    self.problems.append(
                        f"{task} {dataset} {model}: {type(error).__name__}: {error}"
                    )

    def _cells(self, key: Key) -> None:
        task, dataset, model = key
        asked = cells.question(
            task,
            model,
            dataset=dataset,
            settings=self.common["settings"],
            runs=self.common["runs"],
            context=Context(threads=self.common["threads"]),
        )
        with Judge(asked, True, self.common["timeout"], self.stop, _nothing) as judge:
            subject = cells.subject(asked, judge.summon())
        if self.common["shards"] > 1:
            from benchmarks.sweeping import sharding

            sharding.check(asked.task, subject)
        self.questions[key], self.subjects[key] = asked, subject
        for seed in self.seeds[:1] if subject.card["deterministic"] else self.seeds:
            job = Job(task, model, dataset, seed, **self.common)
            done = None if self.common["again"] else self._done(key, seed)
            self.cells.append((job, done))

    def _done(self, key: Key, seed: int) -> dict[str, Any] | None:
        found = stages.found(self.cell(key, seed), seed)
        return described(found) if found else None

    def cell(self, key: Key, seed: int) -> Cell:
        """The cell of a seed, with its data; the last one is kept, since seeds share digests."""
        asked = self.questions[key]
        fold = asked.fold(seed)
        if self._cell is None or self._cell[0] != (key, fold):
            made = cells.cell(asked, self.subjects[key], self.splits(key, fold), fold)
            self._cell = (key, fold), made
        return self._cell[1]

    def splits(self, key: Key, fold: int | None) -> Splits:
        """The data of a board and fold; those of the last one are kept."""
        asked = self.questions[key]
        board = (key[:2], fold)
        if self._last is None or self._last[0] != board:
            self._last = None
            with self.stop.breakable():
                self._last = board, cells.loaded(asked, fold)
        return self._last[1]

    def judge(self, job: Job) -> Judge:
        """The judge of a cell, with the data in its hands."""
        key = (job.task, job.dataset, job.model)
        asked = self.questions[key]
        fold = asked.fold(job.seed)
        return Judge(
            asked,
            job.again,
            job.timeout,
            self.stop,
            _nothing,
            job.memory,
            splits={fold: self.splits(key, fold)},
            last=self.cell(key, job.seed),
            show=_nothing,
        )

    def lost(self, child: Child, status: int) -> dict[str, Any]:
        """The record of a cell whose judge died."""
        key = (child.job.task, child.job.dataset, child.job.model)
        outcome = judging.Outcome(self.cell(key, child.job.seed), child.job.seed, child.started)
        why = processes.exit_text(os.waitstatus_to_exitcode(status))
        outcome.fail("killed", "load", "Killed", f"the process of its judge ended with {why}")
        record, path = judging.write(outcome)
        return described(stages.Done(record, path))


def _nothing(text: str) -> None:
    """What a model prints in a sweep is shown in its record alone, where it fails."""
