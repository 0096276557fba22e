"""Sphinx: the pages of this folder as a site that loads nothing from elsewhere. `make docs` builds it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for generate.py beside this file

project = "CycSeq"
author = "The CycSeq founders"
project_copyright = "2026, The CycSeq founders"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "generate",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]

html_theme = "furo"
html_title = "CycSeq"
html_math_renderer = "mathml"  # generate.py; the usual one fetches a script from elsewhere
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["cycseq.css"]
pygments_style = "sas"  # text of enough contrast on light and on dark
pygments_dark_style = "github-dark"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"  # a notebook is run again when its code has changed
nb_execution_cache_path = str(Path(__file__).parent / "_build" / "notebooks")
nb_execution_in_temp = True  # nothing that lies beside it helps a notebook
nb_execution_timeout = 300  # of one cell, on a busy machine
nb_execution_raise_on_error = True
nb_ipywidgets_js = {}
nb_merge_streams = True

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autosummary_generate = True
napoleon_google_docstring = False
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
