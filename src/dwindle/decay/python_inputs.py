"""What Python code may give to explain, convert and rescale, read into names and facts.

A knob is a name, an optimizer's class, or a live optimizer, which brings its value, lr,
momentum and betas along; a run is a Run or a mapping of its facts.
"""

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import count, takewhile
from typing import Any

from dwindle.decay.facts import fact_elsewhere
from dwindle.decay.families import family_of, has_momentum
from dwindle.decay.half_life import HalfLife
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS, knobs, resolve_knob
from dwindle.decay.refusals import refused
from dwindle.decay.run import Run
from dwindle.decay.schedules import Schedule
from dwindle.decay.setting import Value
from dwindle.decay.typed_facts import TOKENS, as_fields, facts_after
from dwindle.errors import UnknownNameError, UsageError
from dwindle.errors.nearest import nearest_names

Facts = Mapping[str, Any]  # Any: the facts of a run have many types
RunLike = Run | Facts

_HOW = 'Write "torch.optim.AdamW", 0.1, for example, or give a live optimizer.'
# A text that starts so is a number, and the other argument is the knob.
_NUMBER_STARTS = set("0123456789+-−.")
_NUMBER_WORDS = {"inf", "nan"}

# Options that change the rule of a class, the one that wins first: (option, value) to
# the variant, or to the letter that a library appends to a name.
_VARIANTS: Mapping[tuple[str, bool], str] = {
    ("decouple_lr", True): "decouple_lr",
    ("fixed_decay", True): "fixed_decay",
    ("corrected_weight_decay", True): "c",
    ("no_prox", True): "w",
    ("decoupled_decay", True): "w",
    ("decoupled_weight_decay", True): "decoupled",
    ("decoupled_wd", True): "decoupled",
    ("decouple_wd", True): "decouple_wd",
    ("weight_decouple", False): "coupled",
}
# An option with such a name may change the decay, also one not known here.
_BEARS = re.compile(r"decay|decoupl|(^|_)wd($|_)|prox|^lambd$")
# Decays of something else than weights: of moments, or of the lr.
_BEARS_NOT = {"momentum_decay", "lr_decay", "beta2_decay", "decay_rate"}
# Arguments that are kept under another name.
_ARGUMENTS = {"decoupled_wd": "decoupled_weight_decay"}
_PAIR = 2  # β₁ and β₂; a third, as AdEMAMix has it, is no fact of a run


@dataclass(frozen=True)
class Input:
    """A knob's name, its value, and the facts that a live optimizer brings along."""

    knob: str
    value: Value
    facts: Facts = field(default_factory=dict)

    def run(self, run: RunLike | None) -> Run:
        """Return the run, with the optimizer's facts where nothing else was given."""
        whole = run_of(run)
        lacking = {
            name: fact for name, fact in self.facts.items() if not whole.is_given(name)
        }
        return replace(whole, **lacking) if lacking else whole

    def overruled(self, run: RunLike | None) -> tuple[str, ...]:
        """Return a sentence for each of the optimizer's facts that was given otherwise.

        Example:
            >>> live = Input("torch.optim.SGD", 1e-4, {"lr": 0.1})
            >>> live.overruled({"lr": 0.2})
            ('The lr that was given, 0.2, is used; the live torch.optim.SGD has 0.1.',)

        """
        whole = run_of(run)
        return tuple(
            f"The {name} that was given, {_shown(getattr(whole, name))}, is used; "
            f"the live {self.knob} has {_shown(fact)}."
            for name, fact in self.facts.items()
            if whole.is_given(name) and getattr(whole, name) != fact
        )


def _shown(fact: object) -> str:
    return f"{fact:g}" if isinstance(fact, float) else str(fact)


