"""Measured: what is known about the decay of one parameter group."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one parameter group does to a weight with zero gradient.

    Args:
        group: Its number.
        lr: Learning rate of now; None if the group has none.
        number: What the knob is set to.
        family: ``geometric`` (the same share in every step), ``delayed`` (by momentum),
            ``oscillating`` (momentum makes it swing), ``linear`` (coupled adaptive:
            every step takes about as much, whatever the weight), ``periodic``,
            ``power-law`` (the share falls from step to step), ``none`` or ``other``.
        shrink_per_step: Share per step in the long run, at the lr of now; None where
            there is none.
        first_step_shrink: Share that a first step takes.
        last_step_shrink: Share that the last of the watched steps took.
        amount_per_step: What a step takes of any weight, if the family is linear.
        period_steps: Steps of a swing, or until a pattern comes again.
        half_life_steps: Steps until half is left; None where there is no such number.
        dtype: Number format of the parameters.
        measured_shrink: Share per step in that format: 0 in its dead zone.
        breaks: Whether weights without gradient become NaN in that format, as where
            the eps of an adaptive step is 0 there.
        knob: Option that sets the decay; None if there is none.
        works: Whether turning the knob changes anything.
        decouples: Whether a step takes exactly lr·knob, at every lr, knob and momentum.
        driven: Whether a weight that gradients pull at decays by lr·knob, too.
        coupled_sgd: Whether the knob is a penalty of SGD: knob·w in the gradient, and
            no adaptive step that divides it away.
        knob_family: The family that the knob gives when it is not 0.
        lr_power: 1 where the decay of a step follows the lr, 0 where it does not.
        knob_power: The same for the knob.
        per_lr: Decay of a first step over lr·knob.
        hidden: Share of a first step that is left with the knob at 0.
        hidden_by: Option that sets the hidden decay, if it was found.
        run_steps: Steps of the run that was asked for.
        scheduler_every: Steps of it between two steps of the scheduler.
        e_folds: -ln of what that run leaves; None where entries differ.
        kept: What it leaves of a weight of 1; negative after an odd swing.
        adapts: Whether it depends on the gradients of other weights, as where an
            optimizer finds its lr itself (D-Adaptation, Prodigy).
        uneven: Whether the group has weights of other shapes that decay differently;
            the numbers are those of the weights with most dimensions.

    """

    group: int
    lr: float | None = None
    number: float | None = None
    family: str = "none"
    shrink_per_step: float | None = None
    first_step_shrink: float | None = None
    last_step_shrink: float | None = None
    amount_per_step: float | None = None
    period_steps: float | None = None
    half_life_steps: float | None = None
    dtype: str = ""
    measured_shrink: float | None = None
    breaks: bool = False
    knob: str | None = None
    works: bool = False
    decouples: bool = False
    driven: bool = False
    coupled_sgd: bool = False
    knob_family: str = "none"
    lr_power: float | None = None
    knob_power: float | None = None
    per_lr: float | None = None
    hidden: float | None = None
    hidden_by: str | None = None
    run_steps: int | None = None
    scheduler_every: int | None = None
    e_folds: float | None = None
    kept: float | None = None
    adapts: bool = False
    uneven: bool = False
