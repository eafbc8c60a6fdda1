"""Checks of options, class names and schedulers that do not do what they promise."""

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.optim import Optimizer

from dwindle.audit.findings import Finding, Paste
from dwindle.errors.nearest import mistyped, nearest_names
from dwindle.pytorch.checks.facts import Facts, on_groups
from dwindle.pytorch.checks.group import (
    TORCH_OPTIM,
    AuditedGroup,
    number_of,
    scheduler_name,
)
from dwindle.pytorch.checks.remedies import every_group, held_instead, set_options
from dwindle.pytorch.copying.toy import Mould
from dwindle.pytorch.follow_schedule import belongs_to, is_timms
from dwindle.pytorch.options import KNOB
from dwindle.pytorch.trials import Programme, Trials

# Only timm's own schedulers multiply by it.
_SCALE = "lr_scale"
# What torch's class of this name does: True where it decouples the decay.
_PROMISES: Mapping[str, bool] = {
    **dict.fromkeys(("Adam", "NAdam", "RAdam", "Adamax", "Adagrad"), False),
    **dict.fromkeys(("RMSprop", "Adadelta", "SGD"), False),
    **dict.fromkeys(("AdamW", "NAdamW", "RAdamW", "SGDW", "Muon", "Lion"), True),
}
# Variants that do what the plain class does: Adam8bit, FusedAdam, PagedAdamW32bit.
_BEFORE = ("Fused", "Paged", "CPU", "DeepSpeedCPU", "Decoupled")
_AFTER = ("8bit", "32bit", "4bit", "Fp8", "Legacy")
# Options that switch the kind of decay: with one of them the name is no promise.
_SWITCHES = (
    "decoupled_weight_decay",
    "decoupled_decay",
    "decouple",
    "decouple_wd",
    "decouple_lr",
    "weight_decouple",
    "adam_w_mode",
    "adamw_mode",
)


# Other names of options of torch.
_CALLED: Mapping[str, str] = {
    **dict.fromkeys(
        ("wd", "l2", "l2_reg", "decay", "weight_decay_rate", "weight_decay_coef"), KNOB
    ),
    **dict.fromkeys(("learning_rate", "base_lr", "eta"), "lr"),
}
# Factors of other frameworks: a loop or a scheduler of theirs multiplies by them.
_FACTORS: Mapping[str, str] = {
    **dict.fromkeys(("lr_mult", "lr_multiplier", "lr_factor"), "lr"),
    **dict.fromkeys(("decay_mult", "wd_mult", "weight_decay_mult", "wd_scale"), KNOB),
}
# Shorter names of options are near too many other keys.
_SHORTEST = 4
# Below it lies every eps that is meant to keep a division from 0.
_LARGE_EPS = 1e-4


def scale_that_nothing_applies(facts: Facts) -> Iterator[Finding]:
    """DW018: groups carry an lr_scale, and their lr is not scaled."""
    scaled = [group for group in facts.groups if _SCALE in group.options]
    scales = {float(group.options[_SCALE]) for group in scaled}
    if len(scales | {1.0}) == 1 or any(map(is_timms, facts.schedulers)):
        return
    over = {f"{group.lr / float(group.options[_SCALE]):.9g}" for group in scaled}
    if len(over) == 1 and len(scales) > 1:
        return  # the lr of each group is its scale times one number: applied already
    scheduler = scheduler_name(facts.schedulers[0]) if facts.schedulers else None
    head = every_group(facts)
    text = f'{head.text}\n    group["lr"] *= group.get("{_SCALE}", 1.0)'
    yield on_groups(
        "DW018",
        scaled,
        case="alone" if scheduler is None else "",
        paste=Paste(text=text, optimizers=head.optimizers),
        least=min(scales),
        most=max(scales),
        lrs=tuple(sorted({group.lr for group in scaled})),
        scheduler=scheduler,
    )


