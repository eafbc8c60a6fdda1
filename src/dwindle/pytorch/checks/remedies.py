"""The lines to write: each touches the groups of its finding, and nothing else.

Options are set in ``param_groups``, and groups are split in their place, so every other
option, group and optimizer stays as it is. Only where a single optimizer of torch has
groups that differ in nothing but their decay is it written anew, as one would type it.
"""

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group, number_of
from dwindle.pytorch.checks.words import class_path, number
from dwindle.pytorch.grouping.selection import choices_of
from dwindle.pytorch.options import KNOB, MARKER
from dwindle.pytorch.parameters.roles import Held

_IMPORT = "from dwindle.pytorch import"
# Options that a line shows although they equal the default: a reader looks for them.
_ALWAYS = frozenset({"lr"})
_LIKE_BIASES = frozenset({"bias", "norm", "vector"})
_TOKENS = frozenset({"embedding", "token"})
# These advise another number: a line beside them does not repeat that of now.
_OF_NUMBERS = frozenset({"DW009", "DW010", "DW011", "DW012", "DW024"})
# What tells groups apart without being an option that somebody typed.
_NOT_TYPED = frozenset({KNOB, MARKER, "params", "param_names", "initial_lr"})
_TORCHS = "torch.optim."
_FEW = 3


def set_options(wanted: Iterable[tuple[Group, Mapping[str, object]]]) -> str:
    """Return the lines that set options of some groups and of no other."""
    places: dict[tuple[str, str], list[int]] = {}
    for group, options in wanted:
        places.setdefault((group.called, _setting(options)), []).append(group.at)
    return "\n".join(
        f"{called}.param_groups[{at[0]}]{setting}"
        if len(at) == 1
        else f"for at in {_places(at)}:\n    {called}.param_groups[at]{setting}"
        for (called, setting), at in places.items()
    )


def set_knob(wanted: Iterable[tuple[Group, float]]) -> str:
    """Return the lines that set the weight decay of some groups."""
    return set_options((group, {KNOB: value}) for group, value in wanted)


def _setting(options: Mapping[str, object]) -> str:
    if len(options) == 1:
        ((name, value),) = options.items()
        return f'["{name}"] = {_typed(value)}'
    return f".update({_arguments(options)})"


