"""The lines to write: each touches the groups of its finding, and nothing else.

Options are set in ``param_groups``, and groups are split in their place, so every other
option, group and optimizer stays as it is. Only where a single optimizer of torch has
groups that differ in nothing but their decay is it written anew, as one would type it.
"""

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from torch import Tensor

from dwindle.audit.findings import Paste, typed
from dwindle.audit.setting_findings import SHARE_THAT_ACTS
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import TORCH_OPTIM, AuditedGroup, number_of
from dwindle.pytorch.options import KNOB, MARKER
from dwindle.pytorch.parameters.roles import ParameterRole
from dwindle.pytorch.selection import choices_of
from dwindle.wording import number

_IMPORT = "from dwindle.pytorch import"
# Their findings share one line, which takes all of them out of the decay.
_LIKE_BIASES = frozenset({"bias", "norm", "vector"})
# Roles that decay_groups leaves alone unless embeddings=True.
_TOKENS = frozenset({"embedding", "token"})
# These advise another number: no other line may repeat the current one.
_OF_NUMBERS = frozenset({"DW009", "DW010", "DW011", "DW012", "DW024"})
# Keys by which groups differ, and which are not typed as options.
_NOT_TYPED = frozenset({KNOB, MARKER, "params", "param_names", "initial_lr"})
_FEW = 3  # places that are typed one by one; more in a row are a range
_FROZEN_LEAVE = (
    "# Frozen parameters leave these groups: add them when they are unfrozen."
)
# Of a p that is listed twice; set.add returns None, so the first is kept.
FIRST_TIME = "not (id(p) in seen or seen.add(id(p)))"


def set_options(
    wanted: Iterable[tuple[AuditedGroup, Mapping[str, object]]],
) -> Paste | None:
    """Return the lines that set options of some groups and of no other."""
    places: dict[tuple[str, str], list[int]] = {}
    sets: set[tuple[str, int, str]] = set()
    types_a_decay = False
    for group, options in wanted:
        texts = {name: _typed(value) for name, value in options.items()}
        named = ", ".join(f"{name}={text}" for name, text in texts.items())
        alone = "".join(f'["{name}"] = {text}' for name, text in texts.items())
        setting = alone if len(texts) == 1 else f".update({named})"
        places.setdefault((group.called, setting), []).append(group.at)
        sets |= {(group.called, group.at, name) for name in options}
        # As a keyword it stands beside others; alone it is an item of the group.
        types_a_decay |= KNOB in options and len(options) > 1
    if not places:
        return None
    text = "\n".join(
        f"{called}.param_groups[{at[0]}]{setting}"
        if len(at) == 1
        else f"for at in {_places(at)}:\n    {called}.param_groups[at]{setting}"
        for (called, setting), at in places.items()
    )
    return Paste(
        text=text,
        optimizers=frozenset(called for called, _, _ in sets),
        sets=frozenset(sets),
        types_a_decay=types_a_decay,
    )


def set_knob(wanted: Iterable[tuple[AuditedGroup, float]]) -> Paste | None:
    """Return the lines that set the weight decay of some groups."""
    return set_options((group, {KNOB: value}) for group, value in wanted)


def _typed(value: object) -> str:
    return typed(value) if isinstance(value, float) else repr(value)


def _places(at: Sequence[int]) -> str:
    ordered = sorted(at)
    first, last = ordered[0], ordered[-1] + 1
    if len(ordered) > _FEW and last - first == len(ordered):
        return f"range({first}, {last})" if first else f"range({last})"
    return f"({', '.join(map(str, ordered))})"


@dataclass(frozen=True, kw_only=True)
class _Arguments:
    """Arguments of ``decay_groups`` besides the model: exceptions to its defaults."""

    weight_decay: float | None = None
    embeddings: bool = False
    decay: tuple[str, ...] | str = ()
    no_decay: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        is_one = isinstance(self.decay, str)
        given = {
            KNOB: "" if self.weight_decay is None else typed(self.weight_decay),
            "embeddings": "True" if self.embeddings else "",
            "decay": f'"{self.decay}"' if is_one else repr(list(self.decay)),
            "no_decay": repr(list(self.no_decay)),
        }
        return "".join(
            f", {name}={text}" for name, text in given.items() if text not in ("", "[]")
        )


