"""What a study says, in sentences made from its numbers; and what to type next."""

from dwindle.findings.model import Answer, AxisFindings, CellFindings, Findings
from dwindle.report import collapse, text

# Torch's name for each optimizer of a study; its knob is the canonical λ itself.
_TORCH = {"sgd": "torch.optim.SGD", "adamw": "torch.optim.AdamW"}


def verdict(shown: Answer | Findings) -> tuple[str, ...]:
    """Return the sentences to open with; the first one stands alone."""
    if isinstance(shown, Answer):
        told = tuple(text.clean(each, limit=1000) for each in shown.sentences)
        return told or ("Nothing was measured, so nothing can be said.",)
    return (study_verdict(shown), *_remarks(shown))


def study_verdict(findings: Findings) -> str:
    """Return in one sentence with which quantities the best λ moves.

    An exponent whose interval holds zero is "no change that could be measured", a
    missing one "cannot tell": the two are never mixed.
    """
    moving = [_moving(axis) for axis in findings.axes if _moves(axis) is True]
    still = [text.quantity(a.axis) for a in findings.axes if _moves(a) is False]
    unknown = [text.quantity(a.axis) for a in findings.axes if _moves(a) is None]
    parts = []
    if moving:
        parts.append(f"The best weight decay changes with {_list(moving)}")
    if still:
        parts.append(f"no change with {_list(still)} could be measured")
    if unknown:
        parts.append(f"about {_list(unknown)} this study cannot tell")
    sentence = "; ".join(parts) or "This study has no axis to compare"
    return f"{sentence[0].upper()}{sentence[1:]}."


def _moves(axis: AxisFindings) -> bool | None:
    if axis.exponent is None or axis.low is None or axis.high is None:
        return None
    return not axis.low <= 0 <= axis.high


def _moving(axis: AxisFindings) -> str:
    power = text.exponent(axis.exponent, axis.low, axis.high)
    return f"{text.quantity(axis.axis)} (exponent {power})"


def _list(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _remarks(findings: Findings) -> tuple[str, ...]:
    remarks = []
    if not findings.complete:
        remarks.append("The study is not finished; the same command continues it.")
    lost = findings.trials.get("diverged", 0)
    if lost:
        remarks.append(f"{lost} trainings diverged; none of them counts as an optimum.")
    return tuple(remarks)


def next_steps(shown: Answer | Findings) -> tuple[str, ...]:
    """Return lines to copy: what to set, or what to do where nothing is known."""
    if isinstance(shown, Answer):
        return tuple(text.clean(each, limit=400) for each in shown.next_steps)
    anchors = (_anchored(axis) for axis in shown.axes)
    cell = next((each for each in anchors if each is not None), None)
    if cell is None:
        return ("# No cell has an optimum: widen the grid of λ, or add seeds.",)
    return (_setting(shown, cell),)


def _anchored(axis: AxisFindings) -> CellFindings | None:
    position = collapse.anchor_cell(axis)
    cell = axis.cells[position] if position is not None else None
    return cell if cell is not None and cell.optimum is not None else None


def _setting(findings: Findings, cell: CellFindings) -> str:
    best = text.decay(cell.optimum)
    interval = text.decay_interval(cell.low, cell.high)
    remark = f"# best λ {best}, 90 % interval {interval}"
    knob = _TORCH.get(findings.optimizer)
    if knob is None or findings.normalization != "none":
        name = text.clean(findings.normalization, limit=40)
        return f"λ = {best}  {remark}, normalization {name}"
    lr = text.number(cell.scale.get("lr"))
    return f"{knob}(model.parameters(), lr={lr}, weight_decay={best})  {remark}"
