"""Colors and shapes of the figures, once for the page and once for pictures.

On the page a color is a CSS variable, so one figure serves light, dark and print; a
picture needs the color itself. Every series has its own shape, too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dwindle.plain import table_beside

# Filled shapes in a box from -1 to 1, also drawn by the legend of the page.
SHAPES = (
    *("circle", "square", "triangle-up", "diamond"),
    *("cross", "triangle-down", "triangle-right", "triangle-left"),
)


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Every color that a figure uses, by the part it plays."""

    ink: str
    muted: str
    grid: str
    paper: str
    accent: str
    band: str
    good: str
    bad: str
    series: tuple[str, ...]
    heat: tuple[str, ...]
    heat_ink: tuple[str, ...]


def _theme(colors: Mapping[str, Any]) -> Theme:  # texts and lists of them
    parts: dict[str, Any] = {
        part: tuple(color) if isinstance(color, list) else color
        for part, color in colors.items()
    }
    return Theme(**parts)


_FILE = table_beside(__file__)
LIGHT, DARK = _theme(_FILE["light"]), _theme(_FILE["dark"])
NOTEBOOK = _theme(_FILE["light"] | _FILE["notebook"])
SERIES = len(LIGHT.series)  # colors of cells, each with another shape


def _variables(theme: Theme) -> Iterator[tuple[str, str, str]]:
    """Yield every color of a theme: its part, its variable on the page, itself."""
    for part, color in asdict(theme).items():
        name = f"--{part.replace('_', '-')}"
        if isinstance(color, str):
            yield part, name, color
        else:
            yield from ((part, f"{name}-{i}", each) for i, each in enumerate(color))


def _page() -> Theme:
    found: dict[str, list[str]] = {}
    for part, variable, _ in _variables(LIGHT):
        found.setdefault(part, []).append(f"var({variable})")
    return _theme({k: v if len(v) > 1 else v[0] for k, v in found.items()})


PAGE = _page()


def css_variables(theme: Theme) -> str:
    """Return the declarations that give the page's variables a theme's colors."""
    return " ".join(f"{name}: {color};" for _, name, color in _variables(theme))


def series_positions(count: int) -> tuple[int, ...]:
    """Return which of the eight colors ``count`` ordered series take, spread out.

    Example:
        >>> series_positions(3), series_positions(5)
        ((0, 4, 7), (0, 2, 4, 5, 7))

    """
    if count <= 1:
        return (0,) * count
    # Half up, not to even: 3 of 8 must not depend on a tie.
    return tuple(int(i * (SERIES - 1) / (count - 1) + 0.5) for i in range(count))