def without_decay(
    facts: Facts, held: Collection[ParameterRole], *, exact: bool = False
) -> Paste | None:
    """Return the lines that take parameters out of the decay of their groups.

    Biases, gains and other vectors of these groups go with them, for their findings
    have the same line. With ``exact`` nothing but the given parameters moves. None
    where a group has tensors that the model does not.
    """
    ids = {id(each.parameter) for each in held}
    groups = [group for group in facts.groups_with(held) if group.decays]
    if exact:
        arguments = _Arguments(decay="*", no_decay=tuple(each.name for each in held))
        return _all_split(facts, groups, arguments)
    arguments = _arguments(facts, groups, ids)
    advised = (_has_another_number(group, "note") for group in facts.groups)
    anew = None
    if not any(advised):
        anew = _written_anew(facts, moved=ids, arguments=arguments)
    return anew or _all_split(facts, groups, arguments)


def _has_another_number(group: AuditedGroup, *severities: str) -> bool:
    """Return whether a finding on a group advises another number for it."""
    # Those of some severities count beside errors and warnings.
    return any(
        found.code in _OF_NUMBERS
        and found.severity in {"error", "warning", *severities}
        for found in group.found
    )


def _all_split(
    facts: Facts, groups: Sequence[AuditedGroup], arguments: _Arguments
) -> Paste | None:
    """Return the lines that split groups in their place; None with strangers."""
    if any(group.strangers for group in groups):
        return None
    called = list(dict.fromkeys(group.called for group in groups))
    frozen = any(not each.trainable for group in groups for each in group.held)
    remark = [_FROZEN_LEAVE] if frozen else []
    split = [_split(facts, each, groups, arguments.text) for each in called]
    return Paste(
        text="\n".join([*remark, f"{_IMPORT} decay_groups", *split]),
        optimizers=frozenset(called),
        splits=True,
        types_a_decay=arguments.weight_decay is not None,
    )


def _split(
    facts: Facts, called: str, groups: Sequence[AuditedGroup], arguments: str
) -> str:
    """Return the line that splits some groups of one optimizer in their place."""
    own = [group for group in facts.groups if group.called == called]
    at = sorted(group.at for group in groups if group.called == called)
    there = f"{called}.param_groups"
    if len(at) == len(own):
        return f"{there}[:] = decay_groups(model{arguments}, groups={there})"
    if len(at) == 1:
        (place,) = at
        one = f"decay_groups(model{arguments}, groups=[{there}[{place}]])"
        return f"{there}[{place}:{place + 1}] = {one}"
    # From the last: a group that becomes two moves those after it.
    order = f"({', '.join(map(str, reversed(at)))})"
    one = f"decay_groups(model{arguments}, groups=[{there}[at]])"
    return f"for at in {order}:\n    {there}[at:at + 1] = {one}"


def _arguments(
    facts: Facts, groups: Iterable[AuditedGroup], named: Collection[int]
) -> _Arguments:
    """Return the arguments under which decay_groups moves no more than it should."""
    held = {each.name: each for group in groups for each in group.held}
    moved = {name for name, each in held.items() if id(each.parameter) in named}
    others = [each for name, each in held.items() if name not in moved]
    tokens = any(each.role in _TOKENS and each.trainable for each in others)
    # By name: after a forward pass FSDP's model holds other tensors than its groups.
    decaying = {
        choice.name
        for choice in choices_of(facts.model, embeddings=tokens)
        if choice.decays
    }
    kept = (
        each.name
        for each in others
        if each.trainable and each.role not in _LIKE_BIASES
        if each.name not in decaying
    )
    spared = (name for name in held if name in moved & decaying)
    return _Arguments(embeddings=tokens, decay=tuple(kept), no_decay=tuple(spared))


def _written_anew(
    facts: Facts,
    *,
    knob: float | None = None,
    moved: Collection[int] = (),
    lost: bool = False,
    arguments: _Arguments | None = None,
) -> Paste | None:
    """Return the line that builds a single optimizer of torch with groups anew.

    None where that would change more than it should: groups that differ in more than
    their decay, weights that do not decay on purpose, frozen members, other optimizers.

    Args:
        facts: Of the program.
        knob: Another weight decay; that of now where None.
        moved: Ids of parameters that may stop decaying, besides biases and gains.
        lost: Whether parameters may be added, or replaced, that are in no group.
        arguments: More arguments of ``decay_groups``.

    """
    first, arguments = facts.groups[0], arguments or _Arguments()
    knobs = {group.knob for group in facts.groups if group.knob and group.decays}
    if not _is_plain(facts, lost=lost) or len(knobs) > 1:
        return None
    if arguments.decay or arguments.no_decay:
        return None  # they are split in their place: names are few there
    if knobs and not _keeps_choices(facts, moved, embeddings=arguments.embeddings):
        return None
    options = _typed_options(first)
    if options is None:
        return None
    value = max(knobs, default=0.0) if knob is None else knob
    made = f"decay_groups(model, {KNOB}={number(value)}{arguments.text})"
    line = f"optimizer = {first.class_path}({made}, {options})"
    return Paste(
        text=f"{_IMPORT} decay_groups\n{line}",
        optimizers=frozenset({"optimizer"}),
        builds=True,
        types_a_decay=True,
    )


