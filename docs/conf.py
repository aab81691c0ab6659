"""Sphinx: the documentation site, built by `make docs` with warnings as errors."""

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
