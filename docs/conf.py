"""How Sphinx builds the manual; scripts/build_docs.py calls it."""

from importlib.metadata import version as version_of

from dwindle.web.page import SITE

project = "dwindle"
version = release = version_of("dwindle")
project_copyright = "the authors of dwindle, Apache-2.0"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

html_theme = "furo"
html_title = f"dwindle {release}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_js_files = ["manual.js"]
html_favicon = str(SITE / "icon.svg")
# The plain copies that llms.txt lists are the sources.
html_copy_source = html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # a link to a heading, as on the page of the repository

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# Types of the standard library and of other libraries: their manuals are elsewhere,
# and a build needs no network. Types of inner floors are named, not described.
nitpick_ignore_regex = [("py:.*", r"(?!dwindle).*"), ("py:.*", r"dwindle\.\w+\..*")]