def read_input(value: object, knob: object = None) -> Input:
    """Read a knob and its value, in either order.

    Args:
        value: A number, a text such as ``"3 epochs"``; or alone, a live optimizer or
            ``"torch.optim.AdamW=0.1"``.
        knob: A name, an optimizer's class, or a live optimizer.

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
    return Input(knob_name(knob), given)


def _is_value(given: object) -> bool:
    if isinstance(given, str):
        # No knob's name starts like a number, and every number and time does.
        return given.strip()[:1] in _NUMBER_STARTS or given.strip() in _NUMBER_WORDS
    is_object = hasattr(given, "__qualname__") or hasattr(given, "param_groups")
    return isinstance(given, HalfLife) or (
        hasattr(given, "__float__") and not is_object
    )


def read_target(to: object) -> Input:
    """Read the place to convert to; a live optimizer brings its facts along."""
    if hasattr(to, "param_groups"):
        return _of_optimizer(to, 0.0)
    return Input(knob_name(to), 0.0)


def run_of(run: object) -> Run:
    """Return a run that may be given as a mapping of its facts."""
    if run is None:
        return Run()
    if isinstance(run, Run):
        return run
    if not isinstance(run, Mapping):
        must = "A run must be a Run, or a mapping of its facts."
        raise UsageError(must, repr(run), 'Write Run(lr=0.1), or {"lr": 0.1}.')
    # A parameter of a schedule may stand beside its name, as on a command line.
    of_schedule = [each.name for each in fields(Schedule) if each.name != "shape"]
    names = [each.name for each in fields(Run) if each.init] + of_schedule + [*TOKENS]
    facts = {str(name): fact for name, fact in run.items()}
    for name in facts:
        if name not in names:
            usual = fact_elsewhere(name)
            near = (usual,) if usual else nearest_names(name, names)
            kind = "fact of a run"
            raise UnknownNameError(kind, name, near)
    return Run(**as_fields(facts))


def runs_of_sides(
    source: Input, target: Input, run: RunLike | None, run_after: RunLike | None
) -> tuple[Run, Run, tuple[str, ...]]:
    """Return the runs on both sides of a conversion, where either may be live.

    Example:
        >>> live = Input("torch.optim.SGD", 0.0, {"lr": 0.1})
        >>> before, after, _ = runs_of_sides(
        ...     Input("torch.optim.AdamW", 0.1), live, {"lr": 1e-3}, None
        ... )
        >>> before.lr, after.lr
        (0.001, 0.1)

    """
    before, notes = source.run(run), source.overruled(run)
    if run_after is not None:
        run_after = run_of(facts_after(before if run is None else run, run_after))
    if not target.facts:
        return before, before if run_after is None else run_of(run_after), notes
    if run_after is not None:
        return before, target.run(run_after), notes + target.overruled(run_after)
    if resolve_knob(source.knob).family is None:
        # A source without an optimizer has no lr: both sides are one training.
        before = target.run(before)
    # Facts that were given are the source's; the live target has its own.
    given = run_of(run)
    after = replace(given, **target.facts)
    theirs = tuple(
        f"The {name} of {target.knob} is that of the live optimizer, "
        f"{getattr(after, name)}; the {name} that was given is used at {source.knob}."
        for name in target.facts
        if given.is_given(name) and getattr(given, name) != getattr(after, name)
    )
    return before, after, notes + theirs


def knob_name(knob: object) -> str:
    """Return the name of a knob that may be given as an optimizer's class."""
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


def _of_class(kind: object) -> Knob | None:
    """Return the one knob of the class's library whose path ends with its name."""
    library = str(getattr(kind, "__module__", "")).partition(".")[0]
    name = str(getattr(kind, "__name__", "")).casefold()
    found = [
        knob
        for knob in knobs()
        if knob.library == library
        and any(
            ":" not in each and each.rpartition(".")[2].casefold() == name
            for each in (knob.name, *knob.aliases)
        )
    ]
    return found[0] if len(found) == 1 else None


def _unknown_class(kind: object) -> UnknownNameError:
    bases = getattr(kind, "__mro__", ())[1:]
    known = next((knob for knob in map(_of_class, bases) if knob is not None), None)
    name = f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', kind)}"
    hint = "dwindle.pytorch.probe measures what a step of an optimizer does."
    if known is None:
        return UnknownNameError("optimizer", name, (), hint)
    hint = f"If its step is that of {known.name}, write that name. {hint}"
    return UnknownNameError("optimizer", name, (known.name,), hint)


def _of_optimizer(optimizer: Any, value: Value | None = None) -> Input:
    """Read a live optimizer; beside a given value its groups may have others."""
    inner = getattr(optimizer, "optimizer", None)  # what Accelerate wraps
    if _of_class(type(optimizer)) is None and hasattr(inner, "param_groups"):
        return _of_optimizer(inner, value)
    plain = KNOBS[knob_name(type(optimizer))]
    rows = []
    for group in optimizer.param_groups:
        knob, number, facts = _of_group(plain, optimizer, group)
        rows.append(Input(knob.name, number if value is None else value, facts))
    if not rows or any(row != rows[0] for row in rows):
        raise _unlike(rows)
    return rows[0]


def _unlike(rows: Sequence[Input]) -> UsageError:
    groups = []
    for number, row in enumerate(rows):
        facts = ", ".join(f"{name} {fact}" for name, fact in row.facts.items())
        groups.append(f"group {number}: {row.knob} = {row.value}, {facts}")
    must = "All groups of an optimizer must be alike to be explained as one."
    remedy = (
        'Explain one of them, as explain("torch.optim.AdamW", 0.1, run={"lr": 1e-3}), '
        "or see all with dwindle.pytorch.audit."
    )
    return UsageError(must, "; ".join(groups) or "no group", remedy)


