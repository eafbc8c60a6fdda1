"""The update families: everything that is known of a rule by which weights decay.

A family is one record. Every knob of every optimizer is a number that one of them
reads; ``FAMILIES["decoupled"].shrink_per_step(0.1, run)`` is AdamW's. A new family is
one more record in ``_RECORDS`` and its check against a real optimizer.

Survival and e-folds are those of a weight with zero gradient from a fresh optimizer,
step by step under the schedule, and keep their digits down to a shrink of 1e-15.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from dwindle.decay import momentum
from dwindle.decay.knob import Knob
from dwindle.decay.long_runs import Left
from dwindle.decay.products import (
    ASGD_LAMBD,
    LambdDecay,
    Product,
    Proximal,
    asgd_decay,
    lr_of,
    rates_under_lr,
)
from dwindle.decay.run import Run
from dwindle.errors import RefusedError


class _Decay(Protocol):
    """What a family computes, as :class:`Family` has it: a module, or an object."""

    def shrink_per_step(self, number: float, run: Run, /) -> float: ...
    def knob_for_shrink(self, shrink_per_step: float, run: Run, /) -> float: ...
    def left(self, number: float, run: Run, /) -> Left: ...
    def path(self, number: float, run: Run, /) -> list[float]: ...
    def knob_for_e_folds(self, e_folds: float, run: Run, /) -> float: ...


@dataclass(frozen=True)
class Course:
    """Where a decay goes between the peak of the lr and the end of the run.

    Args:
        text: What it does, for people.
        lr_power: How often it is multiplied by the schedule.
        is_of_schedule: Whether the schedule is all that it depends on.

    """

    text: str
    lr_power: int = 1
    is_of_schedule: bool = True


# Where two knobs part under one schedule, a conversion says how each goes.
FOLLOWS = Course("follows the lr")
_SQUARED = Course("follows the lr squared", lr_power=2)
STAYS = Course("stays", lr_power=0)
_DIVIDES = Course("divides by 1 + what follows the lr")
_FALLS = Course("falls by itself", is_of_schedule=False)
_FALLS_BY_LAMBD = Course("falls by itself, by lambd", is_of_schedule=False)


@dataclass(frozen=True)
class Written:
    """An update in formulas, as templates; ``{x}`` is the number.

    Args:
        line: What one step does to a weight w with gradient g, in the parts that
            :mod:`dwindle.decay.formulas` fills in.
        shrink: From the number to the shrink s at the peak lr; empty without a rate.
        number: The way back.

    """

    line: str
    shrink: str = ""
    number: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """An update rule.

    Args:
        name: Key in :data:`FAMILIES`.
        title: Name for people, as scaling rules state it.
        source: What was read or measured for it.
        decay: What it computes; None where the number sets no rate.
        written: The update in formulas; that with momentum, where it has one.
        without_momentum: The same without momentum; only where it goes through one.
        nesterov: The same with Nesterov's.
        course: What the decay does when the lr leaves its peak.
        reads_lr: Whether the number is multiplied by the lr; else it is over the peak.
        is_penalty: Whether scaling rules about a term of an objective are meant for it.
        is_decoupled: Whether those about decoupled decay are.
        practice: Optimizer of the published recipes that decay by the same means.
        always_on: A decay that is on at every number.
        own_options: Options of its optimizer that bear on the decay besides.
        multiplies: Whether torch's form multiplies a weight by 1 − s, rounded once.
        caution: What belongs beside every number; ``{name}`` is the knob.
        caution_code: Code of that; of a family without rate, its name.
        objective_note: What to know where two numbers minimize one objective.
        why_no_rate: Why the number sets no half-life, about ``{name}``, with
            ``{at_zero}`` in it; empty where it sets one.
        at_zero: What a step takes off a weight with zero gradient, of an optimizer that
            :data:`AT_ZERO_GRADIENT` does not have.
        instead: What to do about it.

    """

    name: str
    title: str
    source: str
    decay: _Decay | None = None
    written: Written
    without_momentum: Written | None = None
    nesterov: Written | None = None
    course: Course = FOLLOWS
    reads_lr: bool = True
    is_penalty: bool = False
    is_decoupled: bool = False
    practice: str = ""
    always_on: float = 0.0
    own_options: frozenset[str] = frozenset()
    multiplies: bool = False
    caution: str = ""
    caution_code: str = ""
    objective_note: str = ""
    why_no_rate: str = ""
    at_zero: str = ""
    instead: str = ""

    @property
    def has_half_life(self) -> bool:
        """Whether the number decides a half-life at all."""
        return self.decay is not None

    @property
    def is_over_peak(self) -> bool:
        """Whether the number is multiplied by the lr over its peak."""
        return not self.reads_lr and self.course.lr_power > 0

    @property
    def has_momentum(self) -> bool:
        """Whether the decay goes through the optimizer's momentum."""
        return self.nesterov is not None

    def shrink_per_step(self, number: float, run: Run) -> float:
        """Return the fraction that a step at the peak lr takes off, asymptotically.

        Raises:
            RangeError: If the number or the shrink is out of range.
            OscillationError: If momentum makes the weight swing.
            MissingFactError: If the run lacks a fact of the formula.
            RefusedError: If the number sets no rate.

        """
        return self._decay().shrink_per_step(number, run)

    def knob_for_shrink(self, shrink_per_step: float, run: Run) -> float:
        """Return the number with this shrink: the exact inverse."""
        return self._decay().knob_for_shrink(shrink_per_step, run)

    def survival(self, number: float, run: Run) -> float:
        """Return what the run leaves of a weight; beyond a swing too, to 10⁶ steps."""
        return self._decay().left(number, run).survival

    def survival_path(self, number: float, run: Run) -> list[float]:
        """Return what 0, 1, …, run.total_steps steps leave."""
        return self._decay().path(number, run)

    def e_folds(self, number: float, run: Run) -> float:
        """Return -ln of the size of what the run leaves."""
        return self._decay().left(number, run).e_folds

    def knob_for_e_folds(self, e_folds: float, run: Run) -> float:
        """Return the number with these e-folds: the exact inverse."""
        return self._decay().knob_for_e_folds(e_folds, run)

    def written_for(self, run: Run) -> Written:
        """Return the formulas of the update with the momentum of this run."""
        if self.nesterov is None or self.without_momentum is None:
            return self.written
        if run.momentum == 0:
            return self.without_momentum
        return self.nesterov if run.nesterov else self.written

    def reason(self, name: str, knob: Knob | None = None) -> str:
        """Return why the number sets no rate, of a knob of this family.

        Args:
            name: What the sentences are about.
            knob: The knob, whose optimizer may have been measured at zero gradient.

        """
        # First by the update: variants of one algorithm may differ at zero.
        known = knob and (
            AT_ZERO_GRADIENT.get(knob.update) or AT_ZERO_GRADIENT.get(knob.algorithm)
        )
        return self.why_no_rate.format(name=name, at_zero=known or self.at_zero)

    def beside_lr(self, lr: float, peak: float) -> float:
        """Return what the lr of a step and the number must be multiplied by.

        The product is the decay of that step: 1 of a decay that follows the lr.
        """
        if self.reads_lr:
            return (lr / peak) ** (self.course.lr_power - 1)
        return 1 / (peak if self.is_over_peak else lr)

    def _decay(self) -> _Decay:
        if self.decay is None:
            asked = f"The half-life that a number gives under {self.title}"
            raise RefusedError(asked, self.reason("The optimizer"), self.instead)
        return self.decay


