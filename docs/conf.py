# SPDX-License-Identifier: MIT
# How Sphinx makes the handbook. Its pages are the Markdown files of docs/ and the labs' handouts.
# Their root is the project's root, so a link works on the site and in the sources.
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "site"))

project = "Cinnabar"
extensions = ["myst_parser", "excerpts", "machine", "theme"]
root_doc = "docs/index"
include_patterns = ["README.md", "docs/*.md", "labs/*/handout.md"]
exclude_patterns = ["build", ".git"]
myst_heading_anchors = 3
highlight_language = "none"

html_theme = "furo"
html_title = "Cinnabar"
html_show_sourcelink = False
html_show_copyright = False
html_copy_source = False
html_static_path = ["site/code.css"]
html_css_files = ["code.css"]
html_extra_path = ["site/index.html"]
