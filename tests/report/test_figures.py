"""Figures are specifications: equal to the gold ones, and true to what is known."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from report import synthetic
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from dwindle.findings.conclusion import conclude
from dwindle.findings.names import rule_title
from dwindle.report import collapse, collapse_figure, figures
from dwindle.report.themes import DARK, LIGHT, PAGE, SERIES, Theme, series_positions
from dwindle.report.vega import Spec

DATA = synthetic.axis("dataset_size")
WIDTH = synthetic.axis("width")


def panel(axis: object, number: int = 0) -> Spec:
    """The panel of one correction of an axis."""
    correction = collapse.corrections(axis)[number]
    shown = collapse_figure.CollapsePanel(axis=axis, correction=correction, theme=PAGE)
    return collapse_figure.collapse_panel(shown)


def specifications() -> dict[str, object]:
    """One specification of every kind, over the smallest axis."""
    axis = synthetic.axis("depth")
    study = synthetic.findings(axes=("depth", "epochs"))
    return {
        "collapse_panel": panel(axis, 1),
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


def test_curves_are_the_findings_moved_by_the_correction() -> None:
    """Every λ above 0 with a loss is drawn, at λ times its factor, above its lowest."""
    factor = collapse.corrections(DATA)[1].factors[0]
    curve = [point for point in DATA.cells[0].curve if point.weight_decay > 0]
    lowest = min(point.mean for point in curve)
    drawn, seen = (
        [row for row in each["data"]["values"] if row["cell"] == "150"]
        for each in panel(DATA, 1)["vconcat"][0]["layer"]
    )
    expected = [(p.weight_decay * factor, p.mean - lowest) for p in curve]
    assert [(row["x"], row["y"]) for row in drawn] == expected
    # Points that are in the frame show their values.
    left, right = collapse_figure.shared_domain(DATA)
    ceiling = collapse.loss_ceiling(DATA)
    assert seen == [r for r in drawn if left <= r["x"] <= right and r["y"] <= ceiling]
    assert seen[0]["tooltip"].startswith("dataset size 150, λ = ")


def test_a_missing_optimum_has_its_reason() -> None:
    """In the place of a symbol stands why there is none; without a rule no curve."""
    kinds = {r.get("kind") for r in rows_of(panel(WIDTH)) if r["cell"] == "16"}
    assert kinds == {"flat"}  # where decay does not matter, in curve and optimum
    whys = []
    for change in (
        {"optimum": None, "at_edge": "high"},
        {"optimum": None, "at_edge": "low"},
        {"optimum": None, "matters": "no"},
        {"optimum": None, "matters": "yes"},
    ):
        rows = rows_of(panel(synthetic.changed(WIDTH, first=change)))
        whys += [row["why"] for row in rows if "why" in row]
    assert ["≥ 0.1" in whys[0], "≤ 10⁻⁵" in whys[1]] == [True, True]
    rules = tuple(
        replace(r, predictions=(None, *r.predictions[1:]))
        if r.rule == "bengio-map"
        else r
        for r in DATA.rules
    )
    partial = rows_of(panel(replace(DATA, rules=rules), 1))
    (only,) = [row for row in partial if row["cell"] == "150"]
    assert len({*whys, only["why"]}) == 5


def test_open_intervals_end_at_the_frame() -> None:
    """An interval without an end reaches to the edge of the panel."""
    shown = panel(synthetic.changed(WIDTH, first={"low": None, "high": None}))
    row = next(r for r in rows_of(shown) if r["cell"] == "16" and "low" in r)
    scale = shown["vconcat"][0]["layer"][0]["encoding"]["x"]["scale"]
    assert [row["low"], row["high"]] == scale["domain"]


def test_series_differ_without_color() -> None:
    """As many shapes as colors: up to eight scales can be distinguished in gray."""
    symbols = panel(WIDTH)["vconcat"][1]["layer"][1]["encoding"]
    for channel in ("shape", "color"):
        assert len({*symbols[channel]["scale"]["range"]}) == len(WIDTH.cells)
    for count in (0, 1, 2, SERIES, SERIES + 5):
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
def test_colors_can_be_seen(theme: Theme) -> None:
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
    unchanged, question = rule_title("unchanged"), rule_title("question-layer-mean")
    assert {(unchanged, "width"), (unchanged, "epochs"), (question, "width")} <= tiles
    assert (question, "epochs") not in tiles
    # A prediction that the grid does not reach costs at least so much.
    far = synthetic.changed(synthetic.axis("width"), rules={"beyond_grid": 1})
    shown = rows_of(figures.regret_map(synthetic.study_over(far)))
    assert any(row["label"].startswith("≥ ") for row in shown)


def test_main_figure_shows_how_far_apart() -> None:
    """The message is made from the spreads; no exponent, no figure."""
    spec = collapse_figure.main_figure((synthetic.findings(),))
    assert spec is not None
    # 1200 / 150 samples under the law of 1/N, as typed and corrected by it.
    typed, corrected = map(float, re.findall(r"[\d.]+", spec["title"]["text"]))
    assert typed == pytest.approx(8, rel=0.2)
    assert corrected == pytest.approx(1, rel=0.2)
    assert collapse_figure.main_figure((synthetic.unknown(),)) is None


def titled(**changes: object) -> str:
    """The title over the width axis of a study whose finding is changed."""
    shown = synthetic.study_over(synthetic.changed(WIDTH, **changes))
    spec = collapse_figure.main_figure((shown,))
    assert spec is not None
    assert len(spec["hconcat"]) == (2 if "apart" in spec["title"]["text"] else 1)
    return f"{conclude(shown).headline} {spec['title']['text']}"


def test_the_title_is_the_finding_of_the_verdict() -> None:
    """Up, down, still or unknown: the picture agrees with the verdict sentence."""
    courses = {
        "falls with": (-0.35, -0.57, -0.10),
        "rises with": (1.6, 0.04, 2.8),
        "not move with": (0.1, -0.1, 0.2),
        "moves with": (-0.9, -2.0, 0.26),
    }
    for course, (exponent, low, high) in courses.items():
        assert titled(exponent=exponent, low=low, high=high).count(course) == 2
    # Without a rule that agrees, the title has no factor after a correction.
    found = {"exponent": -0.56, "low": -0.78, "high": -0.35}
    title = titled(**found, rules={"agrees": False})
    assert len(re.findall(r"[\d.]+\d", title)) == 1
