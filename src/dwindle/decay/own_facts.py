"""Facts of a run at a knob: its library's defaults, what it lacks, what is not used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from dwindle.decay.facts import option_of
from dwindle.decay.families import course_of, has_momentum, has_no_rate
from dwindle.decay.knob import Knob
from dwindle.decay.run import Run, nesterov_needs_momentum
from dwindle.decay.schedules import Schedule
from dwindle.decay.shapes import SHAPES
from dwindle.errors import DwindleError, MissingFactError, RangeError

# Default schedules of transformers' Trainer and scikit-learn's SGDRegressor, compared
# by identity: an equal schedule that was given is another object.
_BY_TRAINERS = {
    "linear": Schedule(shape="linear"),
    "invscaling": Schedule(shape="inverse-power", power=0.25, period="1 step"),  # type: ignore[arg-type]  # read as a count
}
_PARTS = [each.name for each in fields(Schedule)]
# The value of a fact in an optimizer that lacks it.
_NEUTRAL = {"momentum": 0.0, "dampening": 0.0, "nesterov": False}
_DEFAULTS: Mapping[str, object] = MappingProxyType(
    {each.name: getattr(Run(), each.name) for each in fields(Run) if each.init}
)
# Facts that are left out together: without momentum neither of its companions may stay.
# Those in the second list have another remark, or change no number.
_COMPANIONS, _NO_SUBJECTS = ("dampening", "nesterov"), ("betas", "parameters", "dtype")
_SUBJECTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        name.replace("_", " "): (name, *(_COMPANIONS if name == "momentum" else ()))
        for name in _DEFAULTS
        if name not in {*_COMPANIONS, *_NO_SUBJECTS}
    }
)


def resolved(knob: Knob, run: Run) -> Run:
    """Return the run as the knob's optimizer has it.

    A fact that was not given is the library's default; one that the optimizer lacks is
    left out.
    """
    course = course_of(knob)
    if not (course.is_of_schedule or run.decay_schedule.is_constant):
        must = f"left out: the decay of {knob.name} {course.text}"
        remedy = (
            "Leave --wd-schedule out, or name an optimizer such as torch.optim.SGD."
        )
        raise RangeError("decay_schedule", str(run.decay_schedule), must, remedy)
    own, betas = _of_momentum(knob, run), knob.options.betas
    if betas is not None and len(betas) == len(run.betas):
        there, cycled = (
            run.betas if run.is_given("betas") else betas,
            run.schedule.cycled_momentum,
        )
        own["betas"] = (cycled[0], there[1]) if cycled else there
    changes = {name: each for name, each in own.items() if getattr(run, name) != each}
    return replace(run, **changes) if changes else run  # type: ignore[arg-type]  # by name


def _of_momentum(knob: Knob, run: Run) -> dict[str, object]:
    own: dict[str, object] = {}
    if not has_momentum(knob):
        return own
    for name, neutral in _NEUTRAL.items():
        default = getattr(knob.options, name)
        if default is None:
            own[name] = neutral
        elif not run.is_given(name):
            own[name] = default
    cycled = run.schedule.cycled_momentum
    if cycled and knob.options.momentum is not None:
        own["momentum"] = cycled[0]  # at the peak lr
    if not own.get("momentum", run.momentum):
        if run.nesterov and knob.options.momentum is not None:
            raise nesterov_needs_momentum(0.0)
        own["nesterov"] = False
    return own


def facts_of(knob: Knob, run: Run) -> Run:
    """Return :func:`resolved`, where the optimizer can run at all.

    Raises:
        MissingFactError: If it does not run without a momentum and none was given.
        RangeError: If a momentum of 0 was given to it, or a dampening that it has not.

    """
    own = resolved(knob, run)
    if knob.options.needs_momentum and not own.momentum:
        if not run.is_given("momentum"):
            raise MissingFactError("momentum", knob.name, "--momentum")
        must = f"above 0: {knob.name} refuses to run without"
        raise RangeError("momentum", run.momentum, must)
    is_flag = has_momentum(knob) and knob.options.dampening_is_flag
    if is_flag and own.dampening not in {0.0, own.momentum}:
        must = f"0 or the momentum, {own.momentum:g}: in {knob.name} it is a flag"
        raise RangeError("dampening", own.dampening, must)
    return own


def runs_at_knobs(*sides: tuple[Knob, Run]) -> tuple[Run, ...]:
    """Return the runs with the schedule that a knob's trainer has by default.

    Where no side was given a schedule, that default holds on every side. A momentum
    that was given and that a coupled knob lacks is refused, unless it was given once
    for both sides and the other side has it.
    """
    for knob, run in sides:
        for name in _NEUTRAL if has_momentum(knob) else ():
            if not _is_given(name, run) or getattr(knob.options, name) is not None:
                continue
            others = any(getattr(each.options, name) is not None for each, _ in sides)
            differs = len({getattr(each, name) for _, each in sides}) > 1
            if not others or differs:
                remedy = (
                    "Leave it out, or name an optimizer that has it: torch.optim.SGD."
                )
                must = f"left out: {knob.name} has none"
                raise RangeError(name, getattr(run, name), must, remedy)
    runs = tuple(run for _, run in sides)
    names = [knob.options.schedule for knob, _ in sides if knob.options.schedule]
    if not names or any(run.is_given("schedule") for run in runs):
        return runs
    default = _BY_TRAINERS[names[0]]
    # A schedule that counts steps has no shape until the length of the run is known.
    if default.counted and any("steps" not in run.quantities() for run in runs):
        return runs
    return tuple(replace(run, schedule=default) for run in runs)


def schedule_notes(*sides: tuple[Knob, Run]) -> tuple[str, ...]:
    """Return a sentence for each side whose trainer's default schedule is used."""
    notes = []
    for knob, run in sides:
        if (name := knob.options.schedule) is not None:
            default, here = _BY_TRAINERS[name], run.schedule
            # A schedule that counts steps is another object once the length is known.
            if here is default or (default.counted and here.shape == default.shape):
                own = f"{name}, its own default, is used"
                notes.append(f"{knob.name} was given no schedule: {own}.")
    return tuple(notes)