def _of_group(
    plain: Knob, optimizer: object, group: Facts
) -> tuple[Knob, float, dict[str, Any]]:  # Any: as in Facts
    """Return the record that a group's options lead to, its number and its facts."""
    # ``plain`` is the record of the optimizer's class with its default options.
    knob = _variant(plain, optimizer, group)
    if knob.symbol not in group:
        must = f"A group of {knob.name} must have a {knob.symbol}."
        raise UsageError(must, ", ".join(group), f'Write explain("{knob.name}", 0.1).')
    given = {name: each for name, each in group.items() if each is not None}
    facts = _peak(knob, optimizer, given) | _momentum(knob, given)
    # optimi numbers its betas.
    numbered = takewhile(given.__contains__, (f"beta{number}" for number in count(1)))
    betas = given.get("betas", tuple(given[name] for name in numbered))
    if knob.options.betas is not None and len(betas) == _PAIR:
        facts["betas"] = tuple(map(float, betas))
    return knob, float(given.get(knob.symbol, 0.0)), facts


def _variant(plain: Knob, optimizer: object, group: Facts) -> Knob:
    if plain.library == "unit_scaling":
        # Its groups hold a decay divided by the lr, so torch's own rule applies.
        return KNOBS["torch.optim.AdamW"]
    changed = dict(_changed(plain, optimizer, group))
    for (option, value), variant in _VARIANTS.items():
        if changed.get(option) is not value:
            continue
        stem = plain.name.removesuffix("w")
        names = (f"{plain.name}:{variant}", plain.name + variant, stem + variant)
        found = next((KNOBS[name] for name in names if name in KNOBS), None)
        # optimi's decouple_lr takes the decay out of the gradient as well.
        same = {option, "decouple_wd"} if variant == "decouple_lr" else {option}
        if found is not None and not set(changed) - same:
            return found
        break
    else:
        if not changed:
            return plain
    options = ", ".join(f"{name}={value}" for name, value in changed.items())
    raise refused("another-rule", knob=plain.name, options=options)


def _changed(
    plain: Knob, optimizer: object, group: Facts
) -> Iterator[tuple[str, object]]:
    """Yield the options that change the decay and differ from the class's defaults."""
    family = family_of(plain)
    parameters = inspect.signature(type(optimizer).__init__).parameters
    defaults = getattr(optimizer, "defaults", {})
    # A group's key that is no default of the class is a label of the user.
    own = {name: each for name, each in group.items() if name in defaults}
    for option, value in {**vars(optimizer), **own}.items():
        is_fall = family is not None and option in family.own_options
        bears = _BEARS.search(option) and option not in {plain.symbol, *_BEARS_NOT}
        if not (bears or is_fall) or not isinstance(value, bool | int | float | str):
            continue
        named = parameters.get(_ARGUMENTS.get(option, option))
        usual = plain.penalty is None if "decoupl" in option else False
        usual = usual if named is None else named.default
        if value != usual:
            yield option, value


def _peak(knob: Knob, optimizer: object, given: Facts) -> dict[str, Any]:
    """Return the peak lr, which a scheduler stores beside the current one."""
    # OneCycleLR writes max_lr with min_lr; elsewhere it is an option of the optimizer.
    is_cycle = "min_lr" in given or "decouple_lr" not in given
    names = ("lr", "initial_lr", *(["max_lr"] if is_cycle else []))
    peaks = [float(given[name]) for name in names if name in given]
    if not peaks:
        return {}
    peak = max(peaks)
    divisor = float(getattr(optimizer, "_init_lr", given.get("max_lr")) or 0.0)
    family = family_of(knob)
    is_divided = family is not None and family.is_over_peak and divisor
    if not is_divided or math.isclose(peak, divisor, rel_tol=1e-9):
        return {"lr": peak}
    number = float(given.get(knob.symbol, 0.0)) * peak / divisor
    values = {"peak": peak, "divisor": divisor, "number": number}
    raise refused("another-peak", knob=knob.name, **values)


def _momentum(knob: Knob, given: Facts) -> dict[str, Any]:
    options = knob.options
    facts = {
        name: given[name]
        for name in ("momentum", "dampening", "nesterov")
        if name in given and getattr(options, name) is not None
    }
    betas = given.get("betas")
    is_sgd = has_momentum(knob) and options.momentum is not None
    if is_sgd and "momentum" not in given and betas:
        facts["momentum"] = float(betas[0])  # where bitsandbytes keeps it
    if options.dampening_is_flag and "dampening" in facts:
        facts["dampening"] = facts.get("momentum", 0.0) if facts["dampening"] else 0.0
    return facts
