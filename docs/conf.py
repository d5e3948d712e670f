"""Sphinx's settings: which Markdown pages make the site, and how strictly. `python3 dev.py docs` builds it.

The source folder is the root of the workspace, so that the links between pages are the same here and on a code host.
What the site adds to the pages is in `_site/`; decision 0012 says why it is made this way.
"""

import sys
from pathlib import Path

from pygments.lexers.data import JsonLexer
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from _site import api, pages, style  # noqa: E402  # beside this file, which Sphinx runs as a script

project = "penstock"
author = "the penstock authors"
release = pages.version()
html_title = f"penstock {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
include_patterns = pages.PATTERNS
exclude_patterns = [".*", "**/.*", "**/_build"]
root_doc = "index"

# A link that leads nowhere and a name that does not exist end the build. No page have: names of other projects, type
# variables, and what signatures mention out of modules that are not public.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!penstock).*"),
    ("py:.*", r".*\.([A-Z]|_\w+)"),
    ("py:class", r"penstock(_\w+)?\.(?!contracts\.|errors\.|schema\.)\w+\..*"),
]
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

# Docstrings have Google's sections, and Markdown's backticks, which `_site` turns into what is wanted here.
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_static_path = ["_site/static"]
html_css_files = ["penstock.css"]
html_theme_options = {"light_css_variables": style.LIGHT, "dark_css_variables": style.DARK}
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False


def setup(app: Sphinx) -> None:
    """Have `_site` name the pages and finish their Markdown."""
    for field in PythonDomain.directives["class"].doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"  # as the docstrings have it
    app.add_lexer("jsonl", JsonLexer)
    app.connect("builder-inited", pages.name_pages)
    app.connect("source-read", pages.finish)
    app.connect("autodoc-process-docstring", api.finish_docstring, priority=400)
