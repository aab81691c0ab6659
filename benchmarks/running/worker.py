"""What runs in the model's process: import, fit, predict, store; every step said at once.

It holds train, validation, the metrics on validation and the test inputs. Test targets are not in
it, unless the model is an oracle. No descriptor but the three standard ones is open while the
model's code runs; answers go into a file that is opened by path for each line.
"""

from __future__ import annotations

import faulthandler
import hashlib
import inspect
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import extras, registry, sources
from benchmarks.running import (
    environment,
    exchange,
    measure,
    reading,
    scoring,
    storing,
    tracking_wandb,
)
from benchmarks.running.settings import NO_SETTINGS, resolve
from physbench.datasets.common.streaming import Streamed
from physbench.leaderboard import predictions as stored
from physbench.leaderboard import record as records
from physbench.models import Context, Model
from physbench.tasks import Task

TEXT = 2000  # characters of a message
FRAMES = 12  # of a traceback


def main(request: dict[str, Any]) -> None:
    """Do what was asked for and end; never returns."""
    say = exchange.Lines(request["status"], request["nonce"])
    stage = ["import"]
    before = set(sys.modules)
    try:
        _alone(request)
        reading.watch()
        model: Model = registry.load("model", request["model"]).object
        say("card", loaded=loaded(before), **card(model, request))
        job = exchange.receive(request["job"])
        with tracking_wandb.tracked(*job["tracking"]):
            _seed(model, request, job, say, stage)
        apart = [str(place) for place in (job["runs"], job["context"]["checkpoints"]) if place]
        late = loaded(before) | reading.found(apart)
        say("end", late=late, **_machine(job["context"]["threads"]))
    except BaseException as error:  # noqa: BLE001 - a model's code raises anything
        say("failure", stage=stage[0], **told(error))
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue
        os._exit(0)


def _alone(request: dict[str, Any]) -> None:
    """Standard descriptors of our own and no other, the caller's folder, paths and environment."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    empty = os.open(os.devnull, os.O_RDONLY)
    output = os.open(request["output"], os.O_WRONLY | os.O_APPEND)
    for source, target in ((empty, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    sys.path[:] = request["path"]
    faulthandler.enable(sys.stderr)
    faulthandler.register(signal.SIGUSR1, sys.stderr)
    limit_memory(request["memory"])
    # Ours are read-only; torch warns of each, and what it writes is a private copy.
    warnings.filterwarnings("ignore", message="The given NumPy array is not writ")


def limit_memory(megabytes: int | None) -> None:
    """Let the process have at most so much memory, beyond what it maps without using it.

    Libraries reserve far more than they touch, so the limit of the kernel, which counts what is
    mapped, is set above the resident size by what is mapped and not resident now.
    """
    if megabytes is None or sys.platform != "linux":
        return
    import resource

    status = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    mapped, resident = (int(status[name].split()[0]) // 1024 for name in ("VmData", "VmRSS"))
    limit = max(megabytes + mapped - resident, mapped) * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def card(model: Model, request: Mapping[str, Any]) -> dict[str, Any]:
    """What the judge needs to know of a model without running it; all of it plain values."""
    return {
        "tasks": list(model.tasks),
        "reference": str(model.reference),
        "role": model.role,
        "deterministic": bool(model.deterministic),
        "saves": model.save is not None and model.load is not None,
        "settings": _settings(model, request),
        "device": environment.accelerator(request["libraries"]),
    }


def _settings(model: Model, request: Mapping[str, Any]) -> dict[str, Any]:
    """The whole configuration, or under `refused` why there is none."""
    given = dict(model.presets.get(request["dataset"], {})) | dict(request["settings"])
    name = Path(request["model"]).stem
    try:
        found = resolve(model.fit, given, f"setting of {name}", skip=NO_SETTINGS)
        records.canonical(found)
    except (TypeError, ValueError) as error:
        return {"refused": type(error).__name__, "message": str(error)}
    return {"found": found}


def loaded(before: set[str]) -> dict[str, str]:
    """sha256 of the file of every module of ours and the user's that the model has imported."""
    modules = [module for name, module in sys.modules.copy().items() if name not in before]
    files = {getattr(module, "__file__", None) for module in modules}
    return {
        str(path): hashlib.sha256(content).hexdigest()
        for path, content in sources.taken.items()
        if str(path) in files
    }


def _seed(
    model: Model, request: Mapping[str, Any], job: dict[str, Any], say: Any, stage: list[str]
) -> None:
    """Fit, or take the weights that another process has fitted; predict and store."""
    task: Task = registry.load("task", request["task"]).object
    context = Context(**job["context"])
    with environment.seeded(job["seed"], context.threads):
        _enter("fit", say, stage)
        if job["weights"] is None:
            fitted = _fitted(task, model, job, context, say)
        else:
            assert model.load is not None
            fitted = model.load(Path(job["weights"]))
        _enter("predict", say, stage)
        seen = (job["inputs"], *((job["targets"],) if model.oracle else ()))
        with measure.measured("predict", len(job["inputs"]), say):
            predictions = predicted(task, model, fitted, *seen)
        _enter("prepare", say, stage)
        _store(task, request, job, predictions, say)
        if job["weights"] is not None:
            return
        if model.save:
            _enter("write", say, stage)
            _keep_weights(model, fitted, job, say)
        _enter("predict", say, stage)
        say("parameters", count=_count(model, fitted))
        if not model.oracle:
            say("latency", **measure.latency(model, fitted, job["inputs"]))


def _fitted(task: Task, model: Model, job: dict[str, Any], context: Context, say: Any) -> Any:
    validation = job["validation"]
    validation = replace(validation, metrics=scoring.bind(task, validation))
    given = {"seed": job["seed"], **job["settings"]}
    if "context" in inspect.signature(model.fit).parameters:
        given["context"] = context
    with measure.measured("train", len(job["train"]), say):
        fitted = model.fit(job["train"], validation, **given)
    _check_precision(context)
    return fitted


