"""The card of a dataset in the Croissant format: for search engines and loaders."""

from __future__ import annotations

from typing import Any

from benchmarks import __version__, registry
from benchmarks.reports.citing import PUBLISHED
from physbench.datasets import Dataset, description
from physbench.leaderboard import bibtex
from physbench.tasks import Task

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty",
            "fileObject", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key",
            "md5", "parentField", "path", "recordSet", "references", "regex", "repeated",
            "replace", "samplingRate", "separator", "source", "subField", "transform",
        )
    },
}  # fmt: skip


def croissant(name: str) -> dict[str, Any]:
    """The card of a dataset as Croissant 1.0 (JSON-LD), for search engines and loaders.

    Its record sets say what a model gets of it, field by field with shape and unit, and what the
    metrics compare it with: the files themselves are arrays that Croissant cannot extract from.
    """
    dataset: Dataset = registry.load("dataset", name).object
    files = [
        {
            "@type": "cr:FileObject",
            "@id": file.name,
            "name": file.name,
            "contentUrl": file.url or f"datasets/frozen/{file.name}",
            "contentSize": f"{file.bytes} B",
            "encodingFormat": "application/octet-stream",
            "sha256": file.sha256,
        }
        for file in dataset.files
    ]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": f"{dataset.summary}. {registry.docstring('dataset', name)}",
        "version": dataset.version if dataset.version.count(".") else f"{dataset.version}.0.0",
        "license": dataset.licence,
        "url": dataset.source,
        "datePublished": PUBLISHED,
        "citeAs": dataset.citation or bibtex.suite(__version__),
        "distribution": files,
        "recordSet": [_record_set(task) for task in registry.names("task") if _uses(task, name)],
    }


def _uses(task: str, dataset: str) -> bool:
    return dataset in registry.load("task", task).object.named


def _record_set(name: str) -> dict[str, Any]:
    """The fields of a task's inputs and predictions, as rows of a table of words."""
    task: Task = registry.load("task", name).object
    rows = [("input", *row) for row in (description(task.inputs) if task.inputs else [])]
    rows += [("prediction", f.name, f.shape, f.unit, f.meaning) for f in task.predicts]
    columns = ("part", "name", "shape", "unit", "meaning")
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"What a model of {name} gets and returns: {task.summary}",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": column,
                "dataType": "sc:Text",
            }
            for column in columns
        ],
        "data": [
            {f"{name}/{c}": value for c, value in zip(columns, row, strict=True)} for row in rows
        ],
    }
