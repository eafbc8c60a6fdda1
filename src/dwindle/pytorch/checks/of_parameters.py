"""Checks of what is in which group: decayed vectors, lost and doubled parameters."""

import inspect
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.optim import LBFGS

from dwindle.audit.findings import Finding
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group
from dwindle.pytorch.checks.practice import decays_like_recipes
from dwindle.pytorch.checks.remedies import (
    by_role,
    each_once,
    held_instead,
    keeping,
    with_the_lost,
    without_decay,
)
from dwindle.pytorch.checks.words import (
    attribute,
    class_path,
    counted,
    names,
    number,
    of_groups,
    settings,
    tensors,
)
from dwindle.pytorch.options import KNOB
from dwindle.pytorch.parameters.roles import Held
from dwindle.pytorch.parameters.slots import modules_of

_GROUPS_AGAIN = "Build the groups by what the parameters are for:"
# Roles whose first numbers are drawn at random.
_DRAWN = ("weight", "embedding")
_EMBEDDINGS = "Good recipes differ. To leave them alone:"


def decayed_biases(facts: Facts) -> Iterator[Finding]:
    """DW001: biases, and other vectors that are no part of a normalization."""
    yield from _decayed(facts, "DW001", facts.decaying("bias", "vector"))


def decayed_norms(facts: Facts) -> Iterator[Finding]:
    """DW002: gains and biases of normalization layers."""
    yield from _decayed(facts, "DW002", facts.decaying("norm"))


def decayed_embeddings(facts: Facts) -> Iterator[Finding]:
    """DW003: embeddings, position embeddings and tokens."""
    held = facts.decaying("embedding", "token")
    yield from _decayed(facts, "DW003", held, _EMBEDDINGS)


def _decayed(
    facts: Facts, code: str, held: Sequence[Held], remedy: str = _GROUPS_AGAIN
) -> Iterator[Finding]:
    if not held:
        return
    groups = _groups_of(facts, held)
    yield Finding(
        code=code,
        where=names(held),
        evidence=f"{tensors(held)} in {of_groups(groups)} ({settings(groups)}); "
        f"the first is the {held[0].why}.",
        remedy=remedy,
        line=without_decay(facts, held),
        is_slight=decays_like_recipes(groups, facts.rates, facts.network, facts.run),
    )


def _groups_of(facts: Facts, held: Sequence[Held]) -> list[Group]:
    found = {group.number: group for each in held for group in facts.groups_of(each)}
    return [found[number] for number in sorted(found)]


def in_no_group(facts: Facts) -> Iterator[Finding]:
    """DW004: trainable parameters that no optimizer has."""
    lost = [each for each in facts.held if each.trainable and not facts.groups_of(each)]
    if not lost:
        return
    strangers = sum(group.strangers for group in facts.groups)
    share = f"{len(lost)} of {sum(each.trainable for each in facts.held)}"
    evidence = f"{share} trainable parameters are in no group: {tensors(lost)}."
    remedy = "Add them, by what they are for:"
    copies = _copies(facts, lost)
    if strangers:
        evidence += (
            f" The optimizer holds {counted(strangers, 'tensor')} that the model does "
            "not have: parts of the model were replaced after it was built."
        )
        remedy = "Build the optimizer after the last change of the model:"
    if copies:
        evidence += (
            " Each has the numbers of one that is trained: copies, such as those of a "
            "target network, are written over and need no optimizer."
        )
        remedy = "Freeze them, which costs no gradient either:"
    yield Finding(
        code="DW004",
        where=names(lost),
        evidence=evidence,
        remedy=remedy,
        line=_frozen(copies) if copies else with_the_lost(facts, lost),
        is_slight=bool(copies),
    )


def _frozen(paths: Iterable[str]) -> str:
    return "\n".join(
        f"{attribute(path)}.requires_grad_(requires_grad=False)" for path in paths
    )


def _copies(facts: Facts, lost: Sequence[Held]) -> list[str]:
    """Return the modules that lost parameters make up, if all are copies; else none.

    Weights are drawn at random: two with the same numbers are no chance.
    """
    weights = [each for each in lost if each.role in _DRAWN]
    trained = [each for each in facts.held if facts.groups_of(each)]
    if not weights or not all(_has_twin(each, trained) for each in weights):
        return []
    missing = {name for each in lost for name in each.names}
    whole: list[str] = []
    for path, module in modules_of(facts.model):
        inside = {
            f"{path}.{name}" if path else name for name, _ in module.named_parameters()
        }
        above = any(path.startswith(f"{outer}.") for outer in whole)
        if inside and inside <= missing and not above:
            whole.append(path)
            missing -= inside
    return [] if missing else whole


def _has_twin(held: Held, trained: Iterable[Held]) -> bool:
    mine = held.parameter.detach()
    return not mine.is_meta and any(
        other.shape == held.shape
        and other.role == held.role
        and torch.equal(mine, other.parameter.detach())
        for other in trained
    )


def in_two_groups(facts: Facts) -> Iterator[Finding]:
    """DW005: parameters that a step updates more than once."""
    twice = [each for each in facts.held if len(facts.groups_of(each)) > 1]
    if not twice:
        return
    times = len(facts.groups_of(twice[0]))
    groups = _groups_of(facts, twice)
    yield Finding(
        code="DW005",
        where=names(twice),
        evidence=f"{twice[0].name} is listed {times} times, in {of_groups(groups)}: "
        f"each step updates and decays it {times} times. "
        f"It concerns {tensors(twice)}.",
        remedy="List each parameter once:",
        line=each_once(facts),
    )


