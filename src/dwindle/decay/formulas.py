"""The mathematics of a decay with its numbers in it: of a step, and of a conversion."""

from collections.abc import Mapping
from string import Formatter
from types import MappingProxyType

from dwindle.decay.coordinates import (
    SCALES,
    decays_by_size,
    decoupled_over_penalty,
    penalty_convention_of,
)
from dwindle.decay.families import family_of
from dwindle.decay.knob import Knob
from dwindle.decay.own_facts import facts_of, resolved
from dwindle.decay.penalties import PENALTIES
from dwindle.decay.read_numbers import Clock
from dwindle.decay.run import Run

# The legend of a line has those that are in it.
_LETTERS: Mapping[str, str] = MappingProxyType(
    {
        "η": "the peak lr",
        "m_t": "the schedule, 1 at its peak",
        "k_t": "that of the decay, 1 at its peak",
        "u": "the optimizer's own step",
        "B": "examples in a minibatch",
        "(64/B)": "B examples in a step",
        "T": "steps of the run",
        "d_t": "the estimate of the lr",
    }
)
_ADAM = "m̂/(√v̂ + ε)"
# The update without the lr of well-known optimizers; u for all others.
_OWN_STEPS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("adam", "adamw", "decoupledadamw", "adamc"), _ADAM),
        "lion": "sign(c)",
    }
)
# Factors from a time on a clock to steps, and back.
_CLOCK_FACTORS: Mapping[Clock, tuple[str, str]] = {
    "steps": ("", ""),
    "examples": ("/(examples per step)", "·(examples per step)"),
    "epochs": ("·(steps per epoch)", "/(steps per epoch)"),
    "tokens": ("/(tokens per step)", "·(tokens per step)"),
    "run": ("·(steps of the run)", "/(steps of the run)"),
}


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Fill a line in, and explain the letters of the parts that are in it."""
    # Letters are fields of the parts, so the filled line shows which are used.
    line = template.format_map(parts)
    letters = {name for _, name, _, _ in Formatter().parse(line) if name}
    line = line.format_map({letter: letter for letter in letters})
    legend = [f"{name}: {text}" for name, text in _LETTERS.items() if name in letters]
    return f"{line}  ({'; '.join(legend)})" if legend else line


def update_line(knob: Knob, number: float, run: Run) -> str:
    """Return what one step does to a weight w with gradient g, with these numbers.

    A fact that is not known stays a letter; of a term of an objective it is the term.

    Example:
        >>> from dwindle.decay.knobs import resolve_knob
        >>> update_line(resolve_knob("torch.optim.AdamW"), 0.1, Run(lr=3e-4))
        'w ← w − 0.0003·0.1·w − 0.0003·m̂/(√v̂ + ε)'
        >>> update_line(resolve_knob("torch.optim.SGD"), 5e-4, Run(momentum=0.9))
        'b ← 0.9·b + g + 0.0005·w; w ← w − η·b  (η: the peak lr)'

    """
    run, family = resolved(knob, run), family_of(knob)
    if family is not None:
        return _filled(family.written_for(run).line, _parts(knob, number, run))
    if not knob.is_rate:
        written = PENALTIES[str(knob.penalty)].written(_digits(number), run)
        return f"minimize {written.objective}"
    factors = [*_of_lr(run), *_of_decay(run)]
    parts = {"m": _before(factors), "slower": "·".join(["w", *factors])}
    parts["x"] = _digits(number)
    unit = "of the run" if knob.clock == "run" else knob.clock
    if knob.clock is None:
        return _filled("w ← w − {x}·{m}w", parts)
    if knob.timescale:
        return _filled(f"w ← w − {{slower}}/τ with τ = {{x}} {unit}", parts)
    return _filled(f"w ← w·2^(−1/h) at the peak lr, with h = {{x}} {unit}", parts)


def _of_lr(run: Run) -> list[str]:
    """Return the factor of the lr's schedule, none where it is 1."""
    return [] if run.schedule.is_constant else ["{m_t}"]


def _of_decay(run: Run) -> list[str]:
    """Return the factor of a schedule that the decay has by itself."""
    return [] if run.decay_schedule.is_constant else ["{k_t}"]


def _before(factors: list[str]) -> str:
    return "".join(f"{each}·" for each in factors)


def _parts(knob: Knob, number: float, run: Run) -> dict[str, str]:
    """Return the values for the fields of a family's line."""
    peak = "{η}" if run.lr is None else _digits(run.lr)
    changes = not run.schedule.is_constant
    decay = _decay(knob, number, run)
    coupled = f"g + {decay}·w"
    kept = 1 - run.dampening
    # The last part of its path is the name of the optimizer.
    name = knob.name.partition(":")[0].rpartition(".")[2].casefold()
    return {
        "peak": peak,
        "m": _before(_of_lr(run)),
        "m_squared": "{m_t}²·" if changes else "",
        "lr": f"{peak}·{{m_t}}" if changes else peak,
        "first_lr": f"{peak}·m_0" if changes else peak,
        "lr_before": f"{peak}·m_{{{{t−1}}}}" if changes else peak,
        "decay": decay,
        "coupled": coupled,
        "pushed": coupled if kept == 1 else f"{_digits(kept)}·({coupled})",
        "momentum": _digits(run.momentum),
        "step": _OWN_STEPS.get(name, "{u}"),
        "u": "{u}",
        "d": "{d_t}",
    }


def _decay(knob: Knob, number: float, run: Run) -> str:
    """Return the decay that the optimizer applies: the number, or its quotient."""
    x = _before(_of_decay(run)) + _digits(number)
    penalty = penalty_convention_of(knob)
    divisor = SCALES[knob.scale].divisor(run)
    if divisor is None and penalty is not None and penalty.over == "batch_size":
        divisor = SCALES["/B"].divisor(run)
    if divisor is None:
        return x
    root, letter, digits = divisor
    return f"({x}/{root}{digits or f'{{{letter}}}'})"


def shrink_formulas(knob: Knob, run: Run) -> tuple[str, str]:
    """Return the formula from the number to the shrink, and the one back."""
    x = knob.symbol
    if knob.clock is not None:
        to_steps, from_steps = _CLOCK_FACTORS[knob.clock]
        steps = f"({x}{to_steps})" if to_steps else x
        if knob.timescale:
            return f"s = 1/{steps}", f"{x} = 1/s{from_steps}"
        return f"s = 1 − 2^(−1/{steps})", f"{x} = −ln 2/ln(1 − s){from_steps}"
    family = family_of(knob)
    if family is None:
        return "s", "s"
    if decays_by_size(knob, run):
        _, forward, inverse = PENALTIES[str(knob.penalty)].written(x, Run())
        # Six digits, as in ``_digits``.
        gain = f"{decoupled_over_penalty(knob, run):.6g}"
        return f"{forward}, s = η·λ·{gain}", f"λ = s/(η·{gain}), {inverse}"
    written, scale = family.written_for(facts_of(knob, run)), SCALES[knob.scale]
    return (
        written.shrink.format(x=x + knob.scale),
        written.number.format(x=x) + scale.inverse,
    )


def _digits(number: float) -> str:
    # Six digits, so that a line computed by hand gives the three digits beside it.
    return f"{number:.6g}"
