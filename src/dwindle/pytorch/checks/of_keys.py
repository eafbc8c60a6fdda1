"""Checks of keys that nobody reads, and of numbers that stand at the wrong option."""

import inspect
from collections.abc import Iterator, Mapping

from dwindle.audit.findings import Finding
from dwindle.errors.nearest import nearest_names, typing_mistakes
from dwindle.pytorch.checks.facts import Facts
from dwindle.pytorch.checks.group import Group, number_of
from dwindle.pytorch.checks.remedies import set_options
from dwindle.pytorch.checks.words import class_path, number, of_groups
from dwindle.pytorch.copying.toy import Toy
from dwindle.pytorch.options import KNOB

# How people call an option that torch calls otherwise.
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
# One mistake in a short name makes another word of it; long names bear two.
_SHORTEST, _SHORT = 4, 8
_TORCHS = "torch."
# Below it lies every eps that is meant to keep a division from 0.
_LARGE_EPS = 1e-4


def keys_that_nobody_reads(facts: Facts) -> Iterator[Finding]:
    """DW028: a group says wd or lr_mult, and its optimizer reads no such option."""
    found: dict[str, list[tuple[Group, dict[str, object]]]] = {}
    for group in facts.groups:
        for key in sorted(group.options.keys() - group.optimizer.defaults.keys()):
            meant = _meant(facts, group, key)
            if meant and not _is_read(group, key):
                found.setdefault(key, []).append((group, meant))
    for key, hits in found.items():
        group, meant = hits[0]
        (name,) = meant
        yield Finding(
            code="DW028",
            where=f"{of_groups([each for each, _ in hits])}, {key}",
            evidence=f"{class_path(group.optimizer)} reads no {key} (here "
            f"{group.options[key]!r}): a step with it and one without it are the same. "
            f"{name} is {group.options.get(name)!r}. Nearest: {_nearest(group, key)}.",
            remedy=f"If {name} was meant:",
            line=set_options(hits),
        )


def _nearest(group: Group, key: str) -> str:
    known = _CALLED.get(key) or _FACTORS.get(key)
    return known or ", ".join(nearest_names(key, group.optimizer.defaults, limit=1))


def _meant(facts: Facts, group: Group, key: str) -> dict[str, object]:
    """Return the option that a key was meant to set, and its number; else nothing."""
    value, defaults = group.options[key], group.optimizer.defaults
    if key in _FACTORS:
        name = _FACTORS[key]
        there = number_of(group.options.get(name))
        # Where the group has another number than the optimizer, it was multiplied.
        is_applied = there != number_of(defaults.get(name)) or value == 1
        if is_applied or not isinstance(value, int | float) or _reads(facts, name):
            return {}
        return {name: there * value}
    name = _CALLED.get(key, "") or _misspelt(key, defaults)
    is_told = name in defaults and group.options.get(name) != value
    return {name: value} if is_told else {}


def _reads(facts: Facts, name: str) -> bool:
    """Whether a scheduler is somebody's own, which may read factors on the lr."""
    modules = [type(each).__module__ for each in facts.schedulers]
    return name == "lr" and not all(each.startswith(_TORCHS) for each in modules)


def _misspelt(key: str, names: Mapping[str, object]) -> str:
    for name in nearest_names(key, [n for n in names if len(n) >= _SHORTEST], limit=1):
        most = 1 if len(name) <= _SHORT else 2
        if typing_mistakes(key.casefold().replace("-", "_"), name) <= most:
            return name
    return ""


def _is_read(group: Group, key: str) -> bool:
    """Whether a step comes out otherwise without the key: seen on copies."""
    ends: list[list[object]] = []
    for is_there in (True, False):
        toy = Toy.of(group.optimizer)
        if not is_there:
            toy.optimizer.param_groups[group.at].pop(key, None)
        try:
            ends.append(list(toy.watch(2, gradients=(0.5,))[group.at]))
        except Exception:  # noqa: BLE001  (other people's code: it wants the key)
            return True
    return ends[0] != ends[1]


def eps_like_a_decay(facts: Facts) -> Iterator[Finding]:
    """DW041: eps is as large as a decay, while the decay is not typed."""
    found = [(group, eps) for group in facts.groups if (eps := _usual_eps(group))]
    if not found:
        return
    group, usual = found[0]
    name, eps = class_path(group.optimizer), number_of(group.options["eps"])
    yield Finding(
        code="DW041",
        where=f"{of_groups([each for each, _ in found])}, eps",
        evidence=f"eps is {number(eps)}, where {name} has {number(usual)}: it evens "
        f"steps out that gradients below {number(eps)} make. {KNOB} is "
        f"{number(group.knob)}, and comes right behind eps: a number given by its "
        "place lands there.",
        remedy=f"If it was meant for {KNOB}, name it, {KNOB}={number(eps)}, and give "
        "eps back:",
        line=set_options((each, {"eps": own}) for each, own in found),
    )


def _usual_eps(group: Group) -> float | None:
    """Return the eps of the class where that of a group looks like a decay."""
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
