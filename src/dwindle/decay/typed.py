"""What Python code may give for a knob and its value: a text, class or optimizer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dwindle.decay.half_life import HalfLife
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS, knobs
from dwindle.decay.live import of_group
from dwindle.decay.run import Run
from dwindle.decay.setting import Value
from dwindle.errors import UnknownNameError, UsageError
from dwindle.errors.nearest import nearest_names

RunLike = Run | Mapping[str, Any]  # Any: the facts have many types

# Names that other tools have for facts of a run.
_FACTS_ELSEWHERE = {
    "learning_rate": "lr",
    "bs": "batch_size",
    "batch": "batch_size",
    "beta": "betas",
    "num_epochs": "epochs",
    "max_steps": "steps",
    "sequence_length": "tokens_per_example",
    "scheduler": "schedule",
}
_HOW = 'Write "torch.optim.AdamW", 0.1, for example, or give a live optimizer.'


@dataclass(frozen=True)
class Typed:
    """A knob's name, its value, and the facts that a live optimizer brings along."""

    knob: str
    value: Value
    facts: Mapping[str, Any] = field(default_factory=dict)  # Any: as in RunLike

    def run(self, run: RunLike | None) -> Run:
        """Return the run, with the optimizer's facts where nothing else was given."""
        whole = run_of(run)
        lacking = {
            name: fact for name, fact in self.facts.items() if not whole.is_said(name)
        }
        return replace(whole, **lacking) if lacking else whole

    def overruled(self, run: RunLike | None) -> tuple[str, ...]:
        """Say which of the optimizer's facts were given otherwise beside it.

        Example:
            >>> live = Typed("torch.optim.SGD", 1e-4, {"lr": 0.1})
            >>> live.overruled({"lr": 0.2})
            ('The lr that was given, 0.2, is used; the live torch.optim.SGD has 0.1.',)

        """
        whole = run_of(run)
        return tuple(
            f"The {name} that was given, {_said(getattr(whole, name))}, is used; "
            f"the live {self.knob} has {_said(fact)}."
            for name, fact in self.facts.items()
            if whole.is_said(name) and getattr(whole, name) != fact
        )


def typed(value: object, knob: object = None) -> Typed:
    """Read a knob and its value, in either order.

    Args:
        value: A number, a text such as ``"3 epochs"``; or alone, a live optimizer or
            ``"torch.optim.AdamW=0.1"``.
        knob: A name, an optimizer's class, or a live optimizer.

    Raises:
        UsageError: If there is no knob or no value, or the groups of an optimizer
            differ.
        UnknownNameError: If a class is not one that dwindle knows.

    Example:
        >>> typed("torch.optim.AdamW", 0.1)
        Typed(knob='torch.optim.AdamW', value=0.1, facts={})
        >>> typed("half-life=3 epochs").value
        '3 epochs'

    """
    if knob is None and isinstance(value, str) and "=" in value:
        name, _, text = value.partition("=")
        knob, value = name.strip(), text.strip()
    if _is_value(knob) and not _is_value(value):
        value, knob = knob, value
    if knob is None and hasattr(value, "param_groups"):
        return _of_optimizer(value)
    if knob is None or (_is_value(knob) and not isinstance(knob, str)):
        must = "A knob and its value must both be given."
        got = f"{value!r}" if knob is None else f"{value!r} and {knob!r}"
        raise UsageError(must, got, _HOW)
    given: Any = value  # Any: whether it is a number is checked where it is read
    if hasattr(knob, "param_groups"):
        return _of_optimizer(knob, given)
    return Typed(knob_name(knob), given)


def typed_target(to: object) -> Typed:
    """Read the place to convert to; a live optimizer brings its facts along.

    Raises:
        UnknownNameError: If it is not one that dwindle knows.
        UsageError: If the groups of a live optimizer differ in more than their decay.

    Example:
        >>> typed_target("torch.optim.SGD").facts
        {}

    """
    if hasattr(to, "param_groups"):
        return _of_optimizer(to, 0.0)
    return Typed(knob_name(to), 0.0)


