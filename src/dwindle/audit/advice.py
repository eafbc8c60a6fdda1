"""What to do about a finding of a setting: a sentence, and the line to write."""

from collections.abc import Callable, Mapping

from dwindle.decay.convert import convert
from dwindle.decay.explain import Explanation
from dwindle.decay.knobs import resolve_knob
from dwindle.decay.run import Run
from dwindle.errors import DwindleError

Advice = tuple[str, str]  # what to do; the line to write, empty where there is none

_SHARE_THAT_ACTS = "20% of the run"
_PARTS = 5
# Beyond this many runs a half-life is no decay that one could turn up a little.
_HOPELESS_RUNS = 10
_WITH_SWITCH = frozenset({"Adam", "NAdam", "RAdam"})


def advice_for(code: str, told: Explanation, run: Run) -> Advice:
    """Return what to do about a finding, with this setting's own numbers.

    Args:
        code: The code that was found.
        told: What the setting does.
        run: The run that it does it in.

    Returns:
        A sentence and the exact line to write; both may be empty.

    Example:
        >>> from dwindle.decay.explain import explain
        >>> run = Run(lr=1e-2, batch_size=100, dataset_size=10_000, epochs=3)
        >>> advice_for("DW011", explain(5, "torch.AdamW", run=run), run)[1]
        'weight_decay=0.6908  # was 5'

    """
    return _ADVICE[code](told, run) if code in _ADVICE else ("", "")


def half_life_instead(code: str, run: Run) -> tuple[str, str]:
    """Return the half-life to ask for where another was too long or too short.

    It lies between one epoch and the run, so that one finding is not made another.

    Args:
        code: ``DW010``, longer than the run, or ``DW011``, shorter than an epoch.
        run: The run.

    Returns:
        A sentence, and the half-life as one types it.

    Example:
        >>> half_life_instead("DW010", Run(epochs=3))[1]
        '1 epoch'
        >>> half_life_instead("DW011", Run(epochs=90))[1]
        '2 epochs'

    """
    epochs = run.quantities().get("epochs")
    if code == "DW011":
        asked = "2 epochs" if epochs is None or epochs >= 2 * 2 else "1 epoch"
        return f"For a half-life of {asked}, which sees all examples:", asked
    is_short = epochs is not None and 1 < epochs < _PARTS
    asked = "1 epoch" if is_short else _SHARE_THAT_ACTS
    return f"If it shall act, for a half-life of {asked}:", asked


def line_for_half_life(half_life: str, told: Explanation, run: Run) -> str:
    """Return the line with the number for a half-life; empty where there is none."""
    try:
        there = convert(half_life, "half-life", to=told.knob, run=run)
    except DwindleError:
        return ""
    return f"{_symbol(told)}={there.value:.4g}  # was {told.value:g}"


def is_as_good_as_none(told: Explanation) -> bool:
    """Tell whether a half-life is so many runs long that no decay was meant by it."""
    runs = told.half_life_average["run"]
    return runs is None or runs > _HOPELESS_RUNS


def _said(remedy: str, line: str = "") -> Callable[[Explanation, Run], Advice]:
    return lambda *_: (remedy, line)


def _decoupled(told: Explanation, _: Run) -> Advice:
    name = told.knob.rpartition(".")[2]
    line = "torch.optim.AdamW(params, lr=lr, weight_decay=0.1)"
    if told.knob.startswith("torch.optim.") and name in _WITH_SWITCH:
        line = f"torch.optim.{name}(params, lr=lr, decoupled_weight_decay=True, ...)"
    return "Its number means nothing there, so choose it anew:", line


def _longer(told: Explanation, run: Run) -> Advice:
    if is_as_good_as_none(told):
        remedy = (
            "It is as good as none, which suits fine-tuning: decay would wash out what "
            "was trained before. Write 0 and have one knob less:"
        )
        return remedy, f"{_symbol(told)}=0.0  # was {told.value:g}"
    remedy, asked = half_life_instead("DW010", run)
    return remedy, line_for_half_life(asked, told, run)


def _shorter(told: Explanation, run: Run) -> Advice:
    remedy, asked = half_life_instead("DW011", run)
    return remedy, line_for_half_life(asked, told, run)


def _symbol(told: Explanation) -> str:
    return resolve_knob(told.knob).symbol


_ADVICE: Mapping[str, Callable[[Explanation, Run], Advice]] = {
    "DW008": _decoupled,
    "DW009": _said(
        "In a program of torch:",
        'model.float()  # and torch.autocast("cuda", torch.bfloat16) around the loss',
    ),
    "DW010": _longer,
    "DW011": _shorter,
    "DW013": _said("Turn it off:", "torch.optim.ASGD(params, lr=lr, lambd=0.0)"),
    "DW025": _said("Sizes are not checked here; measure what a weight keeps."),
    "DW026": _said("Take a decay that follows the lr, such as torch.optim.AdamW's."),
}
