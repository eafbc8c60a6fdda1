"""What to type next: the measured weight decay, and how to carry it elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from dwindle.findings.cells import idle_up_to, is_untrained, ruined_from
from dwindle.findings.model import CellFindings, Findings
from dwindle.findings.names import decay, optimizer_name, toy_of
from dwindle.findings.verdict import course_of
from dwindle.wording import clean, quantity

# The facts that a rescale can use, and what the command line calls them.
_SCALE_OPTIONS = {
    "lr": "--lr",
    "batch_size": "--batch-size",
    "dataset_size": "--dataset-size",
    "epochs": "--epochs",
}
_OPTIMIZER_OPTIONS = {
    "momentum": "--momentum",
    "schedule": "--schedule",
    "warmup": "--warmup",
    "final_lr": "--final-lr",
}
# What the command line takes where such an option is left out.
_DEFAULTS = (None, 0, 0.0, "constant")
# The class of each optimizer of a study, and the argument that it has besides its lr.
_CLASSES = {
    "sgd": ("torch.optim.SGD", "momentum"),
    "adamw": ("torch.optim.AdamW", "betas"),
    "adam": ("torch.optim.Adam", "betas"),
}


def next_steps(studies: Sequence[Findings]) -> tuple[str, ...]:
    """Return lines to copy: the optimizer as it should be set, the law, the command.

    Python or a shell reads them; remarks start with ``#``. Studies with a normalization
    are left out, since their λ is none that an optimizer takes.
    """
    plain = (study for study in studies if study.normalization == "none")
    return tuple(line for study in plain for line in _lines(study))


def base_cell(study: Findings) -> CellFindings | None:
    """Return the cell that all axes leave from; None if no axis has its value."""
    cells = [cell for axis in study.axes for cell in axis.cells]
    return next((cell for cell in cells if cell.scale == study.base), None)


def _lines(study: Findings) -> list[str]:
    cell = base_cell(study)
    name = optimizer_name(study.optimizer)
    if cell is None:
        base = f"# {name}: no axis has the value of the base cell"
        add = "so nothing was trained there. Add it to an axis for a line to copy."
        return [f"{base} ({scale_text(study.base)}), {add}"] if study.axes else []
    if cell.matters != "yes" or cell.optimum is None:
        return [f"# {name}: at the base scale {nothing_to_set(cell)}."]
    problem = clean(study.conditions.get("problem", "the problem of this study"))
    measured = f"# {name}, as measured on {problem} at {scale_text(cell.scale)}:"
    return [measured, *_lines_to_copy(study, cell, decay(cell.optimum))]


def _lines_to_copy(study: Findings, cell: CellFindings, best: str) -> list[str]:
    """Return the optimizer as it should be set, the measured law, and a rescale."""
    path, argument = _CLASSES[study.optimizer]
    stored: Mapping[str, Any] = study.conditions.get("optimizer") or {}  # JSON-like
    value = stored.get(argument)
    # A store keeps betas as a JSON list; torch wants them as a tuple.
    known = tuple(value) if isinstance(value, list) else value
    given = f", {argument}={known}" if known else ""
    call = f"{path}(model.parameters(), lr={cell.scale['lr']:g}{given}"
    low, high = ("open" if x is None else decay(x) for x in (cell.low, cell.high))
    toy = toy_of(study.conditions.get("problem", "the problem of this study"))
    remark = f"# set weight_decay = {best}; 90 %: {low} to {high}; of {toy}, not yours"
    lines = [f"{call}, weight_decay={best})  {remark}"]
    # The law is over the quantities that surely move the best λ.
    factors = [
        f"({axis.axis} / {cell.scale[axis.axis]:g}) ** {axis.exponent:.2f}"
        for axis in study.axes
        if course_of(axis) in ("up", "down") and axis.axis in cell.scale
    ]
    if factors:
        law = " * ".join([best, *factors])
        lines.append(f"weight_decay = {law}  # as measured on {toy}")
    facts = {name: f"{cell.scale[name]:g}" for name in _SCALE_OPTIONS}
    facts["dataset_size"] += f":{2 * cell.scale['dataset_size']:g}"  # twice the data
    options = [f"{_SCALE_OPTIONS[name]} {value}" for name, value in facts.items()]
    options += [
        f"{option} {stored[name]}"
        for name, option in _OPTIMIZER_OPTIONS.items()
        if stored.get(name) not in _DEFAULTS
    ]
    return [*lines, f"dwindle rescale {path}={best} {' '.join(options)}"]


def nothing_to_set(cell: CellFindings) -> str:
    """Return why the base cell gives no λ to set."""
    if is_untrained(cell):
        return "nothing was trained: the networks stay at chance without decay, too"
    idle, ruined = idle_up_to(cell), ruined_from(cell)
    if ruined:
        return f"every λ from {decay(ruined)} up is too large: try a lower grid"
    if idle:
        finding = "does not matter" if cell.matters == "no" else "shows no gain"
        grid = "a grid that goes higher would show more"
        return f"decay {finding} up to {decay(idle)}, where the grid ends: {grid}"
    if cell.matters == "no":
        return "decay does not matter, so nothing is worth setting"
    if cell.matters == "yes":
        return f"the best λ lies beyond the {cell.at_edge} edge of the grid"
    return "it is unknown whether decay matters, so no λ to set is known"


def scale_text(scale: Mapping[str, float]) -> str:
    """Return the quantities of a cell that its study file gives."""
    given = ("width", "depth", "batch_size", "dataset_size", "epochs", "lr")
    named = [f"{quantity(name)} {scale[name]:g}" for name in given if name in scale]
    return ", ".join(named)
