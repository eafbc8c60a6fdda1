"""What Python code may give for a knob and its value: a text, class or optimizer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dwindle.decay.half_life import HalfLife
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS, knobs
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
# Options of a group that make another rule of the same class: (option, value, variant).
_FLAGS = (
    ("decoupled_weight_decay", True, "decoupled"),
    ("decouple_wd", True, "decouple_wd"),
    ("weight_decouple", False, "coupled"),
)
# The same, where the class without a variant is never what they make of it.
_STRICT_FLAGS = (
    ("decouple_lr", True, "decouple_lr"),
    ("fixed_decay", True, "fixed_decay"),
    ("corrected_weight_decay", True, "c"),
)
_PAIR = 2
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
        return replace(_of_optimizer(knob), value=given)
    return Typed(knob_name(knob), given)


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


def _of_optimizer(optimizer: Any) -> Typed:  # Any: no torch is imported here
    inner = getattr(optimizer, "optimizer", None)  # what Accelerate wraps
    if _of_class(type(optimizer)) is None and hasattr(inner, "param_groups"):
        return _of_optimizer(inner)
    plain = KNOBS[knob_name(type(optimizer))]
    rows = [_of_group(plain, group) for group in optimizer.param_groups]
    if not rows or any(row != rows[0] for row in rows):
        raise _unlike(rows)
    return rows[0]


def _of_group(plain: Knob, group: Mapping[str, Any]) -> Typed:  # Any: of many types
    knob = _variant(plain, group)
    if knob.symbol not in group:
        must = f"A group of {knob.name} must have a {knob.symbol}."
        raise UsageError(must, ", ".join(group), f'Write explain("{knob.name}", 0.1).')
    # A scheduler has written the peak beside the lr of this moment.
    given = {name: each for name, each in group.items() if each is not None}
    peaks = [given[name] for name in ("lr", "initial_lr", "max_lr") if name in given]
    facts: dict[str, Any] = {"lr": max(map(float, peaks))} if peaks else {}
    options = knob.options
    for name in ("momentum", "dampening", "nesterov"):
        if name in given and getattr(options, name) is not None:
            facts[name] = given[name]
    betas = given.get("betas")
    if betas is not None and options.betas is not None and len(betas) == _PAIR:
        facts["betas"] = tuple(map(float, betas))
    return Typed(knob.name, float(given.get(knob.symbol, 0.0)), facts)


def _variant(plain: Knob, group: Mapping[str, Any]) -> Knob:  # Any: of many types
    for flags in (_STRICT_FLAGS, _FLAGS):
        for option, value, variant in flags:
            if group.get(option) is not value:
                continue
            # timm has a name of its own for the corrected one: lionc of lion.
            name = f"{plain.name}{'' if variant == 'c' else ':'}{variant}"
            if name in KNOBS:
                return KNOBS[name]
            is_plain = flags is _FLAGS and plain.penalty is None
            if not is_plain:
                raise UnknownNameError("optimizer", name, (plain.name,))
    return plain


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
