"""GroupProbe: what a parameter group does to a weight, as numbers and a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dwindle.plain import Plain, table_beside
from dwindle.wording import count, number

# Steps of a copy with zero gradients: what a pattern is read from.
LONG = 64
_ZERO_GRADIENT = "a weight with zero gradient"
_TEXTS = table_beside(__file__, "sentences.toml")
# Above this power of the knob, turning it changes a step by a third or more.
_FELT = 0.5
_SEEN = 0.02  # a rounding that changes the decay by less is not reported


@dataclass(frozen=True, kw_only=True)
class GroupProbe(Plain):
    """What one parameter group does to a weight with zero gradient.

    Args:
        group: Its number.
        lr: Learning rate of now; None if the group has none.
        number: What the knob is set to.
        walk: How it goes: ``geometric`` (the same share in every step), ``delayed`` (by
            momentum), ``oscillating`` (momentum makes it swing), ``linear`` (coupled
            adaptive: every step takes about as much of any weight), ``periodic``,
            ``power-law`` (the share falls from step to step), ``none`` or ``other``.
        shrink_per_step: Share per step in the long run, at the lr of now; None where
            there is none.
        first_step_shrink: Share that a first step takes.
        last_step_shrink: Share that the last of the watched steps took.
        amount_per_step: What a step takes of any weight, if the walk is linear.
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
        knob_walk: The walk that the knob gives when it is not 0.
        lr_power: 1 where the decay of a step follows the lr, 0 where it does not.
        knob_power: The same for the knob.
        per_lr: Decay of a first step over lr·knob.
        hidden: Share of a first step that is left with the knob at 0.
        hidden_by: Option that sets the hidden decay, if it was found.
        run_steps: Steps of the run, where its length was given.
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
    walk: str = "none"
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
    knob_walk: str = "none"
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

    @property
    def sentence(self) -> str:
        """What the group does: its decay, its knob, what is hidden, rounded or left."""
        if not self.dtype:
            return "It has no parameters."
        more = [sentence for part in _PARTS for sentence in part(self)]
        if self.uneven:
            more.append("Weights of fewer dimensions in this group decay differently.")
        return " ".join([_decay_sentence(self), *more])

    def as_dict(self) -> dict[str, Any]:  # JSON-like
        """Return the group as JSON has it."""
        return super().as_dict() | {"sentence": self.sentence}


def _decay_sentence(seen: GroupProbe) -> str:
    """Return what a step takes, and whether that makes a half-life."""
    if seen.walk == "none":
        if seen.lr == 0:
            return "Nothing decays now: the lr is 0."
        if seen.knob is not None and seen.number == 0:
            return f"Nothing decays: {seen.knob} is 0."
        return "Nothing decays."
    first, last = seen.first_step_shrink or 0.0, seen.last_step_shrink or 0.0
    text: str = _TEXTS["decay"]["adapts" if seen.adapts else seen.walk]
    return text.format(
        weight=_ZERO_GRADIENT,
        steps=LONG,
        shrink=number(seen.shrink_per_step),
        half_life=count(seen.half_life_steps),
        first=number(seen.first_step_shrink),
        amount=number(seen.amount_per_step),
        period=number(seen.period_steps),
        fallen=f"{1 - last / first:.2g}" if first else "unknown",
    )


def _of_knob(seen: GroupProbe) -> Iterator[str]:
    texts, knob = _TEXTS["knob"], seen.knob
    if knob is None:
        yield texts["none"]
    elif not seen.works:
        yield texts["idle"].format(knob=knob)
    elif seen.decouples:
        yield texts["decouples"].format(knob=knob)
    elif seen.coupled_sgd:
        yield texts["penalty"].format(knob=knob)
    elif not seen.adapts:
        yield from _of_other_knob(seen, knob)
    if seen.hidden and knob is not None:
        by = f", by {seen.hidden_by}" if seen.hidden_by else ""
        yield texts["hidden"].format(knob=knob, share=number(seen.hidden), by=by)


def _of_other_knob(seen: GroupProbe, knob: str) -> Iterator[str]:
    texts = _TEXTS["knob"]
    if seen.knob_power == 0:
        yield texts["cancels"].format(knob=knob)
    # Without a first share there is no factor of lr·knob, but its size may matter.
    elif seen.per_lr is None and (seen.knob_power or 0.0) > _FELT:
        less = f"{100 * (1 - 0.5 ** (seen.knob_power or 0.0)):.0f} %"
        yield texts["size-matters"].format(knob=knob, less=less)
    elif seen.lr_power == 0:
        yield texts["without-lr"].format(knob=knob)
    elif seen.lr_power is not None and seen.per_lr is not None:
        power = "" if seen.lr_power == 1 else f"^{number(seen.lr_power)}"
        per_lr = number(seen.per_lr)
        yield texts["with-lr"].format(knob=knob, power=power, per_lr=per_lr)
    if seen.knob_walk == "geometric" and not seen.driven:
        yield texts["driven-otherwise"]


def _of_format(seen: GroupProbe) -> Iterator[str]:
    texts, dtype = _TEXTS["format"], seen.dtype
    meant, happens = seen.shrink_per_step, seen.measured_shrink
    if seen.breaks:
        yield texts["breaks"].format(dtype=dtype)
    if not meant or happens is None:  # no rate, or none that could be seen
        return
    if happens == 0:
        yield texts["nothing"].format(dtype=dtype)
    elif abs(happens - meant) > _SEEN * meant:
        yield texts["rounded"].format(dtype=dtype, happens=number(happens))


def _of_run(seen: GroupProbe) -> Iterator[str]:
    if seen.run_steps is None or seen.adapts:
        return
    steps = f"The {seen.run_steps:,} steps of the run"
    if (seen.scheduler_every or 1) > 1:
        steps += f", with one of the scheduler every {seen.scheduler_every:,},"
    if seen.kept is None or seen.e_folds is None:
        # As where every step takes an amount: there is no one number.
        yield _TEXTS["run"]["no-one-number"].format(steps=steps)
    else:
        kept, e_folds = number(seen.kept), number(seen.e_folds)
        yield _TEXTS["run"]["leaves"].format(steps=steps, kept=kept, e_folds=e_folds)


_PARTS = (_of_knob, _of_format, _of_run)
