"""Colors and shapes of the figures, once for the page and once for pictures.

On the page a color is a CSS variable, so one figure serves light, dark and print; a
picture needs the color itself. Series run from dark to light (or back, on dark ground),
so their order survives color blindness, and every series has its own shape.
"""

from dataclasses import asdict, dataclass, replace

SERIES = 8  # colors of cells, each with a shape of its own
STEPS = 6  # classes of a heat map

# Filled shapes in a box from -1 to 1, also drawn by the legend of the page.
SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
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


LIGHT = Theme(
    ink="#1c2024",
    muted="#626a73",
    grid="#e4e5e1",
    paper="#ffffff",
    accent="#0b5cad",
    band="#cfe0f2",
    good="#0a7a55",
    bad="#b3301c",
    series=(
        "#0d0887",
        "#3e049c",
        "#6300a7",
        "#8606a6",
        "#a62098",
        "#c03a83",
        "#d5546e",
        "#e76f5a",
    ),
    heat=("#fdf6ec", "#fbe0bd", "#f6bd8b", "#e98b5e", "#c24b38", "#8f2430"),
    heat_ink=("#1c2024", "#1c2024", "#1c2024", "#1c2024", "#ffffff", "#ffffff"),
)
DARK = Theme(
    ink="#e9e7e2",
    muted="#a2a8b0",
    grid="#30353c",
    paper="#1a1d22",
    accent="#7db8f2",
    band="#26425f",
    good="#4fc99a",
    bad="#ff8a73",
    series=(
        "#ae52c2",
        "#cb4f9c",
        "#dc5d78",
        "#eb7655",
        "#f68f44",
        "#fcac32",
        "#f9cd2a",
        "#f0f24a",
    ),
    heat=("#23272d", "#43352c", "#6b4630", "#9a5a35", "#d0774a", "#ffb07a"),
    heat_ink=("#e9e7e2", "#e9e7e2", "#e9e7e2", "#ffffff", "#14161a", "#14161a"),
)


PAGE = Theme(
    ink="var(--ink)",
    muted="var(--muted)",
    grid="var(--grid)",
    paper="var(--paper)",
    accent="var(--accent)",
    band="var(--band)",
    good="var(--good)",
    bad="var(--bad)",
    series=tuple(f"var(--series-{i})" for i in range(SERIES)),
    heat=tuple(f"var(--heat-{i})" for i in range(STEPS)),
    heat_ink=tuple(f"var(--heat-ink-{i})" for i in range(STEPS)),
)


# A notebook may be light or dark, and need not say which: letters have its own color,
# and all others stand out from white and from nearly black, by 3 to 1 or more.
NOTEBOOK = replace(
    LIGHT,
    ink="currentColor",
    muted="currentColor",
    grid="rgba(128,128,128,0.25)",
    paper="transparent",
    accent="#2f81d8",
    band="rgba(47,129,216,0.25)",
    series=(
        "#5b6ee1",
        "#8a5cd6",
        "#b04cc4",
        "#cc459b",
        "#d9526b",
        "#d2603a",
        "#b5770b",
        "#7d8c0a",
    ),
)


def css_variables(theme: Theme) -> str:
    """Return the declarations that give the page's variables a theme's colors."""
    lines = []
    for role, value in asdict(theme).items():
        name = role.replace("_", "-")
        several = isinstance(value, tuple)
        lines += [f"--{name}-{i}: {c};" for i, c in enumerate(value if several else ())]
        lines += [] if several else [f"--{name}: {value};"]
    return " ".join(lines)


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
