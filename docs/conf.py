"""Settings of the site: ``python -m sphinx -W docs docs/_build/html``."""

import inspect
import os
import pydoc
import re
import sys
import warnings
from importlib import import_module
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx_gallery.sorting import ExplicitOrder

import sklearn_memorability
from sklearn_memorability import __version__

# On Read the Docs, or anywhere with a network: links into other projects' documents.
ONLINE = "READTHEDOCS" in os.environ or "DOCS_ONLINE" in os.environ
REPOSITORY = "https://github.com/sklearn-memorability/sklearn-memorability"
SITE = "https://sklearn-memorability.readthedocs.io/en"
COMMIT = os.environ.get("READTHEDOCS_GIT_COMMIT_HASH", "main")

project = "sklearn-memorability"
author = "The sklearn-memorability developers"
copyright = "The sklearn-memorability developers, BSD-3-Clause"  # noqa: A001 - Sphinx's name
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.linkcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinxext.opengraph",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "README.md"]
templates_path = ["_templates"]

nitpicky = True
nitpick_ignore_regex = [
    # Fitted attributes of a base class: numpydoc links them, and the class's own page has them.
    ("py:obj", r"(classes|device|n_features_in)_"),
]
nitpick_ignore = [
    # Words of scikit-learn's guide in docstrings that come from there.
    ("std:ref", "metadata_routing"),
    ("std:term", "fit"),
    ("std:term", "meta-estimator"),
]
OTHERS = {
    "PIL": "https://pillow.readthedocs.io/en/stable",
    "joblib": "https://joblib.readthedocs.io/en/stable",
    "matplotlib": "https://matplotlib.org/stable",
    "numpy": "https://numpy.org/doc/stable",
    "pandas": "https://pandas.pydata.org/docs",
    "python": "https://docs.python.org/3",
    "scipy": "https://docs.scipy.org/doc/scipy",
    "sklearn": "https://scikit-learn.org/stable",
    "skops": "https://skops.readthedocs.io/en/stable",
    "skorch": "https://skorch.readthedocs.io/en/stable",
    "torch": "https://docs.pytorch.org/docs/stable",
}
intersphinx_mapping = {name: (url, None) for name, url in OTHERS.items()} if ONLINE else {}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# The page of a room lists its __all__ (_templates/autosummary/room.rst).
autosummary_ignore_module_all = False
autosummary_imported_members = True
# Inherited members of scikit-learn's and skorch's bases would bury our own.
numpydoc_show_class_members = False
autodoc_default_options = {"members": True, "inherited-members": False}
autodoc_typehints = "none"

# In the order in which they are of use. An example that is missing here is an error.
EXAMPLES = [
    "plot_quickstart.py",
    "plot_why.py",
    "plot_image_grid.py",
    "plot_results.py",
    "plot_conformal.py",
    "plot_captions.py",
    "dask_features.py",
    "ray_data_features.py",
]
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": ExplicitOrder(EXAMPLES),
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "backreferences_dir": "api/backreferences",
    "doc_module": ("sklearn_memorability",),
    "reference_url": {"sklearn_memorability": None},
    "capture_repr": (),
    "min_reported_time": 1,
}

html_theme = "pydata_sphinx_theme"
html_title = project
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", f"{SITE}/latest/")
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
PAGES = [path.stem for path in Path(__file__).parent.glob("*.md")]
html_sidebars = {page: [] for page in ("index", "quick_start", "changelog", "contributing")}
html_context = {
    "github_user": REPOSITORY.split("/")[-2],
    "github_repo": REPOSITORY.split("/")[-1],
    "github_version": "main",
    "doc_path": "docs",
}
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
    "switcher": {
        # The newest list, so that pages of old versions know of new ones.
        "json_url": f"{SITE}/latest/_static/switcher.json" if ONLINE else "_static/switcher.json",
        "version_match": os.environ.get("READTHEDOCS_VERSION", "latest"),
    },
    "check_switcher": ONLINE,
    "github_url": REPOSITORY,
    "use_edit_page_button": True,
    # Pages in folders are made by the build, and can't be edited where they lie.
    "secondary_sidebar_items": {
        **{page: ["page-toc", "edit-this-page"] for page in PAGES},
        "*/*": ["page-toc"],
    },
    "show_prev_next": False,
    "show_toc_level": 2,  # the methods of a class
    "footer_start": ["copyright"],
    "footer_end": [],
}
ogp_site_url = html_baseurl
ogp_image = "_images/quickstart.jpg"  # the quick start has it
ogp_social_cards = {"enable": False}

