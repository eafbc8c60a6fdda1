"""Writes docs/evidence.md and its forest plots from the records of evidence.

    python scripts/draw_evidence.py [--out FOLDER]

The page has every record, what to expect in a new setting, how well that predicts the
records of a source that was left out, and what nobody has measured. A test holds page
and records together.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from dwindle.decay.evidence.change import RANKED, claimed
from dwindle.decay.evidence.records import (
    FAMILIES_OF_EVIDENCE,
    KINDS,
    QUANTITIES,
    Expected,
    Record,
    expected,
    nobody_measured,
    read_evidence,
    read_posterior,
)
from dwindle.wording import fixed, listed, number

OUT = Path(__file__).parents[1] / "docs"
SPLITS = Path(__file__).parents[1] / "studies" / "splits.md"  # by scripts/evidence.py
# Quantities that are drawn together: they share a base exponent.
FIGURES = {
    "lr": ("lr",),
    "batch": ("batch", "batch-sqrt-lr", "batch-linear-lr"),
    "data": ("tokens", "dataset"),
    "epochs": ("epochs", "repetition"),
    "width": ("width", "width-mup"),
    "parameters": ("params", "params-tpp", "params-compute"),
    "depth": ("depth",),
}
TITLES = {
    "lr": "learning rate",
    "batch": "batch size",
    "data": "data",
    "epochs": "epochs",
    "width": "width",
    "parameters": "parameters",
    "depth": "depth",
}
# Rules whose exponents stand in a plot, by their letter there.
MARKED = {
    "unchanged": ("λ", "λ stays"),
    "answer": ("s", "lr·λ stays"),
    "half-life-epochs": ("e", "half-life in epochs"),
    "half-life-run": ("r", "as a share of the run"),
    "power-lines": ("P", "Power Lines"),
}
HEAD = """\
# What was measured, and what was not

Every exponent that we know of by which the best weight decay moves with scale: who
measured it, where, and what of the text was read. This page and its figures are
written by `python scripts/draw_evidence.py`; `dwindle evidence` prints the same
records.

An exponent is that of the best lr·λ, the shrink per step: where the quantity doubles,
the best lr·λ goes times 2 to that power. Records are **measured**, or **restated**: a
rule that its authors state, of which no curve was seen. Restated records have a
standard deviation of at least .2 and are left out where spreads are estimated; our
own studies have at least .1.