def _is_plain(facts: Facts, *, lost: bool) -> bool:
    """Return whether one optimizer of torch has the whole model, with one setting."""
    first = facts.groups[0]
    options = [
        {name: repr(group.options[name]) for name in group.options.keys() - _NOT_TYPED}
        for group in facts.groups
    ]
    members = [id(each.parameter) for group in facts.groups for each in group.held]
    trained = {id(each.parameter) for each in facts.held if each.trainable}
    return (
        first.called == "optimizer"
        and first.class_path.startswith(TORCH_OPTIM)
        and all(each == options[0] for each in options)
        and len(set(members)) == len(members)
        and (set(members) == trained or (lost and set(members) <= trained))
        and (lost or not any(group.strangers for group in facts.groups))
        and not any(group.rests or not group.is_free for group in facts.groups)
    )


def _keeps_choices(facts: Facts, moved: Collection[int], *, embeddings: bool) -> bool:
    """Return whether new groups decay what decays now, except what may stop."""
    for choice in choices_of(facts.model, embeddings=embeddings):
        groups = facts.groups_of(choice.held)
        if not groups or not choice.held.trainable:
            continue
        now = any(group.decays for group in groups)
        may_stop = (
            choice.held.role in _LIKE_BIASES or id(choice.held.parameter) in moved
        )
        if choice.decays != now and not (now and may_stop):
            return False
    return True


def _typed_options(group: AuditedGroup) -> str | None:
    """Return the options that were typed: those that are not defaults of the class."""
    optimizer = group.optimizer
    signature = inspect.signature(type(optimizer).__init__).parameters
    given = optimizer.defaults | dict(group.options)
    # What was typed, not what the lr is by now, nor the peak: both are the scheduler's.
    given["lr"] = given.get("initial_lr", given["lr"])
    if not isinstance(given["lr"], Tensor):
        given["lr"] = number_of(given["lr"]) or group.lr
    own = {name: repr(each.default) for name, each in signature.items()}
    shown = {
        name: _plainly(given[name])
        for name in optimizer.defaults
        if name in own
        and name not in _NOT_TYPED
        # The lr is shown for readers, also where it equals the default.
        and (name == "lr" or repr(given[name]) not in ("None", own[name]))
    }
    if None in shown.values():
        return None
    return ", ".join(f"{name}={text}" for name, text in shown.items())


def _plainly(value: Any) -> str | None:  # an option of any type
    """Return a value as Python code; None where it has no short one."""
    if isinstance(value, Tensor):
        return f"torch.tensor({value.tolist()!r})" if value.ndim == 0 else None
    if isinstance(value, float):
        return repr(float(f"{value:.6g}"))
    return repr(value) if isinstance(value, int | str | tuple | None) else None


def sound_knob(groups: Iterable[AuditedGroup]) -> float | None:
    """Return the number of the largest group whose number is not itself a finding."""
    sound = [
        (group.numbers, group.knob)
        for group in groups
        if group.decays and group.is_free and not _has_another_number(group)
    ]
    return max(sound)[1] if sound else None


def with_decay(
    facts: Facts, held: Collection[ParameterRole], knob: float
) -> Paste | None:
    """Return the lines that let weights decay, and nothing else in their groups."""
    ids = {id(each.parameter) for each in held}
    groups = facts.groups_with(held)
    others = [
        each
        for group in groups
        for each in group.moving
        if id(each.parameter) not in ids
    ]
    if not others:
        return set_knob((group, knob) for group in groups)
    weights = tuple(each.name for each in others if each.role == "weight")
    return _all_split(facts, groups, _Arguments(weight_decay=knob, no_decay=weights))


