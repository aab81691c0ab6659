"""A package that is not installed: which command brings it."""

from __future__ import annotations

import functools
import importlib.metadata
import re

# Modules whose distribution has another name.
DISTRIBUTIONS = {
    **{"acts": "pyacts", "ot": "POT", "sklearn": "scikit-learn", "yaml": "PyYAML"},
    **{"torch_geometric": "torch-geometric", "pytorch_lightning": "pytorch-lightning"},
    **{"distributed": "dask", "torch_ema": "torch-ema"},
}
# Their metadata ask for other versions of Python or NumPy than they need.
ALONE = {
    "schnetpack": "pip install --no-deps --ignore-requires-python schnetpack==2.2.0",
    "energyflow": "pip install --no-deps --ignore-requires-python energyflow==1.4.0",
}
POSIX = ("resource", "fcntl", "termios", "pwd", "grp")
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:.*?extra\s*==\s*[\"']([^\"']+)[\"'])?", re.DOTALL)


def advice(missing: str | None) -> str:
    """What to do about a module that cannot be imported, as a sentence.

    Empty where the project does not use it: the name of a user's own module may be anyone's on
    the index.

    >>> advice("acts")
    "Install it with: pip install 'physbench[acts]'"
    """
    module = (missing or "").partition(".")[0]
    if module in POSIX:
        return (
            "This verb starts and limits processes as POSIX systems do (Linux, macOS, or WSL on "
            "Windows); list, info, data, score, compare, board and cite work everywhere"
        )
    if module in ALONE:
        return f"Install it with: {ALONE[module]}"
    name = DISTRIBUTIONS.get(module, module)
    extra = _known().get(_normal(name))
    if extra is None:
        return ""
    what = f"'physbench[{extra}]'" if extra else name
    return f"Install it with: pip install {what}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@functools.cache
def _known() -> dict[str, str]:
    """The extra that brings each distribution, empty for the core, as the metadata say."""
    found: dict[str, str] = {}
    for line in importlib.metadata.requires("physbench") or []:
        match = REQUIREMENT.match(line)
        if match:
            found.setdefault(_normal(match[1]), match[2] or "")
    return found
