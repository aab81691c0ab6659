"""Sphinx: the documentation site, built by `make docs` with warnings as errors."""

import runpy
from pathlib import Path

# The page of the history is written anew from the benchmarks that were kept and the records.
HERE = Path(__file__).parent
HISTORY = runpy.run_path(str(HERE.parent / "tests" / "performance" / "history.py"))
(HERE / "history.md").write_text(HISTORY["page"](), encoding="utf-8")
HISTORY["picture"](HERE)

project = "Physbench"
author = "The Physbench authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "Physbench"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = True
default_role = "code"
suppress_warnings = ["myst.header", "myst.xref_missing"]
