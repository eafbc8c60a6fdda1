"""Coupled decay under an adaptive optimizer, where gradients are noise of known size.

Adam divides the sum of gradient and ``λ·w`` by its own size. Where that size is the
gradients' and the gradients do not depend on the weight, the decay is divided by a
constant: one step takes ``lr·λ/(G + ε)`` off a weight, with ``G`` the root mean square
of its gradient, as AdamW does with ``weight_decay = λ/(G + ε)``.

Measured on torch 2.13.0 and pytorch_optimizer 4.1.0 as the difference of two starts
under the same white noise, 500 to 2,000 steps, over lr·λ/G: Adam 1.001, NAdam 1.001,
RMSprop 0.994, AdaBelief 1.086; RAdam 0.69, which its rectification takes to 1.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from dwindle.decay.knob import Knob
from dwindle.decay.no_rate import NO_RATE
from dwindle.decay.run import Run


def _belief(run: Run) -> float:
    """AdaBelief divides by the size of g − m, which is smaller than that of g."""
    beta = run.betas[0]
    return math.sqrt((1 + beta) / 2) / beta


# By algorithm: how much more than lr·λ/(G + ε) a step takes. Adagrad, Adadelta, Adamax,
# ADOPT and AdEMAMix divide by other sizes, which G does not determine.
_GAINS: Mapping[str, Callable[[Run], float]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("adam", "torch-nadam", "radam", "torch-rmsprop"), lambda _: 1.0
        ),
        "adabelief": _belief,
    }
)


def divides_by_gradients(knob: Knob) -> bool:
    """Tell whether the size of the gradients is all that the decay is divided by."""
    return knob.family == "coupled-adaptive" and knob.algorithm in _GAINS


def decays_by_size(knob: Knob, run: Run) -> bool:
    """Tell whether the knob has a rate because the gradients' size is known."""
    return run.gradient_rms is not None and divides_by_gradients(knob)


def decoupled_over_penalty(knob: Knob, run: Run) -> float:
    """Return AdamW's weight_decay over the coefficient λ that decays as fast."""
    size = run.require("gradient_rms", f"The rate of {knob.name}") + knob.epsilon
    return _GAINS[knob.algorithm](run) / size


def assumed_noise(knob: Knob, run: Run) -> str:
    """Return the sentence that a rate by the gradients' size assumes.

    Example:
        >>> from dwindle.decay.knobs import KNOBS
        >>> adam = KNOBS["torch.optim.Adam"]
        >>> assumed_noise(adam, Run(gradient_rms=0.01)).partition(";")[0]
        'torch.optim.Adam: its decay is divided by the size of the gradients, 0.01'

    """
    return (
        f"{knob.name}: its decay is divided by the size of the gradients, "
        f"{run.gradient_rms:g}; this holds for weights whose gradients are mostly "
        "noise of that RMS, large beside the decay's own part. Others decay at another "
        "rate, and as gradients get smaller over the run all decay faster."
    )


def instead_of(knob: Knob) -> str:
    """Return what to do where the number of a knob sets no rate."""
    instead = NO_RATE[str(knob.family)].instead
    if not divides_by_gradients(knob):
        return instead
    return (
        f"{instead} Or give --gradient-rms G, the root mean square of a weight's "
        "gradient (√v̂ of Adam's state), for an approximate rate: a step takes about "
        "lr·λ/G of a weight, as AdamW does with weight_decay = λ/G."
    )
