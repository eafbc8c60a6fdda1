"""Checks of what options and names say and nothing does."""

import inspect
import sys
from collections.abc import Iterator, Mapping

import torch
from torch.optim import Optimizer

from dwindle.audit.findings import Finding
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group, number_of
from dwindle.pytorch.checks.remedies import every_group, held_instead, set_options
from dwindle.pytorch.checks.words import (
    class_path,
    listed,
    number,
    of_groups,
    settings,
)
from dwindle.pytorch.options import KNOB
from dwindle.pytorch.probing.follower import is_timms

SCALE = "lr_scale"
# What torch's class of this name does: True where it decouples the decay.
_PROMISES: Mapping[str, bool] = {
    **dict.fromkeys(("Adam", "NAdam", "RAdam", "Adamax", "Adagrad"), False),
    **dict.fromkeys(("RMSprop", "Adadelta", "SGD"), False),
    **dict.fromkeys(("AdamW", "NAdamW", "RAdamW", "SGDW", "Muon", "Lion"), True),
}
# Variants that do what the plain class does: Adam8bit, FusedAdam, PagedAdamW32bit.
_BEFORE = ("Fused", "Paged", "CPU", "DeepSpeedCPU", "Decoupled")
_AFTER = ("8bit", "32bit", "4bit", "Fp8", "Legacy")
# Options by which somebody has asked for the other kind: then the name is no promise.
_ASKED = (
    "decoupled_weight_decay",
    "decoupled_decay",
    "decouple",
    "decouple_wd",
    "decouple_lr",
    "weight_decouple",
    "adam_w_mode",
    "adamw_mode",
)


def scale_that_nothing_applies(facts: Facts) -> Iterator[Finding]:
    """DW018: groups carry an lr_scale, and their lr is not scaled."""
    scaled = [group for group in facts.groups if SCALE in group.options]
    scales = {float(group.options[SCALE]) for group in scaled}
    if len(scales | {1.0}) == 1 or any(map(is_timms, facts.schedulers)):
        return
    told = {f"{group.lr / float(group.options[SCALE]):.9g}" for group in scaled}
    if len(told) == 1 and len(scales) > 1:
        return  # the lr of each group is its scale times one number: applied already
    said = "no scheduler was given that reads it"
    if facts.schedulers:
        said = f"a {type(facts.schedulers[0]).__name__} does not read it"
    yield Finding(
        code="DW018",
        where=of_groups(scaled),
        evidence=f"{SCALE} runs from {number(min(scales))} to {number(max(scales))}, "
        f"while the lr is {listed(sorted({number(g.lr) for g in scaled}))}: {said}.",
        remedy="Apply it once, before a scheduler of torch is built (or build one of "
        "timm.scheduler, and give it as scheduler=...):",
        line=f'{every_group(facts)}\n    group["lr"] *= group.get("{SCALE}", 1.0)',
    )


def promise_not_kept(facts: Facts) -> Iterator[Finding]:
    """DW019: the class is called like another one that decays differently."""
    for group in facts.groups:
        promised = _PROMISES.get(_plain_name(type(group.optimizer).__name__))
        if promised is None or not group.knob or not group.is_free or _asked(group):
            continue
        # Whatever follows no rule at all breaks no promise that could be named.
        coupled = group.is_sgd or group.probe.family == "linear"
        if not (coupled if promised else group.probe.decouples and not group.is_sgd):
            continue
        yield _broken(group, promised=promised)
        return  # one class, one finding


def _broken(group: Group, *, promised: bool) -> Finding:
    name = type(group.optimizer).__name__
    plain = _plain_name(name)
    module = type(group.optimizer).__module__.partition(".")[0]
    does = group.probe.sentence
    said = "decouples its decay" if promised else "adds its decay to the gradient"
    honest = plain.removesuffix("W") if promised else f"{plain}W"
    return Finding(
        code="DW019",
        where=f"{module}.{name}",
        evidence=f"torch's {plain} {said}; this one, stepped on a copy with "
        f"{KNOB} {number(group.knob)} and lr {number(group.lr)}, does otherwise. "
        f"{does}",
        remedy="Write the class that says what is done:",
        line=_under_another_class(group, name.replace(plain, honest), honest),
    )


def _under_another_class(group: Group, name: str, plain: str) -> str:
    """Return the lines that give the groups to a class of its package, or of torch."""
    module, written, found = _found_beside(type(group.optimizer), name)
    lines = [f"from {module} import {written}"] if found else []
    if found is None and hasattr(torch.optim, plain):
        found, written = getattr(torch.optim, plain), f"torch.optim.{plain}"
    if found is None:
        return ""
    signature = inspect.signature(found.__init__).parameters
    kept = ["params", *(key for key in group.options if key in signature)]
    copied = f"{{name: group[name] for name in {kept!r}}}"
    lines.append(f"groups = [{copied} for group in {group.called}.param_groups]")
    return "\n".join([*lines, f"{group.called} = {written}(groups)"])


def _found_beside(
    kind: type[Optimizer], name: str
) -> tuple[str, str, type[Optimizer] | None]:
    """Return (module, name, class) of a class of the same package, if it has one."""
    parts = kind.__module__.split(".")
    for depth in range(1, len(parts) + 1):
        module = ".".join(parts[:depth])
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type) and issubclass(found, Optimizer):
            return module, name, found
    return "", name, None


def _plain_name(name: str) -> str:
    for word in _BEFORE:
        name = name.removeprefix(word)
    for word in _AFTER:
        name = name.removesuffix(word)
    return name


def _asked(group: Group) -> bool:
    """Whether an option of the group or the optimizer asks for the decay's kind."""
    defaults = getattr(group.optimizer, "defaults", {})
    told = defaults | dict(group.options)
    return any(name in told or hasattr(group.optimizer, name) for name in _ASKED)


def numbers_as_text(facts: Facts) -> Iterator[Finding]:
    """DW020: an option that is the text of a number, as YAML has 1e-3, or None."""
    wrong = {
        group: {
            name: number_of(value)
            for name, value in group.options.items()
            if name in ("lr", KNOB, SCALE) and _is_no_number(group, name, value)
        }
        for group in facts.groups
    }
    found = [(group, options) for group, options in wrong.items() if options]
    if not found:
        return
    group, options = found[0]
    name = next(iter(options))
    value = group.options[name]
    kind = "the text " if isinstance(value, str) else ""
    yield Finding(
        code="DW020",
        where=f"{of_groups([each for each, _ in found])}, {name}",
        evidence=f"{name} is {kind}{value!r}, not a number; the next step of "
        "the optimizer will fail or misread it.",
        remedy="Make it a number where the configuration is read:",
        line=set_options(found),
    )


def _is_no_number(group: Group, name: str, value: object) -> bool:
    # Some optimizers of others have None by default, and read it so.
    default = group.optimizer.defaults.get(name)
    return isinstance(value, str) or (value is None and default is not None)


def knob_without_effect(facts: Facts) -> Iterator[Finding]:
    """DW027: a number is typed, and a weight with zero gradient stays as it is."""
    idle = [
        group
        for group in facts.groups
        if group.knob and group.is_free and group.moving and not group.decays
        if not group.rests
    ]
    if idle:
        name = class_path(idle[0].optimizer)
        yield Finding(
            code="DW027",
            where=of_groups(idle),
            evidence=f"{settings(idle)}: a copy of {name} was stepped with zero "
            "gradients, and its weights stayed as they were.",
            remedy="Look for the option that this optimizer reads, or let a "
            "controller decay:",
            line=held_instead(facts, idle),
        )