def default_note(knob: Knob, run: Run) -> str:
    """Return a sentence on the library's defaults that are used for missing facts.

    Example:
        >>> from dwindle.decay.knobs import resolve_knob
        >>> default_note(resolve_knob("torch.SGD"), Run(lr=0.1))
        "torch.optim.SGD: momentum was not given; its library's default, 0, is used."

    """
    own = knob.options
    if not has_momentum(knob) or own.momentum is None or own.needs_momentum:
        return ""
    # A cycle changes the momentum, so the library's default is used at no step.
    is_moved = run.schedule.cycled_momentum is not None
    is_open = not is_moved and not run.is_given("momentum")
    taken = {"momentum": f"{own.momentum:g}"} if is_open else {}
    if own.nesterov and resolved(knob, run).momentum and not run.is_given("nesterov"):
        taken["nesterov"] = "True"
    if not taken:
        return ""
    names, values = " and ".join(taken), " and ".join(taken.values())
    was, defaults, used = (
        ("was", "default", "is") if len(taken) == 1 else ("were", "defaults", "are")
    )
    return (
        f"{knob.name}: {names} {was} not given; its library's {defaults}, {values}, "
        f"{used} used."
    )


def unused_facts(knob: Knob, run: Run) -> dict[str, str]:
    """Return facts that were given and that change no decay, each with the reason.

    Example:
        >>> from dwindle.decay.knobs import resolve_knob
        >>> unused_facts(resolve_knob("torch.AdamW"), Run(momentum=0.9))
        {'momentum': 'the decay of torch.optim.AdamW goes through no momentum'}

    """
    own, name = knob.options, knob.name
    unused = {
        part: f"read by {readers[0]}, not by {schedule.shape}"
        for schedule in (run.schedule, run.decay_schedule)
        for part in schedule.idle
        if (readers := [each.name for each in SHAPES.values() if part in each.reads])
    }
    for fact in (*_NEUTRAL, "betas") if knob.family else ():
        if not _is_given(fact, run) or (fact == "betas" and own.betas is not None):
            continue
        if fact == "betas" or not has_momentum(knob):
            why = "sets no rate" if has_no_rate(knob) else "goes through no momentum"
            lacks = fact != "momentum" and getattr(own, fact) is None
            unused[fact] = f"{name} has none" if lacks else f"the decay of {name} {why}"
    cycled = run.schedule.cycled_momentum
    is_moved = has_momentum(knob) and own.momentum is not None
    if cycled and is_moved and {*cycled} != {run.momentum} and run.is_given("momentum"):
        unused["momentum"] = (
            f"{run.schedule.shape} moves it between {cycled[1]:g} and {cycled[0]:g}; "
            f"cycled_momentum, --cycled-momentum {run.momentum:g},{run.momentum:g}, "
            "keeps it"
        )
    return unused


