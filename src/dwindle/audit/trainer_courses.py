"""The lr of a trainer over a run: by the name of its schedule, or step by step."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from dwindle.audit.settings_file import number_in
from dwindle.audit.trainers import Flat
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.shapes import ELSEWHERE, SHAPES


@dataclass(frozen=True, kw_only=True)
class ScheduleFacts:
    """What the shape of a schedule may depend on."""

    warmup: float = 0.0  # share of the steps
    lr: float  # at its peak
    steps: int | None = None
    final: float = 0.0  # share of the peak
    # ``lr_scheduler_kwargs`` of the Trainer.
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def number(self, name: str) -> float | None:
        """Return an option that is a number and no text, or None."""
        value = self.options.get(name)
        return None if isinstance(value, str) else number_in(value)

    def share(self, name: str) -> float | None:
        """Return an option that is a share of something, or None."""
        value = self.number(name)
        return value if value is not None and 0 <= value <= 1 else None


# No schedule restarts so often; a period has at least some steps.
_MOST_CYCLES = 1000
ScheduleRule = Callable[[ScheduleFacts], Schedule | None]


def _shape(shape: Literal["constant", "linear", "cosine"]) -> ScheduleRule:
    def schedule(facts: ScheduleFacts) -> Schedule | None:
        if not 0 <= facts.final <= 1:
            return None
        return Schedule(shape=shape, warmup=facts.warmup, final=facts.final)

    return schedule


def _cosine(facts: ScheduleFacts) -> Schedule | None:
    """Half a wave falls from the peak to 0; more than half rises again."""
    usual = facts.number("num_cycles") in {None, 0.5}
    return _shape("cosine")(facts) if usual else None


def _restarts(facts: ScheduleFacts) -> Schedule | None:
    cycles = facts.number("num_cycles")
    if cycles in {None, 1.0}:
        return _shape("cosine")(facts)
    if cycles is None or not 1 < cycles <= _MOST_CYCLES:
        return None
    period = (1 - facts.warmup) / cycles
    return Schedule(shape="cosine-restarts", warmup=facts.warmup, period=period)


def _polynomial(facts: ScheduleFacts) -> Schedule | None:
    power, last = facts.number("power"), facts.number("lr_end")
    if power is not None and not power > 0:
        return None
    # 1e-7 is the default of transformers; an lr below it does not rise here.
    final = min(1.0, (1e-7 if last is None else last) / facts.lr)
    if power in {None, 1.0}:
        return Schedule(shape="linear", warmup=facts.warmup, final=final)
    warmup = facts.warmup
    return Schedule(shape="polynomial", power=power, warmup=warmup, final=final)


def _inverse_sqrt(facts: ScheduleFacts) -> Schedule | None:
    scale, warmup = facts.number("timescale"), facts.warmup
    if scale is None and warmup:  # the warm-up is the time scale then
        return Schedule(shape="inverse-sqrt", warmup=warmup)
    # Without a warm-up, 10,000 steps by default.
    steps = 10_000 if scale is None else scale
    if not 1 <= steps < math.inf:
        return None
    return Schedule(shape="inverse-sqrt", warmup=warmup, period=f"{steps:.0f} steps")  # type: ignore[arg-type] # a count waits for the run


def _cosine_to(facts: ScheduleFacts) -> Schedule | None:
    final, least = facts.share("min_lr_rate"), facts.number("min_lr")
    if final is None and least is not None:
        final = least / facts.lr
    return None if final is None else _shape("cosine")(replace(facts, final=final))


# By decay_type of transformers, and lr_wsd_decay_style of Megatron.
_FALLS = {
    "cosine": "wsd-cosine",
    "linear": "wsd",
    "exponential": "wsd-exponential",
    **dict.fromkeys(("1-sqrt", "minus_sqrt"), "wsd-sqrt"),
}


def _stable(facts: ScheduleFacts) -> Schedule | None:
    falling, steps = facts.number("num_decay_steps"), facts.steps
    if falling is None or steps is None or not 0 < falling <= steps:
        return None
    shape = _FALLS.get(str(facts.options.get("decay_type", "cosine")))
    if shape is None or facts.number("num_cycles") not in {None, 0.5}:
        return None
    if facts.options.get("warmup_type", "linear") != "linear":
        return None
    least = facts.share("min_lr_ratio")  # it rises from there, too
    return Schedule(
        shape=shape,
        warmup=facts.warmup,
        warmup_start=least,
        decay_share=falling / steps,
        final=least or 0.0,
    )


# Every lr_scheduler_type of transformers 5.23.0.
TRAINER_SCHEDULES: Mapping[str, ScheduleRule] = MappingProxyType(
    {
        "linear": _shape("linear"),
        "cosine": _cosine,
        "cosine_with_restarts": _restarts,
        "polynomial": _polynomial,
        "constant": lambda _: Schedule(),  # by that name it ignores the warm-up
        "constant_with_warmup": _shape("constant"),
        "cosine_with_min_lr": _cosine_to,
        "cosine_warmup_with_min_lr": _cosine_to,
        "warmup_stable_decay": _stable,
        "inverse_sqrt": _inverse_sqrt,
        # These depend on metrics of the run.
        **dict.fromkeys(("reduce_lr_on_plateau", "greedy"), lambda _: None),
    }
)
# Its warm-up is (t + 1)/W, or that of warmup_lr_rate; all others of transformers have
# t/W.
OTHER_RISES = frozenset({"cosine_warmup_with_min_lr"})
# Names of the other trainers, in lower case.
SCHEDULES: Mapping[str, ScheduleRule] = MappingProxyType(
    {
        # As in transformers, from which axolotl and diffusers have it.
        "constant": lambda _: Schedule(),
        **dict.fromkeys(("constant_with_warmup", "none"), _shape("constant")),
        **dict.fromkeys(("linear", "linear_decay_with_warmup"), _shape("linear")),
        **dict.fromkeys(("cosine", "cosine_with_warmup"), _shape("cosine")),
        "cosineannealing": _shape("cosine"),  # NeMo
        "warmuplr": _shape("constant"),  # DeepSpeed, these three
        "warmupdecaylr": _shape("linear"),
        "warmupcosinelr": _shape("cosine"),
    }
)


def number_at(flat: Flat, name: str, default: float = 0.0) -> float:
    """Return a number of a file; the default where it has none."""
    found = number_in(flat.get(name))
    return default if found is None else found


# A longer run is sampled in the middle of so many equal parts: the sum over the run is
# then right to 1e-8 on a fall, and to one step in 50,000 on a rise by ln t.
_MOST_ROWS = 10_000
# A schedule, or what of it is not followed: "cosine with {it} is not followed here".
# None where the length of the run is open, and no sum over it is formed.
Course = Schedule | str | None


def _listed(lr_at: Callable[[float], float], rows: int, *, each: float = 1.0) -> Course:
    """List the lr of every row; a row is ``each`` of the units of ``lr_at`` long."""
    count = min(rows, _MOST_ROWS)
    part = rows / count
    # A step has the lr of its start: the middle of several is (part − 1)/2 after it.
    lrs = tuple(lr_at(each * (row * part + (part - 1) / 2)) for row in range(count))
    if not max(lrs) > 0:
        return "an lr of 0 all along"
    return Schedule(shape="listed", lrs=lrs)


def course_of_megatron(flat: Flat, style: str, run: Run) -> Course:
    """Return the schedule of a decay style, which counts from step 0.

    Reference:
        megatron/core/optimizer_param_scheduler.py, ``get_lr``.

    """
    steps, lr = run.quantities().get("steps"), run.lr or 1.0
    if not steps:
        return None
    # Where it falls over another length than the run's, it is flat at the end.
    if number_at(flat, "lr_decay_iters", steps) != steps:
        return "lr_decay_iters of another length"
    share = number_at(flat, "lr_warmup_fraction")
    share = share or number_at(flat, "lr_warmup_iters") / steps
    first = number_at(flat, "lr_warmup_init") / lr if share else None
    least = number_at(flat, "min_lr") / lr
    ends: dict[str, Any] = {} if style == "constant" else {"final": least}  # by name
    if style == "wsd":
        fall = str(flat.get("lr_wsd_decay_style", "exponential"))
        style = _FALLS.get(fall, "")
        ends["decay_share"] = number_at(flat, "lr_wsd_decay_iters") / steps
    shape = ELSEWHERE.get(style, SHAPES.get(style))
    is_sqrt = shape is not None and shape.name == "inverse-sqrt"
    if shape is None or (is_sqrt and not share):
        return "its options"
    return Schedule(shape=shape.name, warmup=share, warmup_start=first, **ends)


def epochs_of_timm(flat: Flat, name: str, epochs: float) -> float:
    """Return how many epochs timm trains: all cycles, a cooldown and a prefix.

    Reference:
        timm 1.0.31, ``scheduler_factory.py``, and ``get_cycle_length`` of its cycles.

    """
    prefix = number_at(flat, "warmup_epochs", 5) if flat.get("warmup_prefix") else 0.0
    if name not in {"cosine", "poly"}:
        return epochs + prefix
    whole, cycle = 0.0, epochs
    for _ in range(max(1, min(int(number_at(flat, "lr_cycle_limit", 1)), _MOST_ROWS))):
        whole, cycle = whole + cycle, cycle * number_at(flat, "lr_cycle_mul", 1)
    whole = min(whole, 10.0 * _MOST_ROWS)  # so many are refused; an inf has no floor
    return math.floor(whole) + prefix + number_at(flat, "cooldown_epochs")


def course_of_timm(flat: Flat, name: str, run: Run) -> Course:
    """List the lr of every epoch, or of every step where timm moves it at each.

    Reference:
        timm 1.0.31, ``scheduler/scheduler_factory.py`` for names and defaults, and
        ``cosine_lr.py``, ``poly_lr.py``, ``step_lr.py``, ``multistep_lr.py``.

    """
    known, steps = (run.quantities().get(unit) for unit in ("epochs", "steps"))
    on_updates = bool(flat.get("sched_on_updates"))
    if known is None or (on_updates and steps is None):
        return None
    # Epochs that were given count instead of the file's, and are those of the run.
    typed = number_at(flat, "epochs", known)
    epochs = typed if epochs_of_timm(flat, name, typed) == known else known
    tick = known / steps if on_updates and steps else 1.0
    falls = _falls_of_timm(flat, run.lr or 0.0, epochs, tick)
    not_followed = {
        "lr_noise": flat.get("lr_noise") is not None,
        "other epochs than those of its cycles": epochs_of_timm(flat, name, epochs)
        != known,
        f"{known:g} epochs": bool(known % 1) or not 1 < known <= _MOST_ROWS,
        "its options": name not in falls,
    }
    if any(not_followed.values()):
        return next(option for option, holds in not_followed.items() if holds)
    warm = number_at(flat, "warmup_epochs", 5)
    first = number_at(flat, "warmup_lr", 1e-5)
    prefix, peak = warm if flat.get("warmup_prefix") else 0.0, run.lr or 0.0

    def lr_at(t: float) -> float:
        is_warm = t >= warm
        return falls[name](t - prefix) if is_warm else first + (peak - first) * t / warm

    return _listed(lr_at, round(known / tick), each=tick)


def _falls_of_timm(
    flat: Flat, peak: float, epochs: float, tick: float
) -> Mapping[str, Callable[[float], float]]:
    """Return the lr after the warm-up by schedule, as functions of a time in epochs.

    ``tick`` is the time between two moves of the lr.
    """
    number = partial(number_at, flat)
    least, rate = number("min_lr"), number("decay_rate", 0.1)
    every, mul = number("decay_epochs", 30), number("lr_cycle_mul", 1)
    given = flat.get("decay_milestones") or [30, 60]
    marks = [number_in(each) or 0.0 for each in given] if type(given) is list else []

    def cycle(t: float, shape: Callable[[float], float]) -> float:
        at, begin, length = 0, 0.0, epochs
        while t >= begin + length and at < _MOST_CYCLES:
            at, begin, length = at + 1, begin + length, length * mul
        if at >= number("lr_cycle_limit", 1) or not length > 0:
            return least
        share = ((t - begin) / length) ** number("lr_k_decay", 1)
        top = peak * number("lr_cycle_decay", 0.1) ** at
        return least + (top - least) * shape(share)

    return {
        "cosine": lambda t: cycle(t, lambda x: (1 + math.cos(math.pi * x)) / 2),
        "poly": lambda t: cycle(t, lambda x: (1 - x) ** rate),
        "step": lambda t: peak * rate ** (t // every) if every > 0 else peak,
        # It falls an epoch, or an update, before the milestone.
        "multistep": lambda t: peak * rate ** sum(t + tick >= mark for mark in marks),
        "constant": lambda _: peak,
    }


def course_of_ultralytics(flat: Flat, run: Run) -> Course:
    """List the lr of every step: it falls from epoch 0, in the warm-up as well.

    The more frequent steps of the warm-up, while ``accumulate`` grows, are not counted.

    Reference:
        ultralytics 8.4, ``engine/trainer.py``: ``_setup_scheduler``, ``_do_train``.

    """
    epochs, steps = (run.quantities().get(unit) for unit in ("epochs", "steps"))
    if epochs is None or steps is None:
        return None
    per_epoch, peak = steps / epochs, run.lr or 0.0
    warm, last = number_at(flat, "warmup_epochs", 3), number_at(flat, "lrf", 0.01)
    if warm >= epochs:
        return "a warm-up as long as the run"

    def lr_at(step: float) -> float:
        share = step // per_epoch / epochs
        if flat.get("cos_lr") is True:
            share = (1 - math.cos(math.pi * share)) / 2
        way = min(1.0, step / (warm * per_epoch)) if warm > 0 else 1.0
        return peak * (1 - share * (1 - last)) * way

    return _listed(lr_at, round(steps))


def course_of_litgpt(flat: Flat, warm: float, run: Run) -> Course:
    """List the lr of every step of a pre-training: that of the last of its batches.

    Its lr rises and falls with every micro-batch, ``it`` of them counted from 0, and a
    warm-up of W steps is cut to the run.

    Reference:
        litgpt, ``pretrain.py``: ``get_lr``; ``args.py`` for the 4 of a micro-batch.

    """
    steps, peak, least = run.total_steps, run.lr or 0.0, number_at(flat, "train.min_lr")
    micro = number_at(flat, "train.micro_batch_size", 4)
    micro *= max(1.0, number_at(flat, "devices", 1))
    each = max(1.0, number_at(flat, "train.global_batch_size") // max(micro, 1.0))
    rise, whole = each * min(warm, steps), each * steps

    def lr_at(step: float) -> float:
        it = (step + 1) * each - 1
        if it < rise:
            return peak * it / rise
        share = (it - rise) / max(whole - rise, 1.0)
        return least + (peak - least) * (1 + math.cos(math.pi * share)) / 2

    return _listed(lr_at, round(steps))


def course_of_deepspeed(flat: Flat, name: str, run: Run) -> Course:
    """List the lr of every step under a scheduler whose warm-up goes as ln t.

    A step has the lr of the step before it, for the scheduler is stepped after the
    optimizer, and counts from 0: step t > 0 is ln t / ln W of the way up, or
    (t − 1)/W where ``warmup_type`` is linear.

    Reference:
        DeepSpeed, ``runtime/lr_schedules.py``: ``_get_gamma``, ``get_lr_ratio``.

    """
    steps, peak = run.quantities().get("steps"), run.lr or 0.0
    if steps is None:
        return None
    number = partial(number_at, flat)
    params, is_cosine = "scheduler.params.", name == "warmupcosinelr"
    warm = max(2.0, number(f"{params}warmup_num_steps", 1000))
    is_linear = flat.get(f"{params}warmup_type") == "linear"
    low = number(f"{params}warmup_min_lr")
    if is_cosine:
        low = peak * number(f"{params}warmup_min_ratio")
    last, room = number(f"{params}cos_min_ratio", 1e-4), max(1.0, steps - warm)
    falls: Mapping[str, Callable[[float], float]] = {
        "warmuplr": lambda _: peak,
        "warmupdecaylr": lambda t: low + (peak - low) * max(0.0, (steps - t) / room),
        "warmupcosinelr": lambda t: (
            peak
            * (last + (1 - last) * (1 + math.cos(math.pi * (t + 1 - warm) / room)) / 2)
        ),
    }

    def lr_at(step: float) -> float:
        done = step - 1
        if done >= warm:
            return falls[name](done)
        way = (
            max(done, 0) / warm
            if is_linear
            else math.log(max(step, 1)) / math.log(warm)
        )
        return low + (peak - low) * way

    return _listed(lr_at, round(steps))