def knob_name(knob: object) -> str:
    """Return the name of a knob that may be given as an optimizer's class.

    Raises:
        UnknownNameError: If it is not one that dwindle knows.

    """
    if isinstance(knob, str):
        return knob
    kind = knob if hasattr(knob, "__qualname__") else type(knob)
    found = _of_class(kind)
    if found is None:
        raise _unknown_class(kind)
    if kind is not knob:
        must = "A live optimizer must be one with groups, as torch's have."
        remedy = (
            f'Write its knob and value: "{found.name}", 0.1, and run={{"lr": 0.1}}.'
        )
        raise UsageError(must, f"an object of {found.name}", remedy)
    return found.name


def run_of(run: object) -> Run:
    """Return a run that may be given as a mapping of its facts.

    Raises:
        UnknownNameError: If a fact is not one of :class:`~dwindle.decay.run.Run`.
        UsageError: If it is something else.

    Example:
        >>> run_of({"lr": 0.1, "schedule": "cosine"}).lr
        0.1

    """
    if run is None:
        return Run()
    if isinstance(run, Run):
        return run
    if not isinstance(run, Mapping):
        must = "A run must be a Run, or a mapping of its facts."
        raise UsageError(must, repr(run), 'Write Run(lr=0.1), or {"lr": 0.1}.')
    names = [each.name for each in fields(Run) if each.init]
    facts = {str(name): fact for name, fact in run.items()}
    for name in facts:
        if name not in names:
            usual = _FACTS_ELSEWHERE.get(name)
            near = (usual,) if usual else nearest_names(name, names)
            kind = "fact of a run"
            raise UnknownNameError(kind, name, near)
    return Run(**facts)


def _is_value(given: object) -> bool:
    if isinstance(given, str):
        # No knob's name starts like a number, and every number and time does.
        return given.strip()[:1] in set("0123456789+-−.") or given.strip() in _WORDS
    is_object = hasattr(given, "__qualname__") or hasattr(given, "param_groups")
    return isinstance(given, HalfLife) or (
        hasattr(given, "__float__") and not is_object
    )


_WORDS = {"inf", "nan"}


def _of_class(kind: object) -> Knob | None:
    library = str(getattr(kind, "__module__", "")).partition(".")[0]
    name = str(getattr(kind, "__name__", "")).casefold()
    found = [
        knob
        for knob in knobs()
        if knob.library == library
        and name in {each.rpartition(".")[2].casefold() for each in _paths(knob)}
    ]
    return found[0] if len(found) == 1 else None


def _paths(knob: Knob) -> Sequence[str]:
    return [each for each in (knob.name, *knob.aliases) if ":" not in each]


def _unknown_class(kind: object) -> UnknownNameError:
    bases = getattr(kind, "__mro__", ())[1:]
    known = next((knob for knob in map(_of_class, bases) if knob is not None), None)
    name = f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', kind)}"
    hint = "dwindle.pytorch.probe measures what a step of an optimizer does."
    if known is None:
        return UnknownNameError("optimizer", name, (), hint)
    hint = f"If its step is that of {known.name}, write that name. {hint}"
    return UnknownNameError("optimizer", name, (known.name,), hint)


def _of_optimizer(optimizer: Any, value: Value | None = None) -> Typed:
    """Read a live optimizer; with a value of its own its groups may have others."""
    inner = getattr(optimizer, "optimizer", None)  # what Accelerate wraps
    if _of_class(type(optimizer)) is None and hasattr(inner, "param_groups"):
        return _of_optimizer(inner, value)
    plain = KNOBS[knob_name(type(optimizer))]
    rows = []
    for group in optimizer.param_groups:
        knob, number, facts = of_group(plain, optimizer, group)
        rows.append(Typed(knob.name, number if value is None else value, facts))
    if not rows or any(row != rows[0] for row in rows):
        raise _unlike(rows)
    return rows[0]


def _said(fact: object) -> str:
    return f"{fact:g}" if isinstance(fact, float) else str(fact)


def _unlike(rows: Sequence[Typed]) -> UsageError:
    told = []
    for number, row in enumerate(rows):
        facts = ", ".join(f"{name} {fact}" for name, fact in row.facts.items())
        told.append(f"group {number}: {row.knob} = {row.value}, {facts}")
    must = "All groups of an optimizer must be alike, for one answer to hold for it."
    remedy = (
        'Ask about one of them, as in explain("torch.optim.AdamW", 0.1, '
        'run={"lr": 1e-3}), or see all with dwindle.pytorch.audit.'
    )
    return UsageError(must, "; ".join(told) or "no group", remedy)