def _check_precision(context: Context) -> None:
    """Raise ValueError where a precision was asked for that the model's own loop did not take."""
    if context.precision != "32" and "lightning.fabric" not in sys.modules:
        raise ValueError(
            f"precision {context.precision} is for networks of the shared training loop; this "
            "model did not use it. Leave --precision away"
        )


def predicted(task: Task, model: Model, fitted: Any, inputs: Any, *truth: Any) -> Any:
    """Predictions; of a streamed split unit by unit, each as short at once as it is stored."""
    if task.by_unit is None or not isinstance(inputs, Streamed):
        return model.predict(fitted, inputs, *truth)
    found = []
    for one in zip(inputs, *truth, strict=True):
        answer = model.predict(fitted, *([part] for part in one))
        if len(answer) != 1:
            raise ValueError(f"predict returned {len(answer)} predictions for one {task.unit}")
        found.append(task.by_unit.prepare(one[0], answer[0]))
    return found


def _machine(threads: int) -> dict[str, Any]:
    """Threads and GPU as they are; as they were asked for, where the model broke the question."""
    try:
        return environment.measured()
    except Exception:  # noqa: BLE001 - a model's code raises anything
        return {"threads": threads, "gpu": None}


def _enter(name: str, say: Any, stage: list[str]) -> None:
    stage[0] = name
    say("stage", name=name)


def _count(model: Model, fitted: Any) -> int | None:
    if model.parameters is None:
        return None
    count = model.parameters(fitted)
    if int(count) != count:
        raise TypeError(f"parameters(fitted) must return a whole number; got {count!r}")
    return int(count)


def _store(
    task: Task, request: Mapping[str, Any], job: dict[str, Any], predictions: Any, say: Any
) -> None:
    """Write predictions before anything else can fail; those that prepare refuses, as they are."""
    try:
        if hasattr(predictions, "__len__") and not isinstance(predictions, Mapping):
            check_length(len(predictions), len(job["inputs"]), request["model"], task.unit)
        arrays = stored.pack(task.prepare(job["inputs"], predictions))
    except Exception:
        try:
            say("predictions", **_write_predictions(stored.pack(predictions), job))
        except (TypeError, ValueError, OSError) as error:
            print(f"predictions could not be stored: {error}", file=sys.stderr)
        raise
    say("predictions", **_write_predictions(arrays, job))


def check_length(found: int, expected: int, model: str, unit: str) -> None:
    """Raise ValueError unless there is one prediction a unit."""
    if found != expected:
        raise ValueError(
            f"model '{Path(model).stem}' returned {found} predictions for {expected} "
            f"{unit}s of the test split; predict must return one a unit, in order"
        )


def _write_predictions(arrays: stored.Arrays, job: dict[str, Any]) -> dict[str, Any]:
    digest = stored.digest(arrays)
    name = f"{job['seed']}-{digest[:12]}.npz"
    path = storing.kept(job, name, lambda path: stored.write(path, arrays))
    return {"path": str(path), "file": name, "sha256": digest, "bytes": path.stat().st_size}


def _keep_weights(model: Model, fitted: Any, job: dict[str, Any], say: Any) -> None:
    """Weights that fit nowhere are lost, but neither the predictions nor their score."""
    try:
        say("weights", **_save_weights(model, fitted, job))
    except OSError as error:
        print(f"weights could not be stored: {error}", file=sys.stderr)


def _save_weights(model: Model, fitted: Any, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def write(path: Path) -> None:
        assert model.save is not None
        model.save(fitted, path)
        if not path.is_file():
            raise ValueError(f"save(fitted, path) wrote no file at the path it was given, {path}")
        found["sha256"] = records.digest_file(path)

    def name() -> str:
        return f"{job['seed']}-{found['sha256'][:12]}.weights"

    path = storing.kept(job, name, write)
    return {"path": str(path), "file": path.name, "bytes": path.stat().st_size, **found}


def told(error: BaseException) -> dict[str, Any]:
    """An exception in plain text, also one that cannot be printed."""
    return {
        "status": status_of(error),
        "type": _clean(type(error).__name__),
        "message": _text(error)[:TEXT],
        "traceback": _traceback(error),
    }


def _text(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException as second:  # noqa: BLE001 - a model's code raises anything
        text = f"(its text cannot be printed: {type(second).__name__})"
    if isinstance(error, ModuleNotFoundError) and (advice := extras.advice(error.name)):
        text = f"{text}. {advice}"
    return _clean(text) or _clean(type(error).__name__)


def _clean(text: str) -> str:
    """Text that can be encoded: lone surrogates are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _traceback(error: BaseException) -> str:
    """The frames outside of the harness, innermost last: file, line, function, source."""
    frames = traceback.extract_tb(error.__traceback__)
    here = str(Path(__file__).parent)
    users = [frame for frame in frames if not frame.filename.startswith(here)]
    lines = [
        f"{Path(f.filename).name}:{f.lineno} in {f.name}" + (f": {f.line}" if f.line else "")
        for f in users[-FRAMES:]
    ]
    return _clean("\n".join(lines))[-TEXT:]


def status_of(error: BaseException) -> str:
    """The status that a record gets for an exception.

    >>> status_of(FloatingPointError("loss is NaN")), status_of(MemoryError())
    ('diverged', 'out_of_memory')
    """
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, FloatingPointError):
        return "diverged"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out_of_memory"
    text = _text(error) if isinstance(error, RuntimeError) else ""
    return "out_of_memory" if "alloc" in text and "memory" in text else "failed"
