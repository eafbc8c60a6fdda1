"""Figures are specifications: equal to the gold ones, honest about what is known."""

import dataclasses
import re
from collections.abc import Iterator

import pytest
from report import synthetic
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from dwindle.findings.conclusion import conclude
from dwindle.findings.names import rule_title
from dwindle.report import collapse, collapse_figure, figures
from dwindle.report.themes import DARK, LIGHT, PAGE, SERIES, series_positions


def specifications() -> dict[str, object]:
    """One specification of every kind, over the smallest axis."""
    axis = synthetic.axis("depth")
    study = synthetic.findings(axes=("depth", "epochs"))
    corrected = collapse.corrections(axis)[1]
    panel = collapse_figure.Panel(axis=axis, correction=corrected, theme=PAGE)
    return {
        "collapse_panel": collapse_figure.collapse_panel(panel),
        "exponents_panel": figures.exponents_panel(axis),
        "regret_map": figures.regret_map(study),
        "terms_panel": figures.terms_panel(axis),
        "main_figure": collapse_figure.main_figure((study,)),
    }


def rounded(value: object) -> object:
    """Round every number to 9 digits: the last bits differ between processors."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    return value


def test_specifications_are_the_gold_ones(snapshot: SnapshotAssertion) -> None:
    """Nothing of a figure changes unseen: a changed specification is a new picture."""
    assert rounded(specifications()) == snapshot(extension_class=JSONSnapshotExtension)


def rows_of(spec: object) -> Iterator[dict[str, object]]:
    """All data rows anywhere in a specification."""
    if isinstance(spec, dict):
        if "values" in spec and isinstance(spec["values"], list):
            yield from (row for row in spec["values"] if isinstance(row, dict))
        for value in spec.values():
            yield from rows_of(value)
    elif isinstance(spec, (list, tuple)):
        for value in spec:
            yield from rows_of(value)


def panel_of(axis: object, number: int = 0) -> collapse_figure.Panel:
    correction = collapse.corrections(axis)[number]
    return collapse_figure.Panel(axis=axis, correction=correction, theme=PAGE)


def collapse_rows(axis: object, number: int = 0) -> list[dict[str, object]]:
    return list(rows_of(collapse_figure.collapse_panel(panel_of(axis, number))))


def test_curves_are_the_findings_moved_by_the_correction() -> None:
    """Every λ above 0 with a loss is drawn, at λ times its factor, above its lowest."""
    axis = synthetic.axis("dataset_size")
    factor = collapse.corrections(axis)[1].factors[0]
    cell = axis.cells[0]
    lowest = min(point.mean for point in cell.curve if point.weight_decay > 0)
    panel = panel_of(axis, 1)
    line, dots = collapse_figure.collapse_panel(panel)["vconcat"][0]["layer"]
    drawn, seen = (
        [row for row in each["data"]["values"] if row["cell"] == "150"]
        for each in (line, dots)
    )
    assert min(row["y"] for row in drawn) == 0
    expected = [
        (point.weight_decay * factor, point.mean - lowest)
        for point in cell.curve
        if point.weight_decay > 0
    ]
    assert [(row["x"], row["y"]) for row in drawn] == expected
    # Points that are in the frame show their values.
    left, right = collapse_figure.shared_domain(axis)
    ceiling = collapse.loss_ceiling(axis)
    assert seen == [r for r in drawn if left <= r["x"] <= right and r["y"] <= ceiling]
    assert seen[0]["told"].startswith("dataset size 150, λ = ")


def test_flat_cells_look_flat() -> None:
    """A cell where decay does not matter is marked as such in curve and optimum."""
    axis = synthetic.axis("width", flat_first=True)
    kinds = {row["kind"] for row in collapse_rows(axis) if row["cell"] == "16"}
    assert kinds == {"flat"}


def test_a_missing_optimum_has_its_reason() -> None:
    """In the place of a symbol stands why there is none; without a rule no curve."""
    axis = synthetic.axis("width")
    whys = []
    for change in (
        {"optimum": None, "at_edge": "high"},
        {"optimum": None, "at_edge": "low"},
        {"optimum": None, "matters": "no"},
        {"optimum": None},
    ):
        rows = collapse_rows(synthetic.changed(axis, first=change))
        whys += [row["why"] for row in rows if "why" in row]
    assert ["≥ 0.1" in whys[0], "≤ 10⁻⁵" in whys[1]] == [True, True]
    data = synthetic.axis("dataset_size")
    rules = tuple(
        dataclasses.replace(r, predictions=(None, *r.predictions[1:]))
        if r.rule == "bengio-map"
        else r
        for r in data.rules
    )
    partial = dataclasses.replace(data, rules=rules)
    (only,) = [row for row in collapse_rows(partial, 1) if row["cell"] == "150"]
    assert len({*whys, only["why"]}) == 5


def test_open_intervals_end_at_the_frame() -> None:
    """An interval without an end reaches to the edge of the panel."""
    unknown = {"low": None, "high": None}
    opened = synthetic.changed(synthetic.axis("width"), first=unknown)
    row = next(r for r in collapse_rows(opened) if r["cell"] == "16" and "low" in r)
    curves = collapse_figure.collapse_panel(panel_of(opened))["vconcat"][0]
    scale = curves["layer"][0]["encoding"]["x"]["scale"]
    assert [row["low"], row["high"]] == scale["domain"]


def test_series_differ_without_color() -> None:
    """As many shapes as colors: up to eight scales are told apart in gray."""
    axis = synthetic.axis("width")
    panel = collapse_figure.Panel(
        axis=axis, correction=collapse.corrections(axis)[0], theme=PAGE
    )
    symbols = collapse_figure.collapse_panel(panel)["vconcat"][1]["layer"][1][
        "encoding"
    ]
    shapes = symbols["shape"]["scale"]["range"]
    assert len(set(shapes)) == len(axis.cells)
    assert len(set(symbols["color"]["scale"]["range"])) == len(axis.cells)


@pytest.mark.parametrize("count", [0, 1, 2, SERIES, SERIES + 5])
def test_series_positions_stay_inside_the_palette(count: int) -> None:
    """Any number of series finds its colors, in order."""
    positions = series_positions(count)
    assert len(positions) == count
    assert list(positions) == sorted(positions)
    assert set(positions) <= set(range(SERIES))


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colors_can_be_seen(theme: object) -> None:
    """WCAG 2: 4.5 for text, 3 for lines; the order of series is one of lightness."""
    assert min(contrast(c, theme.paper) for c in (theme.ink, theme.muted)) >= 4.5
    lines = (theme.accent, theme.good, theme.bad, *theme.series)
    assert min(contrast(color, theme.paper) for color in lines) >= 3
    shades = [luminance(color) for color in theme.series]
    assert shades == sorted(shades)
    for tile, ink in zip(theme.heat, theme.heat_ink, strict=True):
        assert contrast(tile, ink) >= 4.5


def test_regret_map_shows_regrets_and_leaves_silence_empty() -> None:
    """One tile per rule and axis with a regret; a silent rule has none."""
    study = synthetic.findings(axes=("width", "epochs"))
    tiles = {(r["rule"], r["axis"]) for r in rows_of(figures.regret_map(study))}
    assert ("Neal's prior", "width") in tiles
    assert ("Neal's prior", "epochs") not in tiles
    assert (rule_title("unchanged"), "epochs") in tiles


def test_regret_beyond_the_grid_is_a_bound() -> None:
    """A prediction that the grid does not reach costs at least so much."""
    far = synthetic.changed(synthetic.axis("width"), rules={"beyond_grid": 1})
    shown = rows_of(figures.regret_map(synthetic.study_over(far)))
    labels = [row["label"] for row in shown]
    assert any(label.startswith("≥ ") for label in labels)


def test_main_figure_says_how_far_apart() -> None:
    """The message is made from the spreads; no exponent, no figure."""
    spec = collapse_figure.main_figure((synthetic.findings(),))
    assert spec is not None
    # 8 to the powers of 0.85 and of 0.15: the data of the axis, as typed and by 1/N.
    assert re.findall(r"[\d.]+", spec["title"]["text"]) == ["5.9", "1.4"]
    assert collapse_figure.main_figure((synthetic.unknown(),)) is None


def titled(**changes: object) -> str:
    """The title over the width axis of a study whose finding is changed."""
    axis = synthetic.axis("width", flat_first=True)
    shown = synthetic.study_over(synthetic.changed(axis, **changes))
    spec = collapse_figure.main_figure((shown,))
    assert spec is not None
    assert len(spec["hconcat"]) == (2 if "apart" in spec["title"]["text"] else 1)
    return f"{conclude(shown).headline} {spec['title']['text']}"


def test_the_title_is_the_finding_of_the_verdict() -> None:
    """Up, down, still or unknown: the picture says what the verdict sentence says."""
    courses = {
        "falls with": (-0.35, -0.57, -0.10),
        "rises with": (1.6, 0.04, 2.8),
        "not move with": (0.1, -0.1, 0.2),
        "moves with": (-0.9, -2.0, 0.26),
    }
    for course, (exponent, low, high) in courses.items():
        assert titled(exponent=exponent, low=low, high=high).count(course) == 2


def test_the_title_sells_no_rule_that_the_table_refuses() -> None:
    """Without a rule that agrees, no corrected number stands in the title."""
    found = {"exponent": -0.56, "low": -0.78, "high": -0.35}
    # The factor between the best λ as typed alone, and not the one after a correction.
    title = titled(**found, rules={"agrees": False})
    assert re.findall(r"[\d.]+\d", title) == ["1.4"]