def of_another_optimizer(facts: Facts) -> Iterator[Finding]:
    """DW029: a scheduler that belongs to no optimizer of the program."""
    known = {group.optimizer: group for group in facts.groups}
    for scheduler in facts.schedulers if known else ():
        if not any(belongs_to(scheduler, each) for each in known):
            name, optimizer = scheduler_name(scheduler), facts.groups[0].class_path
            values = {"scheduler": name, "optimizer": optimizer}
            yield Finding(code="DW029", where=name, values=values)


def promise_not_kept(facts: Facts) -> Iterator[Finding]:
    """DW019: the class has the name of one that decays differently."""
    for group in facts.groups:
        promised = _PROMISES.get(_plain_name(type(group.optimizer).__name__))
        options = group.optimizer.defaults | dict(group.options)
        has = {each for each in _SWITCHES if hasattr(group.optimizer, each)}
        is_chosen = bool(has or options.keys() & set(_SWITCHES))
        if promised is None or not group.knob or not group.is_free or is_chosen:
            continue
        # A step that follows no known rule breaks no promise that could be named.
        coupled = group.is_sgd or group.probe.walk == "linear"
        if not (coupled if promised else group.probe.decouples and not group.is_sgd):
            continue
        yield _broken(group, promised=promised)
        return  # one class, one finding


def _broken(group: AuditedGroup, *, promised: bool) -> Finding:
    name, module = type(group.optimizer).__name__, type(group.optimizer).__module__
    plain = _plain_name(name)
    actual = plain.removesuffix("W") if promised else f"{plain}W"
    return Finding(
        code="DW019",
        case="decouples" if promised else "",
        where=f"{module.partition('.')[0]}.{name}",
        values={
            "plain": plain,
            "knob": group.knob,
            "lr": group.lr,
            "does": group.probe.sentence,
        },
        paste=_under_another_class(group, name.replace(plain, actual), actual),
    )


def _under_another_class(group: AuditedGroup, name: str, plain: str) -> Paste | None:
    """Return the lines that give the groups to a class of its package, or of torch."""
    parts, written, lines = type(group.optimizer).__module__.split("."), name, []
    found: Any = None  # a class, whose constructor is inspected
    for module in (".".join(parts[: at + 1]) for at in range(len(parts))):
        there = getattr(sys.modules.get(module), name, None)
        if found is None and isinstance(there, type) and issubclass(there, Optimizer):
            found, lines = there, [f"from {module} import {name}"]
    if found is None and hasattr(torch.optim, plain):
        found, written = getattr(torch.optim, plain), f"{TORCH_OPTIM}{plain}"
    if found is None:
        return None
    signature = inspect.signature(found.__init__).parameters
    kept = ["params", *(key for key in group.options if key in signature)]
    copied = f"{{name: group[name] for name in {kept!r}}}"
    lines.append(f"groups = [{copied} for group in {group.called}.param_groups]")
    text = "\n".join([*lines, f"{group.called} = {written}(groups)"])
    return Paste(text=text, optimizers=frozenset({group.called}), builds=True)


def _plain_name(name: str) -> str:
    for prefix in _BEFORE:
        name = name.removeprefix(prefix)
    for suffix in _AFTER:
        name = name.removesuffix(suffix)
    return name


def numbers_as_text(facts: Facts) -> Iterator[Finding]:
    """DW020: an option that is the text of a number, as YAML has 1e-3, or None."""
    wrong = {
        group: {
            name: number_of(value)
            for name, value in group.options.items()
            if name in {"lr", KNOB, _SCALE}
            # Some optimizers of other libraries have None as their default.
            and (value is None or isinstance(value, str))
            and (value is not None or group.optimizer.defaults.get(name) is not None)
        }
        for group in facts.groups
    }
    found = [(group, options) for group, options in wrong.items() if options]
    if not found:
        return
    first, (name, *_) = found[0]
    value = repr(first.options[name])
    groups = [group for group, _ in found]
    line = set_options(found)
    yield on_groups("DW020", groups, name, paste=line, option=name, value=value)


