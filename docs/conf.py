"""Settings of the documentation; `make docs` builds it with warnings as errors."""

import microplex

project = "microplex"
author = "The microplex developers"
release = microplex.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # NumPy docstrings state types together with shapes and units
napoleon_google_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"microplex {release}"
