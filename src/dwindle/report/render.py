"""Specifications to SVG that may stand in a page, and to PNG, by vl-convert."""

import re
from types import ModuleType
from typing import ClassVar
from xml.etree import ElementTree as ET

from dwindle.errors import MissingLibraryError
from dwindle.report.themes import LIGHT, NOTEBOOK, Theme
from dwindle.report.vega import Spec
from dwindle.show import Shown

_SVG = "http://www.w3.org/2000/svg"
# What the converter writes for pages with scripts, or that the page's policy forbids.
_NEEDLESS = {
    *("class", "style", "version", "display", "pointer-events"),
    *("role", "aria-roledescription"),
}
_LINK = re.compile(r"url\(#([^)]*)\)")


class NotebookFigure:
    """What is drawn in a notebook; ids inside the figure start with its ``name``."""

    name: ClassVar[str]

    def figure(self, theme: Theme) -> Spec:
        """Return it as a Vega-Lite specification."""
        raise NotImplementedError

    def svg(self, alt: str) -> str:
        """Return the figure for a notebook as inline SVG, described by ``alt``."""
        return svg(self.figure(NOTEBOOK), name=self.name, alt=alt)


class ShownWithFigure(Shown):
    """What has a figure above its text in a notebook."""

    @property
    def figure(self) -> NotebookFigure:
        """What is drawn."""
        raise NotImplementedError

    @property
    def figure_text(self) -> str:
        """What the figure shows, for those who cannot see it."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        # A figure is no part of a text; a notebook without its library has the text.
        try:
            return self.figure.svg(self.figure_text) + super()._repr_html_()
        except MissingLibraryError:
            return super()._repr_html_()


def svg(spec: Spec, *, name: str, alt: str) -> str:
    """Return a figure as inline SVG with text as text, described by ``alt``.

    Ids inside of it start with its ``name``, which is unique in the page.
    """
    # No base URL is allowed: a specification cannot make the converter load anything.
    drawn: str = _converter().vegalite_to_svg(spec, allowed_base_urls=[])
    return inline_svg(drawn, name=name, alt=alt)


def png(spec: Spec, *, scale: float = 2.0) -> bytes:
    """Return a figure as a PNG picture on paper, ``scale`` pixels per unit.

    Without a background it could not be read in a dark page.
    """
    framed = {"background": LIGHT.paper, **spec}
    picture: bytes = _converter().vegalite_to_png(
        framed, scale=scale, allowed_base_urls=[]
    )
    return picture


def _converter() -> ModuleType:
    try:
        import vl_convert
    except ImportError:
        raise MissingLibraryError(
            library="vl-convert-python",
            needed_for="Drawing a figure",
            extra="report",
        ) from None
    module: ModuleType = vl_convert
    return module


def inline_svg(drawn: str, *, name: str, alt: str) -> str:
    """Return a drawing of our converter for use in a page: its ids its own, described.

    What names of a study are in it stand escaped: the converter writes text, never
    elements or attributes, and the page's policy runs nothing.
    """
    root = ET.fromstring(drawn)  # noqa: S314 - drawn by our own converter just now
    # The converter counts clip paths over its whole life: two figures of a page would
    # clash, and equal input would give other bytes.
    old = [each.attrib["id"] for each in root.iter() if "id" in each.attrib]
    names = {each: f"{name}-{i}" for i, each in enumerate(old)}
    for element in root.iter():
        for key in _NEEDLESS & set(element.attrib):
            del element.attrib[key]
        label = element.attrib.pop("aria-label", None)
        if label is not None:
            # A browser shows it under the pointer, without any script.
            ET.SubElement(element, f"{{{_SVG}}}title").text = label
        if "id" in element.attrib:
            element.attrib["id"] = names[element.attrib["id"]]
        found = _LINK.fullmatch(element.attrib.get("clip-path", ""))
        if found and found[1] in names:
            element.attrib["clip-path"] = f"url(#{names[found[1]]})"
    # One picture with one description: its parts mean nothing to a screen reader.
    root.set("role", "img")
    root.set("aria-label", alt)
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode").replace(f' xmlns="{_SVG}"', "", 1)
