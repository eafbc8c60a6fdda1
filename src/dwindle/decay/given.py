"""Which facts of a run were given: as options, and which of them changed nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.errors import DwindleError

# Facts that are one subject: without momentum neither of its companions may stay.
_SUBJECTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "lr": ("lr",),
        "schedule": ("schedule",),
        "momentum": ("momentum", "dampening", "nesterov"),
        **{
            name.replace("_", " "): (name,)
            for name in (
                "batch_size",
                "dataset_size",
                "epochs",
                "steps",
                "tokens_per_example",
                "gradient_rms",
                "width",
                "depth",
                "units",
            )
        },
    }
)
_DEFAULTS: Mapping[str, object] = MappingProxyType(
    {each.name: getattr(Run(), each.name) for each in fields(Run) if each.init}
)


@dataclass(frozen=True)
class Given:
    """The facts that stand in two runs, before and after a change."""

    before: Run
    after: Run

    def options(self, *subjects: str) -> str:
        """Return facts as the command line has them, those that were given.

        Example:
            >>> given = Given(Run(lr=0.1, momentum=0.9), Run(lr=0.001, momentum=0.9))
            >>> given.options("lr", "momentum", "batch size")
            ' --lr 0.1:0.001 --momentum 0.9'

        """
        return "".join(f" {each}" for name in subjects for each in self._options(name))

    def _options(self, subject: str) -> list[str]:
        if subject == "schedule":
            return self._schedule_options()
        found = []
        for name in _SUBJECTS[subject]:
            option, text = f"--{name.replace('_', '-')}", self._text(name)
            if text and name == "nesterov":
                found.append(option)
            elif text:
                found.append(f"{option} {text}")
        return found

    def _schedule_options(self) -> list[str]:
        names = {"shape": "--schedule", "warmup": "--warmup", "final": "--final-lr"}
        sides = (self.before.schedule, self.after.schedule)
        return [
            f"{option} {_both([_written(getattr(side, name)) for side in sides])}"
            for name, option in names.items()
            if any(getattr(side, name) != getattr(Schedule(), name) for side in sides)
        ]

    def unused(self, found: Callable[[Run, Run], object]) -> tuple[str, ...]:
        """Name the facts without which the same would be found.

        Args:
            found: What a run before and a run after lead to; an error of dwindle's
                where they do not suffice.

        Example:
            >>> given = Given(Run(lr=0.1, batch_size=8), Run(lr=0.1, batch_size=64))
            >>> given.unused(lambda before, after: before.lr)
            ('batch size 8:64',)

        """
        wanted = found(self.before, self.after)
        return tuple(
            f"{subject} {self._said(subject)}"
            for subject, names in _SUBJECTS.items()
            if self._is_given(names) and self._is_idle(names, found, wanted)
        )

    def _is_given(self, names: tuple[str, ...]) -> bool:
        return any(self._text(name) for name in names)

    def _is_idle(
        self,
        names: tuple[str, ...],
        found: Callable[[Run, Run], object],
        wanted: object,
    ) -> bool:
        without = (_cleared(run, names) for run in (self.before, self.after))
        try:
            return found(*without) == wanted
        except DwindleError:
            return False

    def _text(self, name: str) -> str:
        """Return what was given of a fact, before:after where it changed."""
        sides = [getattr(run, name) for run in (self.before, self.after)]
        if all(side == _DEFAULTS[name] for side in sides):
            return ""
        return _both([_written(side) for side in sides])

    def _said(self, subject: str) -> str:
        name = _SUBJECTS[subject][0]
        if subject != "schedule":
            return self._text(name)
        return _both([_shape(run.schedule) for run in (self.before, self.after)])


def _cleared(run: Run, names: tuple[str, ...]) -> Run:
    return replace(run, **{name: _DEFAULTS[name] for name in names})  # type: ignore[arg-type]  # each its own default


def _both(sides: list[str]) -> str:
    return sides[0] if sides[0] == sides[1] else ":".join(sides)


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:.12g}" if isinstance(value, int | float) else str(value)


def _shape(schedule: Schedule) -> str:
    warmup = f" with a warm-up of {schedule.warmup:g}" if schedule.warmup else ""
    final = f" to {schedule.final:g}" if schedule.final else ""
    return f"{schedule.shape}{final}{warmup}"