def with_the_lost(facts: Facts, lost: Sequence[ParameterRole]) -> Paste | None:
    """Return the lines that add parameters which are in no group; None if unclear.

    Several optimizers share a model by kinds of parameters: Muon has matrices only.
    Then what is no weight goes to the one optimizer that has others, if there is one.
    """
    anew = _written_anew(facts, lost=True)
    if anew is not None:
        return anew
    home = _home(facts, lost)
    if home is None:
        return None
    knob, called = sound_knob(home), home[0].called
    now = "" if knob is None else f", {KNOB}={number(knob)}"
    each = "for each in optimizers " if called != "optimizer" else ""
    groups = f"{'each' if each else called}.param_groups"
    # torch takes names of all parameters, or of none.
    named = "param_names" in home[0].options
    which = "(n, p) for n, p in model.named_" if named else "p for p in model."
    text = (
        f"{_IMPORT} decay_groups\n"
        f'there = {{id(p) {each}for group in {groups} for p in group["params"]}}\n'
        f"lost = [{which}parameters() if p.requires_grad and id(p) not in there]\n"
        f'for group in decay_groups(model{now}, groups=[{{"params": lost}}]):\n'
        f"    {called}.add_param_group(group)"
    )
    touched = {called, "optimizers"} if each else {called}
    return Paste(
        text=text,
        optimizers=frozenset(touched),
        refills=True,
        types_a_decay=knob is not None,
    )


def _home(facts: Facts, lost: Iterable[ParameterRole]) -> Sequence[AuditedGroup] | None:
    """Return the groups of the one optimizer that has parameters of these roles."""
    by_name: dict[str, list[AuditedGroup]] = {}
    for group in facts.groups:
        by_name.setdefault(group.called, []).append(group)
    if len(by_name) == 1:
        return facts.groups
    are_weights = {each.role for each in lost} == {"weight"}
    fitting: list[list[AuditedGroup]] = []
    for groups in by_name.values():
        roles = {each.role for group in groups for each in group.held}
        if ("weight" in roles) if are_weights else (roles - {"weight"}):
            fitting.append(groups)
    return fitting[0] if len(fitting) == 1 else None


def keeping(facts: Facts, condition: str, *, before: str = "") -> Paste:
    """Return the lines that leave in the groups only what fits a condition on p."""
    head = every_group(facts)
    kept = f'    group["params"] = [p for p in group["params"] if {condition}]'
    named = any("param_names" in group.options for group in facts.groups)
    unnamed = ['    group.pop("param_names", None)'] if named else []
    return Paste(
        text=before + "\n".join([head.text, kept, *unnamed]),
        optimizers=head.optimizers,
        refills=True,
    )


def every_group(facts: Facts) -> Paste:
    """Return the head of a loop over the groups of all optimizers."""
    called, groups = "optimizer", "optimizer.param_groups"
    if facts.groups[0].called != called:
        called = "optimizers"
        groups = "(group for each in optimizers for group in each.param_groups)"
    text = f"for group in {groups}:"
    return Paste(text=text, optimizers=frozenset({called}))


def held_instead(facts: Facts, groups: Iterable[AuditedGroup]) -> Paste:
    """Return the lines that give the optimizers of some groups a half-life."""
    # Without the length of the run any number shows where to put it.
    options = f'half_life="{SHARE_THAT_ACTS}", steps={facts.steps or 10_000}'
    called = list(dict.fromkeys(group.called for group in groups))
    many = len(called) > 1
    made = f"DecayController({'each' if many else called[0]}, {options})"
    line = f"controller = {made}"
    if many:
        line = f"controllers = [{made} for each in ({', '.join(called)})]"
    return Paste(
        text=f"{_IMPORT} DecayController\n{line}",
        optimizers=frozenset(called),
        holds=True,
    )


def by_role(facts: Facts) -> Paste | None:
    """Return the lines that group parameters by their role, without a decay yet."""
    anew = _written_anew(facts, knob=0.0)
    return anew or _all_split(facts, facts.groups, _Arguments())


def frozen(paths: Iterable[str], *, with_gradients: bool = False) -> Paste:
    """Return the lines that freeze parameters or modules; their gradients may go."""
    lines = []
    for path in map(attribute, paths):
        lines.append(f"{path}.requires_grad_(requires_grad=False)")
        lines += [f"{path}.grad = None"] * with_gradients
    return Paste(text="\n".join(lines))


def attribute(name: str) -> str:
    """Return how a parameter or module is reached from ``model`` in Python.

    Example:
        >>> attribute("layers.0.weight")
        'model.layers[0].weight'

    """
    written = "model"
    for part in filter(None, name.split(".")):
        if part.isidentifier() and not iskeyword(part):
            written += f".{part}"
        else:
            written += f"[{part}]" if part.isdecimal() else f'["{part}"]'
    return written
