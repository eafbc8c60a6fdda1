"""Weight RMS and rotation per step that a decay and white gradients settle at.

A weight whose gradient is white noise of standard deviation σ, independent of it, is a
linear filter of that noise. Its variance R² and its correlation ρ from one step to the
next are exact; the rotation is ``arccos ρ``, the angle between two successive weight
vectors of many coordinates. For slow decay they tend to the square roots that the
literature gives: AdamW ``R = √(η / 2λ)`` and ``√(2 η λ (1 − β₁)/(1 + β₁))``, SGD
``R = σ √(η_e / 2λ)`` with ``η_e = η (1 − d)/(1 − μ)`` and ``√(2 η (1 − d) λ/(1 + μ))``.

Reference: Kosson, Messmer & Jaggi 2024, Rotational Equilibrium (arXiv 2305.17212), and
Wan et al. 2021, Spherical Motion Dynamics (arXiv 2006.08419), for the limits; the exact
forms are the textbook variances of AR(2) and ARMA(2, 1) processes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from types import MappingProxyType

from dwindle.decay.half_life import checked_knob
from dwindle.decay.long_runs import LONGEST_WALK, Stretch
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import RangeError

# Weights count as settled after one timescale 1/s, which leaves 1/e of the initial
# ones: the RMS of noise is then 7 % below the equilibrium.
MOST_THAT_STAYS = math.exp(-1)
# Decay and equilibrium are found at lrs this far apart, and between them by their logs:
# as powers of the lr they are straight there, to fewer digits than are printed.
_GRID = 1.2
# At a smaller share of the peak lr weights do not change.
_NOTHING = 1e-12
# In so many parts of a run the lr is constant to three digits.
_MOST_PARTS = 500


@dataclass(frozen=True, kw_only=True)
class Equilibrium:
    """Where decay and noise balance, at the peak lr.

    Args:
        rms: Root mean square of a weight; ``inf`` without decay.
        rotation_per_step: Angle in radians between weights one step apart.

    """

    rms: float
    rotation_per_step: float


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """w_t = first·w_{t-1} + second·w_{t-2} + kick·n_t + echo·n_{t-1}, n_t white.

    ``slack`` is 1 − first − second: what pulls the weight back, given and not computed
    because the difference has no digit left where decay is slow.
    """

    first: float
    second: float
    slack: float
    kick: float
    echo: float = 0.0

    def equilibrium(self) -> Equilibrium:
        """Return the stationary spread and the angle of one step."""
        if self.slack == 0:
            return Equilibrium(rms=math.inf, rotation_per_step=0.0)
        # Of AR(2): all three factors are above 0 where both roots are below 1 in size.
        room = (1 + self.second) * self.slack * (1 - self.second + self.first)
        # n_{t−1} is in w_{t−1} too, so kick and echo are correlated through ``first``.
        cross = self.kick * self.echo
        power = self.kick**2 + self.echo**2 + self.first * cross
        driven = self.first * (1 + self.second) * cross + power * (1 - self.second)
        variance = driven / room
        # 1 − ρ, from γ₁ = first·γ₀ + second·γ₁ + cross, with the slack for what would
        # cancel.
        turned = (self.slack - cross / variance) / (1 - self.second)
        # arccos(1 − x) as 2 arcsin √(x/2): x may be 1e-15.
        angle = 2 * math.asin(math.sqrt(turned / 2))
        return Equilibrium(rms=math.sqrt(variance), rotation_per_step=angle)


def sgd_equilibrium(
    knob: float, run: Run, *, gradient_noise: float = 1.0
) -> Equilibrium:
    """Equilibrium of torch.optim.SGD: plain, with momentum and dampening, or Nesterov.

    With ``a = η λ`` and ``e = (1 − d) a``, plain momentum is
    ``w_{t+1} = (1 + μ − e) w_t − μ w_{t−1} − η (1 − d) g_t``, so
    ``R² = η² (1 − d)² σ² (1 + μ) / ((1 − μ) e (2 (1 + μ) − e))`` and
    ``cos θ = 1 − e/(1 + μ)``; Nesterov adds a term in ``g_{t−1}``.

    Args:
        knob: ``weight_decay`` of the optimizer, at least 0.
        run: Gives lr, momentum, dampening and nesterov.
        gradient_noise: Standard deviation σ of one weight's gradient; the RMS is
            proportional to it, so 1 gives the RMS per unit of gradient noise.

    """
    lr = run.require("lr", "The equilibrium of SGD")
    walk = _nesterov if run.nesterov else _plain
    return walk(lr, checked_knob(knob), gradient_noise, run).equilibrium()


def _plain(lr: float, knob: float, noise: float, run: Run) -> _Walk:
    # torch keeps no buffer without momentum, so nothing is dampened then.
    kick = lr * (1 - run.dampening if run.momentum else 1.0)
    # Where a root reaches −1: there 1 − second + first is 0.
    _refuse_growth(knob, limit=2 * (1 + run.momentum) / kick)
    return _Walk(
        first=1 + run.momentum - kick * knob,
        second=-run.momentum,
        slack=kick * knob,
        kick=kick * noise,
    )


def _nesterov(lr: float, knob: float, noise: float, run: Run) -> _Walk:
    momentum, pull = run.momentum, lr * knob
    # The same: 1 + μ (1 − a) + (1 + μ)(1 − a) is 0, with a = η λ.
    _refuse_growth(knob, limit=2 * (1 + momentum) / ((1 + 2 * momentum) * lr))
    return _Walk(
        first=(1 + momentum) * (1 - pull),
        second=-momentum * (1 - pull),
        slack=pull,
        kick=lr * (1 + momentum) * noise,
        # A step takes g + μ b, and the next one takes part of it back.
        echo=-lr * momentum * noise,
    )


def _refuse_growth(knob: float, *, limit: float) -> None:
    if knob >= limit:
        # Six digits: a number just beyond the limit must not read like it.
        must = f"below {limit:.6g} here: from there on every step makes weights larger"
        raise RangeError("weight_decay", knob, must)


def adamw_equilibrium(knob: float, run: Run) -> Equilibrium:
    """Equilibrium of AdamW under gradients that are mostly noise.

    Adam divides by the gradient's size, so the update is the first moment of noise with
    unit variance, for every σ: ``w_{t+1} = (1 − s) w_t − η m_t`` with ``s = η λ`` and
    ``m_t = β₁ m_{t−1} + (1 − β₁) n_t``. Then, with ``a = 1 − s``,
    ``R² = η² (1 − β₁)(1 + a β₁) / ((1 + β₁)(1 − a β₁)(1 − a²))`` and
    ``cos θ = (a + β₁)/(1 + a β₁)``. That the second moment wavers (β₂) is left out.
    """
    lr = run.require("lr", "The equilibrium of AdamW")
    slack, memory = lr * checked_knob(knob), run.betas[0]
    if slack >= 1:
        raise RangeError("weight_decay", knob, f"below 1 / lr, {1 / lr:g}")
    # (1 − aL)(1 − β₁L) w_t = −η (1 − β₁) n_t with the lag L: the roots are a and β₁.
    walk = _Walk(
        first=1 - slack + memory,
        second=-(1 - slack) * memory,
        slack=slack * (1 - memory),
        kick=lr * (1 - memory),
    )
    return walk.equilibrium()


def rms_at_end(
    run: Run,
    *,
    equilibrium: Callable[[Run, float], Equilibrium],
    shrink_per_step: Callable[[Run, float], float],
) -> float:
    """RMS of a weight at the end of a run whose lr and decay follow their schedules.

    The size of a weight moves, at the rate of its decay, towards the equilibrium of the
    current lr, R(η)::

        R² ← (1 − s_t)² R² + (1 − (1 − s_t)²) R(η_t)²

    from 0 on, because a long enough run leaves nothing but noise. A long run is cut
    into parts of a constant lr.

    Args:
        run: Gives lr, schedule and length.
        equilibrium: Where weights settle in a run of constant lr, with the decay as a
            multiple of its peak.
        shrink_per_step: What a step takes off them there; above 0.

    Raises:
        RangeError: If so strong a decay has no equilibrium.
        MissingFactError: If the run has no lr or no length.
        ZeroDivisionError: If decay or equilibrium is below the smallest float.

    """
    peak, rates = run.require("lr", "The size of weights at the end"), run.rates()
    decays = run.decay_rates(0)

    @cache
    def logs_at(power: int, of_decay: int) -> tuple[float, float]:
        """Return the logs of decay and of variance at a place of the grid."""
        here, number = _at_lr(run, peak, _GRID**-power), _GRID**-of_decay
        decay = -math.log1p(-shrink_per_step(here, number))
        rms = equilibrium(here, number).rms
        if not (decay > 0 and 0 < rms < math.inf):
            raise ZeroDivisionError
        return math.log(decay), 2 * math.log(rms)

    variance = 0.0
    for start, stop in pairwise(_ends_of_parts(rates.steps)):
        # The lr in the middle of the steps start, …, stop − 1.
        middle = (start + stop) / 2 - 0.5
        multiplier, number = rates.at(middle), max(decays.at(middle), _NOTHING)
        if multiplier > _NOTHING:
            places = (
                -math.log(each) / math.log(_GRID) for each in (multiplier, number)
            )
            decay, settled = _between(logs_at, *places)
            # Twice: the variance is the square of what decays.
            forgotten = -math.expm1(-2 * (stop - start) * decay)
            variance += forgotten * (settled - variance)
    return math.sqrt(variance)


def _at_lr(run: Run, peak: float, multiplier: float) -> Run:
    """Return the run at a constant lr, with the momentum that a cycle has there."""
    here = replace(run, lr=peak * multiplier, schedule=Schedule())
    momentum = run.schedule.momentum_at(multiplier)
    if momentum is None:
        return here
    return replace(
        here, momentum=run.momentum and momentum, betas=(momentum, run.betas[1])
    )


def _between(
    logs_at: Callable[[int, int], tuple[float, float]], place: float, of_decay: float
) -> list[float]:
    """Interpolate between places of the grid, where both are about power laws."""
    found = [0.0, 0.0]
    for power, part in _neighbours(place):
        for number, share in _neighbours(of_decay):
            decay, variance = logs_at(power, number)
            found[0] += part * share * decay
            found[1] += part * share * variance
    return list(map(math.exp, found))


def _neighbours(place: float) -> list[tuple[int, float]]:
    """Return the neighbours of a place with their shares, or only the place itself."""
    before, share = math.floor(place), place % 1
    return [(before, 1 - share), (before + 1, share)] if share else [(before, 1.0)]


def _ends_of_parts(steps: int) -> list[float]:
    """Return where parts of a run begin and end, ever shorter towards its end."""
    # The last steps count most, and there the lr may fall by any factor.
    if steps <= _MOST_PARTS:
        return [float(step) for step in range(steps + 1)]
    shares = (part / _MOST_PARTS for part in range(_MOST_PARTS + 1))
    return [steps * (1 - (1 - share) ** 3) for share in shares]


# Lion's defaults; those of a run are Adam's.
LION_BETAS = (0.9, 0.99)
# Lags whose correlation is below this add nothing to a sum that is above 1.
_NO_MEMORY = 1e-17
# The nearest float to 1 forgets in fewer.
_MOST_LAGS = 1e18


def lion_equilibrium(knob: float, run: Run) -> Equilibrium:
    """Equilibrium of Lion under gradients that are mostly Gaussian noise.

    Every step is ``η·sign(c_t)`` with ``c_t = β₁ m_{t−1} + (1 − β₁) g_t`` and
    ``m_t = β₂ m_{t−1} + (1 − β₂) g_t``. Two signs k steps apart have the correlation
    ``(2/π) arcsin r_k``, where ``r_k`` is that of ``c``. Then, with ``a = 1 − η λ``,
    ``R² = η² κ/(1 − a²)`` and ``κ = 1 + 2 Σ a^k (2/π) arcsin r_k``.

    Betas that are not given are Lion's, 0.9 and 0.99.

    Reference: Kosson, Messmer & Jaggi 2024 (arXiv 2305.17212), whose square root
    takes the arcsine for its argument; the arcsine law is Van Vleck's.

    """
    lr = run.require("lr", "The equilibrium of Lion")
    slack = lr * checked_knob(knob)
    if slack >= 1:
        # Six digits, as in ``_refuse_growth``.
        must = f"below {1 / lr:.6g} here, 1 over the lr"
        raise RangeError("weight_decay", knob, must)
    if slack == 0:
        return Equilibrium(rms=math.inf, rotation_per_step=0.0)
    betas = LION_BETAS if run.betas == Run().betas else run.betas
    kept = 1 - slack
    # slack (2 − slack) is 1 − a² without its cancellation.
    variance = lr**2 * _sign_memory(kept, betas) / (slack * (2 - slack))
    # E[(w' − w)²] from w' = a·w − η·u, with E[w·u] as the stationary variance has it.
    pull = (lr**2 - slack * (2 - slack) * variance) / kept
    moved = slack**2 * variance + lr**2 + slack * pull
    # The chord of an angle θ between two vectors of length R is 2 R sin(θ/2).
    angle = 2 * math.asin(math.sqrt(moved / variance) / 2)
    return Equilibrium(rms=math.sqrt(variance), rotation_per_step=angle)


def _sign_memory(kept: float, betas: tuple[float, float]) -> float:
    """Return κ: 1 plus twice the correlations of the signs, each lag shrunk."""
    first, second = betas
    # The variance of c, and its covariance one step on, but for a factor 1 − β₂. Only m
    # carries c over, so each further lag is β₂ times the one before.
    power = (1 - first) ** 2 + first**2 * (1 - second) / (1 + second)
    mixed = (1 - first) * first + first**2 * second / (1 + second)
    correlation = mixed * (1 - second) / power
    # After so many lags the product is below that; a slow decay with betas near 1 may
    # have any number of them, and then a smooth function is summed.
    fades = math.log(kept) + math.log(second) if second else -math.inf
    lags = math.log(_NO_MEMORY) / fades if fades else math.inf
    if lags > LONGEST_WALK:
        # A power of two, for which most runs have the same nodes.
        stop = 2 ** math.ceil(math.log2(min(lags, _MOST_LAGS)))
        every = Stretch(start=0, stop=stop, at=float)
        total = every.total(
            lambda lag: kept ** (lag + 1) * math.asin(min(correlation * second**lag, 1))
        )
        return 1 + 4 / math.pi * total
    weight, total = kept, 0.0
    while weight * correlation > _NO_MEMORY:
        total += weight * math.asin(min(correlation, 1.0))
        weight, correlation = weight * kept, correlation * second
    return 1 + 4 / math.pi * total


# By what a knob's record names; AdamW and Muon are of one family.
EQUILIBRIA: Mapping[str, Callable[[float, Run], Equilibrium]] = MappingProxyType(
    {"sgd": sgd_equilibrium, "adamw": adamw_equilibrium, "lion": lion_equilibrium}
)
