"""What trainers make of the numbers of their files before an optimizer gets them."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from dwindle.audit.settings_file import number_in
from dwindle.audit.trainer_values import Reading
from dwindle.audit.trainers import Flat
from dwindle.decay.knobs import resolve_knob
from dwindle.decay.python_inputs import run_of
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.shapes import ELSEWHERE, SHAPES
from dwindle.decay.typed_facts import as_fields
from dwindle.errors import RangeError


def options_in(value: object) -> dict[str, str]:
    """Return the options of ``momentum=0.9, nesterov=true`` or of a list of such texts.

    A comma without a name behind it belongs to the value, as in ``betas=0.9,0.99``.

    Example:
        >>> options_in("weight_decay=0.1 betas=0.9,0.99")
        {'weight_decay': '0.1', 'betas': '0.9,0.99'}

    """
    parts = value if isinstance(value, list) else [value or ""]
    text = " ".join(map(str, parts))
    # A value goes on to the next name that has a "=" behind it.
    return dict(re.findall(r"(\w+)\s*=\s*(.*?)[\s,]*(?=\w+\s*=|$)", text))


def _own(reading: Reading, flat: Flat) -> Reading:
    """Read the other facts as Python has them: names of a run and of its schedule."""
    typed = {name: each for name, each in flat.items() if name not in _OWN_NUMBERS}
    run = run_of({**typed, "lr": reading.lr})
    # As it was typed: its times are counted anew in a run of another length.
    course = as_fields(typed).get("schedule", Schedule())
    course = Schedule(shape=course) if isinstance(course, str) else course
    given = {each.name for each in fields(Run) if each.init and run.is_given(each.name)}
    length = {unit: getattr(run, unit) for unit in {"steps", "epochs"} & given}
    names = given - {"lr", "schedule", "steps", "epochs"}
    facts = {name: getattr(run, name) for name in names}
    knob = resolve_knob(reading.optimizer).name
    return replace(
        reading, knob=knob, facts=facts, length=length, course=lambda _: course
    )


# Those that stand in a reading by themselves.
_OWN_NUMBERS = {"knob", "value", "weight_decay", "lr"}


def _ultralytics(reading: Reading, flat: Flat) -> Reading:
    """Multiply the decay as Ultralytics does: by batch · accumulated / nbs.

    Reference:
        ultralytics 8, ``engine/trainer.py``; YOLOv5 does the same. ``accumulate`` is
        ``max(round(nbs / batch), 1)``, the decay ``* batch * accumulate / nbs``.

    """
    if flat.get("cos_lr") is True:
        reading = replace(reading, schedule="cosine")
    batch = number_in(flat.get("batch", flat.get("batch_size"))) or 0
    nominal = number_in(flat.get("nbs", 64)) or 0
    # -1 and 0.6 are AutoBatch: chosen by the free memory of the GPU.
    if batch < 1 or batch % 1 or nominal <= 0:
        why = "The decay is multiplied by batch / nbs, and batch is chosen in the run."
        return replace(reading, why_not=why)
    examples = int(batch) * max(round(nominal / batch), 1)
    facts = {**reading.facts, "batch_size": examples}
    return replace(reading, decay_factor=examples / nominal, facts=facts)


def _deepspeed(reading: Reading, flat: Flat) -> Reading:
    """Take the lr from the scheduler, and Adam as L2 where it is switched.

    Reference:
        DeepSpeed, ``runtime/lr_schedules.py``: WarmupLR and WarmupDecayLR overwrite the
        lr with ``warmup_max_lr``, 0.001 by default; ``ops/adam``: ``adam_w_mode``.

    """
    name = reading.schedule.casefold().replace("_", "")
    # They cycle between bounds of the lr under other keys.
    if name in {"onecycle", "lrrangetest"}:
        return replace(reading, why_not=f"Its scheduler {name} sets another lr.")
    if name in {"warmuplr", "warmupdecaylr"}:
        key = "scheduler.params.warmup_max_lr"
        note = f"The scheduler sets the lr: {key} counts, 0.001 where it is not there."
        lr = number_in(flat.get(key, 0.001))
        reading = replace(reading, lr=lr, lr_key=key, unchecked=(note,))
    if flat.get("optimizer.params.adam_w_mode") is False:
        return replace(reading, knob="torch.optim.Adam")
    return reading


def _nemo(reading: Reading, _: Flat) -> Reading:
    if not reading.schedule.casefold().startswith("noam"):
        return reading
    why = "Its lr is a factor of Noam's schedule, and not the lr of any step."
    return replace(reading, why_not=why)


def _by_path(reading: Reading, flat: Flat) -> Reading:
    """Take the lr of OneCycleLR, which overwrites the optimizer's with ``max_lr``."""
    for name, value in flat.items():
        if name.rpartition(".")[2] == "max_lr" and number_in(value):
            return replace(reading, lr=number_in(value), lr_key=name)
    return reading


def _kohya(reading: Reading, _: Flat) -> Reading:
    """Read the decay from ``optimizer_args``, a text or a list of ``name=value``."""
    decay = number_in(reading.options.get("weight_decay"))
    return replace(reading, decay=decay, decay_key="weight_decay=")


