r"""Writes docs/find.svg and docs/find-dark.svg, the picture of find, from its store.

    dwindle find examples.find_digits:train --knob torch.optim.AdamW --low 1e-2 \
        --high 10 --store find.db
    python scripts/draw_find.py find.db

The first is for light pages, the second for dark ones.
"""

import statistics
import sys
from pathlib import Path

import vl_convert

from dwindle.finding.found import Found, found_of
from dwindle.finding.records import find_from_stored
from dwindle.report import vega
from dwindle.report.themes import DARK, LIGHT, Theme
from dwindle.report.vega import Size, Spec
from dwindle.store.store import read_store
from dwindle.wording import interval, number

OUT = Path(__file__).parents[1] / "docs"
# As wide as GitHub shows a README; low, so that the first screen holds more than it.
SIZE = Size(width=850, height=170, lettering=14)


def labelled(found: Found, theme: Theme) -> Spec:
    """Return the figure with what it shows written into it."""
    spec = found.figure.figure(theme, SIZE)
    without = [each.loss for each in found.curve if each.is_without and each.loss]
    x, y = (spec["layer"][-1]["encoding"][axis] for axis in "xy")
    high = max(each.loss for each in found.curve if each.loss)
    within = f"90 %: {interval(found.low, found.high, digits=3)}"
    best = f"best: {number(found.value)} ({within})"
    labels = (
        (0.01, statistics.median(without), "without decay", theme.muted),
        (found.high, high, best, theme.accent),
    )
    for at, loss, text, color in labels:
        mark = {"type": "text", "align": "left", "dx": 8, "dy": -12, "color": color}
        mark |= {"fontSize": SIZE.lettering, "fontWeight": "bold"}
        words = {"field": "text", "type": "nominal"}
        rows = [{"x": at, "y": loss, "text": text}]
        spec["layer"].append(vega.layer(rows, mark, {"x": x, "y": y, "text": words}))
    return spec | {"background": theme.paper, "padding": 10}


if __name__ == "__main__":
    found = found_of(find_from_stored(read_store(sys.argv[1])))
    for name, theme in (("find", LIGHT), ("find-dark", DARK)):
        drawn = vl_convert.vegalite_to_svg(labelled(found, theme))
        (OUT / f"{name}.svg").write_text(f"{drawn}\n", "utf-8")