The exponents are pooled by one normal model (`scripts/pooled.py`): a base exponent
has a mean over everything, a class of trainings with a family of optimizers deviates
from it, and a setting from its class. The **range in a new setting** is what `dwindle
rescale` uses. The split into normalized and plain networks was seen in the data
before it was tested; the last column below is what remains without it.
"""


def page() -> str:
    """Return the text of docs/evidence.md."""
    there = read_evidence()
    everything = expected()
    posterior = read_posterior()
    parts = [HEAD, *_check(posterior), *_by_class(posterior)]
    for name, quantities in FIGURES.items():
        chosen = [each for each in there.records if each.quantity in quantities]
        parts += [f"## {TITLES[name].capitalize()}", ""]
        parts += [f"- `{each}`: {QUANTITIES[each].title}" for each in quantities]
        parts += ["", f"![Forest plot: {TITLES[name]}](evidence/{name}.svg)", ""]
        parts += [
            *_expected_rows(everything, quantities),
            "",
            *_record_rows(chosen),
            "",
        ]
    parts += [
        "## What a validation split does to our own",
        "",
        SPLITS.read_text("utf-8"),
    ]
    parts += ["## What nobody has measured", "", *_gaps(everything), ""]
    parts += ["## Sources", ""]
    parts += [
        f"- **{each.name}** ({each.year}): {each.citation}"
        for each in there.sources.values()
    ]
    return "\n".join(parts) + "\n"


def _check(posterior: dict[str, Any]) -> Iterator[str]:
    yield "## How well that predicts"
    yield ""
    yield (
        "One source at a time was left out, and its records were predicted from all "
        "others. The *pick* is the rule that is best for the class without that "
        "source; a rule is judged without the records of its own authors."
    )
    yield ""
    yield "| check | all records | measured only | plain and normalized in one class |"
    yield "|---|---|---|---|"
    checks = [
        *(posterior["leave_one_source_out"][name] for name in ("all", "measured")),
        posterior["leave_one_source_out_in_one_class"],
    ]
    yield _row("records, sources", [f"{c['records']}, {c['sources']}" for c in checks])
    yield _row(
        "in the 90 % range (95 % interval of that share)",
        [
            "{:.0f} % ({:.0f} % to {:.0f} %)".format(
                *(100 * c[name] for name in ("covered", "covered_low", "covered_high"))
            )
            for c in checks
        ],
    )
    yield _row(
        "median range of an exponent", [f"{c['median_range']:.2f}" for c in checks]
    )
    yield _row("mean log predictive density", [fixed(c["log_density"]) for c in checks])
    yield _row("error (rms): **pooled**", [f"**{c['rms']:.2f}**" for c in checks])
    yield _row("error: pick per class", [f"{c['rms_of_pick']:.2f}" for c in checks])
    for rule in checks[0]["rms_of_rules"]:
        cells = [f"{c['rms_of_rules'][rule]:.2f}" for c in checks]
        yield _row(f"error: `{rule}`", cells)
    yield ""
    spreads = [
        posterior[f"spread_{name}"] for name in ("between_cells", "within_a_cell")
    ]
    yield (
        f"Spread of an exponent between classes {spreads[0]:.2f}, between the settings "
        f"of one {spreads[1]:.2f} (standard deviations; of the batch with lr ∝ batch a "
        "quarter of that)."
    )
    yield ""


def _by_class(posterior: dict[str, Any]) -> Iterator[str]:
    """Yield how the rules do in each class, the question and its answer among them."""
    yield "In each class, over its records (error, rms):"
    yield ""
    yield "| class | best rules | number unchanged | the answer | the question |"
    yield "|---|---|---|---|---|"
    for kind, errors in posterior["rms_of_rules_by_class"].items():
        best = [f"`{rule}` {error:.2f}" for rule, error in errors.items()][:3]
        asked = ("unchanged", "answer", "question-layer-mean")
        cells = [f"{errors[rule]:.2f}" if rule in errors else "–" for rule in asked]
        yield _row(KINDS[kind], [" · ".join(best) or "–", *cells])  # type: ignore[index]
    yield ""


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _cell_name(each: Record | Expected) -> str:
    return f"{KINDS[each.kind_of_run]}, {FAMILIES_OF_EVIDENCE[each.family]}"


def _range(each: Record | Expected) -> str:
    return f"{fixed(each.exponent)} ({fixed(each.low)} to {fixed(each.high)})"


def _expected_rows(
    everything: Sequence[Expected], quantities: Sequence[str]
) -> Iterator[str]:
    yield "| in a new setting | quantity | exponent (90 %) | measured | restated |"
    yield "|---|---|---|---|---|"
    for each in everything:
        if each.quantity in quantities and each.measured + each.restated:
            counts = [str(each.measured), str(each.restated)]
            yield _row(_cell_name(each), [f"`{each.quantity}`", _range(each), *counts])


def _record_rows(records: Sequence[Record]) -> Iterator[str]:
    yield "| record | quantity | exponent (90 %) | over | how it is known |"
    yield "|---|---|---|---|---|"
    for each in records:
        known = [each.kind, each.estimator, each.read, each.note]
        held = f"held: {each.held}" if each.held else ""
        tuned = f"tuned: {each.tuned}, by {each.metric}"
        cells = [
            f"`{each.quantity}`",
            _range(each),
            f"×{number(each.factor)}",
            "; ".join(filter(None, [*known, held, tuned, f"split: {each.split}"])),
        ]
        where = f"{each.source}: {each.setting} ({_cell_name(each)})"
        yield _row(where, cells)


def _gaps(everything: Sequence[Expected]) -> Iterator[str]:
    yield "Here dwindle answers from other classes and its prior, with wide ranges."
    yield ""
    yield "| class | no measurement of | of these, a rule was stated for |"
    yield "|---|---|---|"
    for kind, title in KINDS.items():
        for family, name in FAMILIES_OF_EVIDENCE.items():
            here = [
                each
                for each in nobody_measured(everything)
                if (each.kind_of_run, each.family) == (kind, family)
            ]
            stated = [f"`{each.quantity}`" for each in here if each.restated]
            gaps = listed([f"`{each.quantity}`" for each in here])
            yield _row(f"{title}, {name}", [gaps, listed(stated) if stated else "–"])


# --- the figures -------------------------------------------------------------------

# In pixels: a row, the text at the left, the plot, the numbers at the right.
ROW, LEFT, PLOT, RIGHT, TOP, BOTTOM = 18, 330, 360, 130, 46, 44
LETTER = 14  # and the room of one
# Dark on white, and readable without color: the shape says what a mark is.
RULES = "#b3301c"
COLORS = {"measured": "#0b5cad", "restated": "#626a73", "pooled": "#1c2024"}
STYLE = "font:11px Helvetica,Arial,Liberation Sans,sans-serif"


class Forest:
    """One forest plot: sections of records, each with what to expect below it."""

    def __init__(self, name: str) -> None:
        there, quantities = read_evidence(), FIGURES[name]
        self.name = name
        self.sections: list[tuple[Expected, list[Record]]] = []
        for each in expected(quantities):
            records = [
                record
                for record in there.records
                if (record.kind_of_run, record.family, record.quantity)
                == (each.kind_of_run, each.family, each.quantity)
            ]
            if records:
                self.sections.append((each, records))
        drawn = [every for each, records in self.sections for every in (each, *records)]
        self.low = min(-1.0, *(each.low for each in drawn)) - 0.1
        self.high = max(1.0, *(each.high for each in drawn)) + 0.1

    def x(self, exponent: float) -> float:
        """Return the place of an exponent."""
        share = (exponent - self.low) / (self.high - self.low)
        return round(LEFT + PLOT * share, 1)

    def svg(self) -> str:
        """Return the picture."""
        rows = sum(len(records) + 3 for _, records in self.sections)
        width, height = LEFT + PLOT + RIGHT, TOP + rows * ROW + BOTTOM
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
            f'width="{width}" height="{height}" style="{STYLE}" role="img">',
            f"<title>Exponents of the best lr·λ: {TITLES[self.name]}</title>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *self._axis(TOP + rows * ROW),
        ]
        y = TOP
        for each, records in self.sections:
            title = f"{QUANTITIES[each.quantity].title}: {_cell_name(each)}"
            parts.append(_text(8, y + 12, title, weight="bold"))
            y += ROW
            for record in records:
                parts += self._record(record, y)
                y += ROW
            parts += [*self._pooled(each, y), *self._rules(each, y + ROW)]
            y += 2 * ROW
        return "\n".join([*parts, "</svg>"]) + "\n"

    def _axis(self, bottom: float) -> Iterator[str]:
        step = 0.5 if self.high - self.low < 4 else 1.0  # noqa: PLR2004 room for labels
        at = -10.0
        while at <= self.high:
            if at >= self.low:
                color = "#9aa1a8" if at == 0 else "#e4e5e1"
                yield _line(self.x(at), TOP - 6, self.x(at), bottom, color)
                label = fixed(at, 1)
                yield _text(self.x(at), bottom + 14, label, anchor="middle")
            at += step
        middle = LEFT + PLOT / 2
        label = "exponent of the best lr·λ (90 %)"
        yield _text(middle, bottom + 32, label, anchor="middle", color="#626a73")
        for legend, x, kind in (
            ("measured", LEFT, "measured"),
            ("restated", LEFT + 100, "restated"),
            ("in a new setting", LEFT + 200, "pooled"),
        ):
            yield _mark(x, 12, kind)
            yield _text(x + 10, 16, legend, color="#626a73")
        rules = " · ".join(f"{letter}: {title}" for letter, title in MARKED.values())
        yield _text(LEFT - 10, 33, rules, color=RULES)

    def _record(self, record: Record, y: float) -> Iterator[str]:
        kind = "restated" if record.kind == "restated" else "measured"
        middle, color = y + 8, COLORS[kind]
        yield _text(LEFT - 10, y + 12, _shortened(record), anchor="end")
        yield _line(self.x(record.low), middle, self.x(record.high), middle, color)
        yield _mark(self.x(record.exponent), middle, kind)
        yield _text(LEFT + PLOT + 8, y + 12, _range(record), color=color)

    def _pooled(self, each: Expected, y: float) -> Iterator[str]:
        middle = y + 8
        low, high = self.x(each.low), self.x(each.high)
        yield _text(LEFT - 10, y + 12, "in a new setting", anchor="end", weight="bold")
        yield (
            f'<rect x="{low}" y="{middle - 3}" width="{round(high - low, 1)}" '
            f'height="6" fill="{COLORS["pooled"]}" fill-opacity="0.18"/>'
        )
        yield _mark(self.x(each.exponent), middle, "pooled")
        yield _text(LEFT + PLOT + 8, y + 12, _range(each), weight="bold")

    def _rules(self, each: Expected, y: float) -> Iterator[str]:
        form = QUANTITIES[each.quantity].form
        letters: dict[float, str] = {}
        for rule, (letter, _) in MARKED.items():
            powers = claimed(RANKED[rule])
            exponent = sum(powers[base] * weight for base, weight in form.items())
            if self.low <= exponent <= self.high:
                # Letters that would stand on each other stand at the first one's place.
                near = (at for at in letters if abs(at - self.x(exponent)) < LETTER)
                x = next(near, self.x(exponent))
                letters[x] = f"{letters[x]}, {letter}" if x in letters else letter
        yield _text(LEFT - 10, y + 12, "rules", anchor="end", color=RULES)
        for x, text in letters.items():
            yield _text(x, y + 12, text, anchor="middle", color=RULES)


def _shortened(record: Record) -> str:
    whole = f"{record.source}: {record.setting}"
    most = 56  # letters of that size in the room at the left
    return whole if len(whole) <= most else whole[: most - 1] + "…"


def _text(  # noqa: PLR0913 the attributes of a text
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: str = "normal",
    color: str = "#1c2024",
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{color}">{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, color: str) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{color}"/>'


def _mark(x: float, y: float, kind: str) -> str:
    color = COLORS[kind]
    if kind == "pooled":
        points = f"{x - 6},{y} {x},{y - 5} {x + 6},{y} {x},{y + 5}"
        return f'<polygon points="{points}" fill="{color}"/>'
    fill = color if kind == "measured" else "#ffffff"
    return f'<circle cx="{x}" cy="{y}" r="3.5" fill="{fill}" stroke="{color}"/>'


def written() -> dict[str, str]:
    """Return every file below docs, by its name."""
    figures = {f"evidence/{name}.svg": Forest(name).svg() for name in FIGURES}
    return {"evidence.md": page(), **figures}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    folder = parser.parse_args().out
    for name, text in written().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