def _llm_foundry(reading: Reading, flat: Flat) -> Reading:
    """Read Composer's times: 4800ba are batches, 3ep are epochs, 1e9tok are tokens."""
    length, warm = (
        str(flat.get("max_duration", "")),
        str(flat.get("scheduler.t_warmup")),
    )

    def count(time: str, unit: str) -> float | None:
        return number_in(time.removesuffix(unit)) if time.endswith(unit) else None

    sizes = "max_seq_len", "global_train_batch_size"
    tokens_per_step = math.prod(number_in(flat.get(each)) or 0 for each in sizes)
    batches, tokens = count(length, "ba"), count(length, "tok")
    run = dict(reading.length)
    if epochs := count(length, "ep"):
        run["epochs"] = epochs
    if tokens and tokens_per_step > 0:
        batches = tokens / tokens_per_step
    if batches:
        run["steps"] = max(1, int(batches))
    steps = count(warm, "ba")
    return replace(reading, length=run, warmup={"steps": steps} if steps else {})


def _diffusers(reading: Reading, flat: Flat) -> Reading:
    """Use the 8-bit optimizer and scale the lr where the file switches that on."""
    # The script builds bitsandbytes.optim.AdamW8bit instead of torch.optim.AdamW.
    if flat.get("use_8bit_adam") is True:
        reading = replace(reading, knob="bitsandbytes.optim.AdamW")
    if flat.get("scale_lr") is not True or reading.lr is None:
        return reading
    examples = reading.facts.get("batch_size")
    if not examples:
        why = "scale_lr multiplies the lr by the batch size, which is not in the file."
        return replace(reading, why_not=why)
    return replace(reading, lr=reading.lr * examples)


def _litgpt(reading: Reading, flat: Flat) -> Reading:
    """Turn ``max_tokens`` into steps, as LitGPT's pre-training does."""
    names = ("max_tokens", "max_seq_length", "global_batch_size")
    tokens, length, batch = (number_in(flat.get(f"train.{name}")) for name in names)
    if not (tokens and length and batch):
        return reading
    return replace(
        reading,
        facts={**reading.facts, "tokens_per_example": int(length)},
        length={"steps": max(1, round(tokens / length / batch))},
    )


def _number(flat: Flat, name: str, default: float = 0.0) -> float:
    found = number_in(flat.get(name))
    return default if found is None else found


