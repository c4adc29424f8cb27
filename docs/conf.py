"""How is the site made of these pages? `make docs`."""

import re
from typing import Any

import dfm

project = "dfm"
author = "the dfm contributors"
project_copyright = author
release = version = dfm.__version__
html_title = f"dfm {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# Links to headings, as code hosts make them too.
myst_heading_anchors = 4
# A picture in words, and an ellipsis in code, need no colours.
suppress_warnings = ["misc.highlighting_failure"]

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "imported-members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_copy_source = False
html_show_sphinx = False

# Pages beside the folder, which code hosts show there.
AROUND = {"../SECURITY.md": "reporting.md", "../CHANGELOG.md": "changelog.md"}


def lead_to_pages(app: Any, page: str, text: list[str]) -> None:
    for outside, inside in AROUND.items():
        text[0] = text[0].replace(f"]({outside})", f"]({inside})")


def read_as_markdown(app: Any, what: str, name: str, it: object, options: Any, lines: list[str]) -> None:
    # reStructuredText ends code only where a word ends: `Name`s.
    lines[:] = [re.sub(r"`([^`]+)`(?=(\w)?)", lambda of: f"``{of[1]}``" + "\\ " * bool(of[2]), one) for one in lines]


def setup(app: Any) -> None:
    app.connect("source-read", lead_to_pages)
    # Before what takes docstrings apart, which knows this code but not that.
    app.connect("autodoc-process-docstring", read_as_markdown, priority=400)
