"""Lines to copy: Python that runs, a command that the shell reads."""

import ast
import shlex
from dataclasses import replace
from functools import cache

import pytest
from findings.simulated_study import AXES, simulated_findings, study_spec

from dwindle.findings.conclusion import base_cell, next_steps
from dwindle.store.records import Optimizer
from dwindle.store.spec import AxisSpec

SPEC = study_spec(axes=(AXES[0], AXES[3]))


@cache
def measured():
    """A study whose best decay is proportional to 1/N."""
    return simulated_findings({"dataset_size": -1.0}, spec=SPEC)


def test_the_base_cell_is_the_one_that_axes_share():
    """The scale that width and dataset size both start from."""
    scale = base_cell(measured()).scale
    assert (scale["width"], scale["dataset_size"]) == (64, 600)


def test_a_base_cell_that_no_axis_has_is_said_to_be_untrained():
    """Nothing is offered to copy from another cell as if it were the base."""
    width = AxisSpec(axis="width", values=(16, 32))
    found = simulated_findings({}, spec=study_spec(axes=(width,)))
    assert base_cell(found) is None
    (line,) = next_steps([found])
    assert "weight_decay" not in line


def test_the_first_line_sets_the_measured_decay():
    """The optimizer with its lr and momentum, at the best λ of the base cell."""
    _, line, *_ = next_steps([measured()])
    call = ast.parse(line, mode="eval").body
    facts = {keyword.arg: keyword.value.value for keyword in call.keywords}
    best = facts.pop("weight_decay")
    assert facts == {"lr": 0.05, "momentum": 0.9}
    # Two digits are printed, so half of the second one may be lost.
    assert best == pytest.approx(base_cell(measured()).optimum, rel=0.05)


def test_the_law_gives_the_decay_of_any_cell():
    """The formula holds what surely moves λ, and at the base gives the base's λ."""
    law = next(
        line for line in next_steps([measured()]) if line.startswith("weight_decay")
    )
    formula = compile(law.partition("= ")[2], "law", "eval")
    names = set(formula.co_names)
    assert names == {"dataset_size"}
    at_base = eval(formula, {"dataset_size": 600})  # noqa: S307 - our own line
    assert at_base == pytest.approx(base_cell(measured()).optimum, rel=0.05)
    assert eval(formula, {"dataset_size": 1200}) < at_base  # noqa: S307 - our own


def test_the_last_line_is_a_command():
    """A shell reads a rescale of the same knob with before:after facts."""
    words = shlex.split(next_steps([measured()])[-1])
    assert words[:2] == ["dwindle", "rescale"]
    assert words[2].startswith("torch.optim.SGD=")
    assert words[words.index("--dataset-size") + 1] == "600:1200"


def test_other_optimizers_are_set_by_their_own_names():
    """AdamW gets its betas and no momentum."""
    spec = study_spec(axes=AXES[:1], optimizer=Optimizer(name="adamw"))
    line = next_steps([simulated_findings({}, spec=spec)])[1]
    assert line.startswith("torch.optim.AdamW(model.parameters(), lr=0.05, betas=(0.9,")


def test_a_normalized_study_sets_no_optimizer():
    """Its λ is none that an optimizer takes."""
    spec = study_spec(axes=AXES[:1], normalization="layer-mean")
    assert next_steps([simulated_findings({}, spec=spec)]) == ()


def test_without_a_best_decay_there_is_a_reason_and_no_number():
    """A base cell that shows no best λ offers nothing to copy."""
    base, lines = base_cell(measured()), set()
    for changes in (
        {"matters": "no"},
        {"matters": "yes", "optimum": None, "at_edge": "high"},
        {"matters": "cannot tell"},
    ):
        blank = replace(base, **changes)
        axes = tuple(
            replace(axis, cells=tuple(blank if c == base else c for c in axis.cells))
            for axis in measured().axes
        )
        (line,) = next_steps([replace(measured(), axes=axes)])
        assert "weight_decay=" not in line
        lines.add(line)
    assert len(lines) == 3
