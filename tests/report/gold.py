"""Gold specifications of the figures; run this file to write them anew.

Look at the figures first: a changed specification is a changed picture.
"""

import json
import sys
from pathlib import Path

FILE = Path(__file__).parent / "gold" / "specifications.json"


def specifications() -> dict[str, object]:
    """One specification of every kind, over the smallest axis."""
    from report import synthetic

    from dwindle.report import collapse, collapse_figure, figures
    from dwindle.report.themes import LIGHT, PAGE

    axis = synthetic.axis("depth")
    study = synthetic.findings(axes=("depth", "epochs"))
    corrected = collapse.corrections(axis)[1]
    panel = collapse_figure.Panel(axis=axis, correction=corrected, theme=PAGE)
    return {
        "collapse_panel": collapse_figure.collapse_panel(panel),
        "exponents_panel": figures.exponents_panel(axis, PAGE),
        "regret_map": figures.regret_map(study, PAGE),
        "terms_panel": figures.terms_panel(axis, PAGE),
        "main_figure": collapse_figure.main_figure((study,), LIGHT),
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


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    FILE.parent.mkdir(exist_ok=True)
    written = json.dumps(rounded(specifications()), indent=1, ensure_ascii=False)
    FILE.write_text(written + "\n", encoding="utf-8")