def knob_without_effect(facts: Facts) -> Iterator[Finding]:
    """DW027: a number is typed, and a weight with zero gradient stays as it is."""
    idle = [
        group
        for group in facts.groups
        if group.knob and group.is_free and group.moving and not group.decays
        if not group.rests
    ]
    if idle:
        line, optimizer = held_instead(facts, idle), idle[0].class_path
        yield on_groups("DW027", idle, paste=line, optimizer=optimizer)


def keys_that_nobody_reads(facts: Facts) -> Iterator[Finding]:
    """DW028: a group has wd or lr_mult, and its optimizer reads no such option."""
    found: dict[str, list[tuple[AuditedGroup, dict[str, object]]]] = {}
    for group in facts.groups:
        for key in sorted(group.options.keys() - group.optimizer.defaults.keys()):
            meant = _meant(facts, group, key)
            if meant and not _is_read(group, key):
                found.setdefault(key, []).append((group, meant))
    for key, hits in found.items():
        groups = [group for group, _ in hits]
        first, (name,) = groups[0], hits[0][1]
        near = nearest_names(key, first.optimizer.defaults, limit=1)
        yield on_groups(
            "DW028",
            groups,
            key,
            paste=set_options(hits),
            optimizer=first.class_path,
            key=key,
            value=repr(first.options[key]),
            meant=name,
            there=repr(first.options.get(name)),
            nearest=_CALLED.get(key) or _FACTORS.get(key) or ", ".join(near),
        )


def _meant(facts: Facts, group: AuditedGroup, key: str) -> dict[str, object]:
    """Return the option that a key was meant to set, and its number; else nothing."""
    value, defaults = group.options[key], group.optimizer.defaults
    if key in _FACTORS:
        name = _FACTORS[key]
        there = number_of(group.options.get(name))
        # Where the group has another number than the optimizer, it was multiplied.
        is_applied = there != number_of(defaults.get(name)) or value == 1
        # A scheduler that is not of torch may read factors of the lr.
        reads = name == "lr" and not all(
            type(each).__module__.startswith("torch.") for each in facts.schedulers
        )
        if is_applied or not isinstance(value, int | float) or reads:
            return {}
        return {name: there * value}
    long = [name for name in defaults if len(name) >= _SHORTEST]
    name = _CALLED.get(key) or mistyped(key, long) or ""
    differs = name in defaults and group.options.get(name) != value
    return {name: value} if differs else {}


def _is_read(group: AuditedGroup, key: str) -> bool:
    """Return whether copies make another step without the key."""
    trials, steps = (
        Trials(Mould.of(group.optimizer)),
        Programme(steps=2, gradients=(0.5,)),
    )

    def bare(optimizer: Optimizer) -> None:
        optimizer.param_groups[group.at].pop(key, None)

    try:
        ends = [trials.walks(each) for each in (steps, replace(steps, prepare=bare))]
    except Exception:  # noqa: BLE001  (any error of a third party's step: it needs the key)
        return True
    return ends[0][group.at] != ends[1][group.at]


def eps_like_a_decay(facts: Facts) -> Iterator[Finding]:
    """DW041: eps is as large as a decay, while the decay is not typed."""
    found = [(group, eps) for group in facts.groups if (eps := _usual_eps(group))]
    if not found:
        return
    groups, (first, usual) = [group for group, _ in found], found[0]
    yield on_groups(
        "DW041",
        groups,
        "eps",
        paste=set_options((each, {"eps": own}) for each, own in found),
        optimizer=first.class_path,
        eps=number_of(first.options["eps"]),
        usual=usual,
        knob=first.knob,
    )


def _usual_eps(group: AuditedGroup) -> float | None:
    """Return the eps of the class where that of a group is as large as a decay."""
    signature = inspect.signature(type(group.optimizer).__init__).parameters
    order = list(signature)
    if "betas" not in signature or order[-1:] == ["eps"]:
        return None
    if "eps" not in order or order[order.index("eps") + 1] != KNOB:
        return None
    usual, eps = signature["eps"].default, number_of(group.options.get("eps"))
    is_typed = group.knob not in (0, signature[KNOB].default)
    is_large = isinstance(usual, float) and usual < _LARGE_EPS <= eps < 1
    return None if is_typed or not is_large else usual