linkcheck_ignore = [rf"{REPOSITORY}/(blob|edit)/"]  # made of the files that the build has read
linkcheck_anchors = False  # pages that scripts write have none in their source
linkcheck_timeout = 20
linkcheck_retries = 2

# Progress bars on a page are noise, and one process more than enough.
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore", message=".*FigureCanvasAgg is non-interactive.*")

# Each public name, with and without its room.
ROOMS = [
    name
    for name in sklearn_memorability.__all__
    if inspect.ismodule(getattr(sklearn_memorability, name))
]
NAMES = {
    short: f"sklearn_memorability.{room}.{name}"
    for room in ROOMS
    for name in getattr(sklearn_memorability, room).__all__
    for short in (name, f"{room}.{name}")
}

# What search engines show of a page of the reference: the first sentence of the docstring.
autosummary_context = {
    "summaries": {
        name: (inspect.getdoc(pydoc.locate(name)) or name).partition("\n")[0].replace("`", "")
        for name in NAMES.values()
    }
}


def linkcode_resolve(domain, info):
    """Return the address of the lines that define a name, in the state that is documented."""
    thing = import_module(info["module"])
    for part in info["fullname"].split("."):
        thing = getattr(thing, part, None)
    thing = inspect.unwrap(getattr(thing, "fget", thing))
    root = Path(sklearn_memorability.__file__).parents[1]
    try:
        path = Path(inspect.getsourcefile(thing)).relative_to(root)
        lines, first = inspect.getsourcelines(thing)
    except (TypeError, ValueError):  # no function of ours
        return None
    return f"{REPOSITORY}/blob/{COMMIT}/{path.as_posix()}#L{first}-L{first + len(lines) - 1}"


def _escape_fitted(app, what, name, obj, options, lines):
    """Keep a fitted attribute in a shape, as in (n_samples, n_classes_), from being a link."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[i] = re.sub(r"(?<![`\w])(n_[a-z_]+)_(?=[\s,)])", r"\1\\_", line)


def _describe_scorer(app, what, name, obj, options, lines):
    """Say what the one public name is that is an object, so has no docstring of its own."""
    if name.endswith(".spearman_scorer"):
        lines[:] = [":func:`spearman_score` as a scorer, for ``scoring=`` and for (model, X, y)."]


def _take_foreign(app, env, node, contnode):
    """Leave a name of another project unlinked if it can be imported, where no inventory has it."""
    package = node["reftarget"].split(".")[0]
    if package in OTHERS or package in sys.stdlib_module_names:
        return contnode if pydoc.locate(node["reftarget"]) else None
    return None


def _link_names(app, doctree):
    """Link public names in the text of a guide, as in `ImageFeatures(...)`, to the reference."""
    if "/" in app.env.docname:
        return
    for literal in list(doctree.findall(nodes.literal)):
        target = NAMES.get(literal.astext().split("(")[0])
        if target and not isinstance(literal.parent, nodes.reference | pending_xref):
            link = {"refdomain": "py", "reftype": "obj", "reftarget": target}
            literal.replace_self(pending_xref("", literal.deepcopy(), **link))


def setup(app):
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", _describe_scorer)
    app.connect("doctree-read", _link_names)
    app.connect("missing-reference", _take_foreign, priority=900)  # after intersphinx
    # After numpydoc, whose priority is the usual 500.
    app.connect("autodoc-process-docstring", _escape_fitted, priority=900)