def _arguments(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={_typed(value)}" for name, value in options.items())


def _typed(value: object) -> str:
    return repr(float(number(value))) if isinstance(value, float) else repr(value)


def _places(at: Sequence[int]) -> str:
    ordered = sorted(at)
    first, last = ordered[0], ordered[-1] + 1
    if len(ordered) > _FEW and last - first == len(ordered):
        return f"range({first}, {last})" if first else f"range({last})"
    return f"({', '.join(map(str, ordered))})"


def without_decay(facts: Facts, held: Collection[Held], *, exact: bool = False) -> str:
    """Return the lines that take parameters out of the decay of their groups.

    Biases, gains and other vectors of these groups go with them, for their findings
    have the same line. With ``exact`` nothing but the given parameters moves. Empty
    where a group has tensors that the model does not.
    """
    ids = {id(each.parameter) for each in held}
    groups = [
        group
        for group in facts.groups
        if group.decays and any(id(each.parameter) in ids for each in group.held)
    ]
    anew = None if exact else _anew(facts, groups, ids)
    if anew is not None:
        return anew
    if any(group.strangers for group in groups):
        return ""
    words = _exactly(held) if exact else _words(facts, groups, ids)
    return _all_split(facts, groups, words)


def _exactly(held: Iterable[Held]) -> str:
    return f', decay="*", no_decay={[each.name for each in held]!r}'


def _all_split(facts: Facts, groups: Sequence[Group], words: str) -> str:
    called = dict.fromkeys(group.called for group in groups)
    split = (_split(facts, each, groups, words) for each in called)
    frozen = any(not each.trainable for group in groups for each in group.held)
    remark = [_FROZEN_LEAVE] if frozen else []
    return "\n".join([*remark, f"{_IMPORT} decay_groups", *split])


_FROZEN_LEAVE = (
    "# Frozen parameters leave these groups: add them when they are unfrozen."
)


def _split(facts: Facts, called: str, groups: Sequence[Group], words: str) -> str:
    """Return the line that splits some groups of one optimizer in their place."""
    own = [group for group in facts.groups if group.called == called]
    at = [group.at for group in groups if group.called == called]
    there = f"{called}.param_groups"
    if len(at) == len(own):
        return f"{there}[:] = decay_groups(model{words}, groups={there})"
    # From behind: a group that becomes two moves those that follow it.
    order = f"({', '.join(map(str, sorted(at, reverse=True)))})"
    one = f"decay_groups(model{words}, groups=[{there}[AT]])"
    if len(at) == 1:
        first, last = at[0], at[0] + 1
        return f"{there}[{first}:{last}] = {one.replace('AT', str(first))}"
    return f"for at in {order}:\n    {there}[at:at + 1] = {one.replace('AT', 'at')}"


def _words(facts: Facts, groups: Iterable[Group], named: Collection[int]) -> str:
    """Return the arguments under which decay_groups moves no more than it shall."""
    members = {
        id(each.parameter): each
        for group in groups
        for each in group.held
        if each.trainable
    }
    tokens = any(
        each.role in _TOKENS and key not in named for key, each in members.items()
    )
    # By name: after a forward pass FSDP's model holds other tensors than its groups.
    choices = {
        choice.held.name: choice.decays
        for choice in choices_of(facts.model, embeddings=tokens)
    }
    kept = [
        each.name
        for key, each in members.items()
        if not choices[each.name] and key not in named and each.role not in _LIKE_BIASES
    ]
    spared = [
        each.name
        for key, each in members.items()
        if choices[each.name] and key in named
    ]
    return (
        (", embeddings=True" if tokens else "")
        + (f", decay={kept!r}" if kept else "")
        + (f", no_decay={spared!r}" if spared else "")
    )


def _anew(facts: Facts, groups: Sequence[Group], named: Collection[int]) -> str | None:
    """Return the line of an optimizer with new groups; None where it must be split."""
    if {
        rate.group.number
        for rate in facts.rates
        if _is_renumbered(rate.judged.findings)
    }:
        return None
    words = _words(facts, groups, named)
    return _written_anew(facts, moved=named, words=words)


def _is_renumbered(findings: Iterable[Any]) -> bool:
    return any(found.code in _OF_NUMBERS for found in findings)


def _written_anew(
    facts: Facts,
    *,
    knob: float | None = None,
    moved: Collection[int] = (),
    lost: bool = False,
    words: str = "",
) -> str | None:
    """Return the line that builds a single optimizer of torch with groups anew.

    None where that would change more than it shall: groups that differ in more than
    their decay, weights that do not decay on purpose, frozen members, other optimizers.

    Args:
        facts: Of the program.
        knob: Another weight decay; that of now where None.
        moved: Ids of parameters that may stop to decay, besides biases and gains.
        lost: Whether parameters may be added, or replaced, that are in no group.
        words: More arguments of ``decay_groups``.

    """
    optimizer = facts.groups[0].optimizer
    knobs = {group.knob for group in facts.groups if group.knob and group.decays}
    if not _is_plain(facts, optimizer, lost=lost) or len(knobs) > 1:
        return None
    if not _keeps_choices(facts, moved, words, all_at_rest=not knobs):
        return None
    options = _typed_options(optimizer, facts.groups[0])
    if options is None:
        return None
    value = max(knobs, default=0.0) if knob is None else knob
    made = f"decay_groups(model, weight_decay={number(value)}{words})"
    line = f"optimizer = {class_path(optimizer)}({made}, {options})"
    return f"{_IMPORT} decay_groups\n{line}"


def _is_plain(facts: Facts, optimizer: Optimizer, *, lost: bool) -> bool:
    """Whether one optimizer of torch has the whole model, with one set of options."""
    options = [
        {
            name: repr(value)
            for name, value in group.options.items()
            if name not in _NOT_TYPED
        }
        for group in facts.groups
    ]
    members = [id(each.parameter) for group in facts.groups for each in group.held]
    trained = {id(each.parameter) for each in facts.held if each.trainable}
    return (
        facts.groups[0].called == "optimizer"
        and class_path(optimizer).startswith(_TORCHS)
        and all(each == options[0] for each in options)
        and len(set(members)) == len(members)
        and (set(members) == trained or (lost and set(members) <= trained))
        and (lost or not any(group.strangers for group in facts.groups))
        and not any(group.rests or not group.is_free for group in facts.groups)
    )


def _keeps_choices(
    facts: Facts, moved: Collection[int], words: str, *, all_at_rest: bool
) -> bool:
    """Whether new groups decay what decays now, but for what may stop to."""
    for choice in choices_of(facts.model, embeddings="embeddings=True" in words):
        groups = facts.groups_of(choice.held)
        if not groups or not choice.held.trainable or all_at_rest:
            continue
        now = any(group.decays for group in groups)
        may_stop = (
            choice.held.role in _LIKE_BIASES or id(choice.held.parameter) in moved
        )
        if choice.decays != now and not (now and may_stop):
            return False
    return "decay=" not in words


def _typed_options(optimizer: Optimizer, group: Group) -> str | None:
    """Return the options that somebody typed: those that are not the class's own."""
    signature = inspect.signature(type(optimizer).__init__).parameters
    typed = optimizer.defaults | dict(group.options)
    # What was typed, not what the lr is by now, nor the peak: both are the scheduler's.
    typed["lr"] = typed.get("initial_lr", typed["lr"])
    if not isinstance(typed["lr"], Tensor):
        typed["lr"] = number_of(typed["lr"]) or group.lr
    shown = {
        name: _plainly(typed[name])
        for name in optimizer.defaults
        if name in signature
        and name not in _NOT_TYPED
        and (name in _ALWAYS or _differs(typed[name], signature[name].default))
    }
    if None in shown.values():
        return None
    return ", ".join(f"{name}={text}" for name, text in shown.items())


def _plainly(value: Any) -> str | None:  # an option of any type
    """Return a value as one types it; None where nobody could."""
    if isinstance(value, Tensor):
        return f"torch.tensor({value.tolist()!r})" if value.ndim == 0 else None
    if isinstance(value, float):
        return repr(float(f"{value:.6g}"))
    return repr(value) if isinstance(value, int | str | tuple | None) else None


def _differs(value: object, default: object) -> bool:
    return repr(value) != repr(default) and value is not None


def sound_knob(facts: Facts, groups: Iterable[Group]) -> float | None:
    """Return the number of the largest of some groups that is no finding itself."""
    faulty = {
        rate.group.number
        for rate in facts.rates
        if any(
            found.code in _OF_NUMBERS and found.severity != "note"
            for found in rate.judged.findings
        )
    }
    sound = [
        (group.numbers, group.knob)
        for group in groups
        if group.decays and group.is_free and group.number not in faulty
    ]
    return max(sound)[1] if sound else None


def with_decay(facts: Facts, held: Collection[Held], knob: float) -> str:
    """Return the lines that let weights decay, and nothing else in their groups."""
    ids = {id(each.parameter) for each in held}
    groups = [
        group
        for group in facts.groups
        if any(id(each.parameter) in ids for each in group.held)
    ]
    others = [
        each
        for group in groups
        for each in group.moving
        if id(each.parameter) not in ids
    ]
    if not others:
        return set_knob((group, knob) for group in groups)
    if any(group.strangers for group in groups):
        return ""
    weights = [each.name for each in others if each.role == "weight"]
    words = f", weight_decay={_typed(knob)}"
    words += f", no_decay={weights!r}" if weights else ""
    return _all_split(facts, groups, words)


def with_the_lost(facts: Facts, lost: Sequence[Held]) -> str:
    """Return the lines that add parameters which are in no group; empty if unclear.

    Several optimizers share a model by kinds of parameters: Muon has matrices alone.
    So one that has others gets what is no weight, if there is one such.
    """
    anew = _written_anew(facts, lost=True)
    if anew is not None and facts.groups[0].called == "optimizer":
        return anew
    home = _home(facts, lost)
    if home is None:
        return ""
    knob = sound_knob(facts, home)
    number_of_now = "" if knob is None else f", weight_decay={number(knob)}"
    called = home[0].called
    each = "for each in optimizers " if called != "optimizer" else ""
    groups = f"{'each' if each else called}.param_groups"
    # torch wants names of all parameters, or of none.
    named = "param_names" in home[0].options
    which = "(n, p) for n, p in model.named_" if named else "p for p in model."
    return (
        f"{_IMPORT} decay_groups\n"
        f'there = {{id(p) {each}for group in {groups} for p in group["params"]}}\n'
        f"lost = [{which}parameters() if p.requires_grad and id(p) not in there]\n"
        f'for group in decay_groups(model{number_of_now}, groups=[{{"params": lost}}]):'
        f"\n    {called}.add_param_group(group)"
    )


def _home(facts: Facts, lost: Iterable[Held]) -> tuple[Group, ...] | None:
    """Return the groups of the one optimizer that has parameters of these roles."""
    by_name: dict[str, list[Group]] = {}
    for group in facts.groups:
        by_name.setdefault(group.called, []).append(group)
    if len(by_name) == 1:
        return facts.groups
    only_weights = {"weight"}
    are_weights = {each.role for each in lost} == only_weights
    roles = {
        called: {each.role for group in groups for each in group.held}
        for called, groups in by_name.items()
    }
    fitting = [
        groups
        for called, groups in by_name.items()
        if ("weight" in roles[called] if are_weights else roles[called] - only_weights)
    ]
    return tuple(fitting[0]) if len(fitting) == 1 else None


def each_once(facts: Facts) -> str:
    """Return the lines that list each parameter once: where it comes first."""
    return f"seen = set()\n{keeping(facts, _FIRST_TIME)}"


_FIRST_TIME = "not (id(p) in seen or seen.add(id(p)))"


def keeping(facts: Facts, condition: str) -> str:
    """Return the lines that leave in the groups only what fits a condition on p."""
    kept = f'    group["params"] = [p for p in group["params"] if {condition}]'
    named = any("param_names" in group.options for group in facts.groups)
    unnamed = ['    group.pop("param_names", None)'] if named else []
    return "\n".join([every_group(facts), kept, *unnamed])


def every_group(facts: Facts) -> str:
    """Return the head of a loop over the groups of all optimizers."""
    if facts.groups[0].called == "optimizer":
        return "for group in optimizer.param_groups:"
    return "for group in (group for each in optimizers for group in each.param_groups):"


def held_instead(facts: Facts, groups: Iterable[Group]) -> str:
    """Return the lines that give the optimizers of some groups a half-life."""
    steps = f"steps={facts.steps or 10_000}"
    called = list(dict.fromkeys(group.called for group in groups))
    many = len(called) > 1
    made = f"DecayController({'each' if many else called[0]}, {_HALF_LIFE}, {steps})"
    line = f"controller = {made}"
    if many:
        line = f"controllers = [{made} for each in ({', '.join(called)})]"
    return f"{_IMPORT} DecayController\n{line}"


_HALF_LIFE = 'half_life="20% of the run"'


def by_role(facts: Facts) -> str:
    """Return the lines that make groups in which nothing decays yet by their role."""
    anew = _written_anew(facts, knob=0.0)
    if anew is not None:
        return anew
    if any(group.strangers for group in facts.groups):
        return ""
    return _all_split(facts, facts.groups, "")
