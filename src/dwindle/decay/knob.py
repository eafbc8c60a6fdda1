"""A knob: a place where a user types a decay, as a record with its names."""

from dataclasses import dataclass

from dwindle.decay.read_numbers import Clock
from dwindle.wording import number


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """Options of an optimizer beside lr and decay: defaults, None where it has none.

    Args:
        momentum: Momentum of SGD's kind.
        dampening: Its dampening.
        nesterov: Whether it is Nesterov's.
        betas: Decay rates of the moments; some have three.
        needs_momentum: Whether it refuses to run without a momentum above 0.
        dampening_is_flag: Whether dampening is either 0 or equal to the momentum.
        schedule: Shape of the lr's schedule, where there is one by default.

    """

    momentum: float | None = None
    dampening: float | None = None
    nesterov: bool | None = None
    betas: tuple[float, ...] | None = None
    needs_momentum: bool = False
    dampening_is_flag: bool = False
    schedule: str | None = None


NO_OPTIONS = OptimizerOptions()


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A place where a user types a decay, and what the number means there.

    ``family`` is the update rule that reads the number (a key of
    ``FAMILIES``), ``penalty`` the objective that it is a coefficient of (a key of
    ``PENALTIES``); a coupled knob has both. A rate, ``half-life`` or ``shrink``, has
    neither: it *is* the coordinate, on its ``clock``.

    Args:
        name: Public import path, or a name from a paper; a variant after a colon.
        formula: What the number does.
        unit: What the number is.
        symbol: Name of the number in formulas.
        family: Update rule, or None.
        penalty: Objective, or None.
        clock: Clock of a half-life.
        equilibrium: Key of ``EQUILIBRIA`` where that is known, or None.
        scale: What the family reads instead of the number x: a key of ``SCALES``.
        timescale: Whether the number on ``clock`` is the time until 1/e is left, 1/s
            steps, instead of one half.
        update: Algorithm that takes the step beside the decay, a variant after a colon;
            two optimizers of one update take the same steps where their decay and their
            other options are the same. Empty where that is not known.
        epsilon: What an adaptive optimizer adds to the gradient's size by default.
        options: Momentum and betas of its optimizer, with their defaults.
        default: Default value of the library; None if it has none.
        skips: Weights that the knob leaves alone by default.
        skips_nothing: Whether biases and norms decay too.
        version: Version that was read.
        source: File or section that was read.
        note: What is surprising about it.
        caution: Remark beside every number for this knob; ``{name}`` is the knob.
        varies: Whether the optimizer itself changes the rate of decay at times.
        apart: What sets its objective apart: a further term, or a target other than 0.
        aliases: Other full names.

    """

    name: str
    formula: str
    unit: str
    symbol: str = "weight_decay"
    family: str | None = None
    penalty: str | None = None
    clock: Clock | None = None
    equilibrium: str | None = None
    scale: str = ""
    timescale: bool = False
    update: str = ""
    epsilon: float = 0.0
    options: OptimizerOptions = NO_OPTIONS
    default: float | None = None
    skips: str = ""
    skips_nothing: bool = False
    version: str = ""
    source: str = ""
    note: str = ""
    caution: str = ""
    varies: bool = False
    apart: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def is_rate(self) -> bool:
        """Whether the knob is itself a half-life or a shrink."""
        return self.family is None and self.penalty is None

    @property
    def is_half_life(self) -> bool:
        """Whether the number is a half-life on a clock."""
        return self.clock is not None and not self.timescale

    def typed(self, value: float | None, *, digits: int = 3) -> str:
        """Return a number as it is typed here: a share of a run in percent.

        Example:
            >>> Knob(name="half-life:run", formula="", unit="", clock="run").typed(0.07)
            '7%'

        """
        if value is not None and self.is_half_life and self.clock == "run":
            return f"{number(100 * value, digits=digits)}%"
        return number(value, digits=digits)

    @property
    def wants_clock(self) -> bool:
        """Whether the number means nothing without a clock beside it."""
        return self.name == "half-life"

    @property
    def algorithm(self) -> str:
        """The update without its variant: LAMB is LAMB, clipped or not."""
        return self.update.partition(":")[0]

    @property
    def short_names(self) -> frozenset[str]:
        """Names that are resolved to this knob where they are unique.

        Example:
            >>> knob = Knob(name="torch.optim.Adam:decoupled", formula="", unit="")
            >>> sorted(knob.short_names)
            ['Adam:decoupled', 'optim.Adam:decoupled', 'torch.Adam:decoupled']

        """
        short: set[str] = set()
        for name in (self.name, *self.aliases):
            path, colon, variant = name.partition(":")
            parts = path.split(".")
            tails = [".".join(parts[start:]) for start in range(1, len(parts))]
            tails.append(f"{parts[0]}.{parts[-1]}" if tails else path)
            short |= {tail + colon + variant for tail in tails}
        return frozenset(short - {self.name})

    @property
    def library(self) -> str:
        """The first part of its import path."""
        return self.name.partition(".")[0]

    @property
    def spellings(self) -> tuple[str, ...]:
        """Name, aliases and short names."""
        return self.name, *self.aliases, *sorted(self.short_names)
