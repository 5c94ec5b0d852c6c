"""The configuration of the documentation site: `sphinx-build -W docs build/site`."""

from cgbench import __version__

project, release, language = "cgbench", __version__, "en"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
exclude_patterns = ["*.py"]
html_theme = "furo"
html_title = f"cgbench {release}"
highlight_language = "none"  # blocks without a language are commands
default_role = "code"  # docstrings mark code by single backticks
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
