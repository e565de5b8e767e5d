"""Settings of the site: ``python -m sphinx -W docs docs/_build/html``."""

import os
import re
import warnings

from sklearn_memorability import __version__

project = "sklearn-memorability"
author = "The sklearn-memorability developers"
copyright = "The sklearn-memorability developers, BSD-3-Clause"  # noqa: A001 - Sphinx's name
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "README.md"]
templates_path = ["_templates"]
nitpicky = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autosummary_generate = True
# Inherited members of scikit-learn's and skorch's bases would bury our own.
numpydoc_show_class_members = False
autodoc_default_options = {"members": True, "inherited-members": False}
autodoc_typehints = "none"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "reset_argv": lambda conf, script: [],
    "capture_repr": (),
    "min_reported_time": 1,
}

html_theme = "pydata_sphinx_theme"
html_title = project
html_show_sourcelink = False
# Only the reference ("api") and the examples ("auto_examples") have pages below them.
html_sidebars = {"[!a]*": []}
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Docstrings that come from scikit-learn refer to its own glossary and guide.
suppress_warnings = ["config.cache", "ref.term", "ref.ref"]

# Progress bars on a page are noise, and one process more than enough.
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore", message=".*FigureCanvasAgg is non-interactive.*")


def _escape_fitted(app, what, name, obj, options, lines):
    """Keep a fitted attribute in a shape, as in (n_samples, n_classes_), from being a link."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[i] = re.sub(r"(?<![`\w])(n_[a-z_]+)_(?=[\s,)])", r"\1\\_", line)


def setup(app):
    """Sphinx calls this."""
    # After numpydoc, whose priority is the usual 500.
    app.connect("autodoc-process-docstring", _escape_fitted, priority=900)
