"""Sphinx configuration. The build needs no network: links to other projects' docs ask for one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import skopt_dl

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import solver_table  # noqa: E402

project = "skopt_dl"
author = "The skopt_dl developers"
copyright = author
version = release = skopt_dl.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "generated"]
suppress_warnings = ["config.cache"]
nitpicky = False

templates_path = ["_templates"]
autosummary_generate = [
    "api/index.rst",
    *[f"generated/{kind}_reference.rst" for kind in ("solver", "loss", "penalty", "activation")],
]
autodoc_typehints = "none"
numpydoc_show_class_members = False

if os.environ.get("SKOPT_DL_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "abort_on_example_error": True,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "default_thumb_file": None,
}

html_theme = "pydata_sphinx_theme"
html_title = "skopt_dl"
html_static_path = ["_static"]
html_show_sourcelink = False
html_theme_options = {
    "show_nav_level": 1,
    "navigation_depth": 2,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def skip_member(app, what, name, member, skip, options):
    """Leave out what a class inherits from scikit-learn or Python; those document it themselves."""
    module = getattr(member, "__module__", None)
    foreign = isinstance(module, str) and module.partition(".")[0] != "skopt_dl"
    builtin = getattr(member, "__objclass__", None) in (str, object)
    return True if foreign or builtin else None


def setup(app):
    app.connect("autodoc-skip-member", skip_member)


# The tables of solvers are written from the declarations at every build.
solver_table.write(HERE / "generated")