def tied_by_storage(facts: Facts) -> Iterator[Finding]:
    """DW006: two Parameters of one memory; each is stepped, and decayed."""
    first: dict[tuple[object, ...], Held] = {}
    pairs: list[tuple[Held, Held]] = []
    for held in facts.held:
        place = _place(held.parameter)
        if place is None or not facts.groups_of(held):
            continue
        if place in first:
            pairs.append((first[place], held))
        first.setdefault(place, held)
    if not pairs:
        return
    one, other = pairs[0]
    twins = "{" + ", ".join(f"id({attribute(held.name)})" for _, held in pairs) + "}"
    ties = "\n".join(
        f"{attribute(second.name)} = {attribute(held.name)}" for held, second in pairs
    )
    yield Finding(
        code="DW006",
        where=names([held for pair in pairs for held in pair]),
        evidence=f"{one.name} and {other.name} are two Parameters in one place of "
        f"memory ({counted(one.parameter.numel(), 'number')}): each step updates and "
        f"decays it twice.{_and_more(len(pairs) - 1)}",
        remedy="Let both names be one Parameter, and the optimizer have it once:",
        line=f"twins = {twins}\n{ties}\n" + keeping(facts, "id(p) not in twins"),
    )


def _place(parameter: Tensor) -> tuple[object, ...] | None:
    """Return where a parameter's numbers lie; None where they have no place yet."""
    local = getattr(parameter, "_local_tensor", parameter)  # of a sharded one
    if local.is_meta or local.numel() == 0:
        return None
    return (str(local.device), local.data_ptr(), local.numel())


def _and_more(pairs: int) -> str:
    return f" {counted(pairs, 'more pair')} likewise." if pairs else ""


def frozen_that_decays(facts: Facts) -> Iterator[Finding]:
    """DW022: requires_grad is off, and still a step takes something off."""
    frozen = [each for each in facts.held if not each.trainable]
    left = [each for each in frozen if each.parameter.grad is not None]
    other = [each for each in frozen if each.parameter.grad is None]
    for held, why, remedy, line in (
        (_moved(facts, left), _LEFT, "Drop the gradients that are left:", _DROP),
        (_moved(facts, other), _FILLED, "Keep them out of the groups:", ""),
    ):
        if not held:
            continue
        groups = _groups_of(facts, held)
        yield Finding(
            code="DW022",
            where=names(held),
            evidence=f"{tensors(held)} with requires_grad=False in "
            f"{of_groups(groups)} ({settings(groups)}). {why}",
            remedy=remedy,
            line=line or keeping(facts, "p.requires_grad"),
        )


_LEFT = (
    "A gradient is left from before, and a gradient of zeros is a step all the same."
)
_FILLED = "This optimizer takes a missing gradient for one of zeros, and steps."
_DROP = """\
for p in model.parameters():
    if not p.requires_grad:
        p.grad = None"""


def _moved(facts: Facts, frozen: Sequence[Held]) -> list[Held]:
    """Return those that a step decays: with a gradient, or where none is needed."""
    return [
        each
        for each in frozen
        if any(
            group.decays
            and (each.parameter.grad is not None or group.steps_without_gradient)
            for group in facts.groups_of(each)
        )
    ]


def nothing_decays(facts: Facts) -> Iterator[Finding]:
    """DW021: no group decays, and no penalty is known of."""
    moving = [group for group in facts.groups if group.moving]
    if not moving or any(group.decays for group in facts.groups) or facts.penalties:
        return
    if any(group.knob for group in facts.groups):
        return  # what does nothing has a check of its own
    if facts.meant is not None and any(KNOB in group.options for group in moving):
        return  # what was meant, and is not there, is DW040
    kinds = list(dict.fromkeys(class_path(group.optimizer) for group in moving))
    one_group = any(isinstance(group.optimizer, LBFGS) for group in moving)
    yield Finding(
        code="DW021",
        where=", ".join(kinds),
        evidence=f"{KNOB} is 0 or absent in all of "
        f"{counted(len(facts.groups), 'group')}, and a weight with zero gradient stays "
        f"as it is.{_typed_elsewhere(moving)}",
        remedy=_ONE_GROUP
        if one_group
        else "If a decay was meant, choose how fast, on the data's clock:",
        line=""
        if one_group
        else "\n".join(filter(None, (by_role(facts), held_instead(facts, moving)))),
    )


_ONE_GROUP = (
    "If a decay was meant, add L2Penalty(model, strength) of dwindle.pytorch to the "
    "loss: LBFGS takes one group of parameters, in which biases and gains would decay "
    "as the weights do."
)


def _typed_elsewhere(groups: Iterable[Group]) -> str:
    """Return which number the optimizer, or its class, has where no group has it."""
    for group in groups:
        name, typed = class_path(group.optimizer), group.optimizer.defaults.get(KNOB)
        own = _default_of_class(group)
        if typed and typed != own:
            return f" {name} was built with {number(typed)}, and every group has 0."
        if own:
            return f" The default of {name} is {number(own)}; 0 was typed."
    return ""


def _default_of_class(group: Group) -> float | None:
    signature = inspect.signature(type(group.optimizer).__init__).parameters
    own = signature[KNOB].default if KNOB in signature else None
    return own if isinstance(own, int | float) else None
