"""One line of mathematics: what a step does to a weight, with the numbers in it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dwindle.decay.knob import Knob
from dwindle.decay.own_facts import resolved
from dwindle.decay.penalties import PENALTIES
from dwindle.decay.run import Run

_LAMBD = 1e-4  # of torch.optim.ASGD, on by default
# Said once per line, for the letters in it.
_LETTERS: Mapping[str, str] = MappingProxyType(
    {
        "η": "η: the peak lr",
        "m_t": "m_t: the schedule, 1 at its peak",
        "u": "u: the optimizer's own step",
        "B": "B: examples in a minibatch",
        "T": "T: steps of the run",
        "d_t": "d_t: the estimate of the lr",
    }
)
_ADAM = "m̂/(√v̂ + ε)"
# What follows the lr in the optimizers that people know by heart; u for all others.
_OWN_STEPS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("adam", "adamw", "decoupledadamw", "adamc"), _ADAM),
        "lion": "sign(c)",
    }
)


@dataclass(frozen=True)
class _Words:
    """The parts of a line: each is a number where it is known, else its letter."""

    knob: Knob
    run: Run
    number: str

    @property
    def peak(self) -> str:
        """The lr at its peak."""
        return "η" if self.run.lr is None else _said(self.run.lr)

    @property
    def multiplier(self) -> str:
        """The schedule's factor; empty where the lr is constant."""
        schedule = self.run.schedule
        is_constant = schedule.shape == "constant" and schedule.warmup == 0
        return "" if is_constant else "m_t"

    @property
    def lr(self) -> str:
        """The lr of a step."""
        return _product(self.peak, self.multiplier)

    @property
    def multiplier_squared(self) -> str:
        """The schedule's factor of a decay that is corrected."""
        return self.multiplier and f"{self.multiplier}²"

    @property
    def decay(self) -> str:
        """What the optimizer reads: the number, or what it makes of it."""
        if self.knob.scale == "/√steps":
            steps = self.run.quantities().get("steps")
            return f"({self.number}/√{'T' if steps is None else _said(steps)})"
        if self.knob.scale == "/B" or "batch-sum" in str(self.knob.penalty):
            return f"({self.number}/{self.run.batch_size or 'B'})"
        return self.number

    @property
    def step(self) -> str:
        """The optimizer's own step, after the lr."""
        name = self.knob.name.partition(":")[0].rpartition(".")[2].casefold()
        return _OWN_STEPS.get(name, "u")


def update_line(knob: Knob, number: float, run: Run) -> str:
    """Return what one step does to a weight w with gradient g, with these numbers.

    A fact that is not known stays a letter; a term of an objective is told as that.

    Example:
        >>> from dwindle.decay.knobs import resolve_knob
        >>> update_line(resolve_knob("torch.optim.AdamW"), 0.1, Run(lr=3e-4))
        'w ← w − 0.0003·0.1·w − 0.0003·m̂/(√v̂ + ε)'
        >>> update_line(resolve_knob("torch.optim.SGD"), 5e-4, Run(momentum=0.9))
        'b ← 0.9·b + g + 0.0005·w; w ← w − η·b  (η: the peak lr)'

    """
    line = _line(knob, number, resolved(knob, run))
    letters = [
        told
        for letter, told in _LETTERS.items()
        if re.search(rf"(?<![A-Za-z_]){letter}(?![A-Za-z_])", line)
    ]
    if knob.family is None and not knob.is_rate:
        return line  # an objective says its letters itself
    return f"{line}  ({'; '.join(letters)})" if letters else line


def _line(knob: Knob, number: float, run: Run) -> str:
    if knob.is_rate:
        return _rate(knob, number, run)
    if knob.family is None:
        return _objective(knob, number)
    return _LINES[knob.family](_Words(knob, run, _said(number)))


def _rate(knob: Knob, number: float, run: Run) -> str:
    multiplier = _Words(knob, run, "").multiplier
    if knob.clock is None:
        return f"w ← w − {_product(_said(number), multiplier, 'w')}"
    if knob.timescale:
        slower = _product("w", multiplier)
        return f"w ← w − {slower}/τ with τ = {_said(number)} {_unit(knob)}"
    return f"w ← w·2^(−1/h) at the peak lr, with h = {_said(number)} {_unit(knob)}"


