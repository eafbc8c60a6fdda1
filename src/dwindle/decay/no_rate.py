"""Optimizers whose decay has no rate that the number sets: why, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class NoRate:
    """Why a family gives a number no half-life.

    Args:
        title: Name for people.
        formula: What a step does.
        why: Sentences about ``{name}``, the knob, with ``{at_zero}`` in them.
        instead: What to do; empty where decoupled decay is the answer.
        at_zero: What a step takes off a weight with zero gradient, of an optimizer that
            :data:`AT_ZERO_GRADIENT` does not have.

    """

    title: str
    formula: str
    why: str
    instead: str
    at_zero: str = ""

    def reason(self, name: str, update: str = "") -> str:
        """Return why, for an optimizer of that name and that update.

        Example:
            >>> "lr/√t in step t" in NO_RATE["coupled-adaptive"].reason(
            ...     "torch.optim.Adagrad", "torch-adagrad"
            ... )
            True

        """
        algorithm = update.partition(":")[0]
        known = AT_ZERO_GRADIENT.get(update) or AT_ZERO_GRADIENT.get(algorithm)
        return self.why.format(name=name, at_zero=known or self.at_zero)


_DECOUPLED = (
    "Use decoupled decay: torch.optim.AdamW, or decoupled_weight_decay=True in Adam, "
    "NAdam and RAdam."
)

_ONE_LR = "about one lr per step whatever the number"
# By update: measured over 3,000 steps with zero gradients, see tests/frameworks.
AT_ZERO_GRADIENT: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("adam", "torch-nadam", "torch-adamax", "adopt"), _ONE_LR),
        "torch-rmsprop": "1.4 lr per step at first and one lr later, whatever the "
        "number",
        "torch-adagrad": "lr/√t in step t whatever the number",
        "torch-adadelta": "thousandths of an lr per step at first and more with time, "
        "which only a huge number changes",
        "radam": "a quarter of an lr per step in the first 300 steps and nearly one "
        "later, almost whatever the number",
        "adabelief": "from a fraction of an lr to many lr per step, as its running "
        "sums swing, whatever the number",
        "ademamix": "one lr per step at first and two later, whatever the number",
        "lars:one-at-zero": "the ratio is 1 and a step takes lr times the number of a "
        "weight, many times what it takes beside a gradient",
    }
)

NO_RATE: Mapping[str, NoRate] = MappingProxyType(
    {
        "coupled-adaptive": NoRate(
            title="coupled adaptive",
            formula="g = gradient + λ·w; w ← w − η·m(g)/√v(g)",
            why="{name} adds its decay to the gradient and divides the sum by the "
            "gradient's own size. A weight with zero gradient then loses {at_zero} "
            "(as long as its penalty is far above eps), and any other loses what its "
            "gradients allow: the number sets no fraction per step and no half-life.",
            instead=_DECOUPLED,
            at_zero="nearly as much whatever the number",
        ),
        "trust-ratio": NoRate(
            title="decay inside a trust ratio",
            formula="w ← w − η·‖w‖/‖u‖·u with the decay inside u",
            why="{name} puts its decay into the update of a layer and then rescales "
            "that update to a share of the layer's norm. What a step takes off a "
            "weight depends on the norms of the layer's weights and gradients; where "
            "the gradient of a layer is zero, {at_zero}.",
            at_zero="the number cancels out of the rescaled update",
            instead="Use an optimizer that decays beside its update, such as "
            "torch.optim.AdamW, timm.lambw or keras.optimizers.Lamb, and choose a "
            "half-life there.",
        ),
        "schedule-free": NoRate(
            title="schedule-free",
            formula="decay at y, between the iterate z and its running average x",
            why="{name} decays at a point between the fast weights and their running "
            "average, and the average is what one evaluates. An average forgets like "
            "a power of the steps, not by a fraction per step: there is no half-life, "
            "and a longer run has another one.",
            instead="Run it and measure what a weight with zero gradient keeps, or use "
            "torch.optim.AdamW with a schedule, where that is a formula.",
        ),
        "estimated-lr": NoRate(
            title="decay times an estimated lr",
            formula="w ← w − d_t·η·λ·w with d_t estimated during the run",
            why="{name} multiplies its decay by a learning rate that it estimates "
            "while it trains, and starts with a tiny one. How fast a weight decays is "
            "known only after the run.",
            instead="Log the estimate d of a run, and convert torch.optim.AdamW with "
            "lr = d·lr.",
        ),
        "optimal-schedule": NoRate(
            title="decay under sklearn's schedule 'optimal'",
            formula="w ← w − w/(t₀ + t − 1), as η_t = 1/(α·(t₀ + t − 1))",
            why="{name} steps by 1/(alpha·(t0 + t − 1)), so alpha cancels in "
            "lr·alpha: after n examples (t0 − 1)/(t0 + n − 1) of a weight with zero "
            "gradient is left. That is a power law, whose half-life grows with the "
            "run, and alpha is only in t0.",
            instead="Set learning_rate='constant' and eta0: "
            "sklearn.linear_model.SGDClassifier:constant has a half-life.",
        ),
        "rebuilt-weights": NoRate(
            title="weights built anew in every step",
            formula="w ← function of running sums",
            why="{name} takes its decay off the weights, and then computes them anew "
            "from running sums: a weight with zero gradient is 0 after one step, "
            "whatever the number.",
            instead="Use l2_regularization_strength there, or another optimizer.",
        ),
    }
)
