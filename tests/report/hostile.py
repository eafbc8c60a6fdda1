"""Findings whose every text tries to act: in a page, in a figure, in a terminal."""

import dataclasses

from report import synthetic

from dwindle.findings.model import Answer, Findings

# Each would show: a running script, a loaded address, a broken quote, a recolored
# terminal, markup, a reversed line, an evaluated template or figure expression.
ATTACKS = (
    "</title></text></style><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}${1+1}",
    "\x1b[31m\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
    "[red]markup[/red][link=http://evil.example]x[/link]:boom:",
    "\u202ereversed\u2066",
    "nul\x00bell\x07",
    "datum.value",
)
ALL = " ".join(ATTACKS)


def findings() -> Findings:
    """A study with hostile names in every text field."""
    study = synthetic.findings(axes=("width", "dataset_size"))
    axes = tuple(
        dataclasses.replace(
            axis,
            axis=axis.axis if i else ATTACKS[0],
            policy=ALL,
            note=ALL,
            why_null=ALL,
            rules=tuple(
                dataclasses.replace(rule, rule=attack + rule.rule, why_not=ALL)
                for rule, attack in zip(axis.rules, ATTACKS, strict=False)
            ),
            cells=tuple(dataclasses.replace(cell, why=ALL) for cell in axis.cells),
        )
        for i, axis in enumerate(study.axes)
    )
    return dataclasses.replace(
        study,
        study=ALL,
        conditions={ALL: ALL, "nested": {ALL: [ALL]}, "optimizer": {"name": ALL}},
        axes=axes,
        trials={"ok": 1, ALL: 2},
    )


def answer() -> Answer:
    """An answer with hostile text in every field."""
    whole = synthetic.answer()
    claim = dataclasses.replace(
        whole.claims[0],
        id=ALL,
        claim=ALL,
        whose=ALL,
        how=ALL,
        number=ALL,
        explanation=ALL,
        table=((ALL, ALL), (ALL, ALL)),
    )
    return dataclasses.replace(whole, claims=(claim,), studies=(findings(),))