def _unit(knob: Knob) -> str:
    return "of the run" if knob.clock == "run" else str(knob.clock)


def _objective(knob: Knob, number: float) -> str:
    """Put the number for the x of the objective's formula."""
    formula = PENALTIES[str(knob.penalty)].formula
    formula = re.sub(r"(?<=\d)x", "·x", formula)
    return "minimize " + re.sub(r"\bx(?![A-Za-z])", _said(number), formula)


def _coupled_sgd(words: _Words) -> str:
    run, gradient = words.run, f"g + {words.decay}·w"
    if run.momentum == 0:
        return f"w ← w − {words.lr}·({gradient})"
    kept = 1 - run.dampening
    pushed = gradient if kept == 1 else f"{_said(kept)}·({gradient})"
    buffer = f"b ← {_said(run.momentum)}·b + {pushed}"
    if run.nesterov:
        ahead = f"{gradient} + {_said(run.momentum)}·b"
        return f"{buffer}; w ← w − {words.lr}·({ahead})"
    return f"{buffer}; w ← w − {words.lr}·b"


def _beside(*factors: str) -> Callable[[_Words], str]:
    """Build the line of a decay beside the step, a product of parts of the words."""

    def line(words: _Words) -> str:
        shrink = _product(*(getattr(words, factor) for factor in factors), "w")
        return f"w ← w − {shrink} − {words.lr}·{words.step}"

    return line


def _asgd(extra: str) -> Callable[[_Words], str]:
    def line(words: _Words) -> str:
        decay = f"({words.decay} + {extra})" if extra else words.decay
        before = _product(words.peak, words.multiplier and "m_{t−1}")
        falls = f"(1 + {extra or words.decay}·{before}·t)^0.75"
        first = _product(words.peak, words.multiplier and "m_0")
        return f"w ← w − e_t·(g + {decay}·w) with e_0 = {first}, e_t = {before}/{falls}"

    return line


def _adaptive(words: _Words) -> str:
    gradient = f"g + {words.decay}·w"
    return f"w ← w − {words.lr}·m̂(G)/(√v̂(G) + ε) with G = {gradient}"


def _proximal(*factors: str) -> Callable[[_Words], str]:
    def line(words: _Words) -> str:
        shrink = _product(*(getattr(words, factor) for factor in factors))
        return f"w ← (w − {words.lr}·u)/(1 + {shrink})"

    return line


_LINES: Mapping[str, Callable[[_Words], str]] = MappingProxyType(
    {
        "coupled-sgd": _coupled_sgd,
        "decoupled": _beside("lr", "decay"),
        "schedule-only": _beside("multiplier", "decay"),
        "constant": _beside("decay"),
        "corrected": _beside("peak", "multiplier_squared", "decay"),
        "asgd": _asgd(f"{_LAMBD:g}"),
        "asgd-lambd": _asgd(""),
        "proximal": _proximal("lr", "decay"),
        "proximal-schedule-only": _proximal("multiplier", "decay"),
        "coupled-adaptive": _adaptive,
        "trust-ratio": lambda words: (
            f"w ← w − {words.lr}·(‖w‖/‖U‖)·U with U = u + {words.decay}·w"
        ),
        "schedule-free": lambda words: (
            f"z ← z − {words.lr}·(u + {words.decay}·y); x ← average of all z; "
            "y between z and x"
        ),
        "estimated-lr": lambda words: (
            f"w ← w − d_t·{words.lr}·{words.decay}·w − d_t·{words.lr}·u"
        ),
        "optimal-schedule": lambda words: (
            f"w ← w − w/(t₀ + t − 1) − η_t·g with η_t = 1/({words.decay}·(t₀ + t − 1))"
        ),
        "rebuilt-weights": lambda words: (
            f"w ← w − {words.lr}·{words.decay}·w, and then w ← function of the sums of "
            "all gradients"
        ),
    }
)


def _product(*factors: str) -> str:
    return "·".join(factor for factor in factors if factor)


def _said(number: float) -> str:
    return f"{number:.6g}"