_ONE_LR = "about one lr per step regardless of the number"
# By update: measured over 3,000 steps with zero gradients, see tests/frameworks.
AT_ZERO_GRADIENT: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("adam", "torch-nadam", "torch-adamax", "adopt"), _ONE_LR),
        "torch-rmsprop": "1.4 lr per step at first and one lr later, regardless of the "
        "number",
        "torch-adagrad": "lr/√t in step t regardless of the number",
        "torch-adadelta": "thousandths of an lr per step at first and more with time, "
        "which only a huge number changes",
        "radam": "a quarter of an lr per step in the first 300 steps and nearly one "
        "later, almost regardless of the number",
        "adabelief": "from a fraction of an lr to many lr per step, as its running "
        "sums swing, regardless of the number",
        "ademamix": "one lr per step at first and two later, regardless of the number",
        "lars:one-at-zero": "the ratio is 1 and a step takes lr times the number of a "
        "weight, many times what it takes beside a gradient",
    }
)
_ASGD_LINE = (
    "w ← w − e_t·(g + {decayed}·w) with e_0 = {{first_lr}}, "
    "e_t = {{lr_before}}/(1 + {slowed}·{{lr_before}}·t)^0.75"
)
_RECORDS = (
    Family(
        name="coupled-sgd",
        title="SGD with a penalty",
        source="torch/optim/sgd.py",
        decay=momentum,
        written=Written(
            "b ← {momentum}·b + {pushed}; w ← w − {lr}·b",
            "s = 1 − slow root of z² − (1 + μ − (1−d)·η·{x})·z + μ",
            "{x} = s·(1 − μ − s)/((1 − s)·(1−d)·η)",
        ),
        without_momentum=Written("w ← w − {lr}·({coupled})", "s = η·{x}", "{x} = s/η"),
        nesterov=Written(
            "b ← {momentum}·b + {pushed}; w ← w − {lr}·({coupled} + {momentum}·b)",
            "s = 1 − slow root of z² − (1 + μ)(1 − η·{x})·z + μ(1 − η·{x})",
            "{x} = s·(1 − μ − s)/((1 − (1 + μ)·s)·η)",
        ),
        is_penalty=True,
        practice="sgd",
    ),
    Family(
        name="coupled-adaptive",
        title="adaptive optimizers with a penalty",
        source="torch/optim/adam.py, and each optimizer at zero gradient",
        written=Written(
            "w ← w − {lr}·m̂(G)/(√v̂(G) + ε) with G = {coupled}",
        ),
        is_penalty=True,
        objective_note="{name} minimizes the same objective, but divides the penalty's "
        "gradient by the size of the whole one, so the number sets no half-life.",
        why_no_rate="{name} divides its decay by the gradient's own size: a weight "
        "with zero gradient loses {at_zero}, any other what its gradients allow. The "
        "number sets no half-life.",
        at_zero="nearly as much regardless of the number",
        instead="Use torch.optim.AdamW, or decoupled_weight_decay=True.",
    ),
    Family(
        name="decoupled",
        title="decoupled decay",
        source="torch/optim/adamw.py",
        decay=Product(peak=lr_of, rates=rates_under_lr(1)),
        written=Written(
            "w ← w − {lr}·{decay}·w − {lr}·{step}", "s = η·{x}", "{x} = s/η"
        ),
        is_decoupled=True,
        practice="adamw",
        multiplies=True,
    ),
    Family(
        name="schedule-only",
        title="decoupled decay",
        source="optimi/adamw.py with decouple_lr",
        decay=Product(peak=lambda _: 1.0, rates=lambda run: run.decay_rates(1)),
        written=Written("w ← w − {m}{decay}·w − {lr}·{step}", "s = {x}", "{x} = s"),
        reads_lr=False,
        is_decoupled=True,
        practice="adamw",
        multiplies=True,
    ),
    Family(
        name="constant",
        title="decoupled decay",
        source="tensorflow_addons/optimizers/weight_decay_optimizers.py",
        decay=Product(peak=lambda _: 1.0, rates=lambda run: run.decay_rates(0)),
        written=Written("w ← w − {decay}·w − {lr}·{step}", "s = {x}", "{x} = s"),
        course=STAYS,
        reads_lr=False,
        is_decoupled=True,
    ),
    Family(
        name="corrected",
        title="decoupled decay",
        source="timm/optim/adamw.py with corrected_weight_decay (AdamC)",
        # lr²/peak: once as an lr, once over the peak.
        decay=Product(peak=lr_of, rates=rates_under_lr(2)),
        written=Written(
            "w ← w − {peak}·{m_squared}{decay}·w − {lr}·{step}",
            "s = η·{x}",
            "{x} = s/η",
        ),
        course=_SQUARED,
        is_decoupled=True,
        practice="adamw",
    ),
    Family(
        name="proximal",
        title="proximal decay",
        source="Xie et al. 2022, Adan (arXiv 2208.06677), algorithm 1",
        decay=Proximal(peak=lr_of, rates=rates_under_lr(1)),
        written=Written(
            "w ← (w − {lr}·{u})/(1 + {lr}·{decay})",
            "s = η·{x}/(1 + η·{x})",
            "{x} = s/((1 − s)·η)",
        ),
        course=_DIVIDES,
        practice="adamw",
    ),
    Family(
        name="proximal-schedule-only",
        title="proximal decay",
        source="optimi/adan.py with decouple_lr",
        decay=Proximal(peak=lambda _: 1.0, rates=lambda run: run.decay_rates(1)),
        written=Written(
            "w ← (w − {lr}·{u})/(1 + {m}{decay})",
            "s = {x}/(1 + {x})",
            "{x} = s/(1 − s)",
        ),
        course=_DIVIDES,
        reads_lr=False,
    ),
    Family(
        name="asgd",
        title="ASGD",
        source="torch/optim/asgd.py",
        decay=asgd_decay(),
        written=Written(
            _ASGD_LINE.format(
                decayed=f"({{decay}} + {ASGD_LAMBD:g})", slowed=ASGD_LAMBD
            ),
            "s = η·({x} + 1e-4)",
            "{x} = s/η − 1e-4",
        ),
        course=_FALLS,
        is_penalty=True,
        always_on=ASGD_LAMBD,
        own_options=frozenset({"alpha", "t0"}),
        caution="{name} has a second decay, lambd = 1e-4, that is on by default; it is "
        "counted in here. Its step size also falls by itself: the half-life is that of "
        "the first step.",
        caution_code="second-decay",
        objective_note="{name}: lambd stays at its default, 1e-4, another penalty.",
    ),
    Family(
        name="asgd-lambd",
        title="ASGD's lambd",
        source="torch/optim/asgd.py",
        decay=LambdDecay(),
        written=Written(
            _ASGD_LINE.format(decayed="{decay}", slowed="{decay}"),
            "s = η·{x}",
            "{x} = s/η",
        ),
        course=_FALLS_BY_LAMBD,
        caution="{name} slows the step size that it acts by: the half-life is that of "
        "the first step. weight_decay is taken to be 0.",
        caution_code="falling-step",
    ),
    Family(
        name="trust-ratio",
        title="decay inside a trust ratio",
        source="timm/optim/lars.py and lamb.py",
        written=Written(
            "w ← w − {lr}·(‖w‖/‖U‖)·U with U = {u} + {decay}·w",
        ),
        objective_note="{name} minimizes the same objective, but rescales the step of "
        "each layer to a share of the layer's norm, so the number sets no half-life.",
        why_no_rate="{name} puts its decay into the update of a layer and then "
        "rescales that update to a share of the layer's norm. What a step takes off a "
        "weight depends on the norms of the layer's weights and gradients; where "
        "the gradient of a layer is zero, {at_zero}.",
        at_zero="the number cancels out of the rescaled update",
        instead="Use an optimizer that decays beside its update, such as "
        "torch.optim.AdamW, timm.lambw or keras.optimizers.Lamb, and choose a "
        "half-life there.",
    ),
    Family(
        name="schedule-free",
        title="schedule-free decay",
        source="schedulefree/adamw_schedulefree.py",
        written=Written(
            "z ← z − {lr}·({u} + {decay}·y); x ← average of all z; y between z and x",
        ),
        why_no_rate="{name} decays at a point between the fast weights and their "
        "running average, and the average is what one evaluates. An average forgets "
        "like a power of the steps, not by a fraction per step: there is no "
        "half-life, and a longer run has another one.",
        instead="Run it and measure what a weight with zero gradient keeps, or use "
        "torch.optim.AdamW with a schedule, where that is a formula.",
    ),
    Family(
        name="estimated-lr",
        title="decay times an estimated lr",
        source="optax/contrib/_prodigy.py",
        written=Written("w ← w − {d}·{lr}·{decay}·w − {d}·{lr}·{u}"),
        why_no_rate="{name} multiplies its decay by a learning rate that it estimates "
        "while it trains, and starts with a tiny one. How fast a weight decays is "
        "known only after the run.",
        instead="Log the estimate d of a run, and convert torch.optim.AdamW with "
        "lr = d·lr.",
    ),
    Family(
        name="optimal-schedule",
        title="SGD under the schedule 'optimal'",
        source="sklearn/linear_model/_sgd_fast.pyx.tp",
        written=Written(
            "w ← w − w/(t₀ + t − 1) − η_t·g with η_t = 1/({decay}·(t₀ + t − 1))",
        ),
        objective_note="{name} minimizes the same objective, by steps whose size its "
        "number sets.",
        why_no_rate="{name} steps by 1/(alpha·(t0 + t − 1)), so alpha cancels in "
        "lr·alpha: after n examples (t0 − 1)/(t0 + n − 1) of a weight with zero "
        "gradient is left. That is a power law, whose half-life grows with the "
        "run, and alpha is only in t0.",
        instead="Set learning_rate='constant' and eta0: "
        "sklearn.linear_model.SGDClassifier:constant has a half-life.",
    ),
    Family(
        name="rebuilt-weights",
        title="weights that are built anew in every step",
        source="keras/src/optimizers/ftrl.py",
        written=Written(
            "w ← w − {lr}·{decay}·w, and then w ← function of the sums of all "
            "gradients",
        ),
        why_no_rate="{name} takes its decay off the weights, and then computes them "
        "anew from running sums: a weight with zero gradient is 0 after one step, "
        "regardless of the number.",
        instead="Use l2_regularization_strength there, or another optimizer.",
    ),
)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {each.name: each for each in _RECORDS}
)

# Those that code has to name: what SGD, Adam, AdamW and a rate of decay by itself do.
SGD, ADAPTIVE = FAMILIES["coupled-sgd"], FAMILIES["coupled-adaptive"]
DECOUPLED = FAMILIES["decoupled"]
# A half-life or a shrink holds at the peak lr, and then follows the schedule.
OF_A_RATE = FAMILIES["schedule-only"]


def family_of(knob: Knob) -> Family | None:
    """Return the update rule that reads the knob; None for a bare penalty or a rate."""
    return None if knob.family is None else FAMILIES[knob.family]


def has_no_rate(knob: Knob) -> bool:
    """Return whether an optimizer reads the number and makes no half-life of it."""
    family = family_of(knob)
    return family is not None and not family.has_half_life


def has_momentum(knob: Knob) -> bool:
    """Return whether the decay goes through a momentum, where there is one."""
    family = family_of(knob)
    return family is not None and family.has_momentum


def course_of(knob: Knob) -> Course:
    """Return the course of a knob's decay; a rate follows the schedule."""
    family = family_of(knob)
    return FOLLOWS if family is None else family.course
