"""What the groups of a live optimizer say: the variant of its rule, and its facts."""

import inspect
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dwindle.decay.families import family_of, has_momentum
from dwindle.decay.knob import Knob
from dwindle.decay.knobs import KNOBS
from dwindle.errors import RefusedError, UsageError

# Options that make another rule of the same class, the one that wins first:
# (option, value) to the variant, or to the letter that a library puts behind a name.
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
# An option of such a name bears on the decay, also one that nobody has met yet.
_BEARS = re.compile(r"decay|decoupl|(^|_)wd($|_)|prox|^lambd$")
_BEARS_NOT = {"momentum_decay", "lr_decay", "beta2_decay", "decay_rate"}
# Arguments that are kept under another name.
_ARGUMENTS = {"decoupled_wd": "decoupled_weight_decay"}
_PAIR = 2

Facts = dict[str, Any]  # Any: the facts of a run have many types


def of_group(
    plain: Knob, optimizer: object, group: Mapping[str, Any]
) -> tuple[Knob, float, Facts]:
    """Return the record that a group's options lead to, its number and its facts.

    Args:
        plain: The record of the optimizer's class with its default options.
        optimizer: The live optimizer.
        group: One of its groups.

    Raises:
        RefusedError: If an option that bears on the decay makes a rule without record.
        UsageError: If the group has no such number.

    """
    knob = _variant(plain, optimizer, group)
    if knob.symbol not in group:
        must = f"A group of {knob.name} must have a {knob.symbol}."
        raise UsageError(must, ", ".join(group), f'Write explain("{knob.name}", 0.1).')
    given = {name: each for name, each in group.items() if each is not None}
    facts = _peak(knob, optimizer, given) | _momentum(knob, given)
    betas = given.get("betas", tuple(_numbered_betas(given)))
    if knob.options.betas is not None and len(betas) == _PAIR:
        facts["betas"] = tuple(map(float, betas))
    return knob, float(given.get(knob.symbol, 0.0)), facts


def _variant(plain: Knob, optimizer: object, group: Mapping[str, Any]) -> Knob:
    if plain.library == "unit_scaling":
        # What its groups hold is divided by each lr already: torch's own rule is left.
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
        if found is None or set(changed) - same:
            raise _no_record(plain, changed)
        return found
    if changed:
        raise _no_record(plain, changed)
    return plain


def _changed(
    plain: Knob, optimizer: object, group: Mapping[str, Any]
) -> Iterator[tuple[str, object]]:
    """Yield the options that bear on the decay and are not what the class has."""
    family = family_of(plain)
    parameters = inspect.signature(type(optimizer).__init__).parameters
    defaults = getattr(optimizer, "defaults", {})
    # A key of a group that the class has not put there is a label of the user's.
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


def _no_record(plain: Knob, changed: Mapping[str, object]) -> RefusedError:
    options = ", ".join(f"{name}={value}" for name, value in changed.items())
    return RefusedError(
        f"{plain.name} with {options}",
        f"That makes another rule of it, and dwindle's record of {plain.name} is of "
        "the one without.",
        "Measure what a step does with dwindle.pytorch.probe, or leave the option as "
        "the library has it.",
    )


def _peak(knob: Knob, optimizer: object, given: Mapping[str, Any]) -> Facts:
    """Return the lr at its peak; a scheduler has written it beside that of now."""
    # OneCycleLR writes max_lr with min_lr; elsewhere it is an option of the optimizer.
    is_cycle = "min_lr" in given or "decouple_lr" not in given
    names = ("lr", "initial_lr", *(["max_lr"] if is_cycle else []))
    peaks = [float(given[name]) for name in names if name in given]
    if not peaks:
        return {}
    peak = max(peaks)
    built_with = getattr(optimizer, "_init_lr", given.get("max_lr"))
    family = family_of(knob)
    if family is not None and family.is_over_peak and built_with:
        _refuse_other_peak(knob, peak, float(built_with), given)
    return {"lr": peak}


def _refuse_other_peak(
    knob: Knob, peak: float, built_with: float, given: Mapping[str, Any]
) -> None:
    if math.isclose(peak, built_with, rel_tol=1e-9):
        return
    number = float(given.get(knob.symbol, 0.0)) * peak / built_with
    asked = f"A live {knob.name} with lr {peak:g} and a decay divided by {built_with:g}"
    why = "The record is of one whose decay is divided by its own peak lr."
    told = f'explain("{knob.name}", {number:.6g}, run={{"lr": {peak:g}}})'
    raise RefusedError(asked, why, f"Write its decay at the peak: {told}.")


def _momentum(knob: Knob, given: Mapping[str, Any]) -> Facts:
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


def _numbered_betas(given: Mapping[str, Any]) -> Iterator[float]:
    """Yield the betas of optimi, which numbers them."""
    number = 1
    while f"beta{number}" in given:
        yield given[f"beta{number}"]
        number += 1
