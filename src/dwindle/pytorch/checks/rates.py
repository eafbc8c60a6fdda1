"""The rate of a group: a knob that decays alike, and what its number comes to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from dwindle.audit.findings import Finding
from dwindle.audit.recipes import recipe_finding
from dwindle.audit.setting_findings import Judged, judge
from dwindle.decay.run import Run
from dwindle.pytorch.checks.group import Group

# Knobs whose numbers do what a copy was seen to do, whatever the class is called.
DECOUPLED = "torch.optim.AdamW"
_COUPLED = "torch.optim.SGD"
_ADAPTIVE = "torch.optim.Adam"
_CONSTANT = "optax.adafactor"
_CORRECTED = "timm.adamwc"
# What is measured may differ from what is asked by so much and count as the same.
_TRUE_TO = 0.02
_ROUNDED = frozenset({"DW009", "DW023"})


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A group's decay as a knob that does the same, and what is to be said of it."""

    group: Group
    knob: str
    number: float
    judged: Judged


def rates_of(groups: Iterable[Group], run: Run) -> Iterator[Rate]:
    """Judge every group that decays by a rule that dwindle can compute."""
    known: dict[tuple[str, float, Run], Judged] = {}
    for group in groups:
        like = same_decay(group)
        if like is None or not group.held:
            continue
        key = (*like, group.run(run))  # many groups differ in their parameters alone
        if key not in known:
            known[key] = judge(*key)
        knob, value = like
        judged = _seen(group, known[key])
        yield Rate(group=group, knob=knob, number=value, judged=judged)


def same_decay(group: Group) -> tuple[str, float] | None:
    """Return a knob and the number at which it decays as the group was seen to.

    None where nothing decays, or by no rule that a number could be read from.
    """
    seen = group.probe
    shrink = seen.shrink_per_step
    if not group.decays or not group.is_free:
        return None
    if seen.decouples:
        return DECOUPLED, group.knob
    if seen.coupled_sgd:
        return _COUPLED, group.knob
    if seen.family == "linear":
        return _ADAPTIVE, group.knob
    if seen.family != "geometric" or shrink is None or not group.lr:
        return None
    rules = {0: (_CONSTANT, shrink), 1: (DECOUPLED, shrink / group.lr)}
    rules[2] = _CORRECTED, shrink / group.lr
    return rules.get(round(seen.lr_power or 0))


def _seen(group: Group, told: Judged) -> Judged:
    """Keep what is true of this optimizer, and put a known recipe beside it."""
    recipe = recipe_finding(told.explanation)
    found = [each for each in told.findings if _is_seen(group, each)]
    return replace(told, findings=(*found, *([recipe] if recipe else [])))


def _is_seen(group: Group, found: Finding) -> bool:
    """Rounding is measured: some optimizers keep wider weights beside narrow ones."""
    asked, seen = group.probe.shrink_per_step, group.probe.measured_shrink
    if found.code not in _ROUNDED or not asked or seen is None:
        return True
    return abs(seen - asked) > _TRUE_TO * asked
