"""Sphinx settings: pages in Markdown, and the Python reference from docstrings.

Nothing that is documented imports TensorFlow, so a build takes seconds and needs none.
"""

from automl_flowers import __version__

project = "automl-flowers"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "automl-flowers"
html_show_copyright = False
html_copy_source = False

myst_heading_anchors = 3  # so that `page.md#heading` links, as on GitHub

default_role = "code"  # a docstring's `name` is code
autodoc_member_order = "bysource"
maximum_signature_line_length = 88  # longer ones get a line a parameter
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