def _megatron(reading: Reading, flat: Flat) -> Reading:
    """Read the decay with its two ends, and a length in samples.

    Reference:
        megatron/core/optimizer_param_scheduler.py, ``get_wd``;
        megatron/training/arguments.py for the defaults.

    """
    facts, length = dict(reading.facts), dict(reading.length)
    batch, samples = (
        _number(flat, name) for name in ("global_batch_size", "train_samples")
    )
    if batch and samples:
        length.setdefault("steps", samples // batch)
    style = str(flat.get("weight_decay_incr_style", "constant"))
    start, end = (
        _number(flat, f"{at}_weight_decay", reading.decay or 0.0)
        for at in ("start", "end")
    )
    if style != "constant" and start != end:
        facts["decay_schedule"] = f"{style} from {start!r} to {end!r}"
        reading = replace(reading, decay=end, decay_key="end_weight_decay")
    course = partial(_course_of_megatron, flat, reading.schedule.casefold())
    return replace(reading, facts=facts, length=length, course=course)


def _course_of_megatron(flat: Flat, style: str, run: Run) -> Schedule | None:
    """Return the schedule of a decay style, which counts from step 0.

    Reference:
        megatron/core/optimizer_param_scheduler.py, ``get_lr``.

    """
    steps, lr = run.quantities().get("steps"), run.lr or 1.0
    # Where it falls over another length than the run's, it is flat at the end.
    if not steps or _number(flat, "lr_decay_iters", steps) != steps:
        return None
    share = _number(flat, "lr_warmup_fraction")
    share = share or _number(flat, "lr_warmup_iters") / steps
    first = _number(flat, "lr_warmup_init") / lr if share else None
    least = _number(flat, "min_lr") / lr
    ends: dict[str, Any] = {} if style == "constant" else {"final": least}  # by name
    if style == "wsd":
        fall = str(flat.get("lr_wsd_decay_style", "exponential"))
        style = _FALLS.get(fall, "")
        ends["decay_share"] = _number(flat, "lr_wsd_decay_iters") / steps
    shape = ELSEWHERE.get(style, SHAPES.get(style))
    is_sqrt = shape is not None and shape.name == "inverse-sqrt"
    if shape is None or (is_sqrt and not share):
        return None
    return Schedule(shape=shape.name, warmup=share, warmup_start=first, **ends)


# A list has one lr per epoch: nobody trains for so many.
_MOST_EPOCHS = 10_000
# Options of timm that make another course than those below.
_TIMM_BEYOND = {"lr_cycle_mul": 1.0, "lr_cycle_limit": 1.0, "lr_k_decay": 1.0}
_TIMM_SWITCHES = ("sched_on_updates", "warmup_prefix", "lr_noise", "cooldown_epochs")


def _timm(reading: Reading, flat: Flat) -> Reading:
    is_other = any(
        _number(flat, name, usual) != usual for name, usual in _TIMM_BEYOND.items()
    )
    is_open = "epochs" not in reading.length
    if is_open or is_other or any(map(flat.get, _TIMM_SWITCHES)):
        return reading
    return replace(reading, course=partial(_course_of_timm, flat, reading.schedule))


def _course_of_timm(flat: Flat, name: str, run: Run) -> Schedule | None:
    """List the lr of every epoch, for timm moves it once in an epoch.

    Reference:
        timm 1.0.31, ``scheduler/scheduler_factory.py`` for names and defaults, and
        ``cosine_lr.py``, ``poly_lr.py``, ``step_lr.py``, ``multistep_lr.py``.

    """
    epochs, peak = run.quantities().get("epochs", 0.0), run.lr or 0.0
    number = partial(_number, flat)
    least, rate = number("min_lr"), number("decay_rate", 0.1)
    warm, first = number("warmup_epochs", 5), number("warmup_lr", 1e-5)
    given = flat.get("decay_milestones") or [30, 60]
    marks = [number_in(each) or 0.0 for each in given] if type(given) is list else []
    after: Mapping[str, Callable[[float], float]] = {
        "cosine": lambda t: (
            least + (peak - least) * (1 + math.cos(math.pi * t / epochs)) / 2
        ),
        "poly": lambda t: least + (peak - least) * (1 - t / epochs) ** rate,
        "step": lambda t: peak * rate ** (t // number("decay_epochs", 30)),
        # It falls an epoch before the milestone.
        "multistep": lambda t: peak * rate ** sum(t + 1 >= mark for mark in marks),
        "constant": lambda _: peak,
    }
    falls = after.get(name)
    if falls is None or epochs % 1 or not 1 < epochs <= _MOST_EPOCHS:
        return None
    lrs = [
        first + (peak - first) * t / warm if t < warm else falls(t)
        for t in range(int(epochs))
    ]
    return Schedule(shape="listed", lrs=tuple(lrs))


def _transformers(reading: Reading, flat: Flat) -> Reading:
    """Read SGD's options from ``optim_args``: its momentum carries the decay."""
    options, notes = reading.options, []
    if flat.get("auto_find_batch_size") in (True, "true", "True"):
        notes.append("auto_find_batch_size may lower the batch size: half-lives move.")
    # A path or a table, whose optimizer replaces that of optim.
    if flat.get("deepspeed") is not None:
        notes.append("deepspeed may bring another optimizer: it is not read.")
    others = set(options) - {"momentum", "dampening", "nesterov", "weight_decay"}
    if others:
        notes.append(f"optim_args is not read for {', '.join(sorted(others))}.")
    facts, is_sgd = dict(reading.facts), reading.optimizer == "sgd"
    for name in {"momentum", "dampening"} & options.keys() if is_sgd else ():
        number = number_in(options[name])
        if number is None:
            must, got = "a number in optim_args", repr(options[name])
            remedy = f"Write optim_args: {name}=0.9, for example."
            raise RangeError(name, got, must, remedy)
        facts[name] = number
    if is_sgd and options.get("nesterov", "").lower() in {"true", "1", "yes"}:
        facts["nesterov"] = True
    return replace(reading, facts=facts, unchecked=tuple(notes))


# By the name of the trainer; the others type the numbers that their optimizers get.
RULES: Mapping[str, Callable[[Reading, Flat], Reading]] = MappingProxyType(
    {
        "dwindle": _own,
        "Ultralytics": _ultralytics,
        "DeepSpeed": _deepspeed,
        "NeMo": _nemo,
        "a class by its path": _by_path,
        "kohya's sd-scripts": _kohya,
        "LLM Foundry": _llm_foundry,
        "diffusers": _diffusers,
        "LitGPT": _litgpt,
        "Megatron-LM": _megatron,
        "timm": _timm,
        "transformers": _transformers,
    }
)


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


# Nobody restarts so often; a period has at least some steps.
_MOST_CYCLES = 1000
ScheduleRule = Callable[[ScheduleFacts], Schedule | None]


def _shape(shape: Literal["constant", "linear", "cosine"]) -> ScheduleRule:
    def schedule(facts: ScheduleFacts) -> Schedule | None:
        if not 0 <= facts.final <= 1:
            return None
        return Schedule(shape=shape, warmup=facts.warmup, final=facts.final)

    return schedule


def _cosine(facts: ScheduleFacts) -> Schedule | None:
    """Half a wave falls from the peak to nothing; more waves rise again."""
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
    if scale is None and warmup:  # it is the warm-up then
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
        # These go by what the run measures.
        **dict.fromkeys(("reduce_lr_on_plateau", "greedy"), lambda _: None),
    }
)
# Its warm-up is (t + 1)/W, or goes by warmup_lr_rate; all others of transformers have
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
