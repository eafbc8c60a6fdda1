"""Specifications to SVG and PNG by vl-convert, and SVG made safe to stand in a page."""

import re
from types import ModuleType
from xml.etree import ElementTree as ET

from dwindle.errors import MissingLibraryError, RefusedError
from dwindle.report.vega import Spec

_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = {"svg", "g", "path", "line", "rect", "text", "tspan", "defs", "clipPath"}
# Drawing attributes only: nothing that runs, links, loads or styles from outside.
_ATTRIBUTES = {
    "aria-hidden",
    "clip-path",
    "d",
    "dx",
    "dy",
    "fill",
    "fill-opacity",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "height",
    "id",
    "opacity",
    "rx",
    "ry",
    "stroke",
    "stroke-dasharray",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-miterlimit",
    "stroke-opacity",
    "stroke-width",
    "text-anchor",
    "transform",
    "viewBox",
    "width",
    "x",
    "x1",
    "x2",
    "y",
    "y1",
    "y2",
}
_LINK = re.compile(r"url\(#([^)]*)\)")
_ANY_URL = re.compile(r"url\((?!#)|javascript:|https?:", re.IGNORECASE)


def svg(spec: Spec, *, name: str, alt: str) -> str:
    """Return a figure as inline SVG with text as text.

    Args:
        spec: Vega-Lite specification.
        name: Unique in the page; ids inside the figure start with it.
        alt: What the figure shows, in words.

    Returns:
        An ``<svg>`` element of drawing elements only, equal for equal input.

    Raises:
        MissingLibraryError: If vl-convert is not installed.
        RefusedError: If the drawing holds anything but drawing elements.

    """
    # No base URL is allowed: a specification cannot make the converter load anything.
    drawn: str = _converter().vegalite_to_svg(spec, allowed_base_urls=[])
    return inline_svg(drawn, name=name, alt=alt)


def png(spec: Spec, *, scale: float = 2.0) -> bytes:
    """Return a figure as a PNG picture, ``scale`` pixels per unit.

    Raises:
        MissingLibraryError: If vl-convert is not installed.

    """
    picture: bytes = _converter().vegalite_to_png(
        spec, scale=scale, allowed_base_urls=[]
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
    """Return a drawing that may stand in a page: known parts, own ids, described."""
    root = ET.fromstring(drawn)  # noqa: S314 - drawn by our own converter just now
    _keep_drawing_only(root)
    _rename_ids(root, name)
    root.set("role", "img")
    root.set("aria-label", alt)
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode").replace(f' xmlns="{_SVG}"', "", 1)


def _keep_drawing_only(root: ET.Element) -> None:
    for element in root.iter():
        tag = element.tag.removeprefix(f"{{{_SVG}}}")
        if tag not in _ELEMENTS:
            raise RefusedError(
                asked=f"A figure with a <{tag}> element",
                why="Figures of the page are drawings: they hold no active parts.",
                instead="Please report it with the study that drew it.",
            )
        for key in set(element.attrib) - _ATTRIBUTES:
            del element.attrib[key]
        for key, value in list(element.attrib.items()):
            if _ANY_URL.search(value):
                del element.attrib[key]


def _rename_ids(root: ET.Element, name: str) -> None:
    # The converter counts clip paths over its whole life: two figures of a page would
    # clash, and equal input would give other bytes.
    names: dict[str, str] = {}
    for element in root.iter():
        if "id" in element.attrib:
            old = element.attrib["id"]
            names[old] = f"{name}-{len(names)}"
            element.attrib["id"] = names[old]
    for element in root.iter():
        clip = element.attrib.get("clip-path")
        found = _LINK.fullmatch(clip) if clip else None
        if found and found[1] in names:
            element.attrib["clip-path"] = f"url(#{names[found[1]]})"
