"""How Sphinx makes the site from these pages. `make docs` builds it, strictly: a warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "src")]

import unmbox  # noqa: E402  # the one beside these pages

project = "unmbox"
version = release = unmbox.__version__
copyright = "the unmbox maintainers"  # noqa: A001  # Sphinx calls it so

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx", "site_reference"]
exclude_patterns = ["_build"]
needs_sphinx = "8.1"
nitpicky = True
smartquotes = False  # octets are quoted, too
suppress_warnings = ["myst.header"]  # a page that a person reads may go from ## to ####

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4  # the anchors that a code host gives its headings
# The docstrings speak of `names` as Markdown does.
default_role = "literal"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
# Names of other houses in signatures. Nothing is fetched: the site is built without a network.
intersphinx_mapping: dict[str, Any] = {}
nitpick_ignore_regex = [(r"py:.*", r"(?!unmbox\.[A-Za-z]+$).*")]

html_theme = "furo"
html_title = "unmbox"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = "pictures/mark.svg"
html_favicon = "pictures/mark.svg"
html_show_sphinx = False
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e63", "color-brand-content": "#0b6e63"},
    "dark_css_variables": {"color-brand-primary": "#5fd0c0", "color-brand-content": "#5fd0c0"},
}