def _is_given(name: str, run: Run) -> bool:
    # A momentum of 0 is what an optimizer without momentum has.
    is_neutral = name in _NEUTRAL and not getattr(run, name)
    return run.is_given(name) and not is_neutral


def no_decay_at_lr_0(knob: Knob) -> RangeError:
    """Return the error for a decay that needs an lr above 0."""
    must = f"above 0 where {knob.name} is to decay"
    remedy = "At an lr of 0 no number there does anything: give the lr at its peak."
    return RangeError("lr", 0.0, must, remedy)


@dataclass(frozen=True)
class Given:
    """The facts of two runs, before and after a change."""

    before: Run
    after: Run

    def options(self, *subjects: str) -> str:
        """Return those facts that were given, as options of the command line.

        Example:
            >>> given = Given(Run(lr=0.1, momentum=0.9), Run(lr=0.001, momentum=0.9))
            >>> given.options("lr", "momentum", "batch size")
            ' --lr 0.1:0.001 --momentum 0.9'

        """
        return "".join(f" {each}" for name in subjects for each in self._options(name))

    def _options(self, subject: str) -> list[str]:
        if subject == "decay schedule":
            decays = [_ends(run.decay_schedule) for run in (self.before, self.after)]
            option = option_of("decay_schedule")
            return [f'{option} "{_both(*decays)}"'] if any(decays) else []
        if subject == "schedule":
            sides = (self.before.schedule, self.after.schedule)
            return [
                f"{option_of(name)} "
                + _both(*(_written(getattr(side, name)) for side in sides))
                for name in _PARTS
                if any(name in side.given for side in sides)
            ]
        texts = {name: self._text(name) for name in _SUBJECTS[subject]}
        return [
            option_of(name) + ("" if name == "nesterov" else f" {text}")
            for name, text in texts.items()
            if text
        ]

    def unused(self, found: Callable[[Run, Run], object]) -> dict[str, str]:
        """Return the facts that do not change the result, with their values.

        Args:
            found: Computes the result from both runs; raises an error of dwindle where
                a fact is missing.

        Example:
            >>> given = Given(Run(lr=0.1, batch_size=8), Run(lr=0.1, batch_size=64))
            >>> given.unused(lambda before, after: before.lr)
            {'batch size': '8:64'}

        """
        wanted = found(self.before, self.after)
        unused = {}
        for subject, names in _SUBJECTS.items():
            if not any(self._text(name) for name in names):
                continue
            defaults: dict[str, Any] = {name: _DEFAULTS[name] for name in names}
            try:
                before = replace(self.before, **defaults)
                is_one = self.after is self.before
                after = before if is_one else replace(self.after, **defaults)
                is_idle = found(before, after) == wanted
            except DwindleError:
                is_idle = False
            if is_idle:
                unused[subject] = self._text(names[0])
        return unused

    def _text(self, name: str) -> str:
        """Return the value of a fact that was given, before:after where it changed."""
        sides = [getattr(run, name) for run in (self.before, self.after)]
        if all(side == _DEFAULTS[name] for side in sides):
            return ""
        return _both(*map(_written, sides))


def _both(before: str, after: str) -> str:
    return before if before == after else f"{before}:{after}"


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    # Twelve digits, for no 0.30000000000000004.
    return f"{value:.12g}" if isinstance(value, int | float) else str(value)


def _ends(schedule: Schedule) -> str:
    """Return a schedule of the decay as text, with both of its ends."""
    if schedule.is_constant:
        return ""
    ends, peak = (schedule.start, schedule.final), schedule.peak
    start, final = (
        f"{100 * each:g}%" if peak is None else f"{peak * each:.12g}" for each in ends
    )
    return f"{schedule.shape} from {start} to {final}"
